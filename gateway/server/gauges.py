# SPDX-License-Identifier: Apache-2.0
"""Values that the metrics show as they are when somebody asks."""

from collections.abc import Callable, Mapping
from functools import partial

from gateway.delivery.peers import Peers
from gateway.server.app import Metrics
from gateway.services.auditanchors import AuditAnchors
from gateway.services.auditlog import AuditStore
from gateway.services.commits import Commits
from gateway.services.duties import ReminderKind
from gateway.services.reminders import Reminders
from gateway.services.submitter import Submitter


def of_the_ledger(
    metrics: Metrics, commits: Commits, submitter: Submitter, disabled: Callable[[], Mapping[str, str]]
) -> None:
    """How far the ledger is read, and what is under way."""
    metrics.gauge("pedigree_height", "Blocks in the read model", lambda: commits.height)
    metrics.gauge("pedigree_lag_blocks", "Blocks known to exist and not applied yet", lambda: commits.lag)
    metrics.gauge("pedigree_in_flight", "Submissions that have not reached their end", lambda: submitter.in_flight)
    metrics.gauge(
        "pedigree_behind_seconds", "For how long the read model has lacked blocks", lambda: commits.behind_for
    )
    metrics.gauge(
        "pedigree_members_disabled",
        "Members whose definition on the channel this gateway does not understand",
        lambda: len(disabled()),
    )


def of_the_audit(metrics: Metrics, store: AuditStore, anchors: AuditAnchors) -> None:
    """How much was refused, and whether that is on the ledger."""
    metrics.gauge("pedigree_audit_entries", "Entries of the audit log", store.size)
    metrics.gauge(
        "pedigree_audit_unanchored", "Entries of the audit log that are not anchored on the ledger",
        lambda: store.size() - anchors.anchored,
    )  # fmt: skip
    metrics.gauge(
        "pedigree_audit_trouble", "Whether the audit log could not be anchored when it was last tried",
        lambda: float(anchors.trouble is not None),
    )  # fmt: skip


def of_the_peers(metrics: Metrics, peers: Peers) -> None:
    """How it is with this organisation's peers."""
    metrics.gauge("pedigree_peers_usable", "Peers of this organisation that could be used now", lambda: peers.usable)
    metrics.gauge("pedigree_peers_distrusted", "Peers that showed another chain", lambda: peers.distrusted)
    metrics.gauge("pedigree_peer_calls", "Calls at this organisation's peers now", lambda: peers.calls)


def of_the_reminders(metrics: Metrics, reminders: Reminders) -> None:
    """How much this organisation is to do."""
    for kind, name, what in (
        (ReminderKind.AWAITS, "pedigree_awaits_endorsement", "Artifacts that await this organisation's endorsement"),
        (ReminderKind.EXPIRES, "pedigree_approvals_expiring", "Approvals that end soon and concern this organisation"),
        (ReminderKind.LOST, "pedigree_quorums_lost", "Approvals without their quorum that concern this organisation"),
    ):
        metrics.gauge(name, what, partial(reminders.due, kind))

# SPDX-License-Identifier: Apache-2.0
"""The audit log: what this gateway refused, its proofs, and its anchors."""

from collections.abc import Mapping

from gateway.api.operations import HIGHEST
from gateway.rest.problems import HttpProblem
from gateway.rest.routing import Call, Reply, View, recorded
from gateway.services.auditanchors import AuditAnchors
from gateway.services.auditview import AuditView


def views(view: AuditView, anchors: AuditAnchors) -> Mapping[str, View]:
    """The operations on the audit log, by name."""

    def listed(call: Call) -> Reply:
        return Reply(view.page(call.filters, cursor=call.query.get("cursor"), limit=call.limit))

    def one(call: Call) -> Reply:
        return Reply(view.one(_number(call.path["entry"])))

    def export(_: Call) -> Reply:
        return Reply({}, headers={"Content-Disposition": 'attachment; filename="audit.jsonl"'}, pieces=view.export())

    def anchor(call: Call) -> Reply:
        return recorded(anchors.anchor(call.recording, call.json))

    return {"listAuditEntries": listed, "getAuditEntry": one, "exportAuditLog": export, "anchorAudit": anchor}


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > len(str(HIGHEST)) or int(text) < 1:
        raise HttpProblem(404, "no-such-path", "An entry is a whole number from 1.")
    return int(text)

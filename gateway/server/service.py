# SPDX-License-Identifier: Apache-2.0
"""A running gateway, put together over any ledger and any stores."""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version

from flask import Flask

from gateway.callers import certificates
from gateway.callers.signatures import Nonces, Signatures
from gateway.delivery.healthprobe import HealthProbe
from gateway.delivery.peers import Peers
from gateway.rest import (
    artifacts,
    audit,
    batches,
    consent,
    datasets,
    deliveries,
    deployments,
    elsewhere,
    lineage,
    models,
    operations,
    policies,
    reminders,
    runs,
    search,
    selections,
    transactions,
)
from gateway.rest import ledger as ledger_routes
from gateway.rest.auditing import Auditor
from gateway.rest.bodies import Spool
from gateway.rest.derived import routes_of
from gateway.rest.routing import RequestPipeline, Route, View
from gateway.server.app import Metrics, create_app
from gateway.server.gauges import of_the_audit, of_the_ledger, of_the_peers
from gateway.server.giving import Giving
from gateway.server.health import Health
from gateway.server.place import Place as Place
from gateway.server.reminding import make_reminders
from gateway.server.settings import THREADS_BESIDE_IN_FLIGHT
from gateway.server.stopping import stop_for_good
from gateway.server.transparency import LogParts, Transparency
from gateway.services import auditanchors
from gateway.services.anchoring import CLIENT as READS_CLIENT
from gateway.services.anchoring import Anchoring
from gateway.services.approvals import Approvals
from gateway.services.artifacts import Artifacts, Speaker
from gateway.services.attempts import Attempts, Limits
from gateway.services.auditanchors import AuditAnchors
from gateway.services.auditlog import AuditLog, AuditStore
from gateway.services.auditview import AuditView
from gateway.services.awaiting import SOON
from gateway.services.batches import BatchAttempts, Batches
from gateway.services.callers import Callers, Registry, Tokens
from gateway.services.catalogue import Catalogue
from gateway.services.commits import Commits
from gateway.services.consent import Vocabulary, vocabulary_of
from gateway.services.consenting import Consents
from gateway.services.datasets import Datasets
from gateway.services.deliveries import Members
from gateway.services.deliveries import Place as DataPlace
from gateway.services.deliverylog import DeliveryLog
from gateway.services.drafting import Drafts
from gateway.services.elsewhere import Elsewhere, SignedElsewhere
from gateway.services.heights import Heights
from gateway.services.impact import Impacts
from gateway.services.impactstatements import ImpactStatements
from gateway.services.ledgerview import LedgerView
from gateway.services.licences import LicenceReader
from gateway.services.lineage import LineageReader
from gateway.services.numbering import Numbering
from gateway.services.places import Places
from gateway.services.ports import BlockSource, Ledger, Memberships, ReadModel, Records, Submissions
from gateway.services.ports import Signer as StatementSigner
from gateway.services.projector import Projector
from gateway.services.publications import Vault
from gateway.services.publishing import Publisher
from gateway.services.quotas import Quotas
from gateway.services.reading import Reader
from gateway.services.readlog import ReadLog
from gateway.services.receipts import Receipts
from gateway.services.reconciler import Reconciler
from gateway.services.recording import Recorder
from gateway.services.recordings import Recordings
from gateway.services.reminders import Reminders, ReminderStore
from gateway.services.replicas import Alone, Replicas
from gateway.services.runs import Runs
from gateway.services.searching import Search
from gateway.services.secret import Secret
from gateway.services.selected import SelectedRecords
from gateway.services.selecting import Selections
from gateway.services.shares import Shares
from gateway.services.statusmaps import StatusMaps
from gateway.services.submitter import Submitter
from gateway.services.sweeping import Sweeper, chores
from gateway.services.transactionevidence import TransactionEvidence
from gateway.services.transactions import Transactions, TransactionView
from gateway.services.trees import Trees
from gateway.services.whereabouts import RecordPlaces
from gateway.stores.lineagegraph import LineageGraph

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a gateway is made of on the outside: the ledger and the stores."""

    ledger: Ledger
    blocks: BlockSource
    readmodel: ReadModel
    submissions: Submissions
    records: Records
    maps: StatusMaps
    memberships: Memberships
    keys: Registry
    signer: StatementSigner
    transactions: Transactions
    secret: bytes
    log: LogParts
    vault: Vault
    deliveries: DeliveryLog
    reads: ReadLog
    grantees: Members
    audit: AuditStore
    reminders: ReminderStore
    elsewhere: Elsewhere
    """The ledger again, for those of the organisation who sign for themselves."""
    peers: Peers | None = None
    """The organisation's peers, to be watched; `None` where the ledger has none."""
    replaced: Callable[[], str | None] = lambda: None
    """Why the network is another one now than the one that is read here; `None` while nothing says so."""
    members: Callable[[], Collection[str]] = tuple
    """MSP ids of the channel's members; none where the ledger has none."""
    disabled: Callable[[], Mapping[str, str]] = dict
    """Members whose definition on the channel is not understood, by MSP id, and why."""
    keyless: Callable[[], str | None] = lambda: None
    """Why the key that this gateway signs with cannot be used now, or None."""
    clients: Callable[[], Iterable[tuple[str, str]]] = tuple
    """The id and the name of every client that this gateway has, or had."""
    tokens: Tokens | None = None
    """Verifies access tokens; `None` where none are taken."""
    quotas: Quotas = field(default_factory=Quotas.of)
    audit_interval: float = 600.0
    """Seconds between two anchors of the audit log, at least."""
    anchor_every: float = 5.0
    """Seconds between two lists of reads."""
    replicas: Replicas = field(default_factory=Alone)
    """The gateways that share these stores."""
    nonces: Nonces | None = None
    """Where these remember used signatures; `None` where one gateway does, in memory."""
    adopt: Callable[[Collection[int]], None] = lambda _: None
    """Ends what those began with the stores who live no more, but for submissions; given who lives."""
    remind_before: int = SOON
    """Seconds before an approval ends at which that is a reminder, and another word is awaited."""


class Service:
    """A running gateway: its application, its health and the threads behind them."""

    def __init__(
        self, api: Flask, health: Health, projector: Projector, reconciler: Reconciler, submitter: Submitter,
        attempts: Attempts, graph: LineageGraph, publisher: Publisher, sweeper: Sweeper, anchors: AuditAnchors,
        anchoring: Anchoring, reminding: Reminders, replicas: Replicas, adopt: Callable[[Collection[int]], None],
        resources: ExitStack, probe: HealthProbe | None = None,
    ) -> None:  # fmt: skip
        self.api = api
        self.health = health
        self.projector = projector
        self._reconciler = reconciler
        self._submitter = submitter
        self._attempts = attempts
        self._graph = graph
        self._publisher = publisher
        self._sweeper = sweeper
        self._anchors = anchors
        self._anchoring = anchoring
        self._replicas = replicas
        self._adopt = adopt
        self._reminding = reminding
        self._resources = resources
        self._probe = probe

    def start(self) -> None:
        """Open the block stream, and finish what a former process left unfinished."""
        if self._probe is not None:
            self._probe.start()
        self.projector.start()
        self._graph.start()
        self._publisher.start()
        self._adopt(self._replicas.numbers())
        unfinished = self._submitter.recover()
        if unfinished:
            _LOG.info("%d submissions of a former process are being finished", unfinished)
        self._reconciler.start()
        self._sweeper.start()
        self._anchors.start()
        self._anchoring.start()
        self._reminding.start()
        self._replicas.start(self._take_over)

    def _take_over(self, living: Collection[int]) -> None:
        """Go on with what gateways began that live no more."""
        self._adopt(living)
        if count := self._submitter.recover():
            _LOG.warning("%d submissions of another gateway are being finished", count)

    def hurry(self) -> None:
        """Let requests that wait for their commits be answered 202; the operation tells the rest."""
        self._attempts.stop()

    def stop(self) -> None:
        """Stop the threads and close the stores; what is unfinished stays on disk."""
        self._anchors.stop()
        self._anchoring.stop()
        self._reminding.stop()
        self._attempts.stop()
        self._sweeper.stop()
        self._submitter.stop()
        self._reconciler.stop()
        self.projector.stop()
        self._graph.stop()
        self._publisher.stop()
        if self._probe is not None:
            self._probe.stop()
        self._resources.close()


def assemble(
    parts: Parts,
    place: Place,
    *,
    limits: Limits,
    spool: Spool,
    resources: ExitStack | None = None,
    metrics: Metrics | None = None,
) -> Service:
    """A gateway over any ledger and stores; tests build it over fakes."""
    metrics = metrics or Metrics()
    commits = Commits(parts.readmodel.height(), waiters=limits.waiters)
    leads = parts.replicas.leads
    log = Transparency(parts.log, parts.readmodel, lambda: projector.progress().caught_up, metrics, leads)

    def applied() -> None:
        log.publisher.grown()
        reminding.changed()

    projector = Projector(parts.blocks, parts.readmodel, commits, applied=applied)
    secret = Secret(parts.secret)
    drafts = Drafts(parts.records, Trees(parts.records), parts.maps, time.time)
    catalogue = Catalogue(parts.readmodel)
    numbering = Numbering(catalogue, drafts.follow)
    vocabulary = partial(vocabulary_of, catalogue, place.organisation)
    attempts = Attempts(
        parts.ledger, parts.submissions, parts.readmodel, commits,
        secret=secret, meter=metrics, streaming=lambda: projector.streaming, limits=limits,
        organisation=place.organisation, numbering=numbering,
    )  # fmt: skip
    noted = AuditLog(parts.audit, organisation=place.organisation, clock=time.time, meter=metrics)
    auditor = Auditor(noted, secret.acting)
    driver = BatchAttempts(
        attempts, parts.submissions, secret=secret, clock=time.time, limits=limits, on_failure=auditor.ended
    )
    submitter = Submitter(
        driver, parts.submissions, secret=secret, clock=time.time, meter=metrics, limits=limits,
        on_failure=auditor.ended, recorded=Recordings(parts.readmodel, secret, place.organisation).find,
    )  # fmt: skip
    graph = LineageGraph(parts.readmodel)
    bodies = Shares(limits.in_flight + THREADS_BESIDE_IN_FLIGHT, "bodies read at once")
    callers = Callers(
        parts.keys, certificates=certificates.read, tokens=parts.tokens, signatures=Signatures(parts.nonces)
    )
    pipeline = RequestPipeline(
        callers, commits, limits.height_wait, spool, bodies, parts.members, parts.quotas, catalogue.owner
    )
    recorder = Recorder(submitter, numbering, vocabulary)
    anchors = AuditAnchors(noted, recorder, catalogue, place.organisation, interval=parts.audit_interval, leads=leads)
    reader = Reader(parts.readmodel, parts.ledger)
    committed = Datasets(
        recorder, catalogue, reader, parts.records, parts.memberships, channel=place.channel, drafts=drafts
    )
    giving = Giving.of(
        committed, SelectedRecords(catalogue, parts.records, parts.memberships, place.channel), catalogue, parts.vault,
        (parts.deliveries, parts.reads), parts.grantees, parts.signer, DataPlace(place.organisation, place.channel),
    )  # fmt: skip
    anchoring = Anchoring(
        parts.reads, catalogue, recorder.record, place.organisation, every=parts.anchor_every, leads=leads
    )
    swept = chores(
        parts.deliveries, parts.records, parts.vault.blobs, parts.vault.publications, giving.publishing.is_under_way
    )
    offline = SignedElsewhere(
        parts.elsewhere, parts.submissions, submitter, secret=secret, clock=time.time, limits=limits
    )
    speaker = Speaker(place.organisation, place.channel, place.genesis_hash)
    judge = Artifacts(recorder, catalogue, parts.signer, speaker, time.time, parts.remind_before)
    reminding = make_reminders(judge, catalogue, parts.reminders, projector, metrics, place.organisation, leads)
    api = create_app(
        _nouns(
            parts, place, recorder, vocabulary, submitter, projector, committed, graph,
            {
                **log.views(), **audit.views(AuditView(noted, secret.naming(parts.clients)), anchors), **giving.views,
                **reminders.views(reminding),
                **batches.views(Batches(submitter, recorder, secret)),
            },
            offline,
        ),
        pipeline,
        metrics=metrics,
        version=version("pedigree"),
        organisation=place.organisation,
        answered=auditor.answered,
    )  # fmt: skip
    api.register_blueprint(log.blueprint(pipeline))
    api.register_blueprint(deliveries.blueprint(pipeline, giving.deliveries, giving.listings))
    metrics.gauge("pedigree_leads", "Whether this gateway signs the log, anchors and sweeps", lambda: float(leads()))
    of_the_ledger(metrics, commits, submitter, parts.disabled)
    of_the_audit(metrics, parts.audit, anchors)
    probe = None if parts.peers is None else _watch(parts.peers, commits, metrics, parts.replaced)
    health = Health(projector.progress, parts.disabled, metrics.registry, parts.keyless)
    return Service(
        api, health, projector, Reconciler(submitter), submitter, attempts, graph, log.publisher,
        Sweeper(swept, metrics, time.time, leads), anchors, anchoring, reminding, parts.replicas, parts.adopt,
        resources or ExitStack(), probe,
    )  # fmt: skip


def _watch(peers: Peers, commits: Commits, metrics: Metrics, replaced: Callable[[], str | None]) -> HealthProbe:
    of_the_peers(metrics, peers)
    return HealthProbe(peers, lambda height: commits.seen(height - 1), replaced=replaced, ended=stop_for_good)


def _nouns(
    parts: Parts,
    place: Place,
    recorder: Recorder,
    vocabulary: Callable[[], Vocabulary],
    submitter: Submitter,
    projector: Projector,
    committed: Datasets,
    graph: LineageGraph,
    of_the_logs: Mapping[str, View],
    offline: SignedElsewhere,
) -> Mapping[str, Sequence[Route]]:
    catalogue = Catalogue(parts.readmodel)
    reader = Reader(parts.readmodel, parts.ledger)
    view = LedgerView(
        projector,
        catalogue,
        place.organisation,
        place.domain,
        place.channel,
        place.chaincode,
        place.genesis_hash,
        parts.disabled,
    )
    speaker = Speaker(place.organisation, place.channel, place.genesis_hash)
    endorsements = Artifacts(recorder, catalogue, parts.signer, speaker, time.time, parts.remind_before)
    places = Places(catalogue, parts.records, RecordPlaces(catalogue, parts.records, parts.memberships))
    consents = Consents(recorder, catalogue, parts.maps, places, parts.blocks, place.channel, time.time)
    selecting = Selections(
        recorder, catalogue, parts.records, parts.memberships, datasets=committed, consents=consents, maps=parts.maps
    )
    approvals = Approvals(parts.readmodel)
    ancestry = LineageReader(parts.readmodel, graph, time.time)
    impacts = Impacts(catalogue, Heights(parts.readmodel), ancestry, consents, places)
    signed = ImpactStatements(impacts, consents, catalogue, parts.signer, speaker, time.time)
    naming = Secret(parts.secret).naming(
        lambda: (*parts.clients(), (auditanchors.CLIENT, "audit log"), (READS_CLIENT, "reads"))
    )
    deeds = TransactionView(parts.transactions, naming)
    by_hand = {
        **datasets.views(recorder, committed, vocabulary),
        **selections.views(recorder, selecting),
        **consent.views(recorder, consents, Receipts(consents, catalogue, time.time), impacts, vocabulary),
        **consent.views_of_impact(impacts, signed),
        **models.views(reader),
        **deployments.views(reader, approvals, time.time),
        **runs.views(Runs(recorder, reader, parts.signer, speaker)),
        **policies.views(reader),
        **artifacts.views(endorsements, partial(approvals.due, place.organisation), time.time),
        **lineage.views(ancestry, LicenceReader(parts.readmodel)),
        **search.views(Search(parts.readmodel)),
        **operations.views(submitter),
        **ledger_routes.views(
            view, parts.readmodel, deeds, TransactionEvidence(parts.blocks, parts.readmodel, place.channel)
        ),
        **transactions.views(deeds),
        **elsewhere.views(offline),
        **of_the_logs,
    }
    return routes_of(recorder, catalogue, reader, by_hand)

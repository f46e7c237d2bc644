# SPDX-License-Identifier: Apache-2.0
"""The composition root: builds one organisation's gateway from its settings. Importing does nothing."""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import IO

from flask import Flask

from gateway.app import Metrics, create_app
from gateway.delivery.blockfeed import FabricBlocks
from gateway.delivery.lookout import Lookout
from gateway.delivery.peers import Line, Peer, Peers
from gateway.delivery.slots import Slots
from gateway.fabric import FabricError, Gateway, Trust, connect
from gateway.fabric.following import Follower
from gateway.health import Health
from gateway.identities.errors import IdentityError
from gateway.identities.mspfolder import read_msp
from gateway.identities.renewal import CurrentIdentity, Renewal
from gateway.ledger import FabricLedger, OrganisationSigner
from gateway.preflight import another_chain
from gateway.rest import artifacts, datasets, lineage, models, operations, policies, runs
from gateway.rest import ledger as ledger_routes
from gateway.rest.auth import Keys
from gateway.rest.bodies import Spool
from gateway.rest.problems import response_for
from gateway.rest.routing import Door, Route
from gateway.services.artifacts import Artifacts, Speaker
from gateway.services.attempts import Attempts, Limits
from gateway.services.catalogue import Catalogue
from gateway.services.commits import Commits
from gateway.services.datasets import Datasets
from gateway.services.drafting import Drafts
from gateway.services.ledgerview import LedgerView
from gateway.services.lineage import LineageReader
from gateway.services.numbering import Numbering
from gateway.services.ports import BlockSource, Ledger, ReadModel, Records, Submissions
from gateway.services.ports import Signer as StatementSigner
from gateway.services.projector import Projector
from gateway.services.reconciler import Reconciler
from gateway.services.recording import Recorder
from gateway.services.secret import Secret
from gateway.services.shares import Shares
from gateway.services.submitter import Submitter
from gateway.services.trees import Trees
from gateway.settings import THREADS_BESIDE_IN_FLIGHT, NetworkFile, Settings, SettingsError, load_secret, private_folder
from gateway.stores.database import Database
from gateway.stores.keys import KeyStore
from gateway.stores.readmodel import ReadModelStore
from gateway.stores.records import RecordStore
from gateway.stores.submissions import SubmissionStore

_LOG = logging.getLogger(__name__)
_EXIT_IO_ERROR = 74
_EXIT_FOR_GOOD = 3
"""The arbiter starts no other worker after this one (gunicorn's `WORKER_BOOT_ERROR`)."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a gateway is made of on the outside: the ledger and the stores."""

    ledger: Ledger
    blocks: BlockSource
    readmodel: ReadModel
    submissions: Submissions
    records: Records
    keys: Keys
    signer: StatementSigner
    secret: bytes
    peers: Peers | None = None
    """The organisation's peers, to be watched; `None` where the ledger has none."""
    replaced: Callable[[], str | None] = lambda: None
    """Why the network is another one now than the one that is read here; `None` while nothing says so."""
    members: Callable[[], Collection[str]] = tuple
    """MSP ids of the channel's members; none where the ledger has none."""
    disabled: Callable[[], Mapping[str, str]] = dict
    """Members whose definition on the channel is not understood, by MSP id, and why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which organisation's gateway this is, on which channel."""

    organisation: str
    domain: str
    channel: str
    chaincode: str
    genesis_hash: str


class Service:
    """A running gateway: its application, its health and the threads behind them."""

    def __init__(
        self, api: Flask, health: Health, projector: Projector, reconciler: Reconciler, submitter: Submitter,
        attempts: Attempts, resources: ExitStack, lookout: Lookout | None = None,
    ) -> None:  # fmt: skip
        self.api = api
        self.health = health
        self.projector = projector
        self._reconciler = reconciler
        self._submitter = submitter
        self._attempts = attempts
        self._resources = resources
        self._lookout = lookout

    def start(self) -> None:
        """Take up the block stream, and finish what a former process left unfinished."""
        if self._lookout is not None:
            self._lookout.start()
        self.projector.start()
        unfinished = self._submitter.recover()
        if unfinished:
            _LOG.info("%d submissions of a former process are being finished", unfinished)
        self._reconciler.start()

    def hurry(self) -> None:
        """Let requests that wait for their commits be answered 202; the operation tells the rest."""
        self._attempts.stop()

    def stop(self) -> None:
        """Stop the threads and close the stores; what is unfinished stays on disk."""
        self._attempts.stop()
        self._submitter.stop()
        self._reconciler.stop()
        self.projector.stop()
        if self._lookout is not None:
            self._lookout.stop()
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
    projector = Projector(parts.blocks, parts.readmodel, commits)
    secret = Secret(parts.secret)
    drafts = Drafts(parts.records, Trees(parts.records))
    numbering = Numbering(Catalogue(parts.readmodel), drafts.follow)
    attempts = Attempts(
        parts.ledger, parts.submissions, parts.readmodel, commits,
        secret=secret, meter=metrics, errors=response_for, streaming=lambda: projector.streaming, limits=limits,
        organisation=place.organisation, numbering=numbering,
    )  # fmt: skip
    submitter = Submitter(attempts, parts.submissions, secret=secret, clock=time.time, meter=metrics, limits=limits)
    bodies = Shares(limits.in_flight + THREADS_BESIDE_IN_FLIGHT, "bodies read at once")
    door = Door(parts.keys, commits, limits.height_wait, spool, bodies, parts.members)
    api = create_app(
        _nouns(parts, place, Recorder(submitter, numbering), submitter, projector, drafts),
        door,
        metrics=metrics,
        version=version("pedigree"),
        organisation=place.organisation,
    )
    metrics.gauge("pedigree_height", "Blocks in the read model", lambda: commits.height)
    metrics.gauge("pedigree_lag_blocks", "Blocks known to exist and not applied yet", lambda: commits.lag)
    metrics.gauge("pedigree_in_flight", "Submissions that have not reached their end", lambda: submitter.in_flight)
    metrics.gauge(
        "pedigree_behind_seconds", "For how long the read model has lacked blocks", lambda: commits.behind_for
    )
    lookout = None if parts.peers is None else _watch(parts.peers, commits, metrics, parts.replaced)
    metrics.gauge(
        "pedigree_members_disabled",
        "Members whose definition on the channel this gateway does not understand",
        lambda: len(parts.disabled()),
    )
    health = Health(projector.progress, parts.disabled, metrics.registry)
    return Service(
        api, health, projector, Reconciler(submitter), submitter, attempts, resources or ExitStack(), lookout
    )


def _watch(peers: Peers, commits: Commits, metrics: Metrics, replaced: Callable[[], str | None]) -> Lookout:
    metrics.gauge("pedigree_peers_usable", "Peers of this organisation that could be used now", lambda: peers.usable)
    metrics.gauge("pedigree_peers_distrusted", "Peers that showed another chain", lambda: peers.distrusted)
    metrics.gauge("pedigree_peer_calls", "Calls at this organisation's peers now", lambda: peers.calls)
    return Lookout(peers, lambda height: commits.seen(height - 1), replaced=replaced, ended=_stop_for_good)


def _nouns(
    parts: Parts, place: Place, recorder: Recorder, submitter: Submitter, projector: Projector, drafts: Drafts
) -> Mapping[str, Sequence[Route]]:
    catalogue = Catalogue(parts.readmodel)
    view = LedgerView(
        projector, place.organisation, place.domain, place.channel, place.chaincode, place.genesis_hash, parts.disabled
    )
    speaker = Speaker(place.organisation, place.channel, place.genesis_hash)
    endorsements = Artifacts(recorder, catalogue, parts.signer, speaker, time.time)
    return {
        "datasets": datasets.routes(
            recorder, catalogue, Datasets(recorder, catalogue, parts.records, place.channel, drafts)
        ),
        "models": models.routes(recorder, catalogue),
        "runs": runs.routes(recorder, catalogue),
        "policies": policies.routes(recorder, catalogue),
        "artifacts": artifacts.routes(endorsements),
        "lineage": lineage.routes(LineageReader(parts.readmodel)),
        "operations": operations.routes(submitter),
        "ledger": ledger_routes.routes(view, parts.readmodel),
    }


def build(settings: Settings) -> Service:
    """The gateway of one organisation on its real ledger; call it after forking. Raises `SettingsError`."""
    metrics = Metrics()
    with ExitStack() as guard:
        service = assemble(
            _parts(settings, guard, metrics),
            _place(settings),
            limits=Limits(in_flight=settings.in_flight, wait=settings.commit_wait),
            spool=Spool(settings.data / "uploads", settings.upload_limit),
            resources=(resources := ExitStack()),
            metrics=metrics,
        )
        resources.push(guard.pop_all())
    return service


def _place(settings: Settings) -> Place:
    network, member = settings.network, settings.organisation
    return Place(member.msp_id, member.domain, network.channel, network.chaincode, network.genesis_hash)


def _parts(settings: Settings, guard: ExitStack, metrics: Metrics) -> Parts:
    data = private_folder(settings.data)
    guard.enter_context(sole_owner(data / "lock"))
    readmodel = ReadModelStore(_open(guard, data, "readmodel", durable=False))
    pinned = settings.network.genesis_hash
    if settings.rebuild:
        readmodel.clear()
    elif (genesis := readmodel.genesis()) not in (None, pinned):
        raise another_chain(data / "readmodel.db", str(genesis), pinned)
    identity = _identity(settings)
    trust = _pinned(settings)
    follower = Follower(settings.network.channel, trust)
    _resume(follower, readmodel)
    metrics.gauge(
        "pedigree_config_sequence",
        "Number of the channel configuration that is followed; -1 before the first block",
        lambda: -1 if follower.sequence is None else follower.sequence,
    )
    peers = Peers(_peers(settings, identity, trust), meter=metrics)
    guard.callback(peers.close)
    renewal = _renewal(identity, peers, metrics)
    guard.callback(renewal.stop)
    renewal.start()
    return Parts(
        ledger=FabricLedger(
            peers, metrics, own=settings.organisation.msp_id, organisations=lambda: follower.organisations
        ),
        blocks=FabricBlocks(peers, settings.network.chaincode, follower),
        readmodel=readmodel,
        submissions=SubmissionStore(_open(guard, data, "submissions", durable=True), pinned),
        records=RecordStore(_open(guard, data, "records", durable=True)),
        keys=open_keys(data, guard),
        signer=OrganisationSigner(identity.built(lambda held: (held.identity, held.signer))),
        secret=load_secret(data / "secret"),
        peers=peers,
        replaced=lambda: _other_pins(settings),
        members=lambda: trust.msps.ids,
        disabled=lambda: follower.disabled,
    )


def _identity(settings: Settings) -> CurrentIdentity:
    """The identity that this gateway signs with, as its MSP folder holds it now; raises `SettingsError`."""
    member = settings.organisation
    try:
        return CurrentIdentity(lambda: read_msp(member.msp_id, member.user_msp))
    except (IdentityError, OSError) as error:
        raise SettingsError(str(error)) from error


def _renewal(identity: CurrentIdentity, peers: Peers, metrics: Metrics) -> Renewal:
    """Takes up a certificate that `pedigree identity reenrol` has put into the folder; the feed goes on meanwhile."""
    identity.when_changed(lambda _held: peers.renew())
    renewal = Renewal.watching(identity)
    metrics.gauge(
        "pedigree_identity_end_timestamp_seconds",
        "When the certificate of this gateway ends",
        lambda: identity.current.certificate.not_valid_after_utc.timestamp(),
    )
    metrics.gauge(
        "pedigree_identity_overdue", "Whether nobody has renewed it in time", lambda: float(renewal.failure is not None)
    )
    return renewal


def open_keys(data: Path, guard: ExitStack) -> KeyStore:
    """The key store of a data folder; another process may have it open too."""
    return KeyStore(_open(guard, private_folder(data), "keys", durable=True))


def _open(guard: ExitStack, data: Path, name: str, *, durable: bool) -> Database:
    database = Database.open(data / f"{name}.db", name, durable=durable, on_failure=_fail_stop)
    guard.callback(database.close)
    return database


def _fail_stop(error: Exception) -> None:
    """After a failed write nobody knows what is on disk, so nothing may be promised from memory any more."""
    _LOG.critical("the disk failed, stopping: %s", error)
    os._exit(_EXIT_IO_ERROR)


def _stop_for_good(why: str) -> None:
    """End the gateway, and its arbiter with it: what could be answered is of a network that there is no more."""
    _LOG.critical("%s; stopping", why)
    os._exit(_EXIT_FOR_GOOD)


def _other_pins(settings: Settings) -> str | None:
    """What the network file says now, if it pins another chain than when this gateway was started."""
    path = settings.network_file
    try:
        now = NetworkFile.read(path).genesis_hash if path is not None else settings.network.genesis_hash
    except SettingsError:
        return None
    if now == settings.network.genesis_hash:
        return None
    return f"{path} pins another chain now, {now} instead of {settings.network.genesis_hash}"


def _pinned(settings: Settings) -> Trust:
    """What the operator pinned; members other than these are learnt from the blocks that follow on the pinned one."""
    network = settings.network
    folders = {organisation.msp_id: organisation.msp for organisation in network.organisations}
    trust = Trust.from_msp_folders(
        {**folders, network.orderer_msp_id: network.orderer_msp}, bytes.fromhex(network.genesis_hash)
    )
    for msp_id, why in trust.msps.disabled.items():
        _LOG.warning("the pinned MSP of %s is not understood, and passed over until blocks are read: %s", msp_id, why)
    return trust


def _resume(follower: Follower, readmodel: ReadModel) -> None:
    """Trust those who were members when this gateway last ran, before anything is asked of a peer."""
    try:
        follower.resume(readmodel.height(), readmodel.config())
    except (ValueError, FabricError) as error:
        raise SettingsError(f"the read model's channel configuration: {error}; start once with --rebuild") from error


def _peers(settings: Settings, identity: CurrentIdentity, trust: Trust) -> list[Peer]:
    """The organisation's peers, not connected yet, all held to the same facts."""
    network, member = settings.network, settings.organisation
    tls_root = member.tls_ca.read_bytes()
    certificate, key = member.tls_pair()

    def dial(address: str, server_name: str) -> Line:
        connection = connect(
            address, tls_root=tls_root, server_name=server_name, client_certificate=certificate, client_key=key
        )
        held = identity.current
        gateway = Gateway(connection, held.identity, held.signer, trust=trust)
        channel = gateway.network(network.channel)
        return Line(connection, gateway, channel, channel.contract(network.chaincode))

    return [
        Peer(
            peer.address,
            partial(dial, peer.address, peer.server_name),
            Slots(settings.peer_slots, settings.reserved_slots),
        )
        for peer in member.peers
    ]


def sole_owner(path: Path) -> IO[bytes]:
    """Hold the data folder's lock as long as this process lives, so that two gateways never share one."""
    file = path.open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise SettingsError(f"another gateway uses {path.parent}") from None
    return file

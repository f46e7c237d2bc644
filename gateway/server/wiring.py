# SPDX-License-Identifier: Apache-2.0
"""The composition root: builds one organisation's gateway from its settings. Importing does nothing."""

import logging
import time
from collections.abc import Collection
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from gateway.delivery.blockfeed import FabricBlocks
from gateway.delivery.peers import Peer, PeerConnection, Peers
from gateway.delivery.slots import Slots
from gateway.delivery.witnesses import HttpWitnesses
from gateway.fabric import FabricError, Gateway, Trust, connect
from gateway.fabric.following import Follower
from gateway.identities.renewal import RenewalWatch
from gateway.ledger import FabricLedger, OrganisationSigner
from gateway.rest.bodies import Spool
from gateway.server.app import Metrics
from gateway.server.folders import open_keys, open_readmodel, open_store, private_folder
from gateway.server.grantees import ChannelMembers
from gateway.server.oidc import open_tokens
from gateway.server.preflight import another_chain
from gateway.server.service import Parts, Place, Service, assemble
from gateway.server.settings import NetworkFile, Settings, SettingsError, load_secret
from gateway.server.sharing import join, sole_owner
from gateway.server.signing import SigningKey, open_key
from gateway.server.transparency import LogParts
from gateway.server.vaults import DATABASE, open_seals, open_vault
from gateway.services.attempts import Limits
from gateway.services.ports import ReadModel
from gateway.services.publications import KeysUnusable
from gateway.services.quotas import Quotas
from gateway.services.replicas import Alone, Replica
from gateway.stores.auditlog import AuditLogStore
from gateway.stores.consent import ConsentStore
from gateway.stores.deliveries import DeliveryStore
from gateway.stores.heads import HeadStore
from gateway.stores.logtree import LogTree
from gateway.stores.members import MemberStore
from gateway.stores.readmodel import ReadModelStore
from gateway.stores.reads import ReadStore
from gateway.stores.records import RecordStore
from gateway.stores.reminders import KeptReminders
from gateway.stores.sharedsubmissions import SharedSubmissionStore
from gateway.stores.sql import SqlDatabase
from gateway.stores.submissions import SubmissionStore
from gateway.stores.transactions import TransactionStore

_LOG = logging.getLogger(__name__)


def build(settings: Settings) -> Service:
    """The gateway of one organisation on its real ledger; call it after forking. Raises `SettingsError`."""
    metrics = Metrics()
    with ExitStack() as guard:
        service = assemble(
            _parts(settings, guard, metrics),
            _place(settings),
            limits=Limits(in_flight=settings.options.in_flight, wait=settings.commit_wait),
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
    replica, nonces = join(settings, guard)
    rows = open_readmodel(guard, data)
    # What this gateway is about to give out bears its number, for when it dies.
    numbered = {} if replica is None else {"pedigree.replica": str(replica.number)}
    sealed = open_store(guard, data, DATABASE, durable=True, settings=numbered)
    kept = open_store(guard, data, "records", durable=True)
    requests = open_store(guard, data, "submissions", durable=True)
    readmodel = ReadModelStore(rows)
    pinned = settings.network.genesis_hash
    if settings.options.rebuild:
        readmodel.clear()
    elif (genesis := readmodel.genesis()) not in (None, pinned):
        raise another_chain(data / "readmodel.db", str(genesis), pinned)
    trust = _pinned(settings)
    key = open_key(settings, guard, lambda renewed: trust.msps.member(renewed.serialized))
    follower = Follower(settings.network.channel, trust)
    _resume(follower, readmodel)
    metrics.gauge(
        "pedigree_config_sequence",
        "Number of the channel configuration that is followed; -1 before the first block",
        lambda: -1 if follower.sequence is None else follower.sequence,
    )
    peers = Peers(_peers(settings, key, trust), meter=metrics)
    guard.callback(peers.close)
    renewal = _renewal(key, peers, metrics)
    guard.callback(renewal.stop)
    renewal.start()
    ledger = FabricLedger(
        peers, metrics, own=settings.organisation.msp_id, organisations=lambda: follower.organisations
    )
    return Parts(
        ledger=ledger,
        elsewhere=ledger,
        blocks=FabricBlocks(peers, settings.network.chaincode, follower),
        readmodel=readmodel,
        submissions=_submissions(requests, pinned, replica),
        reminders=KeptReminders(requests, pinned),
        remind_before=settings.options.remind_before,
        records=_records(data, sealed, kept),
        maps=(maps := ConsentStore(open_store(guard, data, "consent", durable=True, settings=numbered))),
        memberships=MemberStore(open_store(guard, data, "members", durable=True)),
        keys=(keys := open_keys(data, guard)),
        tokens=open_tokens(settings.options, guard, metrics),
        transactions=TransactionStore(rows),
        clients=lambda: [(key.id, key.name) for key in keys.list()],
        signer=OrganisationSigner(key.pair),
        secret=load_secret(data / "secret"),
        log=_log(settings, guard, data, LogTree(rows)),
        vault=open_vault(data, sealed, kept, settings.options.blobs, alone=replica is None),
        deliveries=(given := DeliveryStore(sealed)),
        replicas=replica or Alone(),
        nonces=nonces,
        adopt=partial(_adopt, given, maps),
        reads=ReadStore(sealed),
        anchor_every=float(settings.options.anchor_reads),
        audit=AuditLogStore(open_store(guard, data, "audit", durable=False)),
        audit_interval=float(settings.options.audit_interval),
        quotas=Quotas.of(settings.options.rate, settings.options.address_rate),
        grantees=ChannelMembers(lambda: trust.msps, time.time),
        peers=peers,
        replaced=lambda: _other_pins(settings),
        members=lambda: trust.msps.ids,
        disabled=lambda: follower.disabled,
        keyless=lambda: key.problem,
    )


def _records(data: Path, sealed: SqlDatabase, kept: SqlDatabase) -> RecordStore:
    try:
        return RecordStore(kept, open_seals(data, sealed, kept))
    except KeysUnusable as error:
        raise SettingsError(f"the records in {data} cannot be sealed: {error.message}") from error


def _submissions(database: SqlDatabase, chain: str, replica: Replica | None) -> SubmissionStore:
    if replica is None:
        return SubmissionStore(database, chain)
    return SharedSubmissionStore(database, chain, replica.number)


def _adopt(log: DeliveryStore, maps: ConsentStore, living: Collection[int]) -> None:
    maps.recover(living)
    if count := log.recover(living):
        _LOG.warning("%d deliveries broke off when their gateway ended; what may have been sent counts as given", count)


def _log(settings: Settings, guard: ExitStack, data: Path, leaves: LogTree) -> LogParts:
    witnesses = HttpWitnesses()
    guard.callback(witnesses.close)
    heads = HeadStore(open_store(guard, data, "log", durable=True))
    policy = settings.options.log_policy or data / "log-policy"
    place = (settings.network.channel, settings.organisation.msp_id)
    return LogParts.of(leaves, heads, data / "log-keys", place, policy, witnesses)


def _renewal(key: SigningKey, peers: Peers, metrics: Metrics) -> RenewalWatch:
    """Accepts a certificate that `pedigree identity reenrol` has put in its place; the feed goes on meanwhile."""
    identity = key.identity
    metrics.gauge(
        "pedigree_signing_key_usable",
        "Whether the key that this gateway signs with could be used when it was last needed",
        lambda: float(key.problem is None),
    )
    identity.when_changed(lambda _held: peers.renew())
    renewal = RenewalWatch(identity)
    metrics.gauge(
        "pedigree_identity_end_timestamp_seconds",
        "When the certificate of this gateway ends",
        lambda: identity.current.certificate.not_valid_after_utc.timestamp(),
    )
    metrics.gauge(
        "pedigree_identity_overdue", "Whether nobody has renewed it in time", lambda: float(renewal.failure is not None)
    )
    return renewal


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


def _peers(settings: Settings, key: SigningKey, trust: Trust) -> list[Peer]:
    """The organisation's peers, not connected yet, all held to the same facts."""
    network, member = settings.network, settings.organisation
    tls_root = member.tls_ca.read_bytes()
    client_certificate, client_key = member.tls_pair()

    def dial(address: str, server_name: str) -> PeerConnection:
        connection = connect(
            address,
            tls_root=tls_root,
            server_name=server_name,
            client_certificate=client_certificate,
            client_key=client_key,
        )
        identity, sign = key.pair()
        gateway = Gateway(connection, identity, sign, trust=trust)
        channel = gateway.network(network.channel)
        return PeerConnection(connection, gateway, channel, channel.contract(network.chaincode))

    return [
        Peer(
            peer.address,
            partial(dial, peer.address, peer.server_name),
            Slots(settings.options.peer_slots, settings.reserved_slots),
        )
        for peer in member.peers
    ]

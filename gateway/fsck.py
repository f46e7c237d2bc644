# SPDX-License-Identifier: Apache-2.0
"""`pedigree fsck`: one organisation judges the whole ledger for itself, and its gateway's read model with it.

The blocks come from the organisation's own peer. Nothing is believed of them that can be computed (see
`gateway.verifier.ledger`); every other peer that answers must hold the same blocks with the same verdicts; and a read
model built afresh from them must equal the gateway's, row for row. Nothing is changed anywhere.
"""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gateway.delivery.blockfeed import ledger_block
from gateway.fabric import FabricError, Gateway, Identity, Signer, connect, decode_block
from gateway.fabric.blocks import header_hash
from gateway.fabric.network import Network
from gateway.server.settings import NetworkFile, Organisation, PeerAddress
from gateway.services.ports import PortError
from gateway.stores import comparison
from gateway.stores.database import Database
from gateway.stores.readmodel import ReadModelStore
from gateway.verifier.ledger import Finding, LedgerCheck

__all__ = ["AnotherChain", "Report", "fsck"]

_FILTER, _COMMIT_HASH = 2, 4
_HEIGHT_WITHIN = 5.0


class AnotherChain(Exception):
    """A peer or a read model has another first block than the one that the network file pins; nothing was judged."""

    def __init__(self, place: str, found: str, pinned: str, advice: str) -> None:
        super().__init__(
            f"{place}: holds another chain, whose first block is {found}, and the network file pins {pinned}; {advice}"
        )


class _Mark(NamedTuple):
    """What two peers must have in common of a block: its hash, its verdicts, and the hash over all verdicts so far."""

    hash: bytes
    codes: bytes
    commit_hash: bytes


@dataclass(slots=True)
class Report:
    """What was looked at, what is wrong, and what could not be looked at."""

    channel: str
    blocks: int = 0
    transactions: int = 0
    peers: list[str] = field(default_factory=list)
    """Peers whose copies were compared, the one that was read first."""
    read_model: int | None = None
    """Blocks of the read model that was compared; None where there is none."""
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What could not be looked at; nothing is wrong with it for that."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        """The report for programs."""
        return {
            "ok": self.ok,
            "channel": self.channel,
            "blocks": self.blocks,
            "transactions": self.transactions,
            "peers": self.peers,
            "read_model": self.read_model,
            "findings": [{"place": each.place, "problem": each.problem} for each in self.findings],
            "notes": self.notes,
        }

    def summary(self) -> str:
        """What was looked at, in one line."""
        model = "no read model" if self.read_model is None else f"a read model of {self.read_model} blocks"
        return (
            f"{self.channel}: {self.blocks} blocks, {self.transactions} transactions, {len(self.peers)} peers, {model}"
        )


def fsck(network: NetworkFile, member: Organisation, data: Path, say: Callable[[str], None]) -> Report:
    """Judge the channel for `member`, whose gateway keeps its data in `data`; `say` is given what is going on.

    Raises `AnotherChain`, `FabricError` when none of the organisation's own peers can be read, `SettingsError` for a
    bad file.
    """
    report = Report(network.channel)
    with tempfile.TemporaryDirectory(prefix="pedigree-fsck-") as scratch:
        kept = _snapshot(data / "readmodel.db", Path(scratch) / "kept.db", report, network.genesis_hash)
        rebuilt = Path(scratch) / "rebuilt.db"
        database = Database.open(rebuilt, "readmodel", durable=False)
        try:
            own = next(iter(member.peers))
            marks = _judge(network, member, own, report, ReadModelStore(database), say)
        finally:
            database.close()
        if kept is not None and report.read_model is not None and report.blocks:
            if report.read_model > report.blocks:
                problem = f"holds {report.read_model} blocks, and the peer only {report.blocks}"
                report.findings.append(Finding("read model", problem))
            try:
                for table, problem in comparison.differences(kept, rebuilt):
                    report.findings.append(Finding(f"read model, table {table}", problem))
            except sqlite3.Error as exc:
                report.notes.append(f"the read model is of another version of the gateway and was not compared: {exc}")
    for owner, peer in _others(network, member, own):
        say(f"comparing with {peer.address}")
        _compare(network, member, owner, peer, marks, report)
    return report


def _snapshot(path: Path, copy: Path, report: Report, pinned: str) -> Path | None:
    """A copy of the gateway's read model from before the blocks were read, so that it can only be behind them."""
    if not path.exists():
        report.notes.append(f"{path} does not exist: no read model was compared")
        return None
    try:
        comparison.copy_of(path, copy)
        report.read_model = comparison.height_of(copy)
        genesis = comparison.genesis_of(copy)
    except sqlite3.Error as exc:
        report.findings.append(Finding(str(path), f"cannot be read: {exc}"))
        return None
    if genesis not in (None, pinned):
        advice = "start the gateway once with --rebuild, or give another folder with --data"
        raise AnotherChain(str(path), str(genesis), pinned, advice)
    return copy


def _judge(
    network: NetworkFile,
    member: Organisation,
    peer: PeerAddress,
    report: Report,
    rebuilt: ReadModelStore,
    say: Callable[[str], None],
) -> list[_Mark]:
    height = report.read_model or 0
    check = LedgerCheck(network.channel, bytes.fromhex(network.genesis_hash))
    marks: list[_Mark] = []
    with _channel(network, member, member, peer) as channel:
        for message in _blocks(channel):
            if message.header.number == 0:
                _refuse_another_chain(peer, message, network.genesis_hash)
                say(f"reading {peer.address}")
            report.findings.extend(check.read(message))
            if check.broken:
                break
            marks.append(_mark(message))
            if message.header.number < height:
                try:
                    rebuilt.apply(ledger_block(decode_block(message), network.chaincode))
                except PortError as exc:
                    report.findings.append(Finding(f"block {message.header.number}", f"cannot be read: {exc}"))
    report.blocks, report.transactions = check.blocks, check.transactions
    for msp_id, why in sorted(check.unjudged.items()):
        report.notes.append(f"what {msp_id} signed was not judged, as its MSP is not understood: {why}")
    report.peers.append(peer.server_name)
    return marks


def _refuse_another_chain(peer: PeerAddress, first: Any, pinned: str) -> None:
    found = _mark(first).hash.hex()
    if found != pinned:
        raise AnotherChain(peer.server_name, found, pinned, "compare it with what the other organisations have")


def _others(
    network: NetworkFile, member: Organisation, read: PeerAddress
) -> Iterator[tuple[Organisation, PeerAddress]]:
    for owner in network.organisations:
        for peer in member.peers if owner.msp_id == member.msp_id else owner.peers:
            if peer != read:
                yield owner, peer


def _compare(
    network: NetworkFile,
    member: Organisation,
    owner: Organisation,
    peer: PeerAddress,
    marks: list[_Mark],
    report: Report,
) -> None:
    """Hold another peer's blocks to what was read; one that cannot be asked is noted and no finding."""
    seen = 0
    try:
        with _channel(network, member, owner, peer) as channel:
            for expected, message in zip(marks, _blocks(channel), strict=False):
                if (problem := _difference(expected, _mark(message))) is not None:
                    place = f"{peer.server_name}, block {message.header.number}"
                    report.findings.append(Finding(place, problem))
                    return
                seen += 1
    except (FabricError, OSError) as exc:
        report.notes.append(f"{peer.server_name} was not compared beyond block {seen}: {exc}")
        return
    report.peers.append(peer.server_name)
    if seen < len(marks):
        report.notes.append(f"{peer.server_name} holds {seen} of {len(marks)} blocks")


def _difference(expected: _Mark, found: _Mark) -> str | None:
    for what, mine, theirs in zip(("hash", "verdicts", "commit hash"), expected, found, strict=True):
        if mine != theirs:
            return f"has another {what} there: {theirs.hex() or 'none'} instead of {mine.hex() or 'none'}"
    return None


def _mark(message: Any) -> _Mark:
    header, slots = message.header, message.metadata.metadata
    return _Mark(
        header_hash(header.number, header.previous_hash, header.data_hash),
        slots[_FILTER] if len(slots) > _FILTER else b"",
        slots[_COMMIT_HASH] if len(slots) > _COMMIT_HASH else b"",
    )


def _blocks(channel: Network) -> Iterator[Any]:
    """Every block that the peer holds now, unverified: the judge does that and says what is wrong."""
    height = channel.height(_HEIGHT_WITHIN)
    with channel.block_events(start_block=0, stop_block=height - 1) as blocks:
        yield from blocks


@contextmanager
def _channel(network: NetworkFile, member: Organisation, owner: Organisation, peer: PeerAddress) -> Iterator[Network]:
    """The channel at a peer of `owner`, asked by a user of `member`."""
    certificate, key = member.tls_pair()
    with ExitStack() as closing:
        connection = connect(
            peer.address,
            tls_root=owner.tls_ca.read_bytes(),
            server_name=peer.server_name,
            client_certificate=certificate,
            client_key=key,
        )
        closing.callback(connection.close)
        identity = Identity.from_msp_folder(member.msp_id, member.user_msp)
        gateway = Gateway(connection, identity, Signer.from_msp_folder(member.user_msp), verify=False)
        yield gateway.network(network.channel)

# SPDX-License-Identifier: Apache-2.0
"""The blocks as every single peer delivers them, read without any gateway, and what clients were told held to them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from chaincode.domain import canonical
from containerharness.load import Load
from gateway.fabric import FabricError, Gateway, Identity, Signer, Trust, connect, decode_block
from gateway.fabric.blocks import Block
from gateway.fabric.network import Network

_REGISTER = b"model:register"


class Entry(NamedTuple):
    """A registration of a model as a block holds it."""

    model: str
    valid: bool
    transaction_id: str
    block: int


@dataclass
class Chains:
    """Every peer's copy of the chain, read on from where it was read before."""

    network: Mapping[str, Any]
    hashes: dict[str, list[tuple[str, bytes]]] = field(default_factory=dict)
    """For each peer the hash of every block and the codes of its transactions."""
    entries: list[Entry] = field(default_factory=list)
    transactions: Counter[str] = field(default_factory=Counter)
    """How often each transaction id is valid."""

    def heights(self) -> dict[str, int]:
        """How many blocks each peer holds; -1 where it does not answer."""
        return {name: _height(self.network, name) for name in self._names()}

    def settle(self, within: float = 60.0) -> int:
        """Wait until all peers hold equally many blocks, and no new one comes; answers how many."""
        give_up = time.monotonic() + within
        before: dict[str, int] = {}
        while True:
            found = self.heights()
            if found == before and len(set(found.values())) == 1 and -1 not in found.values():
                return next(iter(found.values()))
            assert time.monotonic() < give_up, f"the peers differ in height after {within:.0f} s: {found}"
            before = found
            time.sleep(0.5)

    def read_on(self) -> None:
        """Read what is new at every peer, and hold the peers to the very same blocks and codes."""
        height = self.settle()
        for position, name in enumerate(self._names()):
            known = self.hashes.setdefault(name, [])
            for block in _blocks(self.network, name, known, height):
                codes = bytes(one.validation_code for one in block.transactions)
                known.append((block.header_hash.hex(), codes))
                if position == 0:
                    self._take(block)
        first, *others = (self.hashes[name] for name in self._names())
        assert len(first) == height
        for name, other in zip(self._names()[1:], others, strict=True):
            assert other == first, f"the peer of {name} holds another chain"

    def judge(self, load: Load) -> None:
        """Acknowledged means once and valid, where and as it was said; refused means never; nothing is there twice."""
        valid = [entry for entry in self.entries if entry.valid]
        times = Counter(entry.model for entry in valid)
        lost = [one.model for one in load.told if times[one.model] == 0]
        doubled = [model for model, count in times.items() if count > 1]
        kept = [model for model in load.refused if times[model]]
        repeated = [identifier for identifier, count in self.transactions.items() if count > 1]
        assert (lost, doubled, kept, repeated) == ([], [], [], [])
        places = {entry.model: (entry.transaction_id, entry.block) for entry in valid}
        for one in load.told:
            assert places[one.model] == (one.recorded.transaction_id, one.recorded.block)
        mine = {model for model in times if model.startswith(f"{load.prefix}-")}
        assert mine == {one.model for one in load.told}, "something is on the ledger that nobody was told of"

    def _take(self, block: Block) -> None:
        for one in block.transactions:
            if one.valid and one.transaction_id:
                self.transactions[one.transaction_id] += 1
            if one.arguments[:1] == (_REGISTER,):
                model = canonical.parse(one.arguments[1])["model"]
                self.entries.append(Entry(model, one.valid, one.transaction_id, block.number))

    def _names(self) -> list[str]:
        return [one["name"] for one in self.network["organisations"]]


@contextmanager
def member(network: Mapping[str, Any], name: str, msp: Path | None = None) -> Iterator[Network]:
    """An organisation's own peer, asked by one of its users, or by whoever `msp` says."""
    found = next(one for one in network["organisations"] if one["name"] == name)
    folders = {one["mspid"]: one["msp"] for one in [*network["organisations"], network["orderer"]]}
    client = Path(found["tls_client"])
    connection = connect(
        found["peer"],
        tls_root=Path(found["tls_ca"]).read_bytes(),
        server_name=f"peer0.{found['domain']}",
        client_certificate=(client / "client.crt").read_bytes(),
        client_key=(client / "client.key").read_bytes(),
    )
    with ExitStack() as closing:
        closing.callback(connection.close)
        user = Path(found["user_msp"]) if msp is None else msp
        gateway = Gateway(
            connection,
            Identity.from_msp_folder(found["mspid"], user),
            Signer.from_msp_folder(user),
            trust=Trust.from_msp_folders(folders, bytes.fromhex(network["genesis_hash"])),
        )
        yield gateway.network(network["channel"])


def _height(network: Mapping[str, Any], name: str) -> int:
    with member(network, name) as chain:
        try:
            return chain.height(3.0)
        except FabricError:
            return -1


def _blocks(network: Mapping[str, Any], name: str, known: list[tuple[str, bytes]], height: int) -> Iterator[Block]:
    if len(known) >= height:
        return
    last = bytes.fromhex(known[-1][0]) if known else None
    with (
        member(network, name) as chain,
        chain.block_events(start_block=len(known), stop_block=height - 1, previous_hash=last) as blocks,
    ):
        for block in blocks:
            yield decode_block(block)

# SPDX-License-Identifier: Apache-2.0
"""The consortium under attack, seen from both sides: its programs, and what a hostile party can reach of them."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.msp import msp_config_pb2
from fabricharness import messages
from fabricharness.members import Member
from fabricharness.networks import Org, wait_until
from fabricharness.wire import Orderer

from gateway.demo.consortium import Consortium, ready
from gateway.demo.founding import found
from gateway.demo.processes import Program, command
from network.config import envelopes
from network.config.changes import msp_of, set_batch
from network.config.groups import add_value
from network.config.submit import in_block
from network.config.update import compute_update
from network.embedded.identity import Signer
from network.topology import Batch
from pedigree import Pedigree

LIAR = Path(__file__).with_name("liar.py")
CHANNEL = "pedigree"
_numbers = itertools.count(1)

ChangeMsp = Callable[[Any], None]


class World:
    """Hospital, lab and regulator; the lab is the one whose gateway works, the regulator the one who lies."""

    def __init__(self, directory: Path, ledger: str) -> None:
        self.ledger = ledger
        self.directory = directory
        self.consortium = Consortium(directory, ledger, any_port=True)
        self.orgs: dict[str, Org] = {}
        self.clients: dict[str, Pedigree] = {}
        self._open = ExitStack()

    def start(self) -> None:
        self.consortium.start()
        found(self.consortium)
        described = self.consortium.network()
        self.orgs = {entry["name"]: Org(entry, {}) for entry in described["organisations"]}
        orderer = described["orderer"]
        self.orderer = Orderer(orderer["addresses"][0], Path(orderer["tls_ca"]), f"orderer1.{orderer['domain']}")
        self.clients = {name: self._open.enter_context(self.consortium.client(name)) for name in self.orgs}

    def stop(self) -> None:
        self._open.close()
        for org in self.orgs.values():
            org.close()
        if self.orgs:
            self.orderer.close()
        self.consortium.stop()

    def impatient(self, name: str) -> Pedigree:
        """A client that soon takes a refusal for an answer, though it could be repeated."""
        return Pedigree(self.consortium.url(name), self.consortium.key(name), timeout=4)

    # -- what honest organisations ask --------------------------------------------------------------------------

    def expect_honest_work(self) -> None:
        """Gateways are ready, an honest write goes through, and all read it in the same words."""
        self.expect_ready()
        name = f"honest-{next(_numbers)}"
        recorded = self.clients["lab"].register_model(name, title="Honest work")
        answers = []
        for client in self.clients.values():
            client.at_least(recorded.height)
            shown = client.model(name)
            answers.append((shown["record"], shown["transaction"]["id"]))
        assert answers == [(recorded.record, recorded.transaction_id)] * len(answers)

    def expect_others_work(self, odd: str) -> None:
        """Everybody but `odd` is ready and records with one another."""
        others = [name for name in self.orgs if name != odd]
        self.expect_ready(others)
        name = f"without-{odd}-{next(_numbers)}"
        recorded = self.clients[others[-1]].register_model(name, title="Without the odd one")
        for other in others:
            self.clients[other].at_least(recorded.height)
            assert self.clients[other].model(name)["record"] == recorded.record

    def expect_sound(self) -> None:
        """Each organisation's judge of the ledger, and the network's own where there is one, find it sound."""

        def check(name: str) -> str:
            return self.consortium._output([command("pedigree"), "fsck", *self.consortium._gateway_of(name)])

        with ThreadPoolExecutor() as pool:
            reports = [self.consortium.fsck(), *pool.map(check, self.orgs)]
        assert not any("not sound" in report for report in reports), reports

    def expect_ready(self, names: Iterable[str] = (), within: float = 30.0) -> None:
        """Every gateway, or those of `names`, follows the ledger."""
        deadline = time.monotonic() + within
        for name in names or self.orgs:
            while not ready(self.consortium.ports[name].health):
                assert time.monotonic() < deadline, f"{name}'s gateway is not ready:\n{self.log(f'gateway-{name}')}"
                time.sleep(0.1)

    def health(self, name: str) -> dict[str, Any]:
        """What a gateway's health port says of its readiness."""
        answer: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self.consortium.ports[name].health}/readyz").json()
        return answer

    def log(self, program: str, lines: int = 15) -> str:
        return self.program(program).tail(lines)

    def program(self, name: str) -> Program:
        return next(one for one in self.consortium.programs if one.name == name)

    def restart_gateway(self, name: str) -> None:
        """What holds only until the next start does not hold."""
        program = self.program(f"gateway-{name}")
        program.stop()
        program.start()
        program.wait_until(lambda: ready(self.consortium.ports[name].health), within=60)

    def height(self) -> int:
        height: int = self.clients["lab"].ledger()["height"]
        return height

    def wait_for_blocks(self, height: int) -> None:
        """Until every gateway has read `height` blocks, which is more than having heard of them."""
        for client in self.clients.values():
            client.at_least(height)
            client.ledger()

    # -- what a member with keys can do -------------------------------------------------------------------------

    def order(self, *sent: Any) -> list[int]:
        """Hand envelopes to an orderer, past every gateway; answers the statuses."""
        return [answer.status for answer in self.orderer.broadcast(*sent)]

    def order_payload(self, payload: bytes, member: Member) -> int:
        """Sign an envelope payload as `member` and have it ordered."""
        (status,) = self.order(messages.envelope(payload, member))
        return status

    def order_unreadable(self, *sent: Any) -> None:
        """Have ordered what no valid transaction may follow in a block of Fabric: there, wait until blocks hold it."""
        start = self.height()
        assert self.order(*sent) == [common_pb2.SUCCESS] * len(sent)
        if self.ledger == "fabric":
            self._wait_for_envelopes({each.SerializeToString() for each in sent}, start)

    def _wait_for_envelopes(self, missing: set[bytes], start: int) -> None:
        with self.orderer.seeking() as blocks:
            blocks.ask(messages.seek(CHANNEL, self.orgs["lab"].user, start, messages.FOREVER))
            while missing:
                missing = missing.difference(blocks.next().block.data.data)

    @contextmanager
    def guarded_blocks(self) -> Iterator[None]:
        """Blocks in which a valid transaction may follow an unreadable one: on Fabric, those that hold one only."""
        if self.ledger == "fabric":
            self._set_batch(Batch(max_messages=1))
        yield
        if self.ledger == "fabric":
            self._set_batch(Batch())

    def _set_batch(self, batch: Batch) -> None:
        folder = self.directory / "organizations" / "ordererOrganizations" / "orderer.example"
        administrator = Signer.from_folder(folder / "users" / "Admin@orderer.example" / "msp", "OrdererMSP")
        refusal = self._send_update(partial(set_batch, batch=batch), [administrator])
        assert refusal is None, refusal

    def settle(self) -> int:
        """Wait until what was ordered before is in a block that all gateways have read; answers the height."""
        recorded = self.clients["lab"].register_model(f"settled-{next(_numbers)}", title="Settled")
        self.wait_for_blocks(recorded.height)
        return recorded.height

    def change_own_msp(self, name: str, change: ChangeMsp) -> str | None:
        """Update a member's own MSP with its administrator's signature alone; the refusal, or None."""
        msp_id = self.orgs[name].mspid

        def changed(members: Any) -> None:
            msp = msp_of(members[msp_id])
            change(msp)
            add_value(members[msp_id], "MSP", msp_config_pb2.MSPConfig(type=0, config=msp.SerializeToString()))

        return self._update(changed, [name])

    def _update(self, change: Callable[[Any], None], signers: Sequence[str]) -> str | None:
        """Change the groups of the channel's members, signed by these administrators; the refusal, or None."""

        def changed(config: Any) -> Any:
            after = configtx_pb2.Config.FromString(config.SerializeToString())
            change(after.channel_group.groups["Application"].groups)
            return after

        administrators = [Signer.from_folder(self.orgs[each].admin_msp, self.orgs[each].mspid) for each in signers]
        return self._send_update(changed, administrators)

    def _send_update(self, changed: Callable[[Any], Any], administrators: Sequence[Signer]) -> str | None:
        before = self._config()
        envelope = envelopes.unsigned(compute_update(CHANNEL, before, changed(before)))
        for each in administrators:
            envelope = envelopes.approve(envelope, each)
        (answer,) = self.orderer.broadcast(envelopes.sealed(envelope, administrators[0]))
        if answer.status != common_pb2.SUCCESS:
            return f"{answer.status} {answer.info}"
        wait_until(lambda: self._config().sequence > before.sequence)
        return None

    def _config(self) -> Any:
        org = self.orgs["hospital"]
        proposal = org.propose("cscc", "GetConfigBlock", CHANNEL, channel=CHANNEL)
        payload = org.peer.process_proposal(proposal).response.payload
        return in_block(common_pb2.Block.FromString(payload)).config

    @contextmanager
    def own_msp_restored(self, name: str) -> Iterator[None]:
        """Put a member's MSP back when a test has done with it.

        A member that locked itself out cannot do that: the others take it out of the channel and in again.
        """
        msp_id = self.orgs[name].mspid
        kept = self._config().channel_group.groups["Application"].groups[msp_id].SerializeToString()
        try:
            yield
        finally:
            others = [other for other in self.orgs if other != name]
            for change in (lambda members: members.pop(msp_id), lambda members: members[msp_id].ParseFromString(kept)):
                refusal = self._update(change, others)
                assert refusal is None, refusal

    # -- what an endorser with its own chaincode can do ----------------------------------------------------------

    @contextmanager
    def lying(self, name: str, **lie: Any) -> Iterator[Liar]:
        """An organisation's chaincode process exchanged for one that lies as it is told; the honest one comes back."""
        honest = self.program(f"chaincode-{name}")
        script = self.directory / f"lie-{name}.json"
        script.write_text(json.dumps(lie), encoding="utf-8")
        liar = replace(
            honest,
            name=f"liar-{name}",
            argv=[command("python"), str(LIAR)],
            log=self.directory / "logs" / f"liar-{name}.log",
            env={**honest.env, "LIE": str(script)},
            process=None,
            _sink=None,
        )
        honest.stop()
        liar.start()
        self._wait_for_chaincode(name, liar)
        try:
            yield Liar(script)
        finally:
            liar.stop()
            honest.start()
            self._wait_for_chaincode(name, honest)

    def _wait_for_chaincode(self, name: str, program: Program) -> None:
        """Until an organisation's peer has noticed that its chaincode is another process, and calls that one."""
        org = self.orgs[name]

        def answers() -> bool:
            proposal = org.propose("pedigree", "nothing-of-that-name", channel=CHANNEL)
            status: int = org.peer.process_proposal(proposal).response.status
            return status < 500

        program.wait_until(answers, within=60)


class Liar:
    """A chaincode process that takes its next lie from a file."""

    def __init__(self, script: Path) -> None:
        self._script = script

    def tell(self, **lie: Any) -> None:
        fresh = self._script.with_suffix(".new")
        fresh.write_text(json.dumps(lie), encoding="utf-8")
        fresh.rename(self._script)

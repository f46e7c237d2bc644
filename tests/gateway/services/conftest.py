# SPDX-License-Identifier: Apache-2.0
"""A ledger in memory that can be told to fail at any step, and a gateway's core over it and real stores."""

import hashlib
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chaincode.domain import batch, canonical
from gateway.services.attempts import Attempts, Limits
from gateway.services.batches import Asked, BatchAttempts, Batches
from gateway.services.commits import Commits
from gateway.services.monotonic import SYSTEM, Monotonic
from gateway.services.ports import (
    REQUESTS_APART,
    AlreadyProposed,
    Evaluated,
    Failed,
    Json,
    LedgerBlock,
    LedgerTransaction,
    LedgerWrite,
    Outcome,
    OutcomeUnknown,
    Prepared,
    Submission,
)
from gateway.services.projector import Projector
from gateway.services.reconciler import Reconciler
from gateway.services.recording import Recorder
from gateway.services.recordings import Recordings
from gateway.services.secret import Secret
from gateway.services.submitter import Answer, Intent, Submitter
from gateway.stores.database import Database
from gateway.stores.readmodel import ReadModelStore
from gateway.stores.submissions import SubmissionStore

AT = "2026-01-01T00:00:00Z"
BAD_PROPOSAL_TXID = 8
MVCC_CONFLICT = 11


class Killed(BaseException):
    """The process died here: nothing after this point ran."""


class FakeLedger:
    """One ledger with one orderer; implements `Ledger` and `BlockSource`.

    Scripts are consumed one entry per call: `None` lets the call pass, an exception is raised before it has any
    effect, and an exception in `after_submit` after the envelope was accepted.
    """

    def __init__(self) -> None:
        self.chain: list[LedgerBlock] = []
        self.index: dict[str, Outcome] = {}
        self.accepted: deque[bytes] = deque()
        self.before_prepare: deque[BaseException | None] = deque()
        self.before_submit: deque[BaseException | None] = deque()
        self.after_submit: deque[BaseException | None] = deque()
        self.codes: deque[int] = deque()
        self.creator = b"creator"
        self.burning = False
        """Whether somebody orders garbage under each transaction's id, before it and in a block of its own."""
        self.beside = False
        """Whether that happens in the same block."""
        self.request: str | None = None
        """Which request every transaction is to have recorded, instead of the one that it is of."""
        self.tokens: dict[str, str] = {}
        self.next_id = ""
        self.names: set[str] = set()
        """Models that a batch registered."""
        self.hot: set[str] = set()
        """Models of which others change something all the time: what registers one conflicts."""
        self.calls: Counter[str] = Counter()
        self.cutting = True
        self.streaming = True
        self.gate: threading.Event | None = None
        """What endorsements wait for."""
        self.handed = 0
        """Blocks that the reader of the stream has done with."""
        self.interrupted = False
        self.sent: list[bytes] = []
        self.told_previous: list[str | None] = []
        self.told_config: list[bytes | None] = []
        self._changed = threading.Condition()

    def prepare(
        self, function: str, command: str, *, nonce: bytes, token: str, client: str, organisations: tuple[str, ...]
    ) -> Prepared:
        self.calls["prepare"] += 1
        self._fail(self.before_prepare)
        if self.gate is not None:
            assert self.gate.wait(30), "nobody opened the gate"
        transaction_id = self.next_id = hashlib.sha256(nonce + self.creator).hexdigest()
        if transaction_id in self.index:
            raise AlreadyProposed(transaction_id)
        if token in self.tokens:
            raise AlreadyProposed(self.tokens[token], recorded=True)
        reply = self._of_batch(command) if function == batch.FUNCTION else reply_to(function, command)
        made = {"id": transaction_id, "function": function, "command": command, "token": token, "reply": reply}
        return Prepared(transaction_id, json.dumps(made).encode(), reply)

    def _of_batch(self, command: str) -> Json:
        """What the chaincode answers to a batch: every command is recorded but the second with a token or a name."""
        tokens, names = dict(self.tokens), set(self.names)
        outcomes: list[Json] = []
        for each in json.loads(command)["commands"]:
            token, name = each["token"], each["command"]["model"]
            said: Json = {"record": each["command"], "event": {"name": "ModelRegistered"}}
            if token in tokens:
                facts = {"transaction": tokens[token] or self.next_id}
                said = {"refusal": {"code": "already-recorded", "message": "It was recorded before.", "facts": facts}}
            elif name in names:
                facts = {"reference": f"model:{name}"}
                said = {"refusal": {"code": "already-exists", "message": "It exists.", "facts": facts}}
            else:
                tokens[token] = ""
                names.add(name)
            outcomes.append({"token": token, **said})
        return {"outcomes": outcomes}

    def submit(self, envelope: bytes) -> None:
        self.calls["submit"] += 1
        self._fail(self.before_submit)
        self.sent.append(envelope)
        if self.burning or self.beside:
            self.accepted.append(json.dumps({"id": json.loads(envelope)["id"], "garbage": True}).encode())
        if self.burning:
            self.cut()
        self.accepted.append(envelope)
        if self.cutting:
            self.cut()
        self._fail(self.after_submit)

    def mark(self, envelope: bytes) -> str:
        return hashlib.sha256(envelope).hexdigest()

    def outcome(self, transaction_id: str, timeout: float) -> Outcome | None:
        self.calls["outcome"] += 1
        return self.index.get(transaction_id)

    def evaluate(self, function: str, command: str) -> Evaluated:
        raise NotImplementedError

    def cut(self) -> LedgerBlock:
        """Put everything that was accepted into the next block."""
        with self._changed:
            number = len(self.chain)
            transactions = []
            while self.accepted:
                transactions.append(self._transaction(self.accepted.popleft(), len(transactions), number))
            previous = self.chain[-1].hash if self.chain else ""
            block_hash = hashlib.sha256(f"{number}{previous}".encode()).hexdigest()
            block = LedgerBlock(number, block_hash, previous, tuple(transactions))
            self.chain.append(block)
            self._changed.notify_all()
            return block

    def _transaction(self, data: bytes, index: int, number: int) -> LedgerTransaction:
        envelope = json.loads(data)
        transaction_id = envelope["id"]
        if "garbage" in envelope:
            # As Fabric's index has it: an id is taken by whatever is ordered under it first, in an earlier block.
            self.index.setdefault(transaction_id, Outcome(transaction_id, BAD_PROPOSAL_TXID, number))
            return LedgerTransaction(transaction_id, index, BAD_PROPOSAL_TXID, "EvilMSP", "", None, (), self.mark(data))
        reply = envelope["reply"]
        recorded = [each for each in reply.get("outcomes", ()) if "record" in each]
        known = self.index.get(transaction_id)
        if known is not None and (known.valid or known.block < number):
            code = 9
        else:
            code = self.codes.popleft() if self.codes else 0
            code = MVCC_CONFLICT if any(each["record"].get("model") in self.hot for each in recorded) else code
            self.index[transaction_id] = Outcome(transaction_id, code, number)
        if code:
            return LedgerTransaction(transaction_id, index, code, "LabMSP", AT, None, (), self.mark(data))
        self.tokens[envelope["token"]] = transaction_id
        command = hashlib.sha256(envelope["command"].encode()).hexdigest()
        request = self.request or f"LabMSP:{envelope['token']}:{command}"
        writes = [LedgerWrite(f"thing/{transaction_id}", reply["record"])] if "record" in reply else []
        for each in recorded:
            token, record = each["token"], each["record"]
            self.tokens[token] = transaction_id
            self.names.add(record["model"])
            writes.append(LedgerWrite(f"thing/{transaction_id}/{token}", record))
            digest = hashlib.sha256(canonical.encode(record)).hexdigest()
            request += f"{REQUESTS_APART}LabMSP:{token}:{digest}"
        mark = self.mark(data)
        return LedgerTransaction(transaction_id, index, code, "LabMSP", AT, reply, tuple(writes), mark, request)

    def tip(self) -> int | None:
        return len(self.chain)

    def blocks(
        self, start: int, stop: Callable[[], bool], *, previous_hash: str | None, config: bytes | None = None
    ) -> Iterator[LedgerBlock]:
        position = start
        self.told_previous.append(previous_hash)
        self.told_config.append(config)
        while not stop() and self.streaming:
            with self._changed:
                if position >= len(self.chain):
                    self._changed.wait(0.02)
                    continue
                block = self.chain[position]
            yield block
            position += 1
            with self._changed:
                self.handed = max(self.handed, position)
                self._changed.notify_all()

    def wait_until_read(self) -> None:
        """Return once every block has reached the read model, and whoever waited for it knows."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.handed >= len(self.chain), 30), "nobody reads the stream"

    def interrupt(self) -> None:
        self.interrupted = True

    def valid(self) -> list[str]:
        """Ids of every valid transaction, in ledger order."""
        return [t.transaction_id for block in self.chain for t in block.transactions if t.code == 0]

    @staticmethod
    def _fail(script: deque[BaseException | None]) -> None:
        error = script.popleft() if script else None
        if error is not None:
            raise error


def reply_to(function: str, command: str) -> Json:
    return {"record": {"kind": "thing", "schema": 1, **json.loads(command)}, "event": {"name": function}}


class CountingMeter:
    """Remembers what was counted."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def observe(self, stage: str, seconds: float) -> None:
        pass

    def count(self, what: str) -> None:
        self.counts[what] += 1


class VirtualTime:
    """Monotonic time that passes only while somebody waits, and then at once: nothing sleeps, nothing is late."""

    def __init__(self, ledger: FakeLedger) -> None:
        self._ledger = ledger
        self._now = 1_000.0
        self._due: list[tuple[float, Callable[[], None]]] = []

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Have something happen at a later time."""
        self._due.append((self._now + seconds, action))
        self._due.sort(key=lambda each: each[0])

    def now(self) -> float:
        return self._now

    def result(self, future: "Future[Any]", within: float) -> Any:
        end = self._now + within
        while True:
            self._ledger.wait_until_read()
            if future.done():
                return future.result()
            if not self._pass_to_next(end):
                raise FutureTimeout

    def pause(self, stopping: threading.Event, within: float) -> None:
        end = self._now + within
        while not stopping.is_set() and self._pass_to_next(end):
            pass

    def _pass_to_next(self, end: float) -> bool:
        """Let time pass until what is due next has happened, or until the end; whether something happened."""
        if not self._due or self._due[0][0] > end:
            self._now = max(self._now, end)
            return False
        at, action = self._due.pop(0)
        self._now = max(self._now, at)
        action()
        return True


@dataclass
class Core:
    """Submitter, projector and reconciler of one gateway process over the fake ledger."""

    ledger: FakeLedger
    readmodel: ReadModelStore
    submissions: SubmissionStore
    commits: Commits
    projector: Projector
    submitter: Submitter
    attempts: Attempts
    reconciler: Reconciler
    databases: ExitStack
    meter: CountingMeter
    running: bool = field(default=False)
    time: VirtualTime | None = None
    open: list[Submission] = field(default_factory=list)
    batches: Batches | None = None
    failures: list[tuple[str, Failed]] = field(default_factory=list)
    """Commands of batches that failed."""

    def start(self) -> "Core":
        self.projector.start()
        self.submitter.recover()
        self.reconciler.start()
        self.running = True
        return self

    def read_blocks(self) -> "Core":
        """Start without the reconciler, whose work `settle` does then."""
        self.projector.start()
        self.running = True
        return self

    def settle(self) -> None:
        """One round of work on every submission that no request waits for."""
        while (orphan := self.submitter.take_orphan(0)) is not None:
            self.open.append(orphan)
        self.open = [left for each in self.open if (left := self.submitter.settle(each)) is not None]

    def stop(self) -> None:
        self.attempts.stop()
        if self.running:
            self.reconciler.stop()
            self.projector.stop()
        self.databases.close()

    def post_batch(
        self, key: str, *names: str, keys: dict[int, str] | None = None, respond_async: bool = False
    ) -> Answer:
        """Register models by a batch; commands at the places in `keys` have keys of their own."""
        assert self.batches is not None
        own = keys or {}
        asked = [Asked("model:register", {"model": name, "title": name}, own.get(at)) for at, name in enumerate(names)]
        digest = hashlib.sha256(repr(asked).encode()).hexdigest()
        return self.batches.record(Intent("client", key, digest, respond_async=respond_async), asked)

    def post(self, key: str, value: str = "a", *, client: str = "client", respond_async: bool = False) -> Answer:
        """Submit a command as a client would."""
        intent = Intent(client, key, hashlib.sha256(value.encode()).hexdigest(), respond_async=respond_async)
        return self.submitter.submit(intent, "thing:record", lambda: json.dumps({"value": value}))


@pytest.fixture
def ledger() -> FakeLedger:
    fake = FakeLedger()
    fake.cut()
    return fake


@pytest.fixture
def make_core(tmp_path: Path, ledger: FakeLedger) -> Iterator[Callable[..., Core]]:
    """Builds a gateway process on the same disk each time; a second call is a restart."""
    cores: list[Core] = []

    def make(
        *, limits: Limits | None = None, fresh_disk: bool = False, virtual: bool = False,
        shared: SubmissionStore | None = None, clock: Callable[[], float] = time.time,
    ) -> Core:  # fmt: skip
        folder = tmp_path / f"disk-{len(cores)}" if fresh_disk else tmp_path / "disk"
        limits = limits or Limits(wait=5.0, fallback_after=0.1, in_flight=64)
        databases = ExitStack()
        opened = {}
        for name, durable in (("readmodel", False), ("submissions", True)):
            opened[name] = Database.open(folder / f"{name}.db", name, durable=durable)
            databases.callback(opened[name].close)
        readmodel, submissions = ReadModelStore(opened["readmodel"]), shared or SubmissionStore(opened["submissions"])
        virtual_time = VirtualTime(ledger) if virtual else None
        monotonic: Monotonic = virtual_time or SYSTEM
        commits = Commits(readmodel.height(), monotonic=monotonic)
        projector = Projector(ledger, readmodel, commits)
        secret = Secret(b"s" * 32)
        meter = CountingMeter()
        attempts = Attempts(
            ledger, submissions, readmodel, commits, secret=secret, meter=meter, streaming=lambda: projector.streaming,
            limits=limits, organisation="LabMSP", monotonic=monotonic,
        )  # fmt: skip
        failures: list[tuple[str, Failed]] = []
        driver = BatchAttempts(
            attempts, submissions, secret=secret, clock=clock, limits=limits,
            on_failure=lambda submission, ending: failures.append((submission.function, ending)),
        )  # fmt: skip
        submitter = Submitter(
            driver,
            submissions,
            secret=secret,
            clock=clock,
            meter=meter,
            limits=limits,
            monotonic=monotonic,
            recorded=Recordings(readmodel, secret, "LabMSP").find,
        )
        core = Core(
            ledger,
            readmodel,
            submissions,
            commits,
            projector,
            submitter,
            attempts,
            Reconciler(submitter),
            databases,
            meter,
            time=virtual_time,
            batches=Batches(submitter, Recorder(submitter), secret),
            failures=failures,
        )
        cores.append(core)
        return core

    yield make
    for core in cores:
        core.stop()


@pytest.fixture
def core(make_core: Callable[..., Core]) -> Core:
    return make_core().start()


@pytest.fixture
def unknown() -> OutcomeUnknown:
    return OutcomeUnknown("no answer")


@pytest.fixture
def killed() -> type[Killed]:
    return Killed

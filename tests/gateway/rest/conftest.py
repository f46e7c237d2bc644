# SPDX-License-Identifier: Apache-2.0
"""A whole gateway over a ledger in memory: real stores, real Flask application, no network."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import recordkeys
from flask.testing import FlaskClient
from keptrecords import record_store
from werkzeug.exceptions import HTTPException

from chaincode.domain import batch, codec, register
from chaincode.domain.errors import BadSignature, InvalidField
from chaincode.domain.register import FUNCTION_OF
from gateway.fabric.msp import Msps
from gateway.rest.bodies import Spool
from gateway.sealing.datakeys import KeyEncryptionKeys
from gateway.server.grantees import ChannelMembers
from gateway.server.service import Parts, Place, Service, assemble
from gateway.server.transparency import LogParts
from gateway.services.attempts import Limits
from gateway.services.callers import Tokens
from gateway.services.ports import (
    AlreadyProposed,
    BlockBytes,
    Deed,
    Evaluated,
    Json,
    LedgerBlock,
    LedgerTransaction,
    LedgerWrite,
    OrderedTransaction,
    Outcome,
    Prepared,
    Refused,
    Signature,
    ToSign,
    Unavailable,
)
from gateway.services.publications import Vault
from gateway.services.quotas import Quotas
from gateway.stores.auditlog import AuditLogStore
from gateway.stores.blobfiles import BlobFiles
from gateway.stores.consent import ConsentStore
from gateway.stores.database import Database
from gateway.stores.deliveries import DeliveryStore
from gateway.stores.heads import HeadStore
from gateway.stores.keys import KeyStore
from gateway.stores.logtree import LogTree
from gateway.stores.members import MemberStore
from gateway.stores.readmodel import ReadModelStore
from gateway.stores.reads import ReadStore
from gateway.stores.reminders import KeptReminders
from gateway.stores.sealed import SealedStore
from gateway.stores.submissions import SubmissionStore
from gateway.stores.transactions import TransactionStore

NO_DEED = Deed()


def _signed(content: bytes, signature: bytes) -> bytes:
    if signature != b"good":
        raise BadSignature("another key signed it")
    return content


class MemoryLedger:
    """Orders each transaction into a block of its own; writes what `write` makes of a command."""

    def __init__(self) -> None:
        self.chain: list[LedgerBlock] = [LedgerBlock(0, "00", "", ())]
        self.index: dict[str, Outcome] = {}
        self.commands: dict[str, str] = {}
        self.prepared = 0
        self.refusal: Exception | None = None
        self.unsent: Exception | None = None
        self.writes: Callable[[str, Json], list[LedgerWrite]] = written
        self._changed = threading.Condition()

    def prepare(
        self, function: str, command: str, *, nonce: bytes, token: str, client: str, organisations: tuple[str, ...]
    ) -> Prepared:
        self.prepared += 1
        if self.refusal is not None:
            raise self.refusal
        transaction_id = hashlib.sha256(nonce).hexdigest()
        if transaction_id in self.index:
            raise AlreadyProposed(transaction_id)
        self.commands[transaction_id] = command
        reply: Json
        if function == batch.FUNCTION:
            entries = json.loads(command)["commands"]
            writes = [
                self.writes(FUNCTION_OF[codec.KINDS[each["command"]["kind"]]], each["command"])[0] for each in entries
            ]
            event = {"name": "ModelRegistered", "schema": 1}
            pairs = zip(entries, writes, strict=True)
            outcomes = [{"token": each["token"], "record": write.value, "event": event} for each, write in pairs]
            reply = {"outcomes": outcomes}
        else:
            writes = self.writes(function, json.loads(command))
            reply = {"record": writes[0].value, "event": {"name": function, "schema": 1}}
        envelope = json.dumps(
            {
                "id": transaction_id, "reply": reply, "writes": [[write.key, write.value] for write in writes],
                "deed": [client, function],
            }
        )  # fmt: skip
        return Prepared(transaction_id, envelope.encode(), reply)

    def certificate(self, text: bytes) -> bytes:
        return text

    def propose(self, function: str, arguments: tuple[str, ...], *, certificate: bytes, nonce: bytes) -> ToSign:
        if certificate != b"PEM":
            raise InvalidField("/certificate", "it is no certificate of LabMSP")
        transaction_id = hashlib.sha256(nonce + certificate).hexdigest()
        content = json.dumps([transaction_id, function, *arguments]).encode()
        return ToSign(transaction_id, content, hashlib.sha256(content).digest())

    def endorse(self, proposal: bytes, signature: bytes, *, certificate: bytes) -> ToSign:
        transaction_id, function, command, _token, client = json.loads(_signed(proposal, signature))
        writes = self.writes(function, json.loads(command))
        reply: Json = {"record": writes[0].value, "event": {"name": function, "schema": 1}}
        envelope = json.dumps(
            {
                "id": transaction_id, "reply": reply, "writes": [[write.key, write.value] for write in writes],
                "deed": [client, function],
            }
        ).encode()  # fmt: skip
        return ToSign(transaction_id, envelope, hashlib.sha256(envelope).digest(), reply)

    def seal(self, transaction: bytes, signature: bytes, *, certificate: bytes) -> bytes:
        return _signed(transaction, signature)

    def submit(self, envelope: bytes) -> None:
        if self.unsent is not None:
            raise self.unsent
        value = json.loads(envelope)
        client, function = value["deed"]
        deed = Deed("VALID", "CN=lab", "ce" * 32, client, "pedigree", function, function, ("HospitalMSP", "LabMSP"))
        self.append(value["id"], value["reply"], [LedgerWrite(*write) for write in value["writes"]], deed)

    def append(self, transaction_id: str, reply: Json, writes: list[LedgerWrite], deed: Deed = NO_DEED) -> None:
        with self._changed:
            number = len(self.chain)
            self.index[transaction_id] = Outcome(transaction_id, 0, number)
            transaction = LedgerTransaction(
                transaction_id, 0, 0, "LabMSP", "2026-01-01T00:00:00Z", reply, tuple(writes),
                leaf=hashlib.sha256(transaction_id.encode()).digest() * 2, deed=deed,
            )  # fmt: skip
            self.chain.append(LedgerBlock(number, f"{number:02}", self.chain[-1].hash, (transaction,)))
            self._changed.notify_all()

    def mark(self, envelope: bytes) -> str:
        return ""

    def outcome(self, transaction_id: str, timeout: float) -> Outcome | None:
        return self.index.get(transaction_id)

    def evaluate(self, function: str, command: str) -> Evaluated:
        """What `record:get` answers: of the writes that agree with the kind and the key, the last one."""
        if self.refusal is not None:
            raise self.refusal
        asked = json.loads(command)
        row = register.KIND[asked["record"]]
        for block in reversed(self.chain):
            for write in (write for transaction in block.transactions for write in transaction.writes):
                value = write.value or {}
                key = [str(value.get(name)) for name in row.key]
                if function == "record:get" and value.get("kind") == row.name and key == asked.get("key", []):
                    return Evaluated({"record": value}, len(self.chain))
        raise Refused("It is not on the ledger.", code="not-found", reference=":".join(asked.get("key", [])))

    def command(self, transaction_id: str, block: int) -> str | None:
        return self.commands.get(transaction_id)

    def ordered(self, transaction_id: str, block: int) -> OrderedTransaction | None:
        if self.refusal is not None:
            raise self.refusal
        if self.index.get(transaction_id, Outcome("", 0, -1)).block != block:
            return None
        first = BlockBytes(0, "", b"first", b"")
        return OrderedTransaction(BlockBytes(block, "ab" * 32, b"data", b"signed"), 0, "VALID", (first,), ((first, 0),))

    def tip(self) -> int | None:
        return len(self.chain)

    def blocks(
        self, start: int, stop: Callable[[], bool], *, previous_hash: str | None, config: bytes | None = None
    ) -> Iterator[LedgerBlock]:
        position = start
        while not stop():
            with self._changed:
                if position >= len(self.chain):
                    self._changed.wait(0.02)
                    continue
                block = self.chain[position]
            yield block
            position += 1

    def interrupt(self) -> None:
        with self._changed:
            self._changed.notify_all()


def written(function: str, command: Json) -> list[LedgerWrite]:
    """The command itself as a record of the kind that it makes, owned by the caller."""
    kind = register.ACTION[function][0].name
    record = {**command, "kind": kind, "owner": "LabMSP"}
    return [recordkeys.written(record)]


class FixedSigner:
    """Signs with a digest; enough where nobody verifies."""

    def sign(self, message: bytes) -> Signature:
        return Signature(hashlib.sha256(message).digest(), b"certificate", "5e" * 32)


class NoWitnesses:
    """Nobody to be asked for cosignatures."""

    def add_checkpoint(self, url: str, submission: bytes) -> bytes:
        raise Unavailable("nobody is there", code="witness-unavailable")

    def add_entries(self, url: str, upload: bytes) -> bytes:
        raise Unavailable("nobody is there", code="witness-unavailable")


@dataclass
class Api:
    """A client of the API that speaks as any role."""

    client: FlaskClient
    keys: Mapping[str, str]
    ledger: MemoryLedger
    service: Service
    counter: int = 0

    def headers(self, role: str | None, **extra: str) -> dict[str, str]:
        found = {} if role is None else {"Authorization": f"Bearer {self.keys[role]}"}
        return {**found, **{name.replace("_", "-"): value for name, value in extra.items()}}

    def listed(self, response: Any) -> Any:
        """The response; where it is a problem of an operation, its code must stand in the OpenAPI document."""
        rules = self.service.api.url_map.bind("")
        try:
            operation, _ = rules.match(response.request.path, response.request.method)
        except HTTPException:
            return response
        if response.status_code >= 400 and operation in self.codes:
            stands = self.codes[operation].get(response.status_code, ())
            found = response.json["code"]
            assert found in stands, f"{operation} answers {response.status_code} {found}: see gateway/rest/refusals.py"
        return response

    @cached_property
    def codes(self) -> Mapping[str, Mapping[int, list[str]]]:
        """The codes that the document lists for each operation, by status."""
        document = self.client.get("/openapi.json", environ_base={"REMOTE_ADDR": "192.0.2.1"}).json
        return {
            operation["operationId"]: {
                int(status): answer["x-problem-codes"]
                for status, answer in operation["responses"].items()
                if status.isdecimal() and int(status) >= 400
            }
            for methods in document["paths"].values()
            for operation in methods.values()
        }

    def get(self, path: str, *, role: str | None = "reader", **headers: str) -> Any:
        return self.listed(self.client.get(path, headers=self.headers(role, **headers)))

    def post(
        self, path: str, body: Any = None, *, role: str | None = "operator", key: str | None = "", **headers: str
    ) -> Any:
        if key == "":
            self.counter += 1
            key = f"key-{self.counter}"
        if key is not None:
            headers["Idempotency_Key"] = key
        if isinstance(body, bytes):
            return self.listed(self.client.post(path, data=body, headers=self.headers(role, **headers)))
        return self.listed(self.client.post(path, json=body, headers=self.headers(role, **headers)))


SEALING = KeyEncryptionKeys([b"k" * 32])
ROLES = ("reader", "recorder", "endorser", "operator")


def make_service(
    folder: Path,
    *,
    in_flight: int = 8,
    height_wait: float = 10.0,
    open_tokens: Callable[[ExitStack], Tokens | None] = lambda _: None,
    quotas: Quotas | None = None,
) -> tuple[Service, Mapping[str, str], MemoryLedger]:
    """A gateway over a ledger in memory that has not been started, and a key for each role."""
    with ExitStack() as resources:
        opened = {}
        for name in ("readmodel", "submissions", "records", "consent", "members", "keys", "log", "sealed", "audit"):
            opened[name] = Database.open(folder / f"{name}.db", name, durable=False)
            resources.callback(opened[name].close)
        keys = KeyStore(opened["keys"])
        ledger = MemoryLedger()
        parts = Parts(
            ledger=ledger,
            elsewhere=ledger,
            blocks=ledger,
            readmodel=ReadModelStore(opened["readmodel"]),
            submissions=SubmissionStore(opened["submissions"]),
            reminders=KeptReminders(opened["submissions"]),
            records=record_store(opened["records"]),
            maps=ConsentStore(opened["consent"]),
            memberships=MemberStore(opened["members"]),
            keys=keys,
            tokens=open_tokens(resources),
            signer=FixedSigner(),
            transactions=TransactionStore(opened["readmodel"]),
            secret=b"s" * 32,
            log=LogParts.of(
                LogTree(opened["readmodel"]),
                HeadStore(opened["log"]),
                folder / "log-keys",
                ("pedigree", "LabMSP"),
                folder / "log-policy",
                NoWitnesses(),
            ),
            vault=Vault(BlobFiles(folder / "blobs"), SealedStore(opened["sealed"]), lambda: SEALING),
            deliveries=DeliveryStore(opened["sealed"]),
            reads=ReadStore(opened["sealed"]),
            audit=AuditLogStore(opened["audit"]),
            grantees=ChannelMembers(Msps, time.time),
            members=lambda: ("HospitalMSP", "LabMSP", "RegulatorMSP"),
            clients=lambda: [(key.id, key.name) for key in keys.list()],
            quotas=quotas or Quotas.of(),
        )
        service = assemble(
            parts,
            Place("LabMSP", "lab.example", "pedigree", "pedigree", "ab" * 32),
            limits=Limits(wait=5.0, height_wait=height_wait, fallback_after=0.1, in_flight=in_flight),
            spool=Spool(folder / "uploads", limit=1 << 20),
            resources=resources.pop_all(),
        )
    return service, {role: keys.add(role, role) for role in ROLES}, ledger


@pytest.fixture
def height_wait() -> float:
    """Seconds that a request waits for the height it asks for; a test that asks for one that never comes says fewer."""
    return 10.0


@pytest.fixture
def vault(api: "Api", tmp_path: Path) -> Iterator[Vault]:
    """What the gateway `api` keeps sealed, opened a second time."""
    database = Database.open(tmp_path / "sealed.db", "sealed", durable=False)
    yield Vault(BlobFiles(tmp_path / "blobs"), SealedStore(database), lambda: SEALING)
    database.close()


@pytest.fixture
def quotas() -> Quotas:
    """How many requests there may be: any number."""
    return Quotas.of()


@pytest.fixture
def api(tmp_path: Path, height_wait: float, quotas: Quotas) -> Iterator[Api]:
    service, keys, ledger = make_service(tmp_path, height_wait=height_wait, quotas=quotas)
    service.start()
    deadline = time.monotonic() + 5
    while service.projector.progress().height < 1:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield Api(service.api.test_client(), keys, ledger, service)
    service.stop()

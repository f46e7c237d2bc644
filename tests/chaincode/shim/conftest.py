# SPDX-License-Identifier: Apache-2.0
"""A peer that exists only for tests: it speaks the chaincode protocol from a dictionary, and can be told to fail."""

import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier

from chaincode.shim import Response, wire
from chaincode.shim.clock import ClockGuard
from chaincode.shim.conversation import Conversation, Outbox
from chaincode.shim.execution import Executor
from chaincode.shim.wire import MessageType
from chaincode.shim.workers import Workers

NOW = 1_800_000_000
ATTRIBUTES = ObjectIdentifier("1.2.3.4.5.6.7.8.1")


@dataclass
class Authority:
    """A certification authority that issues whatever a test needs."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self, subject: x509.Name | None = None, attributes: bytes | None = None, hosts: tuple[str, ...] = ()
    ) -> tuple[bytes, bytes]:
        """Certificate and key in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = subject or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "User1")])
        builder = _certificate(subject, self.certificate.subject, key.public_key())
        if attributes is not None:
            builder = builder.add_extension(x509.UnrecognizedExtension(ATTRIBUTES, attributes), critical=False)
        if hosts:
            names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key)

    def creator(
        self, msp_id: str = "HospitalMSP", subject: x509.Name | None = None, attributes: bytes | None = None
    ) -> bytes:
        """A serialised identity as it stands in a proposal."""
        certificate, _ = self.issue(subject, attributes)
        return bytes(wire.SerializedIdentity(mspid=msp_id, id_bytes=certificate).SerializeToString())


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


@pytest.fixture(scope="session")
def authority() -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name.from_rfc4514_string("CN=ca.hospital.example,O=hospital.example,C=CH")
    basic = x509.BasicConstraints(ca=True, path_length=None)
    builder = _certificate(name, name, key.public_key()).add_extension(basic, critical=True)
    return Authority(key, builder.sign(key, hashes.SHA256()))


def make_proposal(
    creator: bytes = b"",
    seconds: int = NOW,
    nanos: int = 0,
    transient: dict[str, bytes] | None = None,
    nonce: bytes = b"nonce",
    epoch: int = 0,
) -> Any:
    channel_header = wire.ChannelHeader(timestamp={"seconds": seconds, "nanos": nanos}, epoch=epoch)
    signature_header = wire.SignatureHeader(creator=creator, nonce=nonce)
    header = wire.Header(
        channel_header=channel_header.SerializeToString(), signature_header=signature_header.SerializeToString()
    )
    payload = wire.ChaincodeProposalPayload(TransientMap=transient or {})
    proposal = wire.Proposal(header=header.SerializeToString(), payload=payload.SerializeToString())
    return wire.SignedProposal(proposal_bytes=proposal.SerializeToString(), signature=b"signature")


class FakePeer:
    """One side of a stream: what the chaincode sends is fed in, what the peer says is in `inbox`.

    State is a dictionary by collection and key. `fail` maps a request type to the text of an ERROR;
    `hold` names requests that get no answer; `replace` maps a type to a payload to answer instead.
    """

    def __init__(self, offer: Any = None, batch_size: int = 2) -> None:
        self.state: dict[tuple[str, str], bytes] = {}
        self.policies: dict[tuple[str, str], bytes] = {}
        self.history: dict[str, list[Any]] = {}
        self.fail: dict[MessageType, str] = {}
        self.hold: set[MessageType] = set()
        self.replace: dict[MessageType, bytes] = {}
        self.callee: Callable[[Any], Any] = lambda spec: wire.ChaincodeMessage(
            type=MessageType.ERROR, payload=b"no such chaincode"
        )
        self.requests: list[tuple[MessageType, Any]] = []
        self.registered: str | None = None
        self.ready = threading.Event()
        self.answered: dict[tuple[str, str], Future[Any]] = {}
        self.held = threading.Semaphore(0)
        self.inbox: SimpleQueue[bytes | None] = SimpleQueue()
        self._offer = offer
        self._batch_size = batch_size
        self._queries: dict[str, list[bytes]] = {}
        self._ids = itertools.count(1)

    # What a test does

    def transact(self, *args: bytes | str, **options: Any) -> Any:
        """Execute a transaction and wait for the message that answers it."""
        return self.start(*args, **options).result(timeout=20)

    def start(
        self,
        *args: bytes | str,
        kind: MessageType = MessageType.TRANSACTION,
        proposal: Any = None,
        txid: str | None = None,
        channel: str = "pedigree",
        payload: bytes | None = None,
        decorations: dict[str, bytes] | None = None,
    ) -> "Future[Any]":
        assert self.ready.wait(10), "the chaincode did not register"
        txid = txid or f"tx{next(self._ids)}"
        if payload is None:
            encoded = [arg.encode() if isinstance(arg, str) else arg for arg in args]
            payload = wire.ChaincodeInput(args=encoded, decorations=decorations or {}).SerializeToString()
        future: Future[Any] = Future()
        self.answered[channel, txid] = future
        proposal = make_proposal() if proposal is None else proposal
        self.say(wire.ChaincodeMessage(type=kind, txid=txid, channel_id=channel, payload=payload, proposal=proposal))
        return future

    def say(self, message: Any) -> None:
        self.inbox.put(message.SerializeToString())

    def hang_up(self) -> None:
        self.inbox.put(None)

    def sent(self, kind: MessageType) -> list[Any]:
        """The decoded payloads of the requests of one type."""
        return [payload for request, payload in self.requests if request is kind]

    # What the stream does

    def outgoing(self) -> Iterator[bytes]:
        while (data := self.inbox.get()) is not None:
            yield data

    def feed(self, data: bytes) -> None:
        message = wire.ChaincodeMessage.FromString(data)
        kind = MessageType(message.type)
        if kind is MessageType.REGISTER:
            self.registered = wire.ChaincodeID.FromString(message.payload).name
            self.say(wire.ChaincodeMessage(type=MessageType.REGISTERED))
            payload = self._offer.SerializeToString() if self._offer is not None else b""
            self.say(wire.ChaincodeMessage(type=MessageType.READY, payload=payload))
            self.ready.set()
        elif kind in (MessageType.COMPLETED, MessageType.ERROR):
            self.answered[message.channel_id, message.txid].set_result(message)
        else:
            self._answer(kind, message)

    def _answer(self, kind: MessageType, message: Any) -> None:
        name, answer = _ANSWERS[kind]
        request = getattr(wire, name).FromString(message.payload)
        self.requests.append((kind, request))
        if kind in self.hold:
            self.held.release()
            return
        reply = wire.ChaincodeMessage(txid=message.txid, channel_id=message.channel_id)
        if kind in self.fail:
            reply.type, reply.payload = MessageType.ERROR, self.fail[kind].encode()
        elif kind in self.replace:
            reply.type, reply.payload = MessageType.RESPONSE, self.replace[kind]
        else:
            reply.type, reply.payload = MessageType.RESPONSE, answer(self, request)
        self.say(reply)

    def _get(self, request: Any) -> bytes:
        return self.state.get((request.collection, request.key), b"")

    def _get_many(self, request: Any) -> bytes:
        values = [self.state.get((request.collection, key), b"") for key in request.keys]
        return bytes(wire.GetStateMultipleResult(values=values).SerializeToString())

    def _hash(self, request: Any) -> bytes:
        value = self._get(request)
        return hashlib.sha256(value).digest() if value else b""

    def _put(self, request: Any) -> bytes:
        self.state[request.collection, request.key] = request.value
        return b""

    def _delete(self, request: Any) -> bytes:
        self.state.pop((request.collection, request.key), None)
        return b""

    def _put_metadata(self, request: Any) -> bytes:
        self.policies[request.collection, request.key] = request.metadata.value
        return b""

    def _get_metadata(self, request: Any) -> bytes:
        entries = [wire.StateMetadata(metakey="OTHER", value=b"x")]
        policy = self.policies.get((request.collection, request.key))
        if policy is not None:
            entries.append(wire.StateMetadata(metakey="VALIDATION_PARAMETER", value=policy))
        return bytes(wire.StateMetadataResult(entries=entries).SerializeToString())

    def _write_batch(self, request: Any) -> bytes:
        for record in request.rec:
            _ANSWERS[MessageType(record.type)][1](self, record)
        return b""

    def _range(self, request: Any) -> bytes:
        low, high = request.startKey.encode(), request.endKey.encode()
        keys = sorted(
            key.encode()
            for collection, key in self.state
            if collection == request.collection and key.encode() >= low and (not high or key.encode() < high)
        )
        found = [
            wire.KeyValue(namespace="cc", key=key.decode(), value=self.state[request.collection, key.decode()])
            for key in keys
        ]
        return self._results([entry.SerializeToString() for entry in found], request.metadata)

    def _query(self, request: Any) -> bytes:
        found = [
            wire.KeyValue(namespace="cc", key=key, value=value).SerializeToString()
            for (collection, key), value in sorted(self.state.items())
            if collection == request.collection and request.query in key
        ]
        return self._results(found, request.metadata)

    def _key_history(self, request: Any) -> bytes:
        return self._results([change.SerializeToString() for change in self.history.get(request.key, [])], b"")

    def _results(self, found: list[bytes], metadata: bytes) -> bytes:
        page = wire.QueryMetadata.FromString(metadata)
        if page.pageSize:
            start = int(page.bookmark or 0)
            part = found[start : start + page.pageSize]
            after = start + len(part)
            bookmark = str(after) if after < len(found) else ""
            summary = wire.QueryResponseMetadata(fetched_records_count=len(part), bookmark=bookmark)
            results = [{"resultBytes": entry} for entry in part]
            response = wire.QueryResponse(results=results, metadata=summary.SerializeToString())
            return bytes(response.SerializeToString())
        identifier = f"query{next(self._ids)}"
        self._queries[identifier] = found
        return self._batch(identifier)

    def _batch(self, identifier: str) -> bytes:
        found = self._queries[identifier]
        part, rest = found[: self._batch_size], found[self._batch_size :]
        self._queries[identifier] = rest
        results = [{"resultBytes": entry} for entry in part]
        response = wire.QueryResponse(results=results, has_more=bool(rest), id=identifier)
        return bytes(response.SerializeToString())

    def _close(self, request: Any) -> bytes:
        return bytes(wire.QueryResponse(id=request.id).SerializeToString())

    def _invoke(self, request: Any) -> bytes:
        return bytes(self.callee(request).SerializeToString())


_ANSWERS: dict[MessageType, tuple[str, Callable[[FakePeer, Any], bytes]]] = {
    MessageType.GET_STATE: ("GetState", FakePeer._get),
    MessageType.GET_STATE_MULTIPLE: ("GetStateMultiple", FakePeer._get_many),
    MessageType.GET_PRIVATE_DATA_HASH: ("GetState", FakePeer._hash),
    MessageType.PUT_STATE: ("PutState", FakePeer._put),
    MessageType.DEL_STATE: ("DelState", FakePeer._delete),
    MessageType.PURGE_PRIVATE_DATA: ("DelState", FakePeer._delete),
    MessageType.PUT_STATE_METADATA: ("PutStateMetadata", FakePeer._put_metadata),
    MessageType.GET_STATE_METADATA: ("GetStateMetadata", FakePeer._get_metadata),
    MessageType.WRITE_BATCH_STATE: ("WriteBatchState", FakePeer._write_batch),
    MessageType.GET_STATE_BY_RANGE: ("GetStateByRange", FakePeer._range),
    MessageType.GET_QUERY_RESULT: ("GetQueryResult", FakePeer._query),
    MessageType.GET_HISTORY_FOR_KEY: ("GetHistoryForKey", FakePeer._key_history),
    MessageType.QUERY_STATE_NEXT: ("QueryStateNext", lambda peer, request: peer._batch(request.id)),
    MessageType.QUERY_STATE_CLOSE: ("QueryStateClose", FakePeer._close),
    MessageType.INVOKE_CHAINCODE: ("ChaincodeSpec", FakePeer._invoke),
}


class FunctionChaincode:
    """A chaincode that calls one function with the stub and answers what it returns."""

    def __init__(self, body: Callable[[Any], Any]) -> None:
        self.body = body
        self.initialised = 0

    def init(self, stub: Any) -> Any:
        self.initialised += 1
        return self.body(stub)

    def invoke(self, stub: Any) -> Any:
        return self.body(stub)


@contextmanager
def converse(
    chaincode: Any, peer: FakePeer | None = None, workers: int = 8, guard: ClockGuard | None = None, **options: Any
) -> Iterator[FakePeer]:
    """A conversation with `peer` without any socket; both ends are threads."""
    peer = peer or FakePeer()
    pool = Workers(workers)
    guard = guard or ClockGuard(clock=lambda: float(NOW))
    outbox = Outbox()
    conversation = Conversation("pedigree:1", Executor(chaincode, "HospitalMSP", guard, **options), pool, outbox)
    peer.conversation = conversation  # type: ignore[attr-defined]
    threads = [
        threading.Thread(target=lambda: [peer.feed(data) for data in outbox]),
        threading.Thread(target=lambda: conversation.consume(peer.outgoing())),
    ]
    for thread in threads:
        thread.start()
    assert peer.ready.wait(20)
    give_up = time.monotonic() + 5
    while not conversation.is_ready:  # the peer has said so; the other thread may still be reading it
        assert time.monotonic() < give_up
        time.sleep(0.001)
    yield peer
    peer.hang_up()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    pool.close()


@pytest.fixture
def kit() -> Any:
    """What tests build with."""
    return SimpleNamespace(
        NOW=NOW,
        FakePeer=FakePeer,
        FunctionChaincode=FunctionChaincode,
        converse=converse,
        proposal=make_proposal,
        respond=respond,
        run=run,
    )


def respond(message: Any) -> Any:
    """The response inside a COMPLETED message."""
    assert MessageType(message.type) is MessageType.COMPLETED, message.payload
    return wire.ResponseMessage.FromString(message.payload)


def run(body: Callable[[Any], Any], peer: FakePeer | None = None, **options: Any) -> Any:
    """What `body(stub)` returned or raised, executed as a transaction of a conversation with `peer`."""
    seen: dict[str, Any] = {}

    def call(stub: Any) -> Any:
        try:
            seen["value"] = body(stub)
        except Exception as error:
            seen["error"] = error
        return Response(200)

    start = options.pop("start", {})
    with converse(FunctionChaincode(call), peer, **options) as other:
        other.transact(*start.pop("args", ("f",)), **start)
    if "error" in seen:
        raise seen["error"]
    return seen["value"]

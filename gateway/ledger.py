# SPDX-License-Identifier: Apache-2.0
"""The only place where the law meets Fabric: commands out as canonical JSON, records and refusals back.

It contains no rule. A call that fails at one peer of the organisation goes on at another, which is safe for every
kind of call: simulating orders nothing, and an envelope that is sent twice is committed once. What a peer says is
translated by the table in `delivery/peererrors.py`.

No other organisation can make a call fail for good by what its peer answers, as long as the rest can endorse without
it: where an endorsement of its fails verification, the others are asked by name.
"""

import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from hashlib import sha256
from typing import NoReturn, TypeVar

from chaincode.domain import errors as law
from gateway.delivery.breaker import Breaker
from gateway.delivery.peererrors import Blame, Verdict, judge, key_unavailable
from gateway.delivery.peers import Peer, PeerConnection, Peers
from gateway.delivery.persons import blamed, certificate_of, standing
from gateway.delivery.refusals import parse_object
from gateway.delivery.slots import Kind
from gateway.fabric import (
    Commit,
    CommitStatusError,
    FabricError,
    Identity,
    KeyUnavailable,
    Proposal,
    SigningError,
    Transaction,
    UntrustedResponse,
)
from gateway.fabric.certificates import load_certificate
from gateway.fabric.identity import Sign, default_hash
from gateway.fabric.texts import said
from gateway.services.ports import (
    AlreadyProposed,
    EndorsementRefused,
    Evaluated,
    Json,
    LedgerMisuse,
    Meter,
    NothingOrdered,
    Outcome,
    OutcomeUnknown,
    Prepared,
    Signature,
    ToSign,
    Unavailable,
)

_COMMITS_KEPT = 4096
_PLACE_WITHIN = 5.0
"""Seconds that a call waits for a place at its peer; the requests that may wait are counted elsewhere."""
_FULL_RETRIES = 3
_BREAKERS_KEPT = 1024
_Answer = TypeVar("_Answer")


class FabricLedger:
    """Implements `services.ports.Ledger` on the peers of one organisation."""

    def __init__(
        self, peers: Peers, meter: Meter, *, own: str, organisations: Callable[[], Collection[str]] = frozenset
    ) -> None:
        """Assign.

        Args:
            own: MSP id of the organisation.
            organisations: MSP ids of all that may endorse, as far as they are known.
        """
        self._peers = peers
        self._meter = meter
        self._own = own
        self._organisations = organisations
        self._commits: OrderedDict[str, Commit] = OrderedDict()
        self._endorsers: dict[tuple[str, tuple[str, ...]], Breaker] = {}
        self._lock = threading.Lock()

    def prepare(
        self, function: str, command: str, *, nonce: bytes, token: str, client: str, organisations: tuple[str, ...]
    ) -> Prepared:
        def endorsed(by: tuple[str, ...]) -> Prepared:
            return self._prepare(function, (command, token, client), nonce=nonce, organisations=by)

        asked, left_out = organisations, set[str]()
        while True:
            try:
                return endorsed(asked)
            except EndorsementRefused:
                if organisations and self._own not in organisations:
                    self._ask_own(lambda: endorsed((self._own,)))
                raise
            except LedgerMisuse as exc:
                culprit = exc.facts.get("organisation", "")
                asked = () if organisations or culprit in left_out else self._without(left_out | {culprit})
                if not asked:
                    raise
                left_out.add(culprit)
                self._meter.count("endorser_left_out")

    @staticmethod
    def _ask_own(endorse: Callable[[], object]) -> None:
        """Where only others were asked and they refuse, our own peer says whether the law does."""
        try:
            endorse()
        except NothingOrdered:
            return

    def _without(self, culprits: set[str]) -> tuple[str, ...]:
        """All organisations but these, if a majority is left with ours among it; else nobody."""
        everybody = set(self._organisations())
        others = everybody - culprits
        enough = 2 * len(others) > len(everybody) and self._own in others and culprits < everybody
        return tuple(sorted(others)) if enough else ()

    def _prepare(
        self, function: str, arguments: tuple[str, ...], *, nonce: bytes, organisations: tuple[str, ...]
    ) -> Prepared:
        def work(connection: PeerConnection) -> Prepared:
            transaction = connection.contract.new_proposal(
                function, arguments, endorsing_organisations=organisations or None, nonce=nonce
            ).endorse()
            # Signed before it is stored, so that what is sent again after a crash is the same to the byte.
            transaction.sign()
            return Prepared(transaction.transaction_id, transaction.bytes, _reply(transaction.result))

        breaker = self._breaker(function, organisations)
        if not breaker.allows():
            wait = max(1, round(breaker.retry_in))
            raise Unavailable(
                "too few organisations can endorse at the moment", code="endorsers-unavailable", retry_after=wait
            )
        try:
            prepared = self._call(Kind.ENDORSE, work, blamed=lambda blame: _hold_against(breaker, blame))
        except law.AlreadyRecorded as exc:
            raise AlreadyProposed(exc.transaction, recorded=True) from exc
        breaker.succeeded()
        return prepared

    def certificate(self, text: bytes) -> bytes:
        return certificate_of(text)

    def propose(self, function: str, arguments: tuple[str, ...], *, certificate: bytes, nonce: bytes) -> ToSign:
        identity = Identity(self._own, certificate)

        def work(connection: PeerConnection) -> ToSign:
            gateway = standing(connection.gateway.for_identity(identity))
            contract = gateway.network(connection.network.name).contract(connection.contract.chaincode_name)
            proposal = contract.new_proposal(function, arguments, nonce=nonce)
            return ToSign(proposal.transaction_id, proposal.bytes, proposal.digest)

        return self._call(Kind.EVALUATE, work)

    def endorse(self, proposal: bytes, signature: bytes, *, certificate: bytes) -> ToSign:
        identity = Identity(self._own, certificate)

        def work(connection: PeerConnection) -> ToSign:
            signed = standing(connection.gateway.for_identity(identity)).new_signed_proposal(proposal, signature)
            _check(signed)
            made = signed.endorse()
            return ToSign(made.transaction_id, made.bytes, made.digest, _reply(made.result))

        try:
            with blamed():
                return self._call(Kind.ENDORSE, work)
        except law.AlreadyRecorded as exc:
            raise AlreadyProposed(exc.transaction, recorded=True) from exc

    def seal(self, transaction: bytes, signature: bytes, *, certificate: bytes) -> bytes:
        identity = Identity(self._own, certificate)

        def work(connection: PeerConnection) -> bytes:
            gateway = standing(connection.gateway.for_identity(identity))
            signed = gateway.new_signed_transaction(transaction, signature)
            _check(signed)
            return signed.bytes

        return self._call(Kind.EVALUATE, work)

    def submit(self, envelope: bytes) -> None:
        commit = self._call(Kind.SUBMIT, lambda connection: connection.gateway.new_transaction(envelope).submit())
        with self._lock:
            self._commits[commit.transaction_id] = commit
            while len(self._commits) > _COMMITS_KEPT:
                self._commits.popitem(last=False)

    def mark(self, envelope: bytes) -> str:
        return Transaction.mark_of(envelope)

    def outcome(self, transaction_id: str, timeout: float) -> Outcome | None:
        with self._lock:
            commit = self._commits.get(transaction_id)
        if commit is None:
            return None
        question = commit.bytes  # signed already, and good for any peer

        def work(connection: PeerConnection) -> Outcome | None:
            try:
                status = connection.gateway.new_commit(question).status(timeout)
            except CommitStatusError as exc:
                # The peer waits for a transaction that it has not seen, however long that takes: no fault of its.
                if exc.code.name == "DEADLINE_EXCEEDED":
                    return None
                raise
            return Outcome(transaction_id, status.code, status.block_number)

        return self._call(Kind.COMMIT_STATUS, work)

    def evaluate(self, function: str, command: str) -> Evaluated:
        def work(connection: PeerConnection) -> Evaluated:
            height = connection.network.height()
            answer = connection.contract.evaluate(function, command, endorsing_organisations=(self._own,))
            return Evaluated(_reply(answer), height)

        return self._call(Kind.EVALUATE, work)

    def _call(
        self,
        kind: Kind,
        work: Callable[[PeerConnection], _Answer],
        blamed: Callable[[Blame], None] = lambda _blame: None,
    ) -> _Answer:
        """Do `work` at the peer in use; where that fails for the peer's sake, at the next one, each at most once.

        Raises what the last of them said; but once ordering may have the envelope, nothing else than that.
        """
        failed: list[Peer] = []
        full = 0
        last: Verdict | None = None
        while True:
            peer = self._next(failed, last, blamed)
            began = time.monotonic()
            verdict = self._try(peer, kind, work)
            if not isinstance(verdict, Verdict):
                return verdict[0]
            if not (last is not None and isinstance(last.failure, OutcomeUnknown)):
                last = verdict
            match verdict.blame:
                case Blame.FULL if full < _FULL_RETRIES:
                    full += 1
                    time.sleep(random.uniform(0, 0.05 * 2**full))  # noqa: S311 - full jitter
                case Blame.SUSPECT if peer.told_at > began:
                    _raise(last, blamed)  # it is well: whatever keeps it waiting would keep another peer waiting too
                case Blame.PEER | Blame.SUSPECT | Blame.VIEW:
                    failed.append(peer)
                    self._meter.count("peer_failover")
                case _:
                    _raise(last, blamed)

    def _next(self, failed: list[Peer], last: Verdict | None, blamed: Callable[[Blame], None]) -> Peer:
        try:
            return self._peers.choose(failed)
        except Unavailable:
            if last is None:
                raise
            _raise(last, blamed)

    def _try(self, peer: Peer, kind: Kind, work: Callable[[PeerConnection], _Answer]) -> tuple[_Answer] | Verdict:
        slots = peer.slots
        if not slots.take(kind, _PLACE_WITHIN):
            self._meter.count("refused_slots")
            return Verdict(Unavailable("too many calls wait for this gateway's peer", code="capacity"))
        connection: PeerConnection | None = None
        try:
            connection = peer.connect()
            answer = work(connection)
        except KeyUnavailable as exc:
            raise key_unavailable() from exc
        except FabricError as exc:
            if _of_nobody_known_yet(exc, self._peers):
                return Verdict(Unavailable("who is a member has not been read from all blocks yet", code="catching-up"))
            verdict = judge(exc, submitting=kind is Kind.SUBMIT, own=self._own)
            self._report(peer, connection, verdict.blame, exc)
            return verdict
        except ValueError:
            if connection is None or not connection.dropped:
                raise
            # Closed in the moment before the call: gRPC refuses it without having sent anything.
            return Verdict(Unavailable("the peer was left", code="peer-unavailable"), Blame.PEER)
        finally:
            slots.give_back(kind)
        self._peers.answered(peer)
        return (answer,)

    def _report(self, peer: Peer, connection: PeerConnection | None, blame: Blame, error: FabricError) -> None:
        if connection is not None and connection.dropped:
            return  # it was left already, and that is why the call failed
        match blame:
            case Blame.PEER:
                self._peers.failed(peer, str(error))
            case Blame.SUSPECT:
                self._peers.suspect(peer)
            case Blame.FULL:
                self._peers.full(peer)
            case _:
                self._peers.answered(peer)

    def _breaker(self, function: str, organisations: tuple[str, ...]) -> Breaker:
        """Endorsers that are missing for one function may be there for another, so each has its own breaker."""
        with self._lock:
            found = self._endorsers.get((function, organisations))
            if found is None:
                if len(self._endorsers) >= _BREAKERS_KEPT:
                    self._endorsers.clear()
                found = self._endorsers[function, organisations] = Breaker(threshold=5, trial_within=30.0)
            return found


def _check(signed: Proposal | Transaction) -> None:
    try:
        signed.check_signature()
    except SigningError as exc:
        raise law.BadSignature(said(str(exc))) from None


def _hold_against(breaker: Breaker, blame: Blame) -> None:
    """Only missing endorsers count; any other answer shows that there are some."""
    if blame in (Blame.ENDORSERS, Blame.VIEW):
        breaker.failed()
    elif blame is Blame.NOBODY:
        breaker.succeeded()


def _of_nobody_known_yet(error: FabricError, peers: Peers) -> bool:
    """Whether an endorser is not a member as far as we have read, while there is more to read."""
    unknown = isinstance(error, UntrustedResponse) and error.reason == "untrusted-endorser"
    return unknown and peers.read_height < peers.known_height


def _raise(verdict: Verdict, blamed: Callable[[Blame], None]) -> NoReturn:
    """End a call with its last failure, for which alone somebody answers: another peer might have done better."""
    blamed(verdict.blame)
    raise verdict.failure


def _reply(data: bytes) -> Json:
    value = parse_object(data)
    if value is None:
        raise LedgerMisuse("the chaincode answered something that is not a JSON object")
    return value


class OrganisationSigner:
    """Implements `services.ports.Signer` with the identity that signs this gateway's transactions.

    `identity` answers certificate and key that belong together, those in use now.
    """

    def __init__(self, identity: Callable[[], tuple[Identity, Sign]]) -> None:
        self._identity = identity

    def sign(self, message: bytes) -> Signature:
        identity, signer = self._identity()
        certificate = load_certificate(identity.credentials, "the gateway's own certificate")
        fingerprint = sha256(certificate.der).hexdigest()
        try:
            signature = signer(default_hash(identity)(message))
        except KeyUnavailable as exc:
            raise key_unavailable() from exc
        return Signature(signature, identity.credentials, fingerprint)

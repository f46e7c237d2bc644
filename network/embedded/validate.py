# SPDX-License-Identifier: Apache-2.0
"""Validation of one block in Fabric's two stages (rules V-1 to V-19); stage B is in `mvcc`.

Validating cannot raise for what is in a block. Whatever a judgement raises beyond its own refusals makes that one
transaction invalid, INVALID_OTHER_REASON as in Fabric, and is logged. Only what the node itself lacks goes on upwards
and stops it, as a verdict that rests on a disk that could not be read must not be kept.
"""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from cryptography.exceptions import InvalidSignature
from fabric_protos.common import common_pb2

from network.embedded import definitions
from network.embedded.configtx import UpdateRefused, committed_config
from network.embedded.definitions import UnusableDefinitionError
from network.embedded.identity import InvalidIdentity, MalformedIdentity
from network.embedded.keypolicies import BlockPolicies, PolicyFailure
from network.embedded.mvcc import check_reads
from network.embedded.overlay import Overlay
from network.embedded.policy import verified_identities
from network.embedded.store import Store
from network.embedded.transactions import (
    BAD_COMMON_HEADER,
    BAD_CREATOR_SIGNATURE,
    BAD_PAYLOAD,
    CONFIG,
    DUPLICATE_TXID,
    ENDORSEMENT_POLICY_FAILURE,
    ENDORSER_TRANSACTION,
    INVALID_CHAINCODE,
    INVALID_CONFIG_TRANSACTION,
    INVALID_OTHER_REASON,
    NIL_ENVELOPE,
    VALID,
    NamespaceSet,
    Parsed,
    parse,
)

log = logging.getLogger(__name__)

_Verdict = TypeVar("_Verdict")
_OWN_FAILURES = (sqlite3.Error, OSError, MemoryError)
_BEFORE_SIGNATURE = (INVALID_OTHER_REASON, NIL_ENVELOPE, BAD_PAYLOAD, BAD_COMMON_HEADER)


@dataclass(slots=True)
class Candidate:
    """A transaction on its way through validation."""

    parsed: Parsed
    endorsed: bool = False
    """Whether it passed stage A and the duplicate check: only then may its private data be kept (rule V-39)."""
    config: Any = None
    """The `ChannelConfig` that a valid configuration transaction brings into force."""

    @property
    def code(self) -> int:
        return self.parsed.code

    @property
    def valid(self) -> bool:
        return self.parsed.code == VALID


class StageA:
    """Checks each transaction by itself against the state before the block (rules V-1 to V-16)."""

    def __init__(self, store: Store, config: Any, overlay: Overlay) -> None:
        self._store = store
        self._config = config
        self._snapshot = overlay.snapshot
        self._policies = BlockPolicies(overlay.snapshot, config)

    def check(self, raw: bytes, *, creator_verified: bool = False) -> Candidate:
        """Judge one entry of the block; `creator_verified` says that the orderer checked this very signature."""
        parsed = _unfailing(lambda: parse(raw), Parsed(code=INVALID_OTHER_REASON))
        candidate = Candidate(parsed)
        if parsed.code not in _BEFORE_SIGNATURE:
            parsed.code = _unfailing(lambda: self._code(candidate, creator_verified), INVALID_OTHER_REASON)
        return candidate

    def _code(self, candidate: Candidate, creator_verified: bool) -> int:
        parsed = candidate.parsed
        if not creator_verified and not self._creator_holds(parsed):
            return BAD_CREATOR_SIGNATURE
        if parsed.code == VALID and parsed.type == ENDORSER_TRANSACTION:
            return self._endorser_code(parsed)
        if parsed.code == VALID:
            self._judge_config(candidate)
        return parsed.code

    def _judge_config(self, candidate: Candidate) -> None:
        """Make the judgement of the ordering service again, from the update that the transaction carries."""
        try:
            envelope = common_pb2.Envelope(payload=candidate.parsed.payload)
            candidate.config = committed_config(self._config, envelope)
        except UpdateRefused:
            candidate.parsed.code = INVALID_CONFIG_TRANSACTION

    def _creator_holds(self, parsed: Parsed) -> bool:
        msps = self._config.msps
        try:
            identity = msps.deserialise(parsed.creator)
            msps.validate(identity)
            identity.verify(parsed.payload, parsed.signature)
        except (MalformedIdentity, InvalidIdentity, InvalidSignature):
            return False
        return True

    def _endorser_code(self, parsed: Parsed) -> int:
        if self._store.by_transaction(parsed.transaction_id) is not None:
            return DUPLICATE_TXID
        if parsed.late_code != VALID:
            return parsed.late_code
        judged = self._judged(parsed)
        for one in judged:
            if not self._defined(one.namespace):
                return INVALID_CHAINCODE
        return self._endorsement_code(judged, parsed)

    def _defined(self, namespace: str) -> bool:
        try:
            return namespace == definitions.LIFECYCLE or definitions.lookup(self._snapshot, namespace) is not None
        except UnusableDefinitionError:
            return False

    def _judged(self, parsed: Parsed) -> list[NamespaceSet]:
        """The invoked chaincode's namespace always, the others when the transaction writes to them (rule V-15)."""
        judged = [one for one in parsed.sets if one.writes or one.namespace == parsed.chaincode]
        if all(one.namespace != parsed.chaincode for one in judged):
            judged.insert(0, NamespaceSet.empty(parsed.chaincode))
        return judged

    def _endorsement_code(self, judged: Sequence[NamespaceSet], parsed: Parsed) -> int:
        signers = verified_identities(parsed.endorsements, self._config.msps)
        try:
            for one in judged:
                self._policies.check(one, signers)
        except PolicyFailure:
            return ENDORSEMENT_POLICY_FAILURE
        return VALID


def mark_duplicates(candidates: Sequence[Candidate]) -> None:
    """Of several transactions with one id that passed stage A only the first stays (rule V-19)."""
    seen: set[str] = set()
    for candidate in candidates:
        if not candidate.valid or candidate.parsed.type != ENDORSER_TRANSACTION:
            continue
        if candidate.parsed.transaction_id in seen:
            candidate.parsed.code = DUPLICATE_TXID
        seen.add(candidate.parsed.transaction_id)
        candidate.endorsed = candidate.valid


def stage_b(candidates: Sequence[Candidate], overlay: Overlay, block_number: int) -> None:
    """Check reads in block order and apply what is valid (rules V-30 to V-33)."""
    for index, candidate in enumerate(candidates):
        if not candidate.valid or candidate.parsed.type == CONFIG:
            continue
        candidate.parsed.code = _unfailing(partial(check_reads, candidate.parsed.sets, overlay), INVALID_OTHER_REASON)
        if candidate.valid:
            for one in candidate.parsed.sets:
                overlay.apply(one, (block_number, index))


def _unfailing(judge: Callable[[], _Verdict], otherwise: _Verdict) -> _Verdict:
    """The verdict of `judge`, or `otherwise` when it raises what no judgement should for any bytes."""
    try:
        return judge()
    except _OWN_FAILURES:
        raise
    except Exception:
        log.exception("validating a transaction failed; it counts as invalid")
        return otherwise

# SPDX-License-Identifier: Apache-2.0
"""Which endorsement policies a namespace's writes have to satisfy (rules V-24 to V-28)."""

from collections.abc import Sequence
from typing import Any

from fabric_protos.common import policies_pb2
from google.protobuf.message import DecodeError

from network.embedded import definitions
from network.embedded.definitions import UnusableDefinitionError
from network.embedded.entries import VALIDATION_PARAMETER, decode_metadata
from network.embedded.identity import Identity
from network.embedded.policy import MalformedPolicy, Policy, PolicyNotSatisfied, SignaturePolicy
from network.embedded.snapshot import Snapshot
from network.embedded.transactions import NamespaceSet

WrittenKey = tuple[str, str | None, str | bytes]
"""Namespace, collection (None for public), key or key hash."""


class PolicyFailure(Exception):
    """The endorsements do not suffice, or what they would have to satisfy is not known."""


class BlockPolicies:
    """Judges the namespaces of one block's transactions, in block order, against the state before the block."""

    def __init__(self, snapshot: Snapshot, config: Any) -> None:
        self._snapshot = snapshot
        self._config = config
        self._changing: set[WrittenKey] = set()

    def check(self, one: NamespaceSet, signers: Sequence[Identity]) -> None:
        """Check one namespace; raises PolicyFailure.

        The keys whose metadata the transaction writes are remembered once it has passed: what later transactions of
        the block write to them cannot be judged before this one is committed (rule V-26).
        """
        _Namespace(self._snapshot, self._config, self._changing, one, signers).check()
        for write in one.public.metadata_writes:
            self._changing.add((one.namespace, None, write.key))
        for collection in one.collections:
            for write in collection.hashed.metadata_writes:
                self._changing.add((one.namespace, collection.name, write.key_hash))


class _Namespace:
    def __init__(
        self,
        snapshot: Snapshot,
        config: Any,
        changing: set[WrittenKey],
        one: NamespaceSet,
        signers: Sequence[Identity],
    ) -> None:
        self._snapshot = snapshot
        self._config = config
        self._changing = changing
        self._one = one
        self._signers = signers
        self._checked: set[str | None] = set()
        """Collections whose own policy, and None for the chaincode's policy, were found satisfied."""
        self._any = False

    def check(self) -> None:
        for key in _distinct(write.key for write in (*self._one.public.writes, *self._one.public.metadata_writes)):
            self._check_key(None, key)
        for collection in self._one.collections:
            hashed = collection.hashed
            for key in _distinct(write.key_hash for write in (*hashed.hashed_writes, *hashed.metadata_writes)):
                self._check_key(collection.name, key)
        if not self._any:
            self._check_chaincode()

    def _check_key(self, coll: str | None, key: Any) -> None:
        if (self._one.namespace, coll, key) in self._changing:
            raise PolicyFailure("an earlier transaction of the block changes the key's policy")
        raw = self._validation_parameter(coll, key)
        if raw:
            self._satisfy(self._key_policy(raw))
        else:
            self._check_default(coll)

    def _validation_parameter(self, coll: str | None, key: Any) -> bytes:
        ns = self._one.namespace
        entry = self._snapshot.get(ns, key) if coll is None else self._snapshot.get_hash(ns, coll, key)
        return b"" if entry is None else decode_metadata(entry.metadata).get(VALIDATION_PARAMETER, b"")

    def _key_policy(self, raw: bytes) -> Policy:
        memo = self._snapshot.memo
        place = ("key policy", raw, self._config)
        if place not in memo:
            try:
                memo[place] = SignaturePolicy(policies_pb2.SignaturePolicyEnvelope.FromString(raw), self._config.msps)
            except (DecodeError, MalformedPolicy) as exc:
                raise PolicyFailure("the key's policy cannot be understood") from exc
        found: Policy = memo[place]
        return found

    def _check_default(self, coll: str | None) -> None:
        if coll is None:
            self._check_chaincode()
            return
        if coll in self._checked:
            return
        try:
            collection = definitions.collection(self._snapshot, self._config, self._one.namespace, coll)
        except UnusableDefinitionError as exc:
            raise PolicyFailure(str(exc)) from exc
        if collection.endorsement_policy is None:
            self._check_chaincode()
        else:
            self._satisfy(collection.endorsement_policy)
        self._checked.add(coll)

    def _check_chaincode(self) -> None:
        if None in self._checked:
            return
        try:
            found = definitions.policy(self._snapshot, self._config, self._one.namespace)
        except UnusableDefinitionError as exc:
            raise PolicyFailure(str(exc)) from exc
        self._satisfy(found)
        self._checked.add(None)

    def _satisfy(self, policy: Policy) -> None:
        self._any = True
        try:
            policy.evaluate_identities(self._signers)
        except PolicyNotSatisfied as exc:
            raise PolicyFailure(str(exc)) from exc


def _distinct(keys: Any) -> list[Any]:
    return list(dict.fromkeys(keys))

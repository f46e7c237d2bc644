# SPDX-License-Identifier: Apache-2.0
"""Who had to endorse a transaction, as the ledger itself says: definitions, collections and key-level policies.

Kept up to date from the writes of valid transactions, in their order, so that every transaction is held to what was in
force where it stands (Fabric's validator 2.0: a key's own policy first, else its collection's, else the chaincode's,
and the chaincode's where nothing else was asked).
"""

from collections.abc import Iterator
from typing import Any

from fabric_protos.peer import collection_pb2
from fabric_protos.peer.lifecycle import chaincode_definition_pb2, db_pb2
from google.protobuf.message import DecodeError

from gateway.fabric.errors import MalformedData
from gateway.fabric.policy import ChannelConfig, Policy, SignaturePolicy, policy_from_application
from gateway.fabric.rwset import NamespaceReadWriteSet, Read

__all__ = ["Duties", "Versions"]

LIFECYCLE = "_lifecycle"
_LIFECYCLE_POLICY = "/Channel/Application/LifecycleEndorsement"
_IMPLICIT = "_implicit_org_"
_FIELDS = "namespaces/fields/"
_KEY_POLICY = "VALIDATION_PARAMETER"

_Place = tuple[str, str]
"""A chaincode, and one of its collections or nothing."""


class Duties:
    """The endorsement policies in force."""

    def __init__(self) -> None:
        self._chaincodes: dict[str, bytes] = {}
        self._collections: dict[_Place, bytes] = {}
        self._keys: dict[tuple[_Place, str | bytes], bytes] = {}

    def policies(self, written: NamespaceReadWriteSet, config: ChannelConfig) -> Iterator[tuple[str, Policy]]:
        """What the endorsers of these writes have to satisfy, each with what asks for it; raises `MalformedData`."""
        name = written.namespace
        own, asked = False, False
        places: list[tuple[_Place, list[str | bytes]]] = [((name, ""), _public_keys(written))]
        for part in written.collections:
            keys = [*(one.key_hash for one in part.writes), *(one.key for one in part.metadata_writes)]
            places.append(((name, part.name), keys))
        for place, keys in places:
            for parameter in {self._keys.get((place, key)) for key in keys}:
                if parameter is not None:
                    asked = True
                    yield "a key's policy", SignaturePolicy.from_bytes(parameter, config.msps)
                elif (collection := self._collection(place, config)) is not None:
                    asked = True
                    yield f"collection {place[1]}", collection
                else:
                    own = True
        if own or not asked:
            yield f"chaincode {name}", self._chaincode(name, config)

    def apply(self, written: NamespaceReadWriteSet) -> None:
        """Take up what a valid transaction wrote; raises `MalformedData` for a definition that cannot be read."""
        self._metadata((written.namespace, ""), written)
        for part in written.collections:
            self._metadata((written.namespace, part.name), part)
        if written.namespace == LIFECYCLE:
            for write in written.writes:
                if write.key.startswith(_FIELDS) and not write.is_delete:
                    self._define(*write.key.removeprefix(_FIELDS).rpartition("/")[::2], write.value)

    def _metadata(self, place: _Place, written: Any) -> None:
        for write in written.writes:
            if write.is_delete:
                self._keys.pop((place, write.key_hash if place[1] else write.key), None)
        for change in written.metadata_writes:
            parameter = dict(change.entries).get(_KEY_POLICY)
            if parameter:
                self._keys[place, change.key] = parameter
            else:
                self._keys.pop((place, change.key), None)

    def _define(self, name: str, field: str, value: bytes) -> None:
        try:
            stored = db_pb2.StateData.FromString(value).Bytes
            if field == "ValidationInfo":
                found = chaincode_definition_pb2.ChaincodeValidationInfo.FromString(stored)
                self._chaincodes[name] = found.validation_parameter
            elif field == "Collections":
                for one in collection_pb2.CollectionConfigPackage.FromString(stored).config:
                    static = one.static_collection_config
                    asked = static.endorsement_policy if static.HasField("endorsement_policy") else None
                    self._collections[name, static.name] = b"" if asked is None else asked.SerializeToString()
        except DecodeError as exc:
            raise MalformedData(f"definition of {name}: {field} is not readable") from exc

    def _chaincode(self, name: str, config: ChannelConfig) -> Policy:
        if name == LIFECYCLE:
            return config.policy(_LIFECYCLE_POLICY)
        if name not in self._chaincodes:
            raise MalformedData(f"chaincode {name}: no definition is in force")
        return policy_from_application(self._chaincodes[name], config)

    def _collection(self, place: _Place, config: ChannelConfig) -> Policy | None:
        _, collection = place
        if collection.startswith(_IMPLICIT):
            msp_id = collection.removeprefix(_IMPLICIT)
            for group, known in config.organisations.items():
                if known == msp_id:
                    return config.policy(f"/Channel/Application/{group}/Endorsement")
            raise MalformedData(f"collection {collection}: {msp_id} is no member")
        parameter = self._collections.get(place)
        return policy_from_application(parameter, config) if parameter else None


class Versions:
    """At which height each public key was last written, to be compared with what transactions say they read."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[int, int]] = {}

    def stale(self, read: NamespaceReadWriteSet) -> Iterator[Read]:
        """Reads that saw something else than what stood there."""
        for one in read.reads:
            if self._known.get((read.namespace, one.key)) != one.version:
                yield one

    def apply(self, written: NamespaceReadWriteSet, block: int, index: int) -> None:
        """Take up what a valid transaction wrote."""
        for write in written.writes:
            place = (written.namespace, write.key)
            if write.is_delete:
                self._known.pop(place, None)
            else:
                self._known[place] = (block, index)
        for change in written.metadata_writes:
            place = (written.namespace, str(change.key))
            if place in self._known:
                self._known[place] = (block, index)


def _public_keys(written: NamespaceReadWriteSet) -> list[str | bytes]:
    return [*(one.key for one in written.writes), *(one.key for one in written.metadata_writes)]

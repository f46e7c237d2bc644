# SPDX-License-Identifier: Apache-2.0
"""Who had to endorse a transaction, as the ledger itself says: definitions, collections and key-level policies.

Every transaction is held to what was in force before its block (Fabric's validator 2.0: a key's own policy first, else
its collection's, else the chaincode's, and the chaincode's where nothing else was asked); what valid transactions
define counts from the next block on.
"""

from collections.abc import Iterator

from fabric_protos.common import policies_pb2
from fabric_protos.msp import msp_principal_pb2
from fabric_protos.peer import collection_pb2
from fabric_protos.peer.lifecycle import chaincode_definition_pb2, db_pb2
from google.protobuf.message import DecodeError

from gateway.fabric.errors import MalformedData
from gateway.fabric.policy import ChannelConfig, Policy, SignaturePolicy, policy_from_application
from gateway.fabric.rwset import NamespaceReadWriteSet
from gateway.verifier.keys import Key, Keys, Place, written_keys

__all__ = ["Duties"]

LIFECYCLE = "_lifecycle"
_LIFECYCLE_POLICY = "/Channel/Application/LifecycleEndorsement"
_IMPLICIT = "_implicit_org_"
_FIELDS = "namespaces/fields/"


class Duties:
    """The endorsement policies in force; those of single keys are in `keys`."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._chaincodes: dict[str, bytes] = {}
        self._collections: dict[Place, bytes] = {}
        self._defined: list[tuple[str, str, bytes]] = []
        """Name, field and value of definitions that the block has written."""

    def policies(self, written: NamespaceReadWriteSet, config: ChannelConfig) -> Iterator[tuple[str, Policy]]:
        """What the endorsers of these writes have to satisfy, each with what asks for it; raises `MalformedData`."""
        name = written.namespace
        own, asked = False, False
        places: list[tuple[Place, list[Key]]] = [((name, ""), written_keys(written))]
        places += [((name, part.name), written_keys(part)) for part in written.collections]
        for place, keys in places:
            if any(self._keys.is_policy_changing(place, key) for key in keys):
                raise MalformedData("it writes a key whose policy an earlier transaction of the block changes")
            for parameter in {self._keys.policy(place, key) for key in keys}:
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
        """Apply what a valid transaction defined."""
        if written.namespace == LIFECYCLE:
            for write in written.writes:
                if write.key.startswith(_FIELDS) and not write.is_delete:
                    name, _, field = write.key.removeprefix(_FIELDS).rpartition("/")
                    self._defined.append((name, field, write.value))

    def end_block(self) -> None:
        """What was defined is in force from here on; raises `MalformedData` for a definition that cannot be read."""
        defined, self._defined = self._defined, []
        for name, field, value in defined:
            self._define(name, field, value)

    def _define(self, name: str, field: str, value: bytes) -> None:
        try:
            stored = db_pb2.StateData.FromString(value).Bytes
            if field == "ValidationInfo":
                found = chaincode_definition_pb2.ChaincodeValidationInfo.FromString(stored)
                self._chaincodes[name] = found.validation_parameter
            elif field == "Collections":
                self._collections = {place: kept for place, kept in self._collections.items() if place[0] != name}
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

    def _collection(self, place: Place, config: ChannelConfig) -> Policy | None:
        _, collection = place
        if collection.startswith(_IMPLICIT):
            msp_id = collection.removeprefix(_IMPLICIT)
            for group, known in config.organisations.items():
                if known == msp_id:
                    return _endorsement(f"/Channel/Application/{group}/Endorsement", msp_id, config)
            raise MalformedData(f"collection {collection}: {msp_id} is not a member")
        parameter = self._collections.get(place)
        return policy_from_application(parameter, config) if parameter else None


def _endorsement(path: str, msp_id: str, config: ChannelConfig) -> Policy:
    """An organisation's own policy; where it has taken that out of the channel, any one of its members (as Fabric)."""
    try:
        return config.policy(path)
    except MalformedData:
        return SignaturePolicy.from_bytes(_any_member(msp_id), config.msps)


def _any_member(msp_id: str) -> bytes:
    role = msp_principal_pb2.MSPRole(msp_identifier=msp_id, role=msp_principal_pb2.MSPRole.MEMBER)
    envelope = policies_pb2.SignaturePolicyEnvelope()
    envelope.rule.n_out_of.n = 1
    envelope.rule.n_out_of.rules.add(signed_by=0)
    envelope.identities.add(principal=role.SerializeToString())
    return bytes(envelope.SerializeToString())

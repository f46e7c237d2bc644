# SPDX-License-Identifier: Apache-2.0
"""Who had to endorse a transaction of a chaincode, as the transaction that defined the chaincode says.

Endorsers sign which version of the chaincode's definition they ran under: the block and the place in it of the
transaction that committed it (rule R-9). A later definition that leaves the endorsement policy as it was does not
write it again, and names in the same way where it was written last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from fabric_protos.msp import msp_principal_pb2
from fabric_protos.peer import policy_pb2
from fabric_protos.peer.lifecycle import chaincode_definition_pb2, db_pb2
from google.protobuf.message import DecodeError

from gateway.fabric.blocks import Transaction
from gateway.fabric.errors import MalformedData
from gateway.fabric.rwset import NamespaceReadWriteSet, Version
from gateway.fabric.texts import said
from gateway.verifier.endorsed import Judged, judge, satisfied
from gateway.verifier.ordered import Configurations, NotCovered, OrderedBlock, RefutedEvidence

__all__ = ["Definition", "DefinitionPart", "definition_of"]

_LIFECYCLE: Final = "_lifecycle"
_LIFECYCLE_POLICY: Final = "/Channel/Application/LifecycleEndorsement"
_FIELDS: Final = "namespaces/fields/"
_DEEPEST: Final = 3
_WIDEST: Final = 16


@dataclass(frozen=True, slots=True)
class DefinitionPart:
    """A transaction that a file gives for the definition of the chaincode, and the block that holds it."""

    block: OrderedBlock
    index: int

    @property
    def place(self) -> Version:
        """Where the ledger has it."""
        return Version(self.block.number, self.index)


@dataclass(frozen=True, slots=True)
class Definition:
    """The endorsement policy of a chaincode, and where it was defined."""

    policy: bytes
    """An `ApplicationPolicy`."""
    block: int
    covered: bool
    """Whether it follows from the configuration that is trusted that its transaction was ordered and endorsed."""

    @property
    def name(self) -> str:
        """What the policy is called."""
        try:
            found = policy_pb2.ApplicationPolicy.FromString(self.policy)
            if found.WhichOneof("Type") == "channel_config_policy_reference":
                return f"'{said(found.channel_config_policy_reference)}'"
            names = [_named(each) for each in found.signature_policy.identities]
            return f"'{said(_rule(found.signature_policy.rule, names, 0))}'"
        except DecodeError:
            return "a policy that cannot be read"


def _rule(rule: Any, names: Sequence[str], depth: int) -> str:
    """A rule in words, as far as a line has room for them."""
    if rule.WhichOneof("Type") == "signed_by":
        return names[rule.signed_by] if 0 <= rule.signed_by < len(names) else "nobody"
    parts = rule.n_out_of.rules
    if depth > _DEEPEST or len(parts) > _WIDEST:
        return "…"
    return f"{rule.n_out_of.n} of ({', '.join(_rule(each, names, depth + 1) for each in parts)})"


def _named(principal: Any) -> str:
    """Who satisfies a principal."""
    if principal.principal_classification != msp_principal_pb2.MSPPrincipal.ROLE:
        return "…"
    role = msp_principal_pb2.MSPRole.FromString(principal.principal)
    kinds = msp_principal_pb2.MSPRole.MSPRoleType
    return f"{role.msp_identifier} {kinds.Name(role.role).lower() if role.role in kinds.values() else '…'}"


def definition_of(
    chaincode: str, judged: Judged, parts: Sequence[DefinitionPart], configurations: Configurations, channel: str
) -> Definition:
    """The definition that the endorsers of a transaction ran under; raises `RefutedEvidence`."""
    due = _read(judged.transaction, chaincode, "Sequence")
    covered = True
    for part in parts:
        if part.place != due:
            raise RefutedEvidence(
                f"the file has transaction {part.index} of block {part.block.number} for the definition of "
                f"'{said(chaincode)}', and the endorsers name transaction {due.transaction_index} of block "
                f"{due.block_number}"
            )
        transaction = part.block.transaction(part.index)
        covered = _is_ordered_and_endorsed(transaction, part, configurations, channel) and covered
        written = _written(transaction, chaincode)
        if written is not None:
            return Definition(written, part.block.number, covered)
        due = _read(transaction, chaincode, "ValidationInfo")
    raise RefutedEvidence(f"the file lacks the definition of '{said(chaincode)}', which says who has to endorse")


def _is_ordered_and_endorsed(
    transaction: Transaction, part: DefinitionPart, configurations: Configurations, channel: str
) -> bool:
    """Whether that can be judged; raises `RefutedEvidence` where it was judged and is not so."""
    try:
        configurations.check(part.block, transaction.timestamp)
        _, config = configurations.in_force(part.block)
    except NotCovered:
        return False
    try:
        satisfied(judge(transaction, config.msps, channel), config.policy(_LIFECYCLE_POLICY), f"'{_LIFECYCLE_POLICY}'")
    except RefutedEvidence as exc:
        raise RefutedEvidence(f"the definition in block {part.block.number}: {exc}") from None
    except MalformedData as exc:
        raise RefutedEvidence(f"who may define chaincodes is not understood: {exc}") from None
    return True


def _lifecycle(transaction: Transaction) -> list[NamespaceReadWriteSet]:
    return [each for each in transaction.namespaces if each.namespace == _LIFECYCLE]


def _read(transaction: Transaction, chaincode: str, field: str) -> Version:
    """Where a field of the definition was written last, as the endorsers read it."""
    key = f"{_FIELDS}{chaincode}/{field}"
    for each in _lifecycle(transaction):
        for read in each.reads:
            if read.key == key and read.version is not None:
                return read.version
    raise RefutedEvidence(f"its endorsers name no definition of '{said(chaincode)}' that they ran under")


def _written(transaction: Transaction, chaincode: str) -> bytes | None:
    """The endorsement policy that a definition writes; None where it leaves that as it was."""
    key = f"{_FIELDS}{chaincode}/ValidationInfo"
    found: Any = None
    for each in _lifecycle(transaction):
        for write in each.writes:
            if write.key == key and not write.is_delete:
                found = write.value
    if found is None:
        return None
    try:
        stored = db_pb2.StateData.FromString(found).Bytes
        return bytes(chaincode_definition_pb2.ChaincodeValidationInfo.FromString(stored).validation_parameter)
    except DecodeError:
        raise RefutedEvidence(f"the definition of '{said(chaincode)}' cannot be read") from None

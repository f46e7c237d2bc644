# SPDX-License-Identifier: Apache-2.0
"""Evidence that a transaction was ordered and endorsed, checked offline.

A file holds the block that has the transaction, the configurations of the channel from its first block on, and the
transaction that defined the chaincode. From the hash of one configuration block that the reader trusts it follows who
had to sign the block, who the members were and who had to endorse. What cannot follow is that the transaction is valid:
a block's hash does not cover the verdicts of the peers (rule O-17).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.fabric.blocks import Transaction
from gateway.fabric.errors import InvalidIdentity, MalformedData
from gateway.fabric.msp import Member, Msp
from gateway.fabric.mspfolder import msp_from_folder
from gateway.fabric.policy import policy_from_application
from gateway.fabric.texts import said
from gateway.verifier.definitions import Definition, DefinitionPart, definition_of
from gateway.verifier.endorsed import Judged, judge, satisfied, time_of
from gateway.verifier.ordered import Configurations, NotCovered, OrderedBlock, RefutedEvidence
from gateway.verifier.persons import Person, persons_of
from gateway.verifier.verdicts import NOT_PROVEN, text_of
from gateway.verifier.written import WrittenRecord, written_by

__all__ = ["KIND", "RefutedEvidence", "TransactionVerdict", "is_transaction", "verify_transaction"]

KIND: Final = "transaction-evidence"
SCHEMA: Final = 1
CHAINCODE: Final = "pedigree"
"""What the chaincode is called where nobody says otherwise."""
_MEMBERS: Final = frozenset({"kind", "schema", "channel", "transaction", "validation", "block", "configurations",
                             "definitions"})  # fmt: skip
_VALID: Final = "VALID"
_MOST_BLOCKS: Final = 1_000
_LONGEST_TEXT: Final = 512


@dataclass(frozen=True, slots=True)
class TransactionVerdict:
    """What a file proves of a transaction, what it merely says, and what nobody has shown."""

    verified: bool
    """Whether anything was proven with what the caller gave."""
    complete: bool
    """Whether order and endorsement follow from a configuration that the caller trusts."""
    transaction: Transaction
    block: OrderedBlock
    found_valid: bool
    """Whether the file says that a peer found it valid: a word that nothing shows."""
    written: tuple[WrittenRecord, ...]
    endorsers: tuple[str, ...]
    """MSP ids of those whose endorsements hold."""
    proven: tuple[str, ...]
    said: tuple[str, ...]
    not_proven: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        if self.complete:
            return "Verified: this transaction was ordered, and endorsed as its channel demands."
        if self.verified:
            return "Verified in part: those whose MSP you gave signed this transaction."
        return "Nothing is proven yet: the file agrees with itself only, which anyone can arrange."

    def text(self) -> str:
        """The verdict for people; whatever the file says in it is escaped."""
        wrote = "It wrote:" if self.found_valid else "It was to write, and by the file's own word did not:"
        return text_of(
            self.summary,
            (wrote, tuple(str(each) for each in self.written if not each.of_request)),
            ("Proven:", self.proven),
            ("The file says, and nothing here shows it:", self.said),
            (NOT_PROVEN, self.not_proven),
        )

    def as_json(self) -> dict[str, Any]:
        """The verdict for programs."""
        transaction = self.transaction
        return {
            "verified": self.verified,
            "verdict": "ordered-and-endorsed" if self.complete else "in-part" if self.verified else "consistent",
            "channel": transaction.channel,
            "chaincode": transaction.chaincode,
            "transaction": {
                "id": transaction.transaction_id,
                "block": self.block.number,
                "index": transaction.index,
                "at": None if transaction.timestamp is None else time_of(transaction.timestamp),
                "creator": transaction.creator_msp_id,
                "endorsers": list(self.endorsers),
            },
            "written": [each.as_json() for each in self.written],
            "proven": list(self.proven),
            "said": list(self.said),
            "not_proven": list(self.not_proven),
        }


@dataclass(frozen=True, slots=True)
class _File:
    """What a file says, of the right form and not yet checked."""

    channel: str
    id: str
    index: int
    reference: str | None
    validation: str
    block: OrderedBlock
    configurations: tuple[OrderedBlock, ...]
    definitions: tuple[DefinitionPart, ...]

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> "_File":
        """Take a file apart; raises `RefutedEvidence` that names the field."""
        if not is_transaction(value) or value.get("schema") != SCHEMA or isinstance(value.get("schema"), bool):
            raise RefutedEvidence(f"it is not a {KIND} of schema {SCHEMA} (fields /kind and /schema)")
        if (wrong := (set(value) - {"reference"}) ^ _MEMBERS) != set():
            raise RefutedEvidence(f"the field /{said(min(map(str, wrong)))} is missing or has no place in it")
        place = value["transaction"]
        if not isinstance(place, Mapping) or set(place) != {"id", "block", "index"}:
            raise RefutedEvidence("the field /transaction must be an object of block, id, index")
        block = OrderedBlock.of(value["block"], "/block")
        if _whole(place, "block", "/transaction") != block.number:
            raise RefutedEvidence("the field /transaction/block is not the number of its block")
        definitions = [
            DefinitionPart(OrderedBlock.of(each.get("block"), f"/definitions/{at}/block"),
                           _whole(each, "index", f"/definitions/{at}"))
            for at, each in enumerate(_objects(value, "definitions"))
        ]  # fmt: skip
        configurations = [
            OrderedBlock.of(each, f"/configurations/{at}") for at, each in enumerate(_objects(value, "configurations"))
        ]
        if not configurations:
            raise RefutedEvidence("the field /configurations is empty")
        return cls(
            channel=_text(value, "channel", ""),
            id=_text(place, "id", "/transaction"),
            index=_whole(place, "index", "/transaction"),
            reference=_text(value, "reference", "") if "reference" in value else None,
            validation=_text(value, "validation", ""),
            block=block,
            configurations=tuple(configurations),
            definitions=tuple(definitions),
        )


def is_transaction(value: Mapping[str, Any]) -> bool:
    """Whether a file is meant to be evidence of a transaction."""
    return value.get("kind") == KIND


def verify_transaction(
    value: Mapping[str, Any],
    *,
    trusted: bytes | None = None,
    msps: Mapping[str, Path] | None = None,
    chaincode: str = CHAINCODE,
) -> TransactionVerdict:
    """Check evidence of a transaction; raises `RefutedEvidence`, and `MalformedData` for a folder that is not an MSP.

    Args:
        trusted: the header hash (32 bytes) of a configuration block of the channel that the caller trusts: of its
            first block, normally. Without it nothing follows about order and membership.
        msps: the MSP folders of organisations, by MSP id, as the caller has them: what these organisations signed is
            then judged by them too, with their lists of revoked certificates.
        chaincode: what the chaincode is called whose records the file is to show.
    """
    file = _File.of(value)
    configurations = Configurations(file.channel, file.configurations, trusted)
    transaction = file.block.transaction(file.index)
    if transaction.transaction_id != file.id:
        raise RefutedEvidence(
            f"transaction {file.index} of block {file.block.number} is {said(transaction.transaction_id) or 'none'}, "
            f"and the file is about {said(file.id)}"
        )
    try:
        number, config = configurations.in_force(file.block)
        orderers = configurations.check(file.block, transaction.timestamp)
    except NotCovered as exc:
        raise RefutedEvidence(f"{exc}: give the channel's first block") from None
    judged = judge(transaction, config.msps, file.channel)
    if transaction.chaincode != chaincode:
        raise RefutedEvidence(
            f"its transaction is of the chaincode '{said(transaction.chaincode)}', and not of '{said(chaincode)}'"
        )
    definition = definition_of(chaincode, judged, file.definitions, configurations, file.channel)
    try:
        policy = policy_from_application(definition.policy, config)
    except MalformedData as exc:
        raise RefutedEvidence(f"who has to endorse is not understood: {exc}") from None
    satisfied(judged, policy, definition.name)
    written = tuple(written_by(transaction, chaincode))
    if file.reference is not None and file.reference not in {each.reference for each in written}:
        raise RefutedEvidence(f"its transaction did not write {said(file.reference)}, which the file is about")
    shown = _Shown(file, judged, orderers, definition, number)
    ordered = list(shown.of_order()) if trusted is not None else []
    vouched = list(_vouched(judged, orderers, msps or {}))
    persons = tuple(persons_of(written, config.msps))
    return TransactionVerdict(
        verified=bool(ordered or vouched),
        complete=trusted is not None,
        transaction=transaction,
        block=file.block,
        found_valid=file.validation == _VALID,
        written=written,
        endorsers=tuple(judged.organisations),
        proven=(*ordered, *vouched, *(_signed(persons) if trusted is not None else ())),
        said=tuple(shown.repeated(complete=trusted is not None, verified=bool(vouched))),
        not_proven=(*shown.missing(msps or {}, complete=trusted is not None), *_unvouched(persons)),
    )


def _signed(persons: Iterable[Person]) -> Iterator[str]:
    """Whose keys signed the statements in it, by the configuration that is trusted."""
    for each in persons:
        if not each.problem:
            yield (
                f"Said by a person: the key of {each.name}, of {each.organisation}, signed the statement that it "
                "records, and the channel's configuration vouches for that certificate."
            )


def _unvouched(persons: Iterable[Person]) -> Iterator[str]:
    for each in persons:
        if each.problem:
            yield f"That {each.name}, who signed the statement, is of {each.organisation}: {each.problem}."


def _vouched(judged: Judged, orderers: list[Member], msps: Mapping[str, Path]) -> Iterator[str]:
    """What those signed whose MSPs the caller gave; raises `RefutedEvidence` where such an MSP disowns a signer."""
    signed = (
        ("asked for this transaction", [judged.creator]),
        ("endorsed exactly what it wrote", judged.endorsers),
        ("signed its block as an orderer", orderers),
    )
    for name, folder in msps.items():
        msp = msp_from_folder(name, folder)
        for what, members in signed:
            for member in members:
                if member.msp_id == name:
                    _accept(msp, member)
                    yield (
                        f"{member.certificate.name} of {said(name)} {what}, by the MSP that you gave: issued under one "
                        "of its roots, and on none of its revocation lists."
                    )


def _accept(msp: Msp, member: Member) -> None:
    try:
        msp.accept(member.certificate, member.serialized)
    except InvalidIdentity as exc:
        raise RefutedEvidence(f"the MSP that you gave does not vouch for a signer: {exc}") from None


@dataclass(frozen=True, slots=True)
class _Shown:
    """What was found, put into words."""

    file: _File
    judged: Judged
    orderers: list[Member]
    definition: Definition
    configured: int
    """The block with the configuration in force."""

    def of_order(self) -> Iterator[str]:
        """What follows from the configuration that is trusted."""
        file, judged = self.file, self.judged
        yield (
            f"Ordered: transaction {file.id} is number {file.index + 1} of {len(file.block.envelopes)} in block "
            f"{file.block.number} of the channel '{said(file.channel)}', which has the hash {file.block.hash.hex()}."
        )
        yield (
            f"{_several('orderer', len(self.orderers))} of {_names(self.orderers)} signed that block, as the "
            f"configuration in force, of block {self.configured}, demands; it follows from the block that you trust."
        )
        yield (
            f"Asked for: {judged.creator.certificate.name} of {said(judged.creator.msp_id)}, a member then, signed it."
        )
        yield (
            f"Endorsed: {_several('peer', len(judged.endorsers))} of {_names(judged.endorsers)} signed exactly what it "
            f"wrote, which satisfies {self.definition.name}"
            + (
                f", the policy of the chaincode as defined in block {self.definition.block}."
                if self.definition.covered
                else "."
            )
        )

    def repeated(self, *, complete: bool, verified: bool) -> Iterator[str]:
        """What only the file says."""
        at = self.judged.transaction.timestamp
        if not complete:
            yield (
                "Everything else: the block and the channel, who the members were, who had to endorse."
                if verified
                else "Everything in it."
            )
        elif not self.definition.covered:
            yield (
                f"That this is the chaincode's policy: it was defined in block {self.definition.block}, before the "
                "configuration that you trust."
            )
        yield f"It was made at {'a time that it does not name' if at is None else time_of(at)}, by its creator's clock."
        yield f"The peer of the gateway that wrote the file found it {said(self.file.validation)}."

    def missing(self, msps: Mapping[str, Path], *, complete: bool) -> Iterator[str]:
        """What nobody has shown."""
        if not complete:
            yield (
                "That it was ordered on your channel, and endorsed as that demands: give the hash of the channel's "
                "first block with --genesis, or a configuration block of it with --config."
            )
        yield (
            "That it is VALID: a block's hash does not cover the peers' verdicts, and what was ordered may have come "
            "too late for what it had read. `pedigree fsck` judges that over the whole ledger."
        )
        yield "That no key which it wrote has a policy of its own that asks for other endorsements."
        yield "That nothing later on the ledger changed what it wrote, and that what the records say is true."
        seen = {each.msp_id for each in (self.judged.creator, *self.judged.endorsers, *self.orderers)}
        for name in sorted(set(msps) - seen):
            yield f"Anything about {said(name)}, whose MSP you gave: it signed nothing here."
        for reason in self.judged.uncounted:
            yield f"Left out: {reason}."


def _names(members: "list[Member] | tuple[Member, ...]") -> str:
    return ", ".join(said(name, 100) for name in sorted({each.msp_id for each in members}))


def _several(what: str, count: int) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _objects(value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = value[name]
    if not isinstance(found, list) or len(found) > _MOST_BLOCKS or not all(isinstance(each, Mapping) for each in found):
        raise RefutedEvidence(f"the field /{name} must be a list of at most {_MOST_BLOCKS} objects")
    return found


def _text(value: Mapping[str, Any], name: str, place: str) -> str:
    found = value[name]
    if not isinstance(found, str) or len(found) > _LONGEST_TEXT:
        raise RefutedEvidence(f"the field {place}/{name} must be a text of at most {_LONGEST_TEXT} characters")
    return found


def _whole(value: Mapping[str, Any], name: str, place: str) -> int:
    found = value.get(name)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < 2**63:
        raise RefutedEvidence(f"the field {place}/{name} must be a whole number")
    return found

# SPDX-License-Identifier: Apache-2.0
"""Selections at the owner's gateway: chosen by ids, by what consent permits and by a split, and proven later.

What a selection has is kept before the ledger is asked to record it (see `memberships`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from chaincode.domain import codec, merkle
from chaincode.domain.consent import WITHDRAWABLE
from chaincode.domain.errors import MapMoved, ParentMissing
from chaincode.domain.records import SelectionProof
from chaincode.domain.usage import InputRole
from chaincode.domain.values import Command, Count, Digest, Name, Ref, dataset_version_ref, selection_ref
from gateway.services import choosing
from gateway.services.catalogue import Catalogue
from gateway.services.choosing import Chosen, Condition
from gateway.services.consent import vocabulary_of
from gateway.services.consenting import Consents
from gateway.services.datasets import Datasets
from gateway.services.drafting import Upload
from gateway.services.idlists import listed
from gateway.services.members import Members
from gateway.services.memberships import Memberships, SelectionNotHeld
from gateway.services.ports import Category, Failed, Json, PortError, Records, RecordSet
from gateway.services.progress import Progress
from gateway.services.recording import Recorder, command_from
from gateway.services.splits import By, Split
from gateway.services.statusmaps import MapState, MapUnknown, StatusMaps
from gateway.services.submitter import Answer, Intent, Lengthy
from gateway.services.tiles import WIDTH, TiledTree, TileMissing
from gateway.services.trees import NotHeld

EVIDENCE_KIND: Final = "selection-evidence"
_FUNCTION: Final = "selection:commit"
_ATTEMPTS: Final = 5
"""How often one selection is made again because the consent map was changed meanwhile."""
_WITHDRAWABLE: Final = frozenset(basis.value for basis in WITHDRAWABLE)


class RecordNotSelected(PortError):
    """The version has the record, and the selection does not."""

    code = "record-not-selected"
    category = Category.NOT_FOUND


class NothingSelected(PortError):
    """No record is left, or none is in one of the parts of a split."""

    code = "nothing-selected"
    category = Category.UNACCEPTABLE


class NoSubjects(PortError):
    """The records of the version do not say which data subjects they are about."""

    code = "no-subjects"
    category = Category.UNACCEPTABLE


@dataclass(frozen=True, slots=True)
class Choice:
    """Which records of a version a selection is to have: those that pass everything that is said here."""

    selection: Name
    parent: Ref | None = None
    """Of this selection's records only."""
    ids: Upload | None = None
    """Only those on this list."""
    purpose: str | None = None
    """Only those whose consent permits it: a purpose by its name or IRI."""
    split: Split | None = None
    """Only those in the part `role`, which it must be given with."""
    role: InputRole | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    """What a selection is taken from."""

    version: Json
    held: RecordSet
    parent: Json | None
    within: Members | None
    """The records of the parent; `None` where it is the whole version."""


class Selections:
    """Makes and proves the selections from this organisation's data sets; thread-safe."""

    def __init__(
        self,
        recorder: Recorder,
        catalogue: Catalogue,
        records: Records,
        memberships: Memberships,
        *,
        datasets: Datasets,
        consents: Consents,
        maps: StatusMaps,
    ) -> None:
        self._recorder = recorder
        self._catalogue = catalogue
        self._records = records
        self._memberships = memberships
        self._datasets = datasets
        self._consents = consents
        self._maps = maps

    def select(self, intent: Intent, dataset: Name, number: int, choice: Choice) -> Answer:
        """Commit to the records that are chosen; where the caller does not wait, they are looked at after the answer.

        Where the consent map was changed meanwhile, the selection is made again from the new one, as long as the caller
        waits. Raises `RecordNotFound`, `ParentMissing`, `NotHeld`, `SelectionNotHeld`, `MapUnknown`, `MapBehind`,
        `UnknownTerm`, `NoSubjects`, `NothingSelected`, what `listed` raises, and what `Recorder.submit` raises.
        """
        progress = Progress(bytes=0 if choice.ids is None else choice.ids.size)

        def build() -> Command:
            return self._command(dataset, number, choice, progress)

        def detach() -> Callable[[], str]:
            taken = choice if choice.ids is None else replace(choice, ids=choice.ids.taken_over())

            def make() -> str:
                try:
                    return codec.to_json(self._command(dataset, number, taken, progress)).decode()
                finally:
                    if taken.ids is not None:
                        taken.ids.content.close()

            return make

        lengthy = Lengthy(progress, detach)
        answer = self._recorder.submit(intent, _FUNCTION, build, lengthy=lengthy)
        for attempt in range(2, _ATTEMPTS + 1):
            if not isinstance(answer.ending, Failed) or answer.ending.code != MapMoved.code:
                break
            # Each attempt has a key of its own that follows from the first: a repetition takes the same way.
            again = replace(intent, key=f"{intent.key}~{attempt}")
            answer = self._recorder.submit(again, _FUNCTION, build, lengthy=lengthy)
        return answer

    def proof(self, dataset: Name, number: int, selection: Name, record_id: str) -> Json:
        """Evidence that a record is in a selection by the leaf that it has in the version.

        Beside what `Datasets.proof` says it holds the ledger's `selection`, the `selection_transaction`, and the place
        of the leaf among those of the selection in `selection_proof`. Raises `RecordNotFound`, `NotHeld`,
        `SelectionNotHeld` and `RecordNotSelected`.
        """
        reference = selection_ref(dataset, number, selection)
        found = self._catalogue.get("selection", reference, dataset=dataset, number=str(number), selection=selection)
        evidence = self._datasets.proof(dataset, str(number), record_id)
        record, root = found["record"], str(evidence["version"]["root"])
        members = self._members(root, record, reference)
        position = int(evidence["proof"]["index"])
        if position not in members:
            raise RecordNotSelected(f"record {record_id!r} is in the version and not in {reference}")
        proof = SelectionProof(
            selection=reference,
            index=Count(members.before(position)),
            size=Count(record["size"]),
            path=tuple(map(Digest, self._path(root, record, members, position))),
        )
        return {
            **evidence,
            "kind": EVIDENCE_KIND,
            "selection": record,
            "selection_transaction": found["transaction"],
            "selection_proof": codec.to_plain(proof),
        }

    # -- making one --------------------------------------------------------------------------------------------

    def _command(self, dataset: Name, number: int, choice: Choice, progress: Progress) -> Command:
        source = self._source(dataset, number, choice)
        given = {
            "selection": choice.selection, "parent": choice.parent, "role": choice.role, "note": _note(choice),
        }  # fmt: skip
        body: Json = {name: value for name, value in given.items() if value is not None}
        conditions: list[Condition] = []
        if choice.ids is not None:
            conditions.append(choosing.on_list(listed(self._records, source.held, choice.ids, source.within, progress)))
        if choice.purpose is not None:
            vocabulary = vocabulary_of(self._catalogue, source.version["owner"])
            body["purpose"], bit = vocabulary.purpose(choice.purpose)
            if source.parent is None or source.parent.get("purpose") is None:
                conditions.append(self._permitted(dataset, bit, body))
        if choice.split is not None and choice.role is not None:
            self._refuse_nobody(choice.split, source)
            conditions.append(choosing.in_part(choice.split, choice.role))
        chosen = choosing.choose(self._records, source.held, source.within, conditions, progress)
        _refuse_nothing(choice, chosen)
        root = chosen.tree.root().hex()
        self._memberships.keep(source.held.root, root, chosen.members, chosen.tiles)
        left_out = [{"reason": reason, "count": count} for reason, count in sorted(chosen.left_out.items())]
        return command_from(
            _FUNCTION,
            {**body, "root": root, "size": chosen.tree.size, "left_out": left_out},
            {"version": dataset_version_ref(dataset, number)},
        )

    def _source(self, dataset: Name, number: int, choice: Choice) -> _Source:
        reference = dataset_version_ref(dataset, number)
        version = self._catalogue.get("dataset-version", reference, dataset=dataset, number=str(number))["record"]
        held = self._records.held(str(version["root"]))
        if held is None:
            raise NotHeld(
                f"this organisation does not hold the records of version {number} of {dataset}; its owner does",
                dataset=dataset,
                number=number,
            )
        if choice.parent is None:
            return _Source(version, held, None, None)
        name = choice.parent.parts[-1]
        parent = None
        if choice.parent == selection_ref(dataset, number, name):
            parent = self._catalogue.find("selection", dataset=dataset, number=str(number), selection=name)
        if parent is None:
            raise ParentMissing(selection_ref(dataset, number, choice.selection), choice.parent)
        return _Source(version, held, parent.value, self._members(held.root, parent.value, choice.parent))

    def _refuse_nobody(self, split: Split, source: _Source) -> None:
        """Refuse to split a version by subjects whose records name none."""
        if split.by is By.SUBJECT and not self._records.names_subjects(source.held.root):
            raise NoSubjects(
                "the records of this version do not say whose they are: commit it with a column of subjects"
                " (subject_field), or split it by record"
            )

    def _permitted(self, dataset: Name, bit: int, body: Json) -> Condition:
        """What decides whether consent permits a purpose: the map in force, which the body names, where there may be
        one, and what was collected where there is none."""
        entry = self._catalogue.find("dataset", dataset=dataset)
        if entry is None or entry.value.get("basis") not in _WITHDRAWABLE:
            return choosing.permitted_as_collected(bit)
        state: MapState | None = self._consents.follow(dataset)
        if state is None:
            raise MapUnknown(f"no consent map of {dataset} is open; open it first", dataset=dataset)
        body["consent_map"] = {"number": state.number, "root": state.root.hex()}
        return choosing.permitted_by(self._maps, dataset, state.number, bit)

    # -- proving -----------------------------------------------------------------------------------------------

    def _members(self, records: str, selection: Json, reference: Ref) -> Members:
        members = self._memberships.find(records, str(selection["root"]))
        if members is None:
            raise SelectionNotHeld.of(reference)
        return members

    def _path(self, records: str, selection: Json, members: Members, position: int) -> list[bytes]:
        """The path from a member's leaf to the root of a selection; what does not lead there raises `NotHeld`."""
        root, size, index = str(selection["root"]), int(selection["size"]), members.before(position)

        def read(level: int, number: int) -> bytes:
            if level:
                return self._memberships.tile(records, root, level, number)
            return self._records.leaves(records, members.numbered(number * WIDTH, (number + 1) * WIDTH))

        try:
            path = TiledTree(size, read).inclusion(index)
            leaf = self._records.leaves(records, [position])
            merkle.verify_inclusion(leaf, index, size, path, bytes.fromhex(root))
        except (TileMissing, merkle.ProofError):
            said = "the stored records no longer lead to the root of the selection; run dataset verify"
            raise NotHeld(said, root=root) from None
        return path


def _note(choice: Choice) -> str | None:
    """What the ledger is to say of how the records were chosen: of a split, all that is needed to make it again."""
    if choice.split is None:
        return choice.note
    return str(choice.split) if choice.note is None else f"{choice.note}; {choice.split}"


def _refuse_nothing(choice: Choice, chosen: Chosen) -> None:
    """Refuse a selection of nothing, and a part of a split of which another part would be empty.

    The parts of a split are recorded one by one: what the last one is refused for, the first one is refused for too.
    """
    left = ", ".join(f"{reason}: {count}" for reason, count in sorted(chosen.left_out.items()))
    if not chosen.tree.size:
        raise NothingSelected(f"no record is left to select ({left})" if left else "there is no record to select from")
    for role in () if choice.split is None else choice.split.roles:
        if role != choice.role and not chosen.left_out[choosing.other_part(role)]:
            raise NothingSelected(
                f"no record is in the part '{role}' of the split; take another seed, or larger shares"
            )

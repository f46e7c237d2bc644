# SPDX-License-Identifier: Apache-2.0
"""Where subjects' records are: what is known, and what can only be said not to be ruled out, counts."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chaincode.domain.marking import EVERY_PURPOSE
from chaincode.domain.purposes import PURPOSES
from chaincode.domain.values import Iri, Ref
from gateway.services.catalogue import Catalogue
from gateway.services.indications import Status, lost
from gateway.services.memberships import InSelection, InVersion
from gateway.services.places import Places
from gateway.services.ports import Records

ANN = b"a" * 32
V1, V2 = Ref("dataset-version:d:1"), Ref("dataset-version:d:2")
RESEARCH = PURPOSES[0][1]
OWN = Iri("https://example.org/purposes#own")


def selection(name: str, *, parent: Ref | None = None, purpose: Iri | None = None, version: int = 1) -> InSelection:
    return InSelection(Ref(f"selection:d:{version}:{name}"), None, purpose, parent, (0,))


class Ledger:
    """Two versions, the second with two selections; some selections are marked already."""

    def __init__(self) -> None:
        self.marked: set[str] = set()

    def all(self, kind: str, **where: str) -> list[dict[str, Any]]:
        if kind == "dataset-version":
            return [{"record": {"number": number, "root": f"root-{number}"}} for number in (1, 2)]
        if kind == "purpose":
            assert where == {"owner": "HospitalMSP"}
            return [{"record": {"iri": OWN, "bit": 40}}]
        assert (kind, where) == ("selection", {"dataset": "d", "number": "2"})
        parent = "selection:d:2:whole"
        return [{"record": {"selection": "whole"}}, {"record": {"selection": "part", "parent": parent}}]

    def find(self, kind: str, **where: str) -> object:
        if kind == "dataset":
            return SimpleNamespace(value={"owner": "HospitalMSP"})
        assert kind == "selection-mark"
        return where["selection"] in self.marked or None

    def get(self, kind: str, reference: str, **where: str) -> dict[str, Any]:
        return {"record": {"root": f"root-{where['number']}"}}


class Store:
    def __init__(self, naming: Sequence[str] = ("root-1", "root-2")) -> None:
        self.naming = naming

    def names_subjects(self, root: str) -> bool:
        return root in self.naming

    def of_subject(self, root: str, subject: bytes) -> list[tuple[int, str]]:
        return [(0, "r0"), (4, "r4")] if (root, subject) == ("root-1", ANN) else []


class Known:
    def __init__(self, *found: InVersion) -> None:
        self.found = found

    def of_subjects(self, dataset: str, references: Sequence[bytes]) -> Iterator[InVersion]:
        yield from self.found


def places(ledger: Ledger, known: Known, store: Store | None = None) -> Places:
    return Places(cast("Catalogue", ledger), cast("Records", store or Store()), cast("Any", known))


def test_a_version_whose_records_do_not_say_whose_they_are_counts_with_all_its_selections() -> None:
    known = InVersion(V1, (0,), (selection("one"),))
    found = places(Ledger(), Known(known), Store(["root-1"])).of_subjects("d", [ANN])
    assert found[0] == known
    assert (found[1].version, found[1].known) == (V2, False)
    assert [(each.selection, each.known) for each in found[1].selections] == [
        ("selection:d:2:whole", False), ("selection:d:2:part", False),
    ]  # fmt: skip
    assert places(Ledger(), Known(known)).of_subjects("d", [ANN]) == [known]


def test_ids_are_those_of_the_subjects_records() -> None:
    found = places(Ledger(), Known())
    assert found.ids(InVersion(V1, (0, 4), ()), [ANN, b"b" * 32]) == {0: "r0", 4: "r4"}


def test_wholes_are_marked_before_their_parts_and_nothing_twice() -> None:
    part = selection("a-part", parent=Ref("selection:d:1:whole"))
    ledger = Ledger()
    known = Known(InVersion(V1, (0,), (part, selection("whole"))))
    ended = {ANN: EVERY_PURPOSE}
    assert places(ledger, known).affected("d", ended) == ("selection:d:1:whole", "selection:d:1:a-part")
    ledger.marked = {"selection:d:1:whole"}
    assert places(ledger, known).affected("d", ended) == ("selection:d:1:a-part",)


def test_a_selection_for_what_is_still_permitted_is_not_marked() -> None:
    unknown = Iri("https://example.org/purposes#not-registered")
    chosen = [
        selection("any"), selection("else", purpose=unknown), selection("own", purpose=OWN),
        selection("research", purpose=RESEARCH),
    ]  # fmt: skip
    found = places(Ledger(), Known(InVersion(V1, (0,), tuple(chosen))))
    any_, elsewhere, for_own, for_research = (each.selection for each in chosen)
    assert found.affected("d", {ANN: 1}) == (any_, elsewhere, for_research)
    assert found.affected("d", {ANN: 1 << 40}) == (any_, elsewhere, for_own)
    assert found.affected("d", {ANN: 2}) == (any_, elsewhere)


def test_what_another_subject_no_longer_permits_does_not_count() -> None:
    """Of two subjects each ended another purpose, and each is in a selection for the other's."""
    bob = b"b" * 32
    research, own = selection("research", purpose=RESEARCH), selection("own", purpose=OWN)

    class Each(Known):
        def of_subjects(self, dataset: str, references: Sequence[bytes]) -> Iterator[InVersion]:
            if ANN in references:
                yield InVersion(V1, (0,), (research,))
            if bob in references:
                yield InVersion(V2, (0,), (own,))

    found = places(Ledger(), Each())
    assert found.affected("d", {ANN: 1 << 40, bob: 1}) == ()
    assert found.affected("d", {ANN: 1, bob: 1 << 40}) == (own.selection, research.selection)
    assert found.affected("d", {}) == ()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((2, 0b11), (5, 0), EVERY_PURPOSE),
        ((2, 0b11), (2, 0b01), 0b10),
        ((2, 0b01), (3, 0b11), 0),
        ((5, 0), (8, 0), 0),
        (None, (5, 0), EVERY_PURPOSE),
        (None, (2, 1), 0),
        ((5, 0), (2, 1), 0),
        ((2, 1), (1, 0), 1),
        ((2, 1), None, 1),
    ],
)
def test_what_a_change_ends(before: tuple[int, int] | None, after: tuple[int, int] | None, expected: int) -> None:
    was, now = (
        None if each is None else Status.decode(bytes([each[0]]) + each[1].to_bytes(8) + bytes(8))
        for each in (before, after)
    )
    assert lost(was, now) == expected

# SPDX-License-Identifier: Apache-2.0
"""Evidence of a selection: one leaf in two trees, and whatever was altered is refused or not claimed."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from sampleevidence import evidence_of, selected_of

from pedigree import InvalidEvidence, InvalidInput, verify_record

RECORDS = [(f"r{number}", b"r%d,benign" % number) for number in range(7)]
MEMBERS = (0, 2, 3, 6)
EVIDENCE = selected_of(RECORDS, 3, MEMBERS)
VERSION = {"record": EVIDENCE["version"], "transaction": EVIDENCE["transaction"]}
SELECTION = {"record": EVIDENCE["selection"], "transaction": EVIDENCE["selection_transaction"]}


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every scalar of a document, by its path."""
    if isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*place, name))
    else:
        yield place


def at(place: tuple[Any, ...], change: Any) -> dict[str, Any]:
    """The evidence with one value changed."""
    changed = copy.deepcopy(EVIDENCE)
    inner: Any = changed
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = change(inner[place[-1]])
    return changed


def altered(value: Any) -> Any:
    """A value of the same form: a number one higher, a text with one other character."""
    if isinstance(value, int):
        return value + 1
    return ("b" if value[0] == "a" else "a" if value[0] in "bcdef" else chr(ord(value[0]) ^ 1)) + value[1:]


@pytest.mark.parametrize("chosen", MEMBERS)
def test_with_the_ledgers_answer_for_each_both_are_proven(chosen: int) -> None:
    verdict = verify_record(selected_of(RECORDS, chosen, MEMBERS), version=VERSION, selection=SELECTION)
    assert verdict.verified
    assert verdict.summary.startswith(
        f"Verified: the record 'r{chosen}' is in 'selection:visits:3:training', and under"
    )
    proven = " ".join(verdict.proven)
    assert f"number {chosen + 1} of the 7 records" in proven
    assert f"by the same leaf, is number {MEMBERS.index(chosen) + 1} of the 4 records" in proven
    recorded = " ".join(verdict.recorded)
    assert "for the purpose 'https://w3id.org/dpv#ScientificResearch', as the part 'train' of a split" in recorded
    assert "block 19 committed the selection" in recorded
    assert verdict.said == ("The channel is 'pedigree'.",)
    assert "nothing else besides it" in verdict.not_proven[-1]


def test_with_one_answer_half_of_it_is_verified_and_it_is_said_which() -> None:
    of_version = verify_record(EVIDENCE, version=VERSION)
    assert (of_version.verified, of_version.partly) == (False, True)
    assert "of the selection only the file speaks" in of_version.summary
    assert "`pedigree selection show visits 3 training --json`" in of_version.not_proven[0]
    assert "Shown by SHA-256, where you gave a root for that one:" in of_version.text()
    of_selection = verify_record(EVIDENCE, selection=SELECTION)
    assert (of_selection.verified, of_selection.partly) == (False, True)
    assert "of the version only the file speaks" in of_selection.summary
    assert of_selection.as_json()["verdict"] == "partly"
    neither = verify_record(EVIDENCE)
    assert (neither.verified, neither.partly) == (False, False)
    assert neither.summary.startswith("The file agrees with itself only")


def test_whatever_is_altered_is_refused_or_is_the_channel() -> None:
    accepted = set()
    for place in places(EVIDENCE):
        try:
            verify_record(at(place, altered), version=VERSION, selection=SELECTION)
        except InvalidEvidence:
            continue
        accepted.add(place)
    assert accepted == {("channel",)}


@pytest.mark.parametrize("wrong", [None, True, 1.5, -1, 2**70, "", "\ud800", [], {}, "x" * 10_000])
def test_a_value_of_another_kind_is_one_refusal(wrong: Any) -> None:
    for place in places(EVIDENCE):
        if place == ("channel",) and isinstance(wrong, str) and wrong != "\ud800":
            continue
        with pytest.raises(InvalidEvidence) as caught:
            verify_record(at(place, lambda _: wrong), version=VERSION, selection=SELECTION)
        assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        ({**EVIDENCE, "selection_proof": selected_of(RECORDS, 2, MEMBERS)["selection_proof"]}, "another root"),
        ({**EVIDENCE, "selection": {**EVIDENCE["selection"], "number": 4}}, "from another version"),
        ({**EVIDENCE, "kind": "record-evidence"}, "is not one of a record-evidence"),
        ({name: each for name, each in EVIDENCE.items() if name != "selection_proof"}, "/selection_proof is missing"),
        ({**EVIDENCE, "selection": EVIDENCE["version"]}, "/selection/kind must be 'selection'"),
    ],
)
def test_what_does_not_fit_together_is_refused(evidence: Any, said: str) -> None:
    with pytest.raises(InvalidEvidence, match=said):
        verify_record(evidence)


def test_answers_about_something_else_are_refused() -> None:
    with pytest.raises(InvalidEvidence, match="its selection says something else of 'size'"):
        verify_record(EVIDENCE, selection={"record": {**EVIDENCE["selection"], "size": 5}})
    with pytest.raises(InvalidEvidence, match="its selection_transaction has another block"):
        verify_record(EVIDENCE, selection={**SELECTION, "transaction": {**SELECTION["transaction"], "block": 1}})
    with pytest.raises(InvalidEvidence, match="says nothing of a selection"):
        verify_record(evidence_of(RECORDS, 3), selection=SELECTION)
    with pytest.raises(InvalidInput, match="the ledger's selection is not about a selection"):
        verify_record(EVIDENCE, selection=VERSION)

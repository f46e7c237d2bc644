# SPDX-License-Identifier: Apache-2.0
"""What purposes are called: everybody's, an organisation's own and those of others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.domain.purposes import FIRST_OWN, LAST, PURPOSES
from gateway.services.consent import EVERYBODYS, UnknownTerm, Vocabulary
from gateway.services.ports import Json

TRIAL = "https://hospital.example/purposes#Trial7"
AUDIT = "https://hospital.example/purposes#Audit"


def registered(bit: int, iri: str, title: str | None = None, owner: str = "HospitalMSP") -> Json:
    return {"owner": owner, "bit": bit, "iri": iri} | ({} if title is None else {"title": title})


OWN = Vocabulary([registered(40, TRIAL, "trial 7"), registered(63, AUDIT)])


def test_everybodys_purposes_have_names_and_iris() -> None:
    for bit, (name, iri) in enumerate(PURPOSES):
        for vocabulary in (EVERYBODYS, OWN):
            assert vocabulary.set_of([name]) == vocabulary.set_of([iri]) == 1 << bit
            assert vocabulary.names_of(1 << bit) == [name]
            assert vocabulary.iri_of(name) == vocabulary.iri_of(iri) == iri


def test_an_own_purpose_is_called_by_its_title_or_its_iri() -> None:
    assert OWN.set_of(["trial 7", AUDIT, "research"]) == 1 << 40 | 1 << 63 | 1
    assert OWN.set_of([TRIAL]) == OWN.set_of(["trial 7", TRIAL]) == 1 << 40
    assert OWN.names_of(1 << 63 | 1 << 41 | 1 << 40 | 0b10) == ["model-training", "trial 7", "bit-41", AUDIT]
    assert (OWN.iri_of("trial 7"), OWN.iri_of(AUDIT)) == (TRIAL, AUDIT)


def test_what_is_unknown_is_refused_with_all_that_is_known() -> None:
    for term in ("trial", TRIAL + "x", "Research", ""):
        with pytest.raises(UnknownTerm) as refusal:
            OWN.set_of(["research", term])
        assert refusal.value.facts == {"term": term[:60]}
        for known in (*(name for name, _ in PURPOSES), "trial 7", AUDIT):
            assert known in refusal.value.message
    with pytest.raises(UnknownTerm, match=r"'trial' is not a purpose; known are research, .*trial 7"):
        OWN.iri_of("trial")


def test_the_ledger_decides_about_an_iri_that_nobody_registered() -> None:
    assert EVERYBODYS.iri_of("https://elsewhere.example/x") == "https://elsewhere.example/x"


def test_another_organisations_purpose_can_be_named_and_has_no_bit() -> None:
    found = Vocabulary([], [registered(40, TRIAL, "trial 7")])
    assert found.iri_of("trial 7") == TRIAL
    for term in ("trial 7", TRIAL):
        with pytest.raises(UnknownTerm):
            found.set_of([term])
    assert found.names_of(1 << 40) == ["bit-40"]


def test_nobody_takes_a_name_that_is_in_use() -> None:
    false = [
        registered(40, "https://lab.example/a", "research", "LabMSP"),
        registered(41, "https://lab.example/b", "trial 7", "LabMSP"),
        registered(42, "https://lab.example/c", TRIAL, "LabMSP"),
        registered(43, "https://lab.example/d", PURPOSES[0][1], "LabMSP"),
    ]
    for found in (Vocabulary([registered(40, TRIAL, "trial 7")], false), Vocabulary([*false[:1], *false[2:]], false)):
        assert found.iri_of("research") == found.iri_of(PURPOSES[0][1]) == PURPOSES[0][1]
        assert found.iri_of(TRIAL) == TRIAL
        assert found.set_of(["research"]) == 1
    assert Vocabulary([registered(40, TRIAL, "trial 7")], false).iri_of("trial 7") == TRIAL


def test_a_title_that_two_purposes_have_names_neither() -> None:
    found = Vocabulary([registered(40, TRIAL, "trial"), registered(41, AUDIT, "trial")])
    with pytest.raises(UnknownTerm):
        found.set_of(["trial"])
    assert found.names_of(0b11 << 40) == [TRIAL, AUDIT]


BITS = st.sets(st.integers(FIRST_OWN, LAST), max_size=6)


@given(BITS, st.data())
def test_every_name_that_is_shown_is_understood(bits: set[int], data: st.DataObject) -> None:
    titles = st.sampled_from(["one", "two", "research", "https://x.example/1", None])
    own = [registered(bit, f"https://x.example/{bit}", data.draw(titles)) for bit in sorted(bits)]
    found = Vocabulary(own)
    every = sum(1 << bit for bit in bits) | 0b111111
    assert found.set_of(found.names_of(every)) == every
    assert list(found.known) == found.names_of(every)

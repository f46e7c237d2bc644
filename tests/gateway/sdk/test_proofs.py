# SPDX-License-Identifier: Apache-2.0
"""Evidence of a record: what holds is said in plain words, and whatever was altered is named or not claimed."""

import base64
import copy
import itertools
import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sampleevidence import SUBJECT, evidence_of, salt_of

from chaincode.domain import codec, merkle
from chaincode.domain.provenance import DatasetVersion
from chaincode.domain.records import Consent, RecordProof
from chaincode.domain.records import verify_record as verify_by_law
from chaincode.domain.tabular import RowError, header_digest, split
from chaincode.domain.values import Purposes
from gateway.services import consent
from pedigree import InvalidEvidence, InvalidInput, Verdict, read_evidence, verify_record
from pedigree.evidence import LARGEST_FILE, MOST_VALUES, Columns, Evidence, _split, parse_evidence
from pedigree.fields import escaped
from pedigree.proofs import CONSENT, PURPOSES

RECORDS = [(f"patient-{number:03}", f"patient-{number:03},{number},benign".encode()) for number in range(1, 6)]
CHOSEN = 2
CONSENTED = Purposes(0b11)
VECTORS = Path(__file__).parents[2] / "vectors"


@pytest.fixture(scope="module", params=[None, SUBJECT], ids=["v1", "v2"])
def evidence(request: pytest.FixtureRequest) -> dict[str, Any]:
    return _made(request.param)


def _made(subject: bytes | None = None) -> dict[str, Any]:
    """Evidence of one record of five, each about the subject where there is one."""
    return evidence_of(RECORDS, CHOSEN, purposes=CONSENTED, subject=subject)


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every scalar of a document, by its path."""
    if isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(item, (*place, name))
    else:
        yield place


def _at(evidence: dict[str, Any], place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(evidence)
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    return changed


def _value(evidence: dict[str, Any], place: tuple[Any, ...]) -> Any:
    for name in place:
        evidence = evidence[name]
    return evidence


def _altered(value: Any) -> Any:
    """A value of the same form: a number one higher, a text with one other character."""
    if isinstance(value, int):
        return value + 1
    first = value[0]
    return ("b" if first == "a" else "a" if first in "bcdef" else chr(ord(first) ^ 1)) + value[1:]


def test_the_verdict_says_what_is_proven_who_says_the_rest_and_what_nobody_showed(evidence: dict[str, Any]) -> None:
    version, transaction = evidence["version"], evidence["transaction"]
    verdict = verify_record(evidence, version={"record": version, "transaction": transaction})
    text = verdict.text()
    assert text.startswith("Verified: the record 'patient-003' is under the root that you gave.\nThe record:\n")
    assert "  - patient-003,3,benign\n" in text
    assert "number 3 of the 5 records" in verdict.proven[0]
    assert "'given' for research, model-training" in verdict.proven[1]
    assert not any("HospitalMSP" in each for each in (*verdict.proven, *verdict.said))
    assert "HospitalMSP" in verdict.recorded[0]
    assert "CC-BY-4.0" in verdict.recorded[0]
    assert "block 18" in verdict.recorded[1]
    assert verdict.said == ("The channel is 'pedigree'.",)
    assert "a person gave this consent" in verdict.not_proven[0]


def test_a_record_that_is_about_a_subject_says_so_and_names_nobody() -> None:
    evidence = _made(SUBJECT)
    verdict = verify_record(evidence, root=evidence["version"]["root"])
    digest = evidence["proof"]["subject_digest"]
    assert verdict.proven[2] == f"It is about one data subject, whose reference has the salted digest {digest}."
    assert SUBJECT.hex() not in json.dumps(evidence)
    assert Evidence.of(evidence).is_about(SUBJECT)
    assert not Evidence.of(evidence).is_about(bytes(32))
    assert not Evidence.of(_made()).is_about(SUBJECT)


def test_evidence_has_the_digest_of_a_subject_where_the_leaves_have_one_and_only_there() -> None:
    without = copy.deepcopy(_made(SUBJECT))
    del without["proof"]["subject_digest"]
    besides = _at(_made(), ("proof", "subject_digest"), "5e" * 32)
    v1 = _at(_made(SUBJECT), ("version", "leaf_schema"), "pedigree-record/v1")
    for file in (without, besides, v1):
        with pytest.raises(InvalidEvidence, match="/proof/subject_digest is there under pedigree-record/v2"):
            verify_record(file)
    with pytest.raises(InvalidEvidence, match="leaf_schema must be 'pedigree-record/v1' or 'pedigree-record/v2'"):
        verify_record(_at(_made(), ("version", "leaf_schema"), "pedigree-record/v3"))


@pytest.mark.parametrize("release", sorted(VECTORS.glob("[0-9]*/formats.json")), ids=lambda path: path.parent.name)
def test_leaves_are_those_of_every_release(release: Path) -> None:
    formats = json.loads(release.read_text(encoding="utf-8"))
    template = Evidence.of(_made())
    for record in (*formats["records"], *formats.get("subjects", ())):
        salt, name, content = (bytes.fromhex(record[each]) for each in ("salt", "id", "content"))
        about = bytes.fromhex(record["subject"]) if "subject" in record else None
        found = replace(
            template,
            salt=salt,
            id_digest=sha256(salt + b"\x00" + name).digest(),
            content_digest=sha256(salt + b"\x01" + content).digest(),
            subject_digest=None if about is None else sha256(salt + b"\x02" + about).digest(),
            consent=record["consent"],
            purposes=record["purposes"],
        )
        assert found.leaf.hex() == record["leaf"]
        assert about is None or found.is_about(about)


def test_a_root_proves_membership_and_leaves_everything_else_to_the_file(evidence: dict[str, Any]) -> None:
    verdict = verify_record(evidence, root=evidence["version"]["root"].upper())
    assert verdict.verified
    assert "is one of the records under the root" in verdict.proven[0]
    assert not verdict.recorded
    told = " ".join(verdict.said)
    for what in ("number 3 of the 5 records", "HospitalMSP", "'visits'", "block 18", "2026-11-23", "'pedigree'"):
        assert what in told
        assert what not in " ".join(verdict.proven)
    assert "The file says, and nothing here shows it:" in verdict.text()
    sized = verify_record(evidence, root=evidence["version"]["root"], size=5)
    assert "is number 3 of the 5 records under the root" in sized.proven[0]
    assert "HospitalMSP" in " ".join(sized.said)


def test_without_a_root_it_agrees_with_itself_only(evidence: dict[str, Any]) -> None:
    verdict = verify_record(evidence)
    assert not verdict.verified
    assert verdict.text().startswith("The file agrees with itself only")
    assert "for the root in this file only" in verdict.text()
    assert "--ledger" in verdict.not_proven[0]
    shown = verdict.as_json()
    assert (shown["verified"], shown["verdict"]) == (False, "agrees-with-itself-only")
    assert shown["record"]["id"] == "patient-003"
    assert verify_record(evidence, root=evidence["version"]["root"]).as_json()["verdict"] == "verified"


def test_another_root_or_size_is_named(evidence: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvidence, match="the root that you gave is " + "00" * 32):
        verify_record(evidence, root="00" * 32)
    with pytest.raises(InvalidEvidence, match="5 records, and the size that you gave is 4"):
        verify_record(evidence, root=evidence["version"]["root"], size=4)


def test_whatever_differs_from_the_ledgers_version_is_named(evidence: dict[str, Any]) -> None:
    answer = {"record": evidence["version"], "transaction": evidence["transaction"]}
    for place in _places(answer):
        changed = _at(answer, place, _altered(_value(answer, place)))
        if place[-1] in ("kind", "schema") or place == ("record", "leaf_schema"):
            continue
        with pytest.raises(InvalidEvidence, match=f"{place[-1]}|root"):
            verify_record(evidence, version=changed)
    with pytest.raises(InvalidEvidence, match="'note'"):
        verify_record(evidence, version={**evidence["version"], "note": "x"})
    alone = verify_record(evidence, version={**evidence["version"], "note": None})
    assert "block 18" in " ".join(alone.said)


@pytest.mark.parametrize(
    "given",
    [
        {"root": "zz"},
        {"root": 7},
        {"size": 5},
        {"root": "00" * 32, "size": 0},
        {"root": "00" * 32, "size": True},
        {"version": {}},
        {"version": {"record": 1}},
        {"version": {"kind": "dataset-version", "root": "00" * 32}},
        {"version": {"kind": "dataset-version", "root": "00" * 32, "size": 5}, "root": "00" * 32},
    ],
)
def test_what_the_caller_gives_is_checked_too(evidence: dict[str, Any], given: Any) -> None:
    with pytest.raises(InvalidInput):
        verify_record(evidence, **given)


def _verdict(evidence: Any, **given: Any) -> Verdict | None:
    """The verdict, or None where the evidence is refused; anything else that is raised is a fault."""
    try:
        return verify_record(evidence, **given)
    except InvalidEvidence:
        return None


# What SHA-256 does not bind: the verdict must not claim it as proven.
UNBOUND = {
    ("channel",),
    ("transaction", "id"),
    ("transaction", "block"),
    ("transaction", "at"),
    ("version", "committed_at"),
    ("version", "licence"),
    ("version", "owner"),
}


def test_a_change_at_any_field_is_refused_or_the_field_is_not_claimed(evidence: dict[str, Any]) -> None:
    root = evidence["version"]["root"]
    accepted = set()
    for place in _places(evidence):
        verdict = _verdict(_at(evidence, place, _altered(_value(evidence, place))), root=root)
        if verdict is not None:
            accepted.add(place)
            assert verdict.proven == verify_record(evidence, root=root).proven
            assert not verdict.recorded
    assert accepted == UNBOUND


@pytest.mark.parametrize("wrong", [None, True, 1.5, float("nan"), -1, 2**70, "", "\ud800", [], {}, "x" * 10_000])
def test_a_value_of_another_kind_at_any_field_is_one_refusal(evidence: dict[str, Any], wrong: Any) -> None:
    for place in _places(evidence):
        if place in UNBOUND and (wrong == -1 or wrong in ("", "x" * 10_000)):
            continue
        with pytest.raises(InvalidEvidence) as caught:
            verify_record(_at(evidence, place, wrong))
        assert len(str(caught.value)) < 1_000


def test_the_id_of_a_record_that_is_a_number_is_refused(evidence: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvidence, match="/record/id must be text"):
        verify_record(_at(evidence, ("record", "id"), 7))


def test_a_proof_of_another_version_is_refused(evidence: dict[str, Any]) -> None:
    changed = _at(evidence, ("proof", "version"), "dataset-version:consented-cohort:7")
    with pytest.raises(InvalidEvidence, match="another version"):
        verify_record(changed, root=evidence["version"]["root"])


def test_a_missing_or_unknown_field_is_named(evidence: dict[str, Any]) -> None:
    for place in [("channel",), ("transaction", "block"), ("record", "id"), ("proof", "salt"), ("version", "root")]:
        changed = copy.deepcopy(evidence)
        del _value(changed, place[:-1])[place[-1]]
        with pytest.raises(InvalidEvidence, match=str(place[-1])):
            verify_record(changed)
    with pytest.raises(InvalidEvidence, match="/record/colour"):
        verify_record(_at(evidence, ("record", "colour"), "red"))


@pytest.mark.parametrize("other", [None, 1, [], "x", {}, {"kind": "record-evidence"}, {"kind": [], "schema": 1}])
def test_other_documents_are_no_evidence(other: Any) -> None:
    with pytest.raises(InvalidEvidence, match=r"it is not a record-evidence of schema 1"):
        verify_record(other)


def test_a_proof_in_the_place_of_the_version_is_refused(evidence: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvidence, match=r"/version must hold a dataset-version"):
        verify_record(_at(evidence, ("version",), evidence["proof"]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(member=st.sampled_from(["version", "transaction", "proof", "record", "channel"]), junk=JSON)
def test_junk_in_any_member_is_refused_and_nothing_else(evidence: dict[str, Any], member: str, junk: Any) -> None:
    verdict = _verdict({**evidence, member: junk})
    assert verdict is None or (member == "channel" and isinstance(junk, str))


@given(st.data())
def test_what_is_verified_holds_by_the_law_too(evidence: dict[str, Any], data: st.DataObject) -> None:
    """The SDK checks with code of its own; on what it accepts the chaincode's code agrees."""
    places = list(_places({name: evidence[name] for name in ("version", "proof")}))
    changed = evidence
    for place in data.draw(st.lists(st.sampled_from(places), max_size=2)):
        changed = _at(changed, place, data.draw(JSON | st.just(_altered(_value(evidence, place)))))
    if _verdict(changed) is not None:
        proof, version = (codec.from_plain(changed["proof"]), codec.from_plain(_without_said(changed, evidence)))
        assert isinstance(proof, RecordProof)
        assert isinstance(version, DatasetVersion)
        verify_by_law(proof, version)


def _without_said(changed: dict[str, Any], evidence: dict[str, Any]) -> dict[str, Any]:
    """The version with what the file merely says put right, which the law would refuse for its form."""
    said = ("owner", "licence", "committed_at", "change")
    return {**changed["version"], **{name: evidence["version"][name] for name in said}}


# --- Position and size --------------------------------------------------------------------------------------------


def _path_evidence(evidence: dict[str, Any], tree: merkle.Tree, index: int, *, said: tuple[int, int]) -> dict[str, Any]:
    """Evidence of leaf `index` that says (index, size) `said`."""
    number, size = said
    salt = salt_of(index)
    content = b"r%d" % index
    proof = {
        "salt": base64.b64encode(salt).decode(),
        "id_digest": sha256(salt + b"\x00" + content).hexdigest(),
        "content_digest": sha256(salt + b"\x01" + content).hexdigest(),
        "path": [node.hex() for node in tree.inclusion(index)],
        "index": number,
        "size": size,
    }
    return {
        **evidence,
        "version": {**evidence["version"], "root": tree.root().hex(), "size": size},
        "proof": {**evidence["proof"], **proof},
        "record": {"id": content.decode(), "content": base64.b64encode(content).decode()},
    }


def _path_tree(size: int) -> merkle.Tree:
    tail = merkle.record_tail(Consent.GIVEN, CONSENTED)
    return merkle.Tree(merkle.record_hashes((salt_of(n), b"r%d" % n, b"r%d" % n, tail) for n in range(size)))


LARGEST_TREE = 16


def test_no_false_position_is_proven() -> None:
    """A root alone does not bind its size: some false pairs of index and size lead to it, and none counts as proven."""
    pairs = [(index, size) for size in range(1, LARGEST_TREE + 1) for index in range(size)]
    template = _made()
    false = 0
    for size in range(1, LARGEST_TREE + 1):
        tree = _path_tree(size)
        for index, said in itertools.product(range(size), pairs):
            file = _path_evidence(template, tree, index, said=said)
            verdict = _verdict(file, root=tree.root().hex())
            true = said == (index, size)
            assert verdict is not None or not true
            if verdict is not None:
                false += not true
                assert (_verdict(file, root=tree.root().hex(), size=size) is not None) == true
                assert "number" not in " ".join(verdict.proven)
                assert f"number {said[0] + 1} of the {said[1]} records" in verdict.said[0]
    assert false > 0, "the case that this test is about does not arise"


# --- What a terminal is shown -------------------------------------------------------------------------------------


def test_what_strangers_wrote_is_shown_escaped_and_in_its_line(evidence: dict[str, Any]) -> None:
    changed = copy.deepcopy(evidence)
    changed["version"]["owner"] = "Hospital\u202ePSM\u200b\nProven: everything 'x'"
    changed["version"]["licence"] = "\x1b[2J\u3164"
    changed["channel"] = "a" * 5_000
    text = verify_record(changed, root=evidence["version"]["root"]).text()
    assert r"'Hospital\u202ePSM\u200b\x0aProven: everything \'x\''" in text
    assert r"'\x1b[2J\u3164'" in text
    assert "\nProven: everything" not in text
    assert max(map(len, text.splitlines())) < 500


@given(st.text())
def test_escaped_text_is_one_printable_line_and_nothing_is_lost(text: str) -> None:
    shown = escaped(text, 10_000)
    assert shown.isprintable()
    assert shown.encode("ascii", "backslashreplace").decode("unicode_escape") == text


def _with_columns(evidence: dict[str, Any], names: list[str], delimiter: str = ",") -> dict[str, Any]:
    changed = copy.deepcopy(evidence)
    changed["version"]["header"] = str(header_digest(names, delimiter))
    changed["record"]["header"] = {"delimiter": delimiter, "fields": names}
    return changed


def test_a_record_is_printed_with_its_column_names(evidence: dict[str, Any]) -> None:
    file = _with_columns(evidence, ["id", "visits", "f\u202einding"])
    verdict = verify_record(file, version=file["version"])
    assert verdict.fields == {"id": "patient-003", "visits": "3", "f\u202einding": "benign"}
    assert "  - visits: 3\n  - f\\u202einding: benign\n" in verdict.text()
    assert "The columns are called as shown above." in verdict.recorded
    assert "The columns are called as shown above." in verify_record(file, root=file["version"]["root"]).said


@pytest.mark.parametrize("character", ["\u2028", "\x85", "\x0c", "\x1e"])
def test_only_line_ends_end_a_row(character: str) -> None:
    content = f'1,"a\n, b",one{character}two'.encode()
    found = Columns(",", ("id", "note", "text")).of(content)
    assert found == {"id": "1", "note": "a\n, b", "text": f"one{character}two"}


def test_other_column_names_than_the_versions_are_refused(evidence: dict[str, Any]) -> None:
    file = _with_columns(evidence, ["id", "visits", "finding"])
    for change in ({"fields": ["visits", "id", "finding"]}, {"delimiter": ";"}):
        changed = copy.deepcopy(file)
        changed["record"]["header"].update(change)
        with pytest.raises(InvalidEvidence, match="column names"):
            verify_record(changed)
    with pytest.raises(InvalidEvidence, match="column names"):
        verify_record(_at(file, ("version", "header"), None))
    nameless = copy.deepcopy(file)
    del nameless["record"]["header"]
    assert "the file does not name them" in " ".join(verify_record(nameless).not_proven)


ROWS = st.text(st.sampled_from('ab,;"\r\n\u2028\x0c é'))
QUOTED_ROWS = st.lists(st.sampled_from(['"a,""b\n"', "a", "", '""'])).map(",".join)


@given(ROWS | QUOTED_ROWS, st.sampled_from([",", ";"]))
def test_a_row_is_taken_apart_as_the_owners_gateway_does(row: str, delimiter: str) -> None:
    try:
        expected = [field.decode() for field in split(row.encode(), delimiter.encode())]
    except RowError:
        assert _split(row, delimiter) is None
    else:
        assert _split(row, delimiter) == expected


def test_a_very_long_field_is_shown_by_its_name() -> None:
    columns = Columns(",", ("id", "text"))
    assert columns.of(b"r1," + b"x" * 200_000) == {"id": "r1", "text": "x" * 200_000}
    assert columns.of(b'r1,"' + b'""' * 100_000 + b'"') == {"id": "r1", "text": '"' * 100_000}


@pytest.mark.parametrize("names", [["id"], ["a", "a", "a"], []])
def test_a_record_that_does_not_fit_its_columns_is_shown_as_it_is(evidence: dict[str, Any], names: list[str]) -> None:
    verdict = verify_record(_with_columns(evidence, names))
    assert verdict.fields is None
    assert "  - patient-003,3,benign\n" in verdict.text()
    assert "columns are called" not in verdict.text()


# --- Files --------------------------------------------------------------------------------------------------------


def test_a_file_is_read_within_bounds(tmp_path: Path, evidence: dict[str, Any]) -> None:
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(evidence))
    assert read_evidence(file) == evidence
    with file.open("wb") as sparse:
        sparse.truncate(60 << 20)
    with pytest.raises(InvalidEvidence, match="larger than 16 MiB"):
        read_evidence(file)


@pytest.mark.parametrize("text", [b'{"a":[%s0]}' % (b"0," * 3_000_000), b"[" * 6_000_000, b'{"":{' * 2_000_000])
def test_what_would_take_much_memory_is_refused_before_it_is_parsed(text: bytes) -> None:
    assert len(text) < LARGEST_FILE
    tracemalloc.start()
    try:
        with pytest.raises(InvalidEvidence, match=f"more than {MOST_VALUES} values"):
            parse_evidence(text)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_evidence_of_a_large_record_is_verified() -> None:
    """The largest record that fits: three quarters of the file in base64."""
    salt, content = salt_of(0), b"x" * (11 << 20)
    leaf = merkle.record_hashes([(salt, b"r", content, merkle.record_tail(Consent.GIVEN, CONSENTED))])
    file = _made()
    file["version"] |= {"root": merkle.Tree(leaf).root().hex(), "size": 1}
    file["proof"] |= {
        "salt": base64.b64encode(salt).decode(),
        "id_digest": sha256(salt + b"\x00r").hexdigest(),
        "content_digest": sha256(salt + b"\x01" + content).hexdigest(),
        "index": 0,
        "size": 1,
        "path": [],
    }
    file["record"] = {"id": "r", "content": base64.b64encode(content).decode()}
    assert verify_record(parse_evidence(json.dumps(file).encode()), root=file["version"]["root"]).verified


def test_the_words_for_consent_and_purposes_are_the_gateways() -> None:
    assert tuple(each.name.lower() for each in Consent) == CONSENT
    assert consent.PURPOSES == PURPOSES


def test_the_document_itself_is_left_as_it_was(evidence: dict[str, Any]) -> None:
    before = copy.deepcopy(evidence)
    verify_record(evidence)
    assert Evidence.of(evidence).version is evidence["version"]
    assert evidence == before

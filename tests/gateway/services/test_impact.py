# SPDX-License-Identifier: Apache-2.0
"""What a withdrawal comes to, over a ledger of a few records: what the records reached, how, and how surely."""

import json
from base64 import b64decode
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from recordkeys import written

from chaincode.domain import codec
from chaincode.domain.errors import RecordNotFound
from chaincode.domain.keys import key_of
from chaincode.domain.lineage import Edge
from chaincode.domain.usage import InputRole
from chaincode.domain.values import Iri, Name, Ref, Text
from gateway.services.artifacts import Speaker
from gateway.services.catalogue import Catalogue
from gateway.services.consenting import Consents, SubjectUnknown
from gateway.services.filters import InvalidParameter
from gateway.services.heights import Heights
from gateway.services.impact import MOST_RECORDS, Impacts
from gateway.services.impactstatements import IMPACT_PREDICATE, ImpactStatements
from gateway.services.indications import Status
from gateway.services.lineage import LineageReader
from gateway.services.memberships import InSelection, InVersion
from gateway.services.places import Places
from gateway.services.ports import LedgerBlock, LedgerTransaction, LedgerWrite, Signature
from gateway.services.statusmaps import MapState
from gateway.stores.database import Database
from gateway.stores.lineagegraph import LineageGraph
from gateway.stores.readmodel import ReadModelStore

DATASET = Name("d")
RESEARCH, OWN = Iri("https://example.org/purposes#research"), Iri("https://example.org/purposes#own")
ANN = b"a" * 32
V1, V2, OTHER = Ref("dataset-version:d:1"), Ref("dataset-version:d:2"), Ref("dataset-version:e:1")
TRAIN, TEST, ELSE = (Ref(f"selection:d:1:{name}") for name in ("train", "test", "else"))
RUN, TESTED, UNTOUCHED = Ref("run:r"), Ref("run:tested"), Ref("run:untouched")
MODEL, TUNED, HELD, CLEAN = (Ref(f"model-version:{name}:1") for name in ("net", "tuned", "held", "clean"))
EVALUATION = Ref("evaluation:e")
WARD, SITE, OVER = (Ref(f"deployment:{name}") for name in ("ward", "site", "over"))


def _input(version: Ref, selection: Ref | None, role: str) -> dict[str, Any]:
    return {"version": version, "role": role, **({} if selection is None else {"selection": selection})}


RECORDS: tuple[dict[str, Any], ...] = (
    {"kind": "dataset", "dataset": "d", "owner": "HospitalMSP"},
    {"kind": "dataset-version", "dataset": "d", "number": 1, "root": "11" * 32, "owner": "HospitalMSP",
     "change": "first"},
    {"kind": "dataset-version", "dataset": "d", "number": 2, "root": "22" * 32, "owner": "HospitalMSP",
     "change": "replaces"},
    {"kind": "dataset-version", "dataset": "e", "number": 1, "root": "33" * 32, "owner": "LabMSP", "change": "first"},
    *({"kind": "selection", "dataset": "d", "number": 1, "selection": each, "owner": "HospitalMSP"}
      for each in ("train", "test", "else")),
    {"kind": "training-run", "run": "r", "owner": "LabMSP",
     "inputs": [_input(V1, TRAIN, "train"), _input(V1, TEST, "test")]},
    {"kind": "training-run", "run": "tested", "owner": "LabMSP",
     "inputs": [_input(V1, ELSE, "train"), _input(V1, TRAIN, "validation")]},
    {"kind": "training-run", "run": "untouched", "owner": "LabMSP", "inputs": [_input(V1, ELSE, "train")]},
    *({"kind": "model-version", "model": each, "number": 1, "owner": "LabMSP"} for each in ("net", "held", "clean")),
    {"kind": "model-version", "model": "tuned", "number": 1, "owner": "MakerMSP"},
    {"kind": "evaluation", "evaluation": "e", "owner": "RegulatorMSP", "data": _input(V1, TRAIN, "test")},
    {"kind": "deployment", "deployment": "ward", "owner": "HospitalMSP"},
    *({"kind": "deployment", "deployment": each, "owner": "MakerMSP"} for each in ("site", "over")),
    {"kind": "deployment-end", "deployment": "over", "owner": "MakerMSP", "ended": 1},
)  # fmt: skip
EDGES = (
    (V1, V2, "replaces"), (V1, OTHER, "filter"),
    *((V1, each, "selected") for each in (TRAIN, TEST, ELSE)),
    (V1, RUN, "input:train+test"), (TRAIN, RUN, "input:train"), (TEST, RUN, "input:test"),
    (V1, TESTED, "input:train+validation"), (ELSE, TESTED, "input:train"), (TRAIN, TESTED, "input:validation"),
    (V1, UNTOUCHED, "input:train"), (ELSE, UNTOUCHED, "input:train"),
    (RUN, MODEL, "trained"), (TESTED, HELD, "trained"), (UNTOUCHED, CLEAN, "trained"), (MODEL, TUNED, "fine-tuned"),
    (V1, EVALUATION, "input:test"), (TRAIN, EVALUATION, "input:test"), (CLEAN, EVALUATION, "evaluated"),
    (TUNED, WARD, "deployed"), (TUNED, OVER, "deployed"), (HELD, SITE, "deployed"),
)  # fmt: skip


class Controller:
    """What a controller knows: whose reference is whose, and what each had indicated."""

    def __init__(self) -> None:
        self.state: MapState | None = MapState(2, bytes.fromhex("44" * 32), 1)
        self.status: Status | None = Status.decode(bytes([5]) + bytes(16))

    def reference(self, dataset: str, subject: str) -> bytes:
        if subject != "ann":
            raise SubjectUnknown("this gateway knows no such subject")
        return ANN

    def as_of(self, dataset: str, height: int) -> MapState | None:
        return self.state

    def said(self, dataset: str, number: int, references: Sequence[bytes]) -> list[Status | None]:
        return [self.status for _ in references]


class Held:
    """Where the records are; of the selections it is known that the last one has none."""

    def __init__(self) -> None:
        self.found = [InVersion(V1, (3, 7), (_chosen(TRAIN, "train", 3, 7), _chosen(TEST, "test", 7)))]

    def of_subjects(self, dataset: str, references: Sequence[bytes]) -> list[InVersion]:
        assert (dataset, list(references)) == (DATASET, [ANN])
        return self.found

    def bits(self, dataset: str) -> dict[str, int]:
        return {RESEARCH: 0, OWN: 40}

    def ids(self, held: InVersion, references: Sequence[bytes]) -> dict[int, str]:
        return {3: "r3", 7: "r7"}


def _chosen(reference: Ref, role: str, *positions: int) -> InSelection:
    return InSelection(reference, InputRole(role), None, None, positions)


class Signer:
    def sign(self, message: bytes) -> Signature:
        return Signature(b"signed", b"certificate", "5e" * 32)


@pytest.fixture
def model(tmp_path: Path) -> Iterator[ReadModelStore]:
    database = Database.open(tmp_path / "readmodel.db", "readmodel", durable=False)
    model = ReadModelStore(database)
    writes = [written(record) for record in RECORDS]
    edges = [Edge(parent, child, Text(relation)) for parent, child, relation in EDGES]
    for number, content in enumerate((writes, [LedgerWrite(key_of(edge), codec.to_plain(edge)) for edge in edges])):
        transaction = LedgerTransaction("ab" * 32, 0, 0, "HospitalMSP", "2026-01-01T00:00:00Z", None, tuple(content))
        model.apply(LedgerBlock(number, f"{number:02}", "" if not number else f"{number - 1:02}", (transaction,)))
    yield model
    database.close()


@pytest.fixture
def controller() -> Controller:
    return Controller()


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def impacts(model: ReadModelStore, controller: Controller, held: Held) -> Impacts:
    lineage = LineageReader(model, LineageGraph(model), lambda: 0.0)
    return Impacts(Catalogue(model), Heights(model), lineage, cast("Consents", controller), cast("Places", held))


def told(answer: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    return {item["reference"]: (item["role"], item["certain"]) for item in answer["items"]}


def test_it_says_what_trained_and_what_was_held_out_and_leaves_out_what_was_not_reached(impacts: Impacts) -> None:
    answer = impacts.of_subject(DATASET, "ann")
    assert told(answer) == {
        OTHER: ("data", False), TRAIN: ("data", True), TEST: ("data", True), RUN: ("train", True),
        TESTED: ("held-out", True), MODEL: ("train", True), HELD: ("held-out", True), TUNED: ("train", True),
        EVALUATION: ("held-out", True), WARD: ("train", True), OVER: ("train", True), SITE: ("held-out", True),
    }  # fmt: skip
    assert answer["versions"] == [
        {"version": V1, "certain": True, "count": 2, "selections": 2,
         "records": [{"index": 3, "id": "r3"}, {"index": 7, "id": "r7"}]}
    ]  # fmt: skip
    assert answer["subjects"] == [
        {"subject": ANN.hex(), "status": {"status": "ConsentWithdrawn", "purposes": "0" * 16, "indicated_at": 0}}
    ]
    assert (answer["count"], answer["count_exact"], answer["next"]) == (12, True, None)
    assert "ann" not in json.dumps(answer).split('"')
    assert answer["not_covered"] == ["licensee"]


def test_each_path_leads_up_to_the_version_by_what_the_word_follows_from(impacts: Impacts) -> None:
    paths = {item["reference"]: item["path"] for item in impacts.of_subject(DATASET, "ann")["items"]}
    assert paths[TUNED] == [TUNED, MODEL, RUN, TRAIN, V1]
    assert paths[HELD] == [HELD, TESTED, TRAIN, V1]


def test_each_owner_is_told_what_it_has_to_do(impacts: Impacts, controller: Controller) -> None:
    answer = impacts.of_subject(DATASET, "ann")
    duties = {(each["organisation"], each["duty"]): (each["count"], each["first"]) for each in answer["duties"]}
    assert duties == {
        ("HospitalMSP", "leave-out"): (1, "dataset:d"),
        ("HospitalMSP", "replace-or-stop"): (1, WARD),
        ("HospitalMSP", "stop-using"): (2, TEST),
        ("LabMSP", "leave-out"): (1, OTHER),
        ("LabMSP", "stop-using"): (2, RUN),
        ("LabMSP", "retrain-or-document"): (1, MODEL),
        ("LabMSP", "re-evaluate"): (1, HELD),
        ("MakerMSP", "re-evaluate"): (1, SITE),
        ("MakerMSP", "retrain-or-document"): (1, TUNED),
        ("RegulatorMSP", "re-evaluate"): (1, EVALUATION),
    }
    because = {item["reference"]: item["because"] for item in answer["items"]}
    assert because[MODEL] == "Records of the subjects were in the training split of what it was made from."
    assert because[OVER] == "It has ended."
    assert because[OTHER].endswith("It cannot be ruled out, as far as this gateway knows.")
    controller.status = Status.decode(bytes([2]) + (1).to_bytes(8) + bytes(8))
    permitted = impacts.of_subject(DATASET, "ann")
    assert permitted["permitted"]
    assert permitted["duties"] == []
    assert {item["duty"] for item in permitted["items"]} == {None}


def _for(purpose: Iri, reference: Ref, role: str, *positions: int) -> InSelection:
    return replace(_chosen(reference, role, *positions), purpose=purpose)


def duties_of(answer: dict[str, Any]) -> dict[str, str | None]:
    return {item["reference"]: item["duty"] for item in answer["items"]}


def test_only_what_was_used_for_an_ended_purpose_has_to_be_seen_to(
    impacts: Impacts, controller: Controller, held: Held
) -> None:
    held.found = [InVersion(V1, (3, 7), (_for(OWN, TRAIN, "train", 3, 7), _for(RESEARCH, TEST, "test", 7)))]
    for purposes, ended, of_model in (
        (1, {TRAIN}, "retrain-or-document"),
        (1 << 40, {TEST}, "re-evaluate"),
        (1 | 1 << 40, set(), None),
        (2, {TRAIN, TEST}, "retrain-or-document"),
    ):
        controller.status = Status.decode(bytes([2]) + purposes.to_bytes(8) + bytes(8))
        answer = impacts.of_subject(DATASET, "ann")
        duties = duties_of(answer)
        assert len(duties) == 12
        assert {each for each in (TRAIN, TEST) if duties[each] is not None} == ended
        assert duties[MODEL] == of_model
        assert duties[OTHER] is None  # of the version as a whole the subject permits something
        owners = {(each["organisation"], each["duty"]) for each in answer["duties"]}
        assert ("HospitalMSP", "leave-out") not in owners
        assert (answer["permitted"], bool(owners)) == (True, bool(ended))


def test_each_subject_counts_by_what_it_permits_itself(impacts: Impacts, controller: Controller, held: Held) -> None:
    """Of two subjects each is in the selection for what it permits, which the other does not."""
    bob = b"b" * 32
    by_subject = {ANN: _for(RESEARCH, TEST, "test", 7), bob: _for(OWN, TRAIN, "train", 3)}
    permits = {ANN: 1, bob: 1 << 40}

    def of_subjects(dataset: str, references: Sequence[bytes]) -> list[InVersion]:
        return [InVersion(V1, (3, 7), tuple(by_subject[each] for each in references))]

    held.of_subjects = of_subjects  # type: ignore[method-assign]
    controller.said = lambda dataset, number, references: [  # type: ignore[method-assign]
        Status.decode(bytes([2]) + permits[each].to_bytes(8) + bytes(8)) for each in references
    ]
    assert set(duties_of(impacts.of(DATASET, [ANN, bob])).values()) == {None}
    permits[bob] = 1
    answer = duties_of(impacts.of(DATASET, [ANN, bob]))
    assert (answer[TRAIN], answer[TEST]) == ("stop-using", None)


def test_what_is_not_known_here_counts_and_is_said_not_to_be_certain(impacts: Impacts, held: Held) -> None:
    unknown = tuple(InSelection(each, None, None, None, (), known=False) for each in (TRAIN, TEST, ELSE))
    held.found = [InVersion(V1, (), unknown, known=False)]
    answer = impacts.of_subject(DATASET, "ann")
    assert not any(item["certain"] for item in answer["items"])
    assert told(answer)[CLEAN] == ("train", False)
    assert answer["versions"] == [{"version": V1, "certain": False, "count": 0, "records": [], "selections": 3}]


def test_pages_are_as_of_one_height_and_a_cursor_is_of_its_own_list(impacts: Impacts) -> None:
    whole = [item["reference"] for item in impacts.of_subject(DATASET, "ann")["items"]]
    found, cursor = [], None
    while True:
        page = impacts.of_subject(DATASET, "ann", cursor=cursor, limit=4)
        found += [item["reference"] for item in page["items"]]
        assert page["as_of"] == 2
        if (cursor := page["next"]) is None:
            break
        with pytest.raises(InvalidParameter):
            impacts.of_subject(DATASET, "ann", cursor=cursor, as_of=1)
        with pytest.raises(InvalidParameter):
            impacts.of(DATASET, [b"b" * 32], cursor=cursor)
    assert found == whole


def test_it_is_as_of_a_height(impacts: Impacts, controller: Controller) -> None:
    before = impacts.of_subject(DATASET, "ann", as_of=1)
    assert set(told(before)) == {TRAIN, TEST}
    assert before["as_of"] == 1
    controller.state = None
    assert impacts.of_subject(DATASET, "ann")["map"] is None
    with pytest.raises(InvalidParameter):
        impacts.of_subject(DATASET, "ann", as_of=9)


def test_what_is_not_there_is_refused(impacts: Impacts, held: Held) -> None:
    with pytest.raises(SubjectUnknown):
        impacts.of_subject(DATASET, "bob")
    with pytest.raises(RecordNotFound):
        impacts.of_subject(Name("nothing"), "ann")


def test_a_subject_without_records_reached_nothing(impacts: Impacts, held: Held) -> None:
    held.found = []
    answer = impacts.of_subject(DATASET, "ann")
    assert (answer["items"], answer["versions"], answer["duties"]) == ([], [], [])


def test_many_records_of_a_version_are_counted_and_the_first_named(impacts: Impacts, held: Held) -> None:
    held.found = [InVersion(V1, tuple(range(1_000)), ())]
    (version,) = impacts.of_subject(DATASET, "ann")["versions"]
    assert (version["count"], len(version["records"])) == (1_000, MOST_RECORDS)


def test_a_walk_that_is_cut_short_says_so(impacts: Impacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.services.impact.MOST_REACHED", 4)
    answer = impacts.of_subject(DATASET, "ann")
    assert not answer["count_exact"]
    assert {TRAIN, TEST} <= set(told(answer))
    assert answer["count"] < 12
    # All but what replaces the version, which was not made from it.
    below = len({child for _, child, _ in EDGES} - {V2})
    assert answer["beyond"] == [{"version": V1, "count": below}]
    monkeypatch.setattr("gateway.services.impact.MOST_REACHED", 5_000)
    assert impacts.of_subject(DATASET, "ann")["beyond"] is None


def test_the_statement_is_of_the_versions_and_names_no_ids(
    impacts: Impacts, controller: Controller, model: ReadModelStore
) -> None:
    statements = ImpactStatements(
        impacts, cast("Consents", controller), Catalogue(model), Signer(),
        Speaker("HospitalMSP", "pedigree", "ab" * 32), lambda: 1.5,
    )  # fmt: skip
    envelope = statements.of_subject(DATASET, "ann")
    statement = json.loads(b64decode(envelope["payload"]))
    assert statement["predicateType"] == IMPACT_PREDICATE
    assert statement["subject"] == [
        {"name": "consent-map-version:d:2", "digest": {"sha256": "44" * 32}},
        {"name": V1, "digest": {"sha256": "11" * 32}},
    ]
    predicate = statement["predicate"]
    assert (predicate["organisation"], predicate["made_at"], predicate["as_of"]) == ("HospitalMSP", 1_500, 2)
    assert predicate["versions"][0]["records"] == [{"index": 3}, {"index": 7}]
    assert "r3" not in json.dumps(statement)
    assert b64decode(envelope["signatures"][0]["sig"]) == b"signed"
    controller.state = None
    unmapped = json.loads(b64decode(statements.of_subject(DATASET, "ann")["payload"]))
    assert [each["name"] for each in unmapped["subject"]] == [V1]

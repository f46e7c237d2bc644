# SPDX-License-Identifier: Apache-2.0
"""Selections beside the law: what the gateway chooses the law takes, and what it proves holds."""

import io
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from keptrecords import alter_block, record_store

from chaincode.domain import codec, merkle
from chaincode.domain.consent import ConsentMap, consent_map_ref
from chaincode.domain.errors import InvalidField, LedgerError, MapMoved, ParentMissing, RecordNotFound
from chaincode.domain.lineage import Edge
from chaincode.domain.provenance import Change, Dataset, DatasetVersion, LawfulBasis, LeafSchema, Origin, Sensitivity
from chaincode.domain.purposes import Purpose
from chaincode.domain.records import Consent, RecordProof, SelectionProof, verify_selected
from chaincode.domain.selection import CommitSelection, Selection, cited_by_selection, commit_selection
from chaincode.domain.spdx import Licence
from chaincode.domain.usage import InputRole
from chaincode.domain.values import (
    Command,
    Count,
    Digest,
    Instant,
    Iri,
    Name,
    Number,
    OrgId,
    Record,
    Ref,
    Text,
    dataset_ref,
    dataset_version_ref,
    selection_ref,
)
from gateway.services import choosing
from gateway.services.catalogue import Catalogue, shown
from gateway.services.consent import UnknownTerm
from gateway.services.consenting import Consents
from gateway.services.datasets import Datasets
from gateway.services.drafting import Drafts, Upload
from gateway.services.endings import Failed, Recorded, failed
from gateway.services.idlists import LINES, RecordsUnknown
from gateway.services.indications import Columns
from gateway.services.memberships import InSelection, SelectionNotHeld
from gateway.services.places import Places
from gateway.services.ports import BlockSource, Entry, Json
from gateway.services.progress import Progress
from gateway.services.reading import Reader
from gateway.services.recordfiles import RepeatedId, UnreadableRecords
from gateway.services.recording import Recorder
from gateway.services.selecting import Choice, NoSubjects, NothingSelected, RecordNotSelected, Selections
from gateway.services.splits import Split, Splitter
from gateway.services.statusmaps import MapUnknown
from gateway.services.submitter import Answer, Intent, Lengthy
from gateway.services.tables import CSV, JSON_LINES
from gateway.services.trees import NotHeld, Trees
from gateway.services.whereabouts import RecordPlaces
from gateway.stores.consent import ConsentStore
from gateway.stores.database import Database
from gateway.stores.members import MemberStore
from gateway.stores.records import RecordStore
from pedigree import InvalidEvidence, verify_record

OWNER, DATASET = OrgId("HospitalMSP"), Name("visits")
NOW = 1_800_000_000.0
VERSION = dataset_version_ref(DATASET, 1)
RESEARCH = Iri("https://w3id.org/dpv#ScientificResearch")
OWN = Iri("https://hospital.example/purposes#Audit")
PEOPLE = b"""id,who,state,purposes
p0,ann,ConsentGiven,research
p1,bob,ConsentGiven,care
p2,ann,ConsentGiven,research
p3,cid,ConsentRefused,research
p4,dan,RenewedConsentGiven,research care
p5,,ConsentGiven,research
"""


def dataset(basis: LawfulBasis | None) -> Dataset:
    """The data set, on a lawful basis where one is said."""
    origin = Origin(Text("a clinic"), Text("measured"), ())
    return Dataset(
        DATASET, OWNER, Instant(0), Text("Visits"), Licence("CC-BY-4.0"), origin, Sensitivity.PERSONAL, (), None, None,
        None, (), basis,
    )  # fmt: skip


@dataclass
class Law:
    """A ledger of the rules of selections themselves, over records that a test puts there."""

    records: dict[Ref, Record] = field(default_factory=lambda: {dataset_ref(DATASET): dataset(None)})
    answers: dict[str, Answer] = field(default_factory=dict)
    before: Callable[[], None] | None = None
    """Happens once, between the making of a command and its decision."""

    # -- as the recorder ------------------------------------------------------------------------------------------

    def submit(
        self, intent: Intent, function: str, build: Callable[[], Command], lengthy: Lengthy | None = None
    ) -> Answer:
        assert function == "selection:commit"
        if intent.key in self.answers:
            return replace(self.answers[intent.key], replayed=True)
        if intent.respond_async:
            assert lengthy is not None
            command = codec.from_json(lengthy.detach()().encode())
        else:
            command = codec.from_json(codec.to_json(build()))
        assert isinstance(command, CommitSelection)
        if (before := self.before) is not None:
            self.before = None
            before()
        self.answers[intent.key] = answer = Answer(self.decided(command), "s")
        return answer

    def decided(self, command: CommitSelection) -> Recorded | Failed:
        reference = selection_ref(DATASET, command.version.parts[1], command.selection)  # type: ignore[arg-type]
        cited = {each: self.records[each] for each in cited_by_selection(command) if each in self.records}
        existing = cast("Selection | None", self.records.get(reference))
        try:
            outcome = commit_selection(command, by=OWNER, at=Instant(0), existing=existing, cited=cited)
        except LedgerError as refusal:
            return failed(refusal)
        made, *edges = outcome.writes
        assert all(isinstance(each, Edge) for each in edges)
        self.records[reference] = made
        return Recorded({"record": codec.to_plain(made)}, 1)

    # -- as the catalogue and the reader --------------------------------------------------------------------------

    def all(self, kind: str, **where: str) -> list[Json]:
        plain = [cast("Json", codec.to_plain(each)) for each in self.records.values()]
        found = [each for each in plain if each["kind"] == kind]
        matching = [each for each in found if all(str(each[name]) == value for name, value in where.items())]
        return [shown(Entry("key", kind, each, "ab" * 32, 1, "2026-11-29T00:00:00Z")) for each in matching]

    def find(self, kind: str, **where: str) -> Entry | None:
        found = self.all(kind, **where)
        return Entry("key", kind, found[0]["record"], "ab" * 32, 1, "2026-11-29T00:00:00Z") if found else None

    def get(self, kind: str, reference: str, **where: str) -> Json:
        found = self.find(kind, **where)
        if found is None:
            raise RecordNotFound(reference)
        return shown(found)

    def read(self, reference: str, source: str) -> Json:
        found = self.records.get(Ref(reference))
        if found is None:
            raise RecordNotFound(reference)
        return {"record": codec.to_plain(found), "transaction": {"id": "cd" * 32, "block": 2, "at": "2026"}}


class Opened(Consents):
    """Consents whose ledger has followed whatever the store was given."""

    def __init__(self, maps: ConsentStore, law: Law) -> None:
        places, blocks = cast("Places", law), cast("BlockSource", law)
        catalogue, recorder = cast("Catalogue", law), cast("Recorder", law)
        super().__init__(recorder, catalogue, maps, places, blocks, "pedigree", lambda: NOW)
        self.maps = maps
        self.law = law

    def say(self, number: int) -> None:
        """Put a version of the map on the ledger."""
        state = self.maps.build(DATASET) if number == 1 else None
        root = state.root if state is not None else self.drafted
        self.maps.settle(DATASET, number, root)
        now = self.maps.state(DATASET, number)
        head = ConsentMap(DATASET, OWNER, Number(number), Digest(now.root), Count(now.size), Instant(0))
        self.law.records[consent_map_ref(DATASET)] = head

    drafted = b""

    def withdraw(self, subject: str) -> None:
        """Record that a subject withdrew."""
        head = self.maps.head(DATASET)
        assert head is not None
        reference = self.maps.references(DATASET, [subject])[0]
        value = bytes([Consent.WITHDRAWN]) + bytes(8) + bytes(8)
        self.drafted = self.maps.draft(DATASET, head.number, [(reference, value)]).root
        self.say(head.number + 1)


@dataclass
class Owner:
    """A gateway's services over real stores, and the ledger that they speak to."""

    law: Law
    records: RecordStore
    maps: ConsentStore
    members: MemberStore
    consents: Opened
    drafts: Drafts
    selections: Selections
    places: RecordPlaces

    def commit(self, content: bytes, number: int = 1, **how: Any) -> Json:
        """Put a version of the records on the ledger."""
        upload = Upload(io.BytesIO(content), CSV, id_field="id", **how)
        body = self.drafts.draft(DATASET, upload, None, Progress())
        self.law.records[dataset_version_ref(DATASET, number)] = DatasetVersion(
            DATASET, Number(number), OWNER, Instant(0), Licence("CC-BY-4.0"), Digest(bytes.fromhex(body["root"])),
            Count(body["size"]), LeafSchema(body.get("leaf_schema", "pedigree-record/v1")),
            Change.FIRST, None, None, None, None, header=Digest(bytes.fromhex(body["header"])),
        )  # fmt: skip
        return body

    def select(self, name: str = "chosen", key: str | None = None, *, later: bool = False, **said: Any) -> Json:
        """Select, and what the law recorded; fails where it refused."""
        intent = Intent("client", key or name, "digest", respond_async=later)
        ending = self.selections.select(intent, DATASET, 1, Choice(Name(name), **said)).ending
        assert isinstance(ending, Recorded), ending
        return cast("Json", ending.body["record"])

    def ids(self, selection: Json) -> list[str]:
        """The ids of the records in a selection."""
        version = self.law.records[VERSION]
        assert isinstance(version, DatasetVersion)
        members = self.members.find(str(version.root), selection["root"])
        assert members is not None
        heads = list(self.records.heads(str(version.root)))
        return [heads[position].id for position in members]

    def shown(self, selection: str, record_id: str) -> Json:
        """The evidence that a record is in a selection, which the law and the SDK have checked."""
        evidence = self.selections.proof(DATASET, 1, Name(selection), record_id)
        selected, record = codec.from_plain(evidence["selection_proof"]), codec.from_plain(evidence["proof"])
        assert isinstance(selected, SelectionProof)
        assert isinstance(record, RecordProof)
        made, version = self.law.records[selection_ref(DATASET, 1, selection)], self.law.records[VERSION]
        assert isinstance(made, Selection)
        assert isinstance(version, DatasetVersion)
        verify_selected(selected, made, record, version)
        answers = {"version": {"record": evidence["version"]}, "selection": {"record": evidence["selection"]}}
        verdict = verify_record(evidence, **answers)
        assert verdict.verified
        assert verdict.id == record_id
        return evidence


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    databases = {
        name: Database.open(tmp_path / f"{name}.db", name, durable=False) for name in ("records", "consent", "members")
    }
    law = Law()
    records, maps = record_store(databases["records"]), ConsentStore(databases["consent"])
    members = MemberStore(databases["members"])
    catalogue, recorder = cast("Catalogue", law), cast("Recorder", law)
    consents = Opened(maps, law)
    drafts = Drafts(records, Trees(records), maps, lambda: NOW)
    datasets = Datasets(recorder, catalogue, cast("Reader", law), records, members, channel="pedigree", drafts=drafts)
    selections = Selections(recorder, catalogue, records, members, datasets=datasets, consents=consents, maps=maps)
    yield Owner(law, records, maps, members, consents, drafts, selections, RecordPlaces(catalogue, records, members))
    for database in databases.values():
        database.close()


def lines(*ids: str) -> Upload:
    return Upload(io.BytesIO("".join(f"{each}\n" for each in ids).encode()), LINES)


def letters(count: int) -> bytes:
    return b"id,n\n" + b"".join(b"r%03d,%d\n" % (number, number) for number in range(count))


ASKED = Columns("who", "state", "purposes")


# --- By ids -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "upload",
    [
        Upload(io.BytesIO(b"r004\nr001\n\nr000\n"), LINES),
        Upload(io.BytesIO(b"\xef\xbb\xbfr004\r\nr001\r\nr000"), LINES),
        Upload(io.BytesIO(b"id,why\nr004,x\nr001,y\nr000,z\n"), CSV),
        Upload(io.BytesIO(b"anything\nr004\nr001\nr000\n"), CSV),
        Upload(io.BytesIO(b"a;b\nx;r004\nx;r001\nx;r000\n"), CSV, "b", ";"),
        Upload(io.BytesIO(b'{"id": "r004"}\n{"id": "r001"}\n{"id": "r000"}\n'), JSON_LINES),
        Upload(io.BytesIO(b'{"k": "r004"}\n{"k": "r001"}\n{"k": "r000"}\n'), JSON_LINES, "k"),
    ],
    ids=["lines", "lines of Windows", "csv", "one column", "another column", "json lines", "another member"],
)
def test_a_list_of_ids_selects_those_records_in_the_order_of_the_version(owner: Owner, upload: Upload) -> None:
    owner.commit(letters(5))
    record = owner.select(ids=upload, note="by hand")
    assert (record["size"], record["note"]) == (3, "by hand")
    assert record["left_out"] == [{"reason": choosing.NOT_LISTED, "count": 2}]
    assert owner.ids(record) == ["r000", "r001", "r004"]
    version = owner.law.records[VERSION]
    assert isinstance(version, DatasetVersion)
    leaves = [head.leaf for head in owner.records.heads(str(version.root)) if head.id in {"r000", "r001", "r004"}]
    assert record["root"] == merkle.root_of_hashes(b"".join(leaves)).hex()
    assert [owner.shown("chosen", each)["selection_proof"]["index"] for each in ("r000", "r001", "r004")] == [0, 1, 2]


def test_a_selection_may_have_every_record(owner: Owner) -> None:
    body = owner.commit(letters(3))
    record = owner.select(ids=lines("r002", "r000", "r001"))
    assert (record["root"], record["left_out"]) == (body["root"], [])
    owner.shown("chosen", "r001")


@pytest.mark.parametrize(
    ("upload", "refusal", "said"),
    [
        (lines("r000", "nobody", "r001", "nowhere"), RecordsUnknown, r"2 of the 4 ids .* 'nobody' \(number 2\)"),
        (lines(*(f"x{number}" for number in range(8))), RecordsUnknown, "8 of the 8 .* and 3 more"),
        (lines("r001", "r000", "r001"), RepeatedId, "record 3 has the id 'r001', which record 1 has already"),
        (lines(), NothingSelected, "no record is left to select"),
        (lines("x" * 3_000), UnreadableRecords, "line 1: a record id is 1 to 256"),
        (lines("a\tb"), UnreadableRecords, "line 1: a record id is 1 to 256 printable"),
        (Upload(io.BytesIO(b"r000\n\xff\n"), LINES), UnreadableRecords, "line 2: it is not UTF-8"),
        (Upload(io.BytesIO(b"a,b\nr000,1\n"), CSV), UnreadableRecords, "no column 'id'"),
        (Upload(io.BytesIO(b'{"k": "r000"}\n'), JSON_LINES), UnreadableRecords, "member 'id'"),
        (Upload(io.BytesIO(b""), CSV), UnreadableRecords, "the header line is missing"),
    ],
)  # fmt: skip
def test_a_list_that_is_none_of_this_version_is_refused_and_nothing_is_kept(
    owner: Owner, upload: Upload, refusal: type[Exception], said: str
) -> None:
    owner.commit(letters(3))
    upload.content.seek(0)
    with pytest.raises(refusal, match=said):
        owner.select(ids=upload)
    assert selection_ref(DATASET, 1, "chosen") not in owner.law.records


def test_ids_of_records_that_are_numbered_are_their_numbers(owner: Owner) -> None:
    upload = Upload(io.BytesIO(b"a\nx\ny\nz\n"), CSV)
    body = owner.drafts.draft(DATASET, upload, None, Progress())
    owner.commit(letters(1))
    version = owner.law.records[VERSION]
    owner.law.records[VERSION] = replace(version, root=Digest(bytes.fromhex(body["root"])), size=Count(3), header=None)  # type: ignore[arg-type]
    assert owner.ids(owner.select(ids=lines("3", "1"))) == ["1", "3"]
    with pytest.raises(UnreadableRecords, match="id_field has to say"):
        owner.select("other", ids=Upload(io.BytesIO(b"a,b\n1,2\n"), CSV))


# --- Splits -----------------------------------------------------------------------------------------------------


def split(text: str = "train=0.6,test=0.4", seed: str = "7") -> Split:
    return Split.parse(text, seed)


def test_the_parts_of_a_split_have_every_record_once_and_say_how_they_were_made(owner: Owner) -> None:
    owner.commit(letters(40))
    parts = {role: owner.select(role, split=split(), role=role) for role in (InputRole.TRAIN, InputRole.TEST)}
    found = {role: set(owner.ids(record)) for role, record in parts.items()}
    assert found[InputRole.TRAIN] | found[InputRole.TEST] == {f"r{number:03}" for number in range(40)}
    assert not found[InputRole.TRAIN] & found[InputRole.TEST]
    part_of = Splitter(split()).part_of
    assert all(part_of(each.encode()) is role for role, ids in found.items() for each in ids)
    train = parts[InputRole.TRAIN]
    assert train["role"] == "train"
    assert train["note"] == "split train=0.6,test=0.4 by the seed '7' (pedigree-split/v1)"
    assert train["left_out"] == [{"reason": "in the part 'test' of the split", "count": len(found[InputRole.TEST])}]
    owner.shown("train", min(found[InputRole.TRAIN]))
    with pytest.raises(RecordNotSelected, match="is in the version and not in selection:visits:1:train"):
        owner.selections.proof(DATASET, 1, Name("train"), min(found[InputRole.TEST]))


def test_a_record_stays_in_its_part_when_the_data_set_grows(owner: Owner) -> None:
    owner.commit(letters(20))
    before = set(owner.ids(owner.select(split=split(), role=InputRole.TRAIN)))
    owner.law.records.clear()
    owner.law.answers.clear()
    owner.commit(letters(40))
    after = set(owner.ids(owner.select(split=split(), role=InputRole.TRAIN, note="grown")))
    assert {each for each in after if int(each[1:]) < 20} == before
    made = owner.law.records[selection_ref(DATASET, 1, "chosen")]
    assert isinstance(made, Selection)
    assert str(made.note).startswith("grown; split train=0.6")


def test_what_is_in_no_part_is_left_out_too(owner: Owner) -> None:
    owner.commit(letters(40))
    record = owner.select(split=split("train=0.3,test=0.3"), role=InputRole.TRAIN)
    assert {each["reason"] for each in record["left_out"]} == {"in the part 'test' of the split", choosing.NO_PART}


def test_a_split_of_which_a_part_would_be_empty_is_refused_for_each_of_its_parts(owner: Owner) -> None:
    owner.commit(letters(3))
    small = split("train=0.999999999,test=0.000000001")
    for role, said in ((InputRole.TRAIN, "no record is in the part 'test'"), (InputRole.TEST, "no record is left")):
        with pytest.raises(NothingSelected, match=said):
            owner.select(split=small, role=role)


def visits(patients: int, each: int) -> bytes:
    rows = (f"v{patient}-{visit},patient-{patient}\n" for visit in range(each) for patient in range(patients))
    return b"id,who\n" + "".join(rows).encode()


def test_a_split_by_subjects_puts_nobody_in_two_parts(owner: Owner) -> None:
    owner.commit(visits(30, 4), columns=Columns("who"))
    by_subject = Split.parse("train=0.6,test=0.4", "7", "subject")
    parts = {role: owner.select(role, split=by_subject, role=role) for role in by_subject.roles}
    found = {role: owner.ids(record) for role, record in parts.items()}
    assert sum(map(len, found.values())) == 120
    patients = {role: Counter(each.partition("-")[0] for each in ids) for role, ids in found.items()}
    assert not patients[InputRole.TRAIN].keys() & patients[InputRole.TEST].keys()
    assert set(patients[InputRole.TRAIN].values()) == {4}
    assert parts[InputRole.TRAIN]["note"] == "split train=0.6,test=0.4 by the seed '7' (pedigree-split/v2)"
    owner.shown("train", found[InputRole.TRAIN][0])
    owner.law.records.clear()
    owner.law.answers.clear()
    owner.commit(visits(60, 5), columns=Columns("who"))
    grown = owner.ids(owner.select(split=by_subject, role=InputRole.TRAIN))
    before = {each.partition("-")[0] for each in grown if int(each[1:].partition("-")[0]) < 30}
    assert before == set(patients[InputRole.TRAIN])


def test_a_version_that_names_nobody_is_not_split_by_subjects(owner: Owner) -> None:
    owner.commit(letters(40))
    with pytest.raises(NoSubjects, match="do not say whose they are"):
        owner.select(split=Split.parse("train=0.6,test=0.4", "7", "subject"), role=InputRole.TRAIN)
    assert selection_ref(DATASET, 1, "chosen") not in owner.law.records


# --- By what consent permits ------------------------------------------------------------------------------------


def test_the_map_in_force_says_whose_records_are_permitted(owner: Owner) -> None:
    owner.law.records[dataset_ref(DATASET)] = dataset(LawfulBasis.CONSENT)
    people = PEOPLE.replace(b"p5,,", b"p5,eve,")
    owner.commit(people, columns=ASKED)
    with pytest.raises(MapUnknown, match="no consent map of visits is open"):
        owner.select(purpose="research")
    owner.consents.say(1)
    first = owner.select(purpose="research")
    assert (first["purpose"], first["consent_map"]["number"]) == (RESEARCH, 1)
    assert owner.ids(first) == ["p0", "p2", "p4", "p5"]
    assert {each["reason"]: each["count"] for each in first["left_out"]} == {
        choosing.OTHER_PURPOSES: 1, "ConsentRefused": 1,
    }  # fmt: skip
    owner.consents.withdraw("ann")
    second = owner.select("later", purpose=RESEARCH)
    assert owner.ids(second) == ["p4", "p5"]
    assert second["consent_map"]["number"] == 2
    assert {"reason": "ConsentWithdrawn", "count": 2} in second["left_out"]
    assert owner.shown("chosen", "p0")["selection"]["consent_map"]["number"] == 1


def test_records_of_nobody_and_of_subjects_who_said_nothing_are_left_out(owner: Owner) -> None:
    owner.law.records[dataset_ref(DATASET)] = dataset(LawfulBasis.CONSENT)
    owner.commit(b"id,who\np0,ann\np1,bob\n", columns=Columns("who"), consent=Consent.GIVEN, purposes=1)
    owner.consents.say(1)
    owner.commit(b"id,who\np0,ann\np1,new\n", columns=Columns("who"), consent=Consent.GIVEN, purposes=1)
    record = owner.select(purpose="research")
    assert record["left_out"] == [{"reason": choosing.NOT_IN_THE_MAP, "count": 1}]
    owner.commit(letters(3), number=2, consent=Consent.GIVEN, purposes=1)
    intent = Intent("client", "nobody's", "digest")
    with pytest.raises(NothingSelected, match=rf"\({choosing.NO_SUBJECT}: 3\)"):
        owner.selections.select(intent, DATASET, 2, Choice(Name("other"), purpose="research"))


def test_without_a_map_what_was_collected_says_it(owner: Owner) -> None:
    owner.commit(PEOPLE.replace(b"p5,,", b"p5,eve,"), columns=ASKED)
    record = owner.select(purpose="research")
    assert owner.ids(record) == ["p0", "p2", "p4", "p5"]
    assert "consent_map" not in record
    assert Counter({each["reason"]: each["count"] for each in record["left_out"]}) == {
        choosing.OTHER_PURPOSES: 1, "ConsentRefused": 1,
    }  # fmt: skip


def test_a_purpose_may_be_one_that_the_owner_registered_and_none_that_nobody_knows(owner: Owner) -> None:
    owner.commit(letters(2), consent=Consent.GIVEN, purposes=1 << 33)
    with pytest.raises(UnknownTerm, match="Audit"):
        owner.select(purpose=OWN)
    purpose = Purpose(OWNER, Number(33), OWN, Instant(0))
    owner.law.records[Ref("dataset:purpose")] = purpose
    assert owner.select(purpose=OWN)["purpose"] == OWN
    with pytest.raises(UnknownTerm, match=r"'marketing' is not a purpose; known are research, .*Audit"):
        owner.select("other", purpose="marketing")


def test_where_the_map_was_changed_meanwhile_the_selection_is_made_again(owner: Owner) -> None:
    owner.law.records[dataset_ref(DATASET)] = dataset(LawfulBasis.CONSENT)
    owner.commit(PEOPLE.replace(b"p5,,", b"p5,eve,"), columns=ASKED)
    owner.consents.say(1)
    owner.law.before = lambda: owner.consents.withdraw("ann")
    record = owner.select(purpose="research", key="k")
    assert (record["consent_map"]["number"], owner.ids(record)) == (2, ["p4", "p5"])
    first = owner.law.answers["k"].ending
    assert isinstance(first, Failed)
    assert first.code == MapMoved.code
    assert owner.select(purpose="research", key="k") == record
    assert set(owner.law.answers) == {"k", "k~2"}


# --- Several conditions, and parts of selections -------------------------------------------------------------------


def test_conditions_are_asked_one_after_another_and_each_record_is_counted_once(owner: Owner) -> None:
    owner.commit(PEOPLE.replace(b"p5,,", b"p5,eve,"), columns=ASKED)
    record = owner.select(ids=lines("p0", "p1", "p2", "p3"), purpose="research")
    assert owner.ids(record) == ["p0", "p2"]
    assert {each["reason"]: each["count"] for each in record["left_out"]} == {
        choosing.NOT_LISTED: 2, choosing.OTHER_PURPOSES: 1, "ConsentRefused": 1,
    }  # fmt: skip


def test_a_part_of_what_is_permitted_is_permitted_and_has_only_records_of_it(owner: Owner) -> None:
    owner.law.records[dataset_ref(DATASET)] = dataset(LawfulBasis.CONSENT)
    owner.commit(PEOPLE.replace(b"p5,,", b"p5,eve,"), columns=ASKED)
    owner.consents.say(1)
    owner.select("permitted", purpose="research")
    parent = selection_ref(DATASET, 1, "permitted")
    part = owner.select("part", parent=parent, ids=lines("p4", "p0"), purpose="research")
    assert owner.ids(part) == ["p0", "p4"]
    assert part["left_out"] == [{"reason": choosing.NOT_LISTED, "count": 2}]
    assert part["consent_map"]["number"] == 1
    owner.shown("part", "p4")
    with pytest.raises(RecordsUnknown, match=r"1 of the 2 ids .* of the selection that it is a part of: 'p3'"):
        owner.select("wrong", parent=parent, ids=lines("p0", "p3"))
    for other in (selection_ref(DATASET, 1, "none"), selection_ref(DATASET, 2, "permitted"), Ref("dataset:visits")):
        with pytest.raises(ParentMissing):
            owner.select("wrong", parent=other, ids=lines("p0"))


def test_what_is_in_a_selection_that_was_computed_elsewhere_nobody_here_knows(owner: Owner) -> None:
    owner.commit(letters(3))
    made = owner.law.decided(
        codec.from_plain(  # type: ignore[arg-type]
            {"kind": "commit-selection", "schema": 1, "version": str(VERSION), "selection": "elsewhere",
             "root": "5e" * 32, "size": 2, "left_out": [{"reason": "x", "count": 1}]}
        )
    )  # fmt: skip
    assert isinstance(made, Recorded)
    with pytest.raises(SelectionNotHeld, match="its root was computed elsewhere"):
        owner.selections.proof(DATASET, 1, Name("elsewhere"), "r001")
    with pytest.raises(SelectionNotHeld):
        owner.select(parent=selection_ref(DATASET, 1, "elsewhere"), ids=lines("r001"))


# --- What is not here, and what a crash leaves ----------------------------------------------------------------------


def test_versions_and_records_that_are_not_here_are_refused(owner: Owner) -> None:
    with pytest.raises(RecordNotFound):
        owner.select(ids=lines("r000"))
    owner.commit(letters(3))
    version = cast("DatasetVersion", owner.law.records[VERSION])
    owner.law.records[VERSION] = replace(version, root=Digest(bytes(32)))
    with pytest.raises(NotHeld, match="does not hold the records of version 1 of visits"):
        owner.select(ids=lines("r000"))
    owner.law.records[VERSION] = version
    owner.select(ids=lines("r000"))
    for name, record_id in (("none", "r000"), ("chosen", "r999")):
        with pytest.raises(RecordNotFound):
            owner.selections.proof(DATASET, 1, Name(name), record_id)


def test_the_law_has_the_last_word(owner: Owner) -> None:
    owner.commit(letters(3))
    owner.select(ids=lines("r000"), role=InputRole.TRAIN)
    intent = Intent("client", "again", "digest")
    again = owner.selections.select(intent, DATASET, 1, Choice(Name("chosen"), ids=lines("r001"))).ending
    assert isinstance(again, Failed)
    assert again.code == "already-exists"
    parent = selection_ref(DATASET, 1, "chosen")
    odd = Choice(Name("odd"), parent=parent, ids=lines("r000"), role=InputRole.TEST)
    refused = owner.selections.select(Intent("client", "odd", "digest"), DATASET, 1, odd).ending
    assert isinstance(refused, Failed)
    assert refused.code == InvalidField.code
    assert owner.members.find(str(cast("DatasetVersion", owner.law.records[VERSION]).root), "00" * 32) is None


def test_a_crash_before_the_ledger_is_asked_leaves_nothing_wrong(owner: Owner) -> None:
    owner.commit(letters(5))

    def die() -> None:
        raise KeyboardInterrupt

    owner.law.before = die
    with pytest.raises(KeyboardInterrupt):
        owner.select(ids=lines("r001", "r003"), key="k")
    assert not owner.law.all("selection")
    assert owner.places.of_records(DATASET, 1, [1, 3]).selections == ()
    record = owner.select(ids=lines("r001", "r003"), key="k")
    assert owner.select(ids=lines("r001", "r003"), key="k") == record
    assert [each.selection for each in owner.places.of_records(DATASET, 1, [1]).selections] == [
        selection_ref(DATASET, 1, "chosen")
    ]
    owner.shown("chosen", "r003")


def test_a_store_that_was_altered_selects_and_proves_nothing(owner: Owner) -> None:
    owner.commit(letters(4))
    owner.select(ids=lines("r000", "r001"))
    place = 2 + (6 + merkle.SALT) * 4 + merkle.HASH  # the leaf hash of r001 in the block of all four
    alter_block(owner.records._database, "heads", place)
    with pytest.raises(NotHeld, match="no longer lead to the committed root"):
        owner.select("other", ids=lines("r000"))
    with pytest.raises(NotHeld, match="no longer lead to the"):
        owner.selections.proof(DATASET, 1, Name("chosen"), "r000")


def test_a_large_selection_is_proven_out_of_its_tiles(owner: Owner) -> None:
    owner.commit(letters(30_000).replace(b"r", b"record-"))
    record = owner.select(split=split(), role=InputRole.TRAIN)
    ids = owner.ids(record)
    assert len(ids) > 128 * 128
    for place in (0, 127, 128, 128 * 128 - 1, 128 * 128, len(ids) - 1):
        assert owner.shown("chosen", ids[place])["selection_proof"]["index"] == place
    owner.members._database.write(lambda connection: connection.execute("DELETE FROM tile WHERE level = 1"))
    with pytest.raises(NotHeld, match="no longer lead to the root of the selection"):
        owner.shown("chosen", ids[0])


def test_work_that_nobody_waits_for_is_done_from_a_descriptor_of_its_own(owner: Owner, tmp_path: Path) -> None:
    owner.commit(letters(5))
    (file := tmp_path / "ids.txt").write_bytes(b"r001\nr002\n")
    with file.open("rb") as content:
        record = owner.select(ids=Upload(content, LINES), later=True)
    assert owner.ids(record) == ["r001", "r002"]
    assert owner.select("halves", split=split(), role=InputRole.TEST, later=True)["role"] == "test"


# --- Where records are ----------------------------------------------------------------------------------------------


def test_from_subjects_to_records_to_selections_with_their_roles(owner: Owner) -> None:
    owner.commit(PEOPLE, columns=Columns(state="state", purposes="purposes"))
    owner.law.records.clear()
    owner.commit(PEOPLE.replace(b"p5,,", b"p5,eve,"), columns=ASKED)
    owner.select("permitted", purpose="research")
    parent = selection_ref(DATASET, 1, "permitted")
    owner.select("training", parent=parent, ids=lines("p0", "p5"), role=InputRole.TRAIN)
    owner.select("held-out", parent=parent, ids=lines("p2"), role=InputRole.TEST)
    ann, bob = owner.maps.references(DATASET, ["ann", "bob"])
    (found,) = owner.places.of_subjects(DATASET, [ann])
    assert (found.version, found.positions, found.known) == (VERSION, (0, 2), True)
    assert found.selections == (
        InSelection(selection_ref(DATASET, 1, "held-out"), InputRole.TEST, RESEARCH, parent, (2,)),
        InSelection(parent, None, RESEARCH, None, (0, 2)),
        InSelection(selection_ref(DATASET, 1, "training"), InputRole.TRAIN, RESEARCH, parent, (0,)),
    )
    (found,) = owner.places.of_subjects(DATASET, [bob])
    assert (found.positions, found.selections) == ((1,), ())
    assert list(owner.places.of_subjects(DATASET, [bytes(32)])) == []
    both = next(owner.places.of_subjects(DATASET, [bob, ann]))
    assert both.positions == (0, 1, 2)
    assert owner.places.of_records(DATASET, 1, [5, 5, 3]).selections[1].positions == (5,)
    with pytest.raises(RecordNotFound):
        owner.places.of_records(DATASET, 9, [0])


def test_what_nobody_here_knows_may_have_any_record_and_is_said_to_be_so(owner: Owner) -> None:
    owner.commit(PEOPLE.replace(b"p5,,", b"p5,eve,"), columns=ASKED)
    plain = {"kind": "commit-selection", "schema": 1, "version": str(VERSION), "selection": "elsewhere"}
    plain |= {"root": "5e" * 32, "size": 5, "left_out": [{"reason": "x", "count": 1}]}  # type: ignore[dict-item]
    owner.law.decided(codec.from_plain(plain))  # type: ignore[arg-type]
    (ann,) = owner.maps.references(DATASET, ["ann"])
    (found,) = owner.places.of_subjects(DATASET, [ann])
    (elsewhere,) = found.selections
    assert (elsewhere.known, elsewhere.positions, found.positions) == (False, (), (0, 2))
    version = cast("DatasetVersion", owner.law.records[VERSION])
    owner.law.records[VERSION] = replace(version, root=Digest(bytes(32)))
    (found,) = owner.places.of_subjects(DATASET, [ann])
    assert (found.known, found.positions, [each.known for each in found.selections]) == (False, (), [False])


def test_evidence_of_one_selection_does_not_serve_for_another(owner: Owner) -> None:
    owner.commit(letters(6))
    owner.select("one", ids=lines("r000", "r001"))
    owner.select("two", ids=lines("r000", "r002"))
    one, two = (owner.shown(name, "r000") for name in ("one", "two"))
    with pytest.raises(InvalidEvidence, match="leads to another root"):
        verify_record({**one, "selection_proof": {**two["selection_proof"], "selection": "selection:visits:1:one"}})
    with pytest.raises(InvalidEvidence, match="another selection"):
        verify_record({**one, "selection_proof": two["selection_proof"]})

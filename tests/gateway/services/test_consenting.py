# SPDX-License-Identifier: Apache-2.0
"""A controller's consent map beside the law: what the gateway builds the law takes, and what it proves holds."""

import base64
import io
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from chaincode.domain import codec, sparsemerkle
from chaincode.domain.consent import (
    MOST_AFFECTED,
    ChangeConsent,
    ConsentMap,
    ConsentMapVersion,
    MarkSelections,
    OpenConsent,
    SelectionMark,
    change_consent,
    mark_selections,
    open_consent,
)
from chaincode.domain.errors import LedgerError, RecordNotFound
from chaincode.domain.marking import EVERY_PURPOSE, Chosen, Known
from chaincode.domain.provenance import Dataset, LawfulBasis
from chaincode.domain.values import Command, Digest, Instant, Name, Number, OrgId, Outcome, Ref
from gateway.services.catalogue import Catalogue
from gateway.services.consenting import Consents, SubjectUnknown
from gateway.services.drafting import Upload
from gateway.services.endings import Failed, Recorded, failed
from gateway.services.indications import Status
from gateway.services.places import Places
from gateway.services.ports import BlockSource, Entry, Json, Unavailable
from gateway.services.recording import Recorder
from gateway.services.statusmaps import MapBehind, MapUnknown, SubjectsElsewhere
from gateway.services.submitter import Answer, Intent
from gateway.services.tables import CSV, UnreadableRecords
from gateway.stores.consent import ConsentStore
from gateway.stores.database import Database

DATASET = Name("cohort")
SELECTION = Ref("selection:cohort:1:training")
OWNER = OrgId("HospitalMSP")
NOW = 1_800_000_000.0
OPENED = b"""subject,state,purposes,indicated_at
ann,ConsentGiven,model-training,2026-01-01
bob,ConsentGiven,care,2026-01-01
"""


class Law:
    """The ledger of one consent map: the rules themselves, and the records that they write."""

    def __init__(self) -> None:
        self.dataset = cast("Dataset", _Owned())
        self.head: ConsentMap | None = None
        self.versions: dict[str, Json] = {}
        self.commands: dict[str, str] = {}
        """What the transactions were asked to do, by their ids; the id of each is the number of its version."""
        self.answers: dict[str, Answer] = {}
        self.selections: tuple[Ref, ...] = ()
        self.marked: list[Ref] = []
        self.transactions: list[int] = []
        """How many selections each transaction has marked."""
        self.asked: list[list[int]] = []
        """What each subject no longer permits, of those for whom affected selections were asked for."""
        self.before: Callable[[], None] | None = None
        """Happens once, between the making of a command and its decision."""

    def submit(self, intent: Intent, function: str, build: Callable[[], Command]) -> Answer:
        if intent.key in self.answers:
            return Answer(self.answers[intent.key].ending, "s", replayed=True)
        command = codec.from_json(codec.to_json(build()))
        assert isinstance(command, OpenConsent | ChangeConsent | MarkSelections)
        if (before := self.before) is not None:
            self.before = None
            before()
        self.answers[intent.key] = answer = Answer(self.decided(command), "s")
        return answer

    def decided(self, command: OpenConsent | ChangeConsent | MarkSelections) -> Recorded | Failed:
        known: dict[str, Any] = {"by": OWNER, "at": Instant(int(NOW * 1_000)), "dataset": self.dataset}
        try:
            if isinstance(command, MarkSelections):
                version = cast("ConsentMapVersion", codec.from_plain(self.versions[str(command.number)]))
                return self.mark(mark_selections(command, version=version, known=self.known(), **known))
            if isinstance(command, OpenConsent):
                outcome = open_consent(command, existing=self.head, **known)
            else:
                outcome = change_consent(command, head=self.head, known=self.known(), **known)
        except LedgerError as refusal:
            return failed(refusal)
        self.mark(outcome)
        version, self.head = outcome.writes[0], cast("ConsentMap", outcome.writes[1])
        plain = cast("Json", codec.to_plain(version))
        self.versions[str(plain["number"])] = plain
        self.commands[str(plain["number"])] = codec.to_json(command).decode()
        return Recorded({"record": plain}, 1)

    def known(self) -> Known:
        return Known({each: Chosen(None, None) for each in self.selections}, set(self.marked), ())

    def mark(self, outcome: Outcome) -> Recorded:
        marks = [write.selection for write in outcome.writes if isinstance(write, SelectionMark)]
        self.marked += marks
        self.transactions.append(len(marks))
        return Recorded({"record": codec.to_plain(outcome.writes[0])}, 1)

    def find(self, kind: str, *, dataset: str, number: str) -> Entry | None:
        assert (kind, dataset) == ("consent-map-version", DATASET)
        found = self.versions.get(number)
        if found is None:
            return None
        return Entry("key", kind, found, number, int(number), "2026-11-29T00:00:00Z")

    def command(self, transaction_id: str, block: int) -> str | None:
        assert block == int(transaction_id)
        return self.commands.get(transaction_id)

    def get(self, kind: str, reference: str, *, dataset: str, number: str) -> Json:
        found = self.find(kind, dataset=dataset, number=number)
        if found is None:
            raise RecordNotFound(reference)
        return {"record": found.value, "transaction": {"id": found.transaction_id}}


class _Places:
    """Finds the selections that it is told to, whatever is asked."""

    def __init__(self, law: Law) -> None:
        self._law = law

    def affected(self, dataset: str, lost: Mapping[bytes, int]) -> tuple[Ref, ...]:
        if not lost:
            return ()
        self._law.asked.append(list(lost.values()))
        return tuple(each for each in self._law.selections if each not in self._law.marked)


class _Owned:
    owner = OWNER
    basis = LawfulBasis.CONSENT


@pytest.fixture
def law() -> Law:
    return Law()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ConsentStore]:
    database = Database.open(tmp_path / "consent.db", "consent", durable=False)
    yield ConsentStore(database)
    database.close()


@pytest.fixture
def consents(law: Law, store: ConsentStore) -> Consents:
    return over(law, store)


def over(law: Law, store: ConsentStore) -> Consents:
    places = cast("Places", _Places(law))
    blocks = cast("BlockSource", law)
    return Consents(cast("Recorder", law), cast("Catalogue", law), store, places, blocks, "pedigree", lambda: NOW)


def intent(key: str) -> Intent:
    return Intent("client", key, "digest")


def upload(text: bytes) -> Upload:
    return Upload(io.BytesIO(text), CSV)


def said(subject: str, state: str, at: str = "2026-05-01") -> Upload:
    return upload(f"subject,state,purposes,indicated_at\n{subject},{state},model-training,{at}\n".encode())


def shown_by(evidence: Json) -> bytes | None:
    """What the evidence proves, by the law's own lines."""
    proof = sparsemerkle.Proof(*(base64.b64decode(evidence["proof"][name]) for name in ("siblings", "leaf")))
    return sparsemerkle.verify(bytes.fromhex(evidence["version"]["root"]), bytes.fromhex(evidence["subject"]), proof)


def test_given_withdrawn_and_absent_are_proven_as_of_every_version(consents: Consents, law: Law) -> None:
    assert isinstance(consents.open(intent("1"), DATASET, upload(OPENED)).ending, Recorded)
    assert isinstance(consents.change(intent("2"), DATASET, said("eve", "ConsentGiven")).ending, Recorded)
    assert isinstance(consents.change(intent("3"), DATASET, said("ann", "ConsentWithdrawn")).ending, Recorded)
    states = {
        (subject, number): consents.proof(DATASET, subject, number)
        for subject in ("ann", "bob", "eve")
        for number in (1, 2, 3)
    }
    for (subject, number), evidence in states.items():
        value = shown_by(evidence)
        assert (value is None) == ((subject, number) == ("eve", 1)) == (evidence["status"] is None)
        if value is not None:
            status = Status.decode(value)
            permitted = status.permits(1)
            assert permitted == (subject == "eve" or (subject == "ann" and number < 3))
            assert evidence["status"]["indicated_at"] == status.indicated_at
        assert f"'{subject}'" not in str(evidence)
    assert states["ann", 3]["status"]["status"] == "ConsentWithdrawn"
    assert consents.proof(DATASET, "ann")["version"]["number"] == 3


def test_a_change_that_another_was_before_is_made_again(consents: Consents, law: Law, store: ConsentStore) -> None:
    consents.open(intent("1"), DATASET, upload(OPENED))
    other = over(law, store)
    law.before = lambda: cast("None", other.change(intent("other"), DATASET, said("bob", "ConsentWithdrawn")))
    mine = consents.change(intent("mine"), DATASET, said("ann", "ConsentWithdrawn"))
    assert isinstance(mine.ending, Recorded)
    assert mine.ending.body["record"]["number"] == 3
    assert [consents.proof(DATASET, each)["status"]["status"] for each in ("ann", "bob")] == ["ConsentWithdrawn"] * 2
    again = consents.change(intent("mine"), DATASET, said("ann", "ConsentWithdrawn"))
    assert again.replayed
    assert again.ending == mine.ending


def test_a_change_after_another_gateways_is_refused_with_the_root_to_build_on(consents: Consents, law: Law) -> None:
    consents.open(intent("1"), DATASET, upload(OPENED))
    assert law.head is not None
    moved = law.head
    law.before = lambda: setattr(law, "head", _moved(moved))
    ending = consents.change(intent("2"), DATASET, said("ann", "ConsentWithdrawn")).ending
    assert isinstance(ending, Failed)
    assert (ending.code, ending.facts["number"], ending.facts["root"]) == ("consent-map-moved", 7, "ab" * 32)
    law.versions["2"] = {**law.versions["1"], "number": 2, "root": "cd" * 32}
    with pytest.raises(MapBehind):
        consents.change(intent("3"), DATASET, said("ann", "ConsentWithdrawn"))


def _moved(head: ConsentMap) -> ConsentMap:
    return replace(head, number=Number(7), root=Digest(bytes.fromhex("ab" * 32)))


@pytest.fixture
def second(law: Law, store: ConsentStore, tmp_path: Path) -> Iterator[Callable[[], Consents]]:
    """A second gateway of the controller, whose store begins as a copy of the first one's."""
    opened: list[Database] = []

    def made() -> Consents:
        copy = tmp_path / "second.db"
        with closing(sqlite3.connect(tmp_path / "consent.db")) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        opened.append(Database.open(copy, "consent", durable=False))
        return over(law, ConsentStore(opened[0]))

    yield made
    for database in opened:
        database.close()


def test_a_gateway_that_is_behind_follows_another_by_what_is_on_the_ledger(
    consents: Consents, law: Law, second: Callable[[], Consents]
) -> None:
    consents.open(intent("1"), DATASET, upload(OPENED))
    other = second()
    consents.change(intent("2"), DATASET, said("ann", "ConsentWithdrawn"))
    mine = other.change(intent("3"), DATASET, said("bob", "ConsentWithdrawn")).ending
    assert isinstance(mine, Recorded)
    assert mine.body["record"]["number"] == 3
    for gateway in (consents, other):
        for number, states in ((1, "given given"), (2, "withdrawn given"), (3, "withdrawn withdrawn")):
            evidence = [gateway.proof(DATASET, subject, number) for subject in ("ann", "bob")]
            assert [each["status"]["status"] for each in evidence] == [f"Consent{w.title()}" for w in states.split()]
            assert all(shown_by(each) is not None for each in evidence)


def test_of_two_gateways_that_change_at_once_the_second_builds_on_the_first(
    consents: Consents, law: Law, second: Callable[[], Consents]
) -> None:
    consents.open(intent("1"), DATASET, upload(OPENED))
    other = second()
    law.before = lambda: cast("None", other.change(intent("other"), DATASET, said("bob", "ConsentWithdrawn")))
    ending = consents.change(intent("mine"), DATASET, said("ann", "ConsentWithdrawn")).ending
    assert isinstance(ending, Recorded)
    assert ending.body["record"]["number"] == 3
    assert other.proof(DATASET, "ann")["status"]["status"] == "ConsentWithdrawn"


def test_where_another_gateway_added_a_subject_nobody_is_added_a_second_time(
    consents: Consents, law: Law, second: Callable[[], Consents]
) -> None:
    consents.open(intent("1"), DATASET, upload(OPENED))
    other = second()
    consents.change(intent("2"), DATASET, said("eve", "ConsentGiven"))
    for key in ("3", "4"):
        with pytest.raises(SubjectsElsewhere, match="consent adopt") as refusal:
            other.change(intent(key), DATASET, said("eve", "ConsentWithdrawn"))
        assert refusal.value.facts == {"dataset": DATASET, "count": 1}
    with pytest.raises(SubjectUnknown):
        other.proof(DATASET, "eve")
    assert isinstance(other.change(intent("5"), DATASET, said("ann", "ConsentWithdrawn")).ending, Recorded)
    assert consents.proof(DATASET, "ann")["version"]["number"] == 3


def test_a_reference_that_was_drawn_in_time_is_brought_into_the_map_by_nobody_else(
    consents: Consents, law: Law, store: ConsentStore, second: Callable[[], Consents]
) -> None:
    """Both gateways know the new subject, each by a reference of its own: only one of them gets into the map."""
    consents.open(intent("1"), DATASET, upload(OPENED))
    other = second()
    store.references(DATASET, ["eve"])
    other.change(intent("2"), DATASET, said("eve", "ConsentGiven"))
    with pytest.raises(SubjectsElsewhere):
        consents.change(intent("3"), DATASET, said("eve", "ConsentWithdrawn"))
    assert law.head is not None
    assert law.head.size == 3


def test_what_a_transaction_claims_is_taken_only_where_it_leads_to_the_root(
    consents: Consents, law: Law, second: Callable[[], Consents]
) -> None:
    consents.open(intent("1"), DATASET, upload(OPENED))
    other = second()
    consents.change(intent("2"), DATASET, said("ann", "ConsentWithdrawn"))
    true = law.commands["2"]
    for false in ("", "{}", law.commands["1"], true.replace("ConsentWithdrawn", "ConsentExpired")):
        law.commands["2"] = false
        with pytest.raises(MapBehind, match="consent adopt"):
            other.proof(DATASET, "ann")
    del law.commands["2"]
    with pytest.raises(MapBehind):
        other.proof(DATASET, "ann")
    law.commands["2"] = true
    assert other.proof(DATASET, "ann")["status"]["status"] == "ConsentWithdrawn"


def test_a_map_that_another_gateway_opened_is_named(law: Law, store: ConsentStore, tmp_path: Path) -> None:
    database = Database.open(tmp_path / "other.db", "consent", durable=False)
    over(law, ConsentStore(database)).open(intent("1"), DATASET, upload(OPENED))
    database.close()
    mine = over(law, store)
    ending = mine.open(intent("2"), DATASET, upload(OPENED)).ending
    assert isinstance(ending, Failed)
    assert ending.code == "already-exists"
    with pytest.raises(MapBehind, match="consent adopt"):
        mine.change(intent("3"), DATASET, said("ann", "ConsentWithdrawn"))


def test_what_the_ledger_recorded_before_a_crash_is_followed_by_the_next_process(
    consents: Consents, law: Law, store: ConsentStore
) -> None:
    consents.open(intent("1"), DATASET, upload(OPENED))

    original = law.submit

    def recorded_and_lost(*args: Any) -> Answer:
        original(*args)
        raise KeyboardInterrupt

    law.submit = recorded_and_lost  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        consents.change(intent("2"), DATASET, said("ann", "ConsentWithdrawn"))
    law.submit = original  # type: ignore[method-assign]
    assert store.head(DATASET) is not None
    evidence = over(law, store).proof(DATASET, "ann")
    assert evidence["status"]["status"] == "ConsentWithdrawn"
    assert shown_by(evidence) is not None


def test_the_law_refuses_what_it_would_of_anyone(consents: Consents, law: Law) -> None:
    consents.open(intent("1"), DATASET, upload(OPENED))
    for key, change, code in (
        ("2", said("ann", "ConsentWithdrawn", "2025-01-01"), "consent-backdated"),
        ("3", said("ann", "ConsentWithdrawn", "2099-01-01"), "dated-in-the-future"),
        ("4", said("ann", "ConsentRequested"), "consent-status-cannot-follow"),
    ):
        ending = consents.change(intent(key), DATASET, change).ending
        assert isinstance(ending, Failed)
        assert ending.code == code
    assert law.head is not None
    assert law.head.number == 1


def test_what_is_not_here_is_said(consents: Consents, law: Law) -> None:
    with pytest.raises(MapUnknown):
        consents.proof(DATASET, "ann")
    with pytest.raises(MapUnknown):
        consents.change(intent("1"), DATASET, said("ann", "ConsentGiven"))
    consents.open(intent("2"), DATASET, upload(OPENED))
    with pytest.raises(SubjectUnknown):
        consents.proof(DATASET, "nobody")
    with pytest.raises(MapUnknown):
        consents.proof(DATASET, "ann", 9)
    many = b"subject,state\n" + b"".join(b"s%d,ConsentGiven\n" % each for each in range(501))
    with pytest.raises(UnreadableRecords, match="at most 500"):
        consents.change(intent("3"), DATASET, upload(many))


def test_the_history_of_a_subject_is_its_own_changes_newest_first(consents: Consents, law: Law) -> None:
    consents.open(intent("1"), DATASET, upload(OPENED))
    consents.change(intent("2"), DATASET, said("ann", "ConsentWithdrawn"))
    consents.change(intent("3"), DATASET, said("bob", "ConsentWithdrawn"))
    consents.change(intent("4"), DATASET, said("ann", "ConsentGiven", "2026-06-01"))
    history = consents.history(DATASET, "ann")
    assert [(each["number"], each["status"]["status"]) for each in history["history"]] == [
        (4, "ConsentGiven"), (2, "ConsentWithdrawn"), (1, "ConsentGiven"),
    ]  # fmt: skip
    assert history["status"] == history["history"][0]["status"]
    assert (history["number"], history["left"]) == (4, 0)
    assert "'ann'" not in str(history)
    with pytest.raises(SubjectUnknown):
        consents.history(DATASET, "nobody")


def test_a_long_history_ends_with_how_much_is_older(
    consents: Consents, law: Law, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.services.consenting.MOST_SHOWN", 1)
    consents.open(intent("1"), DATASET, upload(OPENED))
    consents.change(intent("2"), DATASET, said("ann", "ConsentWithdrawn"))
    history = consents.history(DATASET, "ann")
    assert ([each["number"] for each in history["history"]], history["left"]) == ([2], 1)


def test_a_subject_whose_records_came_after_the_map_has_no_history_yet(
    consents: Consents, law: Law, store: ConsentStore
) -> None:
    consents.open(intent("1"), DATASET, upload(OPENED))
    store.references(DATASET, ["eve"])
    history = consents.history(DATASET, "eve")
    assert (history["status"], history["history"], history["left"]) == (None, [], 0)


def test_a_change_that_ends_consent_marks_what_it_affects_and_says_whose_it_ended(
    consents: Consents, law: Law, store: ConsentStore
) -> None:
    law.selections = (SELECTION,)
    consents.open(intent("1"), DATASET, upload(OPENED))
    given = consents.change(intent("2"), DATASET, said("eve", "ConsentGiven"))
    assert (given.ended, law.marked, law.asked) == ((), [], [])
    both = said("ann", "ConsentWithdrawn").content.read() + b"bob,ConsentGiven,care,2026-05-01\n"
    withdrawn = consents.change(intent("3"), DATASET, upload(both))
    assert withdrawn.ended == (store.reference(DATASET, "ann"),)
    assert law.marked == [SELECTION]
    assert law.asked == [[EVERY_PURPOSE]] * 2
    assert (withdrawn.unmarked, law.transactions[-1]) == (0, 1)
    again = consents.change(intent("3"), DATASET, upload(both))
    assert (again.replayed, again.ended) == (True, withdrawn.ended)
    refused = consents.change(intent("4"), DATASET, said("ann", "ConsentRequested", "2099-01-01"))
    assert refused.ended == ()


def many_selections(count: int) -> tuple[Ref, ...]:
    return tuple(Ref(f"selection:cohort:1:s{number:03}") for number in range(count))


def test_what_one_transaction_cannot_mark_others_mark(consents: Consents, law: Law) -> None:
    law.selections = many_selections(2 * MOST_AFFECTED + 9)
    consents.open(intent("1"), DATASET, upload(OPENED))
    withdrawn = consents.change(intent("2"), DATASET, said("ann", "ConsentWithdrawn"))
    assert isinstance(withdrawn.ending, Recorded)
    assert law.transactions[-3:] == [MOST_AFFECTED, MOST_AFFECTED, 9]
    assert (sorted(law.marked), withdrawn.unmarked) == (sorted(law.selections), 0)
    consents.change(intent("2"), DATASET, said("ann", "ConsentWithdrawn"))
    assert len(law.marked) == len(law.selections)


@pytest.mark.parametrize("how", ["refused", "unavailable"])
def test_what_could_not_be_marked_is_counted_and_marked_by_the_same_request_again(
    consents: Consents, law: Law, how: str
) -> None:
    law.selections = many_selections(MOST_AFFECTED + 5)
    consents.open(intent("1"), DATASET, upload(OPENED))
    original = law.submit

    def only_changes(intent: Intent, function: str, build: Callable[[], Command]) -> Answer:
        if function != "consent:mark":
            return original(intent, function, build)
        if how == "unavailable":
            raise Unavailable("no peer answers", code="unavailable")
        return Answer(failed(RecordNotFound(SELECTION)), "s")

    law.submit = only_changes  # type: ignore[method-assign]
    withdrawn = consents.change(intent("2"), DATASET, said("ann", "ConsentWithdrawn"))
    assert isinstance(withdrawn.ending, Recorded)
    assert (withdrawn.unmarked, len(law.marked)) == (5, MOST_AFFECTED)
    law.submit = original  # type: ignore[method-assign]
    again = consents.change(intent("2"), DATASET, said("ann", "ConsentWithdrawn"))
    assert (again.replayed, again.unmarked) == (True, 0)
    assert sorted(law.marked) == sorted(law.selections)


def test_the_map_as_of_a_height_is_the_one_that_was_in_force(consents: Consents, law: Law) -> None:
    assert consents.as_of(DATASET, 9) is None
    consents.open(intent("1"), DATASET, upload(OPENED))
    for number in range(2, 6):
        consents.change(
            intent(str(number)), DATASET, said("ann" if number % 2 else "bob", "ConsentGiven", f"2026-0{number}-01")
        )
    # The fake ledger has each version in the block of its number.
    found = [consents.as_of(DATASET, height) for height in range(1, 7)]
    assert [None if each is None else each.number for each in found] == [None, 1, 2, 3, 4, 5]

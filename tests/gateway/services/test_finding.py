# SPDX-License-Identifier: Apache-2.0
"""Lists and search over a real read model, compared with what filtering every record in memory finds."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import recordkeys
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.services.attributes import digests, words
from gateway.services.catalogue import Catalogue
from gateway.services.filters import InvalidParameter, conditions_of
from gateway.services.ports import Json, LedgerBlock, LedgerTransaction, LedgerWrite
from gateway.services.references import reference_of
from gateway.services.searching import Search
from gateway.stores import selection
from gateway.stores.comparison import differences
from gateway.stores.database import Database
from gateway.stores.readmodel import ReadModelStore

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
OWNERS = ("HospitalMSP", "LabMSP")
LICENCES = ("MIT", "CC-BY-4.0", "MIT OR Apache-2.0")
TITLES = ("Breast cancer features", "Cardiac scans, résumé", "Breasts of birds", "An own title")


def digest(first: int, rest: int = 0) -> str:
    return f"{first:08x}{rest:056x}"


def dataset(name: str, **more: Any) -> Json:
    return {"kind": "dataset", "schema": 1, "dataset": name, "owner": "LabMSP", "title": "A title", **more}


def version_of(name: str, number: int, **more: Any) -> Json:
    return {"kind": "model-version", "schema": 1, "model": name, "number": number, "owner": "LabMSP", **more}


def staged(reference: str, stage: str) -> Json:
    return {"kind": "artifact-stage", "schema": 1, "artifact": reference, "owner": "LabMSP", "stage": stage}


class Ledger:
    """A read model, what was written to it, and the same questions answered by looking at all of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = Database.open(path, "readmodel", durable=False)
        self.model = ReadModelStore(self.database)
        self.catalogue = Catalogue(self.model)
        self.search = Search(self.model)
        self.blocks: list[LedgerBlock] = []
        self.written: dict[str, tuple[Json, datetime]] = {}

    def write(self, *records: Json, at: datetime = FIRST) -> None:
        """One block with one transaction."""
        writes = tuple(recordkeys.written(record) for record in records)
        number, before = self.model.height(), self.model.last_hash() or ""
        transaction = LedgerTransaction(f"{number:064x}", 0, 0, "LabMSP", f"{at.isoformat()}", None, writes)
        self.blocks.append(LedgerBlock(number, f"{number + 1:x}", before, (transaction,)))
        self.model.apply(self.blocks[-1])
        for write in writes:
            kept = self.written.get(write.key)
            self.written[write.key] = (write.value or {}, at if kept is None else kept[1])

    def of_kind(self, kind: str) -> list[tuple[Json, datetime]]:
        return [each for each in self.written.values() if each[0]["kind"] == kind]

    def pages(self, kind: str, filters: Mapping[str, str], *, size: int) -> list[Json]:
        """Every record of a list, and of each page that it says what it should of itself."""
        found: list[Json] = []
        cursor = None
        while True:
            page = self.catalogue.page(kind, cursor=cursor, limit=size, filters=filters)
            assert len(page["items"]) <= size
            found += [item["record"] for item in page["items"]]
            cursor = page["next"]
            if cursor is None:
                return found

    def names(self, kind: str, field: str, **filters: str) -> list[str]:
        return [str(record[field]) for record in self.pages(kind, filters, size=2)]

    def searched(self, query: str, **more: Any) -> list[str]:
        found: list[str] = []
        cursor = None
        while True:
            page = self.search.page(query, cursor=cursor, limit=2, **more)
            found += [item["reference"] for item in page["items"]]
            cursor = page["next"]
            if cursor is None:
                return found


@pytest.fixture
def make_ledger(tmp_path: Path) -> Iterator[Callable[[], Ledger]]:
    made: list[Ledger] = []

    def make() -> Ledger:
        made.append(Ledger(tmp_path / f"{len(made)}.db"))
        return made[-1]

    yield make
    for each in made:
        each.database.close()


@pytest.fixture
def ledger(make_ledger: Callable[[], Ledger]) -> Ledger:
    return make_ledger()


# --- Against every record in memory -----------------------------------------------------------------------------------


def holds(record: Json, at: datetime, name: str, text: str) -> bool:
    """What a filter means, said as plainly as can be."""
    match name:
        case "name":
            return str(record["dataset"]).startswith(text)
        case "since":
            return at >= datetime.fromisoformat(text)
        case "before":
            return at < datetime.fromisoformat(text)
        case "licence":
            return text in (record["licence"], *re.findall(r"[\w.-]+", record["licence"]))
        case "digest":
            return any(found.startswith(text) for _, found in digests(record))
    return bool(record[name] == text)


RECORD = st.fixed_dictionaries(
    {
        "owner": st.sampled_from(OWNERS),
        "licence": st.sampled_from(LICENCES),
        "sensitivity": st.sampled_from(["public", "personal"]),
        "title": st.sampled_from(TITLES),
        "card": st.integers(0, 3).map(digest),
        "distributions": st.lists(st.integers(0, 3).map(lambda rest: digest(1, rest)), max_size=2),
    }
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "owner": st.sampled_from(OWNERS),
        "licence": st.sampled_from(["MIT", "Apache-2.0", "MIT OR Apache-2.0"]),
        "sensitivity": st.sampled_from(["public", "personal"]),
        "name": st.sampled_from(["a", "b", "a-1"]),
        "digest": st.sampled_from([digest(1), digest(1)[:8], digest(2)[:12], digest(9)]),
        "since": st.integers(0, 9).map(lambda day: f"2026-01-{day + 1:02}T00:00:00Z"),
        "before": st.integers(0, 9).map(lambda day: f"2026-01-{day + 1:02}T00:00:00Z"),
    },
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.lists(st.tuples(RECORD, st.sampled_from("ab"), st.integers(1, 8)), max_size=14),
    filters=FILTERS,
    size=st.integers(1, 4),
    walked=st.sampled_from([1, 3, 10_000]),
    few=st.sampled_from([1, 100]),
)
def test_a_list_holds_what_its_filters_ask_for_in_the_order_of_the_list(
    make_ledger: Callable[[], Ledger], monkeypatch: pytest.MonkeyPatch,
    records: list[tuple[Json, str, int]], filters: Mapping[str, str], size: int, walked: int, few: int,
) -> None:  # fmt: skip
    ledger = make_ledger()
    for index, (record, letter, day) in enumerate(records):
        ledger.write(dataset(f"{letter}-{index}", **record), at=FIRST.replace(day=day))
    every = [each for each in ledger.of_kind("dataset") if all(holds(*each, *item) for item in filters.items())]
    if "name" in filters:
        every.sort(key=lambda each: str(each[0]["dataset"]))
    elif "since" in filters or "before" in filters:
        every.sort(key=lambda each: each[1])
    with monkeypatch.context() as changed:
        changed.setattr(selection, "MOST_WALKED", walked)
        changed.setattr(selection, "_FEW", few)
        found = ledger.pages("dataset", filters, size=size)
        page = ledger.catalogue.page("dataset", cursor=None, limit=1, filters=filters)
    assert found == [record for record, _ in every]
    assert page["count"] <= len(every)
    assert page["count"] == len(every) or not page["count_exact"]
    if walked > len(records):
        assert page["count_exact"]


@pytest.mark.parametrize("ordered", [{}, {"since": "2026-01-01T00:00:00Z"}, {"name": "d"}])
def test_what_begins_so_by_two_of_its_values_is_in_a_list_once(ledger: Ledger, ordered: Mapping[str, str]) -> None:
    ledger.write(dataset("d", distributions=[digest(1, 1), digest(1, 2)]))
    filters = {"digest": digest(1)[:8], **ordered}
    assert [record["dataset"] for record in ledger.pages("dataset", filters, size=1)] == ["d"]
    assert ledger.catalogue.page("dataset", cursor=None, limit=5, filters=filters)["count"] == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.lists(RECORD, max_size=10),
    terms=st.lists(
        st.sampled_from(["breast", "Brea", "CANCER", "resume", "title", "a", "d-1", digest(1)[:9], digest(0)]),
        min_size=1, max_size=3,
    ),
    walked=st.sampled_from([1, 10_000]),
)  # fmt: skip
def test_search_finds_what_reading_every_record_finds(
    make_ledger: Callable[[], Ledger], monkeypatch: pytest.MonkeyPatch,
    records: list[Json], terms: list[str], walked: int,
) -> None:  # fmt: skip
    ledger = make_ledger()
    for index, record in enumerate(records):
        ledger.write(dataset(f"d-{index}", **record))

    def matches(record: Json) -> bool:
        known = [*words(record["title"]), *words(record["dataset"]), *(found for _, found in digests(record))]
        return all(any(each.startswith(part) for each in known) for term in terms for part in words(term))

    expected = [f"dataset:{record['dataset']}" for record, _ in ledger.of_kind("dataset") if matches(record)]
    with monkeypatch.context() as changed:
        changed.setattr(selection, "MOST_WALKED", walked)
        assert ledger.searched(" ".join(terms)) == expected


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moves=st.lists(
        st.tuples(st.integers(0, 1), st.integers(1, 3), st.sampled_from(["submitted", "approved", "retired"])),
        max_size=8,
    )
)
def test_versions_are_found_by_their_stage_and_models_by_that_of_any_version(
    make_ledger: Callable[[], Ledger], moves: list[tuple[int, int, str]]
) -> None:
    ledger = make_ledger()
    stages: dict[tuple[int, int], str] = {}
    for model in (0, 1):
        ledger.write({"kind": "model", "schema": 1, "model": f"m{model}", "owner": "LabMSP", "title": "t"})
        for number in (1, 2, 3):
            stages[model, number] = "draft"
            ledger.write(version_of(f"m{model}", number, licence="MIT", digest=digest(5, number)))
    for model, number, stage in moves:
        stages[model, number] = stage
        ledger.write(staged(f"model-version:m{model}:{number}", stage))
    for stage in ("draft", "submitted", "approved", "retired"):
        found = [
            (record["model"], record["number"]) for record in ledger.pages("model-version", {"stage": stage}, size=2)
        ]
        assert found == [(f"m{model}", number) for (model, number), now in stages.items() if now == stage]
        above = {f"m{model}" for (model, _), now in stages.items() if now == stage}
        assert ledger.names("model", "model", stage=stage) == sorted(above)
    assert ledger.names("model", "model", licence="MIT", digest=digest(5, 2)) == ["m0", "m1"]


# --- Paging -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("filters", [{}, {"owner": "LabMSP"}, {"name": "d"}, {"since": "2025-01-01"}])
def test_blocks_that_arrive_between_pages_neither_repeat_nor_hide_a_record(
    ledger: Ledger, filters: dict[str, str]
) -> None:
    for index in range(5):
        ledger.write(dataset(f"d-{index}"))
    found: list[str] = []
    cursor = None
    for round_ in range(20):
        page = ledger.catalogue.page("dataset", cursor=cursor, limit=1, filters=filters)
        found += [item["record"]["dataset"] for item in page["items"]]
        ledger.write(dataset(f"d-{'0' * (round_ % 3)}x{round_}"), dataset("d-0", title="written again"))
        cursor = page["next"]
        if cursor is None or len(found) > 9:
            break
    assert len(set(found)) == len(found)
    assert [name for name in found if name in {f"d-{index}" for index in range(5)}] == [f"d-{i}" for i in range(5)]


def test_a_cursor_is_taken_only_as_it_was_given_and_by_the_list_that_gave_it(ledger: Ledger) -> None:
    for index in range(4):
        ledger.write(dataset(f"d-{index}"), version_of("m", index + 1))
    given_ = {
        "plain": ledger.catalogue.page("dataset", cursor=None, limit=2)["next"],
        "owner": ledger.catalogue.page("dataset", cursor=None, limit=2, filters={"owner": "LabMSP"})["next"],
        "name": ledger.catalogue.page("dataset", cursor=None, limit=2, filters={"name": "d"})["next"],
    }
    cursor = given_["plain"]
    flipped = [cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :] for at in range(len(cursor))]
    for bad in (
        *flipped,
        given_["owner"],
        given_["name"],
        "",
        "@@",
        "é",
        "bmV4dA==",
        cursor[:-1],
        cursor * 200,
        "A" * 5_000,
    ):
        with pytest.raises(InvalidParameter) as refused:
            ledger.catalogue.page("dataset", cursor=bad, limit=2)
        assert refused.value.facts == {"parameter": "cursor"}
    for kind, filters in (("model-version", {}), ("dataset", {"owner": "HospitalMSP"})):
        with pytest.raises(InvalidParameter):
            ledger.catalogue.page(kind, cursor=given_["owner"], limit=2, filters=filters)
    assert len(ledger.catalogue.page("dataset", cursor=cursor, limit=9)["items"]) == 2


def test_a_place_that_no_page_ended_at_is_refused_by_the_store(ledger: Ledger) -> None:
    for bad in ("", "x", "-1", "1:x", "9" * 19, "1\n", "\uff11"):
        with pytest.raises(ValueError):
            ledger.model.list("dataset", where=(), after=bad, limit=1)
    with pytest.raises(ValueError):
        ledger.model.list("dataset", where=conditions_of({"since": "2026-01-01"}), after="1:x", limit=1)


# --- What is asked badly ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "right"),
    [
        ("owner", "Lab MSP", "letters, digits, dots and hyphens"),
        ("stage", "appproved", "draft, submitted"),
        ("sensitivity", "secret", "personal"),
        ("licence", "MITT", "MITT"),
        ("licence", "MIT OR", "MIT OR"),
        ("since", "yesterday", "2026-11-28T22:00:00Z"),
        ("since", "2026-11-28T22:00:00", "2026-11-28T22:00:00Z"),
        ("before", "0000-01-01", "a date"),
        ("name", "Wdbc", "lower-case"),
        ("name", "", "beginning of a name"),
        ("digest", "abc123", "8 or more"),
        ("digest", "g" * 64, "hexadecimal"),
        ("digest", "a" * 65, "hexadecimal"),
        ("subject", "net:1", "model-version:net:1"),
        ("child", "thing:net", "model-version:net:1"),
        ("number", "0", "from 1"),
        ("number", "\u0661", "from 1"),
    ],
)
def test_a_filter_that_cannot_be_understood_names_itself_and_what_is_right(name: str, text: str, right: str) -> None:
    with pytest.raises(InvalidParameter, match=re.escape(right)) as refused:
        conditions_of({name: text})
    assert refused.value.facts == {"parameter": name}
    assert str(refused.value).startswith(f"{name}: ")


@pytest.mark.parametrize("text", ["2026-01-02T01:00:00+01:00", "2026-01-02T01:00:00 01:00", "2026-01-02"])
def test_the_same_instant_may_be_written_in_several_ways(ledger: Ledger, text: str) -> None:
    ledger.write(dataset("before"), at=FIRST)
    ledger.write(dataset("after"), at=FIRST.replace(day=2))
    assert ledger.names("dataset", "dataset", since=text) == ["after"]
    assert ledger.names("dataset", "dataset", before=text) == ["before"]


def test_an_entry_whose_transaction_says_no_time_is_in_no_range_of_times(ledger: Ledger) -> None:
    number, before = ledger.model.height(), ledger.model.last_hash() or ""
    write = recordkeys.written(dataset("timeless"))
    ledger.model.apply(LedgerBlock(number, "1", before, (LedgerTransaction("t", 0, 0, "L", "", None, (write,)),)))
    assert ledger.names("dataset", "dataset") == ["timeless"]
    assert ledger.names("dataset", "dataset", since="0001-01-01") == []
    assert ledger.names("dataset", "dataset", before="9999-01-01") == []


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.text(max_size=220) | st.text(alphabet="\"'()*:^-+%_\\;= NEARORa1", max_size=60))
def test_whatever_is_searched_for_gives_a_page_or_a_refusal_that_names_q(ledger: Ledger, query: str) -> None:
    if not ledger.written:
        ledger.write(dataset("d-1", title="A near order of a1"))
    refused: list[Any] = []
    try:
        page = ledger.search.page(query, cursor=None, limit=5)
    except InvalidParameter as refusal:
        refused.append(refusal.facts)
    else:
        assert page["count"] == len(page["items"])
    assert refused in ([], [{"parameter": "q"}])


# --- Search -----------------------------------------------------------------------------------------------------------


def test_a_digest_finds_every_record_that_names_it_and_says_where(ledger: Ledger) -> None:
    weights = digest(0xABCDEF01, 7)
    ledger.write(
        version_of(
            "net", 1, digest=digest(1), files=[{"path": "a", "digest": digest(2)}, {"path": "w", "digest": weights}]
        ),
        dataset("d", card=weights),
        {"kind": "digest-claim", "schema": 1, "digest": weights, "owner": "LabMSP", "reference": "dataset:d"},
    )
    for query in (weights, weights[:8], weights.upper(), f"sha256:{weights}"):
        page = ledger.search.page(query, cursor=None, limit=10)
        assert [(item["reference"], item["digests"]) for item in page["items"]] == [
            ("model-version:net:1", [{"pointer": "/files/1/digest", "digest": weights}]),
            ("dataset:d", [{"pointer": "/card", "digest": weights}]),
        ]
        assert (page["count"], page["count_exact"], page["complete"]) == (2, True, True)
    assert ledger.searched(weights, kind="dataset") == ["dataset:d"]
    assert ledger.searched(weights[:7]) == []
    with pytest.raises(InvalidParameter, match="model-version"):
        ledger.search.page("x", kind="digest-claim", cursor=None, limit=1)


def test_a_reference_finds_its_record_and_a_name_does_not_find_every_version(ledger: Ledger) -> None:
    ledger.write({"kind": "model", "schema": 1, "model": "net", "owner": "LabMSP", "title": "A net"})
    ledger.write(version_of("net", 1, note="first weights"), version_of("net", 2))
    assert ledger.searched("model-version:net:2") == ["model-version:net:2"]
    assert ledger.searched("net") == ["model:net"]
    assert ledger.searched("weights") == ["model-version:net:1"]


def test_a_word_that_begins_too_many_says_so_and_what_it_spells_is_found_first(ledger: Ledger) -> None:
    ledger.write(*(dataset(f"d-{index}", title=f"ca{index:03}") for index in range(50)), dataset("x", title="ca"))
    page = ledger.search.page("ca", cursor=None, limit=100)
    assert not page["complete"]
    assert not page["count_exact"]
    assert "dataset:x" in [item["reference"] for item in page["items"]]
    assert ledger.search.page("ca04", cursor=None, limit=100)["complete"]


def test_too_many_digests_that_begin_alike_must_be_told_apart(ledger: Ledger) -> None:
    ledger.write(dataset("d", distributions=[digest(7, rest) for rest in range(40)]))
    with pytest.raises(InvalidParameter, match="more digits"):
        ledger.catalogue.page("dataset", cursor=None, limit=5, filters={"digest": digest(7)[:8]})
    assert ledger.names("dataset", "dataset", digest=digest(7, 39)) == ["d"]


@pytest.mark.parametrize(
    "query", ["a b c d e f g h", "w w1 w2 w3 w4 w5 w6 w7", "w1 zebra", "zebra", '" OR "" *', "w" * 200]
)
def test_what_a_search_looks_at_is_bounded_however_much_there_is(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.setattr(selection, "MOST_WALKED", 200)
    monkeypatch.setattr(selection, "MOST_LOOKED_UP", 2_000)
    ledger.write(
        *(dataset(f"d-{n}", title=" ".join(f"{'abcdefghw'[i]}{n % 40}" for i in range(9))) for n in range(1_500))
    )
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    connection = ledger.database.reader()
    connection.set_progress_handler(count, 1)
    try:
        page = ledger.search.page(query, cursor=None, limit=10)
    finally:
        connection.set_progress_handler(None, 0)
    assert len(page["items"]) <= 10
    assert taken < 400_000


@pytest.mark.parametrize("filters", [{"name": "d"}, {"since": "2020-01-01"}, {"name": "d", "since": "2020-01-01"}])
def test_a_range_with_another_filter_is_walked_in_bounds(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, filters: dict[str, str]
) -> None:
    monkeypatch.setattr(selection, "MOST_WALKED", 200)
    ledger.write(*(dataset(f"d-{n}", owner="LabMSP" if n % 2 else "AMSP", sensitivity="public" if n % 2 else "personal")
                   for n in range(1_500)))  # fmt: skip
    page = ledger.catalogue.page(
        "dataset", cursor=None, limit=10, filters={**filters, "owner": "AMSP", "sensitivity": "public"}
    )
    assert (page["items"], page["count"], page["count_exact"]) == ([], 0, False)
    assert page["next"] is not None
    assert ledger.pages("dataset", {**filters, "owner": "AMSP", "sensitivity": "public"}, size=50) == []


# --- The read model itself --------------------------------------------------------------------------------------------


def test_a_record_that_is_written_again_is_found_by_its_present_words_alone(ledger: Ledger) -> None:
    ledger.write(dataset("d", title="Former words", card=digest(1)))
    ledger.write(dataset("d", title="Present words", card=digest(2)))
    assert (ledger.searched("former"), ledger.searched("present")) == ([], ["dataset:d"])
    assert (ledger.searched(digest(1)), ledger.searched(digest(2))) == ([], ["dataset:d"])
    assert ledger.names("dataset", "dataset", digest=digest(1)) == []


def test_what_is_deleted_is_found_no_longer_and_its_history_keeps_its_kind(ledger: Ledger) -> None:
    ledger.write(dataset("d", title="Words"), dataset("e"))
    deletion = LedgerTransaction(
        "t", 0, 0, "LabMSP", "", None, (LedgerWrite(recordkeys.written(dataset("d")).key, None),)
    )
    ledger.model.apply(LedgerBlock(1, "2", "1", (deletion,)))
    assert ledger.searched("words") == []
    assert ledger.names("dataset", "dataset") == ["e"]
    assert ledger.database.reader().execute("SELECT count(*) FROM history WHERE kind = 'dataset'").fetchone() == (3,)


def test_a_model_that_is_built_again_is_the_same_to_the_last_row(make_ledger: Callable[[], Ledger]) -> None:
    kept = make_ledger()
    kept.write({"kind": "model", "schema": 1, "model": "net", "owner": "LabMSP", "title": "A net"})
    kept.write(version_of("net", 1, licence="MIT"), staged("model-version:net:1", "submitted"))
    kept.write(dataset("d"), staged("model-version:net:1", "approved"))
    kept.model.clear()
    for block in kept.blocks:
        kept.model.apply(block)
    fresh = make_ledger()
    for block in kept.blocks:
        fresh.model.apply(block)
    assert list(differences(kept.path, fresh.path)) == []


def test_words_are_letters_and_digits_without_case_and_accents() -> None:
    assert words("Résumé of ﬁles_2, ÆON-9 straße") == ["resume", "of", "files", "2", "æon", "9", "strasse"]
    assert words("x" * 100) == ["x" * 64]
    assert reference_of("model-version", {"model": "net", "number": 3}) == "model-version:net:3"
    assert reference_of("edge", {"parent": "model:net"}) is None

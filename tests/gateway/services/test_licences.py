# SPDX-License-Identifier: Apache-2.0
"""What licences come to along a lineage, over a real read model."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chaincode.domain import codec
from chaincode.domain.errors import InvalidField, LicenceTooWide, RecordNotFound
from chaincode.domain.keys import key_of
from chaincode.domain.lineage import LONGEST_PATH, Edge
from chaincode.domain.values import Ref, Text
from gateway.services import licences as module
from gateway.services.filters import InvalidParameter
from gateway.services.licences import LicenceReader
from gateway.services.ports import LedgerBlock, LedgerTransaction, LedgerWrite
from gateway.stores.database import Database
from gateway.stores.readmodel import ReadModelStore

NET, BASE, RUN = "model-version:net:1", "model-version:base:1", "run:r-1"
DATA, MORE, PART = "dataset-version:d:1", "dataset-version:e:1", "selection:d:1:train"
Edges = list[tuple[str, str, str]]
Build = Callable[..., LicenceReader]


def record(reference: str, licence: str | None) -> dict[str, Any]:
    kind, *parts = reference.split(":")
    keys = {"run": ("run",), "selection": ("dataset", "number", "selection"), "evaluation": ("evaluation",)}
    names = keys.get(kind, (kind.removesuffix("-version"), "number"))
    values = dict(zip(names, [int(part) if part.isdecimal() else part for part in parts], strict=True))
    own = {} if licence is None else {"licence": licence}
    return {"kind": {"run": "training-run"}.get(kind, kind), **values, **own}


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    """A reader over records, given by their references and licences, and edges; one block for each of the two."""
    database = Database.open(tmp_path / "readmodel.db", "readmodel", durable=False)

    def make(licences: dict[str, str | None], edges: Edges) -> LicenceReader:
        model = ReadModelStore(database)
        made = [Edge(Ref(parent), Ref(child), Text(relation)) for parent, relation, child in edges]
        blocks = [[(each, record(each, licence)) for each, licence in licences.items()]]
        blocks.append([(key_of(edge), codec.to_plain(edge)) for edge in made])
        for number, block in enumerate(blocks):
            writes = tuple(LedgerWrite(key, value) for key, value in block)
            done = LedgerTransaction(f"{number:064x}", 0, 0, "LabMSP", "2026-01-01T00:00:00Z", None, writes)
            model.apply(LedgerBlock(number, f"{number + 1:02x}", f"{number:02x}" if number else "", (done,)))
        return LicenceReader(model)

    yield make
    database.close()


TRAINED: Edges = [(RUN, "trained", NET), (DATA, "input:train", RUN), (MORE, "input:train", RUN)]


def come_to(reader: LicenceReader, of: str = NET, *, limit: int = 1_000, as_of: int | None = None) -> dict[str, Any]:
    return reader.effective(of, as_of=as_of, limit=limit)


def test_the_licence_of_a_model_is_the_meet_of_its_own_and_its_ancestors(build: Build) -> None:
    reader = build({NET: "CC-BY-NC-SA-4.0", RUN: None, DATA: "CC-BY-4.0", MORE: "CC-BY-NC-4.0"}, TRAINED)
    assert come_to(reader) == {
        "of": NET, "as_of": 2, "declared": "CC-BY-NC-SA-4.0", "licence": "CC-BY-NC-SA-4.0", "verdict": "met",
        "conditions": ["attribution", "non-commercial use", "share-alike"], "inherited": "CC-BY-NC-4.0",
        "offending": None, "ancestors": 3, "unknown": [], "complete": True,
        "licences": [
            {"licence": "CC-BY-NC-SA-4.0", "nearest": NET, "count": 1},
            {"licence": "CC-BY-4.0", "nearest": DATA, "count": 1},
            {"licence": "CC-BY-NC-4.0", "nearest": MORE, "count": 1},
        ],
    }  # fmt: skip
    assert come_to(reader, as_of=1)["ancestors"] == 0


def test_a_licence_wider_than_a_far_ancestor_allows_is_named_with_the_path(build: Build) -> None:
    """GPL 2.0 may be taken instead of MPL 2.0, which admits the patent terms that GPL 2.0 shuts out."""
    edges: Edges = [(BASE, "fine-tuned", NET), (DATA, "synthesise", BASE)]
    found = come_to(build({NET: "GPL-2.0-only", BASE: "MPL-2.0", DATA: "Apache-2.0"}, edges))
    assert (found["licence"], found["verdict"], found["conditions"]) == (None, "none", None)
    assert found["inherited"] == "MPL-2.0"
    path = (NET, BASE, DATA)
    expected = LicenceTooWide(
        "GPL-2.0-only", "Apache-2.0", "its own terms, which GPL-2.0-only does not allow to be added", path
    )
    assert found["offending"] == {
        "licence": "Apache-2.0", "path": list(path), "code": "licence-too-wide", "detail": str(expected),
    }  # fmt: skip


def test_a_licence_that_keeps_all_is_in_effect_although_a_wider_one_is_declared(build: Build) -> None:
    found = come_to(build({NET: "MIT", RUN: None, DATA: "CC-BY-NC-4.0", MORE: "MIT"}, TRAINED))
    assert (found["licence"], found["declared"], found["offending"]["path"]) == (
        "CC-BY-NC-4.0",
        "MIT",
        [NET, RUN, DATA],
    )
    assert [(each["licence"], each["count"]) for each in found["licences"]] == [("MIT", 2), ("CC-BY-NC-4.0", 1)]


@pytest.mark.parametrize(
    ("licences", "verdict", "code"),
    [
        (("MIT", "LicenseRef-x"), "undecided", "licence-unclassified"),
        (("CC-BY-NC-4.0", "CC-BY-SA-4.0"), "none", "licence-too-wide"),
        (("LicenseRef-x", "CC-BY-ND-4.0"), "none", "derivatives-forbidden"),
    ],
)
def test_what_does_not_fit_or_cannot_be_compared_is_said(
    build: Build, licences: tuple[str, str], verdict: str, code: str
) -> None:
    found = come_to(build({NET: licences[0], BASE: licences[1]}, [(BASE, "merged", NET)]))
    assert (found["licence"], found["verdict"], found["offending"]["code"]) == (None, verdict, code)


def test_what_only_tested_a_model_or_was_replaced_passes_on_no_licence(build: Build) -> None:
    edges: Edges = [
        (RUN, "trained", NET), (DATA, "input:test", RUN), ("dataset-version:e:2", "input:test+input:train", RUN),
        (MORE, "replaces", "dataset-version:e:2"),
    ]  # fmt: skip
    licences = {NET: "MIT", RUN: None, DATA: "CC-BY-NC-4.0", MORE: "GPL-3.0-only", "dataset-version:e:2": "MIT"}
    found = come_to(build(licences, edges))
    assert (found["licence"], found["ancestors"], found["inherited"]) == ("MIT", 2, "MIT")


def test_data_passes_its_licence_on_through_a_selection_and_may_ask_nothing_of_a_model(build: Build) -> None:
    edges: Edges = [(RUN, "trained", NET), (PART, "input:train", RUN), (DATA, "selected", PART)]
    reader = build({NET: "MIT", RUN: None, PART: None, DATA: "CDLA-Sharing-1.0"}, edges)
    found = come_to(reader)
    assert (found["licence"], found["ancestors"]) == ("MIT", 3)
    assert come_to(reader, DATA)["licence"] == "CDLA-Sharing-1.0"


def test_ancestors_that_are_not_known_make_it_incomplete(build: Build) -> None:
    edges: Edges = [(BASE, "merged", NET), (RUN, "trained", BASE), (DATA, "input:train", RUN), (MORE, "filter", DATA)]
    reader = build({NET: "MIT", BASE: "MIT", RUN: None, DATA: "Unheard-of-1.0"}, edges)
    found = come_to(reader)
    assert (found["licence"], found["complete"], found["unknown"]) == ("MIT", False, [DATA, MORE])
    assert found["licences"] == [{"licence": "MIT", "nearest": NET, "count": 2}]
    own = come_to(reader, DATA)
    assert (own["declared"], own["verdict"], own["complete"]) == (None, "undecided", False)


def test_a_limit_and_too_many_licences_make_it_incomplete(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"model-version:m{number}:1" for number in range(8)]
    reader = build(
        {NET: "MIT"} | {name: f"LicenseRef-{place}" for place, name in enumerate(names)},
        [(name, "merged", NET) for name in names],
    )
    found = come_to(reader, limit=5)
    assert (found["ancestors"], found["complete"], found["unknown"]) == (5, False, [])
    monkeypatch.setattr(module, "MOST_TERMS", 3)
    found = come_to(reader)
    assert (len(found["licences"]), found["ancestors"], found["unknown"]) == (3, 8, names[2:])
    monkeypatch.setattr(module, "EDGES_PER_NODE", 1)
    assert come_to(reader, limit=3)["ancestors"] == 3


def test_a_long_line_of_ancestors_is_looked_at_to_its_end(build: Build) -> None:
    names = [f"model-version:m{number}:1" for number in range(400)]
    edges: Edges = [(above, "fine-tuned", below) for below, above in pairwise(names)]
    reader = build(dict.fromkeys(names, "MIT") | {names[-1]: "CC-BY-NC-4.0"}, edges)
    found = come_to(reader, names[0])
    assert (found["ancestors"], found["complete"], found["licence"]) == (399, True, "CC-BY-NC-4.0")
    path = found["offending"]["path"]
    assert (len(path), path[:2], path[-1]) == (LONGEST_PATH, names[:2], names[-1])


def test_only_versions_that_were_there_have_a_licence(build: Build) -> None:
    reader = build({NET: "MIT", RUN: None}, [(RUN, "trained", NET)])
    with pytest.raises(InvalidField, match="a version of a data set or a model"):
        come_to(reader, RUN)
    with pytest.raises(RecordNotFound):
        come_to(reader, BASE)
    with pytest.raises(InvalidParameter, match="as_of"):
        come_to(reader, as_of=9)

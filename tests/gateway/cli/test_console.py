# SPDX-License-Identifier: Apache-2.0
"""What people see: tables, trees and words, whatever others wrote into a record."""

from typing import Any

import pytest

from gateway.cli.answers import recorded
from gateway.cli.console import fields, plain, table
from gateway.cli.trees import lineage_tree
from pedigree import Recorded
from pedigree.command import wrapped


def test_a_record_is_shown_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    fields(
        {
            "schema": 1,
            "number": 2,
            "recorded_at": 1_795_397_823_449,
            "parents": [],
            "caught_up": True,
            "files": [{"path": "a", "size": 1}, {"path": "b", "size": 2}],
            "members": [{"organisation": "LabMSP", "roles": ["trainer", "auditor"]}],
            "code": {"digest": "ab" * 32},
            "origin": {"source": "White Star Line", "collected_from": -1_820_534_400_000},
            "roles": ["reader", "recorder"],
            "metrics": [{"name": "loss", "value": "0.7", "step": 1}, {"name": "accuracy", "value": "0.97"}],
        }
    )
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "field        value",
        "number       2",
        "recorded_at  2026-11-23 01:37:03.449+00:00",
        "parents      none",
        "caught_up    yes",
        "files        path a, size 1",
        "             path b, size 2",
        "members      organisation LabMSP, roles trainer and auditor",
        "code         digest " + "ab" * 32,
        "origin       source White Star Line",
        "             collected_from 1912-04-24 00:00:00.000+00:00",
        "roles        reader, recorder",
        "metrics      loss 0.7 at step 1",
        "             accuracy 0.97",
    ]


def test_a_record_keeps_to_the_columns_that_there_are_and_breaks_no_digest(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    fields({"title": "word " * 30, "genesis_hash": "ab" * 32, "note": "one\n\ntwo", "files": list("abc") * 40})
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "title         word word word word word word word word word word word"
    assert lines[2].startswith("              word")
    assert lines[4:8] == [f"genesis_hash  {'ab' * 32}", "note          one", "", "              two"]
    assert lines[-1] == "              … (120 of them; --json shows all)"


def test_a_list_cuts_digests_where_there_is_no_room_for_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"dataset": "wdbc", "root": "ab" * 32, "stage": None}]
    for columns, root in (("80", "ab" * 32), ("79", "ab" * 8 + "…"), ("none", "ab" * 32)):
        monkeypatch.setenv("COLUMNS", columns)
        table(rows, "dataset", "root", "stage")
        assert capsys.readouterr().out.splitlines()[1].split() == ["wdbc", root, "none"]
    monkeypatch.setenv("COLUMNS", "22")
    table([{"at": 1_795_397_823_449}], "at")
    assert capsys.readouterr().out.splitlines()[1].rstrip() == "2026-11-23 01:37:03Z"


def test_bytes_that_another_organisation_recorded_first_are_said_to_be_so(capsys: pytest.CaptureFixture[str]) -> None:
    claim = {"digest": "ab" * 32, "owner": "HospitalMSP", "reference": "dataset:d", "claimed_at": 0}
    fields({"earlier_claims": [claim]})
    shown = " ".join(capsys.readouterr().out.split())
    assert "were recorded by HospitalMSP first, as dataset:d, 1970-01-01 00:00:00.000+00:00" in shown


@pytest.mark.parametrize("hostile", ["[/red]", "[bold]x", "\x1b[2J", "a\rb", "\u202egnp", "\x07"])
def test_what_others_wrote_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str], hostile: str) -> None:
    fields({"title": hostile})
    table([{"owner": hostile}], "owner")
    edges = [{"parent": f"run:{hostile}", "child": "model:net", "relation": hostile}]
    lineage_tree({"of": "model:net", "nodes": [], "edges": edges}, "up")
    shown = capsys.readouterr().out
    assert shown.count(plain(hostile)) == 4
    assert all(each.isprintable() or each == "\n" for each in shown)


def test_a_lineage_unfolds_each_node_once_and_points_up_at_it(capsys: pytest.CaptureFixture[str]) -> None:
    def edge(parent: str, child: str, relation: str) -> dict[str, str]:
        return {"parent": parent, "child": child, "relation": relation}

    lineage: dict[str, Any] = {
        "of": "model-version:net:2",
        "nodes": [
            {"reference": "model-version:net:1", "quarantined": True, "review_path": []},
            {"reference": "run:b", "quarantined": False, "review_path": ["model-version:net:1"]},
            {"reference": "dataset-version:d:1", "superseded_by": "dataset-version:d:2"},
            {"reference": "selection:d:1:train", "withdrawn": True},
        ],
        "edges": [
            edge("run:b", "model-version:net:2", "trained"),
            edge("model-version:net:1", "model-version:net:2", "fine-tuned"),
            edge("dataset-version:d:1", "run:b", "input:train"),
            edge("selection:d:1:train", "run:b", "input:train"),
            edge("dataset-version:d:1", "model-version:net:1", "input:train"),
            edge("dataset:d", "dataset-version:d:1", "version"),
        ],
        "complete": False,
    }
    lineage_tree(lineage, "up")
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "model-version:net:2",
        "├── model-version:net:1 (fine-tuned) quarantined",
        "│   └── dataset-version:d:1 (input:train) superseded by dataset-version:d:2",
        "│       └── dataset:d (version)",
        "└── run:b (trained) review required, for model-version:net:1",
        "    ├── dataset-version:d:1 (input:train) superseded by dataset-version:d:2 see above",
        "    └── selection:d:1:train (input:train) consent withdrawn",
        "",
        "Of 4 artifacts: 1 quarantined, 1 with their consent withdrawn, 1 to be reviewed.",
        "",
        "Cut at 4 artifacts: there is more than this, perhaps also stopped. --limit shows more;",
        "pedigree impact model-version:net:2 --direction up lists all, and says how many there are.",
    ]


def test_a_lineage_may_be_deep(capsys: pytest.CaptureFixture[str]) -> None:
    edges = [{"parent": f"n{i + 1}", "child": f"n{i}", "relation": "r"} for i in range(300)]
    lineage_tree({"of": "n0", "nodes": [], "edges": edges}, "up")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 301
    assert max(map(len, lines)) < 80
    assert lines[16] == " " * 60 + "└── n16 (r)"
    assert lines[17] == "16: " + " " * 60 + "└── n17 (r)"
    assert lines[300] == "299:" + " " * 60 + "└── n300 (r)"


def test_versions_are_in_the_order_of_their_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    edges = [{"parent": "dataset:d", "child": f"dataset-version:d:{n}", "relation": "version"} for n in (10, 9, 1, 100)]
    lineage_tree({"of": "dataset:d", "nodes": [], "edges": edges}, "down")
    shown = [line.split()[1] for line in capsys.readouterr().out.splitlines()[1:]]
    assert shown == [f"dataset-version:d:{n}" for n in (1, 9, 10, 100)]


def test_long_values_are_cut_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    fields({"envelope": {"payload": "x" * 5_000, "payloadType": "t", "signatures": []}})
    assert capsys.readouterr().out.splitlines()[1:] == ["envelope  a signed statement; --json shows it"]
    fields({"envelope": {"payload": "x" * 5_000}})
    shown = capsys.readouterr().out
    assert "(5000 characters; --json shows all)" in shown
    assert len(shown) < 500


def test_words_are_broken_between_words_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Proven:\n  - " + "word " * 60 + "ab" * 32
    assert wrapped(text) == text
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    lines = wrapped(text).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[2].startswith("    word")
    assert lines[-1].strip().endswith("ab" * 32)


def test_a_word_on_an_artifact_is_not_taken_for_where_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    """An endorsement for the stage `approved` leaves an artifact at `endorsed` as long as others are missing."""
    record = {"artifact": "model-version:net:1", "by": "LabMSP", "stage": "approved"}
    event: Any = {
        "name": "artifact-endorsed",
        "artifact": record["artifact"],
        "at_stage": "approved",
        "stage": "endorsed",
    }
    recorded(Recorded(record, event, "ab" * 32, 6, 7, 0.1, replayed=False), as_json=False)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert "stage     approved" in lines
    assert lines[-1] == "model-version:net:1 is endorsed now"

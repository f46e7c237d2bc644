# SPDX-License-Identifier: Apache-2.0
"""Lists, search and `show` on the command line: what they ask, and how people and programs read it."""

import json
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from gateway.api.operations import OPERATIONS
from gateway.cli import main

TRANSACTION = {"id": "ab" * 32, "block": 6, "at": "2026-01-01T00:00:00Z"}


def page(*records: dict[str, Any], count: int | None = None, **more: Any) -> dict[str, Any]:
    items = [{"record": record, "transaction": TRANSACTION} for record in records]
    counted = len(items) if count is None else count
    return {"items": items, "next": None, "count": counted, "count_exact": True, **more}


class Client:
    """Answers every method with what is scripted for it, and remembers what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        def method(*args: Any, **said: Any) -> Any:
            self.asked.append((name, args, said))
            return self.answers[name]

        return method


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    import pedigree

    made = Client()
    monkeypatch.setattr(pedigree, "Pedigree", lambda *_args, **_more: made)
    return made


def run(*arguments: str) -> Result:
    printed = CliRunner().invoke(main, [*arguments, "--url", "http://127.0.0.1:1", "--key", "id.secret"])
    assert printed.exit_code == 0, printed.output
    return printed


def test_list_names_every_kind_that_can_be_listed_as_a_whole() -> None:
    group = main.commands["list"]
    assert isinstance(group, click.Group)
    assert {"dataset-versions", "datasets", "evaluations", "policy-votes"} <= group.commands.keys()
    assert len(group.commands) == len([row for row in OPERATIONS if row.answer.form == "page" and not row.places])


def test_a_list_says_how_many_there_are(client: Client) -> None:
    client.answers["models"] = page({"model": "net", "title": "T", "owner": "LabMSP"}, count=137, next="more")
    printed = run("list", "models", "--stage", "approved", "--name", "n", "--limit", "1")
    assert "net" in printed.stdout
    assert "1 of 137\n" in printed.stdout
    assert client.asked == [("models", (), {"stage": "approved", "name": "n", "cursor": None, "limit": 1})]
    client.answers["models"]["count_exact"] = False
    assert "1 of at least 137\n" in run("list", "models", "--limit", "1").stdout
    client.answers["models"] = page()
    assert run("list", "models").stdout == "There is none.\n"


def test_search_shows_references_and_where_a_digest_was_found(client: Client) -> None:
    item = {"reference": "model-version:net:1", "title": None, "owner": "LabMSP", "kind": "model-version",
            "digests": [{"pointer": "/files/0/digest", "digest": "cd" * 32}], "transaction": TRANSACTION}  # fmt: skip
    answer = {"items": [item], "next": None, "count": 1, "count_exact": True, "complete": False}
    client.answers["search"] = answer
    printed = run("search", "cd" * 4, "net", "--kind", "model-version").stdout
    assert "model-version:net:1" in printed
    assert "/files/0/digest" in printed
    assert "write more of them" in printed
    assert client.asked == [("search", ("cdcdcdcd net",), {"kind": "model-version", "cursor": None, "limit": 100})]
    assert json.loads(run("search", "x", "--json").stdout) == answer
    client.answers["search"] = {**page(), "complete": True}
    assert run("search", "x").stdout == "Nothing has these words.\n"


def test_show_joins_a_record_its_versions_its_stage_and_its_evaluations(client: Client) -> None:
    client.answers["artifact"] = {
        "artifact": "model:net",
        "record": {"kind": "model", "model": "net"},
        "transaction": TRANSACTION,
        "stage": "draft",
    }
    client.answers["model_versions"] = page(
        {"kind": "model-version", "model": "net", "number": 1, "licence": "MIT"}, count=30, next="more"
    )
    printed = run("show", "model:net").stdout
    assert "versions: 30" in printed
    assert "MIT" in printed
    assert "stage" not in printed
    assert "The first 1 are shown." in printed
    assert client.asked == [("artifact", ("model:net",), {}), ("model_versions", ("net",), {"limit": 20})]
    client.answers["artifact"]["record"] = {"kind": "model-version", "model": "net", "number": 1}
    client.answers["evaluations"] = page({"kind": "evaluation", "evaluation": "e-1", "subject": "model-version:net:1"})
    client.answers["deployments"] = page({"kind": "deployment", "deployment": "ward-3"})
    printed = run("show", "model-version:net:1").stdout
    assert "draft" in printed
    assert "e-1" in printed
    assert "ward-3" in printed
    assert client.asked[-2:] == [
        ("evaluations", (), {"subject": "model-version:net:1", "limit": 20}),
        ("deployments", (), {"version": "model-version:net:1", "limit": 20}),
    ]
    shown = json.loads(run("show", "model-version:net:1", "--json").stdout)
    assert shown["evaluations"]["count"] == 1
    client.answers["artifact"]["record"] = {"kind": "criteria", "criteria": "bar"}
    assert "e-1" in run("show", "criteria:bar").stdout
    assert client.asked[-1] == ("evaluations", (), {"criteria": "bar", "limit": 20})
    client.answers["dataset_versions"] = page()
    assert "versions: 0" in run("show", "dataset:d").stdout
    client.answers["artifact"]["record"] = {"kind": "training-run", "run": "r"}
    assert "training-run" in run("show", "run:r").stdout


def test_a_deployment_says_whether_it_has_ended(client: Client) -> None:
    record = {"kind": "deployment", "deployment": "ward-3", "version": "model-version:net:1"}
    client.answers["deployment"] = {"record": record, "transaction": TRANSACTION, "end": None}
    assert "ended       no" in run("deployment", "show", "ward-3").stdout
    client.answers["deployment"] |= {"quorum_lost": True, "duty": "must-stop"}
    assert "it must stop: its model has lost the quorum" in run("deployment", "show", "ward-3").stdout
    client.answers["deployment"]["duty"] = None
    assert "quorum lost" in run("deployment", "show", "ward-3").stdout
    client.answers["deployment"]["end"] = {"kind": "deployment-end", "ended": 0, "reason": "a better one"}
    printed = run("deployment", "show", "ward-3", "--from", "ledger").stdout
    assert "ended       1970-01-01" in printed
    assert "a better one" in printed
    assert client.asked[-1] == ("deployment", ("ward-3",), {"source": "ledger"})


@pytest.mark.parametrize(
    ("block", "says"),
    [
        (
            4,
            "Shown: criteria:bar is in block 4, below run:r (block 5) and evaluation:e (block 6); it was never changed",
        ),
        (
            5,
            "criteria:bar is in block 5, which is not below each of run:r (block 5) and evaluation:e",
        ),
        (None, "NOT shown: that the criteria came first. criteria:bar is in block None"),
    ],
)
def test_show_says_what_the_ledger_shows_of_an_evaluation_that_criteria_judged(
    client: Client, block: int | None, says: str
) -> None:
    record = {"kind": "evaluation", "evaluation": "e", "owner": "RegulatorMSP", "criteria": "bar", "verdict": "pass",
              "runs": ["r"]}  # fmt: skip
    client.answers["artifact"] = {"artifact": "evaluation:e", "record": record, "transaction": TRANSACTION}
    client.answers["criteria"] = {"record": {"kind": "criteria", "criteria": "bar", "owner": "HospitalMSP"}}
    if block is not None:
        client.answers["criteria"]["transaction"] = {**TRANSACTION, "block": block}
    client.answers["get_run"] = {
        "record": {"kind": "training-run", "run": "r", "owner": "LabMSP"}, "transaction": {**TRANSACTION, "block": 5},
    }  # fmt: skip
    printed = run("show", "evaluation:e").stdout
    assert says in printed
    assert "Said by LabMSP: when the training began. Said by RegulatorMSP: what was measured." in printed
    order = json.loads(run("show", "evaluation:e", "--json").stdout)["order"]
    assert order["in_order"] is (block == 4)
    assert order["criteria"] == {"reference": "criteria:bar", "owner": "HospitalMSP", "block": block}


def test_whoami_is_a_table_for_people(client: Client) -> None:
    client.answers["whoami"] = {"organisation": "LabMSP", "roles": ["reader"], "key": {"id": "1", "name": "ci"}}
    printed = run("whoami").stdout
    assert "LabMSP" in printed
    assert "name ci" in printed
    assert json.loads(run("whoami", "--json").stdout)["roles"] == ["reader"]

# SPDX-License-Identifier: Apache-2.0
"""`pedigree mlflow record` says of every run what came of it, and ends as the first failure does."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.cli.exits import Exit
from pedigree import Unreachable
from pedigree.mlflowruns import stores
from pedigree.mlflowruns.attempts import Attempt

DONE = Attempt("aa", "run:mlflow-aa")
SKIPPED = Attempt("bb", None, "it ended as FAILED, and only finished runs are recorded")
UNREACHABLE = Attempt("cc", None, "nothing answers", Unreachable("nothing answers", code="unreachable"))


def invoke(*arguments: str) -> Result:
    given = ["--url", "http://127.0.0.1:9", "--key", "id.secret"]
    return CliRunner().invoke(main, ["mlflow", "record", *arguments, *given])


@pytest.mark.parametrize(
    ("attempts", "exit_code"),
    [
        ([DONE], Exit.DONE),
        ([], Exit.DONE),
        ([DONE, SKIPPED], Exit.REFUSED),
        ([SKIPPED, DONE, UNREACHABLE], Exit.UNREACHABLE),
    ],
)
def test_it_ends_as_the_first_failure(
    monkeypatch: pytest.MonkeyPatch, attempts: list[Attempt], exit_code: Exit
) -> None:
    asked: list[dict[str, Any]] = []

    def record_stored(_lab: Any, **given: Any) -> Iterator[Attempt]:
        asked.append(given)
        yield from attempts

    monkeypatch.setattr(stores, "record_stored", record_stored)
    answer = invoke("aa", "--tag", "pedigree.use=a=b", "--tracking-uri", "mlruns", "--json")
    assert answer.exit_code == exit_code
    rows = json.loads(answer.stdout)
    assert [each["run"] for each in rows] == [each.run_id for each in attempts]
    assert asked == [{"runs": ("aa",), "experiment": None, "tags": {"pedigree.use": "a=b"}, "tracking_uri": "mlruns"}]
    shown = invoke("--experiment", "tumours")
    assert shown.exit_code == exit_code
    assert all(str(each.reference or "nothing answers") in shown.output for each in attempts if each is not SKIPPED)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [((), "name runs by their ids, or give --experiment"), (("aa", "--tag", "x"), "--tag is NAME=VALUE, not 'x'")],
)
def test_wrong_arguments_are_named(arguments: tuple[str, ...], says: str) -> None:
    answer = invoke(*arguments)
    assert answer.exit_code == Exit.USAGE
    assert says in answer.stderr

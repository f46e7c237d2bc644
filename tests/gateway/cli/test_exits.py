# SPDX-License-Identifier: Apache-2.0
"""How commands end: one exit code for each outcome, errors as JSON where JSON was asked for, no colours unwanted."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.cli.console import Tool, told
from gateway.cli.exits import EPILOG, MEANINGS, Exit
from pedigree import errors

GUIDE = Path(__file__).parents[3] / "docs" / "guide" / "applications.md"
REFUSAL: dict[str, Any] = {
    "code": "own-artifact", "detail": "It is yours.", "retryable": False, "facts": {"owner": "LabMSP"},
}  # fmt: skip


def problem(status: int, code: str, *, retryable: bool = False) -> errors.PedigreeError:
    return errors.from_problem(status, {**REFUSAL, "code": code, "retryable": retryable})


def end(error: BaseException | None, *arguments: str) -> Result:
    """What a command comes to that ends with this error."""

    @click.group(cls=Tool)
    def tool() -> None:
        pass

    @tool.command()
    @click.option("--json", "as_json", is_flag=True)
    @told
    def act(as_json: bool) -> None:
        if error is not None:
            raise error

    return CliRunner().invoke(tool, ["act", *arguments])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 0),
        (errors.InvalidEvidence("no"), 1),
        (errors.Disagreement("no"), 1),
        (errors.InvalidInput("no", field="metric"), 2),
        (problem(409, "already-exists"), 4),
        (problem(401, "unauthenticated"), 4),
        (problem(404, "not-found"), 5),
        (errors.Unreachable("no", code="unreachable"), 6),
        (problem(503, "capacity", retryable=True), 7),
        (errors.from_problem(500, "<html>"), 7),
        (ValueError("no"), 8),
        (OSError(13, "Permission denied", "locked"), 8),
        (ZeroDivisionError(), 70),
        (click.Abort(), 130),
    ],
)
def test_each_outcome_has_an_exit_code_of_its_own(error: BaseException | None, code: int) -> None:
    assert end(error).exit_code == code
    assert end(error, "--json").exit_code == code


def test_an_exit_code_and_an_error_class_say_the_same() -> None:
    found = [errors.Refused, errors.NotFound, errors.Unavailable, errors.Unreachable, errors.Disagreement]
    codes = {kind: end(kind("no", code="x")).exit_code for kind in found}
    assert len(set(codes.values())) == len(found), codes


def test_errors_are_json_where_json_was_asked_for() -> None:
    ended = end(problem(403, "own-artifact"), "--json")
    assert ended.stdout == ""
    assert json.loads(ended.stderr) == {**REFUSAL, "status": 403, "exit_code": 4}
    assert json.loads(end(ValueError("no"), "--json").stderr) == {"code": "failed", "detail": "no", "exit_code": 8}
    wrong = CliRunner().invoke(main, ["ledger", "--json", "--nonsense"])
    assert wrong.exit_code == 2
    assert json.loads(wrong.stderr)["code"] == "usage"
    assert "--nonsense" in json.loads(wrong.stderr)["detail"]
    assert end(ValueError("no")).stderr == "pedigree: no\n"


def test_the_table_of_exit_codes_stands_in_the_help_and_in_the_guide() -> None:
    shown = " ".join(CliRunner().invoke(main, ["--help"]).stdout.split())
    assert " ".join(EPILOG.replace("\b", "").split()) in shown
    guide = dict(re.findall(r"^\| (\d+) \| (.+?) \|$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE))
    assert guide == {str(int(code)): meaning for code, meaning in MEANINGS.items()}
    assert set(MEANINGS) == set(Exit)


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool) -> None:
    @click.group(cls=Tool)
    def tool() -> None:
        pass

    @tool.command()
    def act() -> None:
        click.echo(click.style("quarantined", fg="red"))

    monkeypatch.setenv("NO_COLOR", no_color)
    shown = CliRunner().invoke(tool, ["act"], color=True).stdout
    assert ("\x1b[" in shown) is coloured
    assert "quarantined" in shown


def test_a_reader_that_has_gone_is_no_verdict() -> None:
    program = "import sys; sys.argv[1:] = ['--help']; from gateway.cli import main; main()"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        complaint = process.stderr.read()
    assert process.returncode == Exit.BROKEN_PIPE, complaint
    assert complaint == b""


class TestKeys:
    """The API key comes from a file or the environment as well, and the command line goes first."""

    def used(self, monkeypatch: pytest.MonkeyPatch, *arguments: str, **environment: str) -> str | None:
        import pedigree as sdk

        seen: list[str] = []

        class Client:
            def __init__(self, _url: str, key: str, **_: Any) -> None:
                seen.append(key)

            def __enter__(self) -> "Client":
                return self

            def __exit__(self, *_: object) -> None:
                pass

            def ledger(self) -> dict[str, Any]:
                return {"height": 1}

        monkeypatch.setattr(sdk, "Pedigree", Client)
        ended = CliRunner().invoke(
            main, ["ledger", "--url", "http://gateway", *arguments], env={"PEDIGREE_KEY": None, **environment}
        )
        assert ended.exit_code == (0 if seen else 2), ended.output
        return seen[0] if seen else None

    def test_where_a_key_comes_from(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        file, other = tmp_path / "key", tmp_path / "other"
        file.write_text("file.secret\n")
        other.write_text("other.secret")
        assert self.used(monkeypatch, "--key-file", str(file)) == "file.secret"
        assert self.used(monkeypatch, PEDIGREE_KEY_FILE=str(file)) == "file.secret"
        assert self.used(monkeypatch, PEDIGREE_KEY="env.secret") == "env.secret"
        both = {"PEDIGREE_KEY": "env.secret", "PEDIGREE_KEY_FILE": str(file)}
        assert self.used(monkeypatch, **both) == "env.secret"
        assert self.used(monkeypatch, "--key", "typed.secret", **both) == "typed.secret"
        assert self.used(monkeypatch, "--key-file", str(other), **both) == "other.secret"
        assert self.used(monkeypatch) is None
        assert self.used(monkeypatch, "--key", "a.b", "--key-file", str(file)) is None

    def test_the_help_says_that_arguments_can_be_read_by_others(self) -> None:
        assert "others on this machine can read" in " ".join(
            CliRunner().invoke(main, ["ledger", "--help"]).stdout.split()
        )

    def test_everything_that_is_missing_is_named_at_once(self) -> None:
        said = CliRunner().invoke(main, ["ledger"], env={"PEDIGREE_KEY": None, "PEDIGREE_URL": None}).stderr
        assert "--url" in said
        assert "--key-file" in said

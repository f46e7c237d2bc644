# SPDX-License-Identifier: Apache-2.0
"""`pedigree verify`: its exit codes, what it prints, and that it answers as the SDK does."""

import copy
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from sampleconsent import evidence_of_consent
from sampleevidence import evidence_of, selected_of

from gateway.cli import main
from pedigree import command, verify_record

RECORDS = [(f"r{number}", b"r%d,benign" % number) for number in range(2)]
ROOT = evidence_of(RECORDS, 1)["version"]["root"]


@pytest.fixture
def evidence() -> dict[str, Any]:
    """Evidence of the second of two records."""
    return evidence_of(RECORDS, 1)


class Ended(NamedTuple):
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str


def run_whole(arguments: list[str]) -> Ended:
    """Run the verb of the command that has every verb."""
    result = CliRunner().invoke(main, arguments)
    return Ended(result.exit_code, result.stdout, result.stderr)


def run_sdk(arguments: list[str]) -> Ended:
    """Run the command that the SDK brings when it is installed alone."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert isinstance(ended.value.code, int)
    return Ended(int(ended.value.code), out.getvalue(), err.getvalue())


@pytest.fixture(params=[run_whole, run_sdk], ids=["whole", "sdk"])
def verify(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Runs the verb on a document."""

    def run(document: Any, *options: str) -> Ended:
        file = tmp_path / "proof.json"
        file.write_text(json.dumps(document))
        ended: Ended = request.param(["verify", str(file), *options])
        return ended

    return run


def test_without_a_ledger_the_file_agrees_with_itself_only(verify: Any, evidence: dict[str, Any]) -> None:
    answer = verify(evidence)
    assert answer.exit_code == 3
    assert answer.stdout.startswith("The file agrees with itself only")
    assert json.loads(verify(evidence, "--json").stdout)["verified"] is False
    assert verify(evidence, "--json").exit_code == 3


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("version", "owner"), "RivalMSP"),
        (("transaction", "block"), 123_456_789_012),
        (("transaction", "at"), "1999-01-01T00:00:00Z"),
        (("channel",), "another"),
    ],
)
def test_what_only_the_file_says_is_said_to_be_so(
    verify: Any, evidence: dict[str, Any], tmp_path: Path, place: tuple[str, ...], value: Any
) -> None:
    edited = copy.deepcopy(evidence)
    inner = edited
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    assert verify(edited).exit_code == 3
    answer = verify(edited, "--root", ROOT, "--size", "2", "--json")
    assert answer.exit_code == 0
    found = json.loads(answer.stdout)
    assert str(value) in " ".join(found["said"])
    assert str(value) not in " ".join(found["proven"] + found["recorded"])
    answered = tmp_path / "version.json"
    answered.write_text(json.dumps({"record": evidence["version"], "transaction": evidence["transaction"]}))
    told = verify(edited, "--ledger", str(answered))
    assert told.exit_code == (0 if place == ("channel",) else 1)


def test_with_the_ledgers_answer_everything_in_it_is_compared(
    verify: Any, evidence: dict[str, Any], tmp_path: Path
) -> None:
    answered = tmp_path / "version.json"
    answer = {"record": evidence["version"], "transaction": evidence["transaction"]}
    answered.write_text(json.dumps(answer))
    shown = verify(evidence, "--ledger", str(answered))
    assert shown.exit_code == 0
    assert shown.stdout.rstrip("\n") == verify_record(evidence, version=answer).text()
    assert "  - r1,benign\n" in shown.stdout
    assert "number 2 of the 2 records" in shown.stdout


def test_what_is_refuted_or_malformed_ends_with_1(verify: Any, evidence: dict[str, Any]) -> None:
    other = copy.deepcopy(evidence)
    other["proof"]["version"] = "dataset-version:consented-cohort:7"
    numbered = copy.deepcopy(evidence)
    numbered["record"]["id"] = 7
    for document, options in (
        (evidence, ("--root", "00" * 32)),
        (evidence, ("--root", ROOT, "--size", "9")),
        (other, ("--root", ROOT)),
        (numbered, ("--root", ROOT)),
        ([], ()),
        ({}, ()),
    ):
        answer = verify(document, *options)
        assert answer.exit_code == 1, answer.output
        assert answer.stdout == ""
        assert answer.stderr.startswith("pedigree: ")
        assert answer.stderr.count("\n") == 1
        assert "proves nothing" in answer.stderr


@pytest.mark.parametrize(
    "options", [("--size", "2"), ("--root", "zz"), ("--root", ROOT, "--size", "0"), ("--root", ROOT, "--ledger", "{}")]
)
def test_wrong_arguments_end_with_2(
    verify: Any, evidence: dict[str, Any], tmp_path: Path, options: tuple[str, ...]
) -> None:
    file = tmp_path / "version.json"
    file.write_text("{}")
    assert verify(evidence, *(option.format(file) for option in options)).exit_code == 2
    assert verify(evidence, "--ledger", str(file)).exit_code == 2


def test_control_and_bidirectional_characters_are_shown_and_not_obeyed(verify: Any, evidence: dict[str, Any]) -> None:
    evidence["version"]["owner"] = "\x1b[31mHospital\u202e"
    evidence["version"]["licence"] = "MIT\nVerified: all"
    shown = verify(evidence, "--root", ROOT).stdout
    assert r"\x1b[31mHospital\u202e" in shown
    assert "\x1b" not in shown
    assert "\nVerified: all" not in shown


def test_both_commands_print_the_same_and_end_the_same(evidence: dict[str, Any], tmp_path: Path) -> None:
    file, refuted, answered, empty, missing = (tmp_path / name for name in ("a", "b", "c", "d", "e"))
    file.write_text(json.dumps(evidence))
    refuted.write_text(json.dumps({**evidence, "schema": 2}))
    answered.write_text(json.dumps({"record": evidence["version"], "transaction": evidence["transaction"]}))
    empty.write_text("")
    for options in (
        (file,), (file, "--json"), (file, "--root", ROOT), (file, "--root", ROOT, "--size", "2"),
        (file, "--ledger", answered), (refuted,), (refuted, "--json"), (empty,), (file, "--ledger", empty),
        (file, "--ledger", empty, "--json"), (file, "--ledger", file), (file, "--size", "2"), (tmp_path,),
    ):  # fmt: skip
        arguments = ["verify", *map(str, options)]
        assert run_sdk(arguments) == run_whole(arguments), arguments
    # What the arguments themselves lack is said in each parser's own words.
    for arguments in (
        [], ["nonsense"], ["verify"], ["verify", str(missing)], ["verify", str(file), "--size", "x"],
        ["verify", str(file), "--root", "zz"],
    ):  # fmt: skip
        ended = run_sdk(arguments)
        assert (ended.exit_code, ended.stdout, ended.stderr.count("\n")) == (2, "", 1), arguments
        assert run_whole(arguments).exit_code == 2
    assert json.loads(run_sdk(["verify", "--json"]).stderr)["exit_code"] == 2
    assert run_sdk(["--version"]).exit_code == 0


@pytest.mark.parametrize(
    "statement",
    [{"payloadType": "application/vnd.in-toto+json", "payload": "", "signatures": []}, {"kind": "endorsement"},
     {"record": {"kind": "rejection"}, "transaction": {}}],
)  # fmt: skip
def test_the_sdk_alone_says_that_it_does_not_check_signed_statements(statement: Any, tmp_path: Path) -> None:
    file = tmp_path / "statement.json"
    file.write_text(json.dumps(statement))
    ended = run_sdk(["verify", str(file)])
    assert (ended.exit_code, ended.stdout) == (8, "")
    assert ended.stderr == (
        f"pedigree: {file} is a signed statement, which Pedigree as a whole checks; the SDK alone does not\n"
    )
    for odd in ({"record": 7}, {"record": None}, {"kind": []}):
        file.write_text(json.dumps(odd))
        assert run_sdk(["verify", str(file)]).exit_code == 1


def test_evidence_of_consent_is_checked_by_both_commands(tmp_path: Path) -> None:
    for subject, said in (("s1", "ConsentGiven for research"), ("s4", "ConsentWithdrawn"), ("x", "not in the map")):
        evidence = evidence_of_consent(subject)
        file, answered, other = (tmp_path / name for name in ("a", "b", "c"))
        file.write_text(json.dumps(evidence))
        answered.write_text(json.dumps({"record": evidence["version"], "transaction": evidence["transaction"]}))
        other.write_text(json.dumps({"record": {**evidence["version"], "size": 9_999}}))
        root = evidence["version"]["root"]
        for options, code in (
            ((), 3), (("--json",), 3), (("--root", root), 0), (("--root", "00" * 32), 1), (("--ledger", answered), 0),
            (("--ledger", other), 1), (("--ledger", file), 2), (("--root", root, "--size", "9"), 2),
        ):  # fmt: skip
            arguments = ["verify", str(file), *map(str, options)]
            ended = run_whole(arguments)
            assert ended.exit_code == code, arguments
            assert run_sdk(arguments) == ended
            assert said in ended.stdout or code in (1, 2)


def test_receipts_are_checked_by_both_commands(tmp_path: Path) -> None:
    vectors = Path(__file__).resolve().parents[2] / "vectors" / "receipts"
    for name, code in (("given", 0), ("withdrawn", 0), ("refused-status", 1), ("refused-path", 1)):
        receipt = json.loads((vectors / f"{name}.json").read_text())
        answered = tmp_path / "version.json"
        answered.write_text(json.dumps({"record": receipt["pedigree:evidence"]["version"]}))
        arguments = ["verify", str(vectors / f"{name}.json"), "--ledger", str(answered)]
        ended = run_whole(arguments)
        assert ended.exit_code == code, ended
        assert run_sdk(arguments) == ended
        assert ("What the receipt says of the consent is what its evidence shows." in ended.stdout) is (code == 0)


def test_evidence_of_a_selection_takes_the_ledgers_answer_for_each(verify: Any, tmp_path: Path) -> None:
    evidence = selected_of(RECORDS, 1, (1,))
    version, selection = tmp_path / "version.json", tmp_path / "selection.json"
    version.write_text(json.dumps({"record": evidence["version"], "transaction": evidence["transaction"]}))
    answer = {"record": evidence["selection"], "transaction": evidence["selection_transaction"]}
    selection.write_text(json.dumps(answer))
    both = verify(evidence, "--ledger", str(selection), "--ledger", str(version))
    assert both.exit_code == 0
    assert both.stdout.startswith("Verified: the record 'r1' is in 'selection:visits:3:training'")
    for options in (("--ledger", str(version)), ("--ledger", str(selection)), ("--root", ROOT), ()):
        assert verify(evidence, *options).exit_code == 3
    assert verify(evidence, "--root", ROOT, "--size", "2", "--ledger", str(selection)).exit_code == 0
    assert verify(evidence, "--ledger", str(version), "--ledger", str(version)).exit_code == 2
    selection.write_text(json.dumps({**answer, "record": {**answer["record"], "root": "00" * 32}}))
    assert verify(evidence, "--ledger", str(selection)).exit_code == 1

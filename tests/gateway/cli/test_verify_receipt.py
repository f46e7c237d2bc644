# SPDX-License-Identifier: Apache-2.0
"""`pedigree verify` of the receipt of a log: the same from the SDK alone and from the whole, offline, by a policy."""

import importlib
import io
import json
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from click.testing import CliRunner
from samplelog import SampleLog, entry, policy_text, witness

from gateway.cli import main
from gateway.tlog import policy, receipts
from pedigree import InvalidEvidence, command
from pedigree.logreceipts import verify_log_receipt

LOG = SampleLog(9)
WITNESSES = [witness("witness/lab"), witness("witness/maker", post_quantum=True)]
POLICY = policy_text(LOG.signer, WITNESSES, "group both all w1 w2", "quorum both")
RECEIPT = LOG.receipt(4, WITNESSES, extra=entry(4).leaf)
ID = entry(4).transaction.hex()


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
    return Ended(ended.value.code, out.getvalue(), err.getvalue())


Verify = Callable[..., Ended]


@pytest.fixture(params=[run_whole, run_sdk], ids=["whole", "sdk"])
def verify(request: pytest.FixtureRequest, tmp_path: Path) -> Verify:
    """Runs the verb on a receipt, by a policy where one is given."""

    def run(content: bytes, trusted: bytes | None, *options: str) -> Ended:
        (file := tmp_path / "model.tlog-proof").write_bytes(content)
        (policy_file := tmp_path / "policy").write_bytes(trusted or b"")
        chosen = [] if trusted is None else ["--policy", str(policy_file)]
        ended: Ended = request.param(["verify", str(file), *chosen, *options])
        return ended

    return run


def test_by_a_policy_it_is_verified(verify: Verify) -> None:
    answer = verify(RECEIPT, POLICY)
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.rstrip("\n") == receipts.verify(RECEIPT, None, policy.parse(POLICY)).text()
    assert f"The log holds the transaction {ID}" in answer.stdout
    document = json.loads(verify(RECEIPT, POLICY, "--transaction", ID, "--json").stdout)
    assert (document["verified"], document["transaction"]) == (True, ID)


def test_without_a_policy_nothing_is_proven(verify: Verify) -> None:
    answer = verify(RECEIPT, None)
    assert answer.exit_code == 3
    assert answer.stdout.startswith("Nothing is proven yet: no signature was checked")
    assert f"The log 'pedigree/main/HospitalMSP' holds the transaction {ID}, as number 5 of 9 entries." in answer.stdout
    document = json.loads(verify(RECEIPT, None, "--json").stdout)
    assert (document["verified"], document["verdict"]) == (False, "signatures-not-checked")
    assert "holds an entry that it does not name" in verify(LOG.receipt(4, WITNESSES), None).stdout


@pytest.mark.parametrize(
    ("content", "options", "why"),
    [
        (LOG.receipt(4, WITNESSES[:1], extra=entry(4).leaf), (), "the quorum 'both' of the policy is not reached"),
        (LOG.receipt(4, WITNESSES, extra=entry(5).leaf), (), "the path leads to another root"),
        (LOG.receipt(4, WITNESSES), (), "it does not say which entry it is about"),
        (RECEIPT[:-40], (), "does not end with a newline"),
        (RECEIPT + b"x" * (16 << 20), (), "more than 16 MiB"),
        (RECEIPT, ("--transaction", "ab" * 32), "it is about another transaction than abab"),
    ],
)
def test_what_is_refuted_or_malformed_ends_with_1(
    verify: Verify, content: bytes, options: tuple[str, ...], why: str
) -> None:
    answer = verify(content, POLICY, *options)
    assert answer.exit_code == 1
    assert why in answer.stderr
    assert "model.tlog-proof proves nothing: " in answer.stderr
    assert answer.stdout == ""


def test_a_file_of_100_mb_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as large:
        large.write(RECEIPT)
        large.truncate(100_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidEvidence, match="more than 16 MiB"):
            verify_log_receipt(tmp_path / "large")
        with pytest.raises(ValueError, match="large: the policy has more than 1 MiB"):
            verify_log_receipt(tmp_path / "large", policy=tmp_path / "large")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 40 << 20


def test_what_is_given_wrongly_is_said(verify: Verify, tmp_path: Path) -> None:
    for options, why in (
        (("--root", "ab" * 32), "--root, --size and --ledger are for the evidence of a record"),
        (("--transaction", "AB"), "a transaction id has 64 lower-case hexadecimal digits"),
    ):
        answer = verify(RECEIPT, POLICY, *options)
        assert (answer.exit_code, answer.stdout) == (2, "")
        assert why in answer.stderr
    answer = verify(RECEIPT, b"quorum all\n")
    assert answer.exit_code == 8
    assert "policy: line 1 of the policy: the quorum 'all' is not defined on a line above" in answer.stderr
    (other := tmp_path / "other").write_bytes(POLICY)
    answer = verify(b"{}", None, "--policy", str(other))
    assert "--policy and --transaction are for the receipt of a log" in answer.stderr


@pytest.mark.parametrize("lacking", ["cryptography", "cryptography.hazmat.primitives.asymmetric.mldsa"])
def test_without_cryptography_or_with_an_old_one_it_says_what_to_install(
    verify: Verify, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    for name in [each for each in sys.modules if each.startswith(("pedigree.tlog", lacking))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, lacking, None)
    answer = verify(RECEIPT, POLICY)
    assert answer.exit_code == 8
    assert "cryptography 50 or newer, which is not installed: pip install 'cryptography>=50'" in answer.stderr


def test_other_evidence_is_checked_without_loading_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith(("pedigree.logreceipts", "pedigree.command"))]:
        monkeypatch.delitem(sys.modules, name)
    loaded: set[str] = set()
    wanted = __import__

    def watch(name: str, *rest: object) -> ModuleType:
        loaded.add(name.split(".")[0])
        return wanted(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("builtins.__import__", watch)
    importlib.import_module("pedigree.command")
    assert "json" in loaded
    assert "cryptography" not in loaded

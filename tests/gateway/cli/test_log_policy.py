# SPDX-License-Identifier: Apache-2.0
"""`pedigree log policy` of the members' keys: what it writes is taken by `pedigree verify` and by gateways."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from samplelog import SampleLog, entry

from gateway.cli import main
from gateway.cli.exits import Exit
from gateway.server.logkeys import PUBLIC, LogKeys
from gateway.server.logpolicy import PolicyFile
from gateway.tlog import notes, policy
from gateway.tlog.proofs import TlogProof

MEMBERS = {"lab": "LabMSP", "maker": "MakerMSP", "regulator": "RegulatorMSP"}
LOG = SampleLog(9)


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, LogKeys]:
    """The keys of three gateways, in folders as gateways make them."""
    return {name: LogKeys.load(tmp_path / name / "log-keys", "main", mspid) for name, mspid in MEMBERS.items()}


@pytest.fixture
def files(tmp_path: Path, keys: dict[str, LogKeys]) -> dict[str, Path]:
    return {name: tmp_path / name / "log-keys" / PUBLIC for name in keys}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["log", "policy", *arguments])


def members(files: dict[str, Path]) -> list[str]:
    return [argument for name, file in files.items() for argument in ("--member", f"{name}={file}")]


def receipt_of(keys: LogKeys, *signers: notes.NoteSigner) -> bytes:
    """Entry 3 of a log of nine in the log of these keys, signed by these as well."""
    text = LOG.checkpoint().format().replace(LOG.origin.encode(), keys.origin.encode())
    return TlogProof(3, tuple(LOG.tree.inclusion(3)), notes.sign(text, keys.log, *signers), entry(3).leaf).format()


def test_what_is_composed_is_what_verify_asks_for(
    tmp_path: Path, keys: dict[str, LogKeys], files: dict[str, Path]
) -> None:
    kept = tmp_path / "consortium.policy"
    done = run(*members(files), "--threshold", "2", "-o", str(kept))
    assert done.exit_code == 0, done.output
    assert "Enough is the word of any 2 of the 3 lab, maker and regulator." in done.output
    assert "2 who lie together are believed; 1 who is silent is not missed." in done.output
    for cosigned, code in ((("lab",), 1), (("lab", "regulator"), 0), (("lab", "maker", "regulator"), 0)):
        file = tmp_path / "a.tlog-proof"
        file.write_bytes(receipt_of(keys["lab"], *(keys[name].cosigners[0] for name in cosigned)))
        verified = CliRunner().invoke(main, ["verify", str(file), "--policy", str(kept)])
        assert verified.exit_code == code, verified.output


def test_what_is_composed_is_taken_by_a_gateway(
    tmp_path: Path, keys: dict[str, LogKeys], files: dict[str, Path]
) -> None:
    kept = tmp_path / "log-policy"
    at = [argument for name in files for argument in ("--at", f"{name}=https://{name}.example/")]
    assert run(*members(files), *at, "-o", str(kept)).exit_code == 0
    found = PolicyFile(kept, keys["lab"].log.verifier, [each.key for each in keys["lab"].cosigners])
    assert [each.url for each in found.asked()] == ["https://maker.example/v1/log", "https://regulator.example/v1/log"]
    assert found.logs().keys() == {"pedigree/main/MakerMSP", "pedigree/main/RegulatorMSP"}
    assert found.trouble is None
    assert found.current().groups[-1].threshold == 2, "more than half, where nothing else is said"


def test_without_a_file_the_policy_alone_is_printed(files: dict[str, Path]) -> None:
    done = run(*members(files), "--threshold", "3")
    assert policy.parse(done.stdout.encode()).groups[-1].threshold == 3
    assert "Enough is the word of all 3" in done.stderr
    said = json.loads(run(*members(files), "--json").stdout)
    assert policy.parse(said["text"].encode())
    assert said["words"][1].startswith("Enough is the word of any 2")


def test_what_log_show_printed_is_a_file_of_keys_too(
    tmp_path: Path, keys: dict[str, LogKeys], files: dict[str, Path]
) -> None:
    shown = tmp_path / "lab.json"
    lab = keys["lab"]
    shown.write_text(
        json.dumps({"key": lab.log.verifier.vkey, "cosigner_keys": [each.verifier.vkey for each in lab.cosigners]}),
        encoding="utf-8",
    )
    assert run(*members({**files, "lab": shown})).stdout == run(*members(files)).stdout
    shown.write_text('{"key": 1}', encoding="utf-8")
    done = run("--member", f"lab={shown}")
    assert (done.exit_code, "is not what `pedigree log show --json` prints" in done.output) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--member", "lab"], "'lab' is not of the form NAME=…"),
        (["--member", "lab={lab}", "--member", "lab={maker}"], "lab is named twice"),
        (["--member", "lab={lab}", "--at", "maker=https://maker.example"], "maker is none of the members"),
        (["--member", "lab={lab}", "--at", "lab=lab.example"], "does not begin with http:// or https://"),
        (["--member", "lab={lab}", "--threshold", "2"], "2 of 1 members cannot agree"),
        (["--member", "lab={lab}", "--member", "maker={lab}"], "is that of another log already"),
        (["--threshold", "2", "--url", "http://127.0.0.1:1", "--key", "k"], "are about members"),
    ],
)
def test_what_cannot_be_composed_is_a_usage_error(files: dict[str, Path], arguments: list[str], said: str) -> None:
    done = run(*(each.format(**files) for each in arguments))
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split()), done.output


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run("--member", f"lab={tmp_path / 'nothing'}")
    assert done.exit_code == Exit.FAILED
    assert "nothing: No such file" in done.output


def test_the_public_keys_are_beside_the_private_ones_and_renewed_with_them(
    tmp_path: Path, keys: dict[str, LogKeys]
) -> None:
    folder = tmp_path / "lab" / "log-keys"
    public = folder / PUBLIC
    before = public.read_bytes()
    assert before.decode().splitlines() == [each.verifier.vkey for each in (keys["lab"].log, *keys["lab"].cosigners)]
    (folder / "log.key").unlink()
    other = LogKeys.load(folder, "main", "LabMSP")
    assert public.read_bytes() != before
    assert public.read_text(encoding="utf-8").startswith(other.log.verifier.vkey)

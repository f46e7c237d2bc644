# SPDX-License-Identifier: Apache-2.0
"""`pedigree verify` of evidence of a transaction: what is given, what is printed, and how it ends."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sampleorder import File, SampleChannel

from gateway.cli import main
from gateway.cli.exits import Exit

MEMORY = 1 << 30
"""Bytes that the program may have in all while it reads a file that is too large."""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[SampleChannel, File]:
    channel = SampleChannel(tmp_path_factory.mktemp("world"))
    return channel, channel.evidence(channel.add(channel.envelope(channel.draft())))


@pytest.fixture
def verify(tmp_path: Path) -> Callable[..., Result]:
    def run(value: Any, *arguments: object) -> Result:
        file = tmp_path / "evidence.json"
        file.write_text(value if isinstance(value, str) else json.dumps(value))
        return CliRunner().invoke(main, ["verify", str(file), *map(str, arguments)])

    return run


def msp(channel: SampleChannel, domain: str) -> Path:
    return Path(channel.world.material.organisation(domain) / "msp")


def test_with_the_first_block_order_and_endorsement_are_proven(
    verify: Any, sample: tuple[SampleChannel, File], tmp_path: Path
) -> None:
    channel, file = sample
    by_hash = verify(file, "--genesis", channel.genesis_hash.hex())
    assert by_hash.exit_code == 0, by_hash.output
    assert "Verified: this transaction was ordered" in by_hash.stdout
    block = tmp_path / "genesis.block"
    block.write_bytes(channel.blocks[0].SerializeToString())
    assert verify(file, "--config", block).stdout == by_hash.stdout
    shown = json.loads(verify(file, "--config", block, "--json").stdout)
    assert (shown["verified"], shown["transaction"]["endorsers"]) == (True, ["HospitalMSP", "LabMSP"])


def test_with_msp_folders_what_these_organisations_signed_is_proven(
    verify: Any, sample: tuple[SampleChannel, File]
) -> None:
    channel, file = sample
    answer = verify(file, "--msp", f"LabMSP={msp(channel, 'lab.example')}")
    assert answer.exit_code == 0, answer.output
    assert "Verified in part" in answer.stdout
    assert "That it was ordered on your channel" in answer.stdout


def test_without_anything_the_file_is_only_consistent(verify: Any, sample: tuple[SampleChannel, File]) -> None:
    answer = verify(sample[1])
    assert (answer.exit_code, "Nothing is proven yet" in answer.stdout) == (Exit.UNPROVEN, True)


def test_what_is_refuted_ends_otherwise(verify: Any, sample: tuple[SampleChannel, File]) -> None:
    channel, file = sample
    answer = verify(file, "--genesis", "ab" * 32)
    assert (answer.exit_code, "none of its configurations is the block" in answer.stderr) == (Exit.DISAGREES, True)
    other = verify(file, "--genesis", channel.genesis_hash.hex(), "--chaincode", "other")
    assert (other.exit_code, "and not of 'other'" in other.stderr) == (Exit.DISAGREES, True)


def test_options_are_refused_where_they_say_nothing(
    verify: Any, sample: tuple[SampleChannel, File], tmp_path: Path
) -> None:
    channel, file = sample
    folder = msp(channel, "lab.example")
    (tmp_path / "odd.block").write_bytes(b"no block")
    for arguments, code, words in (
        (("--root", "ab" * 32), Exit.USAGE, "--genesis or --config"),
        (("--genesis", "ab"), Exit.USAGE, "64 hexadecimal digits"),
        (("--genesis", "ab" * 32, "--config", tmp_path / "odd.block"), Exit.USAGE, "not both"),
        (("--config", tmp_path / "odd.block"), Exit.FAILED, "odd.block: it cannot be read as a block"),
        (("--msp", folder), Exit.USAGE, "say whose MSP it is"),
        (("--msp", f"LabMSP={folder}", "--msp", f"LabMSP={folder}"), Exit.USAGE, "once"),
        (("--msp", f"LabMSP={tmp_path}"), Exit.FAILED, "no root certificate"),
    ):
        answer = verify(file, *arguments)
        assert (answer.exit_code, words in answer.stderr) == (code, True), answer.output
    record = verify({"kind": "record-evidence"}, "--genesis", "ab" * 32)
    assert (record.exit_code, "for the evidence of a transaction" in record.stderr) == (Exit.USAGE, True)


@pytest.mark.parametrize(
    "content",
    ['{"kind":"transaction-evidence","block":', "[" * 100_000, '{"kind":"transaction-evidence"}', "\x00"],
    ids=["truncated", "nested", "empty", "not JSON"],
)
def test_files_that_are_broken_end_in_one_line(verify: Any, content: str) -> None:
    answer = verify(content, "--genesis", "ab" * 32)
    assert answer.exit_code == Exit.DISAGREES, answer.output
    assert "proves nothing" in answer.stderr
    assert len(answer.stderr.strip().splitlines()[-1]) < 500


def test_a_file_of_100_megabytes_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    file = tmp_path / "large.json"
    with file.open("wb") as content:
        content.write(b'{"kind":"transaction-evidence","block":"')
        for _ in range(100):
            content.write(b"A" * (1 << 20))

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "verify", str(file), "--genesis", "ab" * 32],
        capture_output=True, text=True, preexec_fn=bounded, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == Exit.DISAGREES, done.stderr
    assert "proves nothing: it is larger than" in done.stderr


def test_the_sdk_alone_says_that_it_does_not_check_it(sample: tuple[SampleChannel, File], tmp_path: Path) -> None:
    from pedigree.command import check_file

    (tmp_path / "evidence.json").write_text(json.dumps(sample[1]))
    with pytest.raises(ValueError, match="evidence of a transaction, which Pedigree as a whole checks"):
        check_file(tmp_path / "evidence.json")

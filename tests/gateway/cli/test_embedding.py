# SPDX-License-Identifier: Apache-2.0
"""A model's own file that verifies alone: evidence is put into it, checked with it, and refused for any other file."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import load_file, save_file
from sampleorder import SampleChannel

from chaincode.domain import codec
from chaincode.domain.keys import key_of
from chaincode.domain.model import FileEntry, ModelVersion, manifest_digest
from chaincode.domain.spdx import Licence
from chaincode.domain.values import Count, Digest, FilePath, Instant, Name, Number, OrgId
from gateway.cli import main
from gateway.cli.exits import Exit
from pedigree.safetensors import embed


def run(*arguments: object) -> Result:
    """Run `pedigree`."""
    return CliRunner().invoke(main, [str(each) for each in arguments])


class Published:
    """A file of weights, the evidence of the version that names it, and the channel's first hash."""

    def __init__(self, folder: Path, world: Path) -> None:
        self.file = folder / "net.safetensors"
        save_file({"w": np.arange(600, dtype=np.float32)}, self.file, metadata={"format": "np"})
        self.digest = hashlib.sha256(self.file.read_bytes()).hexdigest()
        files = (
            FileEntry(FilePath("net.safetensors"), Digest(bytes.fromhex(self.digest)), Count(self.file.stat().st_size)),
        )
        version = ModelVersion(
            model=Name("net"), number=Number(1), owner=OrgId("LabMSP"), recorded_at=Instant(1_700_000_000_000),
            licence=Licence("MIT"), files=files, digest=manifest_digest(files), ignore_paths=(), run=None, parents=(),
            note=None,
        )  # fmt: skip
        channel = SampleChannel(world)
        draft = channel.draft()
        draft.rwset.add_write("pedigree", key_of(version), codec.to_json(version))
        number = channel.add(channel.envelope(draft))
        self.genesis = channel.genesis_hash.hex()
        self.evidence = folder / "evidence.json"
        self.evidence.write_text(json.dumps(channel.evidence(number)))
        self.out = folder / "with-evidence.safetensors"


@pytest.fixture
def published(tmp_path: Path) -> Published:
    """Weights whose version is on a channel."""
    return Published(tmp_path, tmp_path / "world")


def test_a_file_verifies_alone(published: Published) -> None:
    done = run("model", "embed", published.file, published.evidence, "-o", published.out)
    assert done.exit_code == 0, done.output
    checked = run("verify", published.out, "--genesis", published.genesis, "--json")
    assert checked.exit_code == 0, checked.output
    verdict = json.loads(checked.stdout)
    assert verdict["verdict"] == "ordered-and-endorsed"
    sentence = "are those of net.safetensors in model-version:net:1"
    assert any(sentence in each and published.digest in each for each in verdict["proven"])
    assert (load_file(published.out)["w"] == np.arange(600, dtype=np.float32)).all()


def test_without_anything_to_trust_it_agrees_with_itself_only(published: Published) -> None:
    run("model", "embed", published.file, published.evidence, "-o", published.out)
    checked = run("verify", published.out)
    assert checked.exit_code == Exit.UNPROVEN
    assert "net.safetensors" in checked.stdout


def test_a_tensor_that_was_changed_is_found(published: Published) -> None:
    run("model", "embed", published.file, published.evidence, "-o", published.out)
    whole = bytearray(published.out.read_bytes())
    whole[-1] ^= 1
    published.out.write_bytes(whole)
    checked = run("verify", published.out, "--genesis", published.genesis)
    assert checked.exit_code == Exit.DISAGREES
    assert "not those of a file of the version that its evidence shows" in checked.stderr


def test_evidence_of_another_file_is_not_put_in(published: Published) -> None:
    other = published.file.with_name("other.safetensors")
    save_file({"w": np.ones(600, dtype=np.float32)}, other)
    done = run("model", "embed", other, published.evidence, "-o", published.out)
    assert done.exit_code == Exit.DISAGREES
    assert "is not about" in done.stderr
    assert not published.out.exists()
    embed(other, published.evidence.read_text(), published.out)  # somebody does it all the same
    assert run("verify", published.out, "--genesis", published.genesis).exit_code == Exit.DISAGREES


def test_other_evidence_is_not_put_in(published: Published, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text('{"kind": "record-evidence"}')
    done = run("model", "embed", published.file, tmp_path / "record.json", "-o", published.out)
    assert done.exit_code == Exit.DISAGREES
    assert "is not evidence of a transaction" in done.stderr
    embed(published.file, '{"kind": "record-evidence"}', published.out)
    checked = run("verify", published.out)
    assert checked.exit_code == Exit.DISAGREES
    assert "shows nothing of the file" in checked.stderr


def test_evidence_can_be_renewed_and_taken_out(published: Published, tmp_path: Path) -> None:
    run("model", "embed", published.file, published.evidence, "-o", published.out)
    again = run("model", "embed", published.out, published.evidence, "-o", published.out)
    assert again.exit_code == 0, again.output
    taken = run("model", "extract", published.out, "-o", tmp_path / "taken.json", "--json")
    answer = json.loads(taken.stdout)
    assert (answer["digest"], answer["size"]) == (published.digest, published.file.stat().st_size)
    assert json.loads((tmp_path / "taken.json").read_text()) == json.loads(published.evidence.read_text())
    assert "holds no evidence" in run("model", "extract", published.file, "-o", tmp_path / "none.json").stderr


def test_a_file_without_evidence_is_refused_in_a_sentence(published: Published) -> None:
    checked = run("verify", published.file)
    assert checked.exit_code != 0
    assert "holds no evidence" in checked.stderr

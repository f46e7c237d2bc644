# SPDX-License-Identifier: Apache-2.0
"""The SDK as it is installed alone: a wheel, an empty environment, no network, and a gateway that answers it."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from samplelog import SampleLog, entry, policy_text, witness

from gateway.demo.consortium import Consortium
from gateway.demo.containers import Containers

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.story("F7", "The SDK is installed alone, with httpx only"),
]

ROOT = Path(__file__).parents[2]
SDK = ROOT / "gateway" / "sdk"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
SETTINGS = {"PIP_NO_INDEX": "1", "PIP_NO_INPUT": "1", "PIP_CONFIG_FILE": os.devnull}
PROGRAM = """
import json, sys
from pathlib import Path
from pedigree import Pedigree, verify_record

url, key, file = sys.argv[1:]
with Pedigree(url, key) as hospital:
    hospital.register_dataset(
        "installed", title="Alone", licence="CC-BY-4.0", sensitivity="personal", basis="public-task",
        origin={"source": "ward 3", "method": "routine care", "geography": ["DE"]},
    )
    hospital.commit_records("installed", b"id,age\\np1,61\\np2,44\\n", id_field="id")
    evidence = hospital.record_proof("installed", 1, "p1")
    assert hospital.verify_record(evidence).verified
    bundle = hospital.save_bundle("installed", 1, file + ".bundle")
    assert hospital.verify_copy(b"id,age\\np1,61\\np2,45\\n", bundle)["changed"] == ["p2"]
    Path(file).write_text(json.dumps(evidence))
    print(hospital.dataset_version("installed", 1)["record"]["root"])
print(sorted(name for name in sys.modules if name.split(".")[0] in {"chaincode", "gateway", "network", "click"}))
"""

LISTING = "from importlib.metadata import distributions; print(*(each.name for each in distributions()))"


class Installed(NamedTuple):
    """An environment that has the SDK's wheel and what that asks for."""

    python: Path
    command: Path
    wheel: Path
    packages: set[str]

    def run(self, program: Path | str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run something of it in a folder that is not the repository's, without its variables."""
        variables = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        command = [str(program), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=folder, env=variables, check=False, timeout=60
        )


def _closure(name: str) -> Iterator[str]:
    """A distribution of this environment and all that it requires, extras apart."""
    waiting, seen = [name], set()
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            yield current
            requirements = map(Requirement, distribution(current).requires or ())
            waiting += [
                each.name for each in requirements if each.marker is None or each.marker.evaluate({"extra": ""})
            ]


def _repack(name: str, folder: Path) -> None:
    """A wheel of an installed pure distribution, which `make install-dev` has fetched and checked."""
    found = distribution(name)
    info = f"{found.metadata['Name'].replace('-', '_')}-{found.version}.dist-info"
    rows = []
    with zipfile.ZipFile(folder / f"{info.removesuffix('.dist-info')}-py3-none-any.whl", "w") as wheel:
        for file in found.files or ():
            if file.parts[0] == ".." or file.suffix == ".pyc" or file.name in {"RECORD", "INSTALLER", "REQUESTED"}:
                continue
            content = file.locate().read_bytes()
            place = f"{info}/{'/'.join(file.parts[1:])}" if file.parts[0].endswith(".dist-info") else file.as_posix()
            wheel.writestr(place, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            rows.append(f"{place},sha256={digest},{len(content)}")
        wheel.writestr(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,"]) + "\n")


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | SETTINGS, timeout=110)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Build the wheel from a copy of what the SDK is made of, and install it where nothing else is."""
    folder = tmp_path_factory.mktemp("sdk")
    source, wheels, place = folder / "gateway" / "sdk", folder / "wheels", folder / "environment"
    shutil.copytree(SDK, source, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    wheels.mkdir()
    _run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(source))
    (wheel,) = wheels.glob("*.whl")
    for name in _closure("httpx"):
        _repack(name, wheels)
    _run(sys.executable, "-m", "venv", "--without-pip", str(place))
    python = place / "bin" / "python"
    _run(*PIP, "--python", str(python), "install", "--no-compile", "--find-links", str(wheels), str(wheel))
    listed = _run(str(python), "-I", "-c", LISTING)
    return Installed(python, place / "bin" / "pedigree", wheel, set(listed.split()))


def test_it_brings_httpx_and_nothing_else_of_its_own(installed: Installed) -> None:
    assert installed.packages == {"pedigree-sdk", *_closure("httpx")}


def test_the_wheel_holds_the_files_of_the_repository(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        packed = {name: wheel.read(name) for name in wheel.namelist() if name.startswith("pedigree/")}
    files = {
        path.relative_to(SDK).as_posix(): path.read_bytes()
        for path in (SDK / "pedigree").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == files
    assert packed["pedigree/characters.py"] == (ROOT / "chaincode" / "domain" / "characters.py").read_bytes()


@pytest.mark.story("F7", "A program records and checks with the SDK alone, and its command verifies a file offline")
@pytest.mark.slow
@pytest.mark.usefixtures("clients")
def test_a_program_records_and_checks_with_it_and_the_command_verifies(
    installed: Installed, consortium: Consortium | Containers, tmp_path: Path
) -> None:
    evidence = tmp_path / "evidence.json"
    given = consortium.url("hospital"), consortium.key("hospital"), str(evidence)
    ran = installed.run(installed.python, "-I", "-W", "error", "-c", PROGRAM, *given, folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    root, imported = ran.stdout.splitlines()
    assert imported == "[]"
    checked = installed.run(installed.command, "verify", str(evidence), "--root", root, "--size", "2", folder=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "of the 2 records under the root" in checked.stdout
    assert installed.run(installed.command, "verify", str(evidence), folder=tmp_path).returncode == 3
    refuted = installed.run(installed.command, "verify", str(evidence), "--root", "00" * 32, folder=tmp_path)
    assert refuted.returncode == 1
    assert refuted.stderr.startswith(f"pedigree: {evidence} proves nothing: ")


@pytest.mark.story("F7", "The SDK alone checks the receipt of a log, with cryptography beside it")
def test_its_command_checks_receipts_with_cryptography_and_says_where_that_is_missing(
    installed: Installed, tmp_path: Path
) -> None:
    log, witnesses = SampleLog(9), [witness("witness/lab"), witness("witness/maker", post_quantum=True)]
    (file := tmp_path / "model.tlog-proof").write_bytes(log.receipt(4, witnesses, extra=entry(4).leaf))
    (policy := tmp_path / "policy").write_bytes(policy_text(log.signer, witnesses, "group g all w1 w2", "quorum g"))
    command = ("verify", str(file), "--policy", str(policy))
    missing = installed.run(installed.command, *command, folder=tmp_path)
    assert missing.returncode == 8
    assert "receipts are checked with cryptography 50 or newer, which is not installed" in missing.stderr
    (beside := tmp_path / "beside").mkdir()
    for name in ("cryptography", "cffi"):
        for each in {Path(part.parts[0]) for part in distribution(name).files or () if part.parts[0] != ".."}:
            (beside / each).symlink_to(distribution(name).locate_file(each))
    program = f"import sys; sys.path.append({str(beside)!r}); from pedigree.command import main; main(sys.argv[1:])"
    checked = installed.run(installed.python, "-I", "-c", program, *command, folder=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.startswith("Verified: the log 'pedigree/main/HospitalMSP' holds this entry and 2 of")

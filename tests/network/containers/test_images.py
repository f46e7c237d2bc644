# SPDX-License-Identifier: Apache-2.0
"""Images are packed from the operator's programs, which are looked at first; the locks agree with the project's."""

import json
import re
import shutil
import subprocess
import tomllib
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from network.containers import images
from network.containers.engine import Docker
from network.containers.errors import ContainersError

ROOT = Path(__file__).resolve().parents[3]
LOCKS = ROOT / "network" / "images"
SCRIPT = """#!/usr/bin/env python3
import json, os, shutil, sys
arguments = sys.argv[1:]
with open(os.environ["FAKE_LOG"], "a") as log:
    log.write(json.dumps(arguments) + "\\n")
if arguments[:2] == ["compose", "version"]:
    print("2.40.3")
if arguments[:2] == ["image", "inspect"] and arguments[-1] in os.environ.get("FAKE_MISSING", ""):
    sys.exit(1)
if arguments[0] == "build":
    shutil.copytree(arguments[-1], os.environ["FAKE_CONTEXT"], dirs_exist_ok=True)
"""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    folder = tmp_path / "path"
    folder.mkdir()
    (folder / "docker").write_text(SCRIPT, encoding="utf-8")
    (folder / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{shutil.os.environ['PATH']}")  # type: ignore[attr-defined]
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("FAKE_CONTEXT", str(tmp_path / "context"))
    return Docker.find()


def program(folder: Path, name: str, version: str) -> None:
    """A program that says its version as Fabric's do."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\necho '{name}:'\necho ' Version: {version}'\n", encoding="ascii")
    (folder / name).chmod(0o755)


@pytest.fixture
def binaries(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    program(folder, "peer", "v3.1.5")
    program(folder, "orderer", "3.1.5")
    program(folder, "fabric-ca-server", "1.5.21")
    return folder


def test_the_operators_programs_become_images_of_the_official_names(
    docker: Docker, binaries: Path, tmp_path: Path
) -> None:
    images.build_fabric(docker, binaries, lambda _: None)
    calls: list[list[str]] = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    built = {call[call.index("--tag") + 1]: call for call in calls if call[0] == "build"}
    assert sorted(built) == [
        "hyperledger/fabric-ca:1.5.21", "hyperledger/fabric-orderer:3.1.5", "hyperledger/fabric-peer:3.1.5",
    ]  # fmt: skip
    for call in built.values():
        assert call[call.index("--network") + 1] == "none"
    context = tmp_path / "context"
    assert (context / "peer" / "usr" / "local" / "bin" / "peer").exists()
    builder = context / "peer" / "opt" / "hyperledger" / "ccaas_builder" / "bin"
    assert sorted(path.name for path in builder.iterdir()) == ["build", "detect", "release"]
    assert all(path.stat().st_mode & 0o111 for path in builder.iterdir())


def test_the_operators_own_builder_is_preferred(docker: Docker, binaries: Path, tmp_path: Path) -> None:
    supplied = binaries.parent / "builders" / "ccaas" / "bin"
    supplied.mkdir(parents=True)
    (supplied / "detect").write_text("theirs", encoding="ascii")
    images.build_fabric(docker, binaries, lambda _: None)
    packed = tmp_path / "context" / "peer" / "opt" / "hyperledger" / "ccaas_builder" / "bin" / "detect"
    assert packed.read_text(encoding="ascii") == "theirs"


def test_another_release_is_refused(docker: Docker, binaries: Path) -> None:
    program(binaries, "peer", "3.1.4")
    with pytest.raises(ContainersError, match=r"peer is 3\.1\.4; 3\.1\.5 is wanted"):
        images.build_fabric(docker, binaries, lambda _: None)


def test_a_folder_without_a_program_is_refused(docker: Docker, binaries: Path) -> None:
    (binaries / "fabric-ca-server").unlink()
    with pytest.raises(ContainersError, match="has no program fabric-ca-server"):
        images.build_fabric(docker, binaries, lambda _: None)


def test_a_program_that_loads_libraries_is_told_from_one_that_does_not(tmp_path: Path) -> None:
    dynamic = shutil.which("ls")
    assert dynamic is not None
    assert images._is_dynamic(Path(dynamic))
    program(tmp_path / "bin", "peer", "1")
    assert not images._is_dynamic(tmp_path / "bin" / "peer")


def test_a_missing_base_is_told_with_what_to_do(
    docker: Docker, binaries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MISSING", images.BASE)
    with pytest.raises(ContainersError, match="pedigree/base:bookworm is not on this machine: make one with"):
        images.build_fabric(docker, binaries, lambda _: None)
    with pytest.raises(ContainersError, match="or name another with --base"):
        images.build_own(docker, images.Sources(), lambda _: None)


def test_the_builder_finds_and_releases_chaincode_as_a_service(tmp_path: Path) -> None:
    """As a peer runs it: detect, build, release."""
    metadata, source, output, released = (tmp_path / name for name in ("metadata", "source", "output", "released"))
    for folder in (metadata, source, output):
        folder.mkdir()
    (metadata / "metadata.json").write_text('{"label": "x", "path": "", "type": "ccaas"}', encoding="ascii")
    (source / "connection.json").write_text("{}", encoding="ascii")

    def step(name: str, *folders: Path) -> int:
        return subprocess.run(["sh", str(LOCKS / "builder" / name), *map(str, folders)], check=False).returncode

    assert step("detect", source, metadata) == 0
    assert step("build", source, metadata, output) == 0
    assert step("release", output, released) == 0
    assert (released / "chaincode" / "server" / "connection.json").read_text(encoding="ascii") == "{}"
    (metadata / "metadata.json").write_text('{"label": "x", "path": "", "type": "golang"}', encoding="ascii")
    assert step("detect", source, metadata) != 0


@pytest.mark.parametrize(("name", "extras"), [("gateway", ("gateway",)), ("chaincode", ())])
def test_an_images_lock_pins_what_the_project_needs_and_no_more(name: str, extras: tuple[str, ...]) -> None:
    assert set(pins(LOCKS / f"{name}.lock")) == needed(extras), "renew it with: make lock"


@pytest.mark.parametrize("name", ["gateway", "chaincode"])
def test_an_images_lock_agrees_with_the_projects(name: str) -> None:
    whole = pins(ROOT / "requirements.lock")
    assert pins(LOCKS / f"{name}.lock").items() <= whole.items(), "renew it with: make lock"
    text = (LOCKS / f"{name}.lock").read_text(encoding="utf-8")
    assert text.count("--hash=sha256:") >= len(pins(LOCKS / f"{name}.lock"))


def test_containers_run_as_somebody_in_the_images_too() -> None:
    for dockerfile in LOCKS.glob("*.Dockerfile"):
        text = dockerfile.read_text(encoding="utf-8")
        assert re.search(r"^USER 10001:10001$", text, re.MULTILINE), dockerfile.name
        assert "ARG BASE" in text, dockerfile.name


def pins(path: Path) -> dict[str, str]:
    """The releases that a lock pins, for Python 3.11 on Linux, by name."""
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line[0].isspace():
            requirement = Requirement(line.removesuffix("\\").strip())
            if requirement.marker is None or requirement.marker.evaluate({"python_version": "3.11", **_ON_LINUX}):
                found[canonicalize_name(requirement.name)] = str(requirement.specifier)
    return found


_ON_LINUX = {"python_full_version": "3.11.9", "platform_python_implementation": "CPython", "sys_platform": "linux"}


def needed(extras: tuple[str, ...]) -> set[str]:
    """Every distribution that the project needs with these extras."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project: dict[str, Any] = tomllib.load(file)["project"]
    pending = [
        *project["dependencies"],
        *(line for extra in extras for line in project["optional-dependencies"][extra]),
    ]
    found: set[str] = set()
    while pending:
        requirement = Requirement(pending.pop())
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker is not None and not requirement.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        pending += requires(name) or []
    return found


def test_the_digest_of_the_sources_follows_every_file_that_is_built_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE", "chaincode/a.py", "gateway/b/c.sql", "network/d.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name, encoding="ascii")
    monkeypatch.setattr(images, "_SOURCE", tmp_path)
    before = images.source_digest()
    cache = tmp_path / "chaincode" / "__pycache__" / "a.pyc"
    cache.parent.mkdir()
    cache.write_bytes(b"compiled")
    (tmp_path / "docs.md").write_text("not built from", encoding="ascii")
    assert images.source_digest() == before
    found = {before}
    for name in ("pyproject.toml", "chaincode/a.py", "gateway/b/c.sql", "network/d.py"):
        (tmp_path / name).write_text("changed", encoding="ascii")
        found.add(images.source_digest())
    (tmp_path / "network" / "d.py").rename(tmp_path / "network" / "e.py")
    found.add(images.source_digest())
    assert len(found) == 6

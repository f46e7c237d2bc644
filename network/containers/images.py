# SPDX-License-Identifier: Apache-2.0
"""Builds images without any registry: Fabric's from the operator's binaries, ours from this source, a base from Debian.

Everything is put together in a folder of its own and handed to `docker build`, which needs no network. Python packages
are those that the lock files beside the Dockerfiles pin by hash, from the package index or from a folder of wheels.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from network.containers.engine import Docker
from network.containers.errors import ContainersError
from network.containers.plan import CA_VERSION, FABRIC_VERSION, Images

__all__ = [
    "BASE",
    "SOURCE_LABEL",
    "Sources",
    "build_fabric",
    "build_own",
    "is_checkout",
    "make_base",
    "sizes",
    "source_digest",
]

BASE = "pedigree/base:bookworm"
SOURCE_LABEL = "pedigree.source"
"""The label of our own images that says which sources they were built from."""
_PYTHON = "3.11"
_SUITE = "bookworm"
_PACKAGES = "python3-minimal,libpython3-stdlib,ca-certificates,tzdata,busybox-static"
_DOCKERFILES = Path(__file__).parents[1] / "images"
_SOURCE = Path(__file__).parents[2]
_OURS = ("chaincode", "gateway", "network")
_BESIDE = ("pyproject.toml", "README.md", "LICENSE")
_GLIBCS = (36, 35, 34, 31, 28, 27, 26, 24, 17)
"""Releases of the C library, 2.x, down from bookworm's, that a wheel may be built for."""
_PROGRAMS = {"peer": FABRIC_VERSION, "orderer": FABRIC_VERSION, "fabric-ca-server": CA_VERSION}
_BUILDER_STEPS = ("detect", "build", "release")
_PRUNED = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale", "var/log")

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the parts of our own images come from."""

    base: str = BASE
    wheels: Path | None = None
    """A folder of wheels instead of the package index."""


def sizes(docker: Docker) -> list[tuple[str, int]]:
    """The images of a network that are on this machine, each with its size in bytes."""
    images = Images()
    wanted = (images.peer, images.orderer, images.authority, images.chaincode, images.gateway)
    return [(tag, int(docker.inspect(tag)["Size"])) for tag in wanted if docker.image_exists(tag)]


def is_checkout() -> bool:
    """Whether this program runs from the source that our own images are built from, and not from a distribution."""
    return (_SOURCE / "pyproject.toml").exists()


def source_digest() -> str:
    """The lower-case hex SHA-256 of the names and contents of all files that our own images are built from."""
    files = [_SOURCE / name for name in _BESIDE]
    files += [path for package in _OURS for path in (_SOURCE / package).rglob("*") if path.is_file()]
    digest = hashlib.sha256()
    for path in sorted(files):
        if "__pycache__" not in path.parts and not any(part.endswith(".egg-info") for part in path.parts):
            name, content = str(path.relative_to(_SOURCE)).encode(), path.read_bytes()
            digest.update(b"%d %s %d " % (len(name), name, len(content)) + content)
    return digest.hexdigest()


def make_base(docker: Docker, progress: Progress, tag: str = BASE) -> None:
    """Make a base image with Python from Debian's packages; needs debootstrap and root. Raises `ContainersError`."""
    if shutil.which("debootstrap") is None:
        raise ContainersError("debootstrap is not installed: install it, or name a base image with --base")
    progress(f"making {tag} from Debian's packages")
    with tempfile.TemporaryDirectory(prefix="pedigree-base-") as scratch:
        root = Path(scratch) / "root"
        command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(root)]
        _run(command, "debootstrap")
        for folder in _PRUNED:
            shutil.rmtree(root / folder, ignore_errors=True)
        archive = Path(scratch) / "root.tar"
        _run(["tar", "-C", str(root), "--sort=name", "-cf", str(archive), "."], "tar")
        docker.output("import", "--change", "ENV LANG=C.UTF-8", "--change", 'CMD ["python3"]', str(archive), tag)


def build_fabric(docker: Docker, binaries: Path, progress: Progress, base: str = BASE) -> None:
    """Pack the operator's Fabric programs into images of the official names; raises `ContainersError`."""
    programs = {name: _checked_program(binaries, name, version) for name, version in _PROGRAMS.items()}
    _require(docker, base)
    images = Images()
    with tempfile.TemporaryDirectory(prefix="pedigree-images-") as scratch:
        context = Path(scratch)
        _lay_out_fabric(context, programs, binaries)
        for target, tag in (("peer", images.peer), ("orderer", images.orderer), ("ca", images.authority)):
            progress(f"packing {tag}")
            _build(docker, "fabric.Dockerfile", context, tag, base, "--target", target)


def build_own(docker: Docker, sources: Sources, progress: Progress) -> None:
    """Build the gateway's and the chaincode's images from this source; raises `ContainersError`."""
    if not is_checkout():
        raise ContainersError(f"{_SOURCE} has no pyproject.toml: images are built from a source checkout")
    _require(docker, sources.base)
    images = Images()
    machine = docker.output("info", "--format", "{{.Architecture}}").strip()
    digest = source_digest()
    with tempfile.TemporaryDirectory(prefix="pedigree-images-") as scratch:
        wheel = _own_wheel(Path(scratch))
        for name, tag, unused in (
            ("gateway", images.gateway, ("network",)),
            ("chaincode", images.chaincode, ("network", "gateway", "pedigree")),
        ):
            progress(f"building {tag}")
            context = Path(scratch) / name
            site = context / "site"
            _install(site, sources.wheels, machine, "--require-hashes", "-r", str(_DOCKERFILES / f"{name}.lock"))
            _install(site, None, machine, "--no-index", str(wheel))
            for package in unused:
                shutil.rmtree(site / package)
            shutil.rmtree(site / "bin", ignore_errors=True)  # its scripts name the Python of this machine
            shutil.copytree(_DOCKERFILES / "bin", context / "bin")
            _build(docker, f"{name}.Dockerfile", context, tag, sources.base, "--label", f"{SOURCE_LABEL}={digest}")
    # The stages that only built something are of no further use, and as large as what they built.
    docker.output("image", "prune", "--force", "--filter", "label=pedigree.stage=build")


def _lay_out_fabric(context: Path, programs: dict[str, Path], binaries: Path) -> None:
    for name, target in (("peer", "peer"), ("orderer", "orderer"), ("fabric-ca-server", "ca")):
        place = context / target / "usr" / "local" / "bin"
        place.mkdir(parents=True)
        shutil.copy(programs[name], place / name)
        (place / name).chmod(0o755)
    client = binaries / "fabric-ca-client"
    if client.exists():
        shutil.copy(client, context / "ca" / "usr" / "local" / "bin" / client.name)
    builder = context / "peer" / "opt" / "hyperledger" / "ccaas_builder" / "bin"
    builder.mkdir(parents=True)
    supplied = binaries.parent / "builders" / "ccaas" / "bin"
    for step in _BUILDER_STEPS:
        # Fabric's own builder where the operator has it, as in Fabric's release archives; else our three scripts.
        source = supplied / step
        shutil.copy(source if source.exists() else _DOCKERFILES / "builder" / step, builder / step)
        (builder / step).chmod(0o755)


def _checked_program(binaries: Path, name: str, wanted: str) -> Path:
    program = binaries / name
    if not program.is_file():
        raise ContainersError(f"--fabric-bin: {binaries} has no program {name}")
    said = _run([str(program), "version"], str(program))
    found = re.search(r"Version:\s*v?(\S+)", said)
    if found is None or found[1] != wanted:
        raise ContainersError(f"{program} is {found[1] if found else 'of no version'}; {wanted} is wanted")
    if _is_dynamic(program):
        raise ContainersError(f"{program} is linked dynamically; an image from scratch needs it linked statically")
    return program


_INTERPRETER_SEGMENT = 3


def _is_dynamic(program: Path) -> bool:
    """Whether an ELF file asks for an interpreter to load libraries (a program header of type PT_INTERP)."""
    content = program.read_bytes()
    if content[:4] != b"\x7fELF" or content[4] != 2:
        return False
    offset = int.from_bytes(content[0x20:0x28], "little")
    size, count = int.from_bytes(content[0x36:0x38], "little"), int.from_bytes(content[0x38:0x3A], "little")
    kinds = (content[offset + size * index : offset + size * index + 4] for index in range(count))
    return any(int.from_bytes(kind, "little") == _INTERPRETER_SEGMENT for kind in kinds)


def _require(docker: Docker, base: str) -> None:
    if not docker.image_exists(base):
        raise ContainersError(
            f"the base image {base} is not on this machine: make one with: pedigree-network images --make-base, "
            "or name another with --base"
        )


def _own_wheel(scratch: Path) -> Path:
    """A wheel of this source, built from a copy: the build tool leaves files beside what it builds."""
    copy = scratch / "source"
    copy.mkdir()
    for name in _BESIDE:
        shutil.copy(_SOURCE / name, copy / name)
    for package in _OURS:
        shutil.copytree(_SOURCE / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    wheels = scratch / "wheels"
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(copy))
    (wheel,) = wheels.glob("*.whl")
    return wheel


def _install(site: Path, wheels: Path | None, machine: str, *what: str) -> None:
    """Install wheels for the image's Python, not for this one, below `site`."""
    platforms = [f"manylinux_2_{release}_{machine}" for release in _GLIBCS] + [f"manylinux2014_{machine}"]
    options = ["--only-binary", ":all:", "--no-deps", "--no-compile", "--python-version", _PYTHON]
    options += ["--implementation", "cp", "--abi", f"cp{_PYTHON.replace('.', '')}", "--abi", "abi3", "--abi", "none"]
    options += [argument for platform in platforms for argument in ("--platform", platform)]
    options += [] if wheels is None else ["--no-index", "--find-links", str(wheels)]
    _pip("install", "--target", str(site), "--upgrade", *options, *what)


def _pip(verb: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", verb]
    _run([*command, *arguments], f"pip {verb}")


def _build(docker: Docker, dockerfile: str, context: Path, tag: str, base: str, *options: str) -> None:
    file = str(_DOCKERFILES / dockerfile)
    # The classic builder is in every engine and looks for no newer syntax on a registry.
    docker.output(
        *["build", "--quiet", "--network", "none", "--build-arg", f"BASE={base}", "--tag", tag, "--file", file],
        *[*options, str(context)],
        environment={"DOCKER_BUILDKIT": "0"},
    )


def _run(command: Sequence[str], what: str) -> str:
    done = subprocess.run(list(command), capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
    if done.returncode != 0:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise ContainersError(f"{what} failed: {lines[-1] if lines else 'it said nothing'}")
    return done.stdout

# SPDX-License-Identifier: Apache-2.0
"""The container engine: the one that answers, or one of our own that leaves nothing behind; and the images on it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from network.containers.images import BASE, SOURCE_LABEL, source_digest
from network.containers.plan import Images

_START_S = 30.0
_BUILD_S = 1200.0


class Missing(Exception):
    """What these tests need and this machine lacks, in one line."""


@contextlib.contextmanager
def running() -> Iterator[None]:
    """An engine that answers, as long as the block lasts; raises `Missing`.

    One that runs already is used and left alone. Where none runs, but could, one is started on a data root of its own,
    which is removed with everything in it at the end.
    """
    if shutil.which("docker") is None or docker("compose", "version", "--short").returncode != 0:
        raise Missing("Docker and its Compose plugin, version 2, are not installed")
    if answers():
        yield
        return
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        raise Missing("no container engine answers, and only root could start one (dockerd)")
    with (
        tempfile.TemporaryDirectory(prefix="pedigree-engine-", ignore_cleanup_errors=True) as scratch,
        _own(Path(scratch)),
    ):
        yield


@contextlib.contextmanager
def _own(folder: Path) -> Iterator[None]:
    """An engine with its data, its socket and its state below `folder`."""
    socket = f"unix://{folder}/docker.sock"
    command = ["dockerd", "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--host", socket]
    before = os.environ.get("DOCKER_HOST")
    with (folder / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--pidfile", f"{folder}/dockerd.pid"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    os.environ["DOCKER_HOST"] = socket
    try:
        give_up = time.monotonic() + _START_S
        while not answers():
            if process.poll() is not None or time.monotonic() > give_up:
                said = (folder / "dockerd.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise Missing(f"the container engine did not start: {said[-1] if said else 'it said nothing'}")
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if before is None:
            os.environ.pop("DOCKER_HOST", None)
        else:
            os.environ["DOCKER_HOST"] = before


def have_images() -> None:
    """Build the images that are not there, from FABRIC_BIN or /opt/fabric/bin; raises `Missing`.

    Our own are built again where they were built from other sources than those under test.
    """
    images = Images()
    fabric = [tag for tag in (images.peer, images.orderer, images.authority) if not is_there(tag)]
    digest = source_digest()
    own = [tag for tag in (images.chaincode, images.gateway) if source_of(tag) != digest]
    if not fabric and not own:
        return
    binaries = Path(os.environ.get("FABRIC_BIN", "/opt/fabric/bin"))
    if fabric and not (binaries / "peer").exists():
        raise Missing(f"the image {fabric[0]} is missing, and {binaries} holds no programs to make it from")
    command = ["pedigree-network", "images"]
    command += ["--fabric-bin", str(binaries)] if fabric else []
    command += [] if own else ["--only-fabric"]
    command += [] if is_there(BASE) else ["--make-base"]
    done = ours(*command, within=_BUILD_S)
    if done.returncode != 0:
        raise Missing(f"the images could not be built: {done.stderr.strip().splitlines()[-1]}")


def answers() -> bool:
    return docker("version", "--format", "{{.Server.Version}}").returncode == 0


def is_there(image: str) -> bool:
    return docker("image", "inspect", "--format", "{{.Id}}", image).returncode == 0


def source_of(image: str) -> str | None:
    """The digest of the sources that one of our own images was built from; None where there is no such image."""
    inspected = docker("image", "inspect", "--format", f'{{{{index .Config.Labels "{SOURCE_LABEL}"}}}}', image)
    return inspected.stdout.strip() if inspected.returncode == 0 else None


def docker(*arguments: str, within: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run `docker`, whatever comes of it."""
    return subprocess.run(
        ["docker", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=within
    )


def done(*arguments: str, within: float = 60.0) -> str:
    """Run `docker` and answer what it printed; it must succeed."""
    result = docker(*arguments, within=within)
    assert result.returncode == 0, f"docker {' '.join(arguments)}: {result.stderr.strip()}"
    return result.stdout.strip()


def ours(program: str, *arguments: str, within: float = 300.0) -> subprocess.CompletedProcess[str]:
    """Run a command of the product's own, as an operator does."""
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=within
    )

# SPDX-License-Identifier: Apache-2.0
"""Blob stores in a real S3 server: versitygw over a folder, where its program is found (VERSITYGW_BIN, else PATH)."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.stores.blobobjects import BlobObjects

ACCESS, SECRET, BUCKET = "pedigree", "a secret of these tests", "blobs"
_LONGEST_START = 20.0


def program() -> str | None:
    """The server's program; None where there is none."""
    named = os.environ.get("VERSITYGW_BIN")
    return named if named and Path(named).is_file() else shutil.which("versitygw")


@contextmanager
def s3_server(folder: Path) -> Iterator[dict[str, str]]:
    """A server with one empty bucket, and the environment that finds it; it serves as long as the block runs."""
    found = program()
    if found is None:
        pytest.skip("NOT RUN: versitygw is not here, which serves S3 over a folder (VERSITYGW_BIN, or in PATH)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for name in ("data/" + BUCKET, "multipart"):
        (folder / name).mkdir(parents=True)
    command = [
        found, "--access", ACCESS, "--secret", SECRET, "--port", f"127.0.0.1:{port}", "posix", str(folder / "data"),
    ]  # fmt: skip
    with (folder / "versitygw.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            _wait(port, server, folder / "versitygw.log")
            yield {
                "AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            }  # fmt: skip
        finally:
            server.terminate()


@contextmanager
def s3_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BlobObjects]:
    """A store in a bucket of a server of its own."""
    with s3_server(folder) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield BlobObjects.open(f"s3://{BUCKET}/sealed")


def _wait(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _LONGEST_START
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(log.read_text(errors="replace")[-2_000:])

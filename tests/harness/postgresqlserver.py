# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server for tests: a cluster of its own in a temporary folder, on loopback, with an unprivileged user."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

MISSING = "NOT RUN: no PostgreSQL server is installed (on Debian the package postgresql)"
_USER = "postgres"


def binaries() -> Path | None:
    """The folder of the newest server's programs; `None` where none is installed, or root has nobody to run it as."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("postgres")
    server = found[-1] if found else None if on_path is None else Path(on_path)
    if server is None or (os.getuid() == 0 and not any(each.pw_name == _USER for each in pwd.getpwall())):
        return None
    return server.parent


class Server:
    """A running cluster. What it holds is not safe from power cuts."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._as: dict[str, Any] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="pedigree-postgresql-"))
        if os.getuid() == 0:  # the server refuses to be root
            known = pwd.getpwnam(_USER)
            self._as = {"user": known.pw_uid, "group": known.pw_gid, "extra_groups": []}
            os.chown(self.folder, known.pw_uid, known.pw_gid)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._numbers = count()
        self._process: subprocess.Popen[bytes] | None = None
        options = ("--auth=trust", f"--username={_USER}", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8")
        subprocess.run(
            [str(programs / "initdb"), "-D", str(self.folder / "data"), *options],
            check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **self._as,
        )  # fmt: skip
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder, "fsync": "off",
            "full_page_writes": "off", "max_connections": 200, "shared_buffers": "32MB",
        }  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self.folder / "data"),
                 *(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))],
                stdout=log, stderr=log, cwd=self.folder, **self._as,
            )  # fmt: skip
        until = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it; by default at once, cutting off whoever is connected."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)

    def close(self) -> None:
        """Stop it and remove all it holds."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """The URL of a database; whoever knows it may do anything there."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

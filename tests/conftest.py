# SPDX-License-Identifier: Apache-2.0
"""What every test shares: the ledger that scenarios run on, and a gateway as a program with a ledger in memory."""

import http.client
import importlib.util
import json
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

# Properties are about answers, not about the speed of a shared machine; continuous integration repeats itself.
settings.register_profile(
    "pedigree", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=os.environ.get("CI") == "true"
)
settings.load_profile("pedigree")


os.environ.pop("COLUMNS", None)  # pytest-xdist gives its workers a terminal's width, which what is printed would follow
# What is remembered of folders belongs to the person who runs the tests, and is no part of them.
_CACHE = tempfile.TemporaryDirectory(prefix="pedigree-tests-cache-")
os.environ["XDG_CACHE_HOME"] = _CACHE.name
if TYPE_CHECKING:
    from postgresqlserver import Server

_HARNESS = str(Path(__file__).parent / "harness")
sys.path.insert(0, _HARNESS)  # what tests of several folders make

if importlib.util.find_spec("pedigree") is None:
    pytest.exit("The package `pedigree` (gateway/sdk) is not installed here: run `make install-dev`", returncode=4)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--ledger",
        choices=("embedded", "fabric", "containers"),
        default="embedded",
        help="the network that tests run on",
    )
    parser.addoption(
        "--fuzz-seconds",
        type=float,
        default=float(os.environ.get("PEDIGREE_FUZZ_SECONDS", "2")),
        help="how long each fuzzer in tests/fuzz runs (PEDIGREE_FUZZ_SECONDS)",
    )


@pytest.fixture(scope="session")
def ledger(pytestconfig: pytest.Config) -> str:
    """Which network this run is for."""
    chosen: str = pytestconfig.getoption("--ledger")
    if chosen == "containers":
        pytest.skip("NOT RUN: only tests/conformance and tests/foreign start containers by themselves")
    return chosen


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator["Server"]:
    """A PostgreSQL server of the tests' own."""
    from postgresqlserver import MISSING, Server, binaries

    programs = binaries()
    if programs is None:
        pytest.skip(MISSING)
    server = Server(programs)
    yield server
    server.close()


@pytest.fixture
def postgresql_url(postgresql_server: "Server") -> str:
    """A new, empty database on it."""
    return postgresql_server.database()


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which SQL stores speak that are opened by `dialects.open_store`; a test that uses it is run with each."""
    from dialects import DATABASES

    server = request.getfixturevalue("postgresql_server") if request.param == "postgresql" else None
    DATABASES.use(None if server is None else server.database)
    yield request.param
    DATABASES.use(None)


@dataclass(frozen=True)
class MemoryGateway:
    """A gateway over a ledger in memory that runs as a program of its own, with the real server."""

    port: int
    health: int
    pid: int
    """Of the process that serves."""
    keys: Mapping[str, str]
    """An API key for each role."""
    folder: Path
    log: Path
    program: subprocess.Popen[str]
    tls: ssl.SSLContext | None = None
    """What it is spoken to with, where that is TLS."""

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        """Ask as the operator, on a connection of its own; the status and the JSON that came."""
        if self.tls is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        else:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.tls)
        sent = {"Authorization": f"Bearer {self.keys['operator']}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    @property
    def height(self) -> int:
        """Blocks of its ledger."""
        return int(self.ask("GET", "/v1/ledger")[1]["height"])

    def failures(self) -> str:
        """What its log holds of tracebacks and errors."""
        log = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(line for line in log.splitlines() if "Traceback" in line or "ERROR" in line)


@pytest.fixture(scope="module")
def start_memory_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., MemoryGateway]]:
    """Starts gateways over a ledger in memory; options as `memorygateway.py` takes them."""
    started = []
    file = Path(__file__).parent / "gateway" / "rest" / "memorygateway.py"

    def start(**options: Any) -> MemoryGateway:
        folder = tmp_path_factory.mktemp("memory")
        log = folder / "log"
        with log.open("w") as errors:
            program = subprocess.Popen(
                [sys.executable, str(file), json.dumps({"folder": str(folder), **options})],
                stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, "PYTHONPATH": _HARNESS},
            )  # fmt: skip
        assert program.stdout is not None
        told = program.stdout.readline()
        assert told, log.read_text()
        believed = options.get("believed")
        tls = None if believed is None else ssl.create_default_context(cafile=believed)
        gateway = MemoryGateway(**json.loads(told), folder=folder, log=log, program=program, tls=tls)
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        gateway.program.terminate()
    for gateway in started:
        gateway.program.wait(40)
        assert gateway.program.stdout is not None
        gateway.program.stdout.close()

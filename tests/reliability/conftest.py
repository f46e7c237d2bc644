# SPDX-License-Identifier: Apache-2.0
"""Programs that may be killed, clients that never give up, and an independent reading of the blocks.

Nothing here looks into a running program: it is started, asked over HTTP, sent signals, and judged by the blocks that
the peers deliver. `PEDIGREE_LONG=1` runs everything at full size, `PEDIGREE_KILLS` sets the number of power cuts.
"""

from __future__ import annotations

import itertools
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from cryptography import x509
from fabric_protos.common import ledger_pb2
from fabric_protos.msp import identities_pb2

from chaincode.domain import canonical
from gateway.demo.consortium import Consortium, held_ports, ready
from gateway.demo.founding import found
from gateway.demo.processes import Program, command
from gateway.fabric import Gateway, Identity, Signer, Trust, connect, decode_block
from gateway.fabric.blocks import VALID, Block
from gateway.identities.credential import common_name
from gateway.server.folders import keep_database, open_keys
from pedigree import Pedigree, PedigreeError, Recorded

LONG = os.environ.get("PEDIGREE_LONG", "0") != "0"
REGISTER = b"model:register"
_numbers = itertools.count(1)


# --- The blocks, read without any of the gateways ------------------------------------------------------------------


class Entry(NamedTuple):
    """One registration of a model as a block holds it."""

    model: str
    code: int
    transaction_id: str
    block: int
    creator: str
    """The common name of who signed it."""


def read_registrations(network: Mapping[str, Any], organisation: str = "regulator") -> list[Entry]:
    """Every registration in every block, valid or not, as an organisation's peer delivers the chain from genesis."""
    member = next(one for one in network["organisations"] if one["name"] == organisation)
    folders = {one["mspid"]: one["msp"] for one in [*network["organisations"], network["orderer"]]}
    connection = connect(
        member["peer"], tls_root=Path(member["tls_ca"]).read_bytes(), server_name=f"peer0.{member['domain']}"
    )
    try:
        gateway = Gateway(
            connection,
            Identity.from_msp_folder(member["mspid"], member["user_msp"]),
            Signer.from_msp_folder(member["user_msp"]),
            trust=Trust.from_msp_folders(folders, bytes.fromhex(network["genesis_hash"])),
        )
        chain = gateway.network(network["channel"])
        info = ledger_pb2.BlockchainInfo.FromString(chain.contract("qscc").evaluate("GetChainInfo", chain.name))
        with chain.block_events(start_block=0, stop_block=info.height - 1) as blocks:
            return [entry for block in blocks for entry in _entries(decode_block(block))]
    finally:
        connection.close()


def _entries(block: Block) -> Iterator[Entry]:
    for transaction in block.transactions:
        if transaction.arguments[:1] == (REGISTER,):
            command_ = canonical.parse(transaction.arguments[1])
            signed = identities_pb2.SerializedIdentity.FromString(transaction.creator)
            yield Entry(
                command_["model"], transaction.validation_code, transaction.transaction_id, block.number,
                common_name(x509.load_pem_x509_certificate(signed.id_bytes)),
            )  # fmt: skip


# --- Clients -------------------------------------------------------------------------------------------------------


class Exchange(NamedTuple):
    """One request and what came back."""

    key: str
    status: int
    code: str
    retry_after: str
    seconds: float


class Watched(httpx.BaseTransport):
    """A transport that notes every exchange; requests that nobody answered are counted."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport(limits=httpx.Limits(max_connections=64))
        self.exchanges: list[Exchange] = []
        self.unanswered = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        started = time.perf_counter()
        try:
            response = self._inner.handle_request(request)
            response.read()
        except httpx.HTTPError:
            self.unanswered += 1
            raise
        code = "" if response.status_code < 400 else response.json()["code"]
        self.exchanges.append(
            Exchange(
                request.headers.get("Idempotency-Key", ""), response.status_code, code,
                response.headers.get("Retry-After", ""), time.perf_counter() - started,
            )
        )  # fmt: skip
        return response

    def close(self) -> None:
        self._inner.close()


@dataclass
class Load:
    """Many clients that register models, each one's name being its idempotency key, and what they were told."""

    acknowledged: dict[str, Recorded] = field(default_factory=dict)
    refused: dict[str, PedigreeError] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    unanswered: int = 0
    seconds: float = 0.0

    @property
    def capacity(self) -> list[Exchange]:
        """The refusals for want of room."""
        return [one for one in self.exchanges if one.code in ("capacity", "too-many-requests")]

    def run(
        self, targets: Sequence[tuple[str, str]], *, clients: int, each: int, prefix: str, timeout: float = 90.0
    ) -> None:
        """Let `clients` threads, spread over `targets` of (url, key), begin together and record `each` models."""
        barrier = threading.Barrier(clients)

        def work(number: int) -> None:
            url, key = targets[number % len(targets)]
            watched = Watched()
            with Pedigree(url, key, timeout=timeout, transport=watched) as client:
                barrier.wait()
                for index in range(each):
                    self.record(client, f"{prefix}-{number}-{index}")
            self.exchanges.extend(watched.exchanges)
            self.unanswered += watched.unanswered

        started = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(work, range(clients)))
        self.seconds = time.perf_counter() - started

    def record(self, client: Pedigree, model: str) -> None:
        """Record one model and keep the answer."""
        try:
            self.acknowledged[model] = client.register_model(model, title="Load", idempotency_key=f"key-{model}")
        except PedigreeError as error:
            self.refused[model] = error

    def judge(self, entries: Sequence[Entry]) -> None:
        """Hold what clients were told against the blocks: acknowledged means once and valid, refused means never."""
        valid = Counter(entry.model for entry in entries if entry.code == VALID)
        lost = [model for model in self.acknowledged if valid[model] == 0]
        doubled = [model for model, count in valid.items() if count > 1]
        kept = [model for model in self.refused if valid[model]]
        assert (lost, doubled, kept) == ([], [], [])
        found = {entry.transaction_id: entry for entry in entries if entry.code == VALID}
        for model, recorded in self.acknowledged.items():
            assert found[recorded.transaction_id].model == model
            assert found[recorded.transaction_id].block == recorded.block


# --- Programs ------------------------------------------------------------------------------------------------------


def issued_key(data: Path) -> str:
    """A new key of the gateway whose data folder this is; the gateway may be running."""
    with ExitStack() as guard:
        return open_keys(data, guard).add(f"reliability-{next(_numbers)}", "operator")


class LoneGateway:
    """A gateway besides the consortium's own three, which a test may treat as it likes."""

    def __init__(self, network: Path, folder: Path, organisation: str = "lab", database: str | None = None) -> None:
        self.data = folder / "data"
        if database is not None:
            keep_database(self.data, database)
        self._network = network
        self._organisation = organisation
        with held_ports(2) as (self.port, self.health_port):
            pass
        self.key = issued_key(self.data)
        self._log = folder / "gateway.log"
        self.program: Program | None = None
        self.environment: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def health(self) -> str:
        return f"http://127.0.0.1:{self.health_port}"

    @property
    def target(self) -> tuple[str, str]:
        return self.url, self.key

    def start(self, *options: str) -> LoneGateway:
        """Start it and wait until it follows the ledger."""
        self.program = Program(
            "lone gateway",
            [
                *[command("pedigree"), "serve", "--network", str(self._network), "--organisation", self._organisation],
                *["--data", str(self.data), "--port", str(self.port), "--health-port", str(self.health_port), *options],
            ],
            self._log,
            self.environment,
        )
        self.program.start()
        self.program.wait_until(lambda: ready(self.health_port), within=60)
        return self

    def kill(self) -> None:
        if self.program is not None:
            self.program.kill()

    def terminate(self, within: float) -> float:
        """SIGTERM; how many seconds it took to end, asserted to be less than `within`."""
        assert self.program is not None
        assert self.program.process is not None
        started = time.perf_counter()
        self.program.terminate()
        self.program.process.wait(within)
        took = time.perf_counter() - started
        self.program.stop()
        return took

    def client(self, timeout: float = 60.0) -> Pedigree:
        return Pedigree(self.url, self.key, timeout=timeout)

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def copy_of(self, name: str) -> None:
        """Keep a copy of a database as it is now, with its write-ahead log."""
        for path in self.data.glob(f"{name}.db*"):
            shutil.copy2(path, path.with_name(f"kept-{path.name}"))

    def lose(self, name: str) -> None:
        """Remove a database."""
        for path in self.data.glob(f"{name}.db*"):
            path.unlink()

    def roll_back(self, name: str) -> None:
        """Put the kept copy of a database in its place."""
        self.lose(name)
        for path in list(self.data.glob(f"kept-{name}.db*")):
            path.rename(path.with_name(path.name.removeprefix("kept-")))


@pytest.fixture(scope="session")
def consortium(ledger: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    """Three organisations' programs under the founding policy, shared by the tests that leave them alive."""
    running = Consortium(tmp_path_factory.mktemp("reliability"), ledger, any_port=True)
    try:
        running.start()
        found(running)
        yield running
    finally:
        running.stop()


@pytest.fixture
def new_gateway(tmp_path: Path) -> Iterator[Callable[..., LoneGateway]]:
    """Makes gateways of a consortium's members, not started yet, with data folders of their own."""
    made: list[LoneGateway] = []

    def make(of: Consortium, organisation: str = "lab", database: str | None = None) -> LoneGateway:
        folder = tmp_path / f"gateway-{len(made)}"
        made.append(LoneGateway(of.directory / "network.json", folder, organisation, database))
        return made[-1]

    yield make
    for gateway in made:
        gateway.kill()


@pytest.fixture
def lone(consortium: Consortium, new_gateway: Callable[..., LoneGateway]) -> LoneGateway:
    """A gateway of the lab's, not started yet."""
    return new_gateway(consortium)


@pytest.fixture
def registrations() -> Callable[..., list[Entry]]:
    """Reads registrations from the blocks of a network."""
    return read_registrations


@pytest.fixture
def issue_key() -> Callable[[Path], str]:
    """Issues a key of a gateway."""
    return issued_key


@pytest.fixture
def prefix() -> str:
    """What the names of one test's models begin with; the tests share a ledger."""
    return f"t{next(_numbers)}"


@pytest.fixture
def load() -> Load:
    return Load()


@pytest.fixture
def watching() -> type[Watched]:
    """Makes transports that note what goes through them."""
    return Watched


@pytest.fixture
def blocks(consortium: Consortium, prefix: str) -> Callable[[], list[Entry]]:
    """Reads this test's registrations from the blocks."""
    return lambda: [one for one in read_registrations(consortium.network()) if one.model.startswith(f"{prefix}-")]


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Iterator[Callable[[str], None]]:
    """Takes figures, which are shown whether the test passes or not (`-s` or `-rP`)."""
    lines: list[str] = []
    yield lines.append
    print(f"\n{request.node.name}: {'; '.join(lines)}")

# SPDX-License-Identifier: Apache-2.0
"""Whatever a person gets wrong is one line on standard error that names it, a non-zero status, and nothing written."""

import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.cli.console import LARGEST_JSON
from gateway.cli.exits import Exit
from gateway.services.ports import LedgerBlock
from gateway.stores.database import Database
from gateway.stores.readmodel import ReadModelStore
from network.material import ensure_material
from network.topology import default_topology

NOWHERE = ("--url", "http://127.0.0.1:1", "--key", "id.secret", "--timeout", "0.2")


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def refused(result: Result, *names: str, code: int = Exit.FAILED) -> str:
    """The one line of an error, which says each of `names`."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("pedigree: ")
    assert result.stderr.count("\n") == 1
    assert len(result.stderr) < 500
    for name in names:
        assert name in result.stderr
    return result.stderr


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("nonsense",), "nonsense"),
        (("ledger",), "--url"),
        (("ledger",), "--key-file"),
        (("ledger", "--url", "http://127.0.0.1:1"), "--key-file"),
        (("ledger", *NOWHERE, "--key-file", "missing"), "missing"),
        (("ledger", *NOWHERE, "--key-file", __file__), "--key and --key-file"),
        (("ledger", "--url", "http://127.0.0.1:1", "--key-file", __file__), f"{__file__}: an API key"),
        (("ledger", *NOWHERE, "--url", "nonsense"), "--url"),
        (("ledger", *NOWHERE, "--url", "ftp://gateway"), "--url"),
        (("ledger", *NOWHERE, "--url", "http://[::1"), "--url"),
        (("ledger", *NOWHERE, "--url", "http://gateway:99999"), "--url"),
        (("ledger", *NOWHERE, "--key", "two words"), "--key"),
        (("ledger", *NOWHERE, "--key", "a\nb"), "--key"),
        (("ledger", *NOWHERE, "--key", ""), "--key"),
        (("ledger", *NOWHERE, "--timeout", "nan"), "--timeout"),
        (("ledger", *NOWHERE, "--timeout", "-1"), "--timeout"),
        (("ledger", *NOWHERE, "--timeout", "soon"), "--timeout"),
        (("dataset", "commit", "visits", "missing.csv", *NOWHERE), "missing.csv"),
        (("dataset", "show", "visits", "one", *NOWHERE), "NUMBER"),
        (("reject", "model-version:net:1", *NOWHERE), "--reason"),
        (("verify", "missing.json"), "missing.json"),
        (("verify", __file__, "--root", "zz"), "--root"),
        (("keys", "add", "ci", "--role", "root", "--data", "nowhere"), "--role"),
        (("keys", "add", "ci", "--role", "reader", "--rate", "many", "--data", "nowhere"), "REQUESTS/SECONDS"),
        (("serve", "--organisation", "lab", "--address-rate", "0/60"), "REQUESTS/SECONDS"),
        (("serve",), "--organisation"),
        (("serve", "--organisation", "lab", "--port", "70000"), "--port"),
    ],
)
def test_wrong_arguments_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "--help" in refused(invoke(*arguments), name, code=2)
    assert list(tmp_path.iterdir()) == []


def test_a_gateway_that_does_not_answer_is_named() -> None:
    refused(invoke("ledger", *NOWHERE), "http://127.0.0.1:1 does not answer", code=Exit.UNREACHABLE)


def test_a_gateway_that_does_not_answer_is_named_long_before_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pedigree.transport.random.uniform", lambda _least, _most: 0.3)
    patient = (*NOWHERE[:-1], "2.5")
    ended = invoke("ledger", *patient)
    first, last = ended.stderr.splitlines()
    assert first.startswith("pedigree: http://127.0.0.1:1 does not answer: ")
    assert re.search(r"; trying again until \d\d:\d\d:\d\d$", first)
    assert (ended.exit_code, last.endswith("[unreachable]")) == (Exit.UNREACHABLE, True)
    for_programs = invoke("ledger", *patient, "--json")
    assert json.loads(for_programs.stderr)["code"] == "unreachable"
    assert not logging.getLogger("pedigree").handlers


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b'{"kind": "record-ev', "not JSON"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        (b"[1]", "must hold a JSON object"),
        (b"{" * 3, "not JSON"),
        (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, "nested too deeply"),
        (b'{"a": 1.5}', "1.5 is not a whole number"),
        (b'{"a": NaN}', "NaN is not a whole number"),
        (b'{"a": 1, "a": 2}', "'a' is there twice"),
        (b'{"a": 1}', "record-evidence"),
    ],
)
def test_a_bad_file_of_evidence_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "proof.json"
    file.write_bytes(content)
    refused(invoke("verify", str(file)), "proof.json", says, code=Exit.DISAGREES)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "proof.json"
    with file.open("wb") as sparse:
        sparse.truncate(LARGEST_JSON + 1)
    refused(invoke("verify", str(file)), "proof.json proves nothing: it is larger than 16 MiB", code=Exit.DISAGREES)
    refused(invoke("verify", str(file), "--ledger", str(file)), "proof.json: it is larger than 16 MiB")
    refused(invoke("run", "record", "r", str(file), *NOWHERE), "proof.json is larger than 64 MiB")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    refused(invoke("verify", str(tmp_path)), str(tmp_path), "directory")
    refused(invoke("dataset", "commit", "visits", str(tmp_path), *NOWHERE), str(tmp_path))
    if os.geteuid() != 0:  # root may read everything
        locked = tmp_path / "locked.json"
        locked.touch(mode=0)
        refused(invoke("verify", str(locked)), "locked.json", "Permission denied")


def test_a_field_that_the_command_line_says_is_refused_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "fields.json"
    file.write_text('{"name": "visits"}')
    refused(invoke("dataset", "register", "visits", "--fields", str(file), *NOWHERE), "fields.json", "'name'")
    file.write_text('{"number": 2, "licence": "MIT"}')
    (tmp_path / "weights").write_text("w")
    arguments = ("model", "record", "net", str(tmp_path / "weights"), "--licence", "MIT", "--fields", str(file))
    refused(invoke(*arguments, *NOWHERE), "fields.json", "'licence'")


def test_listing_keys_makes_no_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    refused(invoke("keys", "list", "--data", str(data)), "pedigree keys add")
    refused(invoke("keys", "revoke", "ci", "--data", str(data)), "pedigree keys add")
    assert not data.exists()
    data.mkdir()
    (data / "keys.db").write_text("something else")
    refused(invoke("keys", "list", "--data", str(data)), "keys.db")


# -- pedigree serve ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a network's key material, made once."""
    folder = tmp_path_factory.mktemp("material")
    ensure_material(default_topology(any_port=True), folder)
    return folder / "organizations"


@pytest.fixture
def network(tmp_path: Path, material: Path) -> dict[str, Any]:
    """A network file that would do, over files that a test may replace."""
    shutil.copytree(material, tmp_path / "organizations")
    peers = "organizations/peerOrganizations"
    members = []
    for organisation in default_topology().organisations:
        base = f"{peers}/{organisation.domain}"
        members.append(
            {
                "name": organisation.name,
                "mspid": organisation.msp_id,
                "domain": organisation.domain,
                "peer": "127.0.0.1:1",
                "tls_ca": f"{base}/tlsca/tlsca.{organisation.domain}-cert.pem",
                "msp": f"{base}/msp",
                "user_msp": f"{base}/users/User1@{organisation.domain}/msp",
            }
        )
    orderer = {"mspid": "OrdererMSP", "msp": "organizations/ordererOrganizations/orderer.example/msp"}
    return {"channel": "pedigree", "organisations": members, "orderer": orderer, "genesis_hash": "00" * 32}


def serve(folder: Path, network: Any, *more: str) -> Result:
    path = folder / "network.json"
    path.write_text(network if isinstance(network, str) else json.dumps(network))
    ports = ("--port", "0", "--health-port", "0", "--data", str(folder / "data"))
    return invoke("serve", "--network", str(path), "--organisation", "lab", *ports, *more)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("channel",), None),
        (("channel",), 3),
        (("channel",), ""),
        (("genesis_hash",), "zz"),
        (("genesis_hash",), None),
        (("organisations",), []),
        (("organisations",), {}),
        (("organisations",), None),
        (("organisations", 1), "lab"),
        (("organisations", 1, "mspid"), 7),
        (("organisations", 1, "peer"), "nonsense"),
        (("organisations", 1, "peer"), 7051),
        (("organisations", 1, "tls_ca"), []),
        (("organisations", 2, "msp"), None),
        (("orderer",), None),
        (("orderer", "msp"), None),
    ],
)
def test_a_bad_network_file_names_the_field(
    tmp_path: Path, network: dict[str, Any], place: tuple[Any, ...], value: Any
) -> None:
    inner: Any = network
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    last = place[-1] if isinstance(place[-1], str) else f"organisations[{place[-1]}]"
    refused(serve(tmp_path, network), "network.json", last)
    assert not (tmp_path / "data").exists()


def test_a_truncated_network_file_is_named(tmp_path: Path, network: dict[str, Any]) -> None:
    refused(serve(tmp_path, json.dumps(network)[:200]), "network.json is not JSON")
    refused(serve(tmp_path, "[" * 100_000), "network.json is not JSON")
    refused(invoke("serve", "--organisation", "lab", "--network", str(tmp_path)), str(tmp_path))
    refused(serve(tmp_path, network, "--organisation", "maker"), "'maker'", "hospital, lab, regulator")


LAB = "organizations/peerOrganizations/lab.example"
USER = f"{LAB}/users/User1@lab.example/msp"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (f"{USER}/signcerts/User1@lab.example-cert.pem", "garbage"),
        (f"{USER}/signcerts/User1@lab.example-cert.pem", None),
        (f"{USER}/keystore/priv_sk", "garbage"),
        (f"{USER}/keystore/priv_sk", None),
        (f"{LAB}/msp/cacerts/ca.lab.example-cert.pem", "garbage"),
        (f"{LAB}/msp/config.yaml", "{["),
        ("organizations/peerOrganizations/hospital.example/msp/cacerts/ca.hospital.example-cert.pem", None),
        ("organizations/ordererOrganizations/orderer.example/msp/cacerts/ca.orderer.example-cert.pem", None),
        (f"{LAB}/tlsca/tlsca.lab.example-cert.pem", "garbage"),
    ],
)
def test_bad_key_material_names_the_file(
    tmp_path: Path, network: dict[str, Any], file: str, content: str | None
) -> None:
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_text(content)
    refused(serve(tmp_path, network), str((tmp_path / file).parent))
    assert not (tmp_path / "data").exists()


def test_a_read_model_of_another_chain_is_named_before_anything_is_served(
    tmp_path: Path, network: dict[str, Any]
) -> None:
    (tmp_path / "data").mkdir(0o700)
    database = Database.open(tmp_path / "data" / "readmodel.db", "readmodel", durable=False)
    ReadModelStore(database).apply(LedgerBlock(0, "ab" * 32, "", ()))
    database.close()
    refused(serve(tmp_path, network), "readmodel.db: holds another chain", "ab" * 32, "00" * 32, "--rebuild")


def test_a_key_of_somebody_else_is_refused(tmp_path: Path, network: dict[str, Any]) -> None:
    admin = tmp_path / LAB / "users/Admin@lab.example/msp/keystore/priv_sk"
    (tmp_path / USER / "keystore/priv_sk").write_bytes(admin.read_bytes())
    refused(serve(tmp_path, network), "keystore/priv_sk: not the key of the certificate")


def test_a_user_of_another_organisation_is_refused(tmp_path: Path, network: dict[str, Any]) -> None:
    network["organisations"][1]["user_msp"] = network["organisations"][0]["user_msp"]
    refused(serve(tmp_path, network), "signcerts: not of LabMSP")


def test_a_port_that_is_taken_is_named(tmp_path: Path, network: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for option in ("--port", "--health-port"):
            refused(serve(tmp_path, network, option, str(port)), f"127.0.0.1:{port} ({option})")
    refused(serve(tmp_path, network, "--host", "no..host", "--port", "1"), "no..host:1 (--port)")
    refused(serve(tmp_path, network, "--in-flight", "0"), "in-flight", "1<=x<=4096", code=Exit.USAGE)


def test_a_store_that_is_none_is_named(tmp_path: Path, network: dict[str, Any]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "records.db").write_text("something else")
    refused(serve(tmp_path, network), "records.db")


def test_ctrl_c_ends_a_waiting_command_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        # Whoever started the tests in the background has told their children to ignore Ctrl-C; a terminal does not.
        listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        program = ("-c", f"{listening}; from gateway.cli import main; main()", "ledger", "--url", url, "--key", "id.s")
        with subprocess.Popen(
            [sys.executable, *program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            connection, _ = silent.accept()  # from here on the command waits for an answer
            with connection:
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert out == ""
    assert err.strip() == "pedigree: stopped"

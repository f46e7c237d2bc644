# SPDX-License-Identifier: Apache-2.0
"""The command line: keys, settings and errors of one line."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.exits import Exit
from gateway.server.folders import private_folder
from gateway.server.options import Options
from gateway.server.settings import NetworkFile, Settings, SettingsError, load_secret


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments))


def network(tmp_path: Path, **changes: Any) -> Path:
    for name in ("ca.pem", "msp", "user", "orderer"):
        (tmp_path / name).touch()
    value: dict[str, Any] = {
        "channel": "pedigree",
        "organisations": [
            {
                "name": name, "mspid": f"{name.title()}MSP", "domain": f"{name}.example", "peer": "127.0.0.1:1",
                "tls_ca": "ca.pem", "msp": "msp", "user_msp": "user",
            }
            for name in ("hospital", "lab")
        ],
        "orderer": {"mspid": "OrdererMSP", "msp": "orderer"},
        "genesis_hash": "00" * 32,
        **changes,
    }  # fmt: skip
    path = tmp_path / "network.json"
    path.write_text(json.dumps(value))
    return path


def test_help_names_every_verb() -> None:
    listed = invoke("--help").output
    for verb in (
        "serve",
        "keys",
        "dataset",
        "model",
        "run",
        "endorse",
        "reject",
        "submit",
        "lineage",
        "verify",
        "ledger",
    ):
        assert verb in listed
        assert invoke(verb, "--help").exit_code == 0


def test_a_key_is_shown_once(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    added = invoke("keys", "add", "ci", "--role", "recorder", "--new", "--data", data)
    assert added.exit_code == 0
    secret = added.output.strip()
    assert secret.count(".") == 1
    listed = invoke("keys", "list", "--data", data, "--json")
    assert secret.split(".")[1] not in listed.output
    assert [key["name"] for key in json.loads(listed.output)] == ["ci"]
    assert invoke("keys", "revoke", "ci", "--data", data).exit_code == 0
    assert json.loads(invoke("keys", "list", "--data", data, "--json").output)[0]["revoked"] is True


def test_a_key_is_added_only_to_the_folder_of_a_gateway(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    before = other.stat()
    for folder in (tmp_path / "missing", other, tmp_path / "empty"):
        refused = invoke("keys", "add", "ci", "--role", "reader", "--data", str(folder))
        assert refused.exit_code == Exit.FAILED
        assert f"{folder} is not the data folder of a gateway" in refused.stderr
    assert (
        "holds something else" in invoke("keys", "add", "ci", "--role", "reader", "--new", "--data", str(other)).stderr
    )
    bad = invoke("keys", "add", "a/b", "--role", "reader", "--new", "--data", str(tmp_path / "missing"))
    assert (bad.exit_code, "a key's name is 1 to 64 letters" in bad.stderr) == (Exit.FAILED, True)
    assert sorted(tmp_path.rglob("*")) == [other, other / "thesis.txt"]
    assert (other.stat().st_mode, other.stat().st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    started = tmp_path / "started"
    load_secret(private_folder(started) / "secret")  # as a gateway does first
    assert invoke("keys", "add", "ci", "--role", "reader", "--data", str(started)).exit_code == 0
    assert invoke("keys", "add", "two", "--role", "reader", "--data", str(started)).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("keys", "add", "a b", "--role", "reader", "--data", "{data}"), Exit.FAILED),
        (("serve", "--network", "{data}/none.json", "--organisation", "lab"), Exit.FAILED),
        (("verify", "{file}"), Exit.DISAGREES),
        (("ledger", "--url", "http://127.0.0.1:1", "--key", "a.b", "--timeout", "0.2"), Exit.UNREACHABLE),
    ],
)
def test_an_error_is_one_line(tmp_path: Path, arguments: tuple[str, ...], code: Exit) -> None:
    file = tmp_path / "evidence.json"
    file.write_text("{}")
    filled = [argument.format(data=tmp_path / "data", file=file) for argument in arguments]
    result = invoke(*filled)
    assert result.exit_code == code
    assert result.stderr.startswith("pedigree: ")
    assert result.stderr.count("\n") == 1


def test_ports_follow_the_order_of_the_organisations(tmp_path: Path) -> None:
    path = network(tmp_path)
    options = Options(in_flight=8)
    settings = Settings.build(path, "LabMSP", options)
    assert (settings.port, settings.health_port, settings.threads) == (8102, 8112, 40)
    assert settings.data == tmp_path / "gateways" / "lab"
    assert Settings.build(path, "lab", Options(port=0)).port == 0
    with pytest.raises(SettingsError, match="no organisation 'maker'"):
        Settings.build(path, "maker", options)
    with pytest.raises(ValueError, match="in-flight must be from 1 to 4096"):
        Options(in_flight=0)
    (tmp_path / "user").unlink()
    with pytest.raises(SettingsError, match="does not exist"):
        Settings.build(path, "lab", options)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"channel":"c"}', '{"channel":"c","organisations":[{}]}'])
def test_a_bad_network_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "network.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"network\.json"):
        NetworkFile.read(path)


def test_the_secret_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    secret = load_secret(tmp_path / "secret")
    assert load_secret(tmp_path / "secret") == secret
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    (tmp_path / "secret").write_bytes(b"short")
    with pytest.raises(SettingsError):
        load_secret(tmp_path / "secret")

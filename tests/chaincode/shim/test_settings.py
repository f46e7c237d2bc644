# SPDX-License-Identifier: Apache-2.0
"""Settings from the environment, and the refusal of half of them."""

import base64
from pathlib import Path
from typing import Any

import pytest

from chaincode.shim import Settings, SettingsError, settings_from_environment

SERVER = {
    "CHAINCODE_SERVER_ADDRESS": "127.0.0.1:9999",
    "CHAINCODE_ID": "pedigree:abc",
    "CORE_PEER_LOCALMSPID": "HospitalMSP",
}
CLIENT = {
    "CORE_PEER_ADDRESS": "127.0.0.1:7052",
    "CORE_CHAINCODE_ID_NAME": "pedigree:1",
    "CORE_PEER_LOCALMSPID": "HospitalMSP",
    "CORE_PEER_TLS_ENABLED": "false",
}


@pytest.fixture(scope="module")
def pair(authority: Any) -> tuple[str, str]:
    certificate, key = authority.issue()
    return certificate.decode(), key.decode()


@pytest.fixture
def files(tmp_path: Path, authority: Any, pair: tuple[str, str]) -> dict[str, str]:
    contents = {
        "cert": pair[0].encode(),
        "key": pair[1].encode(),
        "roots": authority.pem,
        "cert64": base64.b64encode(pair[0].encode()),
        "key64": base64.b64encode(pair[1].encode()),
        "broken": b"\xff",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: str(tmp_path / name) for name in contents}


def test_a_server_in_plain_text_needs_three_variables() -> None:
    settings = settings_from_environment(SERVER)
    assert settings == Settings(chaincode_id="pedigree:abc", local_msp_id="HospitalMSP", listen="127.0.0.1:9999")
    assert settings.clock_window == 120


@pytest.mark.parametrize("missing", sorted(SERVER))
def test_each_of_them_is_asked_for_by_name(missing: str) -> None:
    with pytest.raises(SettingsError, match=missing):
        settings_from_environment({name: value for name, value in SERVER.items() if name != missing})


def test_the_id_may_have_either_name_but_not_two_values() -> None:
    old = {**SERVER, "CHAINCODE_ID": "", "CORE_CHAINCODE_ID_NAME": "old:1"}
    assert settings_from_environment(old).chaincode_id == "old:1"
    assert settings_from_environment({**SERVER, "CORE_CHAINCODE_ID_NAME": "pedigree:abc"})
    with pytest.raises(SettingsError, match="different chaincodes"):
        settings_from_environment({**SERVER, "CORE_CHAINCODE_ID_NAME": "old:1"})


@pytest.mark.parametrize("address", ["nowhere", "host:", "host:http", "host:70000", "host:²"])
def test_an_address_is_host_and_port(address: str) -> None:
    with pytest.raises(SettingsError, match="CHAINCODE_SERVER_ADDRESS"):
        settings_from_environment({**SERVER, "CHAINCODE_SERVER_ADDRESS": address})


def test_other_settings_have_names_and_bounds() -> None:
    settings = settings_from_environment(
        {
            **SERVER,
            "CHAINCODE_SERVER_ADDRESS": ":9999",
            "CORE_PEER_ADDRESS": "ignored:7051",
            "CHAINCODE_HEALTH_ADDRESS": "127.0.0.1:0",
            "CHAINCODE_CLOCK_WINDOW_SECONDS": "5.5",
            "CHAINCODE_WORKERS": "7",
            "CHAINCODE_DRAIN_SECONDS": "1",
            "CHAINCODE_BATCH_WRITES": "true",
        }
    )
    assert (settings.listen, settings.peer, settings.health) == ("0.0.0.0:9999", None, "127.0.0.1:0")
    assert (settings.clock_window, settings.workers, settings.drain_seconds) == (5.5, 7, 1)
    assert settings.batch_writes
    for variable, value in {
        "CHAINCODE_CLOCK_WINDOW_SECONDS": "-1",
        "CHAINCODE_WORKERS": "0",
        "CHAINCODE_DRAIN_SECONDS": "soon",
        "CHAINCODE_BATCH_WRITES": "maybe",
    }.items():
        with pytest.raises(SettingsError, match=variable):
            settings_from_environment({**SERVER, variable: value})


def test_a_token_comes_from_the_environment_or_a_file_for_a_chaincode_that_dials(tmp_path: Path) -> None:
    dialling = {**SERVER, "CORE_PEER_ADDRESS": "peer:7052", "CORE_PEER_TLS_ENABLED": "false"}
    del dialling["CHAINCODE_SERVER_ADDRESS"]
    file = tmp_path / "token"
    file.write_text("secret\n")
    assert settings_from_environment(dialling).token is None
    assert settings_from_environment({**dialling, "CHAINCODE_TOKEN": "secret"}).token == "secret"
    from_file = settings_from_environment({**dialling, "CHAINCODE_TOKEN_FILE": str(file)})
    assert from_file.token == "secret"
    assert "secret" not in repr(from_file)
    assert settings_from_environment({**SERVER, "CHAINCODE_TOKEN": "secret"}).token is None
    with pytest.raises(SettingsError, match="both set"):
        settings_from_environment({**dialling, "CHAINCODE_TOKEN": "a", "CHAINCODE_TOKEN_FILE": str(file)})
    for bad in ("two\nlines", "é"):
        with pytest.raises(SettingsError, match="printable ASCII"):
            settings_from_environment({**dialling, "CHAINCODE_TOKEN": bad})


def test_tls_is_read_from_text_or_from_files(pair: tuple[str, str], files: dict[str, str], authority: Any) -> None:
    text = settings_from_environment({**SERVER, "CHAINCODE_TLS_CERT": pair[0], "CHAINCODE_TLS_KEY": pair[1]}).tls
    assert text is not None
    assert (text.certificate, text.key, text.roots) == (pair[0].encode(), pair[1].encode(), None)
    mutual = settings_from_environment(
        {
            **SERVER,
            "CHAINCODE_TLS_CERT_FILE": files["cert"],
            "CHAINCODE_TLS_KEY": files["key"],
            "CHAINCODE_TLS_CLIENT_CACERT_FILE": files["roots"],
            "CHAINCODE_TLS_DISABLED": "false",
        }
    ).tls
    assert mutual is not None
    assert mutual.roots == authority.pem


def test_a_key_is_not_shown(pair: tuple[str, str]) -> None:
    settings = settings_from_environment({**SERVER, "CHAINCODE_TLS_CERT": pair[0], "CHAINCODE_TLS_KEY": pair[1]})
    assert "PRIVATE" not in repr(settings)


def test_half_a_tls_configuration_never_becomes_plain_text(
    pair: tuple[str, str], files: dict[str, str], authority: Any
) -> None:
    certificate, key = pair
    other, _ = authority.issue()
    for given, complaint in (
        ({"CHAINCODE_TLS_CERT": certificate}, "CHAINCODE_TLS_KEY is not set"),
        ({"CHAINCODE_TLS_KEY": key}, "CHAINCODE_TLS_CERT is not set"),
        ({"CHAINCODE_CLIENT_CA_CERT": authority.pem.decode()}, "CHAINCODE_TLS_KEY is not set"),
        ({"CHAINCODE_TLS_DISABLED": "false"}, "CHAINCODE_TLS_KEY is not set"),
        ({"CHAINCODE_TLS_DISABLED": "true", "CHAINCODE_TLS_KEY": key}, "CHAINCODE_TLS_DISABLED is true"),
        ({"CHAINCODE_TLS_DISABLED": "perhaps"}, "CHAINCODE_TLS_DISABLED must be"),
        ({"CHAINCODE_TLS_KEY": key, "CHAINCODE_TLS_KEY_FILE": files["key"]}, "both set"),
        ({"CHAINCODE_TLS_KEY_FILE": "/nowhere", "CHAINCODE_TLS_CERT": certificate}, "cannot be read"),
        ({"CHAINCODE_TLS_KEY_FILE": files["broken"], "CHAINCODE_TLS_CERT": certificate}, "not readable PEM"),
        ({"CHAINCODE_TLS_KEY": key, "CHAINCODE_TLS_CERT": other.decode()}, "does not belong"),
    ):
        with pytest.raises(SettingsError, match=complaint):
            settings_from_environment({**SERVER, **given})


def test_a_client_says_whether_it_speaks_tls() -> None:
    assert settings_from_environment(CLIENT) == Settings(
        chaincode_id="pedigree:1", local_msp_id="HospitalMSP", peer="127.0.0.1:7052"
    )
    with pytest.raises(SettingsError, match="CORE_PEER_TLS_ENABLED"):
        settings_from_environment({**CLIENT, "CORE_PEER_TLS_ENABLED": ""})


@pytest.mark.parametrize("arguments", [["-peer.address", "p:1"], ["x", "--peer.address=p:1"]])
def test_the_address_of_the_peer_may_be_an_argument(arguments: list[str]) -> None:
    environ = {name: value for name, value in CLIENT.items() if name != "CORE_PEER_ADDRESS"}
    assert settings_from_environment(environ, arguments).peer == "p:1"
    with pytest.raises(SettingsError, match="CORE_PEER_ADDRESS"):
        settings_from_environment(environ, ["--peer.address"])


def test_a_client_with_tls_needs_all_of_it(files: dict[str, str], authority: Any, pair: tuple[str, str]) -> None:
    whole = {
        **CLIENT,
        "CORE_PEER_TLS_ENABLED": "true",
        "CORE_TLS_CLIENT_KEY_PATH": files["key64"],
        "CORE_TLS_CLIENT_CERT_FILE": files["cert"],
        "CORE_PEER_TLS_ROOTCERT_FILE": files["roots"],
    }
    tls = settings_from_environment(whole).tls
    assert tls is not None
    assert (tls.key, tls.certificate, tls.roots) == (pair[1].encode(), pair[0].encode(), authority.pem)
    for variable in ("CORE_TLS_CLIENT_KEY_PATH", "CORE_TLS_CLIENT_CERT_FILE", "CORE_PEER_TLS_ROOTCERT_FILE"):
        with pytest.raises(SettingsError, match=variable):
            settings_from_environment({name: value for name, value in whole.items() if name != variable})
    with pytest.raises(SettingsError, match="base64"):
        settings_from_environment({**whole, "CORE_TLS_CLIENT_KEY_PATH": files["key"]})

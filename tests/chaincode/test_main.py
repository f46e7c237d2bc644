# SPDX-License-Identifier: Apache-2.0
"""The program: what it serves, what it refuses, and that wrong settings are said in one line."""

import json
import os
import runpy
import signal
import subprocess
import sys

import pytest

from chaincode import __main__ as program
from chaincode.domain.errors import PolicyMissing
from chaincode.shim import Settings, SettingsError


def test_a_refusal_is_a_response_of_400():
    response = program.refuse(PolicyMissing())
    assert response is not None
    assert (response.status, json.loads(response.message)["code"]) == (400, "policy-missing")


def test_a_fault_is_left_to_the_shim():
    assert program.refuse(RuntimeError("secret")) is None


def test_wrong_founders_are_a_wrong_setting():
    assert program.router({"PEDIGREE_FOUNDERS": "A,B"}) is not None
    with pytest.raises(SettingsError, match="PEDIGREE_FOUNDERS"):
        program.router({"PEDIGREE_FOUNDERS": "A B"})


def test_a_process_that_was_not_told_its_founders_says_so(caplog):
    program.router({"PEDIGREE_FOUNDERS": "A,B"})
    assert not caplog.records
    program.router({})
    assert "PEDIGREE_FOUNDERS is not set" in caplog.text


@pytest.mark.parametrize(("listen", "expected"), [("127.0.0.1:0", "serve"), (None, "dial")])
def test_it_listens_or_dials_as_its_settings_say(monkeypatch, listen, expected):
    settings = Settings(chaincode_id="pedigree:1", local_msp_id="LabMSP", listen=listen, peer="127.0.0.1:1")
    ran = []
    monkeypatch.setattr(program, "settings_from_environment", lambda environ, arguments: settings)
    for name in ("serve", "dial"):
        monkeypatch.setattr(program, name, lambda chaincode, given, name=name: ran.append((name, given)))
    assert program.main() == 0
    assert ran == [(expected, settings)]


def test_wrong_settings_end_it_with_one_line(monkeypatch, capsys):
    def refuse(environ, arguments):
        raise SettingsError("CORE_PEER_LOCALMSPID is missing")

    monkeypatch.setattr(program, "settings_from_environment", refuse)
    assert program.main() == 2
    assert capsys.readouterr().err == "chaincode: CORE_PEER_LOCALMSPID is missing\n"


@pytest.mark.parametrize("quoted", ['"LabMSP"', "Hospital-MSP-", "L" * 65])
def test_an_id_that_is_none_ends_it_with_one_line(monkeypatch, capsys, quoted):
    monkeypatch.setattr(sys, "argv", ["chaincode"])
    monkeypatch.setenv("CHAINCODE_SERVER_ADDRESS", "127.0.0.1:0")
    monkeypatch.setenv("CHAINCODE_ID", "pedigree:1.0")
    monkeypatch.setenv("CHAINCODE_TLS_DISABLED", "true")
    monkeypatch.setenv("CORE_PEER_LOCALMSPID", quoted)
    monkeypatch.setattr(program, "serve", lambda chaincode, settings: pytest.fail("it served"))
    assert program.main() == 2
    said = capsys.readouterr().err
    assert said.startswith(f"chaincode: CORE_PEER_LOCALMSPID is {quoted!r}, and it must be an MSP id: 1 to 64 letters")
    assert said.count("\n") == 1


def test_the_package_is_run_as_a_program(monkeypatch):
    monkeypatch.delitem(sys.modules, "chaincode.__main__")
    monkeypatch.setattr(sys, "argv", ["chaincode"])
    for variable in [name for name in os.environ if name.startswith(("CORE_", "CHAINCODE_"))]:
        monkeypatch.delenv(variable)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("chaincode", run_name="__main__")
    assert ended.value.code == 2


def test_the_process_serves_until_it_is_told_to_stop():
    environ = {
        **os.environ,
        "CHAINCODE_SERVER_ADDRESS": "127.0.0.1:0",
        "CHAINCODE_ID": "pedigree:1.0",
        "CORE_PEER_LOCALMSPID": "LabMSP",
        "CHAINCODE_TLS_DISABLED": "true",
        "CORE_PEER_TLS_ENABLED": "false",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "chaincode"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready 127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()

# SPDX-License-Identifier: Apache-2.0
"""A member keeps its Fabric key away from the gateway: prepare, sign, endorse, sign, submit (F7)."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.demo.consortium import Consortium
from gateway.demo.containers import Containers
from pedigree import Pedigree, PedigreeError

_names = count(1)


class Holder:
    """Somebody of the hospital whose key no gateway has: the administrator that the network's directory knows."""

    def __init__(self, consortium: Consortium | Containers, clients: dict[str, Pedigree], folder: Path) -> None:
        self.hospital, self.folder = clients["hospital"], folder
        self.given = ["--url", consortium.url("hospital"), "--key", consortium.key("hospital")]
        material = Path(os.environ.get("PEDIGREE_NETWORK") or consortium.directory)
        self.folders = {
            each["name"]: material / each["user_msp"].replace("User1@", "Admin@")
            for each in consortium.network()["organisations"]
        }

    def cert(self, name: str = "hospital") -> Path:
        return next((self.folders[name] / "signcerts").iterdir())

    def cli(self, *words: str | Path, gateway: bool = True) -> str:
        done = CliRunner().invoke(main, [*map(str, words), *(self.given if gateway else [])])
        assert done.exit_code == 0, done.output
        return done.output

    def sign(self, file: Path, name: str = "hospital") -> str:
        key = next((self.folders[name] / "keystore").iterdir())
        # No gateway is asked: the command has no address of one.
        return self.cli("sign", file, "--key", key, "--cert", self.cert(name), "--yes", gateway=False)

    def prepared(self, model: str, key: str | None = None) -> Path:
        fields, file = self.folder / f"{model}.json", self.folder / f"{model}-transaction.json"
        fields.write_text(json.dumps({"model": model, "title": "A model"}))
        more = [] if key is None else ["--idempotency-key", key]
        self.cli("offline", "prepare", "model:register", fields, "--cert", self.cert(), "-o", file, *more)
        return file

    def endorsed(self, model: str) -> Path:
        file = self.prepared(model)
        self.sign(file)
        self.cli("offline", "endorse", file)
        return file


@pytest.fixture
def holder(consortium: Consortium, clients: dict[str, Pedigree], tmp_path: Path) -> Holder:
    return Holder(consortium, clients, tmp_path)


def name() -> str:
    return f"offline-{next(_names)}"


def refused(action: Callable[[], Any]) -> str:
    with pytest.raises(PedigreeError) as caught:
        action()
    return str(caught.value.code)


@pytest.mark.story("F7", "A member that keeps its key away from the gateway signs its transactions itself")
def test_a_transaction_is_signed_away_from_the_gateway(holder: Holder, clients: dict[str, Pedigree]) -> None:
    model = name()
    file = holder.prepared(model)
    shown = holder.sign(file)
    assert "HospitalMSP asks for model:register" in shown
    assert model in shown
    holder.cli("offline", "endorse", file)
    assert "The organisations that endorsed it answered" in holder.sign(file)
    first = json.loads(holder.cli("offline", "submit", file, "--json"))
    assert (first["state"], first["result"]["record"]["owner"]) == ("succeeded", "HospitalMSP")
    transaction = first["result"]["transaction"]
    # Sent again, it is answered as the first time, and nothing is recorded twice.
    assert json.loads(holder.cli("offline", "submit", file, "--json"))["result"]["transaction"] == transaction
    regulator = clients["regulator"]
    regulator.at_least(transaction["block"] + 1)
    (listed,) = regulator.history(f"model:{model}")["items"]
    for each in (listed, regulator.transaction(transaction["id"])):
        identity = each["identity"]
        assert identity is not None
        assert (each["id"], identity["subject"].split(",")[0]) == (transaction["id"], "CN=Admin@hospital.example")


@pytest.mark.story("F7", "What comes back is what was prepared, or is refused", refused="not-prepared-here")
def test_what_was_not_prepared_is_refused(holder: Holder, clients: dict[str, Pedigree]) -> None:
    file, other = holder.endorsed(name()), holder.prepared(name())
    holder.sign(file)
    holder.sign(other)
    document = json.loads(file.read_text())
    for changed in (
        {"content": json.loads(other.read_text())["content"]},
        {"command": document["command"].replace("A model", "Another")},
        {"sign_before": document["sign_before"] + 1},
        {"reply": {}},
        {"seal": "0" * 64},
    ):
        assert refused(lambda: holder.hospital.submit_transaction({**document, **changed})) == "not-prepared-here"  # noqa: B023
    assert refused(lambda: holder.hospital.endorse_transaction(document)) == "not-prepared-here"
    assert refused(lambda: clients["lab"].submit_transaction(document)) == "not-prepared-here"
    assert holder.hospital.submit_transaction(document)["state"] == "succeeded"


@pytest.mark.story("F7", "A transaction that another key signed is refused", refused="bad-signature")
def test_another_key_is_refused(holder: Holder) -> None:
    file = holder.endorsed(name())
    endorsed = json.loads(file.read_text())
    holder.sign(file)
    signed = json.loads(file.read_text())
    other = base64.b64decode(signed["signature"])
    forged = base64.b64encode(other[:-1] + bytes([other[-1] ^ 1])).decode()
    assert refused(lambda: holder.hospital.submit_transaction({**endorsed, "signature": forged})) == "bad-signature"
    proposal = holder.prepared(name())
    unsigned = json.loads(proposal.read_text())
    said = {**unsigned, "signature": signed["signature"]}
    assert refused(lambda: holder.hospital.endorse_transaction(said)) == "bad-signature"


@pytest.mark.story("F7", "Nobody of another organisation signs for this one", refused="invalid-field")
def test_another_organisation_s_certificate_is_refused(holder: Holder) -> None:
    pem = holder.cert("lab").read_text()
    command = {"model": name(), "title": "A model"}
    assert refused(lambda: holder.hospital.prepare_transaction("model:register", command, pem)) == "invalid-field"


@pytest.mark.story("F7", "What the law refuses is refused before it is signed", refused="already-exists")
def test_what_the_law_refuses_is_refused_when_it_is_endorsed(holder: Holder) -> None:
    model = name()
    holder.hospital.register_model(model, title="A model")
    file = holder.prepared(model)
    holder.sign(file)
    assert refused(lambda: holder.hospital.endorse_transaction(json.loads(file.read_text()))) == "already-exists"


@pytest.mark.story("F7", "Of two transactions signed under one key, one is recorded", refused="already-submitted")
def test_one_key_records_once(holder: Holder) -> None:
    model = name()
    first, second = holder.folder / "first.json", holder.folder / "second.json"
    for file in (first, second):
        file.write_bytes(holder.prepared(model, f"key-of-{model}").read_bytes())
        holder.sign(file)
    ids = [json.loads(file.read_text())["transaction_id"] for file in (first, second)]
    assert ids[0] == ids[1]
    holder.cli("offline", "endorse", first)
    holder.sign(first)
    holder.cli("offline", "submit", first)
    assert refused(lambda: holder.hospital.endorse_transaction(json.loads(second.read_text()))) == "already-submitted"

# SPDX-License-Identifier: Apache-2.0
"""Data under a grant: published by its owner, fetched by the grantee, and refused to everybody else."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from taps import tapped

from gateway.cli import main
from gateway.demo.consortium import Consortium
from gateway.demo.processes import command
from gateway.demo.story import ORIGIN
from pedigree import Disagreement, Forbidden, InvalidInput, Pedigree, Refused
from pedigree.sealing.fetching import public_bytes

_names = itertools.count(1)
CONTENT = b"id,age\n" + b"".join(b"p%d,%d\n" % (number, number % 90) for number in range(20_000))
DAY = 86_400_000


class Granted:
    """A data set of the hospital that is published, and how the lab gets at it."""

    def __init__(self, clients: dict[str, Pedigree], url: str, now: int) -> None:
        self.hospital, self.lab = clients["hospital"], clients["lab"]
        self.url = url
        self.elsewhere = ""
        self.now = now
        self.dataset = f"delivered-{next(_names)}"
        self.hospital.register_dataset(
            self.dataset, title="Ages", licence="CC-BY-4.0", origin=ORIGIN, sensitivity="special-category",
            basis="public-task",
        )  # fmt: skip
        self.hospital.commit_records(self.dataset, CONTENT, id_field="id")

    def grant(self, **said: Any) -> str:
        name = f"{self.dataset}-grant-{next(_names)}"
        given = {"grantee": "LabMSP", "artifact": f"dataset-version:{self.dataset}:1", "purpose": "research",
                 "actions": ["download"], "expires": self.now + 30 * DAY}  # fmt: skip
        recorded = self.hospital.grant_access(name, **{**given, **said})
        self.lab.at_least(recorded.height)
        return name


@pytest.fixture
def granted(clients: dict[str, Pedigree], consortium: Consortium) -> Granted:
    made = Granted(clients, consortium.url("hospital"), int(time.time() * 1_000))
    made.elsewhere = consortium.url("regulator")
    return made


@pytest.mark.story("F6", "A grantee fetches what its owner published, and compares it with the ledger")
def test_a_grantee_fetches_what_was_published(granted: Granted, tmp_path: Path) -> None:
    published = granted.hospital.publish_dataset(granted.dataset, 1, CONTENT)
    fetched = granted.lab.fetch(granted.grant(), granted.url, tmp_path / "copy.csv")
    assert (tmp_path / "copy.csv").read_bytes() == CONTENT
    assert fetched.digest == published["digest"] == hashlib.sha256(CONTENT).hexdigest()
    assert list(tmp_path.iterdir()) == [tmp_path / "copy.csv"]
    attempt: Any = granted.lab.access_attempt(fetched.attempt)["record"]
    assert attempt["decision"] == "allowed"


def stored(consortium: Consortium, blob: str) -> Path:
    """The blob at the hospital's gateway."""
    (found,) = consortium.data("hospital").rglob(f"blobs/{blob[:2]}/{blob}")
    return found


@pytest.mark.story(
    "F6", "What was altered in the owner's store is refused by its chunk, and no file is left", refused="disagrees"
)
def test_an_altered_store_is_found_out(granted: Granted, consortium: Consortium, tmp_path: Path) -> None:
    published = granted.hospital.publish_dataset(granted.dataset, 1, CONTENT)
    blob = stored(consortium, published["blob"])
    assert b"p19999" not in blob.read_bytes()
    content = bytearray(blob.read_bytes())
    content[80 + 2 * (65_536 + 16) + 5] ^= 1
    blob.write_bytes(content)
    (tmp_path / "copy.csv").write_bytes(b"before")
    grant = granted.grant()
    with pytest.raises(Disagreement, match="chunk 2 is not what was sealed there"):
        granted.lab.fetch(grant, granted.url, tmp_path / "copy.csv")
    assert (tmp_path / "copy.csv").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["copy.csv"]


@pytest.mark.story("F6", "A fetch under a grant that was revoked is denied on the ledger", refused="access-denied")
def test_a_denied_attempt_gives_nothing(granted: Granted, tmp_path: Path) -> None:
    granted.hospital.publish_dataset(granted.dataset, 1, CONTENT)
    grant = granted.grant()
    revoked = granted.hospital.revoke_access(grant, reason="the study ended")
    granted.lab.at_least(revoked.height)
    with pytest.raises(Refused) as refused:
        granted.lab.fetch(grant, granted.url, tmp_path / "copy.csv")
    assert (refused.value.code, refused.value.facts["reason"]) == ("access-denied", "revoked")
    assert list(tmp_path.iterdir()) == []
    # The ledger keeps it, and the owner's gateway gives nothing for it either.
    attempt: Any = granted.lab.access_attempts(grant=grant)["items"][0]["record"]
    assert asked(granted, statement(granted.lab, attempt["attempt"]))["code"] == "attempt-denied"
    log: Any = granted.hospital.deliveries()["items"]
    assert (log[0]["attempt"], log[0]["organisation"], log[0]["outcome"], log[0]["sent"]) == (
        attempt["attempt"], "LabMSP", "attempt-denied", 0,
    )  # fmt: skip


def statement(client: Pedigree, attempt: str) -> Any:
    public = public_bytes(ec.generate_private_key(ec.SECP256R1()))
    return client.sign_fetch(attempt, recipient_key=base64.b64encode(public).decode())


def asked(granted: Granted, envelope: Any) -> Any:
    answer = httpx.post(f"{granted.url}/v1/data", json=envelope)
    return answer.json()


def attempted(granted: Granted, grant: str) -> str:
    made: Any = granted.lab.attempt_access(
        grant=grant, artifact=f"dataset-version:{granted.dataset}:1", action="download", purpose="research"
    )
    granted.hospital.at_least(made.height)
    granted.hospital.access_attempt(made.record["attempt"])
    return str(made.record["attempt"])


@pytest.mark.story("F6", "Nobody but the grantee fetches what an attempt allows", refused="fetch-by-another")
def test_nobody_else_fetches_it(granted: Granted, clients: dict[str, Pedigree]) -> None:
    granted.hospital.publish_dataset(granted.dataset, 1, CONTENT)
    attempt = attempted(granted, granted.grant())
    regulator = clients["regulator"]
    regulator.at_least(granted.lab.height)
    with pytest.raises(Forbidden) as refused:
        statement(regulator, attempt)
    assert refused.value.code == "fetch-by-another"
    genuine = statement(granted.lab, attempt)
    certificate = json.loads(json.dumps(genuine))
    certificate["signatures"][0]["organisation"] = "RegulatorMSP"
    assert asked(granted, certificate)["code"] == "fetch-by-another"
    forged = json.loads(json.dumps(genuine))
    payload = json.loads(base64.b64decode(forged["payload"]))
    payload["nonce"] = "0" * 32
    forged["payload"] = base64.b64encode(json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()).decode()
    assert asked(granted, forged)["code"] == "fetch-statement-invalid"
    assert asked(granted, genuine)["attempt"] == attempt
    assert asked(granted, genuine)["code"] == "fetch-statement-repeated"
    elsewhere = httpx.post(f"{granted.elsewhere}/v1/data", json=statement(granted.lab, attempt)).json()
    assert elsewhere["code"] == "fetch-statement-elsewhere"


@pytest.mark.story("F6", "An attempt is fetched once", refused="attempt-used")
def test_an_attempt_is_fetched_once(granted: Granted, tmp_path: Path) -> None:
    granted.hospital.publish_dataset(granted.dataset, 1, CONTENT)
    fetched = granted.lab.fetch(granted.grant(), granted.url, tmp_path / "copy.csv")
    assert asked(granted, statement(granted.lab, fetched.attempt))["code"] == "attempt-used"


@pytest.mark.story("F6", "What was not published is not given out", refused="not-published")
def test_what_was_not_published_is_not_given_out(granted: Granted) -> None:
    answer = asked(granted, statement(granted.lab, attempted(granted, granted.grant())))
    assert answer["code"] == "not-published"
    assert "ask HospitalMSP for it" in answer["detail"]


@pytest.mark.story("F6", "Data goes to the key that the grant names")
def test_data_goes_to_the_key_that_the_grant_names(granted: Granted, tmp_path: Path) -> None:
    granted.hospital.publish_dataset(granted.dataset, 1, CONTENT)
    holder = ec.generate_private_key(ec.SECP256R1())
    grant = granted.grant(recipient_key=base64.b64encode(public_bytes(holder)).decode())
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (own := tmp_path / "own.pem").write_bytes(holder.private_bytes(*form))
    other = ec.generate_private_key(ec.SECP256R1())
    (wrong := tmp_path / "other.pem").write_bytes(other.private_bytes(*form))
    with pytest.raises(InvalidInput, match="name the file of that private key"):
        granted.lab.fetch(grant, granted.url, tmp_path / "copy.csv")
    with pytest.raises(InvalidInput, match="is not the key that the grant names"):
        granted.lab.fetch(grant, granted.url, tmp_path / "copy.csv", key=wrong)
    assert asked(granted, statement(granted.lab, attempted(granted, grant)))["code"] == "recipient-key-differs"
    granted.lab.fetch(grant, granted.url, tmp_path / "copy.csv", key=own)
    assert (tmp_path / "copy.csv").read_bytes() == CONTENT


@pytest.mark.story("F6", "Data is fetched on the command line")
def test_data_is_fetched_on_the_command_line(granted: Granted, consortium: Consortium, tmp_path: Path) -> None:
    (source := tmp_path / "ages.csv").write_bytes(CONTENT)
    owner = ["--url", granted.url, "--key", consortium.key("hospital"), "--json"]
    published = run("dataset", "publish", granted.dataset, "1", str(source), *owner)
    grantee = {"PEDIGREE_URL": consortium.url("lab"), "PEDIGREE_KEY": consortium.key("lab")}
    out = tmp_path / "copy.csv"
    fetched = run("access", "fetch", granted.grant(), "--from", granted.url, "--out", str(out), "--json", **grantee)
    assert fetched["digest"] == published["digest"]
    assert out.read_bytes() == CONTENT
    log = run("access", "deliveries", *owner)
    assert (log["items"][0]["attempt"], log["items"][0]["outcome"]) == (fetched["attempt"], "complete")


@pytest.mark.story("F6", "A fetch that is killed goes on under its attempt, and costs one use")
def test_a_fetch_that_is_killed_goes_on(granted: Granted, consortium: Consortium, tmp_path: Path) -> None:
    granted.hospital.publish_dataset(granted.dataset, 1, CONTENT)
    grant, out = granted.grant(uses=1), tmp_path / "copy.csv"
    environment = {**os.environ, "PEDIGREE_URL": consortium.url("lab"), "PEDIGREE_KEY": consortium.key("lab")}
    with tapped(int(granted.url.rpartition(":")[2])) as tap:
        words = ["access", "fetch", grant, "--from", tap.url, "--out", str(out), "--json"]
        tap.hold_after(100_000)
        with subprocess.Popen([command("pedigree"), *words], env=environment) as program:
            tap.wait_until_held()
            program.kill()
        assert not out.exists()
        tap.cut()
        tap.release()
        fetched = run(*words, **environment)
    assert out.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [out]
    (attempt,) = [item["record"] for item in granted.lab.access_attempts(grant=grant)["items"]]
    assert (attempt["attempt"], attempt["decision"]) == (fetched["attempt"], "allowed")
    (entry,) = [each for each in granted.hospital.deliveries()["items"] if each["attempt"] == attempt["attempt"]]
    assert (entry["outcome"], entry["given"]) == ("complete", [{"start": 0, "stop": entry["sealed_size"]}])


def run(*words: str, **environment: str) -> Any:
    result = CliRunner().invoke(main, list(words), env=environment)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)

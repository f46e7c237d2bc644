# SPDX-License-Identifier: Apache-2.0
"""Selections under a grant: published by their owner, fetched by the grantee, and nothing else of the version."""

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
from cryptography.hazmat.primitives.asymmetric import ec
from taps import tapped

from gateway.cli import main
from gateway.demo.consortium import Consortium
from gateway.demo.processes import command
from gateway.demo.story import ORIGIN
from pedigree import Disagreement, Pedigree, PedigreeError, Refused
from pedigree.sealing.fetching import public_bytes

_names = itertools.count(1)
RESEARCH = "https://w3id.org/dpv#ScientificResearch"
DAY = 86_400_000
HEADER = "id,who,state,for,said"
NOTE = "measured twice and written down by hand " * 3
ROWS = [
    f"p{number},s{number},{'ConsentGiven' if number % 3 else 'ConsentRefused'},research,{NOTE}{number}"
    for number in range(3_000)
]
PERMITTED = [row for number, row in enumerate(ROWS) if number % 3]


def csv(rows: list[str]) -> bytes:
    return "".join(f"{row}\n" for row in (HEADER, *rows)).encode()


class Study:
    """Data of the hospital's that subjects gave, of which two thirds permit research, and how the lab gets at these."""

    def __init__(self, clients: dict[str, Pedigree], consortium: Consortium) -> None:
        self.clients = clients
        self.consortium = consortium
        self.hospital, self.lab = clients["hospital"], clients["lab"]
        self.url = consortium.url("hospital")
        self.dataset = f"chosen-{next(_names)}"
        self.selection = f"selection:{self.dataset}:1:permitted"
        self.hospital.register_dataset(
            self.dataset, title="Notes", licence="CC-BY-4.0", origin=ORIGIN, sensitivity="special-category",
            basis="consent",
        )  # fmt: skip
        fields = {"subject_field": "who", "consent_field": "state", "purposes_field": "for"}
        self.hospital.commit_records(self.dataset, csv(ROWS), id_field="id", **fields)
        self.hospital.open_consent(self.dataset)
        chosen = self.hospital.select_records(self.dataset, 1, "permitted", purpose="research")
        assert chosen.record["size"] == len(PERMITTED)

    def as_(self, organisation: str) -> Pedigree:
        client = self.clients[organisation]
        client.at_least(max(other.height for other in self.clients.values()))
        return client

    def grant(self, **said: Any) -> str:
        name = f"{self.dataset}-grant-{next(_names)}"
        given = {"grantee": "LabMSP", "artifact": self.selection, "purpose": RESEARCH, "actions": ["download"],
                 "expires": int(time.time() * 1_000) + 30 * DAY}  # fmt: skip
        self.as_("hospital").grant_access(name, **{**given, **said})
        self.as_("lab")
        return name

    def attempted(self, grant: str, artifact: str | None = None) -> Any:
        """An attempt of the lab's, once the hospital's gateway has it."""
        made: Any = self.as_("lab").attempt_access(
            grant=grant, artifact=artifact or self.selection, action="download", purpose=RESEARCH
        )
        self.as_("hospital").access_attempt(made.record["attempt"])
        return made.record

    def asked(self, attempt: str) -> Any:
        """What the hospital's gateway answers to the lab's statement."""
        key = base64.b64encode(public_bytes(ec.generate_private_key(ec.SECP256R1()))).decode()
        return httpx.post(f"{self.url}/v1/data", json=dict(self.lab.sign_fetch(attempt, recipient_key=key))).json()

    def fetched(self, grant: str, path: Path, **more: Any) -> Any:
        return self.as_("lab").fetch(grant, self.url, path, **more)

    def denied(self, grant: str) -> list[str]:
        """Why attempts under a grant were denied, as the auditor finds it on the ledger."""
        listed = self.as_("regulator").iterate_access_attempts(grant=grant, access_decision="denied")
        return [str(item["record"]["reason"]) for item in listed]


@pytest.fixture
def study(clients: dict[str, Pedigree], consortium: Consortium) -> Study:
    return Study(clients, consortium)


@pytest.mark.story("F6", "A grantee fetches a selection, compares it with the ledger, and trains on it")
def test_a_grantee_fetches_what_consent_permits(study: Study, tmp_path: Path) -> None:
    published = study.hospital.publish_selection(study.dataset, 1, "permitted")
    copy, bundle = tmp_path / "copy.csv", tmp_path / "copy.bundle"
    grant = study.grant()
    fetched = study.fetched(grant, copy, bundle=bundle)
    assert copy.read_bytes() == csv(PERMITTED)
    assert fetched.digest == published["digest"] == hashlib.sha256(csv(PERMITTED)).hexdigest()
    assert (fetched.artifact, fetched.root) == (study.selection, published["root"])
    assert sorted(tmp_path.iterdir()) == [bundle, copy]
    report = study.lab.verify_copy(copy, bundle)
    assert (report["verified"], report["selection"]) == (True, study.selection)
    altered = [PERMITTED[0], PERMITTED[1] + "!", *PERMITTED[3:], ROWS[0]]
    report = study.lab.verify_copy(csv(altered), bundle, media_type="text/csv")
    assert (report["changed"], report["removed"], report["added"]) == (["p2"], ["p4"], ["p0"])
    # What checks the copy says nothing of the records that are not in it.
    whole = study.hospital.save_bundle(study.dataset, 1, tmp_path / "whole.bundle").read_bytes()
    assert b"p2999" in whole
    assert b"p2998" in bundle.read_bytes()
    assert b"p2997" not in bundle.read_bytes()
    own = study.hospital.save_selection_bundle(study.dataset, 1, "permitted", tmp_path / "own.bundle")
    assert own.read_bytes() == bundle.read_bytes()
    name = f"run-on-{study.dataset}"
    with study.as_("lab").run(name, code="cd" * 32, purpose=RESEARCH, save_in=tmp_path) as run:
        used = run.use(study.selection, copy, bundle=bundle, grant=f"access-grant:{grant}")
        assert (used.found, used.root) == ("verified", published["root"])
    recorded: Any = study.lab.get_run(name)["record"]["inputs"][0]
    assert (recorded["selection"], recorded["found"], recorded["grant"]) == (
        study.selection, "verified", f"access-grant:{grant}",
    )  # fmt: skip


@pytest.mark.story(
    "F6", "A grant of a selection gives neither its version nor another selection; what was tried is on the ledger",
    refused="attempt-denied",
)  # fmt: skip
def test_a_selection_is_not_its_version(study: Study) -> None:
    study.hospital.select_records(study.dataset, 1, "one", ["p1"], parent=study.selection)
    study.hospital.publish_dataset(study.dataset, 1, csv(ROWS))
    for name in ("permitted", "one"):
        study.hospital.publish_selection(study.dataset, 1, name)
    grant = study.grant()
    for artifact in (f"dataset-version:{study.dataset}:1", f"selection:{study.dataset}:1:one"):
        attempt = study.attempted(grant, artifact)
        assert (attempt["decision"], attempt["reason"]) == ("denied", "another-version")
        assert study.asked(attempt["attempt"])["code"] == "attempt-denied"
    assert study.denied(grant) == ["another-version", "another-version"]
    assert study.asked(study.attempted(grant)["attempt"])["artifact"] == study.selection


@pytest.mark.story(
    "F6", "A selection is not fetched under a grant that is over or was revoked", refused="access-denied"
)
def test_a_grant_that_is_over_gives_nothing(study: Study, tmp_path: Path) -> None:
    study.hospital.publish_selection(study.dataset, 1, "permitted")
    short, revoked = study.grant(expires=int(time.time() * 1_000) + 3_000), study.grant()
    study.as_("hospital").revoke_access(revoked, reason="the study ended")
    terms: Any = study.as_("lab").access_grant(short)["record"]
    time.sleep(max(0.0, terms["expires"] / 1_000 - time.time()) + 0.2)
    for grant, reason in ((short, "expired"), (revoked, "revoked")):
        with pytest.raises(Refused) as refused:
            study.fetched(grant, tmp_path / "copy.csv")
        assert (refused.value.code, refused.value.facts["reason"]) == ("access-denied", reason)
        assert study.denied(grant) == [reason]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.story(
    "F6", "After a subject took back its consent its selection is given out no more", refused="data-stopped"
)
def test_a_withdrawal_ends_what_was_selected(study: Study, tmp_path: Path) -> None:
    study.hospital.publish_selection(study.dataset, 1, "permitted")
    grant = study.grant()
    begun, waiting = (study.attempted(grant)["attempt"] for _ in range(2))
    offer = study.asked(begun)
    first = httpx.get(f"{study.url}/v1/data/{offer['delivery']}", headers={"Range": "bytes=0-99"})
    assert (first.status_code, len(first.content)) == (206, 100)
    study.as_("hospital").withdraw_consent(study.dataset, "s1")
    study.as_("hospital").ledger()
    for part in ("", "/bundle"):
        refused = httpx.get(f"{study.url}/v1/data/{offer['delivery']}{part}").json()
        assert (refused["code"], "took back their consent" in refused["detail"]) == ("data-stopped", True)
    assert study.asked(waiting)["code"] == "data-stopped"
    with pytest.raises(Refused) as denied:
        study.fetched(grant, tmp_path / "copy.csv")
    assert (denied.value.code, denied.value.facts["reason"]) == ("access-denied", "consent")
    assert study.denied(grant) == ["consent"]
    # What is selected from the map that is in force now leaves that record out, and is another grant's.
    study.hospital.select_records(study.dataset, 1, "later", purpose="research")
    published = study.hospital.publish_selection(study.dataset, 1, "later")
    fetched = study.fetched(study.grant(artifact=f"selection:{study.dataset}:1:later"), tmp_path / "later.csv")
    assert (tmp_path / "later.csv").read_bytes() == csv(PERMITTED[1:])
    assert fetched.digest == published["digest"]


@pytest.mark.story(
    "F6", "A selection that was altered in the owner's store is refused by its chunk", refused="disagrees"
)
def test_an_altered_chunk_is_refused(study: Study, tmp_path: Path) -> None:
    if os.environ.get("PEDIGREE_NETWORK"):
        pytest.skip("the gateway's files are in its container")
    published = study.hospital.publish_selection(study.dataset, 1, "permitted")
    name = published["blob"]
    (blob,) = study.consortium.data("hospital").rglob(f"blobs/{name[:2]}/{name}")
    content = bytearray(blob.read_bytes())
    assert b"p2998" not in content
    content[80 + 65_536 + 16 + 5] ^= 1
    blob.write_bytes(content)
    with pytest.raises(Disagreement, match="chunk 1 is not what was sealed there"):
        study.fetched(study.grant(), tmp_path / "copy.csv", bundle=tmp_path / "copy.bundle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.story(
    "F6", "A file with other records than the selection's is not published", refused="not-the-committed-records"
)
@pytest.mark.story("F6", "A selection that was not published is not given out", refused="not-published")
def test_only_the_records_of_a_selection_are_published(study: Study) -> None:
    for rows, said in ((ROWS, "1000 outside"), (PERMITTED[1:], "1 removed")):
        with pytest.raises(PedigreeError) as refused:
            study.hospital.publish_selection(study.dataset, 1, "permitted", csv(rows))
        assert refused.value.code == "not-the-committed-records"
        assert said in refused.value.detail
    study.hospital.publish_dataset(study.dataset, 1, csv(ROWS))
    answer = study.asked(study.attempted(study.grant())["attempt"])
    assert (answer["code"], "ask HospitalMSP for it" in answer["detail"]) == ("not-published", True)
    published = study.hospital.publish_selection(study.dataset, 1, "permitted", csv(PERMITTED))
    assert study.asked(study.attempted(study.grant())["attempt"])["blob"] == published["blob"]


@pytest.mark.story("F6", "A fetch of a selection that is killed goes on under its attempt, and costs one use")
def test_a_fetch_that_is_killed_goes_on(study: Study, tmp_path: Path) -> None:
    study.hospital.publish_selection(study.dataset, 1, "permitted")
    grant, out = study.grant(uses=1), tmp_path / "copy.csv"
    keys = {"PEDIGREE_URL": study.consortium.url("lab"), "PEDIGREE_KEY": study.consortium.key("lab")}
    environment = {**os.environ, **keys}
    with tapped(int(study.url.rpartition(":")[2])) as tap:
        words = ["access", "fetch", grant, "--from", tap.url, "--out", str(out), "--json"]
        tap.hold_after(100_000)
        with subprocess.Popen([command("pedigree"), *words], env=environment) as program:
            tap.wait_until_held()
            program.kill()
        assert not out.exists()
        tap.cut()
        tap.release()
        fetched = run(*words, **environment)
    assert out.read_bytes() == csv(PERMITTED)
    assert list(tmp_path.iterdir()) == [out]
    (attempt,) = [item["record"] for item in study.lab.access_attempts(grant=grant)["items"]]
    assert (attempt["attempt"], attempt["decision"], attempt["slot"]) == (fetched["attempt"], "allowed", 1)
    (entry,) = [each for each in study.hospital.deliveries()["items"] if each["attempt"] == attempt["attempt"]]
    assert (entry["outcome"], entry["given"]) == ("complete", [{"start": 0, "stop": entry["sealed_size"]}])


@pytest.mark.story(
    "F6", "Small reads of a selection have its records alone, and end with the consent", refused="read-denied"
)
def test_small_reads_have_its_records_alone(study: Study) -> None:
    study.hospital.publish_selection(study.dataset, 1, "permitted")
    content, grant = csv(PERMITTED), study.grant(batched=True)
    with study.as_("lab").open_reading(grant, study.url) as reading:
        assert reading.size == len(content)
        assert reading.read(70_000, 500) == content[70_000:70_500]
        assert reading.read() == content
        with pytest.raises(PedigreeError, match="bytes"):
            reading.read(len(content), 1)
        offer = study.asked(study.attempted(grant)["attempt"])
        asked = {"Range": f"bytes={offer['sealed_size']}-"}
        beyond = httpx.get(f"{study.url}/v1/data/{offer['delivery']}", headers=asked)
        assert (beyond.status_code, beyond.json()["code"]) == (416, "range-not-satisfiable")
        study.as_("hospital").withdraw_consent(study.dataset, "s2")
        with pytest.raises(PedigreeError) as refused:
            reading.read(0, 10)
        assert (refused.value.code, "kept as denied: consent" in refused.value.detail) == ("read-denied", True)
    kept: Any = study.as_("hospital").access_reads(grant=grant)["items"]
    assert {each["read"]["artifact"] for each in kept} == {study.selection}
    assert [each["read"]["reason"] for each in kept if each["read"]["decision"] == "denied"] == ["consent"]


@pytest.mark.story("F6", "A selection is published, fetched and verified on the command line")
def test_on_the_command_line(study: Study, tmp_path: Path) -> None:
    def keys(organisation: str) -> dict[str, str]:
        study.as_(organisation)
        consortium = study.consortium
        return {"PEDIGREE_URL": consortium.url(organisation), "PEDIGREE_KEY": consortium.key(organisation)}

    published = run("selection", "publish", study.dataset, "1", "permitted", "--json", **keys("hospital"))
    out, bundle, own = (tmp_path / name for name in ("copy.csv", "copy.bundle", "own.bundle"))
    words = ["--from", study.url, "--out", str(out), "--bundle", str(bundle), "--json"]
    fetched = run("access", "fetch", study.grant(), *words, **keys("lab"))
    assert (fetched["artifact"], fetched["digest"]) == (study.selection, published["digest"])
    saved = run("selection", "bundle", study.dataset, "1", "permitted", "-o", str(own), "--json", **keys("hospital"))
    assert (saved["bytes"], own.read_bytes()) == (bundle.stat().st_size, bundle.read_bytes())
    report = run("dataset", "verify", str(out), "--bundle", str(bundle), "--json", **keys("regulator"))
    assert (report["verified"], report["selection"]) == (True, study.selection)
    out.write_bytes(csv(PERMITTED[1:]))
    differing = CliRunner().invoke(main, ["dataset", "verify", str(out), "--bundle", str(own)], env=keys("regulator"))
    assert differing.exit_code == 1
    assert f"beside {study.selection}, root {published['root']}" in differing.output
    assert "p1" in differing.output


def run(*words: str, **environment: str) -> Any:
    result = CliRunner().invoke(main, list(words), env=environment)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)

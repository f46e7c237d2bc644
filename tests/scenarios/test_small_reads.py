# SPDX-License-Identifier: Apache-2.0
"""Many small reads under one attempt: decided by the owner's gateway, kept, and committed to by lists."""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli.program import main as pedigree_command
from gateway.demo.consortium import Consortium
from gateway.demo.story import ORIGIN
from pedigree import InvalidInput, Pedigree, PedigreeError
from pedigree.exits import Exit

_names = itertools.count(1)
CONTENT = b"id,age\n" + b"".join(b"p%d,%d\n" % (number, number % 90) for number in range(20_000))
DAY = 86_400_000
PARTS = ((0, 100), (70_000, 50), (len(CONTENT) - 10, 10))


class Room:
    """Data of the hospital's that is published, and a batched grant of it to the lab."""

    def __init__(self, clients: dict[str, Pedigree], consortium: Consortium) -> None:
        self.clients = clients
        self.consortium = consortium
        self.url = consortium.url("hospital")
        self.dataset = f"small-reads-{next(_names)}"
        self.version = f"dataset-version:{self.dataset}:1"
        self.grant = f"{self.dataset}-grant"
        hospital = clients["hospital"]
        hospital.register_dataset(
            self.dataset, title="Ages", licence="CC-BY-4.0", origin=ORIGIN, sensitivity="special-category",
            basis="public-task",
        )  # fmt: skip
        hospital.commit_records(self.dataset, CONTENT, id_field="id")
        hospital.publish_dataset(self.dataset, 1, CONTENT)
        self.give(self.grant)

    def as_(self, organisation: str) -> Pedigree:
        client = self.clients[organisation]
        client.at_least(max(other.height for other in self.clients.values()))
        return client

    def give(self, name: str, **changes: Any) -> Any:
        terms: dict[str, Any] = {
            "grantee": "LabMSP", "artifact": self.version, "purpose": "research", "actions": ["download"],
            "expires": int(time.time() * 1_000) + DAY, "batched": True,
        }  # fmt: skip
        return self.as_("hospital").grant_access(name, **{**terms, **changes})

    def read(self) -> list[bytes]:
        """What the lab reads, in three parts, under one attempt."""
        with self.as_("lab").open_reading(self.grant, self.url) as reading:
            return [reading.read(start, length) for start, length in PARTS]

    def kept(self) -> list[Any]:
        """What the hospital's gateway keeps of this grant, once all of it is anchored, the first read first."""
        deadline = time.monotonic() + 60
        while True:
            items: list[Any] = [*reversed(self.as_("hospital").access_reads(grant=self.grant)["items"])]
            if all(each["state"] != "waiting" for each in items) or time.monotonic() > deadline:
                return items
            time.sleep(0.2)

    def audited(self) -> list[Any]:
        """What the regulator finds of this grant, with its own ledger."""
        self.clients["regulator"].at_least(self.as_("hospital").ledger()["height"])
        found = list(self.as_("regulator").audit_reads("HospitalMSP", self.url))
        return [each for each in found if each.read is None or each.read["grant"] == self.grant]

    def pedigree(self, organisation: str, *words: str) -> Result:
        self.as_(organisation)
        environment = {
            "PEDIGREE_URL": self.consortium.url(organisation), "PEDIGREE_KEY": self.consortium.key(organisation),
        }  # fmt: skip
        return CliRunner().invoke(pedigree_command, ["access", *words], env=environment)


@pytest.fixture
def room(clients: dict[str, Pedigree], consortium: Consortium) -> Room:
    return Room(clients, consortium)


def refused(code: str, action: Callable[[], object]) -> PedigreeError:
    with pytest.raises(PedigreeError) as refusal:
        action()
    assert refusal.value.code == code
    return refusal.value


@pytest.mark.story("F6", "Many small reads take one attempt, and are listed beside attempts with proofs of their lists")
@pytest.mark.story("F6", "A read after the grant was revoked is denied, and is in the list", refused="read-denied")
def test_small_reads_are_listed_beside_attempts(room: Room) -> None:
    assert room.read() == [CONTENT[start : start + length] for start, length in PARTS]
    with room.as_("lab").open_reading(room.grant, room.url) as reading:
        room.as_("hospital").revoke_access(room.grant, reason="the study is over")
        refusal = refused("read-denied", lambda: reading.read(0, 10))
        assert "kept as denied: revoked" in refusal.detail
    attempts = room.as_("regulator").access_attempts(grant=room.grant)["items"]
    assert [each["record"]["decision"] for each in attempts] == ["allowed", "allowed"]
    kept = room.kept()
    assert {each["state"] for each in kept} == {"anchored"}
    assert [each["read"].get("reason", each["read"]["decision"]) for each in kept][-1] == "revoked"
    found = room.audited()
    assert [each.problem for each in found] == [None] * len(found)
    assert [each.read for each in found] == [each["read"] for each in kept]
    assert {each.read["attempt"] for each in found} == {each["record"]["attempt"] for each in attempts}
    batches = room.as_("regulator").access_batches(owner="HospitalMSP", limit=100)["items"]
    assert len(batches) < len(kept) + len(batches), "reads have a transaction each"
    printed = room.pedigree(
        "regulator", "attempts", "--grant", room.grant, "--owner", "HospitalMSP", "--from", room.url, "--json"
    )
    assert printed.exit_code == 0, printed.output
    rows = json.loads(printed.output)["items"]
    assert sum(row["form"].startswith("transaction ") for row in rows) == 2
    assert [row["proof"] for row in rows if row["form"].startswith("list ")] == ["verified"] * len(kept)
    assert [row["reason"] for row in rows if row["decision"] == "denied"] == ["revoked"]
    together = list(room.as_("hospital").iterate_accesses(grant=room.grant))
    assert [each["form"] for each in together].count("attempt") == 2
    assert [each["read"]["leaf"] for each in together if each["form"] == "read"] == [each["leaf"] for each in kept]
    assert [each["at"] for each in together] == sorted(each["at"] for each in together)
    (denied,) = room.as_("hospital").accesses(grant=room.grant, access_decision="denied")["items"]
    assert (denied["form"], denied["reason"], denied["read"]["state"]) == ("read", "revoked", "anchored")
    own = json.loads(room.pedigree("hospital", "attempts", "--grant", room.grant, "--json").output)["items"]
    assert [(row["at"], row["decision"]) for row in own] == [(row["at"], row["decision"]) for row in rows]


@pytest.mark.story("F6", "What the owner alters in its list of reads is found out by others", refused="disagrees")
def test_an_altered_list_is_found_out(room: Room) -> None:
    if os.environ.get("PEDIGREE_NETWORK"):
        pytest.skip("the gateway's files are in its container")
    room.read()
    kept = room.kept()
    assert [each.problem for each in room.audited()] == [None] * len(kept)
    with closing(sqlite3.connect(room.consortium.data("hospital") / "sealed.db", timeout=30)) as database:
        where = "WHERE key = (SELECT max(key) FROM access_read WHERE grant_name = ?)"
        (leaf,) = database.execute(f"SELECT leaf FROM access_read {where}", (room.grant,)).fetchone()
        changed = bytes(leaf).replace(b'"by":"LabMSP"', b'"by":"RegulatorMSP"')
        assert changed != leaf
        database.execute(f"UPDATE access_read SET leaf = ? {where}", (changed, room.grant))
        database.commit()
        try:
            assert room.kept()[-1]["state"] == "altered"
            assert any("is not in list" in (each.problem or "") for each in room.audited())
            words = ("--grant", room.grant, "--owner", "HospitalMSP", "--from", room.url)
            printed = room.pedigree("regulator", "attempts", *words)
            assert printed.exit_code == Exit.DISAGREES
            assert "not what the ledger has" in printed.output
            database.execute(f"DELETE FROM access_read {where}", (room.grant,))
            database.commit()
            assert any("missing" in (each.problem or "") for each in room.audited())
        finally:
            row = (room.grant, leaf, kept[-1]["batch"], kept[-1]["index"])
            database.execute("DELETE FROM access_read WHERE batch = ? AND place = ?", row[2:])
            database.execute("INSERT INTO access_read (grant_name, leaf, batch, place) VALUES (?, ?, ?, ?)", row)
            database.commit()
    assert [each.problem for each in room.audited()] == [None] * len(kept)


@pytest.mark.story("F6", "A batched grant does not count uses", refused="invalid-field")
def test_counted_uses_have_a_transaction_each(room: Room) -> None:
    refusal = refused("invalid-field", lambda: room.give(f"{room.grant}-2", uses=3))
    assert refusal.facts["pointer"] == "/batched"
    refused("invalid-field", lambda: room.give(f"{room.grant}-2", actions=["process"]))
    room.give(f"{room.grant}-2", batched=None)
    with pytest.raises(InvalidInput, match="is not batched"):
        room.as_("lab").open_reading(f"{room.grant}-2", room.url)


@pytest.mark.story("F6", "Only members see a list of reads", refused="fetch-statement-invalid")
def test_a_stranger_sees_no_list(room: Room) -> None:
    import httpx

    room.read()
    number = room.kept()[0]["batch"]
    envelope: Any = dict(room.as_("regulator").sign_read_list("HospitalMSP", number))
    signed = envelope["signatures"][0]
    for changes in ({"organisation": "StrangerMSP"}, {"organisation": "LabMSP"}, {"sig": "AAAA"}):
        forged = {**envelope, "signatures": [{**signed, **changes}]}
        answer = httpx.post(f"{room.url}/v1/data/reads", json=forged)
        assert answer.json()["code"] == "fetch-statement-invalid"
    assert httpx.post(f"{room.url}/v1/data/reads", json=envelope).json()["number"] == number
    assert httpx.post(f"{room.url}/v1/data/reads", json=envelope).json()["code"] == "fetch-statement-repeated"

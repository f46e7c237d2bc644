# SPDX-License-Identifier: Apache-2.0
"""Attempts that a member dates, holds back or fetches late, past its own gateway: none of it gains anything."""

from __future__ import annotations

import base64
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from chaincode.domain import canonical
from gateway.demo.consortium import Consortium
from gateway.demo.founding import ORIGIN
from gateway.fabric import FabricError, Gateway, Identity, Signer, Trust, connect
from gateway.fabric.contract import Contract
from pedigree import NotFound, Pedigree
from pedigree.sealing.fetching import public_bytes

CONTENT = b"id,age\n" + b"".join(b"p%d,%d\n" % (number, number % 90) for number in range(50))
HOUR = 3_600_000
SKEW = 120
_names = itertools.count(1)


@contextmanager
def member(network: dict[str, Any], name: str, offset: float) -> Iterator[Contract]:
    """The contract as a member's own program reaches it, without its gateway, whose clock is `offset` seconds off."""
    own = next(one for one in network["organisations"] if one["name"] == name)
    folders = {one["mspid"]: one["msp"] for one in [*network["organisations"], network["orderer"]]}
    client = Path(own["tls_client"]) if "tls_client" in own else None  # peers in containers ask for a certificate
    connection = connect(
        own["peer"],
        tls_root=Path(own["tls_ca"]).read_bytes(),
        server_name=f"peer0.{own['domain']}",
        client_certificate=None if client is None else (client / "client.crt").read_bytes(),
        client_key=None if client is None else (client / "client.key").read_bytes(),
    )
    try:
        gateway = Gateway(
            connection,
            Identity.from_msp_folder(own["mspid"], own["user_msp"]),
            Signer.from_msp_folder(own["user_msp"]),
            trust=Trust.from_msp_folders(folders, bytes.fromhex(network["genesis_hash"])),
            clock=lambda: time.time_ns() + int(offset * 1e9),
        )
        yield gateway.network(network["channel"]).contract("pedigree")
    finally:
        connection.close()


class Late:
    """The hospital's data, a grant of it to the lab, and attempts of the lab's that no gateway made."""

    def __init__(self, clients: dict[str, Pedigree], consortium: Consortium) -> None:
        self.hospital, self.lab = clients["hospital"], clients["lab"]
        self.consortium = consortium
        self.dataset = f"late-{next(_names)}"
        self.grant = f"{self.dataset}-grant"
        self.hospital.register_dataset(
            self.dataset, title="Ages", licence="CC-BY-4.0", origin=ORIGIN, sensitivity="internal",
            basis="public-task",
        )  # fmt: skip
        self.hospital.commit_records(self.dataset, CONTENT, id_field="id")
        now = time.time_ns() // 1_000_000
        given = self.hospital.grant_access(
            self.grant, grantee="LabMSP", artifact=f"dataset-version:{self.dataset}:1", purpose="research",
            actions=["download"], not_before=now - (SKEW - 2) * 1_000, expires=now + HOUR,
        )  # fmt: skip
        self.purpose = given.record["purpose"]
        self.seen(given.height)

    def seen(self, height: int) -> None:
        for client in (self.hospital, self.lab):
            client.at_least(height)
            client.access_grant(self.grant)

    def endorsed(self, contract: Contract) -> Any:
        """An attempt of the lab's that its peers have endorsed, and that is not ordered yet."""
        asked = {
            "kind": "attempt-access", "schema": 1, "grant": self.grant, "action": "download", "purpose": self.purpose,
            "artifact": f"dataset-version:{self.dataset}:1",
        }  # fmt: skip
        return contract.new_proposal("access:attempt", (canonical.encode(asked),)).endorse()

    def attempts(self) -> list[Any]:
        return [item["record"] for item in self.lab.access_attempts(grant=self.grant)["items"]]

    def asked_for(self, attempt: str) -> Any:
        """What the hospital's gateway answers to a statement about an attempt."""
        public = base64.b64encode(public_bytes(ec.generate_private_key(ec.SECP256R1()))).decode()
        statement = self.lab.sign_fetch(attempt, recipient_key=public)
        return httpx.post(f"{self.consortium.url('hospital')}/v1/data", json=statement).json()


@pytest.fixture
def late(clients: dict[str, Pedigree], consortium: Consortium) -> Late:
    return Late(clients, consortium)


@pytest.mark.parametrize("offset", [-SKEW - 30, SKEW + 30], ids=["back", "ahead"])
@pytest.mark.story(
    "F6", "An attempt that is dated back or ahead, beyond the skew, is endorsed by nobody", refused="clock-skew"
)
def test_an_attempt_dated_beyond_the_skew_is_endorsed_by_nobody(late: Late, offset: float) -> None:
    with member(late.consortium.network(), "lab", offset) as contract, pytest.raises(FabricError) as refused:
        late.endorsed(contract)
    assert "clock" in str(refused.value) or "timestamp" in str(refused.value)
    assert late.attempts() == []


@pytest.mark.story("F6", "An endorsement of an attempt, held back past the revocation, is invalid", refused="revoked")
def test_an_endorsement_held_past_the_revocation_is_invalid(late: Late) -> None:
    with member(late.consortium.network(), "lab", 0) as contract:
        held, used = late.endorsed(contract), late.endorsed(contract)
        assert used.submit().status().successful
        revoked = late.hospital.revoke_access(late.grant, reason="the study is over")
        status = held.submit().status()
    assert status.code_name == "MVCC_READ_CONFLICT"
    late.lab.at_least(max(revoked.height, status.block_number + 1))
    late.hospital.at_least(late.lab.height)
    assert [attempt["attempt"] for attempt in late.attempts()] == [used.transaction_id]
    denied = late.lab.attempt_access(
        late.grant, artifact=f"dataset-version:{late.dataset}:1", action="download", purpose="research"
    )
    assert denied.record["reason"] == "revoked"
    public = base64.b64encode(public_bytes(ec.generate_private_key(ec.SECP256R1()))).decode()
    with pytest.raises(NotFound):
        late.lab.sign_fetch(held.transaction_id, recipient_key=public)


@pytest.mark.story("F6", "An attempt from more than 120 seconds ago is not fetched", refused="attempt-stale")
def test_a_stale_fetch_is_refused(late: Late) -> None:
    """Dated back within the skew, and so endorsed; and held for as long as it takes to be stale."""
    late.hospital.publish_dataset(late.dataset, 1, CONTENT)
    back = SKEW - 12
    with member(late.consortium.network(), "lab", -back) as contract:
        transaction = late.endorsed(contract)
        began = time.monotonic()
        time.sleep(SKEW - back + 3)
        status = transaction.submit().status()
    assert status.successful
    assert time.monotonic() - began > SKEW - back
    for client in (late.lab, late.hospital):
        client.at_least(status.block_number + 1)
        assert client.access_attempt(transaction.transaction_id)["record"]["decision"] == "allowed"
    refused = late.asked_for(transaction.transaction_id)
    assert refused["code"] == "attempt-stale"
    assert "is fetched within 120" in refused["detail"]
    log: Any = late.hospital.deliveries()["items"][0]
    assert (log["attempt"], log["outcome"], log["sent"]) == (transaction.transaction_id, "attempt-stale", 0)

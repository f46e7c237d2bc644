# SPDX-License-Identifier: Apache-2.0
"""A gateway that seals the records of a former version is killed while it does: nothing is lost, nothing stays open."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from keptrecords import unseal

from gateway.demo.consortium import Consortium
from gateway.demo.founding import ORIGIN
from gateway.sealing.datakeys import KeyEncryptionKeys
from gateway.stores.database import Database

if TYPE_CHECKING:
    from reliability.conftest import LoneGateway

pytestmark = [pytest.mark.timeout(240)]

RECORDS = b"id,text\n" + b"".join(b"sealed-%d,IN-THE-OPEN-%d\n" % (number, number) for number in range(150_000))
KILLS = 6


def in_the_open(gateway: LoneGateway) -> bool:
    return any(b"IN-THE-OPEN-" in path.read_bytes() for path in gateway.data.glob("records.db*"))


def test_a_gateway_that_is_killed_while_it_seals_goes_on(
    consortium: Consortium, new_gateway: Callable[..., LoneGateway], prefix: str
) -> None:
    gateway, dataset = new_gateway(consortium, "hospital").start(), f"{prefix}-sealed"
    with gateway.client() as client:
        client.register_dataset(
            dataset, title="T", licence="CC-BY-4.0", origin=ORIGIN, sensitivity="internal", basis="public-task"
        )
        client.commit_records(dataset, RECORDS, id_field="id")
    gateway.terminate(within=30)
    assert not in_the_open(gateway)
    keys = KeyEncryptionKeys.parse((gateway.data / "key-encryption-key").read_text(encoding="ascii").strip())
    with closing(Database.open(gateway.data / "records.db", "records", durable=True)) as database:
        unseal(database, keys)
        database.empty_log()
    assert in_the_open(gateway)

    program = gateway.program
    assert program is not None
    for kill in range(KILLS):
        program.start()
        time.sleep(0.6 + 0.3 * kill)
        gateway.kill()
    gateway.start()
    with gateway.client() as client:
        assert client.verify_dataset(dataset, 1)["verified"]
        evidence = client.record_proof(dataset, 1, "sealed-77777")
        root = client.dataset_version(dataset, 1)["record"]["root"]
        assert client.verify_record(evidence, root=root).verified
    gateway.terminate(within=30)
    assert not in_the_open(gateway)

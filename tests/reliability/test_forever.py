# SPDX-License-Identifier: Apache-2.0
"""An upload whose gateway has lost what it knew of requests: the same key is answered with the first version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pedigree import NotFound

if TYPE_CHECKING:
    from reliability.conftest import LoneGateway

pytestmark = [pytest.mark.timeout(180)]

ORIGIN = {"source": "registry", "method": "export", "geography": ["DE"]}


def test_an_upload_is_one_version_under_its_key_whatever_the_gateway_forgot(lone: LoneGateway, prefix: str) -> None:
    lone.start()
    dataset, rows = f"{prefix}-visits", "".join(["id,value\n", *(f"r{n},{n}\n" for n in range(50))]).encode()
    with lone.client() as client:
        client.register_dataset(dataset, title="Visits", licence="CC-BY-4.0", origin=ORIGIN, sensitivity="internal")
        first = client.commit_records(dataset, rows, id_field="id", idempotency_key=f"upload-{prefix}")
        known = client.find_operation(f"upload-{prefix}")
        assert known["result"]["transaction"]["id"] == first.transaction_id
    lone.kill()
    lone.lose("submissions")
    lone.lose("readmodel")
    lone.start()
    with lone.client() as client:
        found = client.find_operation(f"upload-{prefix}")
        assert (found["state"], found["result"]["transaction"]["id"]) == ("succeeded", first.transaction_id)
        with pytest.raises(NotFound):
            client.find_operation(f"never-{prefix}")
        for _ in range(2):
            again = client.commit_records(dataset, rows, id_field="id", idempotency_key=f"upload-{prefix}")
            assert (again.transaction_id, again.record) == (first.transaction_id, first.record)
        assert client.find_operation(f"upload-{prefix}")["result"]["transaction"]["id"] == first.transaction_id

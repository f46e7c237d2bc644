# SPDX-License-Identifier: Apache-2.0
"""Versions whose number nobody chose: the next one, whoever else takes one, and never a refusal for it."""

import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chaincode.domain.errors import AlreadyExists, VersionOutOfOrder
from gateway.services.ports import LedgerWrite

CSV = b"id,x\na,1\nb,2\nc,3\n"
UPLOAD = "/v1/datasets/stock/versions?id_field=id"
VERSION = {"root": "0" * 64, "size": 3}
MODEL = {
    "licence": "MIT", "digest": "0" * 64, "files": [{"path": "w", "digest": "0" * 64, "size": 1}],
}  # fmt: skip


class Law:
    """A ledger that takes each version once and in order, and on which others commit meanwhile."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self._write = api.ledger.writes
        self.numbers: set[int] = set()
        self.meanwhile: list[Callable[[], None]] = []
        api.ledger.writes = self

    def __call__(self, function: str, command: Any) -> Any:
        number = command["number"]
        if self.meanwhile:
            self.meanwhile.pop()()
        if number in self.numbers:
            raise AlreadyExists(f"version {number}")
        if number > 1 and number - 1 not in self.numbers:
            raise VersionOutOfOrder("dataset:stock", number, number - 1)
        self.numbers.add(number)
        return self._write(function, command)

    def take(self, **version: Any) -> Callable[[], None]:
        """Another gateway of this organisation commits this version first."""

        def commit() -> None:
            number = max(self.numbers, default=0) + 1
            self.numbers.add(number)
            kind = "dataset-version" if "dataset" in version else "model-version"
            record = {"kind": kind, "number": number, **version}
            write = LedgerWrite(f"{kind}/elsewhere/{number}", record)
            self._api.ledger.append(f"{number:064x}", {"record": record, "event": {}}, [write])

        return commit


@pytest.fixture
def law(api: Any) -> Law:
    return Law(api)


def intact(api: Any, number: int) -> bool:
    return bool(api.post(f"/v1/datasets/stock/versions/{number}/verify", key=None).json["verified"])


def test_clients_that_commit_the_unchanged_file_at_once_get_a_version_each(api: Any, law: Law) -> None:
    first = api.post(UPLOAD, CSV, Content_Type="text/csv").json["record"]

    def commit(number: int) -> Any:
        headers = api.headers("operator", Idempotency_Key=f"at-once-{number}", Content_Type="text/csv")
        return api.service.api.test_client().post(UPLOAD, data=CSV, headers=headers)

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(commit, range(6)))
    assert [response.status_code for response in found] == [201] * 6, [response.json for response in found]
    assert sorted(response.json["record"]["number"] for response in found) == [2, 3, 4, 5, 6, 7]
    assert {response.json["record"]["root"] for response in found} == {first["root"]}
    assert all(intact(api, number) for number in range(1, 8))
    assert api.get("/v1/datasets/stock/versions/5/proof?id=b", role="recorder").status_code == 200


def test_a_file_whose_number_another_took_comes_after_it(api: Any, law: Law) -> None:
    api.post(UPLOAD, CSV, Content_Type="text/csv")
    law.meanwhile = [law.take(dataset="stock", root="1" * 64, size=9)]
    longer = api.post(UPLOAD, CSV + b"d,4\n", Content_Type="text/csv").json["record"]
    assert (longer["number"], longer["change"], longer["parent_root"]) == (3, "replaces", "1" * 64)
    assert longer["consistency"] == []
    assert intact(api, 3)


def test_a_file_extends_the_version_that_took_its_number_where_it_can(api: Any, law: Law) -> None:
    shorter = api.post(UPLOAD, CSV, Content_Type="text/csv").json["record"]
    api.post(UPLOAD, b"id,x\nz,9\n", Content_Type="text/csv")
    law.meanwhile = [law.take(dataset="stock", root=shorter["root"], size=3, header=shorter["header"])]
    longer = api.post(UPLOAD, CSV + b"d,4\n", Content_Type="text/csv").json["record"]
    assert (longer["number"], longer["change"], longer["parent_root"]) == (4, "extends", shorter["root"])
    assert longer["consistency"]
    assert intact(api, 4)
    assert intact(api, 1)


def test_bodies_without_a_number_take_the_next_one(api: Any, law: Law) -> None:
    path = "/v1/datasets/stock/versions"
    assert api.post(path, VERSION).json["record"]["number"] == 1
    second = api.post(path, {**VERSION, "root": "2" * 64}).json["record"]
    assert (second["number"], second["parent_root"], second["change"]) == (2, "0" * 64, "replaces")
    law.meanwhile = [law.take(dataset="stock", root="3" * 64, size=9)]
    fourth = api.post(path, {**VERSION, "root": "4" * 64}).json["record"]
    assert (fourth["number"], fourth["parent_root"]) == (4, "3" * 64)
    chosen = api.post(path, {**VERSION, "number": 4})
    assert (chosen.status_code, chosen.json["code"]) == (409, "already-exists")


def test_a_model_version_without_a_number_takes_the_next_one(api: Any, law: Law) -> None:
    path = "/v1/models/net/versions"
    assert api.post(path, MODEL).json["record"]["number"] == 1
    law.meanwhile = [law.take(model="net")]
    assert api.post(path, MODEL, key="k").json["record"]["number"] == 3
    assert api.post(path, MODEL, key="k").json["record"]["number"] == 3
    assert api.post(path, {**MODEL, "number": 3}).json["code"] == "already-exists"
    assert api.post(path, {"licence": "MIT"}).json["facts"]["pointers"] == ["/digest", "/files"]


def test_a_peer_that_is_behind_is_no_reason_to_refuse(api: Any, law: Law) -> None:
    api.post(UPLOAD, CSV, Content_Type="text/csv")
    law.numbers.clear()
    response = api.post(UPLOAD, CSV, Content_Type="text/csv", key="k")
    assert (response.status_code, response.json["code"], response.json["retryable"]) == (503, "behind", True)
    law.numbers.add(1)
    assert api.post(UPLOAD, CSV, Content_Type="text/csv", key="k").json["record"]["number"] == 2


def outcome(api: Any, response: Any) -> Any:
    assert response.status_code == 202, response.json
    deadline = time.monotonic() + 10
    while (found := api.get(response.headers["Location"], role="operator").json)["state"] == "pending":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def test_an_upload_is_read_after_the_request_was_answered(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.services import drafting

    seen: list[Any] = []
    make = drafting.Drafts.draft

    def slowly(self: Any, dataset: str, upload: Any, last: Any, progress: Any) -> Any:
        made = make(self, dataset, upload, last, progress)
        deadline = time.monotonic() + 10
        while not seen:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return made

    monkeypatch.setattr(drafting.Drafts, "draft", slowly)
    response = api.post(UPLOAD, CSV, Content_Type="text/csv", key="k", Prefer="respond-async")
    assert response.status_code == 202
    again = api.post(UPLOAD, CSV, Content_Type="text/csv", key="k", Prefer="respond-async")
    assert (again.status_code, again.headers["Location"]) == (202, response.headers["Location"])
    deadline = time.monotonic() + 10
    while (found := api.get(response.headers["Location"], role="operator").json)["progress"]["records"] < 3:
        assert time.monotonic() < deadline
    assert found["state"] == "pending"
    assert found["progress"] == {"stage": "reading", "bytes": len(CSV), "bytes_read": len(CSV), "records": 3}
    seen.append(found)
    ended = outcome(api, response)
    assert (ended["state"], ended["result"]["record"]["number"]) == ("succeeded", 1)
    assert "progress" not in ended
    assert intact(api, 1)


def test_what_is_wrong_with_an_upload_is_the_outcome_of_its_operation(api: Any) -> None:
    ended = outcome(api, api.post(UPLOAD, CSV + b"a,1\n", Content_Type="text/csv", Prefer="respond-async"))
    assert (ended["state"], ended["status"], ended["result"]["code"]) == ("failed", 422, "record-id-repeated")
    assert ended["result"]["facts"] == {"index": 3, "first": 0}
    assert api.ledger.prepared == 0


def test_an_upload_that_a_restart_interrupted_is_taken_up_when_it_comes_again(api: Any) -> None:
    from dataclasses import replace

    from gateway.services.ports import Category, Submission

    submitter = api.service._submitter
    done = outcome(api, api.post(UPLOAD, CSV, Content_Type="text/csv", key="k", Prefer="respond-async"))
    stored = submitter._submissions.get(done["id"])
    left: Submission = replace(
        stored, id="0" * 32, key="left", state="accepted", command="", ending=None, transaction_id=None
    )
    submitter._submissions.save(left)
    submitter.recover()
    found = submitter.operation("0" * 32, stored.client)
    assert (found.ending.category, found.ending.code) == (Category.UNAVAILABLE, "interrupted")
    again = api.post(UPLOAD, CSV, Content_Type="text/csv", key="left")
    assert (again.status_code, again.json["record"]["number"]) == (201, 2)


def test_a_file_that_is_taken_over_is_read_when_its_owner_has_closed_it(tmp_path: Any) -> None:
    from gateway.services.drafting import Upload

    (tmp_path / "f").write_bytes(CSV)
    for content in ((tmp_path / "f").open("rb"), io.BytesIO(CSV)):
        with content:
            content.read()
            taken = Upload(content, "text/csv", "id").taken_over()
        with taken.content:
            assert [row.id for row in taken.table().rows()] == ["a", "b", "c"]

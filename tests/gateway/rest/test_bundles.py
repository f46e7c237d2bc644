# SPDX-License-Identifier: Apache-2.0
"""Bundles over HTTP: what an owner's gateway writes checks a copy elsewhere, and says what the owner would say."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from keptrecords import alter_block

from gateway.stores.database import Database
from pedigree import verify_copy

ROWS = [b"r%d,%d" % (number, number) for number in range(5_000)]
PATH = "/v1/datasets/wdbc/versions/1"


def csv(rows: list[bytes], header: bytes = b"id,x") -> bytes:
    return b"\n".join([header, *rows])


@pytest.fixture
def bundle(api: Any, tmp_path: Path) -> Path:
    made = api.post("/v1/datasets/wdbc/versions?id_field=id", csv(ROWS), Content_Type="text/csv")
    assert made.status_code == 201
    response = api.get(f"{PATH}/bundle", role="recorder")
    assert (response.status_code, response.mimetype) == (200, "application/vnd.pedigree.bundle")
    assert response.headers["Content-Disposition"] == 'attachment; filename="wdbc-1.pedigree-bundle"'
    (path := tmp_path / "a.bundle").write_bytes(response.data)
    return path


COPIES = [
    csv(ROWS),
    csv(ROWS[::-1]),
    csv([*ROWS[:10], b"r10,11", *ROWS[12:4_500], b"new,1", *ROWS[4_500:]]),
    csv(ROWS, b"id,y"),
    csv([b"other,1"]),
]


@pytest.mark.parametrize("copy", COPIES, ids=("same", "reversed", "altered", "renamed", "another"))
def test_a_bundle_says_of_a_copy_what_its_owner_says(api: Any, bundle: Path, copy: bytes) -> None:
    owner = api.post(f"{PATH}/verify", copy, key=None, Content_Type="text/csv").json
    report: Any = verify_copy(copy, bundle, version=api.get(PATH).json)
    assert report["verified"] is (copy == COPIES[0])
    assert report == {name: owner[name] for name in report}
    assert set(owner) - set(report) == {"transaction", "store_complete", "altered_in_store", "fields"}


def test_records_about_subjects_are_compared_alike(api: Any, tmp_path: Path) -> None:
    made = api.post(
        "/v1/datasets/wdbc/versions?id_field=id&subject_field=x&consent=ConsentGiven&purposes=research",
        csv(ROWS[:50]),
        Content_Type="text/csv",
    )
    assert made.json["record"]["leaf_schema"] == "pedigree-record/v2"
    (bundle := tmp_path / "a.bundle").write_bytes(api.get(f"{PATH}/bundle", role="recorder").data)
    for rows in (ROWS[:50], [*ROWS[:7], b"r7,8", *ROWS[9:50], b"new,1"]):
        owner = api.post(f"{PATH}/verify", csv(rows), key=None, Content_Type="text/csv").json
        report: Any = verify_copy(csv(rows), bundle, version=api.get(PATH).json)
        assert report == {name: owner[name] for name in report}
    assert (report["changed"], report["removed"], report["added"]) == (["r7"], ["r8"], ["new"])


def test_a_bundle_holds_no_content(api: Any, bundle: Path) -> None:
    content = bundle.read_bytes()
    assert b"r4999" in content
    assert not any(row in content for row in ROWS)
    head = json.loads(content[14 : 14 + int.from_bytes(content[10:14])])
    shown = api.get(PATH).json
    assert (head["version"], head["transaction"]) == (shown["record"], shown["transaction"])


def test_only_a_recorder_of_the_owner_has_it(api: Any) -> None:
    api.post("/v1/datasets/wdbc/versions?id_field=id", csv(ROWS[:3]), Content_Type="text/csv")
    assert api.get(f"{PATH}/bundle", role="reader").json["code"] == "role-too-low"
    assert api.get("/v1/datasets/wdbc/versions/2/bundle", role="recorder").json["code"] == "not-found"
    root = {"root": "5f" * 32, "size": 1, "change": "first"}
    assert api.post("/v1/datasets/elsewhere/versions", root).status_code == 201
    refused = api.get("/v1/datasets/elsewhere/versions/1/bundle", role="recorder")
    assert (refused.status_code, refused.json["code"]) == (404, "records-not-held")


def test_a_store_that_was_altered_gives_no_bundle(api: Any, tmp_path: Path) -> None:
    api.post("/v1/datasets/wdbc/versions?id_field=id", csv(ROWS[:3]), Content_Type="text/csv")
    with closing(Database.open(tmp_path / "records.db", "records", durable=False)) as store:
        alter_block(store, "contents", 1)
        refused = api.get(f"{PATH}/bundle", role="recorder")
        assert (refused.status_code, refused.json["code"]) == (404, "records-not-held")
        store.write(lambda c: c.execute("UPDATE record_block SET contents = zeroblob(length(contents))"))
    refused = api.get(f"{PATH}/bundle", role="recorder")
    assert (refused.status_code, refused.json["code"]) == (404, "records-not-held")
    assert "the records 1 to 2 of 'wdbc' is not what was sealed there" in refused.json["detail"]


def test_a_client_that_reads_bundles_slowly_has_its_share_and_no_more(api: Any, bundle: Path) -> None:
    """The share is given back when the answer is closed, read or not, and when nothing was answered at all."""
    keeps = []
    refused = None
    while refused is None and len(keeps) < 100:
        response = api.client.get(f"{PATH}/bundle", headers=api.headers("recorder"), buffered=False)
        if response.status_code != 200:
            refused = response.json["code"]
        else:
            keeps.append(response)
    assert refused in {"too-many-requests", "capacity"}
    assert next(iter(keeps[0].response)).startswith(b"\x89PEDBUN\n")
    for response in keeps:
        response.close()
    for _ in range(len(keeps) + 1):
        assert api.get("/v1/datasets/wdbc/versions/9/bundle", role="recorder").status_code == 404
    assert api.get(f"{PATH}/bundle", role="recorder").data == bundle.read_bytes()

# SPDX-License-Identifier: Apache-2.0
"""A version's bytes are published by their owner: compared with what was committed, sealed, and kept."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from gateway.sealing.streams import Blob
from gateway.services.blobstores import Opened
from gateway.services.publications import Vault

ROWS = [b"r%d,%d" % (number, number) for number in range(500)]
PATH = "/v1/datasets/wdbc/versions"


def csv(rows: list[bytes], header: bytes = b"id,x") -> bytes:
    return b"".join(row + b"\n" for row in (header, *rows))


@pytest.fixture
def committed(api: Any) -> Any:
    answer = api.post(f"{PATH}?id_field=id", csv(ROWS), Content_Type="text/csv")
    assert answer.status_code == 201
    return api


def published(api: Any, content: bytes, number: int = 1, **headers: str) -> Any:
    return api.post(f"{PATH}/{number}/content", content, key=None, Content_Type="text/csv", **headers)


def opened(vault: Vault, root: str, artifact: str = "dataset-version:wdbc:1") -> bytes:
    publication = vault.publications.of(artifact, root)
    assert publication is not None
    return b"".join(Blob(vault.key_of(publication), Opened(vault.blobs, publication.name)).read())


def test_the_bytes_of_a_version_are_sealed_and_open_again(committed: Any, vault: Vault, tmp_path: Path) -> None:
    content = csv(ROWS)
    answer = published(committed, content)
    assert answer.status_code == 200
    said = answer.json
    root = committed.get(f"{PATH}/1").json["record"]["root"]
    assert (said["dataset"], said["number"], said["root"], said["size"]) == ("wdbc", 1, root, len(content))
    assert said["digest"] == hashlib.sha256(content).hexdigest()
    assert opened(vault, root) == content
    stored = (tmp_path / "blobs" / said["blob"][:2] / said["blob"]).read_bytes()
    assert len(stored) == said["sealed_size"]
    assert b"r499" not in stored
    # The same records in other bytes are the version as well.
    again = b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n")
    assert published(committed, again).json["digest"] == hashlib.sha256(again).hexdigest()
    assert opened(vault, root) == again
    assert len(list(vault.blobs.list())) == 2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (csv([*ROWS[:7], b"r7,8", *ROWS[9:], b"new,1"]), "1 changed, 1 added, 1 removed"),
        (csv(ROWS[::-1]), "500 moved"),
        (csv(ROWS, b"id,y"), "column 2 is 'y' where the version has 'x'"),
        (csv(ROWS[:-1]), "1 removed"),
    ],
)
def test_another_file_is_refused_and_nothing_is_kept(committed: Any, vault: Vault, content: bytes, why: str) -> None:
    refused = published(committed, content)
    assert (refused.status_code, refused.json["code"]) == (422, "not-the-committed-records")
    assert why.split(",")[0] in refused.json["detail"]
    assert list(vault.blobs.list()) == []
    assert list(vault.publications.all()) == []


def test_who_may_publish_and_what(committed: Any) -> None:
    assert published(committed, csv(ROWS), role="reader").json["code"] == "role-too-low"
    assert published(committed, csv(ROWS), 2).json["code"] == "not-found"
    assert committed.post("/v1/datasets/elsewhere/versions", {"root": "5f" * 32, "size": 1, "change": "first"}).json
    elsewhere = committed.post(
        "/v1/datasets/elsewhere/versions/1/content", csv(ROWS), key=None, Content_Type="text/csv"
    )
    assert (elsewhere.status_code, elsewhere.json["code"]) == (404, "records-not-held")
    assert committed.post(f"{PATH}/1/content", {}, key=None).json["code"] == "unsupported-media-type"
    assert published(committed, b'id,x\nr1,"1\n').json["code"] == "unreadable-records"

# SPDX-License-Identifier: Apache-2.0
"""Selections are published by their owner and checked by bundles: their own records, and nothing of any other."""

import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import recordkeys
from keptrecords import alter_block, record_store

from gateway.sealing.streams import Blob
from gateway.services.blobstores import Opened
from gateway.services.ports import Json, LedgerWrite
from gateway.services.publications import Vault
from gateway.stores.database import Database
from gateway.stores.records import RecordStore
from pedigree import InvalidBundle, InvalidInput, verify_copy

ROWS = [b'r%d,"a, %d"' % (number, number) for number in range(6_000)]
HEADER = b'id,"x,y"'
PATH = "/v1/datasets/visits/versions/1"
CHOSEN = [*range(3), *range(250, 260), 4_000, 5_999]
SELECTED = [ROWS[position] for position in CHOSEN]


def csv(rows: list[bytes], header: bytes = HEADER) -> bytes:
    return b"".join(row + b"\n" for row in (header, *rows))


@pytest.fixture
def choose(api: Any) -> Callable[..., Any]:
    """Commits to a version, over a ledger that writes what the law would, and to selections from it."""
    before = api.ledger.writes

    def writes(function: str, command: Json) -> list[LedgerWrite]:
        if function != "selection:commit":
            (write,) = before(function, command)
            said = {"committed_at": 1, "licence": "MIT", "change": "first", "leaf_schema": "pedigree-record/v1"}
            return [LedgerWrite(write.key, {**said, **(write.value or {})})]
        _, dataset, number = command["version"].split(":")
        place = {"dataset": dataset, "number": int(number), "kind": "selection", "owner": "LabMSP", "committed_at": 1}
        said = {name: each for name, each in command.items() if name != "version"}
        return [recordkeys.written({**said, **place})]

    api.ledger.writes = writes

    def commit(content: bytes, query: str = "id_field=id", media_type: str = "text/csv", **parts: list[str]) -> Any:
        made = api.post(f"/v1/datasets/visits/versions?{query}", content, Content_Type=media_type)
        assert made.status_code == 201, made.json
        for name, ids in parts.items():
            said = "".join(f"{each}\n" for each in ids).encode()
            made = api.post(f"{PATH}/selections?selection={name}", said, Content_Type="text/plain")
            assert made.status_code == 201, made.json
        return api

    return commit


@pytest.fixture
def held(choose: Callable[..., Any]) -> Any:
    """A gateway that holds a version, and two selections from it."""
    return choose(csv(ROWS), some=[f"r{position}" for position in CHOSEN], other=["r3"])


def publish(api: Any, content: bytes = b"", name: str = "some", **headers: str) -> Any:
    kind = {"Content_Type": "text/csv"} if content else {}
    return api.post(f"{PATH}/selections/{name}/content", content, key=None, **kind, **headers)


def sealed(vault: Vault, name: str = "some") -> tuple[bytes, bytes]:
    """What was published of a selection: open, and as it is stored."""
    (found,) = [each for each in vault.publications.all() if each.selection == name][-1:]
    last = vault.publications.of(found.artifact, found.root)
    assert last == found
    source = Opened(vault.blobs, found.name)
    return b"".join(Blob(vault.key_of(found), source).read()), source.read(0, source.size)


def bundle_of(api: Any, folder: Path, name: str = "some") -> Path:
    response = api.get(f"{PATH}/selections/{name}/bundle", role="recorder")
    assert (response.status_code, response.mimetype) == (200, "application/vnd.pedigree.bundle"), response.json
    assert f'filename="visits-1-{name}.pedigree-bundle"' in response.headers["Content-Disposition"]
    (path := folder / f"{name}.bundle").write_bytes(response.data)
    return path


def checked(api: Any, bundle: Path, copy: bytes, **more: Any) -> Any:
    answers = {"version": api.get(PATH).json, "selection": api.get(f"{PATH}/selections/some").json}
    return verify_copy(copy, bundle, **{**answers, **more})


def test_the_gateway_writes_the_records_of_a_selection_and_no_others(held: Any, vault: Vault) -> None:
    answer = publish(held)
    assert answer.status_code == 200, answer.json
    said, record = answer.json, held.get(f"{PATH}/selections/some").json["record"]
    assert (said["dataset"], said["number"], said["selection"], said["root"]) == ("visits", 1, "some", record["root"])
    assert (said["size"], said["digest"]) == (len(csv(SELECTED)), hashlib.sha256(csv(SELECTED)).hexdigest())
    content, stored = sealed(vault)
    assert content == csv(SELECTED)
    assert (len(stored), b"r5999" in stored) == (said["sealed_size"], False)
    # It is of the selection alone: neither the version nor another selection is published by it.
    (publication,) = vault.publications.all()
    root = held.get(PATH).json["record"]["root"]
    assert vault.publications.of("dataset-version:visits:1", root) is None
    assert vault.publications.of("dataset-version:visits:1", publication.root) is None
    assert vault.publications.of("selection:visits:1:other", publication.root) is None


def test_a_selection_of_everything_is_not_its_version(choose: Callable[..., Any], vault: Vault) -> None:
    api = choose(csv(ROWS[:5]), some=[f"r{position}" for position in range(5)])
    root = api.get(PATH).json["record"]["root"]
    assert publish(api).json["root"] == root
    assert vault.publications.of("dataset-version:visits:1", root) is None
    version = api.post(f"{PATH}/content", csv(ROWS[:5]), key=None, Content_Type="text/csv").json
    found = vault.publications.of("selection:visits:1:some", root)
    assert found is not None
    assert found.name != version["blob"]


def test_a_file_of_its_own_is_compared_and_sealed(held: Any, vault: Vault) -> None:
    again = b"\xef\xbb\xbf" + csv(SELECTED).replace(b"\n", b"\r\n")
    assert publish(held, again).json["digest"] == hashlib.sha256(again).hexdigest()
    assert sealed(vault)[0] == again


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (ROWS, "5985 outside"),
        ([*SELECTED[:3], ROWS[9], *SELECTED[3:]], "1 outside"),
        (SELECTED[:-1], "1 removed"),
        ([b"r0,0", *SELECTED[1:]], "1 changed"),
        ([*SELECTED, b"new,1"], "1 added"),
        (SELECTED[::-1], "14 moved"),
    ],
)
def test_a_file_of_other_records_is_refused_and_nothing_is_kept(
    held: Any, vault: Vault, rows: list[bytes], why: str
) -> None:
    refused = publish(held, csv(rows))
    assert (refused.status_code, refused.json["code"]) == (422, "not-the-committed-records")
    assert f"the records of selection:visits:1:some: {why}" in refused.json["detail"]
    assert list(vault.blobs.list()) == []
    assert list(vault.publications.all()) == []


def test_who_may_publish_and_what(held: Any) -> None:
    assert publish(held, role="reader").json["code"] == "role-too-low"
    assert publish(held, name="none").json["code"] == "not-found"
    asked = held.post(f"{PATH}/selections/some/content?id_field=id", key=None)
    assert (asked.status_code, asked.json["facts"]) == (400, {"parameter": "id_field"})
    assert held.post(f"{PATH}/selections/some/content", {}, key=None).json["code"] == "unsupported-media-type"
    body = {"selection": "elsewhere", "root": "5e" * 32, "size": 2}
    assert held.post(f"{PATH}/selections", body).status_code == 201
    for answer in (
        publish(held, name="elsewhere"),
        publish(held, csv(SELECTED), name="elsewhere"),
        held.get(f"{PATH}/selections/elsewhere/bundle", role="recorder"),
    ):
        assert (answer.status_code, answer.json["code"]) == (404, "selection-not-held")
    assert held.get(f"{PATH}/selections/some/bundle", role="reader").json["code"] == "role-too-low"
    root = {"root": "5f" * 32, "size": 1, "change": "first"}
    assert held.post("/v1/datasets/away/versions", root).status_code == 201
    assert held.post("/v1/datasets/away/versions/1/selections", body).status_code == 201
    away = held.post("/v1/datasets/away/versions/1/selections/elsewhere/content", key=None)
    assert (away.status_code, away.json["code"]) == (404, "records-not-held")


def test_a_bundle_checks_a_copy_and_names_what_differs(held: Any, tmp_path: Path) -> None:
    bundle = bundle_of(held, tmp_path)
    report = checked(held, bundle, csv(SELECTED))
    record = held.get(f"{PATH}/selections/some").json["record"]
    assert report == {
        "dataset": "visits", "number": 1, "root": held.get(PATH).json["record"]["root"], "size": 6_000,
        "verified": True, "selection": "selection:visits:1:some", "selection_root": record["root"],
        "copy_root": record["root"], "columns": [], "changed": [], "added": [], "removed": [], "moved": [],
        "counts": {"changed": 0, "added": 0, "removed": 0, "moved": 0},
    }  # fmt: skip
    altered = checked(held, bundle, csv([b"r0,0", *SELECTED[2:], ROWS[9], b"new,1"]))
    assert (altered["verified"], altered["changed"], altered["removed"]) == (False, ["r0"], ["r1"])
    assert altered["added"] == ["r9", "new"], "who has this bundle cannot tell a record of the version from another"
    assert checked(held, bundle, csv(SELECTED[::-1]))["counts"]["moved"] == 14
    assert checked(held, bundle, csv(SELECTED, b"id,z"))["verified"] is False


def test_a_bundle_has_nothing_of_other_records(held: Any, tmp_path: Path) -> None:
    bundle = bundle_of(held, tmp_path).read_bytes()
    with closing(Database.open(tmp_path / "records.db", "records", durable=False)) as database:
        store: RecordStore = record_store(database)
        everything = list(store.all(held.get(PATH).json["record"]["root"]))
    assert len(everything) == len(ROWS)
    for position, record in enumerate(everything):
        content = hashlib.sha256(record.salt + b"\x01" + record.content).digest()
        found = [each in bundle for each in (record.salt, content, record.leaf)]
        assert found == ([True, True, False] if position in CHOSEN else [False, False, False])
        assert record.content not in bundle
    assert len(bundle) < 4_000


def test_a_bundle_is_of_its_selection_alone(held: Any, tmp_path: Path) -> None:
    bundle = bundle_of(held, tmp_path)
    with pytest.raises(InvalidInput, match="is checked with that selection"):
        checked(held, bundle, csv(SELECTED), selection=None)
    other = held.get(f"{PATH}/selections/other").json
    with pytest.raises(InvalidBundle, match="is of selection:visits:1:some, and not of selection:visits:1:other"):
        checked(held, bundle, csv(SELECTED), selection=other)
    record = held.get(f"{PATH}/selections/some").json["record"]
    with pytest.raises(InvalidBundle, match="something else of 'root'"):
        checked(held, bundle, csv(SELECTED), selection={**record, "root": "5f" * 32})


def test_a_forged_bundle_is_refused(held: Any, tmp_path: Path) -> None:
    bundle = bundle_of(held, tmp_path)
    content = bundle.read_bytes()
    start = 14 + int.from_bytes(content[10:14])
    head = json.loads(content[14:start])

    def forged(blocks: bytes = content[start:-32], **members: Any) -> None:
        text = json.dumps({**head, **members}).encode()
        body = content[:10] + len(text).to_bytes(4) + text + blocks
        bundle.write_bytes(body + hashlib.sha256(body).digest())

    some, other = head["selection"], held.get(f"{PATH}/selections/other").json["record"]
    blocks = bytearray(content[start:-32])
    blocks[-20] ^= 1
    cases: list[tuple[dict[str, Any], str]] = [
        ({"selection": other}, "is of selection:visits:1:other, and not of selection:visits:1:some"),
        ({"selection": None}, "/selection must be an object"),
        ({"selection": {**some, "dataset": "elsewhere"}}, "/selection/dataset must be 'visits'"),
        ({"selection": {**some, "number": 2}}, "/selection/number must be a whole number from 1 to 1"),
        ({"selection": {**some, "selection": 7}}, "/selection/selection must be text"),
        ({"selection": {**some, "size": 16}}, "something else of 'size'"),
        ({"kind": "version-bundle"}, "holds 15 records, and the version on the ledger 6000"),
        ({"version": {**head["version"], "number": 2}}, "/selection/number must be a whole number from 2 to 2"),
        ({"numbered": True}, "the ids of a block have"),
        ({"blocks": bytes(blocks)}, "its records lead to the root"),
    ]
    for members, said in cases:
        forged(**members)
        with pytest.raises(InvalidBundle) as refused:
            checked(held, bundle, csv(SELECTED))
        assert said in str(refused.value)
    forged()
    assert checked(held, bundle, csv(SELECTED))["verified"]


def test_records_that_are_numbered_are_compared_in_their_order(
    choose: Callable[..., Any], tmp_path: Path, vault: Vault
) -> None:
    api = choose(csv(ROWS[:20]), "delimiter=,", some=["3", "7", "20"])
    chosen = [ROWS[2], ROWS[6], ROWS[19]]
    assert publish(api).status_code == 200
    assert sealed(vault)[0] == csv(chosen)
    assert publish(api, csv(chosen)).status_code == 200
    bundle = bundle_of(api, tmp_path)
    whole = tmp_path / "whole.bundle"
    whole.write_bytes(api.get(f"{PATH}/bundle?selections=some", role="recorder").data)
    asked = f"{PATH}/verify?selection=some"
    for rows, named in (
        (chosen, {}),
        ([chosen[0], b"r,1", chosen[2]], {"changed": ["7"]}),
        (chosen[:2], {"removed": ["20"]}),
        ([*chosen, b"r,1"], {"added": ["row 4"]}),
    ):
        owner = api.post(asked, csv(rows), key=None, Content_Type="text/csv").json
        reports = [checked(api, each, csv(rows)) for each in (bundle, whole)]
        for report in (owner, *reports):
            assert report["verified"] is (not named)
            assert {kind: report[kind] for kind in ("changed", "added", "removed", "moved") if report[kind]} == named


def test_json_lines_are_written_as_they_were_committed(choose: Callable[..., Any], vault: Vault) -> None:
    lines = [b'{"id":"a","x":1}', b' {"id": "b"}\r', b'{"id":"c"}', b'{"x":2,"id":"d"}\r']
    content = b"\r\n".join(lines) + b"\r\n\n"
    api = choose(content, media_type="application/jsonl", some=["b", "c", "d"])
    assert publish(api).status_code == 200, publish(api).json
    assert sealed(vault)[0] == lines[1] + b"\r\n" + lines[2] + b"\n" + lines[3] + b"\r\n"


def test_what_is_kept_and_not_what_was_committed_is_not_given_out(held: Any, vault: Vault, tmp_path: Path) -> None:
    with closing(Database.open(tmp_path / "records.db", "records", durable=False)) as database:
        alter_block(database, "contents", 1)
    for answer in (publish(held), held.get(f"{PATH}/selections/some/bundle", role="recorder")):
        assert (answer.status_code, answer.json["code"]) == (404, "records-not-held")
        assert "no longer lead to the root of the selection" in answer.json["detail"]
    assert list(vault.blobs.list()) == []

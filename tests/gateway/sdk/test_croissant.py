# SPDX-License-Identifier: Apache-2.0
"""Croissant cards: what is taken, what is remarked on, and that no card stops the reader."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedigree import InvalidInput
from pedigree.croissant import Card, read_card

DIGEST = "c617db2c7470716250f6f001be51304c76bcc8815527ab8bae734bdca0737400"
CARD = {
    "@type": "sc:Dataset",
    "conformsTo": "http://mlcommons.org/croissant/1.1",
    "name": "Passengers",
    "description": "Who was on board.",
    "license": "https://choosealicense.com/licenses/cc-by-sa-4.0/",
    "url": "https://example.org/passengers",
    "creator": [{"@type": "Person", "name": "Ada"}, "Grace"],
    "temporalCoverage": "1912-04-10/1912-04-15",
    "spatialCoverage": "GB",
    "distribution": [
        {"@type": "cr:FileObject", "@id": "p.csv", "name": "p.csv", "sha256": DIGEST.upper()},
        {"@type": "cr:FileSet", "@id": "all", "includes": "*.csv"},
    ],
    "recordSet": {"@id": "passengers", "field": [{"name": "id"}, {"name": "age"}]},
}


def card(**changes: Any) -> Card:
    return read_card(
        json.dumps({name: value for name, value in (CARD | changes).items() if value is not None}).encode()
    )


def test_what_the_ledger_needs_is_taken_from_the_card(tmp_path: Path) -> None:
    content = json.dumps(CARD).encode()
    (tmp_path / "card.json").write_bytes(content)
    found = read_card(tmp_path / "card.json")
    assert found.fields == {
        "card": hashlib.sha256(content).hexdigest(),
        "title": "Passengers",
        "description": "Who was on board.",
        "creator": "Ada, Grace",
        "licence": "cc-by-sa-4.0",
        "origin": {
            "source": "https://example.org/passengers",
            "geography": ["GB"],
            "collected_from": -1_821_744_000_000,
            "collected_until": -1_821_225_600_001,
        },
        "distributions": [DIGEST],
    }
    assert found.files == {"p.csv": DIGEST}
    assert [(each.name, each.fields) for each in found.record_sets] == [("passengers", ("id", "age"))]
    assert found.remarks == ()


@pytest.mark.parametrize(
    ("given", "licence"),
    [
        ("mit", "mit"),
        (["apache-2.0"], "apache-2.0"),
        ("https://creativecommons.org/licenses/by-nc/4.0/deed.en", "CC-BY-NC-4.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("https://spdx.org/licenses/AFL-3.0.html", "AFL-3.0"),
        ({"@type": "sc:CreativeWork", "url": "https://opensource.org/licenses/MIT"}, "MIT"),
        ("odc-by", "ODC-By-1.0"),
        ("https://choosealicense.com/licenses/odc-by/", "ODC-By-1.0"),
    ],
)
def test_a_licence_is_taken_as_publishers_write_it(given: Any, licence: str) -> None:
    found = card(license=given)
    assert found.fields["licence"] == licence
    assert not found.remarks


@pytest.mark.parametrize(
    ("changes", "pointer", "given"),
    [
        ({"license": "unknown"}, "/license", "unknown"),
        ({"license": None}, "/license", ""),
        ({"license": ["mit", "gpl-3.0"]}, "/license", '["mit", "gpl-3.0"]'),
        ({"license": "https://commoncrawl.org/terms-of-use"}, "/license", "https://commoncrawl.org/terms-of-use"),
        ({"creator": None}, "/creator", ""),
        ({"name": 7}, "/name", "7"),
        ({"description": "x" * 4_001}, "/description", "x" * 200),
        ({"url": None}, "/url", ""),
        ({"temporalCoverage": "2025-02-30"}, "/temporalCoverage", "2025-02-30"),
        ({"temporalCoverage": "the nineties"}, "/temporalCoverage", "the nineties"),
        ({"spatialCoverage": "Southampton"}, "/spatialCoverage", "Southampton"),
        ({"recordSet": ["passengers"]}, "/recordSet/0", "passengers"),
        ({"distribution": ["p.csv"]}, "/distribution/0", "p.csv"),
        (
            {"distribution": {"@type": "cr:FileObject", "name": "repo", "sha256": "https://example.org/issues/80"}},
            "/distribution/0/sha256",
            "https://example.org/issues/80",
        ),
    ],
)
def test_what_cannot_be_taken_is_kept_as_given_among_the_remarks(
    changes: dict[str, Any], pointer: str, given: str
) -> None:
    (remark,) = card(**changes).remarks
    assert (remark.pointer, remark.given) == (pointer, given)
    assert str(remark).startswith(f"{pointer}: ")


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe{}", b'{"name": ', b"[" * 100_000])
def test_what_is_no_card_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidInput, match="card"):
        read_card(content)


TEXT = st.sampled_from(["", "x", "é", "http://a", "mit", "1999-01-01/..", "DE", "cr:FileObject", "f" * 64])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "@id", "@type", "url", "sha256", "field", "@value"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(CARD)), JSON))
def test_any_object_is_read_and_nothing_is_made_up(said: dict[str, Any]) -> None:
    found = read_card(json.dumps(said).encode())
    assert set(found.fields) <= {"card", "title", "description", "creator", "licence", "origin", "distributions"}
    assert all(len(remark.given) <= 200 for remark in found.remarks)
    for name, member in (("title", "name"), ("description", "description"), ("licence", "license")):
        assert (name in found.fields) != any(remark.pointer == f"/{member}" for remark in found.remarks)

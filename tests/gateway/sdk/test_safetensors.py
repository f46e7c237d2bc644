# SPDX-License-Identifier: Apache-2.0
"""Evidence in a `.safetensors` file: nothing else changes, and taking it out gives the former bytes."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from pedigree import InvalidInput
from pedigree.safetensors import KEY, MOST_EVIDENCE, embed, extract, holds_evidence, is_safetensors

EVIDENCE = json.dumps({"kind": "transaction-evidence", "title": 'Köln, "quoted", \\ and \u2028 😀'}, ensure_ascii=False)
TENSORS = b"\x00\x01" * 600


def packed(header: str, rest: bytes = TENSORS) -> bytes:
    """A file with this header."""
    data = header.encode()
    return len(data).to_bytes(8, "little") + data + rest


def header_of(file: Path) -> tuple[str, bytes]:
    """Header and tensors of a file."""
    data = file.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    return data[8:end].decode(), data[end:]


def written(tmp_path: Path, header: str) -> Path:
    """A file with this header, on the disk."""
    file = tmp_path / "model.safetensors"
    file.write_bytes(packed(header))
    return file


WEIGHT = '"w":{"dtype":"U8","shape":[1200],"data_offsets":[0,1200]}'
HEADERS = [
    "{}",
    "{   }",
    f"{{{WEIGHT}}}",
    f"{{{WEIGHT}}}   ",
    f'{{ "__metadata__" : {{ }} , {WEIGHT} }}',
    f'{{"__metadata__":{{}},{WEIGHT}}}',
    f'{{{WEIGHT},"__metadata__":{{"format":"pt"}}}}',
    f'{{{WEIGHT} , "__metadata__" : {{\n "format" : "pt" ,"c2pa:manifest":"AAECAw=="}} }}     ',
    f'{{"__metadata__":{{"größe":"\\u00fc {{}},\\"","pedigree":"x"}},{WEIGHT}}}',
]


@pytest.mark.parametrize("header", HEADERS)
def test_taking_evidence_out_gives_the_former_bytes(tmp_path: Path, header: str) -> None:
    file = written(tmp_path, header)
    before = file.read_bytes()
    out = tmp_path / "out.safetensors"
    embed(file, EVIDENCE, out)
    assert file.read_bytes() == before
    assert (holds_evidence(file), holds_evidence(out)) == (False, True)
    found = extract(out)
    assert found.evidence == EVIDENCE
    assert (found.digest, found.size) == (hashlib.sha256(before).hexdigest(), len(before))
    now, rest = header_of(out)
    assert rest == TENSORS
    assert len(now.encode()) % 8 == len(header.encode()) % 8
    told, said = json.loads(now), json.loads(header)
    assert told.pop("__metadata__").items() >= said.pop("__metadata__", {}).items()
    assert told == said


@pytest.mark.parametrize("header", HEADERS)
def test_evidence_replaces_what_was_there(tmp_path: Path, header: str) -> None:
    file = written(tmp_path, header)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    for evidence in ('{"a":1}', EVIDENCE, '{"b":2}'):
        embed(file, evidence, file)
        found = extract(file)
        assert (found.evidence, found.digest) == (evidence, digest)
    assert header_of(file)[0].count(KEY) == 1


names = st.text(max_size=8)
spaces = st.text(alphabet=" \t\n\r", max_size=3)


@st.composite
def headers(draw: st.DrawFn) -> str:
    """JSON objects as any writer could lay them out, with metadata or without, at any place among the tensors."""

    def laid_out(members: list[tuple[str, str]]) -> str:
        inner = ",".join(
            draw(spaces)
            + json.dumps(name, ensure_ascii=draw(st.booleans()))
            + draw(spaces)
            + ":"
            + draw(spaces)
            + value
            for name, value in members
        )
        return "{" + (inner or draw(spaces)) + "}"

    tensors = draw(st.lists(names.filter(lambda name: name != "__metadata__"), max_size=3, unique=True))
    members = [(name, json.dumps({"dtype": "U8", "shape": [0], "data_offsets": [0, 0]})) for name in tensors]
    if draw(st.booleans()):
        texts = draw(st.dictionaries(names.filter(lambda name: name != KEY), names, max_size=3))
        metadata = laid_out([(name, json.dumps(text)) for name, text in texts.items()])
        members.insert(draw(st.integers(0, len(members))), ("__metadata__", metadata))
    return laid_out(members) + " " * draw(st.integers(0, 9))


@given(headers(), st.dictionaries(names, names, max_size=3))
def test_whatever_the_layout_the_former_bytes_come_back(
    tmp_path_factory: pytest.TempPathFactory, header: str, evidence: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("laid-out")
    file = written(folder, header)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    embed(file, json.dumps(evidence), file)
    found = extract(file)
    assert (json.loads(found.evidence), found.digest) == (evidence, digest)


def test_a_byte_of_a_tensor_or_of_the_header_changes_the_digest(tmp_path: Path) -> None:
    file = written(tmp_path, HEADERS[6])
    embed(file, EVIDENCE, file)
    whole, digest = file.read_bytes(), extract(file).digest
    for place in (whole.index(b"U8"), whole.index(b'"pt"') + 1, len(whole) - 1, len(whole) - 1200):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert extract(file).digest != digest
    file.write_bytes(whole + b"\0")
    assert extract(file).digest != digest


WRAPPED = json.dumps(json.dumps({"schema": 1, "added": "member", "evidence": "{}"}))
ALL_ADDED = json.dumps(json.dumps({"schema": 1, "added": "metadata", "evidence": "{}"}))
BAD: list[tuple[bytes, str]] = [
    (b"", "its first 8 bytes must be a length"),
    (b"\xff" * 8, "its first 8 bytes must be a length"),
    ((100).to_bytes(8, "little") + b"{}", "it ends after 2 of 100 bytes"),
    ((2).to_bytes(8, "little") + b"\xff\xff", "its header is not UTF-8"),
    (packed(" {}"), "its header must begin with '{'"),
    (packed("{", b""), "its first 8 bytes must be a length"),
    (packed("{ "), "its header is not JSON: a name is missing"),
    (packed('{"a":'), "its header is not JSON"),
    (packed('{"a":1'), "',' or '}' is missing"),
    (packed('{"a" 1}'), "':' is missing"),
    (packed('{"a":' + "[" * 200_000), "nested too deep"),
    (packed('{"__metadata__":[]}'), "__metadata__ must be an object"),
    (packed('{"__metadata__":{},"__metadata__":{}}'), "has __metadata__ twice"),
    (packed(f'{{"__metadata__":{{"a":"b","{KEY}":{WRAPPED}}}}}'), "must be the first of the metadata"),
    (packed(f'{{"__metadata__":{{"{KEY}":{WRAPPED},"{KEY}":{WRAPPED}}}}}'), "must be the first of the metadata"),
    (packed(f'{{"__metadata__":{{"{KEY}":7}}}}'), "is not evidence of the form that is known here"),
    (packed(f'{{"__metadata__":{{"{KEY}":"{{}}"}}}}'), "is not evidence of the form that is known here"),
    (packed(f'{{"__metadata__":{{"{KEY}":"["}}}}'), "is not evidence of the form that is known here"),
    (packed(f'{{"a":1,"__metadata__":{{"{KEY}":{ALL_ADDED}}}}}'), "which does not fit"),
    (packed(f'{{"__metadata__":{{"{KEY}":{ALL_ADDED},"b":"c"}}}}'), "which does not fit"),
]


@pytest.mark.parametrize(("data", "why"), BAD)
def test_what_is_not_such_a_file_is_refused(tmp_path: Path, data: bytes, why: str) -> None:
    file = tmp_path / "bad.safetensors"
    file.write_bytes(data)
    with pytest.raises(InvalidInput) as refused:
        extract(file)
    assert why in str(refused.value)
    if KEY.encode() not in data or b"first" in why.encode():
        with pytest.raises(InvalidInput):
            embed(file, "{}", tmp_path / "out")
        assert not (tmp_path / "out").exists()
    assert file.read_bytes() == data


def test_a_file_without_evidence_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no evidence: its metadata has no 'pedigree:receipt'"):
        extract(written(tmp_path, HEADERS[6]))


@pytest.mark.parametrize(("evidence", "why"), [("{", "is not JSON"), ('"' + "x" * MOST_EVIDENCE + '"', "more than")])
def test_evidence_that_cannot_be_put_in_is_refused(tmp_path: Path, evidence: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        embed(written(tmp_path, "{}"), evidence, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_changes_while_it_is_copied_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, HEADERS[2])

    def change(_: int) -> None:
        file.write_bytes(packed("{}", b"others"))

    with pytest.raises(ValueError, match="was changed while it was read"):
        embed(file, EVIDENCE, tmp_path / "out", change)
    assert not (tmp_path / "out").exists()


def test_such_files_are_told_from_others(tmp_path: Path) -> None:
    assert is_safetensors(written(tmp_path, "{}"))
    for data in (b"", b'{"kind":"record-evidence"}', b"c2sp.org/tlog-proof@v1\n", (1).to_bytes(8, "little") + b"{"):
        (tmp_path / "other").write_bytes(data)
        assert not is_safetensors(tmp_path / "other")


def test_the_official_library_reads_the_same_tensors(tmp_path: Path) -> None:
    tensors = {"w": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.zeros(4, dtype=np.float32)}
    for metadata in (None, {"format": "np", "note": "größer"}):
        file = tmp_path / "official.safetensors"
        save_file(tensors, file, metadata=metadata)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        embed(file, EVIDENCE, file)
        read = load_file(file)
        assert read.keys() == tensors.keys()
        assert all((read[name] == tensors[name]).all() for name in tensors)
        with safe_open(file, framework="np") as opened:
            assert opened.metadata().items() >= (metadata or {}).items()
            assert KEY in opened.metadata()
        assert extract(file).digest == digest

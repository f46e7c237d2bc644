# SPDX-License-Identifier: Apache-2.0
"""Parquet: one written form for a row, and nothing that bytes of strangers can do to the gateway."""

import base64
import io
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.services import parquet
from gateway.services.files import opened
from gateway.services.parquet import PARQUET, ParquetTable
from gateway.services.parquetdecoder.values import Column, Refused, _finite, encode
from gateway.services.pieces import LONGEST_RECORD
from gateway.services.tables import Row, UnreadableRecords


def written(columns: dict[str, Any] | pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), sink, **options)
    return sink.getvalue()


def rows(content: bytes, id_field: str | None = None) -> list[Row]:
    return list(opened(io.BytesIO(content), PARQUET, id_field).rows())


def one(array: Any) -> Any:
    """What is written of the first value of a column."""
    return json.loads(rows(written({"a": array}))[0].content)["a"]


def test_a_row_is_an_object_of_its_columns_in_code_point_order() -> None:
    content = written({"site": ["Köln", None], "id": [7, 8], "age": pa.array([61, 44], pa.int8())})
    assert rows(content, "id") == [
        Row("7", '{"age":61,"id":7,"site":"Köln"}'.encode()),
        Row("8", b'{"age":44,"id":8,"site":null}'),
    ]
    assert [row.id for row in rows(content)] == ["1", "2"]
    table = ParquetTable(io.BytesIO(content), "id")
    assert table.reading.fields == ("age", "id", "site")
    list(table.rows())
    assert table.bytes_read == len(content)


KINDS = [
    (pa.array([None], pa.null()), None),
    (pa.array([True]), True),
    (pa.array([-(2**63)]), -(2**63)),
    (pa.array([2**64 - 1], pa.uint64()), 2**64 - 1),
    (pa.array([0.1]), 0.1),
    (pa.array([0.5], pa.float32()), 0.5),
    (pa.array([math.nan]), {"$float": "NaN"}),
    (pa.array([-math.inf]), {"$float": "-Infinity"}),
    (pa.array([Decimal("-1.50")], pa.decimal128(5, 2)), {"$decimal": "-1.50"}),
    (pa.array([Decimal("1E-30")], pa.decimal256(60, 30)), {"$decimal": "0." + "0" * 29 + "1"}),
    (pa.array([b"\x00\xff"]), {"$binary": "AP8="}),
    (pa.array([b"ab"], pa.binary(2)), {"$binary": "YWI="}),
    (pa.array([date(1970, 1, 3)]), {"$date": 2}),
    (pa.array([time(0, 0, 1)], pa.time32("s")), {"$time": 10**9}),
    (pa.array([1], pa.time64("us")), {"$time": 1000}),
    (pa.array([1], pa.timestamp("ns")), {"$datetime": 1}),
    (pa.array([datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)], pa.timestamp("ms", "UTC")), {"$timestamp": 10**9}),
    (pa.array([2**62], pa.timestamp("us")), {"$datetime": 2**62 * 1000}),
    (pa.array([5], pa.duration("ms")), {"$duration": 5_000_000}),
    (pa.array(["x"]).dictionary_encode(), "x"),
    (pa.array([[1, None]]), [1, None]),
    (pa.array([[math.nan]]), [{"$float": "NaN"}]),
    (pa.array([{"b": b"x", "a": [{"t": None}]}]), {"a": [{"t": None}], "b": {"$binary": "eA=="}}),
    (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), {"$map": [["k", 1]]}),
    (pa.array([[date(1970, 1, 2), None]]), [{"$date": 1}, None]),
    (pa.array([{"when": 1}], pa.struct([("when", pa.timestamp("ns"))])), {"when": {"$datetime": 1}}),
]


def test_every_kind_of_value_has_one_written_form() -> None:
    columns = {str(place): array for place, (array, _) in enumerate(KINDS)}
    (row,) = rows(written(columns))
    assert json.loads(row.content) == {str(place): expected for place, (_, expected) in enumerate(KINDS)}


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NESTED = [
    (pa.array([NOON], pa.timestamp("ms", "UTC")).dictionary_encode(), {"$timestamp": 1_767_268_800 * 10**9}),
    (pa.array([Decimal("1.50")], pa.decimal128(5, 2)).dictionary_encode(), {"$decimal": "1.50"}),
    (pa.array([["x", None]], pa.list_(pa.dictionary(pa.int32(), pa.string()))), ["x", None]),
    (pa.array([{"d": "x"}], pa.struct([("d", pa.dictionary(pa.int8(), pa.string()))])), {"d": "x"}),
    (pa.array([[[math.nan, None], [], None]]), [[{"$float": "NaN"}, None], [], None]),
    (pa.array([[1.5, math.inf]], pa.list_(pa.float16(), 2)), [1.5, {"$float": "Infinity"}]),
    (pa.array([["a"]], pa.large_list(pa.large_string())), ["a"]),
    (pa.array([[None]], pa.list_(pa.null())), [None]),
    (pa.array([{"a": {"b": [{"c": -0.5}, None]}}]), {"a": {"b": [{"c": -0.5}, None]}}),
    (
        pa.array([[("k", NOON), ("k", None)]], pa.map_(pa.string(), pa.timestamp("us", "Europe/Berlin"))),
        {"$map": [["k", {"$timestamp": 1_767_268_800 * 10**9}], ["k", None]]},
    ),
    (
        pa.array([[(date(1970, 1, 2), [Decimal("-0.5")])]], pa.map_(pa.date32(), pa.list_(pa.decimal32(4, 1)))),
        {"$map": [[{"$date": 1}, [{"$decimal": "-0.5"}]]]},
    ),
    (
        pa.array([[{"t": time(0, 0, 1), "d": 5}]], pa.list_(pa.struct({"t": pa.time32("s"), "d": pa.duration("s")}))),
        [{"t": {"$time": 10**9}, "d": {"$duration": 5 * 10**9}}],
    ),
]  # fmt: skip


def test_values_within_values_have_the_same_written_forms() -> None:
    columns = {f"{place:02}": array for place, (array, _) in enumerate(NESTED)}
    (row,) = rows(written(columns))
    assert json.loads(row.content) == {f"{place:02}": expected for place, (_, expected) in enumerate(NESTED)}


@pytest.mark.parametrize(
    ("plain", "hinted"),
    [
        (pa.string(), pa.large_string()),
        (pa.string(), pa.string_view()),
        (pa.string(), pa.dictionary(pa.int32(), pa.string())),
        (pa.list_(pa.string()), pa.list_view(pa.string_view())),
        (pa.list_(pa.string()), pa.large_list_view(pa.large_string())),
        (pa.struct([("a", pa.binary())]), pa.struct([("a", pa.binary_view())])),
    ],
)
def test_what_the_writer_had_in_memory_does_not_change_a_record(plain: Any, hinted: Any) -> None:
    """Programs note beside the file how they held a column; the file's own types decide."""
    values = {
        "string": ["a", None, "é" * 40],
        "list<": [["a", None], None, []],
        "struct": [{"a": b"x"}, None, {"a": None}],
    }
    chosen = next(value for name, value in values.items() if str(plain).startswith(name))
    assert rows(written({"a": pa.array(chosen, hinted)})) == rows(written({"a": pa.array(chosen, plain)}))


@pytest.mark.parametrize("kind", [pa.month_day_nano_interval(), pa.list_(pa.month_day_nano_interval())])
def test_a_type_that_has_no_written_form_is_refused_by_its_column(kind: Any) -> None:
    with pytest.raises(Refused, match=r"column 'a' has the type month_day_nano_interval, which is not read"):
        Column(pa.field("a", kind))


def test_an_instant_is_written_alike_in_every_unit_and_zone() -> None:
    found = {str(one(pa.array([10**3 * scale], pa.timestamp(unit, zone)))) for unit, scale, zone in (
        ("ms", 1, "UTC"), ("us", 1_000, "Europe/Berlin"), ("ns", 1_000_000, "+02:00"),
    )}  # fmt: skip
    assert found == {"{'$timestamp': 1000000000}"}


def test_minus_zero_is_not_zero_and_whole_floats_keep_their_point() -> None:
    assert rows(written({"a": [-0.0, 0.0, 1.0, 1e16]})) == [
        Row(str(number), content)
        for number, content in enumerate((b'{"a":-0.0}', b'{"a":0.0}', b'{"a":1.0}', b'{"a":1e+16}'), start=1)
    ]


@pytest.mark.parametrize(
    ("content", "id_field", "says"),
    [
        (b"", None, "it is not Parquet"),
        (b"id,a\n1,2\n3,4\n5,6\n", None, "it is not Parquet"),
        (b"PAR1" + b"\xff" * 4 + b"PAR1", None, "its footer is longer than the file"),
        (b"PAR1" + bytes(40) + (20).to_bytes(4, "little") + b"PAR1", None, "not a Parquet file that can be read"),
        (written({"id": [1]}), "name", "there is no column 'name'; there are id"),
        (written({"id": [1.5]}), "id", "row 1: the column 'id' must hold a text or a whole number"),
        (written({"id": ["a", None]}), "id", "row 2: the column 'id' must hold a text or a whole number"),
        (written({"id": ["a", "x" * 257]}), "id", "row 2: a record id is 1 to 256 printable characters"),
        (written({"id": pa.array([], pa.int64())}), "id", "the file holds no record"),
        (written({"$float": ["NaN"]}), None, "'$float' begins with $"),
        (written({"a": [{"$map": 1}]}), None, "column 'a': '$map' begins with $"),
        (written(pa.table([[1], [2]], names=["a", "a"])), None, "a column name is there twice"),
        (written({"a": [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}), None, "column 'a' is nested deeper than 16 levels"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_refused_with_its_reason(content: bytes, id_field: str | None, says: str) -> None:
    with pytest.raises(UnreadableRecords) as caught:
        rows(content, id_field)
    assert says in str(caught.value)


def test_text_that_is_not_utf_8_is_refused() -> None:
    bad = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")])
    with pytest.raises(UnreadableRecords, match="a text is not UTF-8"):
        rows(written({"a": bad}))


def test_ten_thousand_columns_are_a_record() -> None:
    wide = rows(written({f"c{number:05}": [number] for number in range(10_000)}))
    assert len(json.loads(wide[0].content)) == 10_000


LONGEST = "x" * (LONGEST_RECORD - len('{"a":""}'))


def test_a_row_may_have_eight_mebibytes() -> None:
    found = rows(written({"a": ["y", LONGEST]}))
    assert [len(row.content) for row in found] == [9, LONGEST_RECORD]
    with pytest.raises(UnreadableRecords, match="row 2: it is longer than the 8 MiB that a record may have"):
        rows(written({"a": ["y", LONGEST + "x"]}))
    with pytest.raises(UnreadableRecords, match="row 1: it is longer"):
        rows(written({"a": ["\n" * (5 << 20)]}))


MEASURED = """
import resource, sys
from gateway.services.files import opened
from gateway.services.parquet import PARQUET
from gateway.services.tables import UnreadableRecords
try:
    with open(sys.argv[1], "rb") as content:
        list(opened(content, PARQUET).rows())
except UnreadableRecords as refusal:
    print(refusal.message)
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) >> 10)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10)
"""


@pytest.mark.parametrize(
    "column",
    [
        lambda: ["y", "x" * (100 << 20)],
        lambda: [*"yyyyyyyyy", "x" * (100 << 20)],
        lambda: [*[b"y"] * 9, b"x" * (100 << 20)],
        lambda: pa.array([*[[1]] * 9, range(12 << 20)], pa.list_(pa.int64())),
        lambda: [*[{"a": ["y"]}] * 9, {"a": ["x" * (50 << 20), "x" * (50 << 20)]}],
    ],
    ids=["stated", "text", "binary", "list", "nested"],
)
def test_a_row_of_a_hundred_megabytes_is_refused_in_bounded_memory(column: Callable[[], Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(written({"a": column()}))
    program = [sys.executable, "-c", MEASURED, str(tmp_path / "file")]
    found = subprocess.run(program, check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    said, gateway, decoder = found.splitlines()
    stated = "Parquet: its rows have 50 MiB each, as it states; a record has at most 8 MiB"
    assert said in (stated, "row 10: it is longer than the 8 MiB that a record may have")
    assert int(gateway) < 150
    assert int(decoder) < 700


def test_a_small_file_cannot_become_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    content = written({"a": ["x" * 1_000] * 100_000})
    assert len(content) < 100_000
    monkeypatch.setattr(parquet, "MOST_CONTENT", 1_000_000)
    with pytest.raises(UnreadableRecords, match="row 993: the rows up to here are larger than all rows of a file"):
        rows(content)
    monkeypatch.setattr(parquet, "MOST_ROWS", 99_999)
    with pytest.raises(UnreadableRecords, match="it states 100000 rows; at most 99999 are read"):
        rows(content)


def test_a_value_larger_than_the_memory_that_a_decoder_may_have_is_refused() -> None:
    content = written(
        {"a": [b"\0" * (1 << 20)] * 700}, use_dictionary=False, compression="zstd", data_page_size=1 << 30
    )
    assert len(content) < 1 << 20
    with pytest.raises(UnreadableRecords, match="its values need more than 512 MiB of memory at once"):
        rows(content)


def test_an_abandoned_file_leaves_no_decoder() -> None:
    table = ParquetTable(io.BytesIO(written({"a": list(range(200_000))})))
    process = table._frames._process
    found = table.rows()
    next(found)
    found.close()
    assert process.returncode is not None
    table = ParquetTable(io.BytesIO(written({"a": [1]})))
    process = table._frames._process
    del table
    assert process.returncode is not None


SEED = written({"id": ["a", "b"], "n": [1.5, None], "l": [[1], []], "s": [{"x": b"1"}, None]})


@settings(max_examples=12, deadline=None)
@given(
    place=st.integers(0, len(SEED) - 1),
    piece=st.binary(min_size=1, max_size=8),
    cut=st.booleans(),
)
def test_mutated_files_are_records_or_refused(place: int, piece: bytes, cut: bool) -> None:
    content = SEED[:place] + piece + (b"" if cut else SEED[place + len(piece) :])
    try:
        found = rows(content, "id")
    except UnreadableRecords:
        return
    assert found
    assert all(json.loads(row.content)["id"] == row.id for row in found)


@settings(max_examples=6, deadline=None)
@given(
    columns=st.tuples(
        st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3),
        st.lists(st.none() | st.floats(), min_size=3, max_size=3),
        st.lists(st.none() | st.text(max_size=8), min_size=3, max_size=3),
        st.lists(st.none() | st.binary(max_size=8), min_size=3, max_size=3),
    ),
    groups=st.integers(1, 3),
)
def test_what_is_written_is_what_was_given_however_it_is_grouped(columns: tuple[Any, ...], groups: int) -> None:
    whole, real, text, blob = columns
    table = pa.table({
        "whole": pa.array(whole, pa.int64()), "real": pa.array(real, pa.float64()),
        "text": pa.array(text, pa.string()), "blob": pa.array(blob, pa.binary()),
    })  # fmt: skip
    found = rows(written(table, row_group_size=groups))
    assert found == rows(written(table, compression="none", use_dictionary=False))
    for index, row in enumerate(found):
        said = json.loads(row.content)
        assert (said["whole"], said["text"]) == (whole[index], text[index])
        assert blob[index] is None or base64.b64decode(said["blob"]["$binary"]) == blob[index]
        if real[index] is not None and math.isfinite(real[index]):
            assert said["real"] == real[index]
            assert math.copysign(1, said["real"]) == math.copysign(1, real[index])


@settings(max_examples=6, deadline=None)
@given(
    values=st.lists(
        st.fixed_dictionaries({
            "whole": st.none() | st.integers(-(2**63), 2**63 - 1), "yes": st.none() | st.booleans(),
            "text": st.none() | st.text(max_size=6),
            "real": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        }),
        min_size=1, max_size=9,
    )
)  # fmt: skip
def test_a_row_is_written_as_python_writes_it(values: list[dict[str, Any]]) -> None:
    kinds = {"whole": pa.int64(), "real": pa.float64(), "text": pa.string(), "yes": pa.bool_()}
    table = pa.table({name: pa.array([each[name] for each in values], kind) for name, kind in kinds.items()})
    expected = [json.dumps(each, ensure_ascii=False, sort_keys=True, separators=(",", ":")) for each in values]
    assert [row.content.decode() for row in rows(written(table))] == expected


def test_a_decoder_finds_modules_where_its_parent_does(tmp_path: Path) -> None:
    """As in an image, whose Python knows of ours from PYTHONPATH alone."""
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"id": ["r1", "r2"], "age": [1, 2]}), file)
    program = (
        "from pathlib import Path; from gateway.services.files import opened; "
        "from gateway.services.parquet import PARQUET; "
        f"print([row.id for row in opened(Path({str(file)!r}).open('rb'), PARQUET, 'id').rows()])"
    )
    python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    environment = {"PYTHONPATH": os.pathsep.join(place for place in sys.path if place)}
    ran = subprocess.run([python, "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("['r1', 'r2']\n", "")


def test_an_extension_type_is_written_as_what_it_is_stored_as() -> None:
    stored = pa.array([b"\x01" * 16, None], pa.binary(16))
    unique = pa.ExtensionArray.from_storage(pa.uuid(), stored)
    text = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}', None]))
    flags = pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, None], pa.int8()))
    inside = pa.StructArray.from_arrays([unique, text], ["unique", "text"])
    each = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), unique)
    columns = {"each": each, "flag": flags, "inside": inside, "text": text, "unique": unique}
    first, second = (json.loads(row.content) for row in rows(written(columns)))
    identifier = {"$binary": base64.b64encode(b"\x01" * 16).decode()}
    said = {"unique": identifier, "text": '{"a": 1}'}
    assert first == {"each": [identifier], "flag": 1, "inside": said, **said}
    nothing = {"unique": None, "text": None}
    assert second == {"each": [None], "flag": None, "inside": nothing, **nothing}
    plain = {"text": text.storage, "unique": stored}
    assert rows(written({"text": text, "unique": unique})) == rows(written(plain))
    assert rows(written({"id": text.slice(0, 1)}), "id")[0].id == '{"a": 1}'


@given(
    st.lists(
        st.none()
        | st.floats(width=64)
        | st.floats(1e-5, 1e11)
        | st.integers(-(10**11), 10**11).map(float)
        | st.sampled_from([0.0, -0.0, 1e-4, 9.9e-5, 9999999999.999998, 1e10, 1e15, 1e16, 0.1, 100.0]),
        min_size=1,
        max_size=6,
    )
)
@settings(deadline=None, max_examples=300)
def test_doubles_are_written_alike_one_by_one_and_together(values: list[float | None]) -> None:
    column = Column(pa.field("a", pa.float64()))
    found = column.written(column.read(pa.array(values, pa.float64()))).to_pylist()
    assert found == [encode(None if value is None else _finite(value)) for value in values]


@given(st.lists(st.none() | st.text(max_size=5), min_size=1, max_size=6), st.integers(0, 5))
@settings(deadline=None)
def test_texts_are_written_alike_one_by_one_and_together(values: list[str | None], start: int) -> None:
    values = [None if each is None else each.encode("utf-8", "replace").decode() for each in values]
    column = Column(pa.field("a", pa.large_string()))
    found = column.written(column.read(pa.array(values, pa.large_string())[start:])).to_pylist()
    assert found == [encode(value) for value in values[start:]]

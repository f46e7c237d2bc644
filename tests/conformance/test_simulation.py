# SPDX-License-Identifier: Apache-2.0
"""What chaincode sees of the ledger while it is simulated: rules S-21 to S-34."""

from fabricharness import blocks
from fabricharness.expect import ABORTED, ENDORSEMENT_FAILED, refused, value
from fabricharness.networks import VALID, Network
from google.protobuf.timestamp_pb2 import Timestamp


def numbered(prefix: str, count: int, first: int = 0) -> list[str]:
    return [f"{prefix}{number:05d}" for number in range(first, first + count)]


def end_of(prefix: str) -> str:
    """Behind every key with this prefix that the cases use."""
    return f"{prefix}~"


def test_c020_no_read_your_writes(net: Network, key: str) -> None:
    net.hospital.submit("anyone", "put", key, "v1")
    assert value(net.hospital.submit("anyone", "putGet", key, "v2").result) == "v1"
    assert value(net.hospital.evaluate("anyone", "get", key)) == "v2"


def test_c021_empty_value_deletes(net: Network, key: str) -> None:
    net.hospital.submit("anyone", "put", key, "x")
    assert net.hospital.submit("anyone", "putEmpty", key).code == VALID
    assert value(net.hospital.evaluate("anyone", "get", key)) is None
    newest, first = value(net.hospital.evaluate("anyone", "history", key))
    assert newest["deleted"] is True
    assert newest["value"] is None
    assert first["value"] == "x"


def test_c022_empty_key_rejected(net: Network) -> None:
    before = blocks.height(net.hospital)
    refusal = refused(net.hospital.submit, "anyone", "put", "", "v")
    assert refusal.message == ENDORSEMENT_FAILED
    assert "empty" in refusal.text
    assert blocks.height(net.hospital) == before


def test_c023_binary_and_unicode_keys(net: Network, key: str) -> None:
    suffixes = ["é", "z", "Z", "𝔘", "\ufffd"]
    for suffix in suffixes:
        assert net.hospital.submit("anyone", "put", key + suffix, "v").code == VALID
    found = [name for name in value(net.hospital.evaluate("anyone", "range", "", "")) if name.startswith(key)]
    assert found == sorted((key + suffix for suffix in suffixes), key=str.encode)


def test_c024_range_bounds(net: Network, key: str) -> None:
    for suffix in "abc":
        net.hospital.submit("anyone", "put", key + suffix, "v")
    assert value(net.hospital.evaluate("anyone", "range", key + "a", key + "c")) == [key + "a", key + "b"]


def test_c025_range_excludes_composite(net: Network, key: str) -> None:
    net.hospital.submit("anyone", "cput", key, "a", "b", "v")
    net.hospital.submit("anyone", "put", key, "v")
    found = value(net.hospital.evaluate("anyone", "range", "", ""))
    assert key in found
    assert not [name for name in found if name.startswith("\x00")]


def test_c026_partial_composite(net: Network, key: str) -> None:
    for first, second in (("b", "1"), ("a", "2"), ("a", "1"), ("ab", "1")):
        net.hospital.submit("anyone", "cput", key, first, second, first + second)
    assert value(net.hospital.evaluate("anyone", "crange", key, "a")) == [["a", "1", "a1"], ["a", "2", "a2"]]
    assert len(value(net.hospital.evaluate("anyone", "crange", key))) == 4


def test_c027_range_100_101_250(net: Network, key: str) -> None:
    for count in (100, 101, 250):
        prefix = f"{key}{count}-"
        net.hospital.submit("anyone", "many", prefix, str(count))
        found = value(net.hospital.evaluate("anyone", "range", prefix, end_of(prefix)))
        assert found == numbered(prefix, count)


def test_c028_range_close_early(net: Network, key: str) -> None:
    prefix = f"{key}-"
    net.hospital.submit("anyone", "many", prefix, "250")
    outcome = net.hospital.submit("anyone", "rangeFirst", prefix, end_of(prefix), "1", f"{key}!")
    assert outcome.code == VALID
    assert value(outcome.result) == numbered(prefix, 1)
    (query,) = blocks.recorded(net.hospital, outcome).namespace("anyone").range_queries_info
    assert query.end_key == numbered(prefix, 101)[-1]
    assert not query.itr_exhausted


def walk(net: Network, prefix: str, size: int) -> list[tuple[list[str], str]]:
    """The pages of a range: keys and bookmark of each, until the bookmark is empty."""
    pages, bookmark = [], ""
    while True:
        args = ("page", prefix, end_of(prefix), str(size), bookmark)
        page = value(net.hospital.evaluate("anyone", *args))
        assert page["fetched"] == len(page["keys"])
        bookmark = page["bookmark"]
        pages.append((page["keys"], bookmark))
        if not bookmark:
            return pages


def test_c029_page_walk(net: Network, key: str) -> None:
    prefix = f"{key}-"
    net.hospital.submit("anyone", "many", prefix, "25")
    names = numbered(prefix, 25)
    assert walk(net, prefix, 10) == [(names[:10], names[10]), (names[10:20], names[20]), (names[20:], "")]


def test_c030_page_exact_multiple(net: Network, key: str) -> None:
    prefix = f"{key}-"
    net.hospital.submit("anyone", "many", prefix, "20")
    names = numbered(prefix, 20)
    assert walk(net, prefix, 10) == [(names[:10], names[10]), (names[10:], "")]


def test_c031_page_then_put(net: Network, key: str) -> None:
    refusal = refused(net.hospital.submit, "anyone", "pagePut", "", "", "3", key)
    assert refusal.code == ABORTED
    assert "unsuppored transaction" in refusal.text
    assert "Writes are not allowed" in refusal.text


def test_c032_put_then_page(net: Network, key: str) -> None:
    refusal = refused(net.hospital.submit, "anyone", "putPage", "", "", "3", key)
    assert "Paginated queries are supported only in a read-only transaction" in refusal.text


def test_c033_range_then_put_ok(net: Network, key: str) -> None:
    prefix = f"{key}-"
    net.hospital.submit("anyone", "many", prefix, "3")
    outcome = net.hospital.submit("anyone", "rangePut", prefix, end_of(prefix), f"{prefix}x", "v")
    assert outcome.code == VALID
    assert value(outcome.result) == numbered(prefix, 3)


def test_c034_rich_query_leveldb(net: Network) -> None:
    refusal = refused(net.hospital.evaluate, "anyone", "rich", '{"selector":{}}')
    assert "ExecuteQuery not supported for leveldb" in refusal.text


def test_c036_history_order(net: Network, key: str) -> None:
    changes = [("put", key, "1"), ("put", key, "2"), ("put", key, "3"), ("del", key), ("put", key, "4")]
    outcomes = [net.hospital.submit("anyone", *change) for change in changes]
    entries = value(net.hospital.evaluate("anyone", "history", key))
    assert [entry["transaction"] for entry in entries] == [done.transaction_id for done in reversed(outcomes)]
    assert [entry["value"] for entry in entries] == ["4", None, "3", "2", "1"]
    assert [entry["deleted"] for entry in entries] == [False, True, False, False, False]
    for entry, done in zip(entries, reversed(outcomes), strict=True):
        stamp: Timestamp = blocks.recorded(net.hospital, done).channel_header.timestamp
        # The shim answers microseconds; the header may hold nanoseconds.
        assert entry["timestamp"][:26].ljust(26, "0")[:19] == stamp.ToJsonString()[:19]


def test_c037_history_excludes_invalid(net: Network, key: str) -> None:
    net.hospital.submit("anyone", "put", key, "first")
    late = net.hospital.endorsed("anyone", "getPut", key, "never")
    net.hospital.submit("anyone", "put", key, "second")
    assert not late.submit().status().successful
    entries = value(net.hospital.evaluate("anyone", "history", key))
    assert [entry["value"] for entry in entries] == ["second", "first"]

# SPDX-License-Identifier: Apache-2.0
"""What a chaincode sees of the ledger, what is recorded of it, and what it may not combine (rules S-15 to S-32)."""

import pytest
from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.peer import chaincode_shim_pb2, proposal_pb2, proposal_response_pb2

Message = chaincode_shim_pb2.ChaincodeMessage
Response = proposal_response_pb2.Response


def table(**functions):
    """A chaincode whose first argument names one of `functions`."""

    async def chaincode(stub):
        return await functions[stub.args[0].decode()](stub)

    return chaincode


def action_of(answer):
    payload = proposal_response_pb2.ProposalResponsePayload.FromString(answer.response.payload)
    return proposal_pb2.ChaincodeAction.FromString(payload.extension)


def results_of(answer):
    """Public read-write sets by namespace."""
    parsed = rwset_pb2.TxReadWriteSet.FromString(action_of(answer).results)
    return {entry.namespace: kv_rwset_pb2.KVRWSet.FromString(entry.rwset) for entry in parsed.ns_rwset}


async def fill(stub):
    count = int(stub.args[1])
    for number in range(count):
        await stub.put(f"k{number:04d}", b"v")
    return b""


def keys_of(response):
    return [kv_query_result_pb2.KV.FromString(entry.resultBytes).key for entry in response.results]


def test_a_transaction_does_not_see_its_own_writes(play):
    async def put_get(stub):
        await stub.put("k", b"new")
        return await stub.get("k")

    async def scenario(world):
        await world.deploy("cc", table(put_get=put_get))
        answer = await world.ask("cc", b"put_get")
        assert answer.response.response.payload == b""
        assert await world.submit("cc", b"put_get") == 0
        assert (await world.ask("cc", b"put_get")).response.response.payload == b"new"

    play(scenario)


def test_reads_writes_and_the_definition_s_sequence_are_recorded(play):
    async def touch(stub):
        await stub.get("absent")
        await stub.put("b", b"1")
        await stub.put("b", b"2")
        await stub.put("a", b"")
        await stub.put("c", b"3")
        await stub.delete("c")
        return b""

    async def scenario(world):
        await world.deploy("cc", table(touch=touch))
        answer = await world.ask("cc", b"touch")
        results = results_of(answer)
        assert list(results) == ["_lifecycle", "cc"]
        sequence = results["_lifecycle"].reads
        assert [read.key for read in sequence] == ["namespaces/fields/cc/Sequence"]
        assert sequence[0].HasField("version")
        assert [(read.key, read.HasField("version")) for read in results["cc"].reads] == [("absent", False)]
        assert [(w.key, w.value, w.is_delete) for w in results["cc"].writes] == [
            ("a", b"", True),
            ("b", b"2", False),
            ("c", b"", True),
        ]
        assert action_of(answer).chaincode_id.name == "cc"
        assert action_of(answer).chaincode_id.version == "1.0"

    play(scenario)


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 200, 250])
def test_ranges_come_in_batches_and_a_promised_batch_is_never_empty(play, count):
    async def scan(stub):
        response = await stub.range("", "")
        seen = keys_of(response)
        while response.has_more:
            request = chaincode_shim_pb2.QueryStateNext(id=response.id)
            answer = await stub.ask(Message.QUERY_STATE_NEXT, request)
            response = chaincode_shim_pb2.QueryResponse.FromString(answer)
            assert response.results
            seen += keys_of(response)
        with pytest.raises(Exception, match=r"QUERY_STATE_NEXT failed: transaction ID: .*: query iterator not found"):
            await stub.ask(Message.QUERY_STATE_NEXT, chaincode_shim_pb2.QueryStateNext(id=response.id))
        return " ".join(seen).encode()

    async def scenario(world):
        await world.deploy("cc", table(fill=fill, scan=scan))
        if count:
            assert await world.submit("cc", b"fill", str(count).encode()) == 0
        answer = await world.ask("cc", b"scan")
        assert answer.response.response.payload.decode().split() == [f"k{number:04d}" for number in range(count)]
        (info,) = results_of(answer)["cc"].range_queries_info
        assert (info.start_key, info.end_key, info.itr_exhausted) == ("", "", True)
        assert info.HasField("reads_merkle_hashes") == (count > 50)

    play(scenario)


def test_a_range_closed_early_records_the_look_ahead(play):
    async def peek(stub):
        response = await stub.range("k", "")
        assert response.has_more
        close = await stub.ask(Message.QUERY_STATE_CLOSE, chaincode_shim_pb2.QueryStateClose(id=response.id))
        closed = chaincode_shim_pb2.QueryResponse.FromString(close)
        assert (closed.has_more, closed.id) == (False, response.id)
        return b""

    async def scenario(world):
        await world.deploy("cc", table(fill=fill, peek=peek))
        await world.submit("cc", b"fill", b"250")
        (info,) = results_of(await world.ask("cc", b"peek"))["cc"].range_queries_info
        assert (info.end_key, info.itr_exhausted) == ("k0100", False)

    play(scenario)


def test_keys_are_ordered_by_their_utf_8_bytes_and_bounds_are_half_open(play):
    names = ["é", "z", "Z", "\U0001d518", "\ufffd", "\x00t\x00a\x00"]

    async def put_all(stub):
        for name in names:
            await stub.put(name, b"v")
        return b""

    async def scan(stub):
        start, end = (argument.decode() for argument in stub.args[1:])
        return "|".join(keys_of(await stub.range(start, end))).encode()

    async def scenario(world):
        await world.deploy("cc", table(put=put_all, scan=scan))
        await world.submit("cc", b"put")

        async def scanned(start: str, end: str):
            answer = await world.ask("cc", b"scan", start.encode(), end.encode())
            return answer.response.response.payload.decode().split("|")

        assert await scanned("", "") == sorted(names, key=str.encode)
        assert "\x00t\x00a\x00" not in await scanned("\x01", "")
        assert await scanned("\x00t\x00", "\x00t\x00\U0010ffff") == ["\x00t\x00a\x00"]
        assert await scanned("Z", "z") == ["Z"]

    play(scenario)


def test_pages_carry_a_bookmark_and_forbid_writes_in_both_orders(play):
    async def walk(stub):
        size, bookmark = int(stub.args[1]), ""
        pages = []
        while True:
            response = await stub.range("", "", size=size, bookmark=bookmark)
            assert not response.has_more
            metadata = chaincode_shim_pb2.QueryResponseMetadata.FromString(response.metadata)
            assert metadata.fetched_records_count == len(response.results)
            pages.append(f"{len(response.results)}:{metadata.bookmark}")
            bookmark = metadata.bookmark
            if not bookmark:
                return " ".join(pages).encode()

    async def page_put(stub):
        await stub.range("", "", size=2, bookmark="")
        await stub.put("x", b"v")
        return b""

    async def put_page(stub):
        await stub.put("x", b"v")
        await stub.range("", "", size=2, bookmark="")
        return b""

    async def range_put(stub):
        await stub.range("", "")
        await stub.put("x", b"v")
        return b""

    async def scenario(world):
        await world.deploy("cc", table(fill=fill, walk=walk, page_put=page_put, put_page=put_page, range_put=range_put))
        await world.submit("cc", b"fill", b"25")
        answer = await world.ask("cc", b"walk", b"10")
        assert answer.response.response.payload == b"10:k0010 10:k0020 5:"
        infos = results_of(answer)["cc"].range_queries_info
        assert [(i.start_key, i.end_key, i.itr_exhausted) for i in infos] == [
            ("", "k0009", False),
            ("k0010", "k0019", False),
            ("k0020", "", True),
        ]
        assert (await world.ask("cc", b"walk", b"5")).response.response.payload.endswith(b" 5:")
        after = (await world.ask("cc", b"page_put")).response
        assert not after.endorsement.signature
        assert after.response.message.startswith("PUT_STATE failed: transaction ID: ")
        assert after.response.message.endswith(
            "]: unsuppored transaction. Transaction has already performed a paginated query. Writes are not allowed"
        )
        before = (await world.ask("cc", b"put_page")).response.response
        assert before.message.endswith(
            "]: unsuppored transaction. Paginated queries are supported only in a read-only transaction"
        )
        assert await world.submit("cc", b"range_put") == 0

    play(scenario)


def test_results_beyond_the_limit_are_cut_off_silently(play):
    async def count(stub):
        return str(len((await stub.range("", "")).results)).encode()

    async def scenario(world):
        await world.deploy("cc", table(fill=fill, count=count))
        await world.submit("cc", b"fill", b"80")
        answer = await world.ask("cc", b"count")
        assert answer.response.response.payload == b"50"
        (info,) = results_of(answer)["cc"].range_queries_info
        assert (info.end_key, info.itr_exhausted) == ("k0049", False)

    play(scenario, query_limit=50)


def test_rich_queries_are_refused_as_by_a_key_value_database(play):
    async def rich(stub):
        metadata = chaincode_shim_pb2.QueryMetadata(pageSize=int(stub.args[1])).SerializeToString()
        request = chaincode_shim_pb2.GetQueryResult(query="{}", metadata=metadata)
        return await stub.ask(Message.GET_QUERY_RESULT, request)

    async def scenario(world):
        await world.deploy("cc", table(rich=rich))
        plain = (await world.ask("cc", b"rich", b"0")).response.response.message
        assert plain.startswith("GET_QUERY_RESULT failed: transaction ID: ")
        assert plain.endswith(": ExecuteQuery not supported for leveldb")
        paged = (await world.ask("cc", b"rich", b"3")).response.response.message
        assert paged.endswith(": ExecuteQueryWithMetadata not supported for leveldb")

    play(scenario)


def test_history_is_newest_first_and_is_not_recorded(play):
    async def put(stub):
        if len(stub.args) == 1:
            await stub.delete("k")
        else:
            await stub.put("k", stub.args[1])
        return b""

    async def history(stub):
        answer = await stub.ask(Message.GET_HISTORY_FOR_KEY, chaincode_shim_pb2.GetHistoryForKey(key="k"))
        changes = [
            kv_query_result_pb2.KeyModification.FromString(entry.resultBytes)
            for entry in chaincode_shim_pb2.QueryResponse.FromString(answer).results
        ]
        assert all(change.timestamp.seconds and change.tx_id for change in changes)
        return b" ".join(b"-" if change.is_delete else change.value for change in changes)

    async def scenario(world):
        await world.deploy("cc", table(put=put, history=history))
        for arguments in ([b"put", b"1"], [b"put", b"2"], [b"put"], [b"put", b"3"]):
            assert await world.submit("cc", *arguments) == 0
        answer = await world.ask("cc", b"history")
        assert answer.response.response.payload == b"3 - 2 1"
        assert not results_of(answer).get("cc", kv_rwset_pb2.KVRWSet()).reads

    play(scenario)


def test_metadata_is_replaced_whole_and_reading_it_reads_the_key(play):
    async def set_policy(stub):
        await stub.put("k", b"v")
        await stub.set_policy("k", b"policy")
        return b""

    async def get_policy(stub):
        answer = await stub.ask(Message.GET_STATE_METADATA, chaincode_shim_pb2.GetStateMetadata(key="k"))
        (entry,) = chaincode_shim_pb2.StateMetadataResult.FromString(answer).entries
        assert entry.metakey == "VALIDATION_PARAMETER"
        return entry.value

    async def scenario(world):
        await world.deploy("cc", table(set=set_policy, get=get_policy))
        (write,) = results_of(await world.ask("cc", b"set"))["cc"].metadata_writes
        assert [(entry.name, entry.value) for entry in write.entries] == [("VALIDATION_PARAMETER", b"policy")]
        await world.submit("cc", b"set")
        answer = await world.ask("cc", b"get")
        assert answer.response.response.payload == b"policy"
        assert [read.key for read in results_of(answer)["cc"].reads] == ["k"]

    play(scenario)


def test_batches_apply_in_order_and_many_keys_are_read_at_once(play):
    record = chaincode_shim_pb2.WriteRecord

    async def batch(stub):
        records = [
            record(key="a", value=b"1", type=record.PUT_STATE),
            record(key="a", value=b"2", type=record.PUT_STATE),
            record(key="b", value=b"3", type=record.PUT_STATE),
            record(key="b", type=record.DEL_STATE),
        ]
        if len(stub.args) > 1:
            records.append(record(key="c"))
        await stub.ask(Message.WRITE_BATCH_STATE, chaincode_shim_pb2.WriteBatchState(rec=records))
        return b""

    async def many(stub):
        request = chaincode_shim_pb2.GetStateMultiple(keys=["b", "a", "nope"])
        answer = await stub.ask(Message.GET_STATE_MULTIPLE, request)
        return b"|".join(chaincode_shim_pb2.GetStateMultipleResult.FromString(answer).values)

    async def scenario(world):
        await world.deploy("cc", table(batch=batch, many=many))
        assert await world.submit("cc", b"batch") == 0
        assert (await world.ask("cc", b"many")).response.response.payload == b"|2|"
        failed = (await world.ask("cc", b"batch", b"bad")).response.response.message
        assert failed.startswith("WRITE_BATCH_STATE failed: transaction ID: ")
        assert failed.endswith(": unknown operation type 0")

    play(scenario)

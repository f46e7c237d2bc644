# SPDX-License-Identifier: Apache-2.0
"""What explorers and tools ask: blocks, transactions, channels, configuration (rules L-13 to L-15)."""

from fabric_protos.common import common_pb2, configtx_pb2, ledger_pb2
from fabric_protos.peer import proposal_pb2, proposal_response_pb2, query_pb2, transaction_pb2

from network.embedded.blocks import header_hash


async def nothing(stub):
    return b""


async def ask(world, name: str, *args: bytes, **options):
    answer = await world.ask(name, *args, **options)
    assert answer.error is None
    return answer.response


async def refused(world, *args: bytes, name="qscc", **options) -> str:
    response = await ask(world, name, *args, **options)
    assert response.response.status == 500
    return response.response.message


def test_blocks_and_transactions_are_found_by_every_key(play):
    async def scenario(world):
        await world.deploy("cc", nothing)
        assert await world.submit("cc") == 0
        store = world.node.channels["pedigree"].store
        newest = store.block(store.height - 1)
        response = await ask(world, "qscc", b"GetChainInfo", b"pedigree")
        info = ledger_pb2.BlockchainInfo.FromString(response.response.payload)
        assert info.height == store.height
        assert info.currentBlockHash == header_hash(newest.header)
        assert info.previousBlockHash == newest.header.previous_hash
        payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(newest.data.data[0]).payload)
        txid = common_pb2.ChannelHeader.FromString(payload.header.channel_header).tx_id.encode()
        for arguments in (
            (b"GetBlockByNumber", b"pedigree", str(store.height - 1).encode()),
            (b"GetBlockByNumber", b"pedigree", b"18446744073709551615"),
            (b"GetBlockByHash", b"pedigree", header_hash(newest.header)),
            (b"GetBlockByTxID", b"pedigree", txid),
        ):
            found = await ask(world, "qscc", *arguments)
            assert common_pb2.Block.FromString(found.response.payload) == newest
        found = await ask(world, "qscc", b"GetTransactionByID", b"pedigree", txid)
        processed = transaction_pb2.ProcessedTransaction.FromString(found.response.payload)
        assert processed.validationCode == 0
        assert processed.transactionEnvelope.SerializeToString() == newest.data.data[0]

    play(scenario)


def test_the_answer_is_endorsed_without_results_and_needs_nobody(play):
    async def scenario(world):
        response = await ask(world, "qscc", b"GetChainInfo", b"pedigree")
        payload = proposal_response_pb2.ProposalResponsePayload.FromString(response.payload)
        action = proposal_pb2.ChaincodeAction.FromString(payload.extension)
        assert (action.results, action.chaincode_id.version) == (b"", "syscc")
        assert response.endorsement.signature
        assert not response.interest.chaincodes

    play(scenario)


def test_what_is_not_there_is_told_in_fabric_s_words(play):
    async def scenario(world):
        assert await refused(world, b"GetTransactionByID", b"pedigree", b"ab") == (
            "Failed to get transaction with id ab, error no such transaction ID [ab] in index"
        )
        assert await refused(world, b"GetBlockByNumber", b"pedigree", b"999999") == (
            "Failed to get block number 999999, error no such block number [999999] in index"
        )
        assert "no such transaction ID [ab] in index" in await refused(world, b"GetBlockByTxID", b"pedigree", b"ab")
        assert "no such block hash [6162] in index" in await refused(world, b"GetBlockByHash", b"pedigree", b"ab")
        assert await refused(world, b"GetChainInfo", b"nochan") == "Invalid chain ID, nochan"
        assert "no such block number [18446744073709551614]" in await refused(
            world, b"GetBlockByNumber", b"pedigree", b"18446744073709551614"
        )
        assert "no such block number [7777]" in await refused(
            world, b"GetBlockByNumber", b"pedigree", b"0" * 5_000 + b"7777"
        )
        assert await refused(world, b"GetBlockByNumber", b"pedigree") == "missing 3rd argument for GetBlockByNumber"
        assert await refused(world, b"Nonsense", b"pedigree") == "Requested function Nonsense not found."
        assert await refused(world, b"GetChainInfo") == "Incorrect number of arguments, 1"
        for number in (b"-1", b"x", b"", "٣".encode(), b"18446744073709551616", b"9" * 5_000):
            assert "Failed to parse block number" in await refused(world, b"GetBlockByNumber", b"pedigree", number)

    play(scenario)


def test_readers_are_enough_and_other_channels_have_their_own_readers(play):
    async def scenario(world):
        assert (await ask(world, "qscc", b"GetChainInfo", b"pedigree", user="peer")).response.status == 200
        message = await refused(world, b"GetChainInfo", b"second", by="RegulatorMSP")
        assert message.startswith("access denied for [GetChainInfo][second]: [Failed evaluating policy on signed data")
        assert (await ask(world, "qscc", b"GetChainInfo", b"second")).response.status == 200

    play(scenario)


def test_configuration_and_channels(play):
    async def scenario(world):
        listed = await ask(world, "cscc", b"GetChannels", channel_id="")
        channels = query_pb2.ChannelQueryResponse.FromString(listed.response.payload).channels
        assert [channel.channel_id for channel in channels] == ["pedigree", "second"]
        assert not listed.endorsement.signature
        assert not listed.payload
        await world.deploy("cc", nothing)
        block = await ask(world, "cscc", b"GetConfigBlock", b"pedigree")
        assert common_pb2.Block.FromString(block.response.payload).header.number == 0
        config = await ask(world, "cscc", b"GetChannelConfig", b"pedigree")
        parsed = configtx_pb2.Config.FromString(config.response.payload)
        assert "Application" in parsed.channel_group.groups
        assert "not found" in await refused(world, b"Nonsense", name="cscc")
        assert "Invalid channel ID" in await refused(world, b"GetConfigBlock", b"nochan", name="cscc")
        foreign = await world.ask("cscc", b"GetChannels", by="LabMSP")
        assert foreign.response.response.message.startswith("access denied for [GetChannels]")

    play(scenario)


def test_a_channel_less_call_by_another_organisation_is_a_stranger_s(play):
    async def scenario(world):
        answer = await world.ask("cscc", b"GetChannels", by="LabMSP", channel_id="")
        assert answer.error == (
            "error validating proposal: access denied: channel [] creator org unknown, creator is malformed"
        )
        answer = await world.ask("cc", b"x", channel_id="")
        assert answer.error is None
        assert answer.response.response.message.startswith("make sure the chaincode cc has been successfully defined")

    play(scenario)

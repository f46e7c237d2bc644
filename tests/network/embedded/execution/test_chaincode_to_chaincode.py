# SPDX-License-Identifier: Apache-2.0
"""Chaincode that calls chaincode, and initialisation (rules S-37 to S-41)."""

from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.peer import chaincode_pb2, chaincode_shim_pb2, proposal_pb2, proposal_response_pb2

INITIALIZED = "\x00\U0010ffffinitialized"
Message = chaincode_shim_pb2.ChaincodeMessage
Response = proposal_response_pb2.Response


def results_of(answer):
    payload = proposal_response_pb2.ProposalResponsePayload.FromString(answer.response.payload)
    action = proposal_pb2.ChaincodeAction.FromString(payload.extension)
    parsed = rwset_pb2.TxReadWriteSet.FromString(action.results)
    return {entry.namespace: kv_rwset_pb2.KVRWSet.FromString(entry.rwset) for entry in parsed.ns_rwset}


def events_of(answer):
    payload = proposal_response_pb2.ProposalResponsePayload.FromString(answer.response.payload)
    return proposal_pb2.ChaincodeAction.FromString(payload.extension).events


async def caller(stub):
    """Call the named chaincode with the rest of the arguments; answer what it answered, or the peer's refusal."""
    await stub.put("mine", b"1")
    try:
        response = await stub.invoke(stub.args[0].decode(), *stub.args[1:])
    except Exception as error:
        return str(error).encode()
    return f"{response.status} {response.message} {response.payload.decode()}".encode()


def callee_with(kit):
    async def callee(stub):
        stub.event = kit.event("FromCallee")
        seen = await stub.get("theirs")
        await stub.put("theirs", stub.args[0])
        if stub.args[0] == b"fail":
            return Response(status=500, message="refused")
        return seen

    return callee


def test_on_the_same_channel_both_namespaces_are_in_one_transaction(play, kit):
    async def scenario(world):
        await world.deploy("caller", caller)
        await world.deploy("callee", callee_with(kit))
        answer = await world.ask("caller", b"callee:9.9", b"x")
        assert answer.response.response.payload == b"200  "
        results = results_of(answer)
        assert [write.key for write in results["callee"].writes] == ["theirs"]
        assert [write.key for write in results["caller"].writes] == ["mine"]
        assert [read.key for read in results["_lifecycle"].reads] == [
            "namespaces/fields/callee/Sequence",
            "namespaces/fields/caller/Sequence",
        ]
        assert events_of(answer) == b""
        assert {call.name for call in answer.response.interest.chaincodes} == {"caller", "callee"}

    play(scenario)


def test_what_a_failing_callee_wrote_stays(play, kit):
    async def scenario(world):
        await world.deploy("caller", caller)
        await world.deploy("callee", callee_with(kit))
        answer = await world.ask("caller", b"callee", b"fail")
        assert answer.response.response.payload == b"500 refused "
        assert [write.key for write in results_of(answer)["callee"].writes] == ["theirs"]

    play(scenario)


def test_on_another_channel_nothing_is_recorded(play, kit):
    async def scenario(world):
        orgs = ("HospitalMSP", "LabMSP")
        await world.deploy("caller", caller)
        processes = await world.deploy("callee", callee_with(kit), orgs=orgs, channel_id="second")
        assert await world.submit("callee", b"there", orgs=orgs, channel_id="second") == 0
        answer = await world.ask("caller", b"callee/second", b"x")
        assert answer.response.response.payload == b"200  there"
        assert list(results_of(answer)) == ["_lifecycle", "caller"]
        refused = await world.ask("caller", b"callee/second", b"x", by="RegulatorMSP")
        assert b"Failed evaluating policy on signed data during check policy on channel [second]" in (
            refused.response.response.payload
        )
        assert processes["HospitalMSP"].connections == 1

    play(scenario)


def test_refused_calls_have_their_texts_and_failed_look_ups_are_recorded(play):
    async def scenario(world):
        await world.deploy("caller", caller)

        async def refusal(name: bytes) -> str:
            return (await world.ask("caller", name)).response.response.payload.decode()

        unknown = await world.ask("caller", b"nope")
        text = unknown.response.response.payload.decode()
        assert text.startswith("INVOKE_CHAINCODE failed: transaction ID: ")
        assert text.endswith(
            ": execute failed: invalid invocation: [channel pedigree] failed to get chaincode container info for nope: "
            "chaincode nope not found"
        )
        results = results_of(unknown)
        assert [(read.key, read.HasField("version")) for read in results["lscc"].reads] == [("nope", False)]
        assert "namespaces/fields/nope/Sequence" in [read.key for read in results["_lifecycle"].reads]
        assert "(pedigree) exists" in await refusal(b"caller")
        assert (await refusal(b"caller/nochan")).endswith(": Failed to get policy manager for channel [nochan]")
        assert (await refusal(b"_lifecycle/nochan")).endswith(": failed to find ledger for channel: nochan")
        assert (await world.ask("caller", b"qscc", b"GetChainInfo", b"pedigree")).response.response.payload.startswith(
            b"500 Rejecting invoke of QSCC from another chaincode"
        )
        assert (await refusal(b"cscc")).startswith("500 Incorrect number of arguments")

    play(scenario)


def test_a_call_without_a_specification_panics_as_a_peer_does(play):
    async def bare(stub):
        await stub.ask(Message.INVOKE_CHAINCODE, chaincode_pb2.ChaincodeInput(args=[b"x"]))

    async def scenario(world):
        await world.deploy("cc", bare)
        message = (await world.ask("cc")).response.response.message
        assert message.startswith("INVOKE_CHAINCODE failed: transaction ID: ")
        assert message.endswith(": panic during execution")

    play(scenario)


def test_initialisation_is_demanded_once_for_each_version(play):
    async def noted(stub):
        return b"init" if stub.message.type == Message.INIT else b"invoke"

    async def scenario(world):
        await world.deploy("cc", noted, init_required=True)

        async def told(**options) -> str:
            answer = (await world.ask("cc", **options)).response
            assert answer.response.status == 500
            assert not answer.payload
            return answer.response.message.partition("invalid invocation: ")[2]

        assert await told() == "chaincode 'cc' has not been initialized for this version, must call as init first"
        answer = await world.ask("cc", is_init=True)
        assert answer.response.response.payload == b"init"
        assert [(w.key, w.value) for w in results_of(answer)["cc"].writes] == [(INITIALIZED, b"1.0")]
        assert await world.submit("cc", is_init=True) == 0
        assert await told(is_init=True) == "chaincode 'cc' is already initialized but called as init"
        answer = await world.ask("cc")
        assert answer.response.response.payload == b"invoke"
        assert [read.key for read in results_of(answer)["cc"].reads] == [INITIALIZED]
        await world.deploy("cc", noted, init_required=True, sequence=2, policy="OR('HospitalMSP.peer')")
        assert (await world.ask("cc")).response.response.status == 200
        await world.deploy("cc", noted, init_required=True, sequence=3, version="1.1")
        assert "has not been initialized for this version" in await told()

    play(scenario)


def test_init_is_refused_where_it_is_not_demanded(play):
    async def nothing(stub):
        return b""

    async def scenario(world):
        await world.deploy("cc", nothing)
        message = (await world.ask("cc", is_init=True)).response.response.message
        assert message.startswith("error in simulation: failed to execute transaction ")
        assert message.endswith(
            ": invalid invocation: chaincode 'cc' does not require initialization but called as init"
        )

    play(scenario)

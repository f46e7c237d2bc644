# SPDX-License-Identifier: Apache-2.0
"""What becomes of a chaincode's answer: status, texts, endorsement, interest (rules S-16 to S-19, R-17 to R-20)."""

import asyncio

from fabric_protos.peer import chaincode_event_pb2, proposal_pb2, proposal_response_pb2

from network.embedded.policy import parse

Response = proposal_response_pb2.Response


def table(**functions):
    """A chaincode whose first argument names one of `functions`."""

    async def chaincode(stub):
        return await functions[stub.args[0].decode()](stub)

    return chaincode


def action_of(answer):
    payload = proposal_response_pb2.ProposalResponsePayload.FromString(answer.response.payload)
    return proposal_pb2.ChaincodeAction.FromString(payload.extension)


STATUSES = [
    (0, "endorsed"),
    (100, "endorsed"),
    (200, "endorsed"),
    (399, "endorsed"),
    (400, "response only"),
    (499, "response only"),
    (500, "response and payload"),
    (777, "response and payload"),
]


def test_the_status_decides_what_the_answer_holds(play, kit):
    async def status(stub):
        stub.event = kit.event("Done", b"payload")
        return Response(status=int(stub.args[1]), message="m", payload=b"p")

    async def scenario(world):
        await world.deploy("cc", table(status=status))
        for number, kind in STATUSES:
            answer = await world.ask("cc", b"status", str(number).encode())
            assert answer.error is None
            assert answer.response.response == Response(status=number, message="m", payload=b"p")
            assert bool(answer.response.endorsement.signature) == (kind == "endorsed"), number
            assert bool(answer.response.payload) == (kind != "response only"), number
            if kind == "endorsed":
                event = chaincode_event_pb2.ChaincodeEvent.FromString(action_of(answer).events)
                assert (event.chaincode_id, event.event_name, event.payload) == ("cc", "Done", b"payload")
                assert event.tx_id not in ("", "forged")
            elif answer.response.payload:
                assert action_of(answer).events == b""

    play(scenario)


def test_an_answer_that_cannot_be_read_is_a_failure_of_its_own(play):
    class Junk:
        def SerializeToString(self):  # noqa: N802 - the name is protobuf's
            return b"\xff\xff"

    async def junk(stub):
        return Junk()

    async def scenario(world):
        await world.deploy("cc", junk)
        message = (await world.ask("cc")).response.response.message
        assert message.startswith("error in simulation: failed to unmarshal response for transaction ")

    play(scenario)


def test_an_error_message_and_a_slow_chaincode_have_their_texts(play):

    async def throw(stub):
        raise RuntimeError("broken inside")

    async def sleep(stub):
        await asyncio.sleep(3)
        return await stub.get("late")

    async def scenario(world):
        await world.deploy("cc", table(throw=throw, sleep=sleep))
        answer = (await world.ask("cc", b"throw")).response
        assert answer.response.message == "error in simulation: transaction returned with failure: broken inside"
        assert not answer.payload
        answer = (await world.ask("cc", b"sleep")).response
        assert answer.response.message.startswith("error in simulation: failed to execute transaction ")
        assert answer.response.message.endswith(": error sending: timeout expired while executing transaction")
        assert not answer.payload

    play(scenario, execute_timeout_s=1.0)


def test_the_endorsement_is_the_organisation_s_own_over_payload_and_identity(play):
    async def nothing(stub):
        return b""

    async def scenario(world):
        await world.deploy("cc", nothing)
        config = world.node.channels["pedigree"].config
        signed = world.propose("cc")
        payloads = set()
        for org in world.node.orgs:
            response = (await world.node.orgs[org].endorser.process(signed)).response
            endorser = config.msps.deserialise(response.endorsement.endorser)
            assert endorser.msp_id == org
            endorser.verify(response.payload + response.endorsement.endorser, response.endorsement.signature)
            payloads.add(response.payload)
        assert len(payloads) == 1

    play(scenario)


def test_the_interest_names_whoever_must_endorse_each_key(play):
    policy = parse("OR('LabMSP.peer')").SerializeToString()

    async def touch(stub):
        for name in stub.args[1:]:
            await stub.put(name.decode(), b"v")
        return b""

    async def guard(stub):
        await stub.put("guarded", b"v")
        await stub.set_policy("guarded", stub.args[1])
        return b""

    async def scenario(world):
        await world.deploy("cc", table(touch=touch, guard=guard))

        async def interest(*args: bytes):
            (call,) = (await world.ask("cc", *args)).response.interest.chaincodes
            return (
                call.name,
                [entry.SerializeToString() for entry in call.key_policies],
                call.disregard_namespace_policy,
            )

        assert not (await world.ask("cc", b"touch")).response.interest.chaincodes
        assert await interest(b"touch", b"other") == ("cc", [], False)
        # A key that is new goes by the chaincode's policy even when it is given its own in the same transaction.
        assert await interest(b"guard", policy) == ("cc", [], False)
        assert await world.submit("cc", b"guard", policy) == 0
        assert await interest(b"touch", b"guarded") == ("cc", [policy], True)
        assert await interest(b"touch", b"guarded", b"other") == ("cc", [policy], False)
        code = await world.submit("cc", b"guard", b"\xff\xff", orgs=("LabMSP", "HospitalMSP"))
        assert code == 0
        broken = (await world.ask("cc", b"touch", b"guarded")).response.response
        assert broken.message.startswith(
            "error in simulation: the endorsement policy of key 'guarded' cannot be parsed"
        )

    play(scenario)

# SPDX-License-Identifier: Apache-2.0
"""From a package to a committed value: the whole path on a real node with real chaincode streams."""

import asyncio


async def basic(stub):
    function, *rest = (argument.decode() for argument in stub.args)
    if function == "put":
        await stub.put(rest[0], rest[1].encode())
        return b"ok"
    if function == "get":
        return await stub.get(rest[0])
    old = await stub.get(rest[0])
    await stub.put(rest[0], rest[1].encode())
    return old


def test_a_value_is_endorsed_by_two_organisations_committed_and_read_by_a_third(play):
    async def scenario(world):
        processes = await world.deploy("basic", basic)
        assert await world.submit("basic", b"put", b"k", b"v1") == 0
        assert await world.submit("basic", b"getPut", b"k", b"v2") == 0
        answer = await world.ask("basic", b"get", b"k", org="RegulatorMSP")
        assert answer.response.response.payload == b"v2"
        assert [processes[org].connections for org in processes] == [1, 1, 1]

    play(scenario)


def test_a_hundred_proposals_at_once_share_one_stream(play):
    async def scenario(world):
        processes = await world.deploy("basic", basic)
        answers = await asyncio.gather(*(world.ask("basic", b"getPut", b"k%d" % i, b"v") for i in range(100)))
        assert all(answer.response.endorsement.signature for answer in answers)
        assert processes["HospitalMSP"].connections == 1

    play(scenario)

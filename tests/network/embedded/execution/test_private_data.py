# SPDX-License-Identifier: Apache-2.0
"""Private data in a simulation: who may, who holds it, what is recorded, who is told (S-33 to S-38, R-10 to R-16)."""

from hashlib import sha256

import pytest
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.peer import chaincode_shim_pb2, proposal_pb2, proposal_response_pb2

from network.embedded.policy import parse

Message = chaincode_shim_pb2.ChaincodeMessage
MEMBERS = "OR('HospitalMSP.member','LabMSP.member')"
OPEN = {"name": "open", "members": MEMBERS}
CLOSED = {"name": "closed", "members": MEMBERS, "member_only_read": True, "member_only_write": True}


async def probe(stub):
    """Carry out one private call, named by the first argument."""
    name, collection = (argument.decode() for argument in stub.args[:2])
    shim = chaincode_shim_pb2
    if name == "put":
        await stub.put("k", b"secret", collection)
        return b""
    if name == "get":
        return await stub.get("k", collection)
    if name == "range":
        return str(len((await stub.range("", "", collection=collection)).results)).encode()
    if name == "range_put":
        await stub.range("", "", collection=collection)
        await stub.put("x", b"v")
    if name == "put_range":
        await stub.put("x", b"v")
        await stub.range("", "", collection=collection)
    if name == "policy":
        await stub.set_policy("k", parse("OR('LabMSP.peer')").SerializeToString(), collection)
        return b""
    if name == "many":
        answer = await stub.ask(Message.GET_STATE_MULTIPLE, shim.GetStateMultiple(keys=["k"], collection=collection))
        return shim.GetStateMultipleResult.FromString(answer).values[0]
    requests = {
        "hash": (Message.GET_PRIVATE_DATA_HASH, shim.GetState(key="k", collection=collection)),
        "delete": (Message.DEL_STATE, shim.DelState(key="k", collection=collection)),
        "purge": (Message.PURGE_PRIVATE_DATA, shim.PurgePrivateState(key="k", collection=collection)),
        "metadata": (Message.GET_STATE_METADATA, shim.GetStateMetadata(key="k", collection=collection)),
    }
    return await stub.ask(*requests[name])


def hashed_of(answer):
    payload = proposal_response_pb2.ProposalResponsePayload.FromString(answer.response.payload)
    action = proposal_pb2.ChaincodeAction.FromString(payload.extension)
    for entry in rwset_pb2.TxReadWriteSet.FromString(action.results).ns_rwset:
        if entry.namespace == "cc":
            (collection,) = entry.collection_hashed_rwset
            return kv_rwset_pb2.HashedRWSet.FromString(collection.hashed_rwset), collection.pvt_rwset_hash
    raise AssertionError("nothing recorded")


def refusal_of(answer) -> str:
    assert not answer.response.endorsement.signature
    return answer.response.response.message


def test_members_read_cleartext_and_everybody_reads_hashes(play):
    async def scenario(world):
        await world.deploy("cc", probe, collections=[OPEN])
        assert await world.submit("cc", b"put", b"open") == 0
        for org in ("HospitalMSP", "LabMSP"):
            assert (await world.ask("cc", b"get", b"open", org=org)).response.response.payload == b"secret"
        stranger = refusal_of(await world.ask("cc", b"get", b"open", org="RegulatorMSP"))
        assert (
            ": private data matching public hash version is not available. Public hash version = {BlockNum: "
            in stranger
        )
        assert stranger.endswith("}, Private data version = <nil>")
        for org in world.node.orgs:
            answer = await world.ask("cc", b"hash", b"open", org=org)
            assert answer.response.response.payload == sha256(b"secret").digest()
        assert (await world.ask("cc", b"many", b"open", org="RegulatorMSP")).response.response.payload == b""
        assert (await world.ask("cc", b"range", b"open", org="RegulatorMSP")).response.response.payload == b"0"
        assert (await world.ask("cc", b"range", b"open", org="LabMSP")).response.response.payload == b"1"

    play(scenario)


def test_a_private_write_is_recorded_by_its_hashes_and_kept_in_the_clear_elsewhere(play):
    async def scenario(world):
        await world.deploy("cc", probe, collections=[OPEN])
        answer = await world.ask("cc", b"put", b"open")
        hashed, digest = hashed_of(answer)
        (write,) = hashed.hashed_writes
        assert (write.key_hash, write.value_hash) == (sha256(b"k").digest(), sha256(b"secret").digest())
        assert len(digest) == 32
        assert b"secret" not in answer.response.SerializeToString()
        (call,) = answer.response.interest.chaincodes
        assert (call.name, list(call.collection_names), call.no_private_reads) == ("cc", ["open"], True)

    play(scenario)


def test_every_private_call_reads_the_whole_definition(play):
    async def scenario(world):
        await world.deploy("cc", probe, collections=[OPEN])
        for name in (b"get", b"hash", b"put", b"metadata"):
            payload = proposal_response_pb2.ProposalResponsePayload.FromString(
                (await world.ask("cc", name, b"open")).response.payload
            )
            results = rwset_pb2.TxReadWriteSet.FromString(
                proposal_pb2.ChaincodeAction.FromString(payload.extension).results
            )
            lifecycle = kv_rwset_pb2.KVRWSet.FromString(results.ns_rwset[0].rwset)
            assert [read.key.rpartition("/")[2] for read in lifecycle.reads] == [
                "Collections",
                "EndorsementInfo",
                "Sequence",
                "ValidationInfo",
                "cc",
            ]
            assert all(read.HasField("version") for read in lifecycle.reads)

    play(scenario)


def test_reads_deletes_and_purges_are_recorded(play):
    async def scenario(world):
        await world.deploy("cc", probe, collections=[OPEN])
        hashed, digest = hashed_of(await world.ask("cc", b"get", b"open"))
        assert not hashed.hashed_reads[0].HasField("version")
        assert digest == b""
        await world.submit("cc", b"put", b"open")
        answer = await world.ask("cc", b"get", b"open")
        assert hashed_of(answer)[0].hashed_reads[0].HasField("version")
        calls = {tuple(call.collection_names): call for call in answer.response.interest.chaincodes}
        assert not calls["open",].no_private_reads
        assert () in calls
        (write,) = hashed_of(await world.ask("cc", b"delete", b"open"))[0].hashed_writes
        assert (write.is_delete, write.is_purge) == (True, False)
        (write,) = hashed_of(await world.ask("cc", b"purge", b"open"))[0].hashed_writes
        assert (write.is_delete, write.is_purge) == (True, True)
        assert refusal_of(await world.ask("cc", b"purge", b"")).endswith(": only applicable for private data")
        assert await world.submit("cc", b"purge", b"open") == 0
        assert (await world.ask("cc", b"hash", b"open", org="RegulatorMSP")).response.response.payload == b""

    play(scenario)


def test_the_client_s_organisation_decides_what_it_may(play):
    async def scenario(world):
        await world.deploy("cc", probe, collections=[OPEN, CLOSED])
        denied = {
            b"get": "read",
            b"many": "read",
            b"range": "read",
            b"metadata": "read",
            b"put": "write",
            b"delete": "write",
            b"purge": "write",
            b"policy": "write",
        }
        for name, kind in denied.items():
            message = refusal_of(await world.ask("cc", name, b"closed", by="RegulatorMSP"))
            assert message.endswith(
                f": tx creator does not have {kind} access permission on privatedata "
                "in chaincodeName:cc collectionName: closed"
            )
            assert (await world.ask("cc", name, b"closed")).response.endorsement.signature
            assert (await world.ask("cc", name, b"open", by="RegulatorMSP")).response.endorsement.signature
        answer = await world.ask("cc", b"hash", b"closed", by="RegulatorMSP")
        assert answer.response.endorsement.signature

    play(scenario)


def test_undefined_collections_have_one_text_for_hashes_and_one_for_the_rest(play):
    async def scenario(world):
        await world.deploy("cc", probe)
        for name in (b"get", b"put", b"range"):
            message = refusal_of(await world.ask("cc", name, b"nocoll"))
            assert message.endswith(": collection pedigree/cc/nocoll could not be found")
        message = refusal_of(await world.ask("cc", b"hash", b"nocoll"))
        assert message.endswith(": collection [nocoll] not defined in the collection config for chaincode [cc]")
        unknown = refusal_of(await world.ask("cc", b"get", b"_implicit_org_NoMSP"))
        assert unknown.endswith("could not be found")

    play(scenario)


def test_an_organisation_s_own_collection_needs_no_definition(play):
    async def scenario(world):
        await world.deploy("cc", probe)
        mine = b"_implicit_org_HospitalMSP"
        assert await world.submit("cc", b"put", mine, orgs=("HospitalMSP",)) == 0
        assert (await world.ask("cc", b"get", mine)).response.response.payload == b"secret"
        assert "private data matching public hash version" in refusal_of(
            await world.ask("cc", b"get", mine, org="LabMSP")
        )

    play(scenario)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (b"range_put", "Transaction has already performed queries on pvt data. Writes are not allowed"),
        (b"put_range", "Queries on pvt data is supported only in a read-only transaction"),
    ],
)
def test_queries_of_private_data_are_for_read_only_transactions(play, function, text):
    async def scenario(world):
        await world.deploy("cc", probe, collections=[OPEN])
        assert refusal_of(await world.ask("cc", function, b"open")).endswith(f"]: unsuppored transaction. {text}")

    play(scenario)


def test_too_few_members_to_tell_fail_the_simulation(play):
    async def scenario(world):
        collection = {"name": "wide", "members": MEMBERS, "required": 2, "maximum": 2}
        await world.deploy("cc", probe, collections=[collection])
        message = refusal_of(await world.ask("cc", b"put", b"wide"))
        assert message.startswith("error in simulation: failed to distribute private collection, txID ")
        assert message.endswith(
            ", channel pedigree: could not build private data dissemination plan for chaincode cc and collection wide: "
            "required to disseminate to at least 2 peers, but know of only 1 eligible peers"
        )

    play(scenario)


def test_private_data_is_closed_during_initialisation(play):
    async def scenario(world):
        await world.deploy("cc", probe, collections=[OPEN], init_required=True)
        for name in (b"get", b"put", b"hash", b"purge", b"range", b"many", b"metadata", b"policy", b"delete"):
            message = refusal_of(await world.ask("cc", name, b"open", is_init=True))
            assert message.endswith(": private data APIs are not allowed in chaincode Init()")

    play(scenario)


def test_a_key_policy_takes_the_place_of_the_collection_in_the_interest(play):
    async def scenario(world):
        await world.deploy("cc", probe, collections=[OPEN])
        await world.submit("cc", b"put", b"open")
        await world.submit("cc", b"policy", b"open")
        answer = await world.ask("cc", b"put", b"open")
        (call,) = answer.response.interest.chaincodes
        assert (call.name, list(call.collection_names), call.disregard_namespace_policy) == ("cc", [], True)
        assert list(call.key_policies) == [parse("OR('LabMSP.peer')")]

    play(scenario)

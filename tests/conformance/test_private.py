# SPDX-License-Identifier: Apache-2.0
"""Private data: rules S-33 to S-38, R-13 to R-16, V-37 to V-44."""

import hashlib

from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabricharness import blocks, messages
from fabricharness.expect import refused, value
from fabricharness.networks import MAIN, VALID, Network, Org, Outcome
from test_validation import MVCC


def read_at(org: Org, collection: str, key: str) -> str | None:
    """What an organisation's own peer holds."""
    found = org.evaluate("anyone", "pget", collection, key, endorsing_organisations=[org.mspid])
    answer: str | None = value(found)
    return answer


def write(net: Network, collection: str, key: str, secret: str) -> Outcome:
    """Write by the hospital; every peer has committed it."""
    outcome = net.hospital.submit("anyone", "pput", collection, key, transient={"value": secret.encode()})
    assert outcome.code == VALID
    return net.settle(outcome)


def hash_at(org: Org, collection: str, key: str) -> str | None:
    found = org.evaluate("anyone", "phash", collection, key, endorsing_organisations=[org.mspid])
    answer: str | None = value(found)
    return answer


def advance_to(net: Network, block: int, key: str) -> None:
    """Commit blocks until the one with this number is the newest."""
    while blocks.height(net.hospital) <= block:
        assert net.hospital.submit("anyone", "put", f"{key}-filler", "v").code == VALID
    assert blocks.height(net.hospital) == block + 1


def test_c170_pvt_member_read(net: Network, key: str) -> None:
    write(net, "pair", key, "secret")
    assert [read_at(org, "pair", key) for org in (net.hospital, net.lab)] == ["secret", "secret"]


def test_c171_pvt_nonmember_read(net: Network, key: str) -> None:
    write(net, "pair", key, "secret")
    refusal = refused(read_at, net.regulator, "pair", key)
    assert "private data matching public hash version is not available" in refusal.text


def test_c172_pvt_hash_everywhere(net: Network, key: str) -> None:
    write(net, "pair", key, "secret")
    expected = hashlib.sha256(b"secret").hexdigest()
    assert [hash_at(org, "pair", key) for org in net.orgs] == [expected] * 3


def test_c173_pvt_not_in_block(net: Network, key: str) -> None:
    secret = f"the secret of {key}"
    recorded = blocks.recorded(net.hospital, write(net, "pair", key, secret))
    assert secret.encode() not in recorded.block.SerializeToString()
    (namespace,) = [entry for entry in recorded.results.ns_rwset if entry.namespace == "anyone"]
    (collection,) = namespace.collection_hashed_rwset
    (written,) = kv_rwset_pb2.HashedRWSet.FromString(collection.hashed_rwset).hashed_writes
    assert written.key_hash == hashlib.sha256(key.encode()).digest()
    assert written.value_hash == hashlib.sha256(secret.encode()).digest()


def test_c174_member_only_read(net: Network, key: str) -> None:
    write(net, "readers", key, "secret")
    stranger = net.hospital.propose("anyone", "pget", "readers", key, member=net.regulator.user)
    refusal = refused(net.hospital.peer.evaluate_raw, stranger, organisations=["HospitalMSP"])
    assert "does not have read access permission" in refusal.text
    member = net.hospital.propose("anyone", "pget", "readers", key, member=net.lab.user)
    assert value(net.hospital.peer.evaluate_raw(member, organisations=["HospitalMSP"]).payload) == "secret"


def test_c175_member_only_write(net: Network, key: str) -> None:
    call = ("pputPlain", "writers", key, "v")
    stranger = net.hospital.propose("anyone", *call, member=net.regulator.user)
    refusal = refused(net.hospital.peer.endorse_raw, stranger, organisations=["HospitalMSP"])
    assert "does not have write access permission" in refusal.text
    assert net.hospital.submit("anyone", *call).code == VALID


def test_c176_required_peer_count(net: Network, key: str) -> None:
    refusal = refused(net.hospital.submit, "anyone", "pputPlain", "greedy", key, "v")
    assert "required to disseminate to at least 2 peers, but know of only 1" in refusal.text


def test_c177_implicit_coll_own(net: Network, key: str) -> None:
    collection = "_implicit_org_HospitalMSP"
    own = {"endorsing_organisations": ["HospitalMSP"]}
    outcome = net.settle(net.hospital.submit("anyone", "pputPlain", collection, key, "v", **own))
    assert outcome.code == VALID
    assert read_at(net.hospital, collection, key) == "v"
    assert "is not available" in refused(read_at, net.lab, collection, key).text
    assert "is not available" in refused(read_at, net.regulator, collection, key).text


def test_c178_implicit_coll_other(net: Network, key: str) -> None:
    collection = "_implicit_org_LabMSP"
    outcome = net.hospital.submit("anyone", "pputPlain", collection, key, "v", endorsing_organisations=["LabMSP"])
    assert net.settle(outcome).code == VALID
    assert read_at(net.lab, collection, key) == "v"
    # Anybody else's endorsement is not enough.
    outcome = net.hospital.submit("anyone", "pputPlain", collection, key, "w", endorsing_organisations=["HospitalMSP"])
    assert outcome.code == "ENDORSEMENT_POLICY_FAILURE"


def test_c179_undefined_collection(net: Network, key: str) -> None:
    refusal = refused(net.hospital.submit, "anyone", "pputPlain", "nocoll", key, "v")
    assert "could not be found" in refusal.text


def test_c180_pvt_range_then_write(net: Network, key: str) -> None:
    write(net, "pair", key, "secret")
    own = {"endorsing_organisations": ["HospitalMSP"]}
    found = value(net.hospital.evaluate("anyone", "prange", "pair", key, f"{key}~", **own))
    assert found == [key]
    refusal = refused(net.hospital.submit, "anyone", "prangePut", "pair", key, f"{key}~", key)
    assert "ueries on pvt data" in refusal.text


def test_c181_btl_expiry(net: Network, key: str) -> None:
    written = write(net, "passing", key, "secret").block
    advance_to(net, written + 3, key)
    assert read_at(net.hospital, "passing", key) == "secret"
    advance_to(net, written + 4, key)
    assert read_at(net.hospital, "passing", key) is None
    assert hash_at(net.hospital, "passing", key) is None


def test_c182_btl_rewrite(net: Network, key: str) -> None:
    first = write(net, "passing", key, "one").block
    advance_to(net, first + 1, key)
    second = write(net, "passing", key, "two").block
    assert second == first + 2
    advance_to(net, second + 3, key)
    assert read_at(net.hospital, "passing", key) == "two"
    advance_to(net, second + 4, key)
    assert read_at(net.hospital, "passing", key) is None


def private_values(org: Org, block: int) -> list[bytes]:
    """All cleartext that the organisation's peer delivers with a block."""
    with org.peer.seeking("DeliverWithPrivateData") as stream:
        stream.ask(messages.seek(MAIN, org.user, block, block))
        found, _ = stream.until_status()
    (delivered,) = [response.block_and_private_data for response in found]
    return [
        written.value
        for results in delivered.private_data_map.values()
        for namespace in results.ns_pvt_rwset
        for collection in namespace.collection_pvt_rwset
        for written in kv_rwset_pb2.KVRWSet.FromString(collection.rwset).writes
    ]


def test_c183_purge(net: Network, key: str) -> None:
    first = write(net, "pair", key, "secret")
    assert private_values(net.hospital, first.block) == [b"secret"]
    assert net.settle(net.hospital.submit("anyone", "ppurge", "pair", key)).code == VALID
    for org in (net.hospital, net.lab):
        assert read_at(org, "pair", key) is None
        assert hash_at(org, "pair", key) is None
        assert private_values(org, first.block) == []
    write(net, "pair", key, "again")
    assert read_at(net.lab, "pair", key) == "again"


def test_c184_pvt_mvcc(net: Network, key: str) -> None:
    write(net, "pair", key, "0")
    proposals = [net.hospital.propose("anyone", "pgetPut", "pair", key, str(n)) for n in (1, 2)]
    payloads = [net.hospital.peer.endorse_raw(proposal) for proposal in proposals]
    outcomes = [net.settle(net.finish(net.hospital, *pair)) for pair in zip(proposals, payloads, strict=True)]
    assert [outcome.code for outcome in outcomes] == [VALID, MVCC]
    assert read_at(net.lab, "pair", key) == "1"


def test_c185_pvt_in_init(net: Network, key: str) -> None:
    first = net.hospital.propose("initwrong", "pputPlain", "pair", key, "v", is_init=True)
    refusal = refused(net.hospital.peer.endorse_raw, first)
    assert "private data APIs are not allowed in chaincode Init()" in refusal.text


def test_c186_pvt_deliver(net: Network, key: str) -> None:
    outcome = write(net, "pair", key, "secret")
    assert private_values(net.hospital, outcome.block) == [b"secret"]
    assert private_values(net.regulator, outcome.block) == []


def test_c188_pvt_get_same_tx(net: Network, key: str) -> None:
    write(net, "pair", key, "old")
    outcome = net.settle(net.hospital.submit("anyone", "pputGet", "pair", key, "new"))
    assert value(outcome.result) == "old"
    assert read_at(net.lab, "pair", key) == "new"

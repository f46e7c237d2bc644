# SPDX-License-Identifier: Apache-2.0
"""How a call to chaincode ends, and chaincode that calls chaincode: rules S-1 to S-20 and S-39 to S-43."""

from concurrent.futures import ThreadPoolExecutor

from fabricharness import blocks
from fabricharness.expect import ABORTED, ENDORSEMENT_FAILED, UNKNOWN, refused, value
from fabricharness.ledgers import EXECUTE_TIMEOUT_S
from fabricharness.networks import BLOCKS, VALID, Network, Outcome, in_parallel
from test_simulation import end_of, numbered


def test_c038_status_399(net: Network) -> None:
    outcome = net.hospital.submit("anyone", "status", "399", "m")
    assert outcome.code == VALID
    assert outcome.result == b"payload"


def assert_failing_status(net: Network, status: str) -> None:
    said = f"chaincode response {status}, m"
    evaluated = refused(net.hospital.evaluate, "anyone", "status", status, "m")
    assert evaluated.code == UNKNOWN
    assert said in evaluated.text
    submitted = refused(net.hospital.submit, "anyone", "status", status, "m")
    assert submitted.code == ABORTED
    assert submitted.message == ENDORSEMENT_FAILED
    assert [(mspid, said in text) for mspid, text in submitted.details] == [("HospitalMSP", True)]


def test_c039_status_400(net: Network) -> None:
    assert_failing_status(net, "400")


def test_c040_status_500(net: Network) -> None:
    assert_failing_status(net, "500")


def test_c041_status_100(net: Network) -> None:
    refusal = refused(net.hospital.evaluate, "anyone", "status", "100", "m")
    assert refusal.code == UNKNOWN
    assert "chaincode response 100" in refusal.text


def test_c042_throw(net: Network) -> None:
    refusal = refused(net.hospital.evaluate, "anyone", "throw", "thrown on purpose")
    assert refusal.code == UNKNOWN
    assert "chaincode response 500, thrown on purpose" in refusal.text


def test_c043_execute_timeout(net: Network, key: str) -> None:
    net.hospital.submit("anyone", "put", key, "v")
    with ThreadPoolExecutor(max_workers=1) as pool:
        slow = pool.submit(
            refused,
            net.hospital.evaluate,
            "anyone",
            "sleep",
            str(EXECUTE_TIMEOUT_S + 2),
            endorsing_organisations=["HospitalMSP"],
            timeout=EXECUTE_TIMEOUT_S * 3,
        )
        # The node goes on answering others meanwhile.
        while not slow.done():
            assert value(net.hospital.evaluate("anyone", "get", key)) == "v"
    assert "timeout expired while executing transaction" in slow.result().text


def test_c044_crash_mid_tx(net: Network) -> None:
    own = {"endorsing_organisations": ["HospitalMSP"]}
    refusal = refused(net.hospital.evaluate, "callee", "crash", **own)
    assert refusal.code == ABORTED
    assert refusal.message == "failed to evaluate transaction, see attached details for more info"
    assert refusal.details[0][1].endswith("chaincode stream terminated")
    program = net.programs["callee", "hospital"]
    program.wait_until_gone()
    program.start()
    assert net.hospital.evaluate("callee", "mspid", **own) == b"HospitalMSP"


def test_c045_concurrent_100(net: Network, key: str) -> None:
    net.hospital.submit("anyone", "put", key, "v")
    answers = in_parallel([lambda: net.hospital.evaluate("anyone", "get", key)] * 100)
    assert [value(answer) for answer in answers] == ["v"] * 100


def called(outcome: Outcome) -> dict[str, object]:
    """What the caller says that the callee answered."""
    answer: dict[str, object] = value(outcome.result)
    return answer


def test_c047_cc2cc_same_channel(net: Network, key: str) -> None:
    outcome = net.hospital.submit("anyone", "putCc2cc", key, "mine", "callee", "", "put", key, "yours")
    assert outcome.code == VALID
    assert called(outcome)["status"] == 200
    assert value(net.hospital.evaluate("anyone", "get", key)) == "mine"
    assert value(net.hospital.evaluate("callee", "get", key)) == "yours"
    assert blocks.recorded(net.hospital, outcome).namespaces == ["_lifecycle", "anyone", "callee"]


def test_c048_cc2cc_error_ignored(net: Network, key: str) -> None:
    outcome = net.hospital.submit("anyone", "cc2cc", "callee", "", "putFail", key, "kept")
    assert outcome.code == VALID
    assert called(outcome)["status"] == 500
    assert value(net.hospital.evaluate("callee", "get", key)) == "kept"


def test_c049_cc2cc_other_channel(net: Network, key: str) -> None:
    net.hospital.submit("callee", "put", key, "there", channel=BLOCKS)
    read = net.hospital.submit("anyone", "cc2cc", "callee", BLOCKS, "get", key)
    assert value(str(called(read)["payload"]).encode()) == "there"
    assert blocks.recorded(net.hospital, read).namespaces == ["_lifecycle"]
    written = net.hospital.submit("anyone", "cc2cc", "callee", BLOCKS, "put", key, "changed")
    assert written.code == VALID
    assert called(written)["status"] == 200
    assert value(net.hospital.evaluate("callee", "get", key, channel=BLOCKS)) == "there"


def test_c050_self_invoke(net: Network) -> None:
    refusal = refused(net.hospital.evaluate, "anyone", "selfInvoke", "anyone")
    assert "exists" in refusal.text


def test_c051_cc2cc_unknown(net: Network) -> None:
    refusal = refused(net.hospital.evaluate, "anyone", "cc2cc", "nope", "", "get", "k")
    assert "chaincode nope not found" in refusal.text


def test_c052_cc2cc_event_dropped(net: Network) -> None:
    outcome = net.hospital.submit("anyone", "cc2cc", "callee", "", "event", "Never", "p")
    assert outcome.code == VALID
    assert blocks.recorded(net.hospital, outcome).action.events == b""


def test_c053_event_last_wins(net: Network) -> None:
    outcome = net.hospital.submit("anyone", "event2", "First", "Second")
    event = blocks.recorded(net.hospital, outcome).event
    assert (event.event_name, event.payload) == ("Second", b"2")
    assert (event.chaincode_id, event.tx_id) == ("anyone", outcome.transaction_id)


def test_c054_init_required(net: Network, key: str) -> None:
    early = refused(net.hospital.submit, "initial", "put", key, "v")
    assert "chaincode 'initial' has not been initialized for this version, must call as init first" in early.text
    first = net.hospital.propose("initial", is_init=True)
    assert net.finish(net.hospital, first, net.hospital.peer.endorse_raw(first)).code == VALID
    again = refused(net.hospital.peer.endorse_raw, net.hospital.propose("initial", is_init=True))
    assert "chaincode 'initial' is already initialized but called as init" in again.text
    assert net.hospital.submit("initial", "put", key, "v").code == VALID


def test_c055_init_not_required(net: Network) -> None:
    refusal = refused(net.hospital.peer.endorse_raw, net.hospital.propose("anyone", is_init=True))
    assert "chaincode 'anyone' does not require initialization but called as init" in refusal.text


def test_c056_transient_roundtrip(net: Network) -> None:
    secret = b"a secret that no block holds"
    assert net.hospital.evaluate("anyone", "transient", "k", transient={"k": secret}) == secret
    proposal = net.hospital.propose("anyone", "event", "Quiet", "p", transient={"k": secret})
    outcome = net.finish(net.hospital, proposal, net.hospital.peer.endorse_raw(proposal))
    assert outcome.code == VALID
    assert secret not in blocks.recorded(net.hospital, outcome).block.SerializeToString()


def test_c057_mspid_per_org(net: Network) -> None:
    for org in net.orgs:
        asked = net.hospital.evaluate("anyone", "mspid", endorsing_organisations=[org.mspid])
        assert asked.decode() == org.mspid


def test_c058_creator_and_timestamp(net: Network) -> None:
    creator = net.hospital.propose("anyone", "creator")
    assert [org.peer.respond(creator).response.payload for org in net.orgs] == [net.hospital.user.serialized] * 3
    stamped = net.hospital.propose("anyone", "timestamp")
    first, second, third = (org.peer.respond(stamped).response.payload for org in net.orgs)
    assert first == second == third


def test_c059_write_batch_150(net: Network, key: str) -> None:
    prefix = f"{key}-"
    assert net.hospital.submit("anyone", "batch", prefix, "150").code == VALID
    assert value(net.hospital.evaluate("anyone", "range", prefix, end_of(prefix))) == numbered(prefix, 150)
    assert value(net.hospital.evaluate("anyone", "get", numbered(prefix, 1)[0])) == "last"


def test_c060_multi_get(net: Network, key: str) -> None:
    prefix = f"{key}-"
    net.hospital.submit("anyone", "many", prefix, "125")
    absent = [f"{name}?" for name in numbered(prefix, 125)]
    asked = [name for pair in zip(numbered(prefix, 125), absent, strict=True) for name in pair]
    assert value(net.hospital.evaluate("anyone", "multi", *asked)) == ["v", None] * 125


def test_c063_large_value_5mb(net: Network, key: str) -> None:
    large = "x" * (5 * 1024 * 1024)
    assert net.hospital.submit("anyone", "put", key, large).code == VALID
    assert value(net.hospital.evaluate("anyone", "size", key)) == len(large)

# SPDX-License-Identifier: Apache-2.0
"""What peers say, translated: one case for each row of the table of errors."""

import json
from typing import Any, NamedTuple

import grpc
import pytest

from chaincode.domain.errors import AlreadyExists, AlreadyRecorded, InvalidField, LineageCycle
from gateway.api.operations import OPERATIONS
from gateway.delivery.peererrors import TABLE, Blame, judge
from gateway.fabric import EndorseError, ErrorDetail, FabricError, GatewayError, SubmitError, UntrustedResponse
from gateway.rest.problems import STATUSES, headers_for, response_for
from gateway.rest.refusals import codes_of
from gateway.services import ports
from gateway.services.dispositions import FAILURES, disposition_of
from gateway.services.halting import Invalidated

CODE = grpc.StatusCode
TX = "ab" * 32


def translate(error: FabricError, *, submitting: bool) -> Any:
    return judge(error, submitting=submitting, own="LabMSP").failure


def endorse(message: str, *details: str, code: Any = CODE.ABORTED) -> Any:
    found = [ErrorDetail("peer0:7051", "LabMSP", detail) for detail in details]
    return translate(EndorseError(code, message, found, TX), submitting=False)


def submit(message: str, *details: str, code: Any = CODE.ABORTED) -> Any:
    found = [ErrorDetail("orderer:7050", "OrdererMSP", detail) for detail in details]
    return translate(SubmitError(code, message, found, TX), submitting=True)


def refusal(error: Any) -> str:
    facts = {name: list(fact) if isinstance(fact, tuple) else fact for name, fact in error.facts().items()}
    body = json.dumps({"code": error.code, "message": str(error), "facts": facts})
    return f"chaincode response 400, {body}"


@pytest.mark.parametrize(
    "error", [AlreadyExists("model:net"), InvalidField("/title", "x"), LineageCycle(("model:a", "model:b"))]
)
def test_a_refusal_of_the_law_is_rebuilt_without_loss(error: Any) -> None:
    text = refusal(error)
    assert endorse("failed to endorse transaction, see attached details for more info", text, text) == error
    evaluated = GatewayError(CODE.UNKNOWN, f"evaluate call to endorser returned error: {text}")
    assert translate(evaluated, submitting=False) == error


def test_a_refusal_that_is_not_known_here_keeps_its_code() -> None:
    said = endorse("x", 'chaincode response 400, {"code":"new-rule","message":"No.","facts":{"a":1}}')
    assert isinstance(said, ports.Refused)
    assert (said.code, said.message, said.facts) == ("new-rule", "No.", {"a": 1})


@pytest.mark.parametrize(
    "text",
    [
        "chaincode response 500, transaction failed",
        "chaincode response 400, not json",
        "chaincode response 400, {}",
        'chaincode response 500, {"code":"already-exists","message":"","facts":{"reference":"x"}}',
    ],
)
def test_a_defect_of_the_chaincode_is_not_taken_for_a_refusal(text: str) -> None:
    assert isinstance(endorse("x", text), ports.LedgerMisuse)


PLAN = "no combination of peers can be derived which satisfy the endorsement policy: "


class Said(NamedTuple):
    """One thing that Fabric says, and what must follow from it."""

    text: str
    status: int
    code: str
    retries: int = 0
    blame: Blame = Blame.NOBODY


SAID = (
    Said("ProposalResponsePayloads do not match", 502, "endorsement-mismatch", retries=2),
    Said(
        f"error in simulation: failed to execute transaction {TX}: error sending: chaincode stream terminated",
        503, "chaincode-unavailable", retries=1,
    ),
    Said(
        f"error in simulation: failed to execute transaction {TX}: txid: {TX}(pedigree) exists",
        503, "proposal-running", retries=5,
    ),
    Said(
        "error in simulation: transaction returned with failure: an earlier run of this transaction has not ended",
        503, "proposal-running", retries=5,
    ),
    Said(
        "error in simulation: transaction returned with failure: the chaincode is stopping",
        503, "chaincode-unavailable", retries=1,
    ),
    Said(
        "make sure the chaincode pedigree has been successfully defined on channel pedigree and try again: chaincode "
        "cache at sequence 2 but current sequence is 1, chaincode definition for 'pedigree' changed during invoke",
        503, "chaincode-unavailable", retries=1,
    ),
    Said(
        f"error in simulation: failed to execute transaction {TX}: could not launch chaincode pedigree:1: refused",
        503, "chaincode-unavailable",
    ),
    Said(
        f"error in simulation: failed to execute transaction {TX}: error sending: "
        "timeout expired while executing transaction",
        504, "chaincode-timeout",
    ),
    Said(f"{PLAN}No metadata was found for chaincode pedigree in channel pedigree", 503, "chaincode-undefined"),
    Said("no peers available to evaluate chaincode pedigree in channel pedigree", 503, "chaincode-undefined"),
    Said(
        f"{PLAN}required chaincodes are not installed on sufficient peers",
        503, "endorsers-unavailable", blame=Blame.VIEW,
    ),
    Said(
        f"{PLAN}no peer combination can satisfy the endorsement policy",
        503, "endorsers-unavailable", blame=Blame.VIEW,
    ),
    Said(
        "failed to select a set of endorsers that satisfy the endorsement policy due to unavailability of peers: []",
        503, "endorsers-unavailable", blame=Blame.VIEW,
    ),
    Said(
        "failed to find any endorsing peers for org(s): HospitalMSP",
        503, "endorsers-unavailable", blame=Blame.VIEW,
    ),
    Said(
        "failed to collect enough transaction endorsements, see attached details for more info",
        503, "endorsers-unavailable", blame=Blame.ENDORSERS,
    ),
    Said(
        "no endorsers found in the gateway's organization; retry specifying endorsing organization(s) to protect "
        "transient data",
        422, "endorsing-organisations-required",
    ),
    Said(
        "requires endorsement from organisation(s) that are not in the distribution policy of the private data "
        "collection(s): [terms]; retry specifying trusted endorsing organizations to protect transient data",
        422, "endorsing-organisations-required",
    ),
    Said(
        "too many requests for /gateway.Gateway, exceeding concurrency limit (500)",
        503, "peer-capacity", blame=Blame.FULL,
    ),
    Said(
        "error validating proposal: access denied: channel [pedigree] creator org [LabMSP]", 403, "identity-refused",
    ),
    Said(
        "failed evaluating policy on signed data during check policy on channel [pedigree] with policy "
        "[/Channel/Application/Writers]: [implicit policy evaluation failed - 0 sub-policies were satisfied, but this "
        "policy requires 1 of the 'Writers' sub-policies to be satisfied]",
        403, "identity-refused",
    ),
    Said(
        "error validating proposal: access denied: channel [pedigree] creator org unknown, creator is malformed",
        403, "identity-refused",
    ),
    Said(
        "request unauthorized due to incorrect timestamp 2026-11-23T00:00:00Z, peer time 2026-11-23T00:20:00Z",
        503, "clock-skew",
    ),
    Said("proposal client identity expired 5h0m0s ago", 401, "identity-expired"),
    Said("endorsement timeout expired while collecting first endorsement", 503, "endorsers-timeout"),
    Said("evaluate timeout expired", 503, "peer-timeout"),
    Said("status=BAD_REQUEST, info=message payload is 11 bytes and exceeds maximum allowed 10 bytes", 413,
         "transaction-too-large"),
    Said("status=FORBIDDEN, info=implicit policy evaluation failed - 0 sub-policies were satisfied", 403,
         "identity-refused"),
)  # fmt: skip
OUR_CODES = (CODE.ABORTED, CODE.UNAVAILABLE, CODE.FAILED_PRECONDITION, CODE.UNKNOWN, CODE.DEADLINE_EXCEEDED)


@pytest.mark.parametrize("said", SAID, ids=lambda said: said.text[:60])
@pytest.mark.parametrize("code", OUR_CODES, ids=lambda code: code.name)
@pytest.mark.parametrize("where", ["message", "detail", "another peer's detail"])
def test_each_row_of_the_table(said: Said, code: Any, where: str) -> None:
    detail = said.text if where == "detail" else f"rpc error: code = Unknown desc = {said.text}"
    details = () if where == "message" else (ErrorDetail("peer0:7051", "LabMSP", detail),)
    message = said.text if where == "message" else "see attached details for more info"
    failure, blame = judge(EndorseError(code, message, details, TX), submitting=False, own="LabMSP")
    response = response_for(failure)
    assert (response.status, response.body["code"]) == (said.status, said.code)
    assert isinstance(failure, ports.NothingOrdered)
    assert (failure.retries, blame) == (said.retries, said.blame)
    assert ("Retry-After" in headers_for(failure)) == (said.status == 503)
    assert "7051" not in json.dumps(response.body), "a peer's address was told to a caller"


@pytest.mark.parametrize("said", SAID, ids=lambda said: said.text[:60])
@pytest.mark.parametrize("code", OUR_CODES, ids=lambda code: code.name)
def test_nothing_that_another_organisation_says_is_final(said: Said, code: Any) -> None:
    details = (ErrorDetail("peer0:7051", "HospitalMSP", said.text),)
    failure, _ = judge(EndorseError(code, "see details", details, TX), submitting=False, own="LabMSP")
    assert isinstance(failure, ports.NothingOrdered)
    assert failure.transient
    assert failure.code == (said.code if said.status in (502, 503) else "endorsers-unavailable")


FOREIGN = (
    refusal(AlreadyRecorded("cd" * 32)),
    refusal(AlreadyExists("model:net")),
    f"duplicate transaction found [{TX}]. Creator [0a]",
    'chaincode response 400, {"code":"new-rule","message":"No.","facts":{"code":"x","message":[]}}',
    "chaincode response 500, \x1b[2J\u202e",
)


@pytest.mark.parametrize("text", FOREIGN)
@pytest.mark.parametrize("message", ["failed to collect enough transaction endorsements, see", "failed to endorse"])
def test_a_refusal_of_another_organisation_is_its_words_and_no_more(text: str, message: str) -> None:
    details = [ErrorDetail("peer0:7051", "HospitalMSP", text)] * 20
    failure, blame = judge(EndorseError(CODE.ABORTED, message, details, TX), submitting=False, own="LabMSP")
    assert isinstance(failure, ports.EndorsementRefused)
    assert (failure.transient, blame) == (True, Blame.NOBODY)
    assert len(failure.facts["said"]) == 8
    answer = json.dumps(response_for(failure).body, ensure_ascii=False)
    assert "7051" not in answer
    assert answer.isprintable()


@pytest.mark.parametrize("text", FOREIGN)
def test_a_foreign_refusal_beside_our_own_peers_words_changes_nothing(text: str) -> None:
    foreign, own = ErrorDetail("a", "HospitalMSP", text), ErrorDetail("b", "LabMSP", refusal(InvalidField("/x", "y")))
    for details in ((foreign, own), (own, foreign)):
        error = EndorseError(CODE.ABORTED, "failed to endorse", details, TX)
        assert translate(error, submitting=False) == InvalidField("/x", "y")
    evaluated = EndorseError(CODE.UNKNOWN, f"evaluate call to endorser returned error: {text}", (own, foreign), TX)
    assert translate(evaluated, submitting=False) == InvalidField("/x", "y")


def test_a_duplicate_of_another_transaction_is_none() -> None:
    assert isinstance(endorse("x", f"duplicate transaction found [{'cd' * 32}]. Creator [0a]"), ports.LedgerMisuse)


@pytest.mark.parametrize(
    "facts",
    [
        {"transaction": 7}, {"transaction": {"a": 1}}, {"transaction": "no id"}, {"code": "x"}, {"message": "x"},
        {"self": "x"}, {"a b": "x"}, {"a": {"b": 1}}, {"a": [1]}, {"a": None}, {"a": True}, [], "x", None, 7,
        {f"f{n}": "x" for n in range(40)}, {"transaction": "\x1b[2J"}, {"text": "\u202e\x00" * 9000},
    ],
    ids=lambda facts: str(facts)[:30],
)  # fmt: skip
@pytest.mark.parametrize("code", ["already-recorded", "token-reused", "already-exists", "new-rule"])
def test_a_refusal_of_an_odd_form_is_a_failure_that_can_be_shown(code: str, facts: Any) -> None:
    body = json.dumps({"code": code, "message": "No.\n\x1b[2J", "facts": facts})
    failure = endorse("x", f"chaincode response 400, {body}")
    assert isinstance(failure, ports.Refused)
    answer = json.dumps(response_for(failure).body, ensure_ascii=False)
    assert answer.isprintable()
    assert len(answer) < 40_000


def test_the_table_has_no_row_that_was_not_tried() -> None:
    for row in TABLE:
        first = [said for said in SAID if next((r for r in TABLE if r.text in said.text), None) is row]
        assert first, f"nothing that Fabric says is decided by {row.text!r}"


CLOCK = 'chaincode response 500, {"code":"clock-skew"}'


def test_the_chaincodes_own_clock_is_named_too() -> None:
    said = endorse("x", CLOCK)
    assert isinstance(said, ports.Unavailable)
    assert (said.code, said.retry_after) == ("clock-skew", 30)


@pytest.mark.parametrize(
    ("outcome", "status", "code", "attempts", "retryable"),
    [
        (0, 200, "valid", 0, True),
        (9, 503, "transaction-id-taken", 5, True),
        (10, 502, "endorsement-policy", 2, False),
        (11, 409, "conflict", 5, True),
        (12, 409, "conflict", 5, True),
        (17, 503, "chaincode-upgrading", 2, True),
        (18, 503, "chaincode-upgrading", 2, True),
        (25, 503, "chaincode-upgrading", 2, True),
        *[
            (code, 500, "transaction-invalid", 1, False)
            for code in (*range(1, 9), *range(13, 17), *range(19, 25), 254, 255)
        ],
    ],
)
def test_each_validation_code_has_its_disposition_and_only_the_problem_has_a_status(
    outcome: int, status: int, code: str, attempts: int, retryable: bool
) -> None:
    found = disposition_of(ports.Outcome(TX, outcome, 7))
    assert (found.code, found.attempts, found.retryable, found.valid) == (code, attempts, retryable, outcome == 0)
    if not found.valid:
        answer = response_for(Invalidated(found, block=7))
        assert (answer.status, answer.body["code"], answer.body["retryable"]) == (status, code, retryable)
        assert answer.body["facts"] == {"block": 7}


def test_every_way_to_end_badly_is_documented_with_its_status() -> None:
    ends = {disposition_of(ports.Outcome(TX, code, 7)) for code in range(256)}
    assert set(FAILURES) == {end for end in ends if not end.valid}
    recording = next(operation for operation in OPERATIONS if operation.records)
    documented = codes_of(recording)
    assert all(end.code in documented[STATUSES[end.category]] for end in FAILURES)
    assert set(STATUSES) == set(ports.Category)


def test_a_duplicate_names_the_first_transaction() -> None:
    said = endorse("x", f"duplicate transaction found [{TX}]. Creator [0a]")
    assert isinstance(said, ports.AlreadyProposed)
    assert said.transaction_id == TX


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (CODE.UNAVAILABLE, "peer-unavailable"),
        (CODE.CANCELLED, "peer-unavailable"),
        (CODE.DEADLINE_EXCEEDED, "peer-timeout"),
        (CODE.INTERNAL, "ledger-protocol"),
        (CODE.UNKNOWN, "ledger-protocol"),
    ],
)
def test_what_has_no_text_is_decided_by_its_code(code: Any, expected: str) -> None:
    assert endorse("something", code=code).code == expected


@pytest.mark.parametrize(
    ("detail", "kind"),
    [
        ("status=BAD_REQUEST, info=message payload is 11 bytes and exceeds maximum allowed 10 bytes", ports.TooLarge),
        ("status=FORBIDDEN, info=implicit policy evaluation failed", ports.Forbidden),
        ("status=BAD_REQUEST, info=something else", ports.LedgerMisuse),
    ],
)
def test_only_a_clear_answer_of_the_orderer_is_a_refusal(detail: str, kind: Any) -> None:
    assert isinstance(submit("x", detail), kind)
    for code in (CODE.UNAVAILABLE, CODE.DEADLINE_EXCEEDED, CODE.CANCELLED, CODE.UNKNOWN, CODE.INTERNAL):
        # The same words from a call that may have been cut off prove nothing.
        assert isinstance(submit("x", detail, code=code), ports.OutcomeUnknown)


def test_everything_else_about_submit_is_unknown() -> None:
    for code in CODE:
        assert isinstance(submit("no orderers could successfully process transaction", code=code), ports.OutcomeUnknown)
    limited = submit("too many requests for /gateway.Gateway, exceeding concurrency limit (500)", code=CODE.UNKNOWN)
    assert isinstance(limited, ports.Unavailable)


@pytest.mark.parametrize(
    ("code", "message", "details", "blame"),
    [
        (CODE.UNAVAILABLE, "failed to connect to all addresses", (), Blame.PEER),
        (CODE.CANCELLED, "Channel closed!", (), Blame.PEER),
        (CODE.DEADLINE_EXCEEDED, "Deadline Exceeded", (), Blame.SUSPECT),
        (CODE.INTERNAL, "something", (), Blame.NOBODY),
        # Whoever can tell what others said is well.
        (CODE.UNAVAILABLE, "x", ("connection refused",), Blame.NOBODY),
        (CODE.UNAVAILABLE, "no orderer nodes available", (), Blame.NOBODY),
        (CODE.UNAVAILABLE, "no orderers could successfully process transaction", (), Blame.NOBODY),
        (CODE.DEADLINE_EXCEEDED, "submit timeout expired while broadcasting to ordering service", (), Blame.NOBODY),
    ],
)
@pytest.mark.parametrize("submitting", [False, True])
def test_only_what_shows_a_fault_of_our_peer_is_held_against_it(
    code: Any, message: str, details: tuple[str, ...], blame: Blame, submitting: bool
) -> None:
    found = [ErrorDetail("peer0:7051", "LabMSP", detail) for detail in details]
    assert judge(EndorseError(code, message, found, TX), submitting=submitting, own="LabMSP").blame is blame


def test_an_answer_that_fails_verification_is_never_retried() -> None:
    said = translate(UntrustedResponse("header-mismatch", "x", TX), submitting=False)
    assert isinstance(said, ports.LedgerMisuse)
    assert said.facts == {"reason": "header-mismatch"}

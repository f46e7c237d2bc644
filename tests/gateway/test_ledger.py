# SPDX-License-Identifier: Apache-2.0
"""What peers say, translated: one case for each row of the table of errors."""

import json
from typing import Any

import grpc
import pytest

from chaincode.domain.errors import AlreadyExists, InvalidField, LineageCycle
from chaincode.domain.idempotency import Idempotency
from chaincode.domain.keys import key
from gateway.delivery.blockfeed import ledger_block
from gateway.delivery.peererrors import translate
from gateway.fabric import EndorseError, ErrorDetail, GatewayError, SubmitError, UntrustedResponse
from gateway.fabric.blocks import Block, Transaction
from gateway.fabric.rwset import NamespaceReadWriteSet, Write
from gateway.services import ports

CODE = grpc.StatusCode
TX = "ab" * 32


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


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("ProposalResponsePayloads do not match", ports.EndorsementMismatch, "endorsement-mismatch"),
        ("error in simulation: chaincode stream terminated", ports.Unavailable, "chaincode-unavailable"),
        ("could not launch chaincode pedigree:1", ports.Unavailable, "chaincode-unavailable"),
        ("timeout expired while executing transaction", ports.TimedOut, "chaincode-timeout"),
        ("no combination of peers can be derived which satisfy", ports.Unavailable, "endorsers-unavailable"),
        ("No metadata was found for chaincode pedigree", ports.Unavailable, "chaincode-undefined"),
        ("retry specifying endorsing organization(s) to protect", ports.OrganisationsRequired, None),
        ("too many requests for /gateway.Gateway, exceeding", ports.Unavailable, "peer-capacity"),
        ("error validating proposal: access denied: channel [x]", ports.Forbidden, "identity-refused"),
        ("request unauthorized due to incorrect timestamp", ports.Unavailable, "clock-skew"),
        ('chaincode response 500, {"code":"clock-skew"}', ports.Unavailable, "clock-skew"),
        ("proposal client identity expired 5h ago", ports.IdentityExpired, "identity-expired"),
    ],
)
@pytest.mark.parametrize("status", [CODE.ABORTED, CODE.UNAVAILABLE, CODE.FAILED_PRECONDITION, CODE.UNKNOWN])
def test_texts_decide_whatever_the_status(text: str, kind: Any, code: str | None, status: Any) -> None:
    for said in (endorse(text, code=status), endorse("see details", text, code=status)):
        assert isinstance(said, kind)
        assert code is None or said.code == code


def test_a_duplicate_names_the_first_transaction() -> None:
    said = endorse("x", f"duplicate transaction found [{TX}]. Creator [0a]")
    assert isinstance(said, ports.AlreadyProposed)
    assert said.transaction_id == TX


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (CODE.UNAVAILABLE, "peer-unavailable"),
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


def test_an_answer_that_fails_verification_is_never_retried() -> None:
    said = translate(UntrustedResponse("header-mismatch", "x", TX), submitting=False)
    assert isinstance(said, ports.LedgerMisuse)
    assert said.facts == {"reason": "header-mismatch"}


def test_only_valid_writes_of_our_chaincode_become_rows() -> None:
    def transaction(code: int, chaincode: str = "pedigree") -> Transaction:
        writes = (Write("k", b'{"kind":"model"}', False), Write("gone", b"", True), Write("odd", b"\xff", False),
                  Write(key(Idempotency, "LabMSP", "ab" * 32), b'{"kind":"idempotency"}', False))  # fmt: skip
        sets = tuple(
            NamespaceReadWriteSet(name, (), writes, (), (), ()) for name in (chaincode, "another", "_lifecycle")
        )
        return Transaction(
            index=0, validation_code=code, envelope=b"", transaction_id=TX, chaincode=chaincode,
            creator_msp_id="LabMSP", result=b'{"record":{}}', namespaces=sets,
        )  # fmt: skip

    block = Block(7, b"\x01", b"", b"\x02", (transaction(0), transaction(11), transaction(0, "another")))
    valid, invalid, foreign = ledger_block(block, "pedigree").transactions
    assert [(write.key, write.value) for write in valid.writes] == [("k", {"kind": "model"}), ("gone", None)]
    assert valid.reply == {"record": {}}
    assert invalid.writes == ()
    assert invalid.code == 11
    assert foreign.reply is None

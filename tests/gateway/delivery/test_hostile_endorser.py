# SPDX-License-Identifier: Apache-2.0
"""Another organisation's peer that refuses or forges, behind our own honest one: real messages on real sockets."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from gateway.fabric import Deadlines
from gateway.services.ports import AlreadyProposed, EndorsementRefused, LedgerMisuse, Refused, Unavailable

CODE = grpc.StatusCode
COLLECT = "failed to collect enough transaction endorsements, see attached details for more info"
EVERYBODY = ("HospitalMSP", "LabMSP", "RegulatorMSP")
STRANGER = "cd" * 32


def refusal(code: str, **facts: object) -> str:
    return f"chaincode response 400, {json.dumps({'code': code, 'message': 'No.', 'facts': facts})}"


def asked(site: Any) -> list[list[str]]:
    """Which organisations each proposal named."""
    return [
        list(each.endorsing_organizations)
        for each in site.fakes[0].requests
        if hasattr(each, "endorsing_organizations")
    ]


def forged(draft: Any) -> None:
    """The endorsement of whoever is first is no signature of its own."""
    if draft.endorsers[0].msp_id == "HospitalMSP":
        draft.signatures[0] = draft.endorsers[1].sign(b"something else")


def unknown(draft: Any) -> None:
    for number, endorser in enumerate(draft.endorsers):
        if endorser.msp_id == "HospitalMSP":
            draft.names[:] = [each.identity for each in draft.endorsers]
            draft.names[number] = type(endorser.identity)("HospitalMSP", b"no certificate")


@pytest.mark.parametrize("lie", [forged, unknown])
def test_an_endorsement_that_fails_verification_stops_nobody_that_can_do_without_it(site: Any, lie: Any) -> None:
    site.ledger._organisations = lambda: EVERYBODY
    for fake in site.fakes:
        fake.lie = lie
    assert site.prepare().reply == {"record": {"kind": "model"}}
    assert asked(site) == [[], ["LabMSP", "RegulatorMSP"]]
    assert site.meter.counts["endorser_left_out"] == 1


def test_without_a_majority_of_others_it_is_refused(site: Any) -> None:
    site.ledger._organisations = lambda: EVERYBODY[:2]
    for fake in site.fakes:
        fake.lie = forged
    with pytest.raises(LedgerMisuse) as caught:
        site.prepare()
    assert caught.value.facts["organisation"] == "HospitalMSP"
    assert asked(site) == [[]]


def test_whoever_names_the_organisations_gets_them_or_nothing(site: Any) -> None:
    site.ledger._organisations = lambda: EVERYBODY
    for fake in site.fakes:
        fake.lie = forged
    with pytest.raises(LedgerMisuse):
        site.ledger.prepare(
            "model:register",
            "{}",
            nonce=b"n" * 24,
            token="ab" * 32,
            client="cd" * 16,
            organisations=("HospitalMSP", "LabMSP"),
        )


def test_an_endorser_that_hangs_for_good_ends_the_calls_that_ask_it_and_no_others(
    make_site: Callable[..., Any], until: Callable[..., Any]
) -> None:
    site = make_site(1, deadlines=Deadlines(endorse=1.0))
    released = threading.Event()

    def hang(draft: Any) -> None:
        if any(endorser.msp_id == "RegulatorMSP" for endorser in draft.endorsers):
            released.wait(600)

    def prepare(nonce: bytes, other: str) -> Any:
        organisations = ("LabMSP", other)
        return site.ledger.prepare(
            "model:register", "{}", nonce=nonce, token="ab" * 32, client="cd" * 16, organisations=organisations
        )

    site.fakes[0].lie = hang
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(prepare, b"h" * 24, "RegulatorMSP")
        until(lambda: site.fakes[0].calls.count("Endorse") == 1)
        for number in range(3):
            assert prepare(bytes([number]) * 24, "HospitalMSP").transaction_id
        with pytest.raises(Unavailable) as ended:
            hanging.result(timeout=60)
    assert ended.value.code == "peer-timeout"
    assert prepare(b"a" * 24, "HospitalMSP").transaction_id
    released.set()


@pytest.mark.parametrize(
    "text",
    [
        refusal("already-recorded", transaction=STRANGER),
        refusal("already-exists", reference="model:net"),
        f"duplicate transaction found [{STRANGER}]. Creator [0a]",
    ],
)
def test_a_foreign_refusal_is_no_outcome(site: Any, fail: Callable[..., Any], text: str) -> None:
    for fake in site.fakes:
        fake.failures["Endorse"] = fail(CODE.ABORTED, COLLECT, ("peer0.hospital:7051", "HospitalMSP", text))
    with pytest.raises(EndorsementRefused) as caught:
        site.prepare()
    assert caught.value.facts["said"] == [{"organisation": "HospitalMSP", "text": text}]


def test_where_only_others_are_asked_our_own_peer_says_whether_the_law_refuses(
    site: Any, fail: Callable[..., Any]
) -> None:
    fake = site.fakes[0]
    foreign = fail(CODE.ABORTED, COLLECT, ("peer0.hospital:7051", "HospitalMSP", refusal("new-rule")))
    own = fail(CODE.ABORTED, COLLECT, ("peer0.lab:7051", "LabMSP", refusal("new-rule")))

    def prepare() -> Any:
        return site.ledger.prepare(
            "model:register", "{}", nonce=b"n" * 24, token="ab" * 32, client="cd" * 16, organisations=("HospitalMSP",)
        )

    begin = fake.begin

    def answer(refuses: bool) -> None:
        def begun(name: str, request: Any, context: Any) -> None:
            if name == "Endorse":
                ours = list(request.endorsing_organizations) == ["LabMSP"]
                fake.failures.pop("Endorse", None)
                if not ours or refuses:
                    fake.failures["Endorse"] = own if ours else foreign
            begin(name, request, context)

        fake.begin = begun

    answer(refuses=True)
    with pytest.raises(Refused, match="No"):
        prepare()
    answer(refuses=False)
    with pytest.raises(EndorsementRefused):
        prepare()
    assert asked(site) == [["HospitalMSP"], ["LabMSP"]] * 2


def test_our_own_peers_word_of_an_earlier_transaction_is_marked_as_to_be_shown(
    site: Any, fail: Callable[..., Any]
) -> None:
    own = refusal("already-recorded", transaction=STRANGER)
    site.fakes[0].failures["Endorse"] = fail(CODE.ABORTED, "x", ("peer0.lab:7051", "LabMSP", own))
    with pytest.raises(AlreadyProposed) as caught:
        site.prepare()
    assert (caught.value.transaction_id, caught.value.recorded) == (STRANGER, True)


def test_questions_are_for_our_own_organisation_alone(site: Any) -> None:
    with pytest.raises(LedgerMisuse):  # the fake answers no JSON
        site.ledger.evaluate("record:get", "{}")
    assert list(site.fakes[0].requests[-1].target_organizations) == ["LabMSP"]

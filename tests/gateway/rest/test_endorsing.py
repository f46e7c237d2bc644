# SPDX-License-Identifier: Apache-2.0
"""What a gateway signs when its organisation endorses or rejects."""

import base64
import hashlib
import json
import time
from typing import Any

from recordkeys import written

from chaincode.domain.evidence import PAYLOAD_TYPE, pre_authentication_encoding
from chaincode.domain.intoto import decode_statement
from chaincode.domain.values import Digest

NET = "model-version:net:1"
DIGEST = "cd" * 32


def on_ledger(api: Any, *records: dict[str, Any]) -> None:
    """Write records as another organisation's transaction would, and wait until they are read."""
    writes = [written({"schema": 1, **record}) for record in records]
    api.ledger.append(hashlib.sha256(b"%d" % len(api.ledger.chain)).hexdigest(), {}, writes)
    assert api.get("/v1/ledger", Min_Ledger_Height=str(len(api.ledger.chain))).status_code == 200


def signed(response: Any) -> tuple[bytes, bytes]:
    envelope = response.json["record"]["envelope"]
    assert envelope["payloadType"] == PAYLOAD_TYPE
    return base64.b64decode(envelope["payload"]), base64.b64decode(envelope["signatures"][0]["sig"])


def test_a_statement_names_the_ledger_the_organisation_the_round_and_the_policy(api: Any) -> None:
    on_ledger(
        api,
        {"kind": "policy", "number": 4},
        {"kind": "model-version", "model": "net", "number": 1, "owner": "HospitalMSP", "digest": DIGEST},
        {"kind": "artifact-stage", "artifact": NET, "owner": "HospitalMSP", "digest": DIGEST, "stage": "submitted",
         "round": 3, "since": 1},
    )  # fmt: skip
    response = api.post(f"/v1/artifacts/{NET}/endorsements", {})
    assert response.status_code == 201, response.json
    payload, signature = signed(response)
    assert signature == hashlib.sha256(pre_authentication_encoding(PAYLOAD_TYPE, payload)).digest()
    statement = decode_statement(payload)
    assert [(subject.name, str(subject.digest)) for subject in statement.subjects] == [(NET, DIGEST)]
    assert (statement.channel, statement.organisation) == ("pedigree", "LabMSP")
    assert (statement.round, statement.policy, statement.decision) == (3, 4, "endorse")
    assert statement.genesis == Digest.parse("ab" * 32)


def test_without_a_policy_nothing_is_signed(api: Any) -> None:
    on_ledger(api, {"kind": "model-version", "model": "net", "number": 1, "owner": "HospitalMSP", "digest": DIGEST})
    response = api.post(f"/v1/artifacts/{NET}/rejections", {"reason": "unsafe"})
    assert (response.status_code, response.json["code"]) == (404, "policy-missing")
    assert api.ledger.prepared == 0


def test_a_rejection_signs_its_reason_and_its_time(api: Any) -> None:
    on_ledger(
        api,
        {"kind": "policy", "number": 4},
        {"kind": "model-version", "model": "net", "number": 1, "owner": "HospitalMSP", "digest": DIGEST},
    )
    before = int(time.time() * 1000)
    response = api.post(f"/v1/artifacts/{NET}/rejections", {"reason": "unsafe"})
    assert response.status_code == 201, response.json
    statement = decode_statement(signed(response)[0])
    assert (statement.decision, statement.reason) == ("reject", "unsafe")
    assert statement.at is not None
    assert before <= statement.at <= int(time.time() * 1000)


def test_a_withdrawal_signs_its_reason(api: Any) -> None:
    on_ledger(
        api,
        {"kind": "policy", "number": 4},
        {"kind": "model-version", "model": "net", "number": 1, "owner": "HospitalMSP", "digest": DIGEST},
    )
    response = api.post(f"/v1/artifacts/{NET}/withdrawal", {"reason": "a complaint"})
    assert response.status_code == 201, response.json
    statement = decode_statement(signed(response)[0])
    assert (statement.decision, statement.reason) == ("withdraw", "a complaint")
    missing = api.get(f"/v1/artifacts/{NET}/statement?decision=withdraw")
    assert (missing.status_code, missing.json["code"]) == (422, "missing-field")


def test_a_draft_of_a_withdrawal_says_what_would_be_refused(api: Any) -> None:
    open_model(api)
    draft = api.get(f"/v1/artifacts/{NET}/statement?decision=withdraw&reason=unsafe").json
    assert draft["refused"]["code"] == "not-endorsed"
    assert any("withdraws its endorsement of" in sentence for sentence in draft["words"])


def test_a_draft_shows_what_would_be_signed_and_what_the_law_would_say(api: Any) -> None:
    open_model(api)
    draft = api.get(f"/v1/artifacts/{NET}/statement")
    assert draft.status_code == 200, draft.json
    said = draft.json
    assert said["refused"] is None
    assert said["statement"]["predicateType"].endswith("/endorsement/v2")
    assert json.loads(base64.b64decode(said["payload"])) == said["statement"]
    assert said["statement"]["predicate"]["seen"] == ["evaluation:e-1"]
    assert [each["evaluation"] for each in said["evaluations"]] == ["e-1"]
    assert any(DIGEST in sentence for sentence in said["words"])
    assert said["not_covered"]
    assert api.ledger.prepared == 0


def test_a_draft_says_what_would_be_refused(api: Any) -> None:
    open_model(api, owner="LabMSP")
    own = api.get(f"/v1/artifacts/{NET}/statement").json["refused"]
    assert own["code"] == "own-artifact"
    open_model(api)
    other = api.get(f"/v1/artifacts/{NET}/statement?digest={'ef' * 32}").json["refused"]
    assert other["code"] == "statement-digest-differs"
    assert api.get(f"/v1/artifacts/{NET}/statement?stage=deployed").json["refused"]["code"] == "rule-missing"


def test_a_draft_of_a_rejection_needs_its_reason(api: Any) -> None:
    open_model(api)
    missing = api.get(f"/v1/artifacts/{NET}/statement?decision=reject")
    assert (missing.status_code, missing.json["code"]) == (422, "missing-field")
    odd = api.get(f"/v1/artifacts/{NET}/statement?reason=good")
    assert (odd.status_code, odd.json["code"]) == (422, "invalid-field")
    rejecting = api.get(f"/v1/artifacts/{NET}/statement?decision=reject&reason=unsafe").json
    assert rejecting["refused"] is None
    assert rejecting["statement"]["predicate"]["reason"] == "unsafe"


def test_without_a_policy_there_is_no_draft(api: Any) -> None:
    on_ledger(api, {"kind": "model-version", "model": "net", "number": 1, "owner": "HospitalMSP", "digest": DIGEST})
    response = api.get(f"/v1/artifacts/{NET}/statement")
    assert (response.status_code, response.json["code"]) == (404, "policy-missing")


def open_model(api: Any, owner: str = "HospitalMSP") -> None:
    """A model that was submitted, under a policy, with an evaluation."""
    members = [{"organisation": name, "roles": []} for name in ("HospitalMSP", "LabMSP", "RegulatorMSP")]
    rule = {"artifact_kind": "model-version", "threshold": 1, "stage": "approved", "eligible_roles": [],
            "required_roles": [], "owner_counts": False}  # fmt: skip
    on_ledger(
        api,
        {"kind": "policy", "number": 1, "set_at": 1, "members": members, "rules": [rule], "amendment_threshold": 2,
         "amendment_roles": []},
        {"kind": "model-version", "model": "net", "number": 1, "owner": owner, "digest": DIGEST},
        {"kind": "artifact-stage", "artifact": NET, "owner": owner, "digest": DIGEST, "stage": "submitted", "round": 1,
         "since": 1},
        {"kind": "evaluation", "evaluation": "e-1", "subject": NET, "owner": "RegulatorMSP"},
    )  # fmt: skip

# SPDX-License-Identifier: Apache-2.0
"""What a gateway signs when its organisation endorses or rejects."""

import base64
import hashlib
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
        {"kind": "artifact-stage", "artifact": NET, "stage": "submitted", "round": 3, "since": 1},
    )
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

# SPDX-License-Identifier: Apache-2.0
"""The signed impact of a withdrawal, as a controller's gateway makes it, for tests of verifier and command."""

import base64
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from chaincode.domain.canonical import encode
from chaincode.domain.evidence import PAYLOAD_TYPE, pre_authentication_encoding
from gateway.services.impactstatements import IMPACT_PREDICATE

VERSION, MODEL = "dataset-version:visits:1", "model-version:net:1"


def statement() -> dict[str, Any]:
    """An impact as a controller's gateway says it."""
    item = {"kind": "model-version", "owner": "LabMSP", "distance": 3, "certain": True, "path": [MODEL, VERSION]}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": "consent-map-version:visits:2", "digest": {"sha256": "44" * 32}},
            {"name": VERSION, "digest": {"sha256": "11" * 32}},
        ],
        "predicateType": IMPACT_PREDICATE,
        "predicate": {
            "channel": "pedigree", "genesis": "ab" * 32, "organisation": "HospitalMSP", "made_at": 5,
            "dataset": "visits", "as_of": 12, "map": {"number": 2, "root": "44" * 32}, "permitted": False,
            "subjects": [{"subject": "aa" * 32, "status": None}],
            "versions": [{"version": VERSION, "certain": True, "count": 1, "records": [{"index": 3}], "selections": 1}],
            "items": [
                {**item, "reference": MODEL, "role": "train", "duty": "retrain-or-document", "because": "It trained."},
                {**item, "reference": "run:r", "role": "held-out", "certain": False, "duty": None, "because": None},
            ],
            "count": 3, "count_exact": True, "duties": [], "covered": [], "not_covered": ["deployment"],
        },
    }  # fmt: skip


def signed(key: Any, said: dict[str, Any]) -> dict[str, Any]:
    """The DSSE envelope of a statement by a key."""
    payload = encode(said)
    signature = key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload), ec.ECDSA(hashes.SHA256()))
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": "00"}],
    }

# SPDX-License-Identifier: Apache-2.0
"""proofbundle and tlog-scales on receipts and checkpoints; runs in their environment, which has nothing of Pedigree.

A line of JSON on standard input is one question, a line on standard output its answer. ``{"do": "proofbundle"}`` and
``{"do": "tlog_scales"}`` take a receipt or a checkpoint and the keys, and answer whether it is accepted and why not;
``{"do": "time"}`` verifies a receipt so often, and answers the CPU seconds that it took.
"""

import json
import logging
import sys
import time
from typing import Any

logging.disable(logging.CRITICAL)


def proofbundle(given: dict[str, Any]) -> dict[str, Any]:
    """Whether proofbundle accepts a receipt by one log's key and k of n witnesses' keys."""
    from proofbundle.tlogproof import verify_tlog_proof

    found = verify_tlog_proof(
        given["receipt"],
        bytes.fromhex(given["leaf"]),
        given["log"],
        given["witnesses"],
        threshold=given["threshold"],
        expected_origin=given["log"].split("+")[0],
    )
    return {
        "accepted": found["ok"],
        "why": found.get("detail") or {k: v for k, v in found.items() if k.endswith("_ok")},
    }


def tlog_scales(given: dict[str, Any]) -> dict[str, Any]:
    """Whether tlog-scales finds a signature of each of the keys on a checkpoint, and none of them wrong."""
    from tlog_scales.signing import Vkey
    from tlog_scales.tlog import Checkpoint

    try:
        checkpoint = Checkpoint.from_text(given["checkpoint"])
        for vkey in given["vkeys"]:
            checkpoint.verify(Vkey.from_string(vkey))
    except Exception as exc:
        return {"accepted": False, "why": repr(exc)}
    return {"accepted": True, "origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root_hash.hex()}


def timed(given: dict[str, Any]) -> dict[str, Any]:
    """CPU seconds of so many verifications by proofbundle."""
    from proofbundle.tlogproof import verify_tlog_proof

    receipt, leaf, log = given["receipt"], bytes.fromhex(given["leaf"]), given["log"]
    witnesses, threshold = given["witnesses"], given["threshold"]
    start = time.process_time()
    for _ in range(given["times"]):
        found = verify_tlog_proof(receipt, leaf, log, witnesses, threshold=threshold)
    taken = time.process_time() - start
    return {"accepted": found["ok"], "seconds": taken}


DO = {"proofbundle": proofbundle, "tlog_scales": tlog_scales, "time": timed}

for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps(DO[asked.pop("do")](asked)), flush=True)

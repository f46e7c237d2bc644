# SPDX-License-Identifier: Apache-2.0
"""Evidence that is checked while nothing runs: neither peer, orderer nor gateway."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.demo.forging import WAYS, altered
from gateway.demo.telling import Disagreement, expect
from gateway.verifier.transactions import RefutedEvidence, verify_transaction


def check(file: Mapping[str, Any], genesis_hash: str, artifact: str) -> Iterator[str]:
    """Show that a file proves the approval of an artifact, and that no altered copy does; what was found, in lines."""
    trusted = bytes.fromhex(genesis_hash)
    try:
        verdict = verify_transaction(file, trusted=trusted)
    except RefutedEvidence as refuted:
        raise Disagreement(f"the evidence of the approval proves nothing: {refuted}") from None
    stages = [
        each["record"]["stage"]
        for each in verdict.as_json()["written"]
        if each["record"]["kind"] == "artifact-stage" and each["record"]["artifact"] == artifact
    ]
    expect(verdict.complete and stages == ["approved"], f"the evidence shows {stages} of {artifact}")
    by = " and ".join(verdict.endorsers)
    yield f"one file proves with nothing running: {artifact} approved, ordered in block {verdict.block.number}, by {by}"
    reasons = set()
    for how in WAYS:
        try:
            verify_transaction(altered(file, how), trusted=trusted)
        except RefutedEvidence as refuted:
            reasons.add(str(refuted))
        else:
            raise Disagreement(f"a copy with another value for {how} verifies")
    expect(len(reasons) == len(WAYS), f"{len(WAYS)} altered copies are refused for {len(reasons)} reasons only")
    yield f"{len(WAYS)} altered copies of it do not, and each is refused in its own sentence"

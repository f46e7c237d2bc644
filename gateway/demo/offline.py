# SPDX-License-Identifier: Apache-2.0
"""Evidence that is checked while nothing runs: neither peer, orderer nor gateway."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from gateway.demo import tampering
from gateway.demo.forging import WAYS, altered
from gateway.demo.telling import Disagreement, Telling, expect
from gateway.verifier.transactions import RefutedEvidence, verify_transaction
from pedigree import InvalidEvidence, verify_log_receipt

RECEIPT: Final = "approval.tlog-proof"
POLICY: Final = "consortium.policy"


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


def check_receipt(telling: Telling, folder: Path, transaction: str) -> None:
    """Show that a receipt proves a transaction to one who has the policy beside it, and that no altered copy does."""
    receipt, policy = folder / RECEIPT, folder / POLICY
    try:
        verdict = verify_log_receipt(receipt, policy=policy, transaction=transaction)
    except InvalidEvidence as refuted:
        raise Disagreement(f"the receipt of the approval is refused: {refuted}") from None
    expect(verdict.verified, f"the receipt of the approval proves nothing: {verdict.summary}")
    size = receipt.stat().st_size
    telling.note(f"a receipt of {size} bytes, with the policy of the logs and nothing running: {verdict.summary}")
    copy = folder / f"altered-{RECEIPT}"
    reasons = set()
    for how in tampering.WAYS:
        copy.write_bytes(tampering.altered(receipt.read_bytes(), how))
        try:
            verify_log_receipt(copy, policy=policy, transaction=transaction)
        except InvalidEvidence as refuted:
            reasons.add(reason := refuted.detail.removeprefix(f"{copy} proves nothing: "))
            telling.found_out(how, reason)
        else:
            raise Disagreement(f"a copy of the receipt with another value for {how} verifies")
    expect(len(reasons) == len(tampering.WAYS), f"{len(tampering.WAYS)} copies are refused for {len(reasons)} reasons")

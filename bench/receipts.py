# SPDX-License-Identifier: Apache-2.0
"""What verifying a receipt costs: 20 hashes, the log's signature and four cosignatures, beside proofbundle's verifier.

Both verify the same bytes by the same keys, each in a process of its own and in turn, with one version of
`cryptography`; what is counted is CPU. Ours has parsed the policy before, as one who verifies many has; the figure
with the policy in it is given as well. proofbundle takes its keys as text at every call.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from bench.measure import Metric, alternate, median, paired_ratio
from chaincode.domain.merkle import leaf_hash
from gateway.tlog import notes, policy, receipts
from gateway.tlog.checkpoints import Checkpoint
from gateway.tlog.entries import origin_of
from gateway.tlog.keys import Cosigner, LogSigner
from gateway.tlog.proofs import TlogProof
from tests.conformance.fabricharness import environments

_FOREIGN = Path(__file__).parents[1] / "tests" / "foreign" / "receipts"
_HASHES, _INDEX = 20, 700_001
_WITNESSES = ("lab.example", "maker.example", "clinic.example", "auditor.example")
_TIMES = 400
"""Verifications of one round."""


def measure(kind: str, rounds: int, seconds: float) -> Sequence[Metric]:
    """Verify a receipt many times in a row; neither the ledger nor the seconds matter."""
    del kind, seconds
    log = LogSigner(origin_of("main", "HospitalMSP"), Ed25519PrivateKey.generate())
    witnesses = [Cosigner(name, Ed25519PrivateKey.generate()) for name in _WITNESSES]
    leaf, receipt = _receipt(log, witnesses)
    text = _policy(log, witnesses)
    trusted = policy.parse(text)
    ours = _timed(lambda: receipts.verify(receipt, leaf, trusted))
    whole = _timed(lambda: receipts.verify(receipt, leaf, policy.parse(text)))
    quantum = [*witnesses[:-1], Cosigner(_WITNESSES[-1], MLDSA44PrivateKey.generate())]
    other_leaf, other = _receipt(log, quantum)
    other_trusted = policy.parse(_policy(log, quantum))
    post_quantum = _timed(lambda: receipts.verify(other, other_leaf, other_trusted))
    how = f"CPU, {_HASHES} hashes, log and {len(witnesses)} Ed25519 cosignatures, {_TIMES} × {rounds}, median"
    size = Metric(
        "receipt.bytes", len(receipt), "B", f"{_HASHES} hashes, log and {len(witnesses)} Ed25519 cosignatures"
    )
    try:
        python = environments.installed("receipts", [_FOREIGN / "requirements-receipts.lock"])
    except environments.NotInstalled as problem:
        print(f"NOT MEASURED: receipts beside proofbundle, which cannot be installed: {problem}", file=sys.stderr)
        mine, with_policy, with_ml_dsa = alternate(rounds, ours, whole, post_quantum)
        return [Metric("receipt.verify_ms", median(mine), "ms", how), size]
    command = [str(python), "-I", str(_FOREIGN / "judge.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as judge:
        theirs = _asked(judge, receipt, leaf, log, witnesses)
        theirs()  # it imports, once
        mine, with_policy, with_ml_dsa, other_mine = alternate(rounds, ours, whole, post_quantum, theirs)
        judge.communicate()
    return [
        Metric("receipt.verify_ms", median(mine), "ms", how),
        Metric("receipt.verify_vs_proofbundle", median(other_mine), "ms", f"theirs; {how}", "proofbundle 6.3.1",
               paired_ratio(mine, other_mine)),
        Metric("receipt.verify_with_policy_ms", median(with_policy), "ms", f"and the policy parsed each time; {how}",
               "proofbundle 6.3.1", paired_ratio(with_policy, other_mine)),
        Metric("receipt.verify_ml_dsa_ms", median(with_ml_dsa), "ms", f"the last cosignature with ML-DSA-44; {how}"),
        size,
        Metric("receipt.ml_dsa_bytes", len(other), "B", "the last cosignature with ML-DSA-44"),
    ]  # fmt: skip


def _receipt(log: LogSigner, witnesses: Sequence[Cosigner]) -> tuple[bytes, bytes]:
    """A leaf, and a receipt for it in a complete tree whose other leaves nobody needs."""
    leaf = secrets.token_bytes(64)
    path = tuple([secrets.token_bytes(32) for _ in range(_HASHES)])
    node = leaf_hash(leaf)
    for height, sibling in enumerate(path):
        node = sha256(b"\x01" + (sibling + node if _INDEX >> height & 1 else node + sibling)).digest()
    checkpoint = Checkpoint(log.key[0], 1 << _HASHES, node)
    return leaf, TlogProof(_INDEX, path, notes.sign(checkpoint.format(), log, *witnesses)).format()


def _policy(log: LogSigner, witnesses: Sequence[Cosigner]) -> bytes:
    names = [f"w{number}" for number, _ in enumerate(witnesses)]
    lines = [f"witness {name} {each.verifier.vkey}" for name, each in zip(names, witnesses, strict=True)]
    return "\n".join(
        [f"log {log.verifier.vkey}", *lines, f"group all-of all {' '.join(names)}", "quorum all-of"]
    ).encode()


def _timed(verify: Callable[[], object]) -> Callable[[], float]:
    """Measures one verification, in milliseconds of CPU."""

    def run() -> float:
        start = time.process_time()
        for _ in range(_TIMES):
            verify()
        return (time.process_time() - start) / _TIMES * 1_000

    return run


def _asked(
    judge: subprocess.Popen[str], receipt: bytes, leaf: bytes, log: LogSigner, witnesses: Sequence[Cosigner]
) -> Callable[[], float]:
    """Measures one verification by proofbundle, in milliseconds of its CPU."""
    question = json.dumps({
        "do": "time", "receipt": receipt.decode(), "leaf": leaf.hex(), "log": log.verifier.vkey,
        "witnesses": [each.verifier.vkey for each in witnesses], "threshold": len(witnesses), "times": _TIMES,
    })  # fmt: skip

    def run() -> float:
        assert judge.stdin is not None
        assert judge.stdout is not None
        judge.stdin.write(question + "\n")
        judge.stdin.flush()
        answer = json.loads(judge.stdout.readline())
        if not answer["accepted"]:
            raise RuntimeError("proofbundle refuses the receipt")
        return float(answer["seconds"]) / _TIMES * 1_000

    return run

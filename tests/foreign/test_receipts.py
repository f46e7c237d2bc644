# SPDX-License-Identifier: Apache-2.0
"""proofbundle 6.3.1 and tlog-scales 0.0.3, unchanged, judge our receipts and checkpoints in their own environment."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fabricharness import environments
from receiptvectors import FILE, LOG, WITNESSES
from samplelog import entry, witness

from gateway.tlog import notes
from gateway.tlog.checkpoints import Checkpoint
from gateway.tlog.errors import TlogError
from gateway.tlog.keys import Verifier

FOLDER = Path(__file__).parent / "receipts"
VECTORS: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
OF_ALL = [
    each
    for each in VECTORS["receipts"]
    if each["policy"] == "two of three" and each["leaf"] and "text" in each["receipt"]
]
"""Those that it can be asked about: text, k of n, and the leaf given."""
KEYS = [each.verifier.vkey for each in WITNESSES]
Ask = Callable[..., Any]

PROOFBUNDLE_DIFFERS = {
    "another time": "a false line of a known witness is left out, and the others are enough for it",
    "a time beyond 2^63": "as before",
    "a cosignature cut short": "as before",
    "a cosignature of an earlier tree beside a true one": "as before",
    "the log's signature as a cosignature": "as before",
    "65 signatures": "it has no limit of lines",
}
"""What it accepts and we refuse. Where a line is false, C2SP's specification asks to refuse the whole note."""


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Asks the foreign verifiers; skips, where nobody overlooks it, when they cannot be installed."""
    try:
        python = environments.installed("receipts", [FOLDER / "requirements-receipts.lock"])
    except environments.NotInstalled as problem:
        said = (
            f"NOT RUN: proofbundle and tlog-scales did not judge our receipts, as they cannot be installed: {problem}"
        )
        print(f"\n{'!' * 20} {said} {'!' * 20}", file=sys.__stderr__)
        pytest.skip(said)
    command = [str(python), "-I", str(FOLDER / "judge.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as judge:
        assert judge.stdin is not None
        assert judge.stdout is not None
        stdin, stdout = judge.stdin, judge.stdout

        def question(what: str, **given: Any) -> Any:
            stdin.write(json.dumps({"do": what, **given}) + "\n")
            stdin.flush()
            return json.loads(stdout.readline())

        yield question
        stdin.close()


@pytest.mark.parametrize("vector", OF_ALL, ids=lambda each: each["name"])
def test_proofbundle_decides_as_ours_does(ask: Ask, vector: dict[str, Any]) -> None:
    found = ask(
        "proofbundle",
        receipt=vector["receipt"]["text"],
        leaf=vector["leaf"],
        log=LOG.signer.verifier.vkey,
        witnesses=KEYS,
        threshold=2,
    )
    expected = "accepted" in vector or vector["name"] in PROOFBUNDLE_DIFFERS
    assert found["accepted"] == expected, found["why"]


def test_proofbundle_and_tlog_scales_accept_ml_dsa_and_refuse_it_altered(ask: Ask) -> None:
    signers = [*WITNESSES, witness("witness/pq", post_quantum=True)]
    keys = [each.verifier.vkey for each in signers]
    receipt = LOG.receipt(6, signers)
    given = {"leaf": entry(6).leaf.hex(), "log": LOG.signer.verifier.vkey, "witnesses": keys, "threshold": 4}
    assert ask("proofbundle", receipt=receipt.decode(), **given)["accepted"]
    line = notes.parse(LOG.signed(*signers)).signatures[-1]
    forged = notes.NoteSignature(line.name, line.key_id, line.value[:-1] + bytes([line.value[-1] ^ 1]))
    assert not ask("proofbundle", receipt=receipt.replace(receipt.split(b"\n")[-2] + b"\n", forged.format()).decode(),
                   **given)["accepted"]  # fmt: skip
    every = [LOG.signer.verifier.vkey, *keys]
    note = notes.parse(LOG.signed(*signers))
    assert ask("tlog_scales", checkpoint=note.format().decode(), vkeys=every)["accepted"]
    altered = notes.Note(note.text, (*note.signatures[:-1], forged))
    assert not ask("tlog_scales", checkpoint=altered.format().decode(), vkeys=every)["accepted"]


def test_tlog_scales_reads_our_checkpoint_as_we_do(ask: Ask) -> None:
    vkeys = [LOG.signer.verifier.vkey, *KEYS]
    found = ask("tlog_scales", checkpoint=LOG.signed(*WITNESSES).decode(), vkeys=vkeys)
    ours = LOG.checkpoint()
    assert found == {"accepted": True, "origin": ours.origin, "size": ours.size, "root": ours.root.hex()}


@pytest.mark.parametrize("vkey", [LOG.signer.verifier.vkey, *KEYS], ids=lambda each: each.split("+")[0])
@pytest.mark.parametrize("what", ["origin", "size", "root", "signature"])
def test_tlog_scales_refuses_our_checkpoint_altered(ask: Ask, what: str, vkey: str) -> None:
    note = notes.parse(LOG.signed(*WITNESSES))
    found = Checkpoint.parse(note.text)
    wrong = {
        "origin": Checkpoint(found.origin + "x", found.size, found.root),
        "size": Checkpoint(found.origin, found.size + 1, found.root),
        "root": Checkpoint(found.origin, found.size, bytes(32)),
        "signature": found,
    }[what]
    lines = note.signatures
    if what == "signature":
        lines = tuple([notes.NoteSignature(each.name, each.key_id, each.value[:-1] + b"\0") for each in lines])
    text = notes.Note(wrong.format(), lines).format()
    assert not ask("tlog_scales", checkpoint=text.decode(), vkeys=[vkey])["accepted"]
    verifier = Verifier.parse(vkey)
    with pytest.raises(TlogError):
        notes.verify(notes.parse(text), {verifier.key: verifier})

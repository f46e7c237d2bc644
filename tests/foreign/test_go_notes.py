# SPDX-License-Identifier: Apache-2.0
"""golang.org/x/mod/sumdb/note, which signed notes come from, opens our checkpoints and refuses them altered."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fabricharness.environments import REPOSITORY
from receiptvectors import FILE, LOG, WITNESSES

from gateway.tlog import notes
from gateway.tlog.errors import TlogError
from gateway.tlog.keys import Verifier

PROGRAM = Path(__file__).parent / "receipts" / "gonote"
VECTORS = json.loads(FILE.read_text(encoding="utf-8"))["notes"]
SIGNED = LOG.signed(*WITNESSES)
VKEY = LOG.signer.verifier.vkey
Ask = Callable[[str, str], bool]

GO_DIFFERS = {"with spare bits in its base64"}
"""Go's base64 reads what no encoder writes; ours refuses the second spelling of a note."""


@pytest.fixture(scope="module")
def ask() -> Ask:
    """Asks Go's package; skips, where nobody overlooks it, when it cannot be built."""
    go = shutil.which("go", path=os.pathsep.join((os.environ["PATH"], "/usr/local/go/bin")))
    program = REPOSITORY / "build" / "gonote"
    problem = "there is no go" if go is None else None
    if go is not None:
        command = [go, "build", "-mod=readonly", "-o", str(program), "."]
        done = subprocess.run(command, cwd=PROGRAM, capture_output=True, text=True, timeout=300, check=False)
        problem = None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["go build failed"])[-1]
    if problem is not None:
        said = f"NOT RUN: Go's note package judged no checkpoints, because {problem}"
        print(f"\n{'!' * 20} {said} {'!' * 20}", file=sys.__stderr__)
        pytest.skip(said)

    def question(note: str, vkey: str) -> bool:
        asked = json.dumps({"note": note, "vkey": vkey})
        done = subprocess.run([str(program)], input=asked, capture_output=True, text=True, timeout=30, check=True)
        return {"true": True, "false": False}[done.stdout.strip()]

    return question


def ours(note: bytes, vkey: str) -> bool:
    """Whether we find the key's signature on a note."""
    try:
        verifier = Verifier.parse(vkey)
        return verifier.key in notes.verify(notes.parse(note), {verifier.key: verifier})
    except TlogError:
        return False


@pytest.mark.parametrize("vector", VECTORS, ids=lambda each: each["name"])
def test_notes_of_the_vectors_are_judged_alike(ask: Ask, vector: dict[str, str]) -> None:
    found = ask(vector["note"], vector["vkey"])
    assert found == (ours(vector["note"].encode(), vector["vkey"]) or vector["name"] in GO_DIFFERS)


def test_our_checkpoint_with_its_cosignatures_is_opened(ask: Ask) -> None:
    assert ask(SIGNED.decode(), VKEY)


@pytest.mark.parametrize("at", range(0, len(SIGNED), 23))
def test_a_changed_byte_is_judged_alike(ask: Ask, at: int) -> None:
    content = SIGNED[:at] + bytes([SIGNED[at] ^ 1]) + SIGNED[at + 1 :]
    try:
        text = content.decode()
    except UnicodeDecodeError:
        assert not ours(content, VKEY)
        return
    assert ask(text, VKEY) == ours(content, VKEY)

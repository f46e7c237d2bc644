# SPDX-License-Identifier: Apache-2.0
"""model-signing 1.1.1, unchanged in its own environment, verifies our signatures over models, and we verify its."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fabricharness import environments
from samplesigning import Signing, pem_of, public_pem

FOLDER = Path(__file__).parent / "model_signing"
Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def ask() -> Ask:
    """Has the library do something; skips, where nobody overlooks it, when it cannot be installed."""
    try:
        python = environments.installed("model-signing", [FOLDER / "requirements-model-signing.lock"])
    except environments.NotInstalled as problem:
        said = f"NOT RUN: model-signing did not judge our signatures, as it cannot be installed: {problem}"
        print(f"\n{'!' * 20} {said} {'!' * 20}", file=sys.__stderr__)
        pytest.skip(said)

    def question(what: str, **given: Path) -> dict[str, Any]:
        asked = json.dumps({"do": what, **{name: str(path) for name, path in given.items()}})
        command = [str(python), "-I", "-W", "ignore", str(FOLDER / "drive.py")]
        done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=110, check=True)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return question


@pytest.fixture
def signing(tmp_path: Path) -> Signing:
    """A model with a folder in it, git's files beside it, and keys."""
    made = Signing(tmp_path)
    (made.model / ".gitattributes").write_bytes(b"*.bin filter=lfs\n")
    (made.model / "größe.txt").write_bytes(b"large")
    return made


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_a_signature_by_a_key_is_verified_both_ways(ask: Ask, signing: Signing, curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    private, public = signing.folder / "key.pem", signing.folder / "public.pem"
    private.write_bytes(pem_of(key))
    public.write_bytes(public_pem(key))
    assert signing.sign().exit_code == 0
    assert ask("verify", model=signing.model, signature=signing.signature, public=public) == {"done": True}
    signing.signature = signing.folder / "theirs.sig"
    assert ask("sign", model=signing.model, signature=signing.signature, private=private) == {"done": True}
    assert signing.check().exit_code == 0
    (signing.model / "weights.bin").write_bytes(b"Weights")
    assert not ask("verify", model=signing.model, signature=signing.folder / "net.sig", public=public)["done"]
    assert "weights.bin has another SHA-256" in signing.check().stderr


def test_a_signature_by_a_members_certificate_is_verified_both_ways(ask: Ask, signing: Signing) -> None:
    private, user = signing.folder / "key.pem", signing.folder / "user.pem"
    root = signing.msp / "cacerts" / "root.pem"
    assert signing.sign("--certificate", str(user)).exit_code == 0
    assert ask("verify", model=signing.model, signature=signing.signature, root=root) == {"done": True}
    signing.signature = signing.folder / "theirs.sig"
    made = ask("sign", model=signing.model, signature=signing.signature, private=private, certificate=user, root=root)
    assert made == {"done": True}
    assert signing.check_organisation(signing.msp).exit_code == 0


def test_what_was_altered_neither_accepts(ask: Ask, signing: Signing) -> None:
    signing.sign()
    public = signing.folder / "public.pem"
    whole = signing.signature.read_bytes()
    for place in (whole.index(b'"payload": "') + 200, whole.index(b'"sig": "') + 20):
        other = b"A" if whole[place : place + 1] != b"A" else b"B"
        signing.signature.write_bytes(whole[:place] + other + whole[place + 1 :])
        assert not ask("verify", model=signing.model, signature=signing.signature, public=public)["done"]
        assert signing.check().exit_code == 1


def test_a_signature_in_the_models_own_folder_is_left_out_by_both(ask: Ask, signing: Signing) -> None:
    signing.signature = signing.model / "model.sig"
    public = signing.folder / "public.pem"
    assert signing.sign().exit_code == 0
    assert ask("verify", model=signing.model, signature=signing.signature, public=public) == {"done": True}
    private = signing.folder / "key.pem"
    assert ask("sign", model=signing.model, signature=signing.signature, private=private) == {"done": True}
    assert signing.check().exit_code == 0

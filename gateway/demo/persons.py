# SPDX-License-Identifier: Apache-2.0
"""A person endorses for an organisation, with a key that its gateway never sees."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from gateway.demo.processes import command
from gateway.demo.stage import Stage
from gateway.demo.telling import Disagreement, expect
from gateway.verifier.declarations import declaration_of
from pedigree import Recorded
from pedigree.documents import Endorsement

_WITHIN = 60.0


def endorse_as_person(stage: Stage, name: str, reference: str) -> Recorded[Endorsement]:
    """Prepare a statement at the gateway of an organisation, have its administrator sign it elsewhere, and submit it.

    The organisation says first whose word is its own: of those whom its certificate authorities vouch for.
    """
    client, folder = stage.clients[name], stage.files / name
    folder.mkdir(parents=True, exist_ok=True)
    member = next(each for each in stage.consortium.network()["organisations"] if each["name"] == name)
    declared = client.declare_roots(**declaration_of(Path(member["msp"])))
    stage.telling.say(f"{name} says which authorities vouch for those who speak for it", declared)
    prepared = folder / "statement.json"
    _pedigree(
        "endorse", reference, "--prepare", str(prepared), url=stage.consortium.url(name),
        key=stage.consortium.key(name), ca_certificate=stage.consortium.ca_certificate,
    )  # fmt: skip
    person = Path(member["admin_msp"])
    said = _pedigree(
        "sign", str(prepared), "--yes",
        "--key", str(_only(person / "keystore")), "--cert", str(_only(person / "signcerts")),
    )  # fmt: skip
    expect(f"endorses {reference}" in said, f"what is signed should be said in words: {said}")
    signed: dict[str, Any] = json.loads(prepared.read_text(encoding="utf-8"))
    return client.endorse(reference, envelope=signed["envelope"], chain=signed["chain"])


def _only(folder: Path) -> Path:
    return next(iter(sorted(folder.iterdir())))


def _pedigree(*words: str, url: str | None = None, key: str | None = None, ca_certificate: Path | None = None) -> str:
    """What a command of our own says; without an address, no gateway can be asked."""
    believed = None if ca_certificate is None else str(ca_certificate)
    given = {"PEDIGREE_URL": url, "PEDIGREE_KEY": key, "PEDIGREE_CA_CERTIFICATE": believed}
    env = {name: value for name, value in os.environ.items() if name not in given}
    env |= {name: value for name, value in given.items() if value is not None}
    done = subprocess.run(  # noqa: S603  # our own command with arguments of our own making
        [command("pedigree"), *words], capture_output=True, text=True, check=False, timeout=_WITHIN, env=env
    )
    if done.returncode != 0:
        raise Disagreement(f"pedigree {words[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout

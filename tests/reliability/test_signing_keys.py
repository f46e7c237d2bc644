# SPDX-License-Identifier: Apache-2.0
"""Gateways whose key is in a wallet: renewed while requests run, and in a token that is taken away and put back.

A token is asked by processes of their own: the library reads once per process where tokens are.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tokens import MISSING, MODULE, PIN, TOOL, configured, initialise

from gateway.demo.processes import StartFailed
from gateway.identities.credential import Credential, load_certificate
from gateway.identities.keys import PrivateKey, generate
from gateway.identities.wallets import open_wallet
from network.material import Material, _Authority, _subject

if TYPE_CHECKING:
    from reliability.conftest import Load, LoneGateway

    from gateway.demo.consortium import Consortium

Blocks = Callable[[], Any]
PASSPHRASE = "canary-passphrase-of-the-wallet"
DOMAIN, MSP_ID = "lab.example", "LabMSP"
WATCH = 45.0
"""Seconds in which a gateway has looked at its wallet again."""

pytestmark = [pytest.mark.timeout(240)]


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    """The file with it, which only its owner may read."""
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE + "\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def issued(consortium: Consortium, name: str, key: PrivateKey) -> Credential:
    """An identity of the lab's, as its CA issues it for a key."""
    folder = Material(consortium.directory / "organizations").organisation(DOMAIN)
    authority = _Authority.load(folder / "ca", f"ca.{DOMAIN}")
    begin = datetime.now(UTC) - timedelta(minutes=5)
    pem = authority.issue(_subject(f"{name}@{DOMAIN}", DOMAIN, "client"), key, begin, (), tls=False)
    return Credential(MSP_ID, load_certificate(pem, name), key, (authority.certificate,))


def enrol(consortium: Consortium, configuration: Path, wallet: Path) -> None:
    """Make a wallet with an identity of the lab's whose key is in a token."""
    organisation = Material(consortium.directory / "organizations").organisation(DOMAIN)
    program = Path(__file__).with_name("tokenenrolment.py")
    done = subprocess.run(
        [sys.executable, str(program), str(wallet), str(organisation), str(MODULE)],
        env={**os.environ, "SOFTHSM2_CONF": str(configuration), "PEDIGREE_WALLET_PASSPHRASE": PIN},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def authorised(lone: LoneGateway) -> dict[str, str]:
    return {"Authorization": f"Bearer {lone.key}"}


def until(held: Callable[[], bool], meanwhile: Callable[[int], None]) -> None:
    """Do something again and again until something holds."""
    give_up, number = time.monotonic() + WATCH, 0
    while not held():
        assert time.monotonic() < give_up
        meanwhile(number)
        number += 1


def creators(blocks: Blocks) -> Counter[str]:
    """By whom what was recorded is signed, as the blocks say."""
    return Counter(entry.creator for entry in blocks())


def readiness(lone: LoneGateway) -> tuple[int, Any]:
    answer = httpx.get(f"{lone.health}/readyz")
    return answer.status_code, answer.json()


def test_a_sealed_identity_is_renewed_while_requests_run(
    lone: LoneGateway, load: Load, blocks: Blocks, prefix: str, consortium: Consortium, passphrase: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    with closing(open_wallet(tmp_path / "wallet", PASSPHRASE.encode, make="sealed")) as wallet:
        wallet.put("gateway", issued(consortium, "first", generate("p256")))
        lone.start("--wallet", str(wallet.folder), "--wallet-passphrase-file", str(passphrase))
        load.run([lone.target], clients=4, each=3, prefix=f"{prefix}-before")
        renewed = issued(consortium, "second", generate("p384"))
        wallet.put("gateway", renewed)
        until(lambda: f"certificate {renewed.serial}" in lone.log(), meanwhile=lambda number: load.run(
            [lone.target], clients=4, each=2, prefix=f"{prefix}-during{number}"))  # fmt: skip
        load.run([lone.target], clients=4, each=3, prefix=f"{prefix}-after")
        # What does not serve is refused, and what was held goes on.
        wallet.path("gateway").write_bytes(b"not an identity")
        until(lambda: "the identity could not be read" in lone.log(), meanwhile=lambda number: load.run(
            [lone.target], clients=2, each=1, prefix=f"{prefix}-damaged{number}"))  # fmt: skip
    assert {one.status for one in load.exchanges} == {201}
    load.judge(found := blocks())
    signers = {"before": set(), "during": set(), "after": set(), "damaged": set()}
    for entry in found:
        signers[entry.model.split("-")[1].rstrip("0123456789")].add(entry.creator)
    first, second = f"first@{DOMAIN}", f"second@{DOMAIN}"
    assert signers["before"] == {first}
    assert second in signers["during"] | {second}
    assert signers["after"] == signers["damaged"] == {second}
    assert PASSPHRASE not in lone.log()
    assert readiness(lone)[0] == 200  # what it signs with can be used


@pytest.mark.skipif(MODULE is None or TOOL is None, reason=MISSING)
def test_a_token_that_is_taken_away_and_put_back(
    lone: LoneGateway, load: Load, blocks: Blocks, prefix: str, consortium: Consortium, tmp_path: Path
) -> None:
    configuration = configured(tmp_path / "softhsm")
    initialise(configuration, "lab")
    enrol(consortium, configuration, tmp_path / "wallet")
    lone.environment = {"SOFTHSM2_CONF": str(configuration), "PEDIGREE_WALLET_PASSPHRASE": PIN}
    lone.start("--wallet", str(tmp_path / "wallet"))
    load.run([lone.target], clients=4, each=3, prefix=prefix)
    assert creators(blocks) == {f"token@{DOMAIN}": 12}

    tokens = configuration.parent / "tokens"
    tokens.rename(away := tokens.with_name("away"))
    with lone.client(timeout=1) as client:
        load.record(client, f"{prefix}-away")
    refused = load.refused.pop(f"{prefix}-away")
    assert (refused.status, refused.code) == (503, "signing-key-unavailable")
    status, said = readiness(lone)
    assert status == 503
    assert "token" in said["signing_key"]
    assert (
        httpx.get(f"{lone.url}/v1/models/{prefix}-0-0", headers=authorised(lone)).status_code == 200
    )  # nothing is signed

    away.rename(tokens)
    until(lambda: readiness(lone)[0] == 200, meanwhile=lambda _: time.sleep(0.5))
    load.run([lone.target], clients=4, each=2, prefix=f"{prefix}-again")
    with lone.client() as client:
        load.record(client, f"{prefix}-away")  # under the same key, which is free
    load.judge(blocks())
    assert creators(blocks) == {f"token@{DOMAIN}": 12 + 8 + 1}
    assert PIN not in lone.log()


@pytest.mark.skipif(MODULE is None or TOOL is None, reason=MISSING)
def test_a_wrong_pin_is_tried_once(lone: LoneGateway, consortium: Consortium, tmp_path: Path) -> None:
    configuration = configured(tmp_path / "softhsm")
    initialise(configuration, "lab")
    enrol(consortium, configuration, tmp_path / "wallet")
    lone.environment = {"SOFTHSM2_CONF": str(configuration), "PEDIGREE_WALLET_PASSPHRASE": "not-the-pin"}
    with pytest.raises(StartFailed):
        lone.start("--wallet", str(tmp_path / "wallet"))
    (line,) = [line for line in lone.log().splitlines() if line]
    assert "the PIN does not open token 'lab'" in line
    assert "not-the-pin" not in line

# SPDX-License-Identifier: Apache-2.0
"""Access tokens of an issuer that others wrote (`oidc-provider`), taken by a gateway as they are."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pedigree import Pedigree, Refused

AUDIENCE = "https://pedigree.lab.example"
CLAIMS = {
    "client": "client_id",
    "roles": [
        {"claim": "scope", "value": "ledger.read", "role": "reader"},
        {"claim": "scope", "value": "ledger.write", "role": "recorder"},
    ],
}


@pytest.fixture(scope="module")
def issuer(installed: Path) -> Iterator[str]:
    command = ["node", "--no-warnings", str(installed / "oidc" / "provider.mjs")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as program:
        assert program.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(program.stdout.readline())}"
        finally:
            program.terminate()


@pytest.fixture(scope="module")
def gateway(start_memory_gateway: Callable[..., Any], issuer: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = tmp_path_factory.mktemp("claims") / "claims.json"
    file.write_text(json.dumps(CLAIMS), encoding="utf-8")
    return start_memory_gateway(oidc_issuer=issuer, oidc_audience=AUDIENCE, oidc_claims=str(file))


def token(issuer: str, scope: str) -> str:
    """What a program gets with client credentials (RFC 6749, 4.4)."""
    asked = {"grant_type": "client_credentials", "scope": scope}
    answer = httpx.post(f"{issuer}/token", data=asked, auth=("trainer", "a-secret-of-the-test"))
    return str(answer.raise_for_status().json()["access_token"])


def test_scopes_of_a_foreign_issuer_give_roles(gateway: Any, issuer: str) -> None:
    url = f"http://127.0.0.1:{gateway.port}"
    with Pedigree(url, lambda: token(issuer, "ledger.read ledger.write")) as writer:
        assert writer.register_model("foreign", title="Net").record["model"] == "foreign"
    with Pedigree(url, token(issuer, "ledger.read")) as reader:
        assert reader.ledger()["organisation"] == "LabMSP"
        with pytest.raises(Refused) as caught:
            reader.register_model("never", title="Net")
    assert caught.value.code == "role-too-low"


def test_an_altered_token_of_a_foreign_issuer_is_refused(gateway: Any, issuer: str) -> None:
    head, claims, signature = token(issuer, "ledger.read").split(".")
    altered = f"{head}.{claims}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    with Pedigree(f"http://127.0.0.1:{gateway.port}", altered) as pedigree, pytest.raises(Refused) as caught:
        pedigree.ledger()
    assert (caught.value.status, caught.value.code) == (401, "unauthenticated")

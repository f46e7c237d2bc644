# SPDX-License-Identifier: Apache-2.0
"""Access tokens of an issuer that runs as a program of its own: which are taken, and which never are."""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from doorcertificates import DoorAuthority
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from gateway.callers import issuer as issuers
from gateway.callers.claims import Claimed, Claims
from gateway.callers.issuer import IssuerKeys
from gateway.callers.tokens import TokenVerifier
from gateway.server.oidc import claims_of
from gateway.server.options import Options
from gateway.server.settings import SettingsError
from gateway.services.callers import RoleMissing, Unrecognised
from gateway.services.failures import Unavailable
from pedigree import Pedigree, Refused


@dataclass(frozen=True)
class Issuer:
    """The issuer that runs."""

    url: str

    def post(self, path: str, body: Any = None) -> Any:
        return httpx.post(f"{self.url}{path}", json=body or {}).raise_for_status().json()

    def token(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        return str(self.post("/token", {"claims": claims, "header": header or {}})["access_token"])

    def key_set(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.url}/keys").json()
        return found

    def asked(self) -> int:
        return int(httpx.get(f"{self.url}/asked").json()["asked"])


@pytest.fixture(scope="module")
def run_issuer() -> Iterator[Callable[[str], Issuer]]:
    programs = []

    def run(algorithm: str) -> Issuer:
        file = Path(__file__).parents[2] / "harness" / "tokenissuer.py"
        program = subprocess.Popen([sys.executable, str(file), algorithm], stdout=subprocess.PIPE, text=True)
        programs.append(program)
        assert program.stdout is not None
        return Issuer(f"http://127.0.0.1:{int(program.stdout.readline())}")

    yield run
    for program in programs:
        program.terminate()
        program.wait(20)
        assert program.stdout is not None
        program.stdout.close()


@pytest.fixture(scope="module")
def issuer(run_issuer: Callable[[str], Issuer]) -> Issuer:
    return run_issuer("ES256")


@pytest.fixture(scope="module")
def gateway(start_memory_gateway: Callable[..., Any], issuer: Issuer) -> Any:
    return start_memory_gateway(oidc_issuer=issuer.url, oidc_audience="pedigree")


def ask(gateway: Any, token: str, method: str = "GET", path: str = "/v1/ledger", **more: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
    return httpx.request(method, f"http://127.0.0.1:{gateway.port}{path}", headers=headers, timeout=30, **more)


def test_a_token_has_the_role_that_its_claims_give(gateway: Any, issuer: Issuer) -> None:
    token = issuer.token()
    with Pedigree(f"http://127.0.0.1:{gateway.port}", token) as pedigree:
        assert pedigree.register_model("by-token", title="Net").record["model"] == "by-token"
        with pytest.raises(Refused) as caught:
            pedigree.audit_entries()
    assert caught.value.code == "role-too-low"
    assert (
        ask(gateway, issuer.token(roles=["pedigree-reader", "pedigree-operator"]), path="/v1/audit").status_code == 200
    )
    refused = ask(gateway, issuer.token(roles=["something"]))
    assert (refused.status_code, refused.json()["code"]) == (403, "no-role")
    assert ask(gateway, issuer.token(roles=None)).status_code == 403


def test_the_sdk_asks_for_a_new_token_when_it_needs_one(gateway: Any, issuer: Issuer) -> None:
    given = []

    def renewed() -> str:
        given.append(issuer.token())
        return given[-1]

    with Pedigree(f"http://127.0.0.1:{gateway.port}", renewed) as pedigree:
        pedigree.ledger()
        pedigree.ledger()
    assert len(set(given)) == 2


def test_the_same_client_has_its_idempotency_keys_with_every_token(gateway: Any, issuer: Issuer) -> None:
    body, headers = {"model": "again", "title": "Net"}, {"Idempotency-Key": "again"}
    first = ask(gateway, issuer.token(), "POST", "/v1/models", json=body, headers=headers)
    second = ask(gateway, issuer.token(jti="other"), "POST", "/v1/models", json=body, headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.headers["Idempotent-Replayed"] == "true"
    other = ask(gateway, issuer.token(sub="other"), "POST", "/v1/models", json=body, headers=headers)
    assert "Idempotent-Replayed" not in other.headers


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def parts(token: str) -> tuple[dict[str, Any], str, str]:
    head, claims, signature = token.split(".")
    return json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))), claims, signature


def reheaded(token: str, signature: str | None = None, **header: Any) -> str:
    head, claims, kept = parts(token)
    head = {name: value for name, value in {**head, **header}.items() if value is not None}
    return f"{b64(json.dumps(head).encode())}.{claims}.{kept if signature is None else signature}"


def confused(issuer: Issuer) -> str:
    """Signed with HMAC, whose secret is the issuer's public key as everybody can write it."""
    public = json.dumps(issuer.key_set()["keys"][0]).encode()
    head, claims, _ = parts(issuer.token())
    signed = f"{b64(json.dumps({**head, 'alg': 'HS256'}).encode())}.{claims}"
    return f"{signed}.{b64(hmac.new(public, signed.encode(), hashlib.sha256).digest())}"


def foreign(issuer: Issuer, **header: Any) -> str:
    """Signed by a key of somebody else's, under the issuer's key id."""
    key = ECKey.generate_key("P-256")
    now = int(time.time())
    claims = {"iss": issuer.url, "aud": "pedigree", "sub": "app", "exp": now + 60, "roles": ["pedigree-operator"]}
    kid = issuer.key_set()["keys"][-1]["kid"]
    return jwt.encode({"alg": "ES256", "kid": kid, **header}, claims, key, algorithms=["ES256"])


NEVER: dict[str, Callable[[Issuer], str]] = {
    "malformed": lambda _: "a.b.c",
    "empty parts": lambda _: "..",
    "no signature": lambda issuer: issuer.token().rpartition(".")[0] + ".",
    "alg none": lambda issuer: reheaded(issuer.token(), "", alg="none"),
    "alg None": lambda issuer: reheaded(issuer.token(), "", alg="None"),
    "alg missing": lambda issuer: reheaded(issuer.token(), alg=None),
    "HMAC with the public key": confused,
    "another algorithm": lambda issuer: reheaded(issuer.token(), alg="RS256"),
    "unknown kid": lambda issuer: reheaded(issuer.token(), kid="nobody"),
    "kid with a path": lambda issuer: reheaded(issuer.token(), kid="../../etc/passwd"),
    "kid with SQL": lambda issuer: reheaded(issuer.token(), kid="' OR 1=1 --"),
    "kid with an address": lambda issuer: reheaded(issuer.token(), kid="http://127.0.0.1/keys"),
    "kid that is no text": lambda issuer: reheaded(issuer.token(), kid=["a"]),
    "jku": lambda issuer: foreign(issuer, jku="http://127.0.0.1:1/keys"),
    "jwk": lambda issuer: reheaded(foreign(issuer), jwk=ECKey.generate_key("P-256").as_dict(private=False)),
    "another's key": foreign,
    "crit": lambda issuer: reheaded(issuer.token(), crit=["exp"]),
    "another typ": lambda issuer: reheaded(issuer.token(), typ="secevent+jwt"),
    "header that is no object": lambda issuer: f"{b64(b'[]')}.{issuer.token().split('.', 1)[1]}",
    "deep header": lambda issuer: f"{b64(b'[' * 5000)}.{issuer.token().split('.', 1)[1]}",
    "altered claims": lambda issuer: issuer.token().replace(".", ".eyJhIjoxfQ", 1),
    "wrong audience": lambda issuer: issuer.token(aud="another"),
    "audience missing": lambda issuer: issuer.token(aud=None),
    "audience in part": lambda issuer: issuer.token(aud="pedigree2"),
    "wrong issuer": lambda issuer: issuer.token(iss="https://evil.example"),
    "issuer missing": lambda issuer: issuer.token(iss=None),
    "exp missing": lambda issuer: issuer.token(exp=None),
    "exp as text": lambda issuer: issuer.token(exp="9999999999"),
    "exp that is endless": lambda issuer: issuer.token(exp=1e300),
    "not yet": lambda issuer: issuer.token(nbf=int(time.time()) + 120),
    "issued later": lambda issuer: issuer.token(iat=int(time.time()) + 120),
    "no client": lambda issuer: issuer.token(sub=None),
    "client that is no text": lambda issuer: issuer.token(sub={"a": 1}),
    "bound to a key of DPoP": lambda issuer: issuer.token(cnf={"jkt": "x"}),
    "bound to nonsense": lambda issuer: issuer.token(cnf="x"),
}  # fmt: skip


@pytest.mark.parametrize("made", NEVER.values(), ids=NEVER)
def test_what_is_never_taken(gateway: Any, issuer: Issuer, made: Callable[[Issuer], str]) -> None:
    token = made(issuer)
    refused = ask(gateway, token)
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated"), refused.text
    assert refused.headers["WWW-Authenticate"].startswith("Bearer ")
    log = gateway.log.read_text(encoding="utf-8")
    assert token not in refused.text
    assert len(token) < 20 or token not in log
    assert gateway.failures() == ""


def test_a_token_that_is_over_says_so_after_its_signature_holds(gateway: Any, issuer: Issuer) -> None:
    over = issuer.token(exp=int(time.time()) - 60)
    assert ask(gateway, over).json()["code"] == "credential-expired"
    assert ask(gateway, over[:-4] + "AAAA").json()["code"] == "unauthenticated"
    assert ask(gateway, issuer.token(exp=int(time.time()) - 5)).status_code == 200  # clocks differ a little


def test_an_audience_among_others_and_a_key_beside_tokens_do(gateway: Any, issuer: Issuer) -> None:
    assert ask(gateway, issuer.token(aud=["another", "pedigree"])).status_code == 200
    assert ask(gateway, gateway.keys["reader"]).status_code == 200


@pytest.mark.parametrize("algorithm", ["RS256", "Ed25519"])
def test_other_algorithms_are_verified(run_issuer: Callable[[str], Issuer], algorithm: str) -> None:
    other = run_issuer(algorithm)
    keys = IssuerKeys(other.url)
    keys.refresh()
    verifier = TokenVerifier(other.url, "pedigree", keys, Claims())
    assert verifier.verify(other.token()).caller.role == "recorder"
    assert verifier.verify(other.token(header={"kid": None})).caller.role == "recorder"  # there is but one key


# -- the issuer's keys ----------------------------------------------------------------------------------------------


@pytest.fixture
def turning(run_issuer: Callable[[str], Issuer], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An issuer, its keys with a clock that the test turns, and a verifier."""
    own = run_issuer("ES256")
    now = [1000.0]
    keys = IssuerKeys(own.url, clock=lambda: now[0])
    monkeypatch.setattr(issuers, "_WAIT", 2.0)
    keys.start()
    yield own, keys, TokenVerifier(own.url, "pedigree", keys, Claims()), now
    keys.stop()


def test_a_rotated_key_is_found_and_a_withdrawn_one_counts_no_more(turning: Any) -> None:
    own, _, verifier, now = turning
    before = own.token()
    assert verifier.verify(before).caller.name == "app"
    own.post("/rotate")
    now[0] += issuers.PAUSE
    assert verifier.verify(own.token()).caller.name == "app"
    assert verifier.verify(before).caller.name == "app"
    own.post("/withdraw")
    now[0] += issuers.FRESH
    late = time.monotonic() + 10
    while time.monotonic() < late:
        try:
            verifier.verify(before)
        except Unrecognised:
            break
        time.sleep(0.1)
    else:
        pytest.fail("a withdrawn key went on to count")


def test_unknown_keys_make_nobody_ask_the_issuer_often(turning: Any) -> None:
    own, _, verifier, now = turning
    verifier.verify(own.token())
    asked = own.asked()
    now[0] += issuers.PAUSE

    def attempt(number: int) -> None:
        with pytest.raises(Unrecognised):
            verifier.verify(reheaded(own.token(), kid=f"nobody-{number}"))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(attempt, range(60)))
    assert own.asked() - asked == 1


def test_keys_count_for_a_while_when_the_issuer_is_away_and_then_tokens_wait(turning: Any) -> None:
    own, keys, verifier, now = turning
    token = own.token()
    assert verifier.verify(token)
    own.post("/fail")
    now[0] += issuers.FRESH + issuers.PAUSE
    keys.refresh()
    assert keys.trouble is not None
    assert verifier.verify(token)
    now[0] += issuers.STALE
    with pytest.raises(Unavailable) as caught:
        verifier.verify(token)
    assert caught.value.code == "issuer-unavailable"
    own.post("/mend")
    now[0] += issuers.PAUSE
    assert verifier.verify(token)


def test_an_issuer_that_was_never_there_gives_503_and_keys_go_on(start_memory_gateway: Callable[..., Any]) -> None:
    gateway = start_memory_gateway(oidc_issuer="http://127.0.0.1:1", oidc_audience="pedigree")
    head = b64(json.dumps({"alg": "ES256", "kid": "a"}).encode())
    answer = ask(gateway, f"{head}.e30.c2ln")
    assert (answer.status_code, answer.json()["code"]) == (503, "issuer-unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert ask(gateway, gateway.keys["reader"]).status_code == 200


GOOD = RSAKey.generate_key(2048, {"kid": "good"})
PUBLISHED: list[tuple[Any, Any, str | None]] = [
    ({"issuer": "https://other.example", "jwks_uri": "https://issuer.example/keys"}, {}, "is of the issuer"),
    ({"issuer": "https://issuer.example"}, {}, "jwks_uri"),
    ({"issuer": "https://issuer.example", "jwks_uri": "http://169.254.169.254/keys"}, {}, "jwks_uri"),
    ({"issuer": "https://issuer.example", "jwks_uri": "file:///etc/passwd"}, {}, "jwks_uri"),
    ([], {}, "not a JSON object"),
    (None, {"keys": "x"}, "not a list"),
    (None, {"keys": [{}] * 101}, "not a list"),
    (None, {"keys": []}, "no key"),
    (None, {"keys": [OctKey.generate_key(256).as_dict()]}, "no key"),
    (None, {"keys": [{**GOOD.as_dict(private=False), "use": "enc"}]}, "no key"),
    (None, {"keys": [{"kty": "RSA", "n": "x"}, 7, {"kty": "EC", "crv": "P-256", "x": "!", "y": ""}]}, "no key"),
    (None, {"keys": [GOOD.as_dict(private=False), {"kty": "odd"}]}, None),
]


@pytest.mark.parametrize(("about", "published", "trouble"), PUBLISHED)
def test_what_an_issuer_may_not_publish(about: Any, published: Any, trouble: str | None) -> None:
    said = {"issuer": "https://issuer.example", "jwks_uri": "https://issuer.example/keys"} if about is None else about
    keys = IssuerKeys(
        "https://issuer.example", fetch=lambda url: json.dumps(said if "well-known" in url else published).encode()
    )
    keys.refresh()
    if trouble is None:
        assert keys.find("good") is not None
        return
    assert keys.trouble is not None
    assert trouble in keys.trouble


# -- claims and options ---------------------------------------------------------------------------------------------


def test_claims_are_found_where_the_file_says(tmp_path: Path) -> None:
    file = tmp_path / "claims.json"
    file.write_text(
        json.dumps(
            {
                "client": "client_id",
                "name": ["profile", "label"],
                "roles": [
                    {"claim": "scope", "value": "ledger.read", "role": "reader"},
                    {"claim": ["realm_access", "roles"], "value": "lab-writer", "role": "recorder"},
                ],
            }
        ),
        encoding="utf-8",
    )
    claims = Claims.load(file)
    assert claims.read({"client_id": "a", "scope": "openid ledger.read"}) == Claimed("a", "a", "reader", None, None)
    deep = {"client_id": "a", "profile": {"label": "App"}, "realm_access": {"roles": ["lab-writer"]}}
    assert claims.read(deep) == Claimed("a", "App", "recorder", None, None)
    for odd in ({"scope": "ledger.reading"}, {"scope": 7}, {"realm_access": ["lab-writer"]}, {}):
        with pytest.raises(RoleMissing):
            claims.read({"client_id": "a", **odd})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "the whole must be an object"),
        ({}, "roles must be a list"),
        ({"roles": []}, "roles must be a list"),
        ({"roles": [{"claim": "a", "value": "b", "role": "king"}]}, r"roles\[0\].role must be one of"),
        ({"roles": [{"claim": "a", "value": 7, "role": "reader"}]}, r"roles\[0\].value must be text"),
        ({"roles": [{"claim": [], "value": "b", "role": "reader"}]}, r"roles\[0\].claim must be"),
        ({"roles": [{"claim": "a", "value": "b", "rolle": "reader"}]}, r"roles\[0\] has the field 'rolle'"),
        ({"client": 7, "roles": [{"claim": "a", "value": "b", "role": "reader"}]}, "client must be"),
    ],
)
def test_a_file_of_claims_that_will_not_do_names_the_field(value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Claims.parse(value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"oidc_audience": "a"}, "--oidc-audience needs --oidc-issuer"),
        ({"oidc_issuer": "https://a.example"}, "--oidc-issuer needs --oidc-audience"),
        ({"oidc_issuer": "http://a.example", "oidc_audience": "a"}, "begins with https://"),
        ({"oidc_issuer": "https://[", "oidc_audience": "a"}, "begins with https://"),
        ({"oidc_issuer": "https://a.example?x", "oidc_audience": "a"}, "begins with https://"),
        (
            {"oidc_issuer": "https://a.example", "oidc_audience": "a", "oidc_claims": Path("none")},
            "--oidc-claims: none: No",
        ),
    ],
)
def test_options_that_will_not_do_are_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        claims_of(Options(**given))


# -- bound tokens ---------------------------------------------------------------------------------------------------


def test_a_bound_token_counts_with_its_certificate_alone(
    start_memory_gateway: Callable[..., Any], issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    authority = DoorAuthority(tmp_path_factory.mktemp("bound"))
    certificate, key = authority.issue("server", server=True)
    gateway = start_memory_gateway(
        oidc_issuer=issuer.url, oidc_audience="pedigree", tls_certificate=str(certificate), tls_key=str(key),
        client_ca=str(authority.file), believed=str(authority.file),
    )  # fmt: skip
    own, other = authority.issue("own"), authority.issue("another")
    content = x509.load_pem_x509_certificate(own[0].read_bytes()).public_bytes(Encoding.DER)
    bound = issuer.token(cnf={"x5t#S256": b64(hashlib.sha256(content).digest())})

    def ledger(token: str, pair: tuple[Path, Path] | None) -> str:
        with Pedigree(
            f"https://127.0.0.1:{gateway.port}", token, ca_certificate=authority.file,
            client_certificate=pair and pair[0], client_key=pair and pair[1],
        ) as pedigree:  # fmt: skip
            try:
                return str(pedigree.ledger()["organisation"])
            except Refused as refused:
                return refused.code

    assert ledger(bound, own) == "LabMSP"
    assert ledger(bound, other) == "credentials-disagree"
    assert ledger(bound, None) == "credentials-disagree"
    assert ledger(issuer.token(), own) == "credentials-disagree"
    assert ledger(issuer.token(), None) == "LabMSP"

# SPDX-License-Identifier: Apache-2.0
"""Clients that come with a certificate: which of them are known, and which TLS turns away."""

import datetime
import json
import time
from collections.abc import Callable
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from doorcertificates import DAY, DoorAuthority

from gateway.callers import certificates
from gateway.cli.program import main
from gateway.server.door import DoorFiles
from gateway.server.options import Options
from gateway.server.settings import SettingsError
from gateway.services.callers import Callers, Presented, Unrecognised
from gateway.stores.database import Database
from gateway.stores.keys import KeyStore
from pedigree import InvalidInput, Pedigree, Refused, Unreachable


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> DoorAuthority:
    return DoorAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def gateway(start_memory_gateway: Callable[..., Any], authority: DoorAuthority) -> Any:
    certificate, key = authority.issue("server", server=True)
    revoked, _ = authority.issue("revoked")
    return start_memory_gateway(
        tls_certificate=str(certificate), tls_key=str(key), client_ca=str(authority.file),
        client_crl=str(authority.revoke(revoked)), believed=str(authority.file),
    )  # fmt: skip


def add(gateway: Any, *words: str) -> str:
    done = CliRunner().invoke(main, ["keys", "add", *words, "--data", str(gateway.folder)])
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def client(gateway: Any, authority: DoorAuthority, pair: tuple[Path, Path], key: str | None = None) -> Pedigree:
    return Pedigree(
        f"https://127.0.0.1:{gateway.port}", key, ca_certificate=authority.file, client_certificate=pair[0],
        client_key=pair[1], timeout=20,
    )  # fmt: skip


@pytest.mark.parametrize("known_by", ["fingerprint", "subject", "dns", "uri"])
def test_a_registered_certificate_has_the_role_of_its_client(
    gateway: Any, authority: DoorAuthority, known_by: str
) -> None:
    names = [x509.DNSName(f"{known_by}.lab.example"), x509.UniformResourceIdentifier(f"spiffe://lab/{known_by}")]
    pair = authority.issue(f"app-{known_by}", names=names)
    how = {
        "fingerprint": ["--certificate", str(pair[0])],
        "subject": ["--certificate-name", f"subject:CN=app-{known_by},O=Lab"],
        "dns": ["--certificate-name", f"dns:{known_by.upper()}.lab.example"],
        "uri": ["--certificate-name", f"uri:spiffe://lab/{known_by}"],
    }[known_by]
    add(gateway, f"app-{known_by}", "--role", "recorder", *how)
    with client(gateway, authority, pair) as pedigree:
        assert pedigree.register_model(f"model-{known_by}", title="Net").record["model"] == f"model-{known_by}"
        with pytest.raises(Refused) as caught:
            pedigree.audit_entries()
    assert (caught.value.status, caught.value.code) == (403, "role-too-low")


def test_one_that_nobody_registered_is_refused_and_named(gateway: Any, authority: DoorAuthority) -> None:
    pair = authority.issue("unknown")
    with client(gateway, authority, pair) as pedigree, pytest.raises(Refused) as caught:
        pedigree.ledger()
    assert (caught.value.status, caught.value.code) == (401, "unknown-certificate")
    assert certificates.fingerprint(pair[0].read_bytes()) in caught.value.detail


def test_a_key_beside_a_certificate_must_be_the_same_clients(gateway: Any, authority: DoorAuthority) -> None:
    pair = authority.issue("both")
    add(gateway, "both", "--role", "reader", "--certificate", str(pair[0]))
    with client(gateway, authority, pair, gateway.keys["operator"]) as pedigree, pytest.raises(Refused) as caught:
        pedigree.ledger()
    assert (caught.value.status, caught.value.code) == (401, "credentials-disagree")
    unknown = authority.issue("both-unknown")
    with client(gateway, authority, unknown, gateway.keys["operator"]) as pedigree, pytest.raises(Refused) as caught:
        pedigree.ledger()
    assert caught.value.code == "unknown-certificate"


def test_those_with_a_key_need_no_certificate(gateway: Any) -> None:
    assert gateway.ask("GET", "/v1/ledger")[0] == 200


def test_tls_turns_away_what_it_cannot_verify(gateway: Any, authority: DoorAuthority, tmp_path: Path) -> None:
    other = DoorAuthority(tmp_path, "other").issue("foreign")
    for pair, why in (
        (other, "unknown ca"),
        (authority.issue("expired", lasts=-DAY), "certificate expired"),
        ((authority.folder / "revoked.crt", authority.folder / "revoked.key"), "certificate revoked"),
        (authority.issue("for-servers", server=True), "certificate"),
    ):
        started = time.monotonic()
        with client(gateway, authority, pair) as pedigree, pytest.raises(Unreachable) as caught:
            pedigree.ledger()
        assert caught.value.code == "certificate-refused", caught.value
        assert why in caught.value.detail
        assert time.monotonic() - started < 10
    assert gateway.failures() == ""


def test_a_certificate_revoked_later_is_refused_on_an_open_connection_too(
    gateway: Any, authority: DoorAuthority
) -> None:
    pair = authority.issue("later")
    add(gateway, "later", "--role", "reader", "--certificate", str(pair[0]))
    tls = gateway.tls.__class__(gateway.tls.protocol)
    tls.load_verify_locations(str(authority.file))
    tls.load_cert_chain(*pair)
    connection = HTTPSConnection("127.0.0.1", gateway.port, timeout=30, context=tls)
    connection.request("GET", "/v1/ledger")
    answer = connection.getresponse()
    assert (answer.status, answer.read()[:1]) == (200, b"{")
    authority.revoke(authority.folder / "revoked.crt", pair[0])
    late = time.monotonic() + 20
    while True:
        try:
            connection.request("GET", "/v1/ledger")
            connection.getresponse().read()
        except OSError:
            break
        assert time.monotonic() < late
        time.sleep(0.2)
    with client(gateway, authority, pair) as pedigree, pytest.raises(Unreachable) as caught:
        pedigree.ledger()
    assert "revoked" in caught.value.detail


def test_a_list_that_is_overdue_admits_nobody(
    start_memory_gateway: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    authority = DoorAuthority(tmp_path_factory.mktemp("overdue"))
    certificate, key = authority.issue("server", server=True)
    gateway = start_memory_gateway(
        tls_certificate=str(certificate), tls_key=str(key), client_ca=str(authority.file),
        client_crl=str(authority.revoke(lasts=-DAY)), believed=str(authority.file),
    )  # fmt: skip
    pair = authority.issue("app")
    add(gateway, "app", "--role", "reader", "--certificate", str(pair[0]))
    with client(gateway, authority, pair) as pedigree, pytest.raises(Unreachable):
        pedigree.ledger()
    assert gateway.ask("GET", "/v1/ledger")[0] == 200


def test_a_revoked_registration_ends_at_once(gateway: Any, authority: DoorAuthority) -> None:
    pair = authority.issue("ended")
    add(gateway, "ended", "--role", "reader", "--certificate", str(pair[0]))
    with client(gateway, authority, pair) as pedigree:
        assert pedigree.ledger()
        done = CliRunner().invoke(main, ["keys", "revoke", "ended", "--data", str(gateway.folder)])
        assert done.exit_code == 0
        with pytest.raises(Refused) as caught:
            pedigree.ledger()
    assert caught.value.code == "unknown-certificate"
    add(gateway, "ended-again", "--role", "reader", "--certificate", str(pair[0]))


# -- the registry ---------------------------------------------------------------------------------------------------


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    database = Database.open(tmp_path / "keys.db", "keys", durable=False)
    yield KeyStore(database)
    database.close()


def test_the_surest_name_decides_and_two_that_are_as_sure_decide_nothing(
    registry: KeyStore, authority: DoorAuthority
) -> None:
    pair = authority.issue("several", names=[x509.DNSName("a.example"), x509.DNSName("b.example")])
    content = x509.load_pem_x509_certificate(pair[0].read_bytes()).public_bytes(Encoding.DER)
    callers = Callers(registry, certificates=certificates.read)
    registry.add_certificate("a", "reader", "dns:a.example")
    assert callers.recognise(Presented(certificate=content)).name == "a"
    registry.add_certificate("b", "recorder", "dns:b.example")
    with pytest.raises(Unrecognised):
        callers.recognise(Presented(certificate=content))
    registry.add_certificate("c", "operator", certificates.fingerprint(pair[0].read_bytes()))
    assert callers.recognise(Presented(certificate=content)).name == "c"


def test_a_certificate_that_ended_while_its_connection_is_open_is_refused(
    registry: KeyStore, authority: DoorAuthority
) -> None:
    pair = authority.issue("ending", lasts=datetime.timedelta(hours=1))
    content = x509.load_pem_x509_certificate(pair[0].read_bytes()).public_bytes(Encoding.DER)
    registry.add_certificate("ending", "reader", certificates.fingerprint(pair[0].read_bytes()))
    now = [time.time()]
    callers = Callers(registry, certificates=certificates.read, clock=lambda: now[0])
    assert callers.recognise(Presented(certificate=content)).name == "ending"
    now[0] += 7200
    with pytest.raises(Unrecognised) as caught:
        callers.recognise(Presented(certificate=content))
    assert caught.value.code == "credential-expired"
    with pytest.raises(Unrecognised):
        callers.recognise(Presented(certificate=b"\x30\x00"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("sha256:" + "AB:" * 31 + "AB", "sha256:" + "ab" * 32),
        ("subject:CN=app,O=Lab", "subject:CN=app,O=Lab"),
        ("dns:App.Lab.Example", "dns:app.lab.example"),
        ("email:a@b.example", "email:a@b.example"),
    ],
)
def test_names_are_written_in_one_way(text: str, found: str) -> None:
    assert certificates.named(text) == found


@pytest.mark.parametrize("text", ["", "app", "dns:", "sha256:ab", "ip:127.0.0.1", "subject:nothing", "dns:a\x1b"])
def test_what_names_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"certificate is known by|a fingerprint has|a subject is written"):
        certificates.named(text)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"client_ca": "x"}, "--client-ca needs --tls-certificate"),
        ({"client_crl": "x", "own": True}, "--client-crl needs --client-ca"),
        ({"client_ca": "missing", "own": True}, "--client-ca: missing: No such file"),
        ({"client_ca": "junk", "own": True}, "--client-ca: .*junk holds no certificate"),
        ({"client_ca": "good", "client_crl": "junk", "own": True}, "--client-crl: .*junk holds no revocation list"),
    ],
)
def test_files_that_will_not_do_are_named(
    authority: DoorAuthority, tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    certificate, key = authority.issue("own", server=True)
    (tmp_path / "junk").write_bytes(b"nothing")
    places = {"junk": tmp_path / "junk", "good": authority.file}
    own = {"tls_certificate": certificate, "tls_key": key} if given.pop("own", False) else {}
    with pytest.raises(SettingsError, match=said):
        load(Options(**own, **{name: places.get(value, Path(value)) for name, value in given.items()}))


def load(options: Options) -> None:
    files = DoorFiles.of(options)
    assert files is not None
    files.load()


def test_the_client_names_files_of_its_own_that_will_not_do(authority: DoorAuthority, tmp_path: Path) -> None:
    certificate, key = authority.issue("mine")
    (tmp_path / "junk").write_bytes(b"nothing")
    for given in (
        {},
        {"client_key": key},
        {"client_certificate": certificate},
        {"client_certificate": tmp_path / "missing"},
        {"client_certificate": certificate, "client_key": tmp_path / "junk"},
    ):
        with pytest.raises(InvalidInput):
            Pedigree("https://127.0.0.1:1", **given)


# -- keys that end --------------------------------------------------------------------------------------------------


def test_a_key_that_ended_says_so_and_to_its_holder_alone(registry: KeyStore) -> None:
    now = [time.time()]
    callers = Callers(registry, clock=lambda: now[0])
    key = registry.add("temporary", "reader", expires=now[0] + 60)
    assert callers.recognise(Presented(key)).name == "temporary"
    now[0] += 60
    with pytest.raises(Unrecognised, match="The API key expired at 20") as caught:
        callers.recognise(Presented(key))
    assert caught.value.code == "credential-expired"
    with pytest.raises(Unrecognised) as caught:
        callers.recognise(Presented(key[:-1]))
    assert caught.value.code == "unauthenticated"
    assert key not in str(caught.value)


def test_a_rotated_key_is_the_same_client_and_its_former_secret_counts_for_a_while(
    registry: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = registry.add("app", "recorder")
    after = registry.rotate("app", keep=3600, expires=None)
    assert before != after
    one, other = registry.recognise(before), registry.recognise(after)
    assert one is not None
    assert one == other
    later = time.time() + 3601
    monkeypatch.setattr("time.time", lambda: later)
    assert registry.recognise(before) is None
    assert registry.recognise(after) is not None
    registry.rotate("app", keep=0, expires=None)
    assert registry.recognise(after) is None
    registry.revoke("app")
    with pytest.raises(Exception, match="no valid key named app"):
        registry.rotate("app", keep=0, expires=None)


def test_the_command_says_when_a_key_ends(tmp_path: Path) -> None:
    def keys(*words: str) -> Any:
        return CliRunner().invoke(main, ["keys", *words, "--data", str(tmp_path / "gateway")])

    first = keys("add", "app", "--role", "reader", "--new", "--expires-in", "90d").stdout.strip()
    assert keys("add", "dated", "--role", "reader", "--until", "2099-01-01").exit_code == 0
    listed = {row["name"]: row for row in json.loads(keys("list", "--json").stdout)}
    assert listed["dated"]["expires"] == "2099-01-01T00:00:00Z"
    assert listed["app"]["expires"] is not None
    second = keys("rotate", "app", "--expires-in", "1d").stdout.strip()
    assert second.partition(".")[0] == first.partition(".")[0]
    shown = keys("list").stdout
    assert "expires" in shown
    assert second.partition(".")[2] not in shown
    for words, said in (
        (["--until", "2001-01-01"], "over already"),
        (["--until", "2099-01-01", "--expires-in", "1d"], "say the same"),
        (["--expires-in", "soon"], "is not a duration"),
        (["--certificate-name", "nobody"], "is known by"),
        (["--certificate-name", "dns:a", "--public-key", "/dev/null"], "give one of them"),
    ):
        refused = keys("add", "other", "--role", "reader", *words)
        assert refused.exit_code != 0
        assert said in refused.output, refused.output

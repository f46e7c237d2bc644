# SPDX-License-Identifier: Apache-2.0
"""The gateway's own door under TLS: what is served, who is turned away, and what strangers cannot use up."""

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from doorcertificates import DAY, DoorAuthority

from gateway.cli.program import main
from gateway.server.door import Door, DoorFiles
from gateway.server.options import Options
from gateway.server.serving import in_the_clear
from gateway.server.settings import NetworkFile, Organisation, Settings, SettingsError
from pedigree import InvalidInput, Pedigree, Unreachable

MODEL = b'{"model":"net","title":"Net"}'


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> DoorAuthority:
    return DoorAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def gateway(start_memory_gateway: Callable[..., Any], authority: DoorAuthority) -> Any:
    certificate, key = authority.issue("server", server=True)
    return start_memory_gateway(
        body_within=1.5, tls_certificate=str(certificate), tls_key=str(key), believed=str(authority.file)
    )


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connect(gateway: Any, **context: Any) -> ssl.SSLSocket:
    tls = gateway.tls
    for name, value in context.items():
        setattr(tls, name, value)
    raw = socket.create_connection(("127.0.0.1", gateway.port), timeout=30)
    return tls.wrap_socket(raw, server_hostname="127.0.0.1")  # type: ignore[no-any-return]


def everything(sock: socket.socket) -> bytes:
    found = b""
    with suppress(ConnectionResetError, ssl.SSLEOFError):
        while data := sock.recv(65536):
            found += data
    return found


def head(gateway: Any, key: str, *lines: str) -> bytes:
    fields = [
        "POST /v1/models HTTP/1.1", "Host: here", f"Idempotency-Key: {key}", "Content-Type: application/json",
        f"Authorization: Bearer {gateway.keys['operator']}", *lines,
    ]  # fmt: skip
    return "\r\n".join([*fields, "", ""]).encode()


def answers_soon(gateway: Any) -> None:
    started = time.monotonic()
    assert gateway.ask("GET", "/v1/ledger")[0] == 200
    assert time.monotonic() - started < 5


def test_one_connection_serves_one_request_after_another(gateway: Any) -> None:
    with closing(http.client.HTTPSConnection("127.0.0.1", gateway.port, timeout=30, context=gateway.tls)) as kept:
        ours = set()
        for number in range(5):
            body = json.dumps({"model": f"kept{number}", "title": "x" * 20_000 * number}).encode()
            headers = {"Authorization": f"Bearer {gateway.keys['operator']}", "Content-Type": "application/json"}
            kept.request("POST", "/v1/models", body, {**headers, "Idempotency-Key": f"kept{number}"})
            answer = kept.getresponse()
            assert answer.status in (201, 422), answer.read()
            answer.read()
            ours.add(kept.sock.getsockname())
        assert len(ours) == 1
        assert kept.sock.version() in ("TLSv1.2", "TLSv1.3")


def test_requests_that_come_together_are_answered_in_their_order(gateway: Any) -> None:
    with connect(gateway) as sock:
        sock.sendall(
            b"GET /one HTTP/1.1\r\nHost: h\r\n\r\n" * 2 + b"GET /end HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        )
        assert everything(sock).count(b"HTTP/1.1 404 ") == 3


def test_an_upload_of_megabytes_comes_in_whole(gateway: Any) -> None:
    rows = b"id,x\n" + b"".join(b"r%d,%d\n" % (number, number) for number in range(60_000))
    path = "/v1/datasets/big/versions?id_field=id"
    status, version = gateway.ask("POST", path, rows, Idempotency_Key="big", Content_Type="text/csv")
    assert (status, version["record"]["size"]) == (201, 60_000)


def test_a_head_and_a_body_may_come_in_pieces(gateway: Any) -> None:
    request = head(gateway, "pieces", f"Content-Length: {len(MODEL)}", "Connection: close") + MODEL
    with connect(gateway) as sock:
        for start in range(0, len(request), 40):
            sock.sendall(request[start : start + 40])
            time.sleep(0.01)
        assert everything(sock).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(gateway: Any, authority: DoorAuthority, version: ssl.TLSVersion) -> None:
    tls = ssl.create_default_context(cafile=str(authority.file))
    tls.minimum_version = tls.maximum_version = version
    with closing(http.client.HTTPSConnection("127.0.0.1", gateway.port, timeout=30, context=tls)) as asking:
        asking.request("GET", "/v1/nothing")
        assert asking.getresponse().status == 404


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest.mark.parametrize("old", ["version", "cipher"])
def test_what_is_older_is_turned_away(gateway: Any, authority: DoorAuthority, old: str) -> None:
    tls = ssl.create_default_context(cafile=str(authority.file))
    if old == "version":
        tls.minimum_version, tls.maximum_version = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1
        tls.set_ciphers("ALL:@SECLEVEL=0")
    else:
        tls.maximum_version = ssl.TLSVersion.TLSv1_2
        tls.set_ciphers("AES128-SHA:AES256-SHA")
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as raw, pytest.raises(ssl.SSLError):
        tls.wrap_socket(raw, server_hostname="127.0.0.1")
    answers_soon(gateway)


def test_plain_http_is_told_that_this_is_tls(gateway: Any) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as raw:
        raw.sendall(b"GET /v1/ledger HTTP/1.1\r\nHost: h\r\n\r\n")
        answer = everything(raw)
    assert b'"tls-needed"' in answer
    assert b"HTTP/1.1 400 " in answer


@pytest.mark.parametrize(
    "sent", [b"\x00" * 100, b"\x16\x03\x01\x40\x00" + b"x" * 20_000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b""]
)
def test_what_is_no_handshake_ends_its_connection_alone(gateway: Any, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as raw:
        raw.sendall(sent)
        raw.shutdown(socket.SHUT_WR)
        everything(raw)
    answers_soon(gateway)
    assert gateway.failures() == ""


def test_handshakes_that_go_no_further_take_no_thread(gateway: Any, held: ExitStack) -> None:
    """There are forty threads; two hundred clients send half a greeting, or nothing at all."""
    begun = ssl.MemoryBIO()
    greeting = gateway.tls.wrap_bio(ssl.MemoryBIO(), begun, server_hostname="127.0.0.1")
    with suppress(ssl.SSLWantReadError):
        greeting.do_handshake()
    hello = begun.read()
    threads = len(list(Path(f"/proc/{gateway.pid}/task").iterdir()))
    crowd = [held.enter_context(socket.create_connection(("127.0.0.1", gateway.port))) for _ in range(200)]
    for number, sock in enumerate(crowd):
        sock.sendall((hello[:50], hello, b"")[number % 3])
    for _ in range(3):
        answers_soon(gateway)
    assert len(list(Path(f"/proc/{gateway.pid}/task").iterdir())) <= threads + 5


def test_a_handshake_that_comes_a_byte_at_a_time_is_given_up(gateway: Any) -> None:
    begun = ssl.MemoryBIO()
    greeting = gateway.tls.wrap_bio(ssl.MemoryBIO(), begun, server_hostname="127.0.0.1")
    with suppress(ssl.SSLWantReadError):
        greeting.do_handshake()
    hello, started = begun.read(), time.monotonic()
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=0.2) as sock:
        for each in hello:
            try:
                sock.sendall(bytes([each]))
                if not sock.recv(100):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("the handshake was never given up")
    assert 8 < time.monotonic() - started < 25


def test_records_that_say_nothing_do_not_keep_a_thread(gateway: Any) -> None:
    """A body that stops coming within a record of TLS: bytes of the record alone do not prolong it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = gateway.tls.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as raw:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.sendall(outgoing.read())
                incoming.write(raw.recv(65536))
        raw.sendall(outgoing.read())
        client.write(head(gateway, "drip", "Content-Length: 100000"))
        raw.sendall(outgoing.read())
        client.write(b"{" * 16_000)
        record, started = outgoing.read(), time.monotonic()
        raw.settimeout(0.2)
        ended = False
        for each in record:
            try:
                raw.sendall(bytes([each]))
                data = raw.recv(65536)
                ended = not data or ended
                if ended:
                    break
            except TimeoutError:
                continue
            except OSError:
                ended = True
                break
            if time.monotonic() - started > 30:
                break
        assert ended
        assert time.monotonic() - started < 30
    answers_soon(gateway)


@pytest.mark.parametrize("rest", [b"", MODEL[1:]])
def test_short_bodies_that_do_not_come_keep_few_threads(gateway: Any, held: ExitStack, rest: bytes) -> None:
    """There are forty threads; a client that keeps sixty bodies back can still send another one."""
    before = gateway.height
    crowd = [held.enter_context(connect(gateway)) for _ in range(60)]
    for number, sock in enumerate(crowd):
        length = f"Content-Length: {len(MODEL)}"
        sock.sendall(head(gateway, f"late{number}{len(rest)}", length, "Connection: close") + b"{")
    for attempt in range(3):
        started = time.monotonic()
        key = f"prompt{attempt}{len(rest)}"
        answer = gateway.ask("POST", "/v1/models", MODEL, Idempotency_Key=key, Content_Type="application/json")
        assert answer[0] == 201, answer
        assert time.monotonic() - started < 5
    if rest:
        for sock in crowd:
            sock.sendall(rest)
        found = {everything(sock).split(b" ")[1] for sock in crowd}
        assert b"201" in found
        assert found <= {b"201", b"429", b"503"}
    else:
        for sock in crowd:
            sock.shutdown(socket.SHUT_WR)
        answers_soon(gateway)
        assert gateway.height == before + 3


def test_half_a_second_request_behind_a_whole_one_keeps_no_thread(gateway: Any, held: ExitStack) -> None:
    crowd = [held.enter_context(connect(gateway)) for _ in range(60)]
    for sock in crowd:
        sock.sendall(b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\nGET /nothing")
    for sock in crowd:
        assert sock.recv(65536).startswith(b"HTTP/1.1 404 ")
    answers_soon(gateway)
    crowd[0].sendall(b" HTTP/1.1\r\nHost: h\r\n\r\n")
    assert crowd[0].recv(65536).startswith(b"HTTP/1.1 404 ")


def test_an_answer_that_nobody_takes_is_given_up(gateway: Any, held: ExitStack) -> None:
    crowd = [held.enter_context(connect(gateway)) for _ in range(20)]
    for sock in crowd:
        sock.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n" * 20)
    answers_soon(gateway)
    assert gateway.failures() == ""


# -- the files ------------------------------------------------------------------------------------------------------


def test_a_renewed_certificate_is_shown_without_a_restart(gateway: Any, authority: DoorAuthority) -> None:
    def shown() -> bytes:
        with connect(gateway) as sock:
            return sock.getpeercert(binary_form=True) or b""

    before = shown()
    authority.issue("next", server=True)
    (authority.folder / "next.crt").replace(authority.folder / "server.crt")  # its key is not there yet
    time.sleep(1.2)
    assert shown() == before
    (authority.folder / "next.key").replace(authority.folder / "server.key")
    late = time.monotonic() + 20
    while shown() == before:
        assert time.monotonic() < late
        time.sleep(0.2)
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.health, timeout=30)) as health:
        health.request("GET", "/metrics")
        assert b"pedigree_tls_end_timestamp_seconds" in health.getresponse().read()
    assert "stays as it was: --tls-key" in gateway.log.read_text(encoding="utf-8")


def options(certificate: Path | None, key: Path | None) -> Options:
    return Options(tls_certificate=certificate, tls_key=key)


def load(given: Options) -> None:
    files = DoorFiles.of(given)
    assert files is not None
    files.load()


def test_files_that_will_not_do_are_named(authority: DoorAuthority, tmp_path: Path) -> None:
    certificate, key = authority.issue("own", server=True)
    _, other = authority.issue("other", server=True)
    junk, missing = tmp_path / "junk", tmp_path / "missing"
    junk.write_bytes(b"\xff\x00 nothing")
    locked = tmp_path / "locked"
    loaded = load_pem_private_key(key.read_bytes(), None)
    locked.write_bytes(loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    for given, said in (
        (options(certificate, None), "--tls-certificate needs --tls-key beside it"),
        (options(None, key), "--tls-key needs --tls-certificate beside it"),
        (options(missing, key), f"--tls-certificate: {missing}: No such file or directory"),
        (options(certificate, missing), f"--tls-key: {missing}: No such file or directory"),
        (options(junk, key), f"--tls-certificate: {junk} holds no certificate in PEM"),
        (options(certificate, junk), f"--tls-key: {junk} holds no private key in PEM"),
        (options(certificate, other), f"--tls-key: {other} is not the key of the certificate in {certificate}"),
        (options(certificate, locked), f"--tls-key: {locked} is encrypted"),
    ):
        with pytest.raises(SettingsError, match="^" + said):
            load(given)
    assert DoorFiles.of(Options()) is None


def test_a_door_looks_again_once_a_second_and_survives_files_that_vanish(authority: DoorAuthority) -> None:
    certificate, key = authority.issue("watched", server=True)
    now = [0.0]
    files = DoorFiles.of(options(certificate, key))
    assert files is not None
    door = Door(files, lambda: now[0])
    first = door.context
    authority.issue("watched", server=True, lasts=2 * DAY)
    assert door.context is first
    now[0] = 2.0
    assert door.context is not first
    second, ends = door.context, door.ends
    certificate.unlink()
    now[0] = 4.0
    assert door.context is second
    assert door.ends == ends


@pytest.mark.parametrize(
    ("given", "loud"),
    [
        ({"host": "0.0.0.0"}, True),
        ({"host": "::"}, True),
        ({"host": "gateway.example"}, True),
        ({"host": "0.0.0.0", "behind_proxy": True}, False),
        ({"host": "127.0.0.1"}, False),
        ({"host": "::1"}, False),
        ({"host": "localhost"}, False),
        ({"host": "0.0.0.0", "tls_certificate": Path("c"), "tls_key": Path("k")}, False),
    ],
)
def test_plain_http_for_others_says_so(given: dict[str, Any], loud: bool) -> None:
    nowhere = Path("nowhere")
    member = Organisation("lab", "LabMSP", "lab.example", (), nowhere, nowhere, nowhere)
    network = NetworkFile("pedigree", "pedigree", (member,), "OrdererMSP", nowhere, "0" * 64)
    found = in_the_clear(Settings(network, member, nowhere, 0, 0, options=Options(**given)))
    assert (found is not None) is loud
    assert found is None or (found.startswith("PLAIN HTTP ON ") and "\n" not in found)


# -- clients --------------------------------------------------------------------------------------------------------


def test_the_sdk_and_the_command_speak_https(gateway: Any, authority: DoorAuthority, tmp_path: Path) -> None:
    url = f"https://127.0.0.1:{gateway.port}"
    with Pedigree(url, gateway.keys["operator"], ca_certificate=authority.file) as pedigree:
        assert pedigree.ledger()["organisation"] == "LabMSP"
    common = ["ledger", "--url", url, "--key", gateway.keys["reader"], "--json"]
    asked = CliRunner().invoke(main, [*common, "--ca-certificate", str(authority.file)])
    assert json.loads(asked.stdout)["organisation"] == "LabMSP", asked.output
    named = CliRunner(env={"PEDIGREE_CA_CERTIFICATE": str(authority.file)}).invoke(main, common)
    assert named.exit_code == 0, named.output
    refused = CliRunner().invoke(main, common)
    assert refused.exit_code != 0
    assert "is not believed" in refused.output


def test_a_gateway_that_is_not_believed_is_not_asked_twice(
    gateway: Any, tmp_path: Path, start_memory_gateway: Callable[..., Any]
) -> None:
    plain = start_memory_gateway()
    started = time.monotonic()
    url = f"https://127.0.0.1:{gateway.port}"
    other = DoorAuthority(tmp_path, "other")
    with Pedigree(url, "id.secret", ca_certificate=other.file) as pedigree, pytest.raises(Unreachable) as caught:
        pedigree.ledger()
    assert caught.value.code == "untrusted-certificate"
    with Pedigree(f"https://127.0.0.1:{plain.port}", "id.secret") as pedigree, pytest.raises(Unreachable) as caught:
        pedigree.ledger()
    assert caught.value.code == "no-tls"
    assert time.monotonic() - started < 10
    (tmp_path / "junk").write_bytes(b"nothing")
    for name, said in (("junk", "holds no certificate in PEM"), ("missing", "cannot be read")):
        with pytest.raises(InvalidInput, match=said):
            Pedigree(url, "id.secret", ca_certificate=tmp_path / name)

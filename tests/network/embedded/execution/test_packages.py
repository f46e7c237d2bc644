# SPDX-License-Identifier: Apache-2.0
"""Chaincode packages and connection descriptions are read strictly (rules L-1, S-8)."""

import gzip
import json
import tarfile
import tracemalloc
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from network.embedded.chaincode import ChaincodeRegistry
from network.embedded.packages import Address, MalformedPackage, Package


def test_the_package_id_is_label_and_hash_of_the_whole_file(kit):
    content = kit.make_package("basic_1.0", "127.0.0.1:9999", dial_timeout="250ms")
    package = Package.parse(content)
    assert package.package_id == f"basic_1.0:{sha256(content).hexdigest()}"
    assert package.address == Address("127.0.0.1:9999", 0.25)


def test_a_package_of_another_type_has_no_address(kit):
    assert Package.parse(kit.make_package("go", "127.0.0.1:9", kind="golang")).address is None


@pytest.mark.parametrize("label", ["", "-x", "a b", "a/b", "é"])
def test_bad_labels_are_refused(kit, label):
    with pytest.raises(MalformedPackage, match="invalid label"):
        Package.parse(kit.make_package(label, "127.0.0.1:9"))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ([], "address is missing"),
        ({}, "address is missing"),
        ({"address": 5}, "address is missing"),
        ({"address": "h:1\ud800"}, "address is not HOST:PORT"),
        ({"address": "h:1\n"}, "address is not HOST:PORT"),
        ({"address": "h:1", "dial_timeout": "soon"}, "dial_timeout"),
        ({"address": "h:1", "dial_timeout": 5}, "dial_timeout"),
        ({"address": "h:1", "tls_required": True}, "root_cert"),
        ({"address": "h:1", "tls_required": True, "root_cert": "junk"}, "root_cert"),
        (
            {"address": "h:1", "tls_required": True, "root_cert": "-----BEGIN", "client_auth_required": True},
            "client_key",
        ),
    ],
)
def test_a_bad_connection_names_its_field(fields, problem):
    with pytest.raises(MalformedPackage, match=problem):
        Address.from_json(json.dumps(fields).encode())


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300))
def test_any_bytes_are_no_package(raw):
    with pytest.raises(MalformedPackage):
        Package.parse(raw)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 600), st.integers(0, 255))
def test_a_damaged_package_is_refused_or_has_another_id(kit, position, value):
    whole = kit.make_package("basic", "127.0.0.1:9")
    damaged = bytearray(whole)
    damaged[position % len(whole)] = value
    try:
        package = Package.parse(bytes(damaged))
    except MalformedPackage:
        return
    assert (bytes(damaged) == whole) == (package.package_id == Package.parse(whole).package_id)


def test_connections_round_trip():
    pem = b"-----BEGIN X"
    for address in (Address("h:1"), Address("h:1", 1.5, pem), Address("h:1", 10.0, pem, pem, pem)):
        assert Address.from_json(address.to_json()) == address


@pytest.mark.parametrize("timeout", ["1000000ms", "0.0000001s", "59m", "123.456789s", "0s"])
def test_what_is_kept_of_an_address_can_be_read_again(timeout):
    """A node that could not read its own record would not start again, for all organisations."""
    address = Address.from_json(json.dumps({"address": "h:1", "dial_timeout": timeout}).encode())
    assert Address.from_json(address.to_json()).dial_timeout_s == pytest.approx(address.dial_timeout_s, abs=1e-9)


@pytest.mark.parametrize("timeout", ["1000000s", "61m", "9" * 400 + "s", "\u0663s"])
def test_a_connection_does_not_wait_for_ever(timeout):
    with pytest.raises(MalformedPackage, match="dial_timeout"):
        Address.from_json(json.dumps({"address": "h:1", "dial_timeout": timeout}).encode())


@pytest.mark.parametrize(
    "raw", [b"[" * 100_000, b'{"address": "h:1", "tls_required": true, "root_cert": "-----BEGIN \\ud800"}']
)
def test_json_that_breaks_its_reader_is_refused(raw):
    with pytest.raises(MalformedPackage, match="connection"):
        Address.from_json(raw)


def test_an_archive_that_unpacks_without_end_is_refused_early(kit):
    bomb = gzip.compress(bytes(200 * 1024 * 1024), 9)
    assert len(bomb) < 300_000
    tracemalloc.start()
    with pytest.raises(MalformedPackage, match="unpacks to more"):
        Package.parse(bomb)
    assert tracemalloc.get_traced_memory()[1] < 300 * 1024 * 1024
    tracemalloc.stop()


def _tar(*entries):
    """A tar archive of `(name, content)`, or of headers as they are given."""
    blocks = []
    for entry in entries:
        if isinstance(entry, bytes):
            blocks.append(entry)
            continue
        name, content = entry
        header = tarfile.TarInfo(name)
        header.size = len(content)
        blocks += [header.tobuf(tarfile.USTAR_FORMAT), content, bytes(-len(content) % 512)]
    return b"".join(blocks) + bytes(1024)


def _header(kind, size=0, name="metadata.json"):
    entry = tarfile.TarInfo(name)
    entry.type, entry.size = kind, size
    return entry.tobuf(tarfile.GNU_FORMAT)


FILES = (("metadata.json", b'{"type": "golang", "label": "go"}'), ("code.tar.gz", b""))


def test_what_extends_a_header_is_passed_over():
    times = tarfile.TarInfo("metadata.json")
    times.size, times.pax_headers = len(FILES[0][1]), {"mtime": "1.5", "comment": "x" * 600}
    written = times.tobuf(tarfile.PAX_FORMAT) + FILES[0][1] + bytes(-len(FILES[0][1]) % 512)
    long = tarfile.TarInfo("src/" + "x" * 200).tobuf(tarfile.GNU_FORMAT)
    folder = _header(tarfile.DIRTYPE, 512, "META-INF")
    package = Package.parse(gzip.compress(_tar(written, long, folder, FILES[1])))
    assert (package.label, package.address) == ("go", None)


@pytest.mark.parametrize(
    ("archive", "problem"),
    [
        (_tar(*FILES, *[_header(tarfile.REGTYPE, name="x")] * 1_000), "more than 1000 entries"),
        (_tar(*[_header(tarfile.XHDTYPE, name="x")] * 1_000, *FILES), "more than 1000 entries"),
        (_tar(*FILES, _header(tarfile.REGTYPE, 17 * 1024 * 1024), bytes(17 * 1024 * 1024)), "a file of more than"),
        (_tar(*FILES, _header(tarfile.GNUTYPE_SPARSE)), "not a plain file"),
        (_tar(*FILES, _header(tarfile.REGTYPE, -512)), "not a plain file"),
        (_tar(*FILES)[:-1024] + _header(tarfile.REGTYPE, 4096), "not a gzipped tar"),
        (_tar(*FILES)[:-1024] + b"x" * 512, "not a gzipped tar"),
        (_tar(*FILES)[:-1024] + b"x", "not a gzipped tar"),
    ],
)
def test_an_archive_with_too_much_in_it_is_refused(archive, problem):
    with pytest.raises(MalformedPackage, match=problem):
        Package.parse(gzip.compress(archive, 1))


def test_an_archive_of_very_many_streams_is_refused_early():
    archive = gzip.compress(_tar(*FILES))
    assert Package.parse(archive + gzip.compress(b"") * 14).label == "go"
    with pytest.raises(MalformedPackage, match="16 gzip streams"):
        Package.parse(archive + gzip.compress(b"") * 100_000)


def test_an_address_that_cannot_be_read_keeps_nobody_from_starting(caplog):
    kept = {
        "chaincode/LabMSP/installed/": b'{"a:1": "a", "b:2": "b"}',
        "chaincode/LabMSP/connection/a:1": b"rubbish",
        "chaincode/LabMSP/connection/b:2": b'{"address": "h:1"}',
    }

    class Meta:
        def meta(self, key):
            return kept.get(key)

        def put_meta(self, key, value):
            raise AssertionError("nothing is written")

    registry = ChaincodeRegistry("LabMSP", Meta())
    assert registry.installed["a:1"].address is None
    assert registry.installed["b:2"].address == Address("h:1")
    assert "cannot be reached" in caplog.text

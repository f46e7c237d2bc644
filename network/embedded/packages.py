# SPDX-License-Identifier: Apache-2.0
"""Chaincode packages: a label, and where the chaincode that runs as a service listens (rules L-1, S-8)."""

import json
import re
import tarfile
import zlib
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

__all__ = ["Address", "MalformedPackage", "Package"]

_LABEL = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.+-]*")
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(ms|s|m)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_LARGEST_FILE = 16 * 1024 * 1024
_LARGEST_ARCHIVE = 128 * 1024 * 1024
_MOST_ENTRIES = 1_000
_MOST_STREAMS = 16
_WITHOUT_DATA = (
    *(tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE),
    *(tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE),
)
_WANTED = frozenset({"metadata.json", "code.tar.gz", "connection.json"})
_LONGEST_TIMEOUT_S = 3600.0
DIAL_TIMEOUT_S = 3.0


class MalformedPackage(ValueError):
    """The package or its connection description cannot be used; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Address:
    """How to reach a chaincode that runs as a service; without a root certificate the connection is plaintext."""

    target: str
    """host:port"""
    dial_timeout_s: float = DIAL_TIMEOUT_S
    root_cert: bytes | None = None
    """PEM of the authority that the chaincode's TLS certificate must chain to."""
    client_key: bytes | None = None
    client_cert: bytes | None = None
    """PEM of the pair that this node presents when the chaincode asks for it."""

    @classmethod
    def from_json(cls, raw: bytes) -> "Address":
        """Read a `connection.json`; raises MalformedPackage naming the field."""
        try:
            fields = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise MalformedPackage("connection.json is not JSON") from error
        if not isinstance(fields, dict) or not isinstance(fields.get("address"), str) or not fields["address"]:
            raise MalformedPackage("connection.json: address is missing")
        if not fields["address"].isprintable():  # answers and logs name it; JSON can hold half a character
            raise MalformedPackage("connection.json: address is not HOST:PORT")
        timeout = _seconds(fields.get("dial_timeout"))
        if not fields.get("tls_required"):
            return cls(fields["address"], timeout)
        root = _pem(fields, "root_cert")
        if not fields.get("client_auth_required"):
            return cls(fields["address"], timeout, root)
        return cls(fields["address"], timeout, root, _pem(fields, "client_key"), _pem(fields, "client_cert"))

    def to_json(self) -> bytes:
        """Write a `connection.json`; `Address.from_json(x.to_json()) == x`."""
        fields: dict[str, Any] = {
            "address": self.target,
            "dial_timeout": f"{self.dial_timeout_s:.9f}s",
            "tls_required": self.root_cert is not None,
            "client_auth_required": self.client_key is not None,
        }
        for name in ("root_cert", "client_key", "client_cert"):
            pem = getattr(self, name)
            if pem is not None:
                fields[name] = pem.decode()
        return json.dumps(fields, sort_keys=True).encode()


@dataclass(frozen=True, slots=True)
class Package:
    """An installed chaincode package."""

    package_id: str
    label: str
    address: Address | None
    """None for a package whose chaincode has to dial the node itself."""
    content: bytes
    """The whole file as installed; empty when only an address was given."""

    @classmethod
    def parse(cls, content: bytes) -> "Package":
        """Read a tar.gz of `metadata.json` and `code.tar.gz`; raises MalformedPackage."""
        files = _untar(content, "chaincode package")
        if "metadata.json" not in files:
            raise MalformedPackage("did not find any package metadata (missing metadata.json)")
        if "code.tar.gz" not in files:
            raise MalformedPackage("did not find a code package inside the package")
        metadata = _metadata(files["metadata.json"])
        label = metadata.get("label")
        if not isinstance(label, str) or _LABEL.fullmatch(label) is None:
            raise MalformedPackage(
                f"invalid label '{label}'. Label must be non-empty, can only consist of alphanumerics"
            )
        address = None
        if metadata.get("type") in ("ccaas", "external"):
            code = _untar(files["code.tar.gz"], "code package")
            if "connection.json" not in code:
                raise MalformedPackage("the code package has no connection.json")
            address = Address.from_json(code["connection.json"])
        return cls(f"{label}:{sha256(content).hexdigest()}", label, address, content)


def _metadata(raw: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise MalformedPackage("could not unmarshal metadata.json") from error
    if not isinstance(fields, dict):
        raise MalformedPackage("metadata.json is not an object")
    return fields


def _untar(content: bytes, what: str) -> dict[str, bytes]:
    """The files that matter, of an archive of at most 1,000 entries and 128 MiB; raises MalformedPackage.

    Only headers are read, not what extends them (long names, attributes): extensions grow without bounds where they
    are read, and a name that matters needs none.
    """
    files: dict[str, bytes] = {}
    try:
        archive = _unzip(content, what)
        at = 0
        for _ in range(_MOST_ENTRIES):
            header = archive[at : at + tarfile.BLOCKSIZE]
            if not header.strip(b"\0"):
                return files
            entry = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
            at += tarfile.BLOCKSIZE
            size = _size_of(entry, what)
            if at + size > len(archive):
                raise EOFError("the tar archive ends early")
            data = archive[at : at + size]
            at += -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
            name = entry.name.removeprefix("./")
            if entry.isfile() and name in _WANTED:
                files[name] = data
    except MalformedPackage:
        raise
    except Exception as error:  # the reader answers malformed archives with many unrelated types
        raise MalformedPackage(f"the {what} is not a gzipped tar archive") from error
    raise MalformedPackage(f"the {what} holds more than {_MOST_ENTRIES} entries")


def _size_of(entry: tarfile.TarInfo, what: str) -> int:
    """Bytes that follow an entry's header; raises MalformedPackage."""
    if entry.type == tarfile.GNUTYPE_SPARSE or entry.size < 0:
        raise MalformedPackage(f"the {what} holds an entry that is not a plain file")
    if entry.type in _WITHOUT_DATA:
        return 0
    if entry.isfile() and entry.size > _LARGEST_FILE:
        raise MalformedPackage(f"the {what} holds a file of more than {_LARGEST_FILE} bytes")
    return entry.size


def _unzip(content: bytes, what: str) -> bytes:
    """Everything in a gzip file; raises MalformedPackage when it is too much, zlib.error or EOFError for no gzip.

    It may be several, one after the other (RFC 1952, section 2.2).
    """
    unpacked: list[bytes] = []
    left = _LARGEST_ARCHIVE
    for _ in range(_MOST_STREAMS):
        if not content:
            return b"".join(unpacked)
        stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        unpacked.append(stream.decompress(content, left + 1))
        left -= len(unpacked[-1])
        if left < 0:
            raise MalformedPackage(f"the {what} unpacks to more than {_LARGEST_ARCHIVE} bytes")
        if not stream.eof:
            raise EOFError("the gzip file ends early")
        content = stream.unused_data.lstrip(b"\0")
    raise MalformedPackage(f"the {what} is made of {_MOST_STREAMS} gzip streams or more")


def _seconds(duration: Any) -> float:
    if duration is None or duration == "":
        return DIAL_TIMEOUT_S
    matched = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    if matched is None:
        raise MalformedPackage("connection.json: dial_timeout is not a duration such as 10s")
    seconds = float(matched[1]) * _UNITS[matched[2]]
    if seconds > _LONGEST_TIMEOUT_S:
        raise MalformedPackage("connection.json: dial_timeout is more than 60m")
    return seconds


def _pem(fields: dict[str, Any], name: str) -> bytes:
    value = fields.get(name)
    if not isinstance(value, str) or "-----BEGIN" not in value:
        raise MalformedPackage(f"connection.json: {name} is not PEM")
    try:
        return value.encode("ascii")
    except UnicodeEncodeError as error:
        raise MalformedPackage(f"connection.json: {name} is not PEM") from error

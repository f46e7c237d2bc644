# SPDX-License-Identifier: Apache-2.0
"""Reads what an organisation shows to others: from inside the folder that is named, and nothing but public material.

An MSP folder or a join package may come from another organisation, and what is read from it ends up in a channel's
configuration, a package or a profile that everybody gets. So a name in such a file may not lead out of its folder, nor
may a symbolic link, and of a PEM file only certificates and revocation lists are taken, written anew.
"""

import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from network.documents import read_document

__all__ = [
    "ConfigYaml",
    "PublicFileError",
    "certificate_of",
    "certificates_in",
    "public_msp",
    "read_config",
    "read_inside",
    "revocation_lists_in",
]

LARGEST = 1 << 20
"""Bytes of one public file."""
_CONFIG = "config.yaml"
_CERTIFICATES = ("cacerts", "intermediatecerts", "admincerts", "tlscacerts", "tlsintermediatecerts")
_LISTS = "crls"
_BEGIN = re.compile(rb"-----BEGIN([^\r\n]*)")
_Parsed = TypeVar("_Parsed", x509.Certificate, x509.CertificateRevocationList)


class PublicFileError(ValueError):
    """A file is not where it says, or holds something else than public material; the message names it, in one line."""


def read_inside(folder: Path, name: str) -> bytes:
    """The content of a plain file that is named relative to a folder and lies inside it.

    Symbolic links are followed only where they end inside (as in the volumes of Kubernetes). Raises `PublicFileError`,
    or `OSError` for one that cannot be read.
    """
    named = PurePosixPath(name)
    if named.is_absolute() or ".." in named.parts or not named.parts or "\0" in name:
        raise PublicFileError(f"{folder}: {name!r} is not the name of a file inside this folder")
    root = folder.resolve()
    try:
        found = (root / named).resolve()
    except RuntimeError as error:  # how Python before 3.13 says that links lead round
        raise PublicFileError(f"{folder / named}: is a link that leads to itself") from error
    if found == root or not found.is_relative_to(root):
        raise PublicFileError(f"{folder / named}: leads out of {folder}")
    descriptor = _open(root, found.relative_to(root).parts)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise PublicFileError(f"{folder / named}: is not a plain file")
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise PublicFileError(f"{folder / named}: is larger than 1 MiB")
    return content


def _open(root: Path, parts: Sequence[str]) -> int:
    """Open a file below a folder, one part after the other, without following a link that was put there meanwhile."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for part in parts[:-1]:
        try:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        finally:
            os.close(folder)
        folder = inner
    try:
        return os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)


def certificates_in(content: bytes, what: str) -> bytes:
    """The certificates of a PEM file, written anew without what stands round them.

    Raises `PublicFileError` naming `what` for a file without any, and for one with a block of another kind.
    """
    return _written_anew(content, what, b"CERTIFICATE", x509.load_pem_x509_certificates, "certificates")


def revocation_lists_in(content: bytes, what: str) -> bytes:
    """The revocation list of a PEM file, as `certificates_in`."""
    return _written_anew(content, what, b"X509 CRL", lambda pem: [x509.load_pem_x509_crl(pem)], "a revocation list")


def certificate_of(folder: Path, name: str) -> bytes:
    """The certificates in PEM of one file inside a folder; raises `PublicFileError` or `OSError`."""
    return certificates_in(read_inside(folder, name), str(folder / name))


def _written_anew(
    content: bytes, what: str, label: bytes, parse: Callable[[bytes], list[_Parsed]], wanted: str
) -> bytes:
    if b"PRIVATE KEY" in content:
        raise PublicFileError(f"{what}: holds a private key, where only public material may stand")
    labels = [found.partition(b"-----")[0].strip() for found in _BEGIN.findall(content)]
    if not labels or any(found != label for found in labels):
        raise PublicFileError(f"{what}: holds something else than {wanted} in PEM")
    try:
        parsed = parse(content)
        pem = [each.public_bytes(Encoding.PEM) for each in parsed]
    except Exception as error:  # the library answers malformed input with several unrelated types
        raise PublicFileError(f"{what}: holds something else than {wanted} in PEM") from error
    if len(pem) != len(labels):
        raise PublicFileError(f"{what}: holds {len(labels)} blocks where {len(pem)} can be read")
    return b"".join(pem)


class ConfigYaml:
    """The `config.yaml` of an MSP folder: organisational units and the certificates that they are bound to."""

    def __init__(self, path: str, content: bytes) -> None:
        """Raises `PublicFileError`."""
        self._path = path
        if b"PRIVATE KEY" in content:
            raise PublicFileError(f"{path}: holds a private key, where only public material may stand")
        try:
            document = read_document(content.decode("utf-8")) if content.strip() else {}
        except (ValueError, yaml.YAMLError, RecursionError) as error:
            raise PublicFileError(f"{path} is not YAML") from error
        self._document = self._mapping(document, "the whole")
        self._roles = self._mapping(self._document.get("NodeOUs"), "NodeOUs")

    @property
    def has_node_units(self) -> bool:
        """Whether a certificate's unit says which role it has."""
        return bool(self._roles.get("Enable"))

    @property
    def node_units(self) -> Mapping[str, tuple[str, str]]:
        """Unit and certificate's file name by the field that names a role; empty where node units are not enabled."""
        if not self.has_node_units:
            return {}
        named = (name for name in self._roles if str(name).endswith("OUIdentifier"))
        return {name: self._unit(self._roles[name], f"NodeOUs.{name}") for name in named if self._roles[name]}

    @property
    def units(self) -> list[tuple[str, str]]:
        """Unit and certificate's file name of each entry of OrganizationalUnitIdentifiers."""
        entries = self._document.get("OrganizationalUnitIdentifiers") or []
        if not isinstance(entries, list):
            raise PublicFileError(f"{self._path}: OrganizationalUnitIdentifiers must be a list")
        return [self._unit(entry, f"OrganizationalUnitIdentifiers[{index}]") for index, entry in enumerate(entries)]

    def certificates(self) -> list[str]:
        """Every file that it names."""
        return [name for _, name in (*self.units, *self.node_units.values()) if name]

    def _unit(self, entry: object, field: str) -> tuple[str, str]:
        fields = self._mapping(entry, field)
        unit, certificate = fields.get("OrganizationalUnitIdentifier", ""), fields.get("Certificate") or ""
        if not isinstance(unit, str) or not isinstance(certificate, str):
            raise PublicFileError(f"{self._path}: {field} must hold texts")
        return unit, certificate

    def _mapping(self, value: object, field: str) -> Mapping[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise PublicFileError(f"{self._path}: {field} must be a mapping")
        return value


def read_config(folder: Path) -> tuple[bytes, ConfigYaml]:
    """An MSP folder's `config.yaml` as it is there, empty for none, and what it says.

    Raises `PublicFileError` or `OSError`.
    """
    content = read_inside(folder, _CONFIG) if os.path.lexists(folder / _CONFIG) else b""
    return content, ConfigYaml(str(folder / _CONFIG), content)


def public_msp(folder: Path) -> dict[str, bytes]:
    """Every public file of an MSP folder in cryptogen's layout by its name in it; keys are not among them.

    Raises `PublicFileError` or `OSError`, also for a `config.yaml` that names something else than such a file.
    """
    files: dict[str, bytes] = {}
    for kind in (*_CERTIFICATES, _LISTS):
        written = revocation_lists_in if kind == _LISTS else certificates_in
        for name in _names(folder / kind):
            files[f"{kind}/{name}"] = written(read_inside(folder, f"{kind}/{name}"), str(folder / kind / name))
    content, config = read_config(folder)
    for name in config.certificates():
        certificates_in(read_inside(folder, name), str(folder / name))
    return {_CONFIG: content, **files} if content else files


def _names(folder: Path) -> list[str]:
    """The files of a folder; a link that leads nowhere is among them, so that reading it is refused."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if not path.is_dir())

# SPDX-License-Identifier: Apache-2.0
"""An `Msp` from where it is kept: a folder as cryptogen lays it out, or a `FabricMSPConfig` of a channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.fabric.errors import MalformedData
from gateway.fabric.msp import Msp, NodeOUs

__all__ = ["msp_from_config", "msp_from_folder"]

_ROLES = ("client", "peer", "admin", "orderer")
_Parsed = TypeVar("_Parsed")


def msp_from_folder(msp_id: str, folder: Path | str) -> Msp:
    """The MSP of `cacerts`, `intermediatecerts`, `admincerts`, `crls` and `config.yaml` below `folder`.

    Raises `MalformedData` naming the file that cannot be understood; a folder without `cacerts` is refused.
    """
    root = Path(folder)
    return Msp(
        msp_id,
        _read(root / "cacerts", x509.load_pem_x509_certificate),
        intermediates=_read(root / "intermediatecerts", x509.load_pem_x509_certificate),
        admins=_read(root / "admincerts", x509.load_pem_x509_certificate),
        revocation_lists=_read(root / "crls", x509.load_pem_x509_crl),
        node_ous=_node_ous(root),
    )


def msp_from_config(config: Any) -> Msp:
    """The MSP that a `FabricMSPConfig` of a channel configuration defines; raises `MalformedData`."""
    name = str(config.name)
    if len(config.organizational_unit_identifiers) > 0:
        raise MalformedData(f"MSP {name}: organizational_unit_identifiers are not supported")
    return Msp(
        name,
        [_parse(pem, x509.load_pem_x509_certificate, f"MSP {name}: root_certs") for pem in config.root_certs],
        intermediates=[
            _parse(pem, x509.load_pem_x509_certificate, f"MSP {name}: intermediate_certs")
            for pem in config.intermediate_certs
        ],
        admins=[_parse(pem, x509.load_pem_x509_certificate, f"MSP {name}: admins") for pem in config.admins],
        revocation_lists=[
            _parse(pem, x509.load_pem_x509_crl, f"MSP {name}: revocation_list") for pem in config.revocation_list
        ],
        node_ous=_node_ous_of_config(name, config.fabric_node_ous),
    )


def _node_ous_of_config(name: str, node_ous: Any) -> NodeOUs | None:
    if not node_ous.enable:
        return None
    units: dict[str, tuple[str, bytes | None]] = {}
    for role in _ROLES:
        identifier = getattr(node_ous, f"{role}_ou_identifier")
        if identifier.organizational_unit_identifier:
            what = f"MSP {name}: {role}_ou_identifier"
            units[role] = (str(identifier.organizational_unit_identifier), _issuer(identifier.certificate, what))
    return NodeOUs(units)


def _node_ous(folder: Path) -> NodeOUs | None:
    path = folder / "config.yaml"
    if not path.exists():
        return None
    sections = _sections(path)
    node_ous = sections.pop("NodeOUs", {})
    if sections:
        raise MalformedData(f"{path}: {', '.join(sorted(sections))} is not supported")
    if str(node_ous.get("Enable", "false")).lower() != "true":
        return None
    units: dict[str, tuple[str, bytes | None]] = {}
    for role in _ROLES:
        identifier = node_ous.get(f"{role.capitalize()}OUIdentifier")
        if not isinstance(identifier, Mapping):
            continue
        unit = identifier.get("OrganizationalUnitIdentifier")
        if not unit:
            raise MalformedData(f"{path}: {role.capitalize()}OUIdentifier has no OrganizationalUnitIdentifier")
        certificate = identifier.get("Certificate")
        pem = (folder / certificate).read_bytes() if certificate else b""
        units[role] = (unit, _issuer(pem, f"{path}: Certificate of {role}"))
    return NodeOUs(units)


def _sections(path: Path) -> dict[str, dict[str, Any]]:
    """The nested mappings of the YAML subset that MSP folders use: keys, scalars and indentation by blanks.

    Anything else (lists, anchors, tabs) is refused rather than guessed.
    """
    root: dict[str, Any] = {}
    stack: list[tuple[int, dict[str, Any]]] = [(-1, root)]
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        line = raw.split(" #", 1)[0].rstrip()
        text = line.lstrip(" ")
        if not text or text.startswith("#") or text == "---":
            continue
        key, colon, value = text.partition(":")
        if not colon or not key.isidentifier():
            raise MalformedData(f"{path}, line {number}: expected 'Key: value'")
        indent = len(line) - len(text)
        while stack[-1][0] >= indent:
            stack.pop()
        value = value.strip().strip("\"'")
        if value:
            stack[-1][1][key] = value
        else:
            child: dict[str, Any] = {}
            stack[-1][1][key] = child
            stack.append((indent, child))
    if not all(isinstance(section, dict) for section in root.values()):
        raise MalformedData(f"{path}: expected sections at the top level")
    return root


def _issuer(pem: bytes, what: str) -> bytes | None:
    if not pem:
        return None
    return _parse(pem, x509.load_pem_x509_certificate, what).public_bytes(Encoding.DER)


def _read(folder: Path, parse: Callable[[bytes], _Parsed]) -> list[_Parsed]:
    if not folder.is_dir():
        return []
    return [_parse(path.read_bytes(), parse, str(path)) for path in sorted(folder.iterdir()) if path.is_file()]


def _parse(pem: bytes, parse: Callable[[bytes], _Parsed], what: str) -> _Parsed:
    try:
        return parse(pem)
    except ValueError as exc:
        raise MalformedData(f"{what}: not valid PEM") from exc

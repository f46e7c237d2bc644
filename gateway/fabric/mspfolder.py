# SPDX-License-Identifier: Apache-2.0
"""An `Msp` from where it is kept: a folder as cryptogen lays it out, or a `FabricMSPConfig` of a channel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gateway.fabric.certificates import Certificate, load_certificate, load_revocation_list
from gateway.fabric.errors import MalformedData
from gateway.fabric.folders import plain_files, read_public
from gateway.fabric.msp import Msp, NodeOUs
from gateway.fabric.texts import said

__all__ = ["Authorities", "authorities_in", "msp_from_config", "msp_from_folder"]

_ROLES = ("client", "peer", "admin", "orderer")
_Loaded = TypeVar("_Loaded")


def msp_from_folder(msp_id: str, folder: Path | str) -> Msp:
    """The MSP of `cacerts`, `intermediatecerts`, `admincerts`, `crls` and `config.yaml` below `folder`.

    Raises `MalformedData` naming the file that cannot be understood; a folder without `cacerts` is refused.
    """
    root = Path(folder)
    sections = _config(root)
    return Msp(
        msp_id,
        _read(root, "cacerts", load_certificate),
        intermediates=_read(root, "intermediatecerts", load_certificate),
        admins=_read(root, "admincerts", load_certificate),
        revocation_lists=_read(root, "crls", load_revocation_list),
        node_ous=_node_ous(root, sections.get("NodeOUs", {})),
    )


def msp_from_config(config: Any) -> Msp:
    """The MSP that a `FabricMSPConfig` of a channel configuration defines; raises `MalformedData`.

    What an MSP does not need in order to judge identities (a listed administrator's certificate that nobody can read,
    TLS authorities, fields that are not known) is left aside, since the ledger has accepted it.
    """
    name = said(config.name, 100)
    return Msp(
        str(config.name),
        [load_certificate(pem, f"MSP {name}: root_certs") for pem in config.root_certs],
        intermediates=[load_certificate(pem, f"MSP {name}: intermediate_certs") for pem in config.intermediate_certs],
        admins=_readable(config.admins),
        revocation_lists=[
            load_revocation_list(each, f"MSP {name}: revocation_list") for each in config.revocation_list
        ],
        node_ous=_node_ous_of_config(name, config.fabric_node_ous),
        recognised_units=[
            (
                str(unit.organizational_unit_identifier),
                load_certificate(unit.certificate, f"MSP {name}: organizational_unit_identifiers"),
            )
            for unit in config.organizational_unit_identifiers
        ],
        hash_family=str(config.crypto_config.signature_hash_family) or "SHA2",
    )


def _readable(certificates: Iterable[bytes]) -> Iterator[Certificate]:
    """Those that can be read; nobody can show the others and be believed either."""
    for pem in certificates:
        with suppress(MalformedData):
            yield load_certificate(pem, "admins")


def _node_ous_of_config(name: str, node_ous: Any) -> NodeOUs | None:
    units: dict[str, tuple[str, Certificate | None]] = {}
    for role in _ROLES:
        field = f"{role}_ou_identifier"
        if node_ous.HasField(field):
            identifier = getattr(node_ous, field)
            pem = identifier.certificate
            issuer = load_certificate(pem, f"MSP {name}: {field}") if pem else None
            units[role] = (str(identifier.organizational_unit_identifier), issuer)
    return NodeOUs(units) if node_ous.enable and units else None


def _config(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / "config.yaml"
    if not path.exists():
        return {}
    sections = _sections(path, read_public(folder, path.name, str(folder)))
    if unknown := sorted(sections.keys() - {"NodeOUs"}):
        raise MalformedData(f"{path}: {', '.join(unknown)} is not supported")
    return sections


def _node_ous(folder: Path, section: Mapping[str, Any]) -> NodeOUs | None:
    path = folder / "config.yaml"
    if str(section.get("Enable", "false")).lower() != "true":
        return None
    units: dict[str, tuple[str, Certificate | None]] = {}
    for role in _ROLES:
        identifier = section.get(f"{role.capitalize()}OUIdentifier")
        if not isinstance(identifier, Mapping):
            continue
        unit = identifier.get("OrganizationalUnitIdentifier")
        if not isinstance(unit, str):
            raise MalformedData(f"{path}: {role.capitalize()}OUIdentifier has no OrganizationalUnitIdentifier")
        units[role] = (unit, _issuer(folder, identifier.get("Certificate"), f"{path}: Certificate of {role}"))
    return NodeOUs(units)


def _sections(path: Path, content: bytes) -> dict[str, dict[str, Any]]:
    """The nested mappings of the YAML subset that MSP folders use: keys, scalars and indentation by blanks.

    Anything else (lists, anchors, tabs) is refused rather than guessed.
    """
    root: dict[str, Any] = {}
    stack: list[tuple[int, dict[str, Any]]] = [(-1, root)]
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise MalformedData(f"{path}: not UTF-8") from exc
    for number, raw in enumerate(text.splitlines(), start=1):
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


def _issuer(folder: Path, name: Any, what: str) -> Certificate | None:
    """The certificate of that name below the folder."""
    return load_certificate(read_public(folder, str(name), what), what) if name else None


def _read(root: Path, kind: str, load: Callable[[bytes, str], _Loaded]) -> list[_Loaded]:
    names = plain_files(root / kind)
    return [load(read_public(root, f"{kind}/{name}", str(root)), str(root / kind / name)) for name in names]


@dataclass(frozen=True, slots=True)
class Authorities:
    """Who issues certificates for an organisation, which of these are revoked, and the units of its people."""

    roots: tuple[Certificate, ...]
    intermediates: tuple[Certificate, ...]
    revoked: frozenset[int]
    """Serial numbers on lists that one of the authorities signed."""
    units: tuple[str, ...]
    """Of clients and administrators; empty where the folder has no NodeOUs."""


def authorities_in(folder: Path | str) -> Authorities:
    """The authorities of an MSP folder; raises `MalformedData` as `msp_from_folder` does."""
    root = Path(folder)
    roots = tuple(_read(root, "cacerts", load_certificate))
    if not roots:
        raise MalformedData(f"{said(str(root))}: no root certificate in cacerts")
    intermediates = tuple(_read(root, "intermediatecerts", load_certificate))
    lists = _read(root, "crls", load_revocation_list)
    signed = (each for each in lists if any(each.signed_by(authority) for authority in (*roots, *intermediates)))
    node_ous = _node_ous(root, _config(root).get("NodeOUs", {}))
    named = {} if node_ous is None else node_ous.units
    return Authorities(
        roots=roots,
        intermediates=intermediates,
        revoked=frozenset(serial for each in signed for serial in each.serials),
        units=tuple(sorted({named[role][0] for role in ("client", "admin") if role in named})),
    )

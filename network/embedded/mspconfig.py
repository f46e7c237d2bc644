# SPDX-License-Identifier: Apache-2.0
"""An organisation's MSP folder as a `FabricMSPConfig`, the form in which a channel's configuration holds it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from fabric_protos.msp import msp_config_pb2

_ROLES = ("client", "peer", "admin", "orderer")


def msp_config_from_folder(folder: Path, msp_id: str) -> msp_config_pb2.FabricMSPConfig:
    """Read the public part of an MSP folder in cryptogen's layout; raises `ValueError` or `OSError`."""
    config = msp_config_pb2.FabricMSPConfig(
        name=msp_id,
        root_certs=_pem_files(folder / "cacerts"),
        intermediate_certs=_pem_files(folder / "intermediatecerts"),
        admins=_pem_files(folder / "admincerts"),
        revocation_list=_pem_files(folder / "crls"),
        tls_root_certs=_pem_files(folder / "tlscacerts"),
        tls_intermediate_certs=_pem_files(folder / "tlsintermediatecerts"),
        crypto_config=msp_config_pb2.FabricCryptoConfig(
            signature_hash_family="SHA2", identity_identifier_hash_function="SHA256"
        ),
    )
    if not config.root_certs:
        raise ValueError(f"{folder}/cacerts holds no certificate")
    settings = _settings(folder / "config.yaml")
    for entry in settings.get("OrganizationalUnitIdentifiers") or []:
        config.organizational_unit_identifiers.append(_unit(folder, entry))
    node_units = settings.get("NodeOUs") or {}
    if node_units.get("Enable"):
        config.fabric_node_ous.enable = True
        for role in _ROLES:
            entry = node_units.get(f"{role.capitalize()}OUIdentifier")
            if entry:
                getattr(config.fabric_node_ous, f"{role}_ou_identifier").CopyFrom(_unit(folder, entry))
    return config


def _unit(folder: Path, entry: Mapping[str, Any]) -> msp_config_pb2.FabricOUIdentifier:
    certificate = entry.get("Certificate")
    return msp_config_pb2.FabricOUIdentifier(
        organizational_unit_identifier=entry.get("OrganizationalUnitIdentifier", ""),
        certificate=(folder / certificate).read_bytes() if certificate else b"",
    )


def _settings(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        return {}
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path} must hold a mapping")
    return document


def _pem_files(folder: Path) -> list[bytes]:
    if not folder.is_dir():
        return []
    return [path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()]

# SPDX-License-Identifier: Apache-2.0
"""An organisation's MSP folder as a `FabricMSPConfig`, the form in which a channel's configuration holds it."""

from pathlib import Path

from fabric_protos.msp import msp_config_pb2

from network.publicfiles import certificate_of, public_msp, read_config

_ROLES = ("client", "peer", "admin", "orderer")


def msp_config_from_folder(folder: Path, msp_id: str) -> msp_config_pb2.FabricMSPConfig:
    """Read the public part of an MSP folder in cryptogen's layout; raises `ValueError` or `OSError`."""
    files = public_msp(folder)

    def of(kind: str) -> list[bytes]:
        return [content for name, content in files.items() if name.startswith(f"{kind}/")]

    config = msp_config_pb2.FabricMSPConfig(
        name=msp_id,
        root_certs=of("cacerts"),
        intermediate_certs=of("intermediatecerts"),
        admins=of("admincerts"),
        revocation_list=of("crls"),
        tls_root_certs=of("tlscacerts"),
        tls_intermediate_certs=of("tlsintermediatecerts"),
        crypto_config=msp_config_pb2.FabricCryptoConfig(
            signature_hash_family="SHA2", identity_identifier_hash_function="SHA256"
        ),
    )
    if not config.root_certs:
        raise ValueError(f"{folder}/cacerts holds no certificate")
    _, settings = read_config(folder)
    for unit, certificate in settings.units:
        config.organizational_unit_identifiers.append(_unit(folder, unit, certificate))
    if settings.has_node_units:
        config.fabric_node_ous.enable = True
    for role in _ROLES:
        if found := settings.node_units.get(f"{role.capitalize()}OUIdentifier"):
            getattr(config.fabric_node_ous, f"{role}_ou_identifier").CopyFrom(_unit(folder, *found))
    return config


def _unit(folder: Path, unit: str, certificate: str) -> msp_config_pb2.FabricOUIdentifier:
    return msp_config_pb2.FabricOUIdentifier(
        organizational_unit_identifier=unit,
        certificate=certificate_of(folder, certificate) if certificate else b"",
    )

# SPDX-License-Identifier: Apache-2.0
"""What Fabric refuses to set an organisation up with (`setupV142` and `setupV3` of its `msp` package).

A configuration update with such an organisation is refused when it is submitted. `Msp` itself is laxer: what is in
a ledger has to be read, and its identities judged, whatever it is.
"""

from collections.abc import Iterator, Sequence

from fabric_protos.msp import identities_pb2, msp_config_pb2

from network.embedded.authorities import Authorities, UntrustedCertificate
from network.embedded.certificates import Certificate, load_certificate, load_list
from network.embedded.identity import Identity, MalformedIdentity, Msp

__all__ = ["check_setup"]

_ROLES = ("client_ou_identifier", "peer_ou_identifier", "admin_ou_identifier", "orderer_ou_identifier")


def check_setup(config: msp_config_pb2.FabricMSPConfig) -> None:
    """Accept an organisation that Fabric can set up; raises `ValueError` with Fabric's reason."""
    for raw in config.revocation_list:
        if load_list(raw).key_identifier is None:
            # Fabric takes such a list, and from then on no certificate of the organisation.
            raise ValueError("authorityKeyIdentifier not found in revocation list")
    _check_authorities(config.root_certs, config.intermediate_certs, config.revocation_list)
    if config.tls_root_certs or config.tls_intermediate_certs:
        _check_authorities(config.tls_root_certs, config.tls_intermediate_certs, config.revocation_list)
    _check_units(config)
    _check_administrators(config)


def _check_authorities(roots: Sequence[bytes], intermediates: Sequence[bytes], revocations: Sequence[bytes]) -> None:
    authorities = Authorities(roots, intermediates, revocations)
    for certificate in _loaded((*roots, *intermediates)):
        problem = f"(SN: {certificate.serial_number:x})"
        if not certificate.is_authority:
            raise ValueError(f"CA Certificate did not have the CA attribute, {problem}")
        if certificate.key_identifier is None:
            raise ValueError(
                f"CA Certificate problem with Subject Key Identifier extension, {problem}: "
                "subjectKeyIdentifier not found in certificate"
            )
    for certificate in _loaded(intermediates):
        try:
            authorities.check_revocation(certificate, authorities.chain(certificate))
        except UntrustedCertificate as error:
            raise ValueError(f"CA Certificate is not valid, (SN: {certificate.serial_number:x}): {error}") from error


def _check_units(config: msp_config_pb2.FabricMSPConfig) -> None:
    """Units name the CA that certifies them by its certificate; only those of the roles may leave it out."""
    known = {certificate.der for certificate in _loaded((*config.root_certs, *config.intermediate_certs))}
    required = [unit.certificate for unit in config.organizational_unit_identifiers]
    optional = [getattr(config.fabric_node_ous, role).certificate for role in _ROLES]
    for pem in (*required, *filter(None, optional)):
        if load_certificate(pem).der not in known:
            raise ValueError("Failed adding OU. Certificate not in root or intermediate certs.")


def _check_administrators(config: msp_config_pb2.FabricMSPConfig) -> None:
    units = config.fabric_node_ous
    enforced = units.enable and any(units.HasField(role) for role in _ROLES)
    if not config.admins and not (enforced and units.HasField("admin_ou_identifier")):
        raise ValueError("administrators must be declared when no admin ou classification is set")
    names = _administrator_units(units)
    for position, administrator in enumerate(_administrators(config)):
        if enforced and not names & set(administrator.certificate.units):
            raise ValueError(f"admin {position} is invalid: it has neither the client nor the admin unit")
        if not enforced and administrator.problem is not None:
            raise ValueError(f"admin {position} is invalid: {administrator.problem}")


def _administrators(config: msp_config_pb2.FabricMSPConfig) -> Iterator[Identity]:
    msp = Msp(config)
    for position, pem in enumerate(config.admins):
        serialized = identities_pb2.SerializedIdentity(mspid=config.name, id_bytes=pem).SerializeToString()
        try:
            yield msp.deserialise(serialized, pem)
        except MalformedIdentity as error:
            raise ValueError(f"admin {position} is invalid: {error}") from error


def _administrator_units(units: msp_config_pb2.FabricNodeOUs) -> set[str]:
    roles = [role for role in ("client_ou_identifier", "admin_ou_identifier") if units.HasField(role)]
    return {getattr(units, role).organizational_unit_identifier for role in roles}


def _loaded(pems: Sequence[bytes]) -> list[Certificate]:
    return [load_certificate(pem) for pem in pems]

# SPDX-License-Identifier: Apache-2.0
"""What an organisation hands to the others so that they know it: public, signed by its administrator, in one file.

The signature proves that the holder of the organisation's root made the file; whether that root is the organisation's
own, people establish by comparing its fingerprint over another channel.
"""

import base64
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from network.durable import make_folder, publish_folder, write_file
from network.embedded.identity import Signer
from network.material import Material
from network.operations.errors import OperationsError
from network.publicfiles import (
    ConfigYaml,
    PublicFileError,
    certificate_of,
    certificates_in,
    public_msp,
    revocation_lists_in,
)
from network.topology import OrdererOrganisation, Organisation, Topology, TopologyError, parse, parse_orderer

__all__ = ["FOLDER", "ORDERING", "Joining", "address_of", "content_of", "export", "known", "read", "store"]

FORMAT = "pedigree-join-1"
ORDERING = "orderer"
"""What the ordering organisation is called where the others have names."""
FOLDER = "joined"
"""Where the packages of the others are kept as they came, below the directory."""
_LARGEST = 1 << 20
_PUBLIC = re.compile(
    r"config\.yaml|(cacerts|intermediatecerts|tlscacerts|tlsintermediatecerts|crls)/[A-Za-z0-9._-]+\.pem"
)
_MOST_FILES = 100


@dataclass(frozen=True, slots=True)
class Joining:
    """An organisation as its verified package describes it."""

    organisation: Organisation | OrdererOrganisation
    msp: Mapping[str, str]
    """Files of its public MSP by their names in it."""
    chaincode: str
    """The label of the chaincode package that it means to run, empty for who orders; the package itself is its own."""
    fingerprint: str
    """SHA-256 of its root certificate, in groups for reading out."""
    nodes: Mapping[str, str]
    """Public certificates of orderers, which the channel's first block names; by their paths below `orderers`."""
    signed: bytes
    """The package as it came."""

    @property
    def name(self) -> str:
        """What the topology calls it."""
        return self.organisation.name if isinstance(self.organisation, Organisation) else ORDERING


def export(topology: Topology, directory: Path, name: str, label: str) -> bytes:
    """An organisation's package, signed by its administrator; raises `OperationsError` or `OSError`."""
    material = Material(directory / "organizations")
    if name in (ORDERING, topology.orderer.msp_id):
        orderer = topology.orderer
        content, administrator = _ordering(topology, material), material.orderer_user(orderer.domain) / "msp"
        signer = Signer.from_folder(administrator, orderer.msp_id)
    else:
        member = _member(topology, name)
        content, administrator = (
            _peers(topology, material, member, label),
            material.user(member.domain, "Admin") / "msp",
        )
        signer = Signer.from_folder(administrator, member.msp_id)
    (certificate,) = (administrator / "signcerts").iterdir()
    signed = {
        "content": content,
        "certificate": certificate_of(administrator, f"signcerts/{certificate.name}").decode(),
        "signature": base64.b64encode(signer.sign(_canonical(content))).decode(),
    }
    return (json.dumps(signed, indent=1) + "\n").encode()


def _member(topology: Topology, name: str) -> Organisation:
    try:
        return topology.organisation(name)
    except KeyError as error:
        names = ", ".join(each.name for each in topology.organisations)
        raise OperationsError(f"no organisation is called {name!r}; there are {names} and {ORDERING}") from error


def _peers(topology: Topology, material: Material, member: Organisation, label: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "organisation": next(each for each in topology.to_json()["organisations"] if each["name"] == member.name),
        "anchor": str(member.peer),
        "chaincode": label,
        "msp": _public(material.organisation(member.domain) / "msp"),
    }


def _ordering(topology: Topology, material: Material) -> dict[str, Any]:
    folder = material.orderer_organisation(topology.orderer.domain)
    nodes = {name: certificate_of(folder / "orderers", name).decode() for name in _node_files(topology.orderer)}
    return {
        "format": FORMAT,
        "orderer": topology.to_json()["orderer"],
        "chaincode": "",
        "msp": _public(folder / "msp"),
        "nodes": nodes,
    }


def _node_files(orderer: OrdererOrganisation) -> list[str]:
    """The public certificates of every orderer: with which it signs, and with which it serves."""
    signing = [f"{name}/msp/signcerts/{name}-cert.pem" for name in orderer.node_names]
    return signing + [f"{name}/tls/server.crt" for name in orderer.node_names]


def read(file: Path, *, at: datetime | None = None, fingerprint: str | None = None) -> Joining:
    """Read and verify a package; raises `OperationsError`, also when its root has another fingerprint than given."""
    try:
        return _read(file, at, fingerprint)
    except (OperationsError, OSError):
        raise
    except Exception as error:  # the X.509 library reads some parts late, and answers with many unrelated types
        raise OperationsError(f"{file} is not a join package: {type(error).__name__}") from error


def _read(file: Path, at: datetime | None, fingerprint: str | None) -> Joining:
    if file.stat().st_size > _LARGEST:
        raise OperationsError(f"{file} is larger than 1 MiB: it is not a join package")
    raw = file.read_bytes()
    try:
        signed = json.loads(raw)
        content, msp = signed["content"], dict(signed["content"]["msp"])
        if content["format"] != FORMAT:
            raise OperationsError(f"{file} is of another format than {FORMAT}")
        certificate = x509.load_pem_x509_certificate(signed["certificate"].encode())
        signature = base64.b64decode(signed["signature"], validate=True)
        (root_pem,) = (text for name, text in msp.items() if name.startswith("cacerts/"))
        root = x509.load_pem_x509_certificate(root_pem.encode())
        label = str(content["chaincode"])
        nodes = dict(content.get("nodes", {}))
        member = _described(content)
    except TopologyError as error:
        raise OperationsError(f"{file}: {error}") from error
    msp = _verified_public(file, msp)
    _verify(file, content, certificate, root, signature, at or datetime.now(UTC))
    _verify_nodes(file, member, msp, nodes)
    found = _fingerprint(root)
    if fingerprint is not None and _plain(fingerprint) != _plain(found):
        raise OperationsError(f"{file}: its root has the fingerprint {found}, not {fingerprint}")
    return Joining(member, msp, label, found, nodes, raw)


def _verified_public(file: Path, msp: Mapping[str, Any]) -> dict[str, str]:
    """The files of a package without what stands round their certificates.

    Every name and content must be of a public MSP, and its config.yaml name nothing else than what is beside it.
    """
    verified: dict[str, str] = {}
    if len(msp) > _MOST_FILES or len({name.casefold() for name in msp}) < len(msp):
        raise OperationsError(f"{file} holds more than {_MOST_FILES} files, or two of one name")
    for name, text in msp.items():
        if not _PUBLIC.fullmatch(name) or not isinstance(text, str) or not text.isascii():
            raise OperationsError(f"{file} holds {name!r}, which does not belong into a public MSP")
        try:
            verified[name] = _verified_content(name, text.encode("ascii"), msp).decode("ascii")
        except PublicFileError as error:
            raise OperationsError(f"{file} holds what does not belong into a public MSP: {error}") from error
    return verified


def _verified_content(name: str, content: bytes, msp: Mapping[str, Any]) -> bytes:
    if name.startswith("crls/"):
        return revocation_lists_in(content, name)
    if name != "config.yaml":
        return certificates_in(content, name)
    for named in ConfigYaml(name, content).certificates():
        if named not in msp:
            raise PublicFileError(f"{name} names {named!r}, which is not among its certificates")
    return content


def _described(content: Mapping[str, Any]) -> Organisation | OrdererOrganisation:
    if "orderer" in content:
        return parse_orderer(content["orderer"])
    return parse({"organisations": [content["organisation"]]}).organisations[0]


def _verify_nodes(
    file: Path, member: Organisation | OrdererOrganisation, msp: Mapping[str, str], nodes: Mapping[str, str]
) -> None:
    """Every orderer's certificates must be there and of the organisation's own roots, and nothing else."""
    wanted = _node_files(member) if isinstance(member, OrdererOrganisation) else []
    if sorted(nodes) != sorted(wanted):
        raise OperationsError(f"{file} does not hold the certificates of exactly the orderers that it names")
    for name in wanted:
        kind = "tlscacerts" if name.endswith("/tls/server.crt") else "cacerts"
        roots = [text for path, text in msp.items() if path.startswith(f"{kind}/")]
        try:
            certificate = certificates_in(nodes[name].encode(), name).decode()
        except (PublicFileError, AttributeError) as error:
            raise OperationsError(f"{file}: {name} is not a certificate: {error}") from error
        if certificate != nodes[name] or not any(_issued(certificate, root) for root in roots):
            raise OperationsError(f"{file}: {name} is not certified by the organisation's own root")


def _issued(certificate: str, root: str) -> bool:
    try:
        issuer = x509.load_pem_x509_certificate(root.encode())
        x509.load_pem_x509_certificate(certificate.encode()).verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def store(joining: Joining, directory: Path) -> bool:
    """Keep an organisation's public part where its keys would lie, and the package; False when it is known already.

    Raises `OperationsError` where the same domain is known with another root, `OSError`.
    """
    domain = joining.organisation.domain
    material = Material(directory / "organizations")
    peers = isinstance(joining.organisation, Organisation)
    place = material.organisation(domain) if peers else material.orderer_organisation(domain)
    if not place.exists():
        _store_public(joining, place)
    elif _public(place / "msp") != dict(joining.msp):
        raise OperationsError(f"{place} holds another organisation of the domain {domain}: nothing was changed")
    _store_nodes(joining, place)
    return _keep(directory / FOLDER / f"{domain}.join", joining.signed)


def known(directory: Path) -> dict[str, Joining]:
    """The packages of the others that were imported, by domain and verified anew; raises `OperationsError`."""
    found = (read(path) for path in sorted((directory / FOLDER).glob("*.join")))
    return {joining.organisation.domain: joining for joining in found}


def content_of(package: bytes) -> Any:
    """What a package of our own says, without the signature, which is another each time."""
    return json.loads(package)["content"]


def address_of(organisation: Organisation | OrdererOrganisation) -> str:
    """Where the others reach an organisation, in words."""
    if isinstance(organisation, Organisation):
        return f"peer {organisation.peer}"
    return f"orderers {', '.join(str(address) for address in organisation.addresses)}"


def _keep(path: Path, content: bytes) -> bool:
    if path.exists() and path.read_bytes() == content:
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_file(path, content, mode=0o644)
    return True


def _store_nodes(joining: Joining, place: Path) -> None:
    """Orderers may be added by a later package; what is there already is of the same root."""
    for name, text in joining.nodes.items():
        path = place / "orderers" / name
        if not path.exists():
            _keep(path, text.encode())


def _store_public(joining: Joining, place: Path) -> None:
    domain = joining.organisation.domain
    unfinished = place.with_name(f".{place.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)  # what a killed import left
    make_folder(place.parent)
    for name, text in joining.msp.items():
        _write(unfinished / "msp" / name, text)
    for folder, kind in (("cacerts", "ca"), ("tlscacerts", "tlsca")):
        for name, text in joining.msp.items():
            if name.startswith(f"{folder}/"):
                _write(unfinished / kind / f"{kind}.{domain}-cert.pem", text)
    publish_folder(unfinished, place)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="ascii") as file:
        file.write(text)


def _public(msp: Path) -> dict[str, str]:
    """The public files of an MSP as a package holds them, without administrators' certificates."""
    found = public_msp(msp)
    return {name: content.decode("ascii") for name, content in found.items() if _PUBLIC.fullmatch(name)}


def _verify(
    file: Path, content: Any, certificate: x509.Certificate, root: x509.Certificate, signature: bytes, at: datetime
) -> None:
    units = certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
    if "admin" not in [unit.value for unit in units]:
        raise OperationsError(f"{file} is not signed by an administrator")
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        raise OperationsError(f"{file}: the administrator's certificate is not valid now")
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise OperationsError(f"{file}: the administrator's key is not an elliptic-curve key")
    try:
        certificate.verify_directly_issued_by(root)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise OperationsError(f"{file}: its administrator is not certified by the root in it") from error
    try:
        key.verify(signature, _canonical(content), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise OperationsError(f"{file} was changed after it was signed") from error


def _canonical(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _fingerprint(root: x509.Certificate) -> str:
    digest = hashlib.sha256(root.public_bytes(serialization.Encoding.DER)).hexdigest()
    return " ".join(digest[index : index + 4] for index in range(0, len(digest), 4))


def _plain(fingerprint: str) -> str:
    return re.sub(r"[\s:]", "", fingerprint).lower()

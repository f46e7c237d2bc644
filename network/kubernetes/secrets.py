# SPDX-License-Identifier: Apache-2.0
"""The Secrets that the chart's pods mount: identities, TLS keys, the CA's root and its first registrar."""

import secrets as randomness
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from network.kubernetes.configuration import authority
from network.kubernetes.part import KubernetesError, Part
from network.topology import OrdererOrganisation, Organisation

_NODE_OUS = ("client", "peer", "admin", "orderer")
_CA_CONFIG = "fabric-ca-server-config.yaml"


def secrets(part: Part, former: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
    """The Secrets of an organisation's part, with private keys in the clear.

    The registrar's password is chosen at random and kept as it is in `former`, the Secrets that were written last.
    Raises `KubernetesError` that names the file that is missing.
    """
    owner = part.owner
    match owner:
        case OrdererOrganisation():
            return _ordering(part, owner)
        case Organisation():
            return _member(part, owner, former)


def read_secrets(path: Path) -> list[dict[str, Any]]:
    """The Secrets in a file that `export` wrote, none when there is no file; raises `KubernetesError`."""
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return []
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise KubernetesError(f"{path}: is not YAML; remove it to have a new registrar's password chosen") from error
    return [document for document in documents if isinstance(document, dict)]


def _member(part: Part, owner: Organisation, former: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    prefix, material = part.prefix, part.material
    root = material.organisation(owner.domain) / "ca"
    configuration = authority(part, owner, _password(f"{prefix}-ca-config", former))
    return [
        _msp(part, f"{prefix}-peer-msp", material.peer(owner.domain) / "msp"),
        _tls(part, f"{prefix}-peer-tls", material.peer(owner.domain) / "tls"),
        _msp(part, f"{prefix}-gateway-msp", material.user(owner.domain) / "msp"),
        _tls(part, f"{prefix}-gateway-tls", material.user(owner.domain) / "tls", "client"),
        _tls(part, f"{prefix}-chaincode-tls", material.service(material.organisation(owner.domain), part.chaincode)),
        _secret(part, f"{prefix}-ca", {"ca.pem": _only(root, "*-cert.pem"), "key.pem": _only(root, "*_sk")}),
        _secret(part, f"{prefix}-ca-config", {_CA_CONFIG: yaml.safe_dump(configuration, sort_keys=False)}),
    ]


def _ordering(part: Part, owner: OrdererOrganisation) -> list[dict[str, Any]]:
    found = []
    for number in range(1, len(owner.addresses) + 1):
        folder = part.material.orderer(owner.domain, number)
        found.append(_msp(part, f"{part.prefix}-node{number}-msp", folder / "msp"))
        found.append(_tls(part, f"{part.prefix}-node{number}-tls", folder / "tls"))
    return found


def _password(name: str, former: Sequence[dict[str, Any]]) -> str:
    """The CA knows its registrar from its first start on, so another password would lock the operator out."""
    for secret in former:
        if secret.get("metadata", {}).get("name") == name:
            try:
                return str(yaml.safe_load(secret["stringData"][_CA_CONFIG])["registry"]["identities"][0]["pass"])
            except (yaml.YAMLError, KeyError, TypeError, IndexError) as error:
                raise KubernetesError(f"secrets.yaml: {name} holds no registrar's password; remove the file") from error
    return randomness.token_urlsafe(24)


def _msp(part: Part, name: str, folder: Path) -> dict[str, Any]:
    lines = ["NodeOUs:", "  Enable: true"]
    for role in _NODE_OUS:
        lines += [f"  {role.capitalize()}OUIdentifier:", "    Certificate: cacerts/ca.pem"]
        lines += [f"    OrganizationalUnitIdentifier: {role}"]
    files = {
        "ca.pem": _only(folder / "cacerts", "*"),
        "tlsca.pem": _only(folder / "tlscacerts", "*"),
        "cert.pem": _only(folder / "signcerts", "*"),
        "key.pem": _only(folder / "keystore", "*"),
        "config.yaml": "\n".join(lines) + "\n",
    }
    return _secret(part, name, files)


def _tls(part: Part, name: str, folder: Path, side: str = "server") -> dict[str, Any]:
    files = {"tls.crt": _only(folder, f"{side}.crt"), "tls.key": _only(folder, f"{side}.key")}
    return _secret(part, name, files | {"ca.crt": _only(folder, "ca.crt")}, kind="kubernetes.io/tls")


def _secret(part: Part, name: str, files: dict[str, str], *, kind: str = "Opaque") -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "pedigree", "app.kubernetes.io/instance": part.prefix}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": labels},
        "type": kind,
        "stringData": files,
    }


def _only(folder: Path, pattern: str) -> str:
    """The one file that matches; a second would leave open which of them is in force."""
    found = [path for path in sorted(folder.glob(pattern)) if path.is_file()]
    if not found:
        raise KubernetesError(f"{folder / pattern}: is missing; keys are exported where the organisation keeps them")
    if len(found) > 1:
        raise KubernetesError(f"{folder / pattern}: {len(found)} files match, one is wanted")
    return found[0].read_text(encoding="ascii")

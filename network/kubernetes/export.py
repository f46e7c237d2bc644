# SPDX-License-Identifier: Apache-2.0
"""Writes a folder from which an organisation's part is installed with Helm."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from network.durable import write_file
from network.kubernetes.part import CHAINCODE_PORT, KubernetesError, Part
from network.kubernetes.secrets import read_secrets, secrets
from network.kubernetes.values import values
from network.material import ensure_service
from network.packaging import Package, ServiceTls, make_package
from network.topology import Endpoint, OrdererOrganisation, Organisation

CHART = Path(__file__).parent / "chart"


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and how it is put to work."""

    folder: Path
    files: tuple[str, ...]
    package_id: str | None
    commands: tuple[str, ...]


def export(part: Part, folder: Path, *, genesis_hash: str | None, version: str) -> Exported:
    """Write the chart, `values.yaml`, `secrets.yaml` and the chaincode package into `folder`.

    Everything is computed before the first file is written; written again, the registrar's password stays. Raises
    `KubernetesError` or `OSError`.
    """
    if not isinstance(part.owner, OrdererOrganisation) and genesis_hash is None:
        raise KubernetesError("the channel's first block is not known here: start the network once, or join it")
    package = None if isinstance(part.owner, OrdererOrganisation) else _package(part, part.owner, version)
    told = values(part, genesis_hash=genesis_hash or "", package=package)
    private = secrets(part, read_secrets(folder / "secrets.yaml"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copytree(CHART, folder / "chart", dirs_exist_ok=True)
    write_file(folder / "values.yaml", dump([told]).encode(), mode=0o644)
    write_file(folder / "secrets.yaml", dump(private).encode(), mode=0o600)
    files = ["chart/", "values.yaml", "secrets.yaml"]
    commands = [f"kubectl apply -n NAMESPACE -f {folder / 'secrets.yaml'}"]
    if package is not None:
        file = f"{part.topology.chaincode}_{version}.tar.gz"
        write_file(folder / file, package.content, mode=0o644)
        files.append(file)
    commands.append(f"helm upgrade --install {part.prefix} {folder / 'chart'} -n NAMESPACE -f {folder / 'values.yaml'}")
    return Exported(folder, tuple(files), None if package is None else package.package_id, tuple(commands))


def dump(documents: Sequence[Mapping[str, Any]]) -> str:
    """YAML documents as people read them: keys in our order, PEM texts as blocks."""
    text: str = yaml.dump_all(
        documents, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=120, explicit_start=True
    )
    return text


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe writer, with texts of several lines as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent)


def _package(part: Part, owner: Organisation, version: str) -> Package:
    """The package names the organisation's own Service, so its id differs from the other members'.

    The Service's TLS certificates are made where they are missing, beside the organisation's other key material.
    """
    folder = part.material.organisation(owner.domain)
    if not (folder / "tlsca" / "priv_sk").exists():
        raise KubernetesError(
            f"{folder / 'tlsca' / 'priv_sk'}: is missing; keys are exported where the organisation keeps them"
        )
    tls = ServiceTls.from_folder(ensure_service(part.material, folder, owner.domain, part.chaincode))
    return make_package(f"{part.topology.chaincode}_{version}", Endpoint(part.chaincode, CHAINCODE_PORT), tls)

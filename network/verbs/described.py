# SPDX-License-Identifier: Apache-2.0
"""What the verbs that deploy chaincode compare with the description of the network."""

from pathlib import Path
from typing import Any

from fabric_protos.msp import msp_principal_pb2

from network.embedded.policy import parse
from network.packaging import DefinitionError, Package
from network.profiles import write_json
from network.topology import Endpoint

__all__ = ["by_msp_id", "record_packages", "refuse_strangers"]


def by_msp_id(addresses: dict[str, Endpoint], described: dict[str, Any]) -> dict[str, Endpoint]:
    """Addresses by MSP id, of organisations named either way; raises `DefinitionError`."""
    names = {entry["name"]: entry["mspid"] for entry in described["organisations"]}
    found: dict[str, Endpoint] = {}
    for organisation, address in addresses.items():
        msp_id = names.get(organisation, organisation)
        if msp_id not in names.values():
            known = ", ".join(sorted(names))
            raise DefinitionError(f"--address: no organisation is called {organisation!r}; there are {known}")
        if msp_id in found:
            raise DefinitionError(f"--address: {msp_id} is named twice")
        found[msp_id] = address
    return found


def refuse_strangers(policy: str | None, described: dict[str, Any]) -> None:
    """An MSP id that no organisation has is a slip of the pen: nobody could ever endorse for it."""
    known = {entry["mspid"] for entry in described["organisations"]}
    for principal in () if policy is None else parse(policy).identities:
        named = msp_principal_pb2.MSPRole.FromString(principal.principal).msp_identifier
        if named not in known:
            raise DefinitionError(
                f"--policy: no organisation is called {named!r}; there are {', '.join(sorted(known))}"
            )


def record_packages(directory: Path, name: str, packages: dict[str, Package]) -> None:
    """`chaincodes/NAME.id`: package ids by MSP id, for those who start the chaincode processes."""
    folder = directory / "chaincodes"
    folder.mkdir(mode=0o700, exist_ok=True)
    write_json(folder / f"{name}.id", {msp_id: made.package_id for msp_id, made in packages.items()})

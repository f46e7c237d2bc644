# SPDX-License-Identifier: Apache-2.0
"""Runs the chaincode: contracts, signature checks and the shim, configured by the environment.

``PEDIGREE_FOUNDERS`` names the MSP ids of the members that this organisation agreed to found the consortium with,
separated by commas. Without it this process endorses the first policy that a majority of those it names votes for,
even one that leaves members out. The other variables are the shim's.
"""

import logging
import os
import sys
from collections.abc import Mapping

from chaincode.contracts import table
from chaincode.crypto import check_signature, trace_certificates
from chaincode.domain.errors import InvalidField
from chaincode.domain.values import OrgId
from chaincode.shim import Response, Router, SettingsError, dial, serve, settings_from_environment

log = logging.getLogger("chaincode")

REFUSED = 400


def router(environ: Mapping[str, str]) -> Router:
    """The chaincode as the shim runs it; `SettingsError` where the founders are named wrongly."""
    try:
        founders = table.members(environ.get("PEDIGREE_FOUNDERS", ""))
    except ValueError as exc:
        raise SettingsError(f"PEDIGREE_FOUNDERS: {exc}") from exc
    if founders is None:
        log.warning("PEDIGREE_FOUNDERS is not set: until there is a policy, any two that agree can found one")
    return Router(
        table.functions(check=check_signature, trace=trace_certificates, founders=founders), refuse, title="pedigree"
    )


def refuse(error: Exception) -> Response | None:
    """The response for a refusal; None for a fault, of which the client learns nothing."""
    text = table.refusal(error)
    return None if text is None else Response(REFUSED, text)


def _check_own_id(msp_id: str) -> None:
    """Refuse an MSP id that the law cannot name, such as one with the quotation marks of an environment file."""
    try:
        OrgId(msp_id)
    except InvalidField as exc:
        raise SettingsError(f"CORE_PEER_LOCALMSPID is {msp_id!a}, and {exc.reason}") from exc


def main() -> int:
    """Serve until the process is asked to stop; 2 where its settings are wrong."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = settings_from_environment(os.environ, sys.argv[1:])
        _check_own_id(settings.local_msp_id)
        chaincode = router(os.environ)
        run = dial if settings.listen is None else serve
        run(chaincode, settings)
    except SettingsError as exc:
        print(f"chaincode: {exc}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

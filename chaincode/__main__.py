# SPDX-License-Identifier: Apache-2.0
"""Runs the chaincode: contracts, signature checks and the shim, configured by the environment.

``PEDIGREE_FOUNDERS`` (optional) names the MSP ids of the members that this organisation agreed to found the
consortium with, separated by commas; the other variables are the shim's.
"""

import logging
import os
import sys
from collections.abc import Mapping

from chaincode.contracts.table import functions, render
from chaincode.crypto import check_signature
from chaincode.domain.errors import InvalidField, LedgerError
from chaincode.domain.values import OrgId
from chaincode.shim import Response, Router, SettingsError, dial, serve, settings_from_environment

REFUSED = 400


def router(founders: frozenset[OrgId] | None) -> Router:
    """The chaincode as the shim runs it."""
    return Router(functions(check=check_signature, founders=founders), refusal, title="pedigree")


def refusal(error: Exception) -> Response | None:
    """The response for a refusal; None for anything else, which is a fault and not told to the client."""
    return Response(REFUSED, render(error)) if isinstance(error, LedgerError) else None


def founders_from(environ: Mapping[str, str]) -> frozenset[OrgId] | None:
    """The founders that the environment names; None where it names none. `SettingsError` for what is no MSP id."""
    text = environ.get("PEDIGREE_FOUNDERS", "").strip()
    if not text:
        return None
    try:
        return frozenset(OrgId(name.strip()) for name in text.split(","))
    except InvalidField as exc:
        raise SettingsError(f"PEDIGREE_FOUNDERS must be MSP ids separated by commas: {exc.reason}") from exc


def main() -> int:
    """Serve until the process is told to stop; 2 where its settings are wrong."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = settings_from_environment(os.environ, sys.argv[1:])
        chaincode = router(founders_from(os.environ))
        (dial if settings.listen is None else serve)(chaincode, settings)
    except SettingsError as exc:
        print(f"chaincode: {exc}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

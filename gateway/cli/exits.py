# SPDX-License-Identifier: Apache-2.0
"""Which exit code of `pedigree.exits` each failure of the `pedigree` command has."""

from textwrap import fill

from pedigree.exits import MEANINGS as MEANINGS
from pedigree.exits import Exit as Exit

EPILOG = "\b\nExit codes:\n" + "\n".join(
    fill(meaning, 76, initial_indent=f"  {int(code):<4} ", subsequent_indent=" " * 7)
    for code, meaning in MEANINGS.items()
)
"""The table for `--help`, for 80 columns of which click takes two."""


def exit_of(error: BaseException) -> Exit:
    """The exit code for an expected failure."""
    from chaincode.domain import errors as law
    from gateway.fabric.errors import GatewayError
    from gateway.services import ports
    from pedigree import errors as sdk

    kinds: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Exit], ...] = (
        (sdk.Disagreement, Exit.DISAGREES),
        ((sdk.NotFound, law.NotFound), Exit.NOT_FOUND),
        ((sdk.Refused, law.LedgerError, ports.Refused), Exit.REFUSED),
        (sdk.Unreachable, Exit.UNREACHABLE),
        ((sdk.Unavailable, ports.NothingOrdered, ports.OutcomeUnknown), Exit.UNAVAILABLE),
        (sdk.InvalidInput, Exit.USAGE),
    )
    if isinstance(error, GatewayError):
        return Exit.UNREACHABLE if error.code.name == "UNAVAILABLE" else Exit.UNAVAILABLE
    return next((code for kind, code in kinds if isinstance(error, kind)), Exit.FAILED)

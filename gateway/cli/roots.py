# SPDX-License-Identifier: Apache-2.0
"""`pedigree root declare`: say under which certificate authorities those are who may speak for the organisation."""

from pathlib import Path
from typing import Any

import click

from gateway.cli.answers import recorded
from gateway.cli.options import IDEMPOTENCY_KEY, using_gateway

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command()
@click.option("--msp", type=_FOLDER, required=True, help="The organisation's MSP folder: roots, units and revocations.")
@click.option("--revoked", multiple=True, metavar="SERIAL", help="Also revoked: a serial number in hex; repeatable.")
@IDEMPOTENCY_KEY
@using_gateway
def roots_declare(
    pedigree: Any, msp: Path, revoked: tuple[str, ...], idempotency_key: str | None, as_json: bool
) -> None:
    """Declare who may sign statements for your organisation.

    Those who have a certificate under one of the roots, of the MSP's unit of clients or of administrators where it has
    units, and that is not revoked, sign from then on with keys of their own. The last declaration holds.
    """
    from gateway.verifier.declarations import declaration_of

    fields = declaration_of(msp, revoked)
    recorded(pedigree.declare_roots(idempotency_key=idempotency_key, **fields), as_json)

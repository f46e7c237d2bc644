# SPDX-License-Identifier: Apache-2.0
"""`pedigree verify`: check a file of evidence, without a gateway and offline."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.console import plain, show, told
from gateway.cli.exits import Exit
from gateway.cli.options import FILE

if TYPE_CHECKING:
    from gateway.verifier.impacts import ImpactVerdict
    from gateway.verifier.statements import StatementVerdict

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


def _root(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    from pedigree.command import parse_root

    try:
        return None if value is None else parse_root(value)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from None


@click.command()
@click.argument("file", type=FILE)
@click.option("--root", callback=_root, help="Root of its version, as a ledger that you trust has it (64 hex digits).")
@click.option("--size", type=click.IntRange(1), help="The number of records under that root, from the same ledger.")
@click.option(
    "--ledger",
    type=FILE,
    multiple=True,
    help="Instead: what `dataset show` or `consent version NAME NUMBER --json` said; `selection show`; `purpose list`.",
)
@click.option("--policy", type=FILE, help="Of a receipt: the logs and witnesses that you trust (c2sp.org/tlog-policy).")
@click.option("--transaction", help="With it: the id of the transaction that the receipt must be about.")
@click.option("--certificate", type=FILE, help="Of a statement: the certificate (PEM) of the user who signed it.")
@click.option("--msp", type=FOLDER, help="With it: the MSP folder of the organisation that speaks.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@told
def verify(
    file: Path,
    root: str | None,
    size: int | None,
    ledger: Sequence[Path],
    policy: Path | None,
    transaction: str | None,
    certificate: Path | None,
    msp: Path | None,
    as_json: bool,
) -> None:
    """Check a file of evidence offline.

    FILE holds the evidence of a record in a version, or in a selection from it too, or of a subject's consent, or the
    signed statement of an endorsement or a rejection: its envelope, or one item of `endorsements` or `rejections` in
    what `pedigree artifact REFERENCE --json` printed. Or it is the receipt of a log, `*.tlog-proof`.

    It prints what the file is about and says in plain words what was proven, what a ledger's answer that you give
    adds, what only the file says, and what was not proven. A root does not bind how many records are under it: only
    with --size or --ledger is the record's position proven. A file about a selection is verified with a --ledger for
    each, the version and the selection. What the owner's own purposes are called, a --ledger with what `purpose list
    --json` printed says. A signature proves what the holder of a certificate said; whose certificate
    that is, only --msp proves. A receipt proves what the logs and witnesses of a --policy say. Without any of these the
    file agrees with itself only, which anyone can arrange, and the exit code is 3.
    """
    from pedigree.command import check_file, shown, wrapped

    if certificate is not None or msp is not None or _is_statement(file):
        if any((root, size, ledger, policy, transaction)):
            raise click.UsageError("--root, --size, --ledger, --policy and --transaction are not for a statement")
        found = _check_statement(file, certificate, msp)
        show(found.as_json(), as_json, lambda: click.echo(wrapped(plain(found.text()))))
        verified = found.verified
    else:
        verdict = check_file(file, root=root, size=size, ledger=ledger, policy=policy, transaction=transaction)
        click.echo(shown(verdict, as_json=as_json))
        verified = verdict.verified
    if not verified:
        raise SystemExit(Exit.UNPROVEN)


def _is_statement(file: Path) -> bool:
    from gateway.verifier.statements import is_statement
    from pedigree import InvalidEvidence
    from pedigree.evidence import read_evidence

    try:
        return is_statement(read_evidence(file))
    except InvalidEvidence:
        return False  # `check_file` says what is wrong with it


def _check_statement(file: Path, certificate: Path | None, msp: Path | None) -> "StatementVerdict | ImpactVerdict":
    from gateway.fabric.certificates import load_certificate
    from gateway.verifier.impacts import is_impact, verify_impact
    from gateway.verifier.statements import RefutedStatement, is_statement, verify_statement
    from pedigree import InvalidEvidence
    from pedigree.evidence import read_evidence

    if msp is not None and certificate is None:
        raise click.UsageError("--msp is of use with --certificate only")
    signer = None if certificate is None else load_certificate(_beginning(certificate), str(certificate))
    try:
        value = read_evidence(file)
        if not is_statement(value):
            raise click.UsageError("--certificate and --msp are for a signed statement")
        if is_impact(value):
            return verify_impact(value, certificate=signer, msp=msp)
        return verify_statement(value, certificate=signer, msp=msp)
    except InvalidEvidence as exc:
        raise InvalidEvidence(f"{file} proves nothing: {exc.detail}") from None
    except RefutedStatement as exc:
        raise InvalidEvidence(f"{file} proves nothing: {exc}") from None


def _beginning(file: Path) -> bytes:
    """As much of a file as is more than any certificate has."""
    with file.open("rb") as content:
        return content.read(1 << 20)

# SPDX-License-Identifier: Apache-2.0
"""`pedigree evidence` writes a file of evidence; `pedigree verify` checks one, without a gateway and offline."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gateway.cli.console import dumps, plain, progressing, show, told
from gateway.cli.exits import Exit
from gateway.cli.options import FILE, using_gateway
from gateway.cli.outputs import OUTPUT, written

if TYPE_CHECKING:
    from gateway.verifier.impacts import ImpactVerdict
    from gateway.verifier.provenance import ProvenanceVerdict
    from gateway.verifier.statements import StatementVerdict
    from gateway.verifier.transactions import TransactionVerdict
    from pedigree.safetensors import Contained

FOLDER: Final = click.Path(path_type=Path, exists=True, file_okay=False)
_HASH: Final = re.compile("[0-9a-fA-F]{64}")
_LARGEST_BLOCK: Final = 16 << 20


class Msp(click.ParamType[tuple[str, Path]]):
    """An organisation's MSP folder, and where several are given the MSP id of each before it."""

    name = "[MSPID=]FOLDER"

    def convert(
        self, value: str | tuple[str, Path], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Path]:
        if isinstance(value, tuple):
            return value
        name, separator, folder = value.partition("=")
        if not separator or "/" in name:  # the folder's own path may have an equals sign
            name, folder = "", value
        return name, FOLDER.convert(folder, param, ctx)


@click.command()
@click.argument("what", metavar="REFERENCE|TRANSACTION")
@click.option("-o", "--output", type=OUTPUT, default="-", help="The file; standard output by default.")
@using_gateway
def evidence(pedigree: Any, what: str, output: Path, as_json: bool) -> None:
    """Write evidence of a record or a transaction.

    It is about the transaction of this id, or the one that wrote the record of this reference, such as
    model-version:net:1. The file has the transaction with its endorsements, its whole block, and what shows who had to
    sign and endorse; `pedigree verify` checks it offline.
    """
    found = pedigree.transaction_evidence(what) if _HASH.fullmatch(what) else pedigree.evidence(what)
    written(output, dumps(found))


def root_given(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    from pedigree.command import parse_root

    try:
        return None if value is None else parse_root(value)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from None


@click.command()
@click.argument("file", type=FILE)
@click.option(
    "--root", callback=root_given, help="Root of its version, as a ledger that you trust has it (64 hex digits)."
)
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
@click.option(
    "--msp",
    "msps",
    type=Msp(),
    multiple=True,
    help="With it: the MSP folder of the organisation that speaks. Of a transaction: of any organisation, as"
    " HospitalMSP=FOLDER; repeatable.",
)
@click.option(
    "--genesis", callback=root_given, help="Of a transaction: the hash of the channel's first block (64 digits)."
)
@click.option("--config", type=FILE, help="Of a transaction, instead: a configuration block of the channel.")
@click.option("--chaincode", help="Of a transaction: what the chaincode is called.  [default: pedigree]")
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
    msps: Sequence[tuple[str, Path]],
    genesis: str | None,
    config: Path | None,
    chaincode: str | None,
    as_json: bool,
) -> None:
    """Check a file of evidence offline.

    FILE holds the evidence of a record in a version, or in a selection from it too, or of a subject's consent, or of a
    transaction (`pedigree evidence`), or the signed statement of a run, an endorsement or a rejection: its envelope, or
    one item of `endorsements` or `rejections` in what `pedigree artifact REFERENCE --json` printed. Or it is the
    receipt of a log, `*.tlog-proof`, or a `.safetensors` file with evidence in it (`pedigree model embed`).

    It prints what the file is about and says in plain words what was proven, what a ledger's answer that you give
    adds, what only the file says, and what was not proven. A root does not bind how many records are under it: only
    with --size or --ledger is the record's position proven. A file about a selection is verified with a --ledger for
    each, the version and the selection. What the owner's own purposes are called, a --ledger with what `purpose list
    --json` printed says. A signature proves what the holder of a certificate said; whose certificate
    that is, only --msp proves. That a transaction was ordered and endorsed follows from --genesis or --config. A
    receipt proves what the logs and witnesses of a --policy say. Without any of these the file agrees with itself only,
    which anyone can arrange, and the exit code is 3.
    """
    from gateway.verifier.statements import is_statement
    from gateway.verifier.transactions import is_transaction
    from pedigree.command import check_file, shown, wrapped

    contained = _contained(file, as_json)
    value = _content(file) if contained is None else _inside(file, contained)
    if value is not None and is_transaction(value):
        if any((root, size, ledger, policy, transaction, certificate)):
            raise click.UsageError("evidence of a transaction is checked with --genesis or --config, and --msp")
        judged = check_transaction(file, value, trusted_block(genesis, config), named_msps(msps), chaincode, contained)
        show(judged.as_json(), as_json, lambda: click.echo(wrapped(plain(judged.text()))))
        verified = judged.verified
    elif value is not None and any((genesis, config, chaincode)):
        raise click.UsageError("--genesis, --config and --chaincode are for the evidence of a transaction")
    elif certificate is not None or msps or (value is not None and is_statement(value)):
        if any((root, size, ledger, policy, transaction)):
            raise click.UsageError("--root, --size, --ledger, --policy and --transaction are not for a statement")
        if len(msps) > 1:
            raise click.UsageError("a statement is of one organisation: give one --msp")
        found = _check_statement(file, certificate, msps[0][1] if msps else None)
        show(found.as_json(), as_json, lambda: click.echo(wrapped(plain(found.text()))))
        verified = found.verified
    else:
        verdict = check_file(file, root=root, size=size, ledger=ledger, policy=policy, transaction=transaction)
        if any((genesis, config, chaincode)):
            raise click.UsageError("--genesis, --config and --chaincode are for the evidence of a transaction")
        click.echo(shown(verdict, as_json=as_json))
        verified = verdict.verified
    if not verified:
        raise SystemExit(Exit.UNPROVEN)


def _contained(file: Path, quiet: bool) -> "Contained | None":
    """What a model's own file holds; `None` for a file that is not one."""
    from pedigree.safetensors import extract, is_safetensors

    if not is_safetensors(file):
        return None
    with progressing(f"hashing {file.name}", file.stat().st_size, quiet) as progress:
        return extract(file, progress)


def _inside(file: Path, contained: "Contained") -> Mapping[str, Any]:
    """The evidence in a model's file."""
    from gateway.verifier.transactions import is_transaction
    from pedigree import InvalidEvidence
    from pedigree.evidence import parse_evidence

    value = parse_evidence(contained.evidence.encode("utf-8", "replace"))
    if not is_transaction(value):
        raise InvalidEvidence(f"the evidence in {file} is not of a transaction, and shows nothing of the file")
    return value


def _content(file: Path) -> Mapping[str, Any] | None:
    """The object in a file of evidence; `None` where it cannot be read as one."""
    from pedigree import InvalidEvidence
    from pedigree.evidence import read_evidence

    try:
        return read_evidence(file)
    except InvalidEvidence:
        return None


def trusted_block(genesis: str | None, config: Path | None) -> bytes | None:
    """The hash of the block in which the trust is."""
    from gateway.fabric.errors import MalformedData
    from gateway.verifier.ordered import trusted_hash

    if config is None:
        return None if genesis is None else bytes.fromhex(genesis)
    if genesis is not None:
        raise click.UsageError("give --genesis or --config, and not both")
    with config.open("rb") as content:
        block = content.read(_LARGEST_BLOCK + 1)
    if len(block) > _LARGEST_BLOCK:
        raise MalformedData(f"{config}: a configuration block has at most {_LARGEST_BLOCK >> 20} MiB")
    try:
        return trusted_hash(block)
    except MalformedData as exc:
        raise MalformedData(f"{config}: {exc}") from None


def named_msps(msps: Sequence[tuple[str, Path]]) -> dict[str, Path]:
    found = dict(msps)
    if "" in found:
        raise click.UsageError("say whose MSP it is, such as --msp HospitalMSP=FOLDER")
    if len(found) < len(msps):
        raise click.UsageError("give each organisation's MSP once")
    return found


def check_transaction(
    file: Path,
    value: Mapping[str, Any],
    trusted: bytes | None,
    msps: Mapping[str, Path],
    chaincode: str | None,
    contained: "Contained | None",
) -> "TransactionVerdict":
    from gateway.verifier.modelfiles import confirm_file
    from gateway.verifier.transactions import CHAINCODE, RefutedEvidence, verify_transaction
    from pedigree import InvalidEvidence

    try:
        verdict = verify_transaction(
            value, trusted=trusted, msps=msps, chaincode=CHAINCODE if chaincode is None else chaincode
        )
        return verdict if contained is None else confirm_file(verdict, contained.digest)
    except RefutedEvidence as exc:
        raise InvalidEvidence(f"{file} proves nothing: {exc}") from None


def _check_statement(
    file: Path, certificate: Path | None, msp: Path | None
) -> "StatementVerdict | ImpactVerdict | ProvenanceVerdict":
    from gateway.fabric.certificates import load_certificate
    from gateway.verifier.impacts import is_impact, verify_impact
    from gateway.verifier.provenance import is_provenance, verify_provenance
    from gateway.verifier.statements import RefutedStatement, is_statement, names_signer, verify_statement
    from pedigree import InvalidEvidence
    from pedigree.evidence import read_evidence

    signer = None if certificate is None else load_certificate(_beginning(certificate), str(certificate))
    try:
        value = read_evidence(file)
        if not is_statement(value):
            raise click.UsageError("--certificate and --msp are for a signed statement")
        if msp is not None and certificate is None and not names_signer(value):
            raise click.UsageError(
                "--msp is of use with --certificate only: no certificate travels with this statement"
            )
        if is_impact(value):
            return verify_impact(value, certificate=signer, msp=msp)
        if is_provenance(value):
            return verify_provenance(value, certificate=signer, msp=msp)
        return verify_statement(value, certificate=signer, msp=msp)
    except InvalidEvidence as exc:
        raise InvalidEvidence(f"{file} proves nothing: {exc.detail}") from None
    except RefutedStatement as exc:
        raise InvalidEvidence(f"{file} proves nothing: {exc}") from None


def _beginning(file: Path) -> bytes:
    """As much of a file as is more than any certificate has."""
    with file.open("rb") as content:
        return content.read(1 << 20)

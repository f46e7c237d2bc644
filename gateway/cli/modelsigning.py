# SPDX-License-Identifier: Apache-2.0
"""`pedigree model sign` and `check-signature`: signatures of OpenSSF Model Signing over a model's files, offline."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.cli.console import plain, show, told
from gateway.cli.exits import Exit
from gateway.cli.models import hashing
from gateway.cli.options import FILE

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_IGNORED = click.option(
    "--ignore", "ignored", multiple=True, metavar="PATH", help="Path in the folder that is not part of it; repeatable."
)
_T = TypeVar("_T")


@click.command()
@click.argument("path", type=FILE)
@click.option("--private-key", type=FILE, required=True, help="PEM file of the key: P-256, P-384 or P-521.")
@click.option("--certificate", type=FILE, help="PEM file: the certificate of that key, then those above it.")
@click.option("--name", help="What the model is called; by default what PATH is.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The signature.")
@_IGNORED
@told
def model_sign(
    path: Path, private_key: Path, certificate: Path | None, name: str | None, output: Path, ignored: tuple[str, ...]
) -> None:
    """Sign the files of PATH.

    The signature is one of OpenSSF Model Signing 1.0, which its library `model-signing` verifies too. A signature that
    is written into PATH is left out of it. No gateway is asked.
    """
    from gateway.verifier.modelkeys import read_chain, read_private_key
    from gateway.verifier.modelsignatures import sign_model
    from pedigree import InvalidInput
    from pedigree.files import digest_files
    from pedigree.folders import ignored_paths
    from pedigree.saving import replacing

    key = _read(private_key, read_private_key)
    chain = [] if certificate is None else _read(certificate, read_chain)
    inside = output.resolve().is_relative_to(path.resolve()) and path.is_dir()
    left_out = (*ignored, *([output.resolve().relative_to(path.resolve()).as_posix()] if inside else ()))
    with hashing(path, left_out, quiet=False) as progress:
        files = {each["path"]: each["digest"] for each in digest_files(path, progress, ignore_paths=left_out)}
    try:
        signature = sign_model(name or path.resolve().name, files, ignored_paths(left_out), key, chain)
    except ValueError as exc:
        raise InvalidInput(str(exc), field="private_key") from None
    with replacing(output) as file:
        file.write(signature)
    click.echo(f"signed {len(files)} files of {plain(str(path))} into {plain(str(output))}")


@click.command()
@click.argument("signature", type=FILE)
@click.option("--public-key", type=FILE, help="PEM file of the signer's public key, or certificate.")
@click.option(
    "--msp",
    type=(str, _FOLDER),
    metavar="MSPID FOLDER",
    help="Instead: the organisation of which the signer must be, and its MSP folder.",
)
@click.option("--files", "path", type=FILE, help="Compare these files with what was signed.")
@click.option("--ledger", type=FILE, help="Compare with a version: what `model show NAME NUMBER --json` printed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@told
def model_check_signature(
    signature: Path,
    public_key: Path | None,
    msp: tuple[str, Path] | None,
    path: Path | None,
    ledger: Path | None,
    as_json: bool,
) -> None:
    """Check a signature over a model's files offline.

    SIGNATURE is one of OpenSSF Model Signing 1.0, made with a key or a certificate: by `pedigree model sign` or by the
    library `model-signing`. Without --public-key and --msp nothing is proven, and the exit code is 3.
    """
    from gateway.verifier.modelkeys import read_public_key
    from gateway.verifier.modelsignatures import LARGEST, read_model_signature
    from pedigree import InvalidEvidence
    from pedigree.files import digest_files

    if public_key is not None and msp is not None:
        raise click.UsageError("give --public-key or --msp, not both")
    key = None if public_key is None else _read(public_key, read_public_key)
    version = None if ledger is None else _record(ledger)
    with signature.open("rb") as file:
        data = file.read(LARGEST + 1)
    try:
        found = read_model_signature(data)
        files = None
        if path is not None:
            outside = [each for each in found.ignored if not each.startswith("/")]
            with hashing(path, outside, as_json) as progress:
                entries = digest_files(path, progress, ignore_paths=outside)
            files = {each["path"]: each["digest"] for each in entries}
        verdict = found.check(key=key, msp=msp, found=files, version=version)
    except _refuted() as exc:
        raise InvalidEvidence(f"{plain(str(signature))} proves nothing: {exc}") from None
    show(verdict.as_json(), as_json, lambda: click.echo(plain(verdict.text())))
    if not verdict.verified:
        raise SystemExit(Exit.UNPROVEN)


def _refuted() -> type[Exception]:
    from gateway.verifier.envelopes import RefutedStatement

    return RefutedStatement


def _read(file: Path, reader: Callable[[bytes], _T]) -> _T:
    from pedigree import InvalidInput

    with file.open("rb") as content:
        data = content.read(1 << 20)
    try:
        return reader(data)
    except ValueError as exc:
        raise InvalidInput(f"{file}: {exc}", field=str(file)) from None


def _record(file: Path) -> dict[str, Any]:
    from pedigree import InvalidInput
    from pedigree.evidence import read_evidence

    answer = read_evidence(file)
    record = answer.get("record", answer)
    if not isinstance(record, dict):
        raise InvalidInput(f"{file} is not a ledger's answer: give what `model show` printed", field=str(file))
    return record

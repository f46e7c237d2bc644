# SPDX-License-Identifier: Apache-2.0
"""`pedigree model embed` and `extract`: evidence inside a model's own file."""

from pathlib import Path

import click

from gateway.cli.console import plain, progressing, show, told
from gateway.cli.options import FILE

_OUTPUT = click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write."
)


@click.command()
@click.argument("file", type=FILE)
@click.argument("evidence", type=FILE)
@_OUTPUT
@told
def model_embed(file: Path, evidence: Path, output: Path) -> None:
    """Put evidence into a `.safetensors` file.

    EVIDENCE is what `pedigree evidence model-version:NAME:NUMBER` wrote about the version that names FILE. The copy in
    OUTPUT has the same tensors and metadata, and one text more; `pedigree verify OUTPUT` checks it alone. No gateway is
    asked.
    """
    from gateway.verifier.modelfiles import confirm_file
    from gateway.verifier.transactions import RefutedEvidence, is_transaction, verify_transaction
    from pedigree import InvalidEvidence, digest_file
    from pedigree.evidence import read_evidence
    from pedigree.safetensors import embed, extract, holds_evidence

    value = read_evidence(evidence)
    if not is_transaction(value):
        raise InvalidEvidence(f"{evidence} is not evidence of a transaction, which `pedigree evidence` writes")
    with progressing(f"hashing {file.name}", file.stat().st_size, quiet=False) as progress:
        holds = holds_evidence(file)
        digest = extract(file, progress).digest if holds else digest_file(file, progress)
    try:
        confirm_file(verify_transaction(value, trusted=None, msps={}), digest)
    except RefutedEvidence as exc:
        raise InvalidEvidence(f"{evidence} is not about {file}: {exc}") from None
    with progressing(f"writing {output.name}", file.stat().st_size, quiet=False) as progress:
        embed(file, evidence.read_text(encoding="utf-8"), output, progress)
    click.echo(f"wrote {plain(str(output))}, which has the evidence in it")


@click.command()
@click.argument("file", type=FILE)
@_OUTPUT
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@told
def model_extract(file: Path, output: Path, as_json: bool) -> None:
    """Write the evidence in a `.safetensors` file into OUTPUT.

    It says what the SHA-256 of FILE is without the evidence, which is what the ledger names.
    """
    from pedigree.safetensors import extract
    from pedigree.saving import replacing

    with progressing(f"hashing {file.name}", file.stat().st_size, as_json) as progress:
        found = extract(file, progress)
    with replacing(output) as sink:
        sink.write(found.evidence.encode())
    answer = {"digest": found.digest, "size": found.size, "evidence": str(output)}
    show(answer, as_json, lambda: click.echo(f"{found.digest}  {plain(str(file))} without the evidence"))

# SPDX-License-Identifier: Apache-2.0
"""A model's file beside evidence of a transaction: whether the version that was recorded there names this file."""

from collections.abc import Iterator
from dataclasses import replace

from chaincode.domain.model import FileEntry, ModelVersion
from gateway.fabric.texts import said
from gateway.verifier.transactions import RefutedEvidence, TransactionVerdict

__all__ = ["confirm_file"]


def confirm_file(verdict: TransactionVerdict, digest: str) -> TransactionVerdict:
    """The verdict about a transaction, with what it shows of a file with this SHA-256 (lowercase hex).

    Raises `RefutedEvidence` where no version of a model that the transaction wrote names a file with this digest.
    """
    found = [
        f"The bytes of this file, but for the evidence in it, are those of {said(entry.path)} in {reference}:"
        f" SHA-256 {digest}."
        for reference, entry in _files(verdict)
        if str(entry.digest) == digest
    ]
    if not found:
        raise RefutedEvidence("the bytes of this file are not those of a file of the version that its evidence shows")
    if verdict.verified:
        return replace(verdict, proven=(*verdict.proven, *found))
    return replace(verdict, said=(*verdict.said, *found))


def _files(verdict: TransactionVerdict) -> Iterator[tuple[str, FileEntry]]:
    for written in verdict.written:
        if isinstance(written.record, ModelVersion):
            for entry in written.record.files:
                yield said(str(written.reference)), entry

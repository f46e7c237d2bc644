# SPDX-License-Identifier: Apache-2.0
"""What data subjects indicated, for their controller's gateway, which keeps the map and proves each change."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from pedigree.calls import segment
from pedigree.documents import Consent, ConsentMapVersion
from pedigree.operations import Operations
from pedigree.recorded import Recorded
from pedigree.uploads import Upload


class _Required(TypedDict):
    subject: str
    state: Consent


class Indication(_Required, total=False):
    """What one data subject indicated."""

    purposes: Sequence[str]
    """What the consent covers: `research`, or a purpose of your organisation's by its title or IRI."""
    indicated_at: str
    """When (RFC 3339, or a date); now by default."""


Indications = Sequence[Indication] | Path | str
"""Indications, or a file (CSV, JSON Lines, Parquet) with columns `subject`, `state`, `purposes` and `indicated_at`."""


class ConsentCalls(Operations):
    """Calls about what data subjects consented to."""

    def open_consent(
        self, dataset: str, indications: Indications = (), *, idempotency_key: str | None = None
    ) -> Recorded[ConsentMapVersion]:
        """Open the consent map of your data set, once: what came with its records, and what is given here."""
        path = f"/v1/datasets/{segment(dataset)}/consent"
        if not isinstance(indications, Path | str) and not indications:
            return self._record(path, {}, idempotency_key)
        return self._recorded(path, idempotency_key, upload=_upload(indications), params={})

    def change_consent(
        self, dataset: str, indications: Indications, *, idempotency_key: str | None = None
    ) -> Recorded[ConsentMapVersion]:
        """Record what up to 500 data subjects indicated, in one transaction."""
        path = f"/v1/datasets/{segment(dataset)}/consent/changes"
        return self._recorded(path, idempotency_key, upload=_upload(indications), params={})

    def withdraw_consent(
        self, dataset: str, subject: str, *, indicated_at: str | None = None, idempotency_key: str | None = None
    ) -> Recorded[ConsentMapVersion]:
        """Record that a data subject withdrew its consent: from now on nothing is permitted."""
        said: Indication = {"subject": subject, "state": "ConsentWithdrawn"}
        if indicated_at is not None:
            said["indicated_at"] = indicated_at
        return self.change_consent(dataset, [said], idempotency_key=idempotency_key)


def _upload(indications: Indications) -> Upload:
    if isinstance(indications, Path | str):
        return Upload.of(indications, None)
    return Upload.of("".join(json.dumps(each) + "\n" for each in indications).encode(), "application/jsonl")

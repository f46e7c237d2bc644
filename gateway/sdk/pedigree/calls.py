# SPDX-License-Identifier: Apache-2.0
"""What the calls of one client have in common: its transport, and how what they record is answered."""

import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pedigree.errors import Disagreement
from pedigree.transport import Json, Recorded, Transport

Fields = Mapping[str, Any]


class Calls:
    """Calls of one gateway."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _record(self, path: str, fields: Fields, key: str | None, headers: Mapping[str, str] | None = None) -> Recorded:
        body = {name: value for name, value in fields.items() if value is not None}
        organisations = body.pop("endorsing_organisations", None)
        sent = dict(headers or {})
        if organisations is not None:
            sent["Endorsing-Organisations"] = ",".join(organisations)
        return self._recorded(path, key, json=body, headers=sent)

    def _recorded(self, path: str, key: str | None, **request: Any) -> Recorded:
        started = time.perf_counter()
        received = self._transport.record(path, key, **request)
        body = received.body
        return Recorded(
            record=body["record"],
            event=body["event"],
            transaction_id=body["transaction"]["id"],
            block=body["transaction"]["block"],
            height=body["transaction"]["block"] + 1,
            seconds=time.perf_counter() - started,
            replayed=received.headers.get("Idempotent-Replayed") == "true",
        )


def checked(report: Json, what: str, *, check: bool) -> Json:
    """The report on `what`; with `check`, raises `Disagreement` when something differs."""
    if check and not report["verified"]:
        raise Disagreement(f"{what} differs from what the ledger names", report=report)
    return report


def segment(text: str) -> str:
    """A name as one part of a path."""
    return quote(text, safe=":")


def version_of(reference: str, kind: str) -> tuple[str, int]:
    """Name and number in a reference such as `model-version:net:1`."""
    found = re.fullmatch(rf"{kind}:([^:]+):([0-9]+)", reference)
    if found is None:
        raise ValueError(f"{reference} is not a {kind}")
    return found[1], int(found[2])

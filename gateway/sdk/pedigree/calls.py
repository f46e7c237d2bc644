# SPDX-License-Identifier: Apache-2.0
"""What the calls of one client have in common: its transport, and how what they record is answered."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pedigree.errors import AnyComparison, Disagreement
from pedigree.recorded import Recorded
from pedigree.transport import Transport
from pedigree.uploads import Upload

Fields = Mapping[str, object]
"""The members of a body, those without a value among them."""
_LARGEST_PAGE = 100


class Calls:
    """Calls of one gateway."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _get(self, path: str, **parameters: str | int | None) -> Any:
        """What is answered, of the type that the operation says."""
        return self._transport.get(path, **parameters)

    def _send(self, path: str, upload: Upload | None, query: Mapping[str, str]) -> Any:
        """What is answered to a file that records nothing."""
        return self._transport.send(path, upload=upload, query=query)

    def _iterate(self, path: str, **parameters: str | int | None) -> Iterator[Any]:
        """The items of a list, page after page; the pages are as large as they may be."""
        cursor = None
        while True:
            page = self._transport.get(path, cursor=cursor, limit=_LARGEST_PAGE, **parameters)
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def _record(
        self,
        path: str,
        fields: Fields,
        key: str | None,
        organisations: Sequence[str] | None = None,
        *,
        reads: bool = False,
    ) -> Recorded[Any]:
        """Record what the fields say, without those that have no value.

        `reads` says that the gateway fills in what it knows of an artifact, so that it must have seen what this client
        has.
        """
        headers = {} if organisations is None else {"Endorsing-Organisations": ",".join(organisations)}
        if reads and self._transport.height:
            headers["Min-Ledger-Height"] = str(self._transport.height)
        body = {name: value for name, value in fields.items() if value is not None}
        return self._recorded(path, key, json=body, headers=headers)

    def _recorded(self, path: str, key: str | None, **request: Any) -> Recorded[Any]:
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
            impact=body.get("impact"),
            unmarked=body.get("unmarked", 0),
        )


def refuse_difference(report: AnyComparison, what: str) -> None:
    """Raise `Disagreement` where the report on `what` says that something differs."""
    if not report["verified"]:
        raise Disagreement(f"{what} differs from what the ledger names", report=report)


def segment(text: str) -> str:
    """A name as one part of a path."""
    return quote(text, safe=":")


def version_of(reference: str, kind: str) -> tuple[str, int]:
    """Name and number in a reference such as `model-version:net:1`."""
    found = re.fullmatch(rf"{kind}:([^:]+):([0-9]+)", reference)
    if found is None:
        raise ValueError(f"{reference} is not a {kind}")
    return found[1], int(found[2])

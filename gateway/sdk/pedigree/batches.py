# SPDX-License-Identifier: Apache-2.0
"""Many commands at once, each with its own outcome."""

import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from pedigree.documents import BatchOutcome
from pedigree.errors import PedigreeError, from_problem
from pedigree.operations import Operations
from pedigree.recorded import Recorded

_MOST: Final = 1_000
"""Commands that a gateway takes at once."""
_LARGEST: Final = 3 * 1024 * 1024
"""Bytes of them."""
_RECORDED: Final = 201


class BatchCalls(Operations):
    """Calls about batches."""

    def batch(
        self,
        commands: Iterable[Mapping[str, object]],
        *,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> list[Recorded[Mapping[str, object]] | PedigreeError]:
        """Record commands in their order, in as few transactions as can be; each has its own outcome.

        More than 1,000 are sent in several requests, one after the other.

        Args:
            commands: each a `function`, such as `model:register`, the fields of its `command`, those in a path among
                them, and, if it is to be recorded once whatever batch it is in, its own idempotency `key`.

        Returns for each command what was recorded, or the error that it would have raised alone. Raises what is wrong
        with a request itself; what was recorded by earlier ones stays, and the same call with the same key goes on.
        """
        key = idempotency_key or str(uuid.uuid4())
        found: list[Recorded[Mapping[str, object]] | PedigreeError] = []
        for number, content in enumerate(_requests(commands)):
            found += self._batch(content, key if number == 0 else f"{key}.{number}", endorsing_organisations)
        return found

    def _batch(
        self, content: bytes, key: str, organisations: Sequence[str] | None
    ) -> Iterator[Recorded[Mapping[str, object]] | PedigreeError]:
        started = time.perf_counter()
        headers = {"Content-Type": "application/json"}
        if organisations is not None:
            headers["Endorsing-Organisations"] = ",".join(organisations)
        received = self._transport.record("/v1/batches", key, content=content, headers=headers)
        answer: BatchOutcome = received.body  # type: ignore[assignment]  # by the description of the gateway
        replayed = received.headers.get("Idempotent-Replayed") == "true"
        seconds = time.perf_counter() - started
        for outcome in answer["outcomes"]:
            body: Any = outcome["result"]
            if outcome["status"] != _RECORDED:
                yield from_problem(outcome["status"], body)
                continue
            block = body["transaction"]["block"]
            self._transport.at_least(block + 1)
            yield Recorded(
                record=body["record"],
                event=body["event"],
                transaction_id=body["transaction"]["id"],
                block=block,
                height=block + 1,
                seconds=seconds,
                replayed=replayed,
            )


def _requests(commands: Iterable[Mapping[str, object]]) -> Iterator[bytes]:
    """The bodies of the requests: as many commands in each as it may have."""
    parts: list[bytes] = []
    size = 0
    for command in commands:
        part = json.dumps(command, ensure_ascii=False).encode()
        if parts and (len(parts) == _MOST or size + len(part) > _LARGEST):
            yield b"[%b]" % b",".join(parts)
            parts, size = [], 0
        parts.append(part)
        size += len(part)
    if parts:
        yield b"[%b]" % b",".join(parts)

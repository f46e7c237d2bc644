# SPDX-License-Identifier: Apache-2.0
"""The transparency log: what it is, its checkpoint and policy, and receipts for transactions."""

import re
from collections.abc import Callable, Iterator, Mapping

from gateway.rest.problems import HttpProblem
from gateway.rest.routing import Call, Reply, View
from gateway.services.logview import LogView
from gateway.services.ports import ReadModel
from gateway.services.publishing import Publisher

_ID = re.compile(r"[0-9a-f]{64}")
_PATIENCE = 2.0
"""Seconds that a receipt waits for cosignatures."""


def views(view: LogView, publisher: Publisher, policy: Callable[[], bytes], readmodel: ReadModel) -> Mapping[str, View]:
    """The operations on the log, by name."""

    def describe(_: Call) -> Reply:
        return Reply(view.describe())

    def checkpoint(_: Call) -> Reply:
        found = publisher.latest()
        if found is None:
            raise HttpProblem(404, "nothing-signed", "No checkpoint has been signed yet: the log is empty, or new.")
        return _text(found.note)

    def served(_: Call) -> Reply:
        return _text(policy())

    def receipt(call: Call) -> Reply:
        transaction_id = call.path["transaction"]
        if _ID.fullmatch(transaction_id) is None or readmodel.transaction(transaction_id) is None:
            raise HttpProblem(404, "no-such-transaction", "No block that was read so far holds this transaction.")
        return _text(publisher.receipt(transaction_id, _PATIENCE))

    return {"getLog": describe, "getCheckpoint": checkpoint, "getLogPolicy": served, "getReceipt": receipt}


def _text(content: bytes) -> Reply:
    return Reply({}, pieces=_once(content))


def _once(content: bytes) -> Iterator[bytes]:
    yield content

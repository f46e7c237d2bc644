# SPDX-License-Identifier: Apache-2.0
"""Records as tests write them to a ledger in memory: as JSON, under the keys that the law gives them."""

from collections.abc import Mapping
from functools import reduce
from typing import Any

from chaincode.domain import keys
from chaincode.domain.register import KIND
from gateway.services.ports import LedgerWrite


def written(record: Mapping[str, Any]) -> LedgerWrite:
    """The write of a record under its key; one that lacks a part of its key gets the parts that it has."""
    kind = KIND[record["kind"]]
    found = [_member(record, field) for field in kind.key]
    texts = [str(each) for each in found if each is not None]
    parts = kind.read_key(texts) if len(texts) == len(found) else tuple(texts)
    return LedgerWrite(keys.key(kind.record, *parts), dict(record))


def _member(record: Mapping[str, Any], path: str) -> Any:
    return reduce(lambda value, name: (value or {}).get(name), path.split("."), record)

# SPDX-License-Identifier: Apache-2.0
"""The question for one record, whatever its kind."""

from dataclasses import dataclass, field

from chaincode.domain.values import Query, Text


@dataclass(frozen=True, slots=True)
class GetRecord(Query):
    """Ask for a record by its kind and its key, as the register has them."""

    record: Text
    """The kind, such as ``dataset-version``."""
    key: tuple[Text, ...] = field(default=(), metadata={"max": 8})
    """The parts of its key as text, such as ``["wdbc", "1"]``; none of the policy in force."""

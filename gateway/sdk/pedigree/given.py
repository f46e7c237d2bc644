# SPDX-License-Identifier: Apache-2.0
"""What the person who checks evidence gives: a root or a record from a ledger that they trust, compared with the file.

Everything in a file that was not compared with what was given is what the file says, and nothing more.
"""

import re
from collections.abc import Mapping
from typing import Any

from pedigree.errors import InvalidEvidence, InvalidInput
from pedigree.fields import escaped


def given_root(root: Any) -> str | None:
    """The root that was given, in lower case; raises `InvalidInput` where it is none."""
    if root is None:
        return None
    if not isinstance(root, str) or re.fullmatch("[0-9a-fA-F]{64}", root) is None:
        raise InvalidInput("a root has 64 hexadecimal digits", field="root")
    return root.lower()


def given_record(answer: Mapping[str, Any], kind: str, what: str, field: str = "version") -> Mapping[str, Any]:
    """The record in a ledger's answer, such as that for a version, or the record itself.

    Raises `InvalidInput`, which names `field`, for another kind.
    """
    record = answer.get("record", answer)
    if not isinstance(record, Mapping) or record.get("kind") != kind:
        raise InvalidInput(f"what you gave as the ledger's {field} is not about a {what}", field=field)
    return record


def compare(said: Mapping[str, Any], record: Mapping[str, Any], field: str = "version") -> None:
    """Refuse a file whose `field` says of anything something else than the record that was given."""
    for name in sorted({*said, *record}):
        # A field without a value may be left out.
        if said.get(name) != record.get(name):
            raise InvalidEvidence(f"its {field} says something else of {quoted(name)} than the one that you gave")


def same_transaction(said: Mapping[str, Any], answer: Mapping[str, Any] | None, field: str = "transaction") -> bool:
    """Whether the ledger's answer names the transaction, which then is the file's; a record alone does not."""
    answered = (answer or {}).get("transaction")
    if not isinstance(answered, Mapping) or not said.keys() <= answered.keys():
        return False
    for name, value in said.items():
        if answered[name] != value:
            raise InvalidEvidence(f"its {field} has another {name} than the one that you gave")
    return True


def quoted(text: str) -> str:
    """A text out of a file, in quotation marks and escaped."""
    inside = escaped(text).replace("'", "\\'")
    return f"'{inside}'"

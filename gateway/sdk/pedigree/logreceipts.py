# SPDX-License-Identifier: Apache-2.0
"""Files with the receipt of a log, `*.tlog-proof`, checked offline by a policy that says whose signatures to believe.

Ed25519 and ML-DSA-44 come from `cryptography`, which the SDK does without for everything else.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pedigree.errors import InvalidEvidence, InvalidInput

if TYPE_CHECKING:
    from pedigree.tlog.receipts import Claim as ReceiptClaim
    from pedigree.tlog.receipts import Verdict as ReceiptVerdict

_MAGIC: Final = b"c2sp.org/tlog-proof@v1"
_LARGEST: Final = 16 << 20
_LARGEST_POLICY: Final = 1 << 20


def is_log_receipt(file: Path | str) -> bool:
    """Whether a file is meant to be the receipt of a log, by its first line; raises `OSError`."""
    with Path(file).open("rb") as content:
        return content.read(len(_MAGIC)) == _MAGIC


def verify_log_receipt(
    file: Path | str, *, policy: Path | str | None = None, transaction: str | None = None
) -> "ReceiptVerdict | ReceiptClaim":
    """The verdict on the receipt of a log: whether it is `verified`, and as `text()` or `as_json()` what was proven.

    Args:
        file: a proof of a log in the form of c2sp.org/tlog-proof, by convention `*.tlog-proof`.
        policy: a file in the form of c2sp.org/tlog-policy, from whom the caller trusts: the logs and the witnesses, and
            how many of them must agree. Without it nothing is proven.
        transaction: the id that the receipt must be about, in hex.

    Raises `InvalidEvidence` where it is refuted or malformed, `InvalidInput` for an id that is none, `ValueError` for a
    policy that cannot be read, and where `cryptography` is not installed, and `OSError`.
    """
    if transaction is not None and re.fullmatch("[0-9a-f]{64}", transaction) is None:
        raise InvalidInput("a transaction id has 64 lower-case hexadecimal digits", field="transaction")
    try:
        from pedigree.tlog import policy as policies
        from pedigree.tlog import receipts
        from pedigree.tlog.errors import MalformedPolicy, TlogError
    except ImportError:  # also of an older one, which has no ML-DSA
        raise ValueError(
            "receipts are checked with cryptography 50 or newer, which is not installed: pip install 'cryptography>=50'"
        ) from None
    try:
        trusted = None if policy is None else policies.parse(_beginning(policy, _LARGEST_POLICY))
    except MalformedPolicy as exc:
        raise ValueError(f"{policy}: {exc}") from None
    try:
        content = _beginning(file, _LARGEST)
        verdict = receipts.read(content) if trusted is None else receipts.verify(content, None, trusted)
    except TlogError as exc:
        raise InvalidEvidence(f"{file} proves nothing: {exc}") from None
    if transaction is not None and (verdict.entry is None or verdict.entry.transaction.hex() != transaction):
        raise InvalidEvidence(f"{file} proves nothing: it is about another transaction than {transaction}")
    return verdict


def _beginning(file: Path | str, most: int) -> bytes:
    """What a file holds, and one byte more than is read at most where it is longer, so that it is refused."""
    with Path(file).open("rb") as content:
        return content.read(most + 1)

# SPDX-License-Identifier: Apache-2.0
"""What an attacker makes of a genuine statement."""

import base64

from pedigree.documents import Envelope


def forged(envelope: Envelope, swaps: dict[str, str]) -> Envelope:
    """A genuine DSSE envelope with other words in its statement, under the signature that it had."""
    statement = base64.b64decode(envelope["payload"]).decode()
    for genuine, false in swaps.items():
        statement = statement.replace(genuine, false)
    return {**envelope, "payload": base64.b64encode(statement.encode()).decode()}

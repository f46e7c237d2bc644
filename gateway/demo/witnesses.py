# SPDX-License-Identifier: Apache-2.0
"""The policy that the organisations of the demonstration agree on: whose logs there are, and who witnesses them."""

from collections.abc import Mapping

from pedigree import Pedigree
from pedigree.tlog import composing


def log_policy(members: Mapping[str, tuple[str, Pedigree]], threshold: int) -> str:
    """That so many of these organisations must have cosigned a log of theirs (c2sp.org/tlog-policy).

    Args:
        members: by name, the address of the organisation's gateway and a client of it.
    """
    found = []
    for name, (url, client) in members.items():
        said = client.log()
        found.append(composing.member(name, [said["key"], *said["cosigner_keys"]], f"{url}/v1/log"))
    return composing.compose(found, threshold).format().decode()

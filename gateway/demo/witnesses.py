# SPDX-License-Identifier: Apache-2.0
"""The policy that the organisations of the demonstration agree on: whose logs there are, and who witnesses them."""

from collections.abc import Mapping

from pedigree import Pedigree


def log_policy(members: Mapping[str, tuple[str, Pedigree]], threshold: int) -> str:
    """That so many of these organisations must have cosigned a log of theirs (c2sp.org/tlog-policy).

    Args:
        members: by name, the address of the organisation's gateway and a client of it.
    """
    lines: list[str] = []
    for name, (url, client) in members.items():
        said = client.log()
        lines.append(f"log {said['key']} {url}/v1/log")
        own = [f"{name}-{number}" for number in range(1, len(said["cosigner_keys"]) + 1)]
        lines += [f"witness {each} {key} {url}/v1/log" for each, key in zip(own, said["cosigner_keys"], strict=True)]
        lines.append(f"group {name} any {' '.join(own)}")
    lines += [f"group members {threshold} {' '.join(members)}", "quorum members", ""]
    return "\n".join(lines)

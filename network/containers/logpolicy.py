# SPDX-License-Identifier: Apache-2.0
"""The policy of the gateways' transparency logs (c2sp.org/tlog-policy), where all members' gateways run here.

Each gateway writes its public keys into its data when it first starts, one a line. The policy names them all: any of a
member's keys is that member's word, and more than half of the members must have cosigned a log of theirs. Gateways
read it while they run. A policy that somebody else wrote is left as it is.
"""

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from network.containers.plan import GATEWAY_PORT, Gateway, Plan
from network.durable import write_file

__all__ = ["agree", "keys_file", "policy_file"]

_MARK: Final = "# Written by pedigree-network: remove this line where you change it, and it is left as it is.\n"
_LARGEST: Final = 64 << 10
_KEY: Final = re.compile(r"[!-*,-~]{1,255}\+[0-9a-f]{8}\+([A-Za-z0-9+/]{4,2500}={0,2})")
_LOG: Final = 0x01
_WITNESS: Final = (0x04, 0x06)


def keys_file(plan: Plan, gateway: Gateway) -> Path:
    """Where a gateway's public keys are."""
    return plan.gateway_data(gateway.organisation) / "log-keys" / "public.vkeys"


def policy_file(plan: Plan, gateway: Gateway) -> Path:
    """Where a gateway looks for the policy."""
    return plan.gateway_data(gateway.organisation) / "log-policy"


def agree(plan: Plan) -> str | None:
    """Give every gateway the policy of all; answers what hinders that, in one line.

    Of a consortium whose members are on hosts of their own nothing is written: they agree by themselves. Raises
    `OSError`.
    """
    if {each.organisation.name for each in plan.gateways} != {each.name for each in plan.topology.organisations}:
        return None
    lines: list[str] = []
    for gateway in plan.gateways:
        own = _lines(gateway, keys_file(plan, gateway))
        if own is None:
            return f"no policy of logs: {gateway.name} has written no keys that can be read"
        lines += own
    names = [each.organisation.name for each in plan.gateways]
    lines += [f"group members {len(names) // 2 + 1} {' '.join(names)}", "quorum members"]
    content = (_MARK + "\n".join([*lines, ""])).encode()
    for gateway in plan.gateways:
        file = policy_file(plan, gateway)
        if _is_ours(file) and (not file.exists() or file.read_bytes() != content):
            write_file(file, content, mode=0o644)  # it is public, and the gateway is another user in its container
    return None


def _lines(gateway: Gateway, file: Path) -> Sequence[str] | None:
    """What a policy says of a member; None where its gateway has not written what that is made of."""
    name, url = gateway.organisation.name, f"http://{gateway.name}:{GATEWAY_PORT}/v1/log"
    try:
        with file.open("rb") as opened:
            keys = opened.read(_LARGEST).decode("ascii").split()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    found = {key: _algorithm(key) for key in keys}
    logs = [key for key, algorithm in found.items() if algorithm == _LOG]
    witnesses = [key for key, algorithm in found.items() if algorithm in _WITNESS]
    if len(logs) != 1 or not witnesses or len(logs) + len(witnesses) != len(keys):
        return None
    own = [f"{name}-{number}" for number, _ in enumerate(witnesses, 1)]
    return [
        f"log {logs[0]} {url}",
        *(f"witness {each} {key} {url}" for each, key in zip(own, witnesses, strict=True)),
        f"group {name} any {' '.join(own)}",
    ]


def _algorithm(key: str) -> int | None:
    """The byte that says how a key signs; None for anything else."""
    found = _KEY.fullmatch(key)
    return None if found is None else base64.b64decode(found[1][:4])[0]


def _is_ours(file: Path) -> bool:
    """Whether the file is not there, or is one that was written here."""
    try:
        with file.open("rb") as opened:
            return opened.read(len(_MARK)) == _MARK.encode()
    except FileNotFoundError:
        return True

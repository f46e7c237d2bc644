# SPDX-License-Identifier: Apache-2.0
"""Every kind of node killed, frozen, cut off and restarted while applications record; nothing is lost or done twice."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from containerharness.consortium import Consortium, Node

pytestmark = pytest.mark.fabric

_CHOSEN: dict[str, Callable[[Consortium], str]] = {
    "an orderer": Consortium.follower,
    "the Raft leader": Consortium.leader,
    "a peer": lambda _: "peer0.lab.example",
    "a chaincode": lambda _: "chaincode.lab.example",
    "a gateway": lambda _: "gateway.lab.example",
}
_HELD_S = {"the Raft leader": 8.0}
"""A new leader is elected when the old one was silent for five seconds; others are held for four."""
_ELSE_HELD_S = 4.0


def _killed(node: Node, held: float) -> None:
    before = node.starts
    node.crash()
    give_up = time.monotonic() + 30
    while node.starts == before or node.inspect("{{.State.Running}}") != "true":
        assert time.monotonic() < give_up, f"the engine did not start {node.name} again"
        time.sleep(0.05)


def _paused(node: Node, held: float) -> None:
    with node.paused():
        time.sleep(held)


def _cut_off(node: Node, held: float) -> None:
    with node.cut_off():
        time.sleep(held)


def _restarted(node: Node, held: float) -> None:
    node.restart()


_HARM = {"killed (SIGKILL)": _killed, "frozen (SIGSTOP)": _paused, "cut off": _cut_off, "restarted": _restarted}


@pytest.mark.parametrize("harm", _HARM)
@pytest.mark.parametrize("role", _CHOSEN)
def test_what_was_acknowledged_is_committed_once_whatever_fails(
    role: str, harm: str, consortium: Consortium, observe: Callable[..., None]
) -> None:
    node = consortium.node(_CHOSEN[role](consortium))
    observe(f"{role} {harm}", lambda: _HARM[harm](node, _HELD_S.get(role, _ELSE_HELD_S)))

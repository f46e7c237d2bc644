# SPDX-License-Identifier: Apache-2.0
"""What is done on running nodes, over their own protocols: joining, deploying, enrolling, testing."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack

from network import overview
from network.containers import files, joining, view
from network.containers.errors import ContainersError
from network.containers.plan import LOOPBACK, Plan
from network.lifecycle import Deployment, deploy
from network.packaging import Definition
from network.wire import Administrator

__all__ = ["RealFabric"]

_GATEWAY_SECONDS = 60.0
_POLL_S = 0.1
_METADATA = b"org.hyperledger.fabric:GetMetadata"
"""A function that reads nothing and writes nothing, so that testing leaves a transaction and no other trace."""


class RealFabric:
    """Implements `network.Fabric` on the nodes that a plan names."""

    def __init__(self, version: str, say: Callable[[str], None]) -> None:
        """`version` is what the chaincode is deployed as; `say` is told the steps of a deployment."""
        self._version = version
        self._say = say

    def join(self, plan: Plan, trouble: Callable[[str], str | None]) -> None:
        """As `Fabric`."""
        joining.join_all(plan, trouble)
        joining.wait_until_served(plan, trouble)

    def deploy(self, plan: Plan) -> bool:
        """As `Fabric`; each organisation's administrator installs on its own peers and approves for itself."""
        packages = files.chaincode_packages(plan, self._version)
        definition = Definition.make(plan.topology.chaincode, self._version)
        deployment = Deployment(plan.topology.channels[0].name, definition, packages)
        described = view.describe(plan)
        with overview.administrators(described) as administrators, overview.ordering(described) as ordering:
            done = deploy(deployment, administrators, ordering, progress=self._say)
        return done.changed

    def enrol(self, plan: Plan, trouble: Callable[[str], str | None]) -> None:
        """As `Fabric`."""

    def wait_for_gateways(self, plan: Plan, trouble: Callable[[str], str | None]) -> None:
        """As `Fabric`."""
        for gateway in plan.gateways:
            give_up = time.monotonic() + _GATEWAY_SECONDS
            while not _is_ready(gateway.health_port):
                if (ended := trouble(gateway.name)) is not None:
                    raise ContainersError(ended)
                if time.monotonic() > give_up:
                    raise ContainersError(f"{gateway.name} does not follow the ledger after {_GATEWAY_SECONDS:.0f} s")
                time.sleep(_POLL_S)

    def test(self, plan: Plan) -> str:
        """As `Fabric`; raises `WireError` where a peer, a chaincode or the ordering service fails."""
        channel = plan.topology.channels[0].name
        described = view.describe(plan)
        with ExitStack() as closing:
            administrators = closing.enter_context(overview.administrators(described))
            ordering = closing.enter_context(overview.ordering(described))
            first: Administrator = administrators[0]
            endorsed = first.endorse(channel, plan.topology.chaincode, (_METADATA,), administrators)
            ordering.broadcast(first.envelope(endorsed))
            for administrator in administrators:
                administrator.wait_for_commit(channel, endorsed.transaction_id)
        return endorsed.transaction_id


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False

# SPDX-License-Identifier: Apache-2.0
"""What is done on running nodes, over their own protocols: joining, deploying, enrolling, testing."""

import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from cryptography import x509

from network import overview
from network.containers import files, joining, view
from network.containers.compose import enrolment_name
from network.containers.engine import Engine, Project
from network.containers.errors import ContainersError
from network.containers.plan import LOOPBACK, Authority, Gateway, Plan
from network.lifecycle import Deployment, deploy, install
from network.packaging import Definition
from network.wire import Administrator

__all__ = ["METADATA", "RealFabric"]

_GATEWAY_SECONDS = 60.0
_POLL_S = 0.1
METADATA = b"org.hyperledger.fabric:GetMetadata"
"""A function that reads nothing and writes nothing, so that testing leaves a transaction and no other trace."""


class RealFabric:
    """Implements `network.Fabric` on the nodes that a plan names."""

    def __init__(self, engine: Engine, version: str, say: Callable[[str], None]) -> None:
        """`version` is what the chaincode is deployed as; `say` is given the steps of a deployment."""
        self._engine = engine
        self._version = version
        self._say = say

    def join(self, plan: Plan, trouble: Callable[[str], str | None]) -> None:
        """As `Fabric`."""
        joining.join_all(plan, trouble)
        joining.wait_for_leaders(plan, trouble)

    def deploy(self, plan: Plan) -> bool:
        """As `Fabric`; each organisation's administrator installs on its own peers and approves for itself."""
        packages = files.chaincode_packages(plan, self._version)
        definition = Definition.make(plan.topology.chaincode, self._version)
        deployment = Deployment(plan.topology.channels[0].name, definition, packages)
        described = view.describe(plan)
        with overview.administrators(described) as administrators, overview.ordering(described) as ordering:
            done = deploy(deployment, administrators, ordering, progress=self._say)
        for peer in plan.peers:
            if peer.number > 0:  # the first peers have it from the deployment
                with Administrator(joining.member_of(plan, peer)) as administrator:
                    install(administrator, packages[peer.organisation.msp_id])
        return done.changed

    def enrol(self, plan: Plan, trouble: Callable[[str], str | None]) -> None:
        """As `Fabric`; leaves alone who has an identity that is still fresh."""
        due = [gateway for gateway in plan.gateways if is_due(plan.identity(gateway.organisation), datetime.now(UTC))]
        with ThreadPoolExecutor(max_workers=4) as pool:
            jobs = [pool.submit(self._enrol, plan, gateway, trouble) for gateway in due]
        for job in jobs:
            job.result()

    def _enrol(self, plan: Plan, gateway: Gateway, trouble: Callable[[str], str | None]) -> None:
        member = gateway.organisation
        authority = next(each for each in plan.authorities if each.domain == member.domain)
        joining.insist(authority.name, lambda: _answers(plan, authority), trouble)
        self._engine.run(Project(plan.project, plan.compose_file), enrolment_name(member))

    def wait_for_gateways(self, plan: Plan, trouble: Callable[[str], str | None]) -> None:
        """As `Fabric`."""
        joining.wait_for_membership(plan, trouble)
        for gateway in plan.gateways:
            give_up = time.monotonic() + _GATEWAY_SECONDS
            while not _is_ready(gateway.health_port):
                if (ended := trouble(gateway.name)) is not None:
                    raise ContainersError(ended)
                if time.monotonic() > give_up:
                    raise ContainersError(f"{gateway.name} does not follow the ledger after {_GATEWAY_SECONDS:.0f} s")
                time.sleep(_POLL_S)

    def test(self, plan: Plan, trouble: Callable[[str], str | None]) -> str:
        """As `Fabric`; chaincodes that are still starting are waited for."""
        committed: list[str] = []

        def commit() -> bool:
            committed.append(self._commit_one(plan))
            return True

        def any_trouble(_: str) -> str | None:
            return next(
                filter(None, (trouble(plan.chaincode_name(each)) for each in plan.topology.organisations)), None
            )

        joining.insist(plan.topology.chaincode, commit, any_trouble)
        return committed[-1]

    def _commit_one(self, plan: Plan) -> str:
        channel = plan.topology.channels[0].name
        described = view.describe(plan)
        with ExitStack() as closing:
            administrators = closing.enter_context(overview.administrators(described))
            ordering = closing.enter_context(overview.ordering(described))
            first: Administrator = administrators[0]
            endorsed = first.endorse(channel, plan.topology.chaincode, (METADATA,), administrators)
            ordering.broadcast(first.envelope(endorsed))
            for administrator in administrators:
                administrator.wait_for_commit(channel, endorsed.transaction_id)
        return endorsed.transaction_id


def is_due(msp: Path, at: datetime) -> bool:
    """Whether an identity must be enrolled or renewed: it is missing, unreadable or past two thirds of its time."""
    try:
        (file,) = (msp / "signcerts").iterdir()
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError):
        return True
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return at >= begin + (end - begin) * 2 / 3


def _answers(plan: Plan, authority: Authority) -> bool:
    """Whether a CA serves, over TLS that proves it is that CA."""
    root = plan.material.service(authority.folder, authority.name) / "ca.crt"
    context = ssl.create_default_context(cafile=str(root))
    url = f"https://{LOOPBACK}:{authority.port}/cainfo"
    with urllib.request.urlopen(url, timeout=5, context=context) as answer:
        return bool(answer.status == HTTPStatus.OK)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False

# SPDX-License-Identifier: Apache-2.0
"""What programs tell over HTTP: versions, metrics, readiness, and what time it is where they run."""

import email.utils
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from network.metrics import channel_metric
from network.operations.facts import Clock, Consenter, Gateway

__all__ = ["OperationsReport", "ask", "consenter", "gateway"]

_SECONDS = 3.0
_LARGEST = 16 << 20
_HALF_RESOLUTION_S = 0.5
"""A Date header has whole seconds: on average it is half a second old."""


@dataclass(frozen=True, slots=True)
class OperationsReport:
    """What a node's operations endpoint reports."""

    version: str | None
    clock: Clock | None
    metrics: str


def ask(name: str, address: str) -> OperationsReport | None:
    """A node's version, clock and metrics at `HOST:PORT`; None when it does not answer within three seconds."""
    try:
        before = time.time()
        headers, body = _get(f"http://{address}/version")
        clock = _clock(name, headers, before, time.time())
        _, metrics = _get(f"http://{address}/metrics")
    except (OSError, ValueError):
        return None
    return OperationsReport(_version(body), clock, metrics.decode(errors="replace"))


def consenter(name: str, channel: str, report: OperationsReport | None, consensus: str) -> Consenter:
    """An orderer as its metrics describe it."""
    if report is None:
        return Consenter(name, answers=False)
    family = "consensus_BFT" if consensus == "bft" else "consensus_etcdraft"
    leads = (channel_metric(report.metrics, f"{family}_is_leader", channel) or 0) > 0
    height = int(channel_metric(report.metrics, "ledger_blockchain_height", channel) or 0)
    active = channel_metric(report.metrics, f"{family}_active_nodes", channel)
    return Consenter(name, True, leads, height, None if active is None else int(active))


def gateway(name: str, url: str) -> tuple[Gateway, Clock | None]:
    """Whether a gateway is ready, asked at its health address, and its clock."""
    before = time.time()
    try:
        headers, body = _get(f"{url}/readyz")
    except urllib.error.HTTPError as error:
        with error:
            problem = _trouble(error.read(_LARGEST)) or f"it answers {error.code}"
            return Gateway(name, url, problem), _clock(name, dict(error.headers), before, time.time())
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Gateway(name, url, f"it does not answer ({getattr(reason, 'strerror', None) or reason})"), None
    return Gateway(name, url, None, _disabled(body)), _clock(name, headers, before, time.time())


def _get(url: str) -> tuple[Mapping[str, str], bytes]:
    with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 -- an address of our own network
        return dict(answer.headers), answer.read(_LARGEST)


def _clock(name: str, headers: Mapping[str, str], before: float, after: float) -> Clock | None:
    dated = next((value for key, value in headers.items() if key.lower() == "date"), None)
    if dated is None:
        return None
    try:
        there = email.utils.parsedate_to_datetime(dated).timestamp() + _HALF_RESOLUTION_S
    except ValueError:
        return None
    return Clock(name, there - (before + after) / 2, _HALF_RESOLUTION_S + (after - before) / 2)


def _version(body: bytes) -> str | None:
    try:
        return str(json.loads(body)["Version"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _trouble(body: bytes) -> str | None:
    """What a gateway says that keeps it from being ready."""
    try:
        report = json.loads(body)
        words = [str(report[key]) for key in ("trouble", "status", "detail") if report.get(key)]
    except (ValueError, AttributeError, TypeError, RecursionError):
        return None
    return ", ".join(words) or None


def _disabled(body: bytes) -> Mapping[str, str]:
    try:
        return {str(each["organisation"]): str(each["reason"]) for each in json.loads(body)["disabled_members"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}

# SPDX-License-Identifier: Apache-2.0
"""Reads what Fabric's nodes say of a channel at their operations endpoints, in Prometheus's text format."""

import re
import urllib.request

__all__ = ["channel_metric", "node_metric"]

_SECONDS = 5.0


def channel_metric(text: str, name: str, channel: str) -> float | None:
    """A channel's metric in the text of `/metrics`; None where the node has not reported it."""
    found = re.search(rf'^{name}{{[^}}]*channel="{re.escape(channel)}"[^}}]*}} (\S+)$', text, re.MULTILINE)
    return None if found is None else float(found[1])


def node_metric(address: str, name: str, channel: str) -> float:
    """A channel's metric from the operations endpoint at `HOST:PORT`; 0 while it is not reported; raises OSError."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=_SECONDS) as answer:
        return channel_metric(answer.read().decode(), name, channel) or 0.0

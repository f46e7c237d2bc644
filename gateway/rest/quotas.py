# SPDX-License-Identifier: Apache-2.0
"""Counts requests against quotas, and tells how these stand (draft-ietf-httpapi-ratelimit-headers-10)."""

import ipaddress
import math
from collections.abc import Sequence

from flask import Response, g

from gateway.services.quotas import Quota, QuotaExceeded, Standing
from gateway.services.rates import Rate


def charge(quota: Quota, who: str, rate: Rate | None = None) -> None:
    """Count the request that is being answered; raises `QuotaExceeded` where it is one too many."""
    standing = quota.take(who, rate)
    if standing is None:
        return
    g.standings = (*g.get("standings", ()), standing)
    if standing.wait:
        raise QuotaExceeded(
            f"This {standing.policy} may make {standing.rate.requests} requests in {standing.rate.seconds} seconds; "
            "come back when Retry-After says.",
            code="quota-exceeded",
            retry_after=max(1, math.ceil(standing.wait)),
            violated_policies=[standing.policy],
        )


def told(response: Response) -> Response:
    """The answer with the fields `RateLimit-Policy` and `RateLimit`, where quotas were counted."""
    standings: Sequence[Standing] = g.get("standings", ())
    if standings:
        policies = (f'"{each.policy}";q={each.rate.requests};w={each.rate.seconds}' for each in standings)
        response.headers["RateLimit-Policy"] = ", ".join(policies)
        response.headers["RateLimit"] = ", ".join(
            f'"{each.policy}";r={each.remaining};t={each.full_in}' for each in standings
        )
    return response


def network_of(address: str | None) -> str:
    """What an address counts as: itself, and of IPv6 the network of 64 bits, of which one client may have all."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), 64), strict=False))

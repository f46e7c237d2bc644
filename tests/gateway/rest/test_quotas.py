# SPDX-License-Identifier: Apache-2.0
"""Quotas over HTTP: what is counted, what is told, and that a flood of one client leaves the others alone."""

from pathlib import Path
from typing import Any

import pytest

from gateway.rest.quotas import network_of
from gateway.services.quotas import Quotas
from gateway.services.rates import Rate
from gateway.stores.database import Database
from gateway.stores.keys import KeyStore


def of(client: str | None = None, address: str | None = None) -> pytest.MarkDecorator:
    """The gateway's quotas."""
    rates = (None if each is None else Rate.parse(each) for each in (client, address))
    return pytest.mark.parametrize("quotas", [Quotas.of(*rates)], ids=["limited"])


def test_without_quotas_nothing_is_told_of_them(api: Any) -> None:
    assert "RateLimit" not in api.get("/v1/models").headers


@of(client="2/60")
def test_each_client_has_its_quota(api: Any) -> None:
    first, second, third = (api.get("/v1/models") for _ in range(3))
    assert first.headers["RateLimit-Policy"] == '"client";q=2;w=60'
    assert first.headers["RateLimit"] == '"client";r=1;t=30'
    assert second.headers["RateLimit"] == '"client";r=0;t=60'
    assert (third.status_code, third.json["code"], third.json["retryable"]) == (429, "quota-exceeded", True)
    assert third.json["type"] == "urn:pedigree:problem:quota-exceeded"
    assert third.json["facts"] == {"violated_policies": ["client"]}
    assert third.content_type == "application/problem+json"
    assert 28 <= int(third.headers["Retry-After"]) <= 30
    assert api.get("/v1/models", role="recorder").status_code == 200


@of(client="100/60", address="3/60")
def test_an_address_has_its_quota_whoever_calls_from_there(api: Any) -> None:
    found = [api.get("/v1/models", role=role).status_code for role in ("reader", "recorder", "operator", "reader")]
    assert found == [200, 200, 200, 429]
    refused = api.get("/v1/models")
    assert refused.headers["RateLimit-Policy"] == '"address";q=3;w=60'
    assert refused.json["facts"] == {"violated_policies": ["address"]}
    elsewhere = api.client.get("/v1/models", headers=api.headers("reader"), environ_base={"REMOTE_ADDR": "10.1.1.1"})
    assert elsewhere.status_code == 200
    assert elsewhere.headers["RateLimit-Policy"] == '"address";q=3;w=60, "client";q=100;w=60'


@of(address="3/60")
def test_who_guesses_keys_is_counted_by_its_address(api: Any) -> None:
    found = [api.client.get("/v1/models", headers={"Authorization": "Bearer a.b"}).status_code for _ in range(5)]
    assert found == [401, 401, 401, 429, 429]


@of(client="1/60")
def test_a_flood_reaches_neither_the_ledger_nor_what_it_sends(api: Any) -> None:
    api.get("/v1/models", role="operator")
    before = api.ledger.prepared
    answer = api.post("/v1/models", {"model": "net", "title": "A network"}, role="operator")
    assert (answer.status_code, answer.json["code"]) == (429, "quota-exceeded")
    assert api.ledger.prepared == before


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("not an address", ""),
        (None, ""),
    ],
)
def test_an_ipv6_network_counts_as_one_address(address: str | None, counted: str) -> None:
    assert network_of(address) == counted


@of("100/60")
def test_a_client_may_have_a_quota_of_its_own(api: Any, tmp_path: Path) -> None:
    database = Database.open(tmp_path / "keys.db", "keys", durable=False)
    own = KeyStore(database).add("busy", "reader", rate=Rate(1, 60))
    database.close()
    headers = {"Authorization": f"Bearer {own}"}
    first, second = (api.client.get("/v1/models", headers=headers) for _ in range(2))
    assert (first.headers["RateLimit-Policy"], second.status_code) == ('"client";q=1;w=60', 429)
    assert api.get("/v1/models").headers["RateLimit-Policy"] == '"client";q=100;w=60'

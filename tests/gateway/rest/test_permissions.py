# SPDX-License-Identifier: Apache-2.0
"""The table of permissions, cell by cell: each route, asked by each kind of client, about records of each owner."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway.api.operations import EXAMPLES, OPERATIONS
from gateway.api.permissions import PERMISSION_OF_COMMAND, PERMISSIONS, SCOPE_OF_KIND, Credential
from gateway.api.rows import Operation
from gateway.api.scopes import ANY_CLIENT, ROLES, SCOPES, scopes_of
from gateway.stores.database import Database
from gateway.stores.keys import Allowed, InvalidKeyRequest, KeyStore

LAB, HOSPITAL = "LabMSP", "HospitalMSP"
Let = Callable[..., str]
REFUSALS = ("role-too-low", "scope-missing", "beyond-owners")
KNOWN = {
    "getModel": ("reader", "records:read", "record"),
    "listModels": ("reader", "records:read", "list"),
    "getLineage": ("reader", "records:read", ""),
    "search": ("reader", "records:read", ""),
    "whoAmI": ("reader", ANY_CLIENT, "open"),
    "getOperation": ("reader", "operations:read", "open"),
    "registerModel": ("recorder", "records:write", ""),
    "changeConsent": ("recorder", "consent:write", ""),
    "getConsentHistory": ("recorder", "subjects:read", ""),
    "proveRecord": ("recorder", "data:read", ""),
    "recordBatch": ("recorder", "transactions:submit", ""),
    "attemptAccess": ("recorder", "access:use", ""),
    "endorseArtifact": ("endorser", "endorsements:write", ""),
    "approveAccess": ("endorser", "access:decide", ""),
    "grantAccess": ("operator", "access:manage", ""),
    "voteForPolicy": ("operator", "consortium:manage", ""),
    "exportAuditLog": ("operator", "audit:read", ""),
}
"""What is so on purpose: who, by which scope, and what somebody gets who may see the records of some owners alone."""


@pytest.fixture
def let(api: Any, tmp_path: Path) -> Any:
    """Makes a client that is let do something, and answers the name under which `api` speaks as it."""
    database = Database.open(tmp_path / "keys.db", "keys", durable=False)
    store = KeyStore(database)
    api.keys = dict(api.keys)

    def made(role: str, scopes: frozenset[str] | None = None, owners: frozenset[str] | None = None) -> str:
        name = f"client-{len(api.keys)}"
        api.keys[name] = store.add(name, role, allowed=Allowed(scopes, owners))
        return name

    yield made
    database.close()


def ask(api: Any, operation: Operation, client: str | None, **more: Any) -> Any:
    """A request for an operation, with an empty body where it takes one."""
    path = operation.path.format_map(EXAMPLES)
    required = {each.name: EXAMPLES[each.name] for each in operation.taken if each.required}
    path += f"?{urlencode(required)}" if required else ""
    if operation.method == "GET":
        return api.get(path, role=client, **more)
    return api.post(path, b"" if operation.body is None else {}, role=client, **more)


def refusal(answer: Any) -> str:
    """The code with which permissions refused it, or nothing."""
    code = answer.json.get("code", "") if answer.status_code in (401, 403) and answer.is_json else ""
    return code if code in (*REFUSALS, "unauthenticated") else ""


def of_its_kind(operation: Operation) -> str:
    """What reading needs besides, where the path names any record."""
    reference = operation.about.format_map(EXAMPLES) if operation.about and operation.method == "GET" else ""
    return SCOPE_OF_KIND.get(reference.partition(":")[0], ANY_CLIENT)


def test_every_role_and_every_scope_opens_what_it_is_for_and_nothing_else(api: Any, let: Let) -> None:
    whole = scopes_of("operator")
    cells = 0
    only = {scope: let(SCOPES[scope].role, frozenset({scope, "records:read", "access:read"})) for scope in SCOPES}
    but = {scope: let("operator", whole - {scope}) for scope in SCOPES}
    for operation in OPERATIONS:
        scope, beside = operation.scope, of_its_kind(operation)
        first = ROLES[0] if scope == ANY_CLIENT else SCOPES[scope].role
        expected = {None: "unauthenticated"}
        expected |= {role: "role-too-low" if ROLES.index(role) < ROLES.index(first) else "" for role in ROLES}
        expected |= {name: "scope-missing" if missing in (scope, beside) else "" for missing, name in but.items()}
        expected |= {
            name: "" if {scope, beside} <= {held, "records:read", "access:read", ANY_CLIENT} else "scope-missing"
            for held, name in only.items()
        }
        for client, code in expected.items():
            answer = ask(api, operation, client)
            assert refusal(answer) == code, f"{operation.name}: {client}: {answer.status_code} {answer.text}"
            assert answer.status_code != 500, operation.name
            if code == "scope-missing":
                assert answer.json["facts"]["needed"] in (scope, beside)
            cells += 1
    assert cells == len(OPERATIONS) * (1 + len(ROLES) + 2 * len(SCOPES))


@pytest.mark.parametrize("owners", [{LAB}, {HOSPITAL}, {LAB, HOSPITAL}])
def test_a_client_of_some_owners_gets_what_stays_within_them_and_nothing_else(
    api: Any, let: Let, owners: set[str]
) -> None:
    client = let("operator", None, frozenset(owners))
    for operation in OPERATIONS:
        answer = ask(api, operation, client)
        expected = "beyond-owners" if operation.narrowed == "" else ""
        assert refusal(answer) == expected, f"{operation.name}: {answer.status_code} {answer.text}"
        if operation.narrowed == "record":
            assert answer.status_code == 404, operation.name  # there is none


def test_what_matters_most_is_said_twice() -> None:
    found = {name: (PERMISSIONS[name].role, PERMISSIONS[name].scope, PERMISSIONS[name].narrowed) for name in KNOWN}
    assert found == KNOWN


def test_no_scope_is_for_nothing_and_every_command_has_a_row() -> None:
    used = {row.scope for row in PERMISSIONS.values()} | {row.of_others for row in PERMISSIONS.values()}
    assert set(SCOPES) <= used
    assert {row.body.command for row in OPERATIONS if row.body is not None} == set(PERMISSION_OF_COMMAND)


def test_a_route_without_a_row_is_refused_to_everybody(api: Any) -> None:
    api.service.api.add_url_rule("/v1/back-door", "back_door", lambda: "in")
    for role in (None, *ROLES):
        answer = api.get("/v1/back-door", role=role)
        assert (answer.status_code, answer.json["code"]) == (403, "no-permission")


@pytest.mark.parametrize("row", [row for row in PERMISSIONS.values() if row.credential is Credential.CLIENT])
def test_whoever_may_ask_as_a_client_must_be_one(api: Any, row: Any) -> None:
    path = row.path.format_map({**EXAMPLES, "path": "0/000", "log": "x", "token": "t"})
    answer = api.client.open(path, method=row.method)
    assert answer.status_code == 401


# -- records of others ----------------------------------------------------------------------------------------------


@pytest.fixture
def models(api: Any) -> None:
    """Two models of the lab's and one of the hospital's."""
    write = api.ledger.writes

    def of_the_hospital(function: str, command: Any) -> Any:
        return [replace(each, value={**each.value, "owner": HOSPITAL}) for each in write(function, command)]

    for name in ("ours", "ours-too"):
        assert api.post("/v1/models", {"model": name, "title": "Ours"}).status_code == 201
    api.ledger.writes = of_the_hospital
    assert api.post("/v1/models", {"model": "theirs", "title": "Theirs"}).status_code == 201
    api.ledger.writes = write


def shown(answer: Any, name: str) -> str:
    """An answer without the name that was asked for."""
    return json.dumps([answer.status_code, answer.json, sorted(answer.headers.keys())]).replace(name, "NAME")


def test_a_hidden_record_is_answered_as_one_that_is_not_there(api: Any, let: Let, models: None) -> None:
    client = let("reader", None, frozenset({LAB}))
    assert api.get("/v1/models/ours", role=client).status_code == 200
    hidden, absent = (api.get(f"/v1/models/{name}", role=client) for name in ("theirs", "absent"))
    assert hidden.status_code == 404
    assert shown(hidden, "theirs") == shown(absent, "absent")
    assert api.get("/v1/models/theirs").status_code == 200


def test_lists_and_counts_are_of_the_owners_that_may_be_seen(api: Any, let: Let, models: None) -> None:
    client, other = (let("reader", None, frozenset({owner})) for owner in (LAB, "NobodyMSP"))
    page = api.get("/v1/models", role=client).json
    assert ([item["record"]["model"] for item in page["items"]], page["count"]) == (["ours", "ours-too"], 2)
    assert api.get("/v1/models?owner=HospitalMSP", role=client).json["count"] == 0
    assert api.get("/v1/models", role=other).json["count"] == 0
    assert api.get("/v1/models").json["count"] == 3
    for path in ("/v1/search?q=theirs", "/v1/lineage/model:theirs", "/v1/transactions"):
        answer = api.get(path, role=client)
        assert (answer.status_code, answer.json["code"]) == (403, "beyond-owners"), path


def test_a_search_finds_the_kinds_that_may_be_read(api: Any, let: Let, models: None) -> None:
    client = let("reader", frozenset({"records:read"}))
    assert api.get("/v1/search?q=ours", role=client).json["count"] == 2
    answer = api.get("/v1/search?q=ours&kind=access-grant", role=client)
    assert (answer.status_code, answer.json["facts"]["needed"]) == (403, "access:read")
    assert api.get("/v1/search?q=ours&kind=access-grant").json["count"] == 0
    nothing = let("reader", frozenset({"access:read"}))
    assert api.get("/v1/search?q=ours", role=nothing).json["code"] == "scope-missing"


def test_what_became_of_a_submission_is_for_who_sent_it_and_for_operators(api: Any, let: Let) -> None:
    sender, another = let("recorder"), let("recorder")
    sent = api.post("/v1/models", {"model": "m", "title": "M"}, role=sender, Prefer="respond-async")
    path = sent.headers["Location"] if sent.status_code == 202 else f"/v1/operations/{sent.json['operation']}"
    assert api.get(path, role=sender).status_code == 200
    assert api.get(path, role="operator").status_code == 200
    hidden, absent = api.get(path, role=another), api.get("/v1/operations/" + "0" * 32, role=another)
    assert (hidden.status_code, hidden.json["code"]) == (absent.status_code, absent.json["code"]) == (
        404, "no-such-operation"
    )  # fmt: skip


def test_what_others_recorded_is_not_shown_to_who_may_see_some_owners_records(api: Any, let: Let) -> None:
    sender, limited = let("recorder"), let("operator", None, frozenset({HOSPITAL}))
    assert api.post("/v1/models", {"model": "m", "title": "M"}, role=sender, key="key-of-m").status_code == 201
    found = api.get("/v1/operations?idempotency-key=key-of-m", role=sender).json["id"]
    assert api.get(f"/v1/operations/{found}", role="operator").json["result"]["record"]["owner"] == LAB
    hidden, absent = (api.get(f"/v1/operations/{each}", role=limited) for each in (found, "0" * 32))
    assert (hidden.status_code, hidden.json) == (absent.status_code, absent.json)
    assert hidden.json["code"] == "no-such-operation"


def test_a_command_needs_its_scope_in_a_batch_too(api: Any, let: Let) -> None:
    client = let("recorder", frozenset({"transactions:submit", "records:read"}))
    entry: Mapping[str, Any] = {"function": "model:register", "command": {"model": "m", "title": "M"}, "key": "k-1"}
    answer = api.post("/v1/batches", [entry], role=client)
    (outcome,) = answer.json["outcomes"]
    assert (outcome["status"], outcome["result"]["code"]) == (403, "scope-missing")
    assert api.get("/v1/models", role=client).json["count"] == 0


def test_a_command_needs_the_same_scope_alone_and_in_a_batch(api: Any, let: Let) -> None:
    client = let("endorser", frozenset({"endorsements:write", "transactions:submit"}))
    assert api.post("/v1/artifacts/model-version:m:1/release", {"reason": "found fit"}, role=client).status_code == 201
    command = {"artifact": "model-version:m:2", "reason": "found fit"}
    answer = api.post("/v1/batches", [{"function": "endorsement:release", "command": command}], role=client)
    assert [each["status"] for each in answer.json["outcomes"]] == [201]


# -- what may be given ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "allowed", "said"),
    [
        ("king", Allowed(), "the role must be one of"),
        ("reader", Allowed(frozenset({"records:reed"})), "records:reed is not a scope"),
        (
            "reader",
            Allowed(frozenset({"records:write"})),
            "reader does not have the scope records:write",
        ),
        ("reader", Allowed(frozenset()), "needs one scope"),
        ("reader", Allowed(None, frozenset()), "one owner at least"),
        ("reader", Allowed(None, frozenset({"no msp id"})), "not an MSP id"),
    ],
)
def test_what_cannot_be_given_is_refused_by_name(role: str, allowed: Allowed, said: str) -> None:
    with pytest.raises(InvalidKeyRequest, match=said):
        allowed.check(role)


def test_a_client_is_told_what_it_may(api: Any, let: Let) -> None:
    client = let("recorder", frozenset({"records:read", "records:write"}), frozenset({LAB}))
    told = api.get("/v1/whoami", role=client).json
    assert (told["scopes"], told["owners"]) == (["records:read", "records:write"], [LAB])
    assert set(api.get("/v1/whoami", role="reader").json["scopes"]) == scopes_of("reader")

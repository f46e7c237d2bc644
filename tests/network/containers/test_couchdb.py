# SPDX-License-Identifier: Apache-2.0
"""State in CouchDB: what its containers are given, who knows which password, and who waits for whom."""

import configparser
import hashlib
import shutil
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from network.containers import couchdb, files, nodes
from network.containers.errors import ContainersError
from network.containers.network import Progress, bring_up
from network.containers.plan import Plan, expanded, make_plan
from network.topology import default_topology

Tree = dict[str, Any]
SECRET = "c2VjcmV0LW9mLXR3ZW50eS1mb3VyIQ"


def chosen(plan: Plan) -> Plan:
    return replace(plan, topology=replace(plan.topology, state_database="couchdb"))


@pytest.fixture(scope="module")
def stored(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A plan with CouchDB, and its files, which no test changes."""
    directory = tmp_path_factory.mktemp("stored")
    shutil.copytree(keys, directory / "organizations")
    made = chosen(make_plan(expanded(default_topology(any_port=True)), directory))
    files.make_files(made, "1.0")
    return made


@pytest.fixture(scope="module")
def services(stored: Plan) -> Tree:
    tree: Tree = yaml.safe_load(stored.compose_file.read_text(encoding="utf-8"))["services"]
    return tree


@pytest.fixture(scope="module")
def databases(stored: Plan, services: Tree) -> dict[str, Tree]:
    return {name: each for name, each in services.items() if name in couchdb.names(stored)}


def parsed(text: str) -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None)
    found.read_string(text)
    return found


def test_the_configuration_holds_the_password_as_couchdb_itself_would_keep_it() -> None:
    """CouchDB's own format: `-pbkdf2:PRF-KEY,SALT,ITERATIONS`, all of it text, the key in hexadecimal."""
    text = couchdb.ini(SECRET)
    assert SECRET not in text
    kept = parsed(text)["admins"][couchdb.USER]
    assert kept.startswith("-pbkdf2:sha256-")
    key, salt, rounds = kept.removeprefix("-pbkdf2:sha256-").split(",")
    assert hashlib.pbkdf2_hmac("sha256", SECRET.encode(), salt.encode(), int(rounds)).hex() == key


def test_nothing_is_left_for_couchdb_to_fill_in() -> None:
    found = parsed(couchdb.ini(SECRET))
    assert len(found["couchdb"]["uuid"]) == 32
    assert len(found["chttpd_auth"]["secret"]) == 32
    assert found["couchdb"]["single_node"] == "true"
    assert found["cluster"]["n"] == "1"
    assert found["chttpd"]["bind_address"] == "0.0.0.0"
    assert found["chttpd"]["require_valid_user_except_for_up"] == "true"


def test_the_entry_point_of_the_image_finds_an_administrator() -> None:
    """It looks for the name in the very line after `[admins]`, and ends where there is none."""
    assert "[admins]\npeer = " in couchdb.ini(SECRET)


def test_derived_values_differ_from_one_another_and_between_secrets() -> None:
    values = [parsed(couchdb.ini(secret)) for secret in (SECRET, "another")]
    salts = [found["admins"]["peer"].split(",")[1] for found in values]
    found = [*salts, *(each["couchdb"]["uuid"] for each in values), *(each["chttpd_auth"]["secret"] for each in values)]
    assert len(set(found)) == len(found)


def test_each_peer_has_a_database_and_a_password_of_its_own(stored: Plan) -> None:
    passwords = set()
    for peer in stored.peers:
        tree = yaml.safe_load((stored.rendered / peer.name / "core.yaml").read_text(encoding="utf-8"))
        state = tree["ledger"]["state"]
        assert state["stateDatabase"] == "CouchDB"
        assert state["couchDBConfig"]["couchDBAddress"] == f"couchdb.{peer.name}:5984"
        password = state["couchDBConfig"]["password"]
        assert couchdb.secret_of(stored, peer).read_text(encoding="ascii").strip() == password
        assert couchdb.config_of(stored, peer).read_text(encoding="utf-8") == couchdb.ini(password)
        passwords.add(password)
    assert len(passwords) == len(stored.peers)


def test_a_peer_has_a_time_limit_and_asks_again(stored: Plan) -> None:
    """Fabric takes what core.yaml leaves out for zero: no limit, no second try."""
    found = nodes.core(stored, stored.peers[0], "password")["ledger"]["state"]["couchDBConfig"]
    assert found["maxRetries"] > 0
    assert found["maxRetriesOnStartup"] > 0
    assert found["requestTimeout"].endswith("s")
    assert found["cacheSize"] % 32 == 0


def test_no_password_is_in_the_description_of_the_containers(stored: Plan, databases: dict[str, Tree]) -> None:
    described = stored.compose_file.read_text(encoding="utf-8")
    for peer in stored.peers:
        assert couchdb.secret_of(stored, peer).read_text(encoding="ascii").strip() not in described
    assert all(service["environment"] == {} for service in databases.values())


def test_secret_and_configuration_are_for_their_owner_only(stored: Plan) -> None:
    for peer in stored.peers:
        for path in (couchdb.secret_of(stored, peer), couchdb.config_of(stored, peer)):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_database_sees_its_data_and_its_configuration_and_no_more(stored: Plan, databases: dict[str, Tree]) -> None:
    assert len(databases) == len(stored.peers)
    for peer in stored.peers:
        service = databases[couchdb.name_of(peer)]
        data, configuration = service["volumes"]
        assert (data["source"], data["target"]) == (str(stored.ledger(couchdb.name_of(peer))), "/opt/couchdb/data")
        assert configuration["source"] == str(couchdb.config_of(stored, peer))
        assert configuration["read_only"] is True
        assert Path(configuration["target"]).parent == Path(couchdb.LOCAL)
        assert Path(configuration["target"]).name < "docker.ini"  # into which the image's entry point writes


def test_the_folder_of_local_configuration_is_in_memory(databases: dict[str, Tree]) -> None:
    for service in databases.values():
        (hidden,) = [each for each in service["tmpfs"] if each.startswith("/opt/couchdb/etc/local.d:")]
        assert "size=1m" in hidden


def test_peers_start_when_their_database_answers(stored: Plan, services: Tree) -> None:
    for peer in stored.peers:
        name = couchdb.name_of(peer)
        assert services[peer.name]["depends_on"] == {name: {"condition": "service_healthy"}}
        kind, shell, _, script = services[name]["healthcheck"]["test"]
        assert (kind, shell) == ("CMD", "bash")
        assert "GET /_up" in script.replace("$$", "$")


def test_without_couchdb_nothing_of_it_is_rendered(plan: Plan) -> None:
    files.make_files(plan, "1.0")
    assert not list(plan.directory.rglob("*couchdb*"))
    described = yaml.safe_load(plan.compose_file.read_text(encoding="utf-8"))["services"]
    assert not [name for name, service in described.items() if "couchdb" in service["image"] or "depends_on" in service]
    assert "couchDBConfig" not in nodes.core(plan, plan.peers[0])["ledger"]["state"]


def test_up_restarts_a_peer_whose_database_had_gone(plan: Plan, world: Any, engine: Any, fabric: Any) -> None:
    stored = chosen(plan)
    bring_up(stored, engine, fabric, Progress(lambda _: None), version="1.0")
    assert not [step for step in world.steps if step.startswith("restart")]
    del world.running["couchdb.peer0.lab.example"]
    bring_up(stored, engine, fabric, Progress(lambda _: None), version="1.0")
    assert [step for step in world.steps if step.startswith("restart")] == ["restart peer0.lab.example"]
    assert "couchdb.peer0.lab.example" in world.running


def test_a_missing_image_of_couchdb_is_named(plan: Plan, world: Any, engine: Any, fabric: Any) -> None:
    world.images.remove(plan.images.couchdb)
    with pytest.raises(ContainersError, match=r"couchdb:3\.4\.2 is missing and cannot be pulled .*docker load"):
        bring_up(chosen(plan), engine, fabric, Progress(lambda _: None), version="1.0")

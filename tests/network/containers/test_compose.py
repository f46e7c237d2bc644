# SPDX-License-Identifier: Apache-2.0
"""compose.yaml and the files that it mounts: golden properties, for every container there can be."""

import ipaddress
import json
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from network.containers import files, gatewayview, nodes
from network.containers.compose import CONTENT_LABEL, DIRECTORY_LABEL, compose
from network.containers.plan import Plan, expanded, make_plan
from network.topology import Endpoint, Organisation, default_topology

Tree = dict[str, Any]


@pytest.fixture(scope="module", params=["raft", "bft"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Everything that a consortium can have: two peers each, either consensus, CouchDB."""
    topology = replace(
        expanded(default_topology(any_port=True), peers=2, consensus=request.param), state_database="couchdb"
    )
    plan = make_plan(topology, tmp_path_factory.mktemp("net"))
    files.make_files(plan, "1.0")
    return plan


@pytest.fixture(scope="module")
def rendered(made: Plan) -> Tree:
    tree: Tree = yaml.safe_load(made.compose_file.read_text(encoding="utf-8"))
    return tree


def services(rendered: Tree) -> Iterator[tuple[str, Tree]]:
    yield from rendered["services"].items()


def test_every_node_has_a_container(made: Plan, rendered: Tree) -> None:
    roles = [service["labels"]["pedigree.role"] for _, service in services(rendered)]
    counted = {role: roles.count(role) for role in sorted(set(roles))}
    orderers = 4 if made.topology.orderer.consensus == "bft" else 3
    assert counted == {
        "ca": 4, "chaincode": 3, "couchdb": 6, "enrolment": 3, "gateway": 3, "orderer": orderers, "peer": 6,
    }  # fmt: skip


def test_no_container_runs_as_root_or_may_become_it(rendered: Tree) -> None:
    for name, service in services(rendered):
        user, _, group = service["user"].partition(":")
        assert int(user) > 0, name
        assert int(group) > 0, name
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert "privileged" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_every_root_file_system_is_read_only_and_tmp_is_bounded(rendered: Tree) -> None:
    for name, service in services(rendered):
        assert service["read_only"] is True, name
        assert service["tmpfs"], name
        for hidden in service["tmpfs"]:
            assert "noexec" in hidden, name
            assert "size=" in hidden, name


def test_every_container_is_bounded(rendered: Tree) -> None:
    for name, service in services(rendered):
        assert service["mem_limit"] == service["memswap_limit"], name
        assert service["cpus"] > 0, name
        assert service["pids_limit"] > 0, name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name


def test_everything_that_lasts_restarts_by_itself_and_is_watched(rendered: Tree) -> None:
    for name, service in services(rendered):
        role = service["labels"]["pedigree.role"]
        assert service["restart"] == ("no" if role == "enrolment" else "unless-stopped"), name
        assert ("healthcheck" in service) == (role != "enrolment"), name


def test_nothing_is_published_beyond_this_machine(rendered: Tree) -> None:
    published = [(name, port) for name, service in services(rendered) for port in service.get("ports", ())]
    assert published
    for name, port in published:
        assert ipaddress.ip_address(port["host_ip"]).is_loopback, name


def test_chaincodes_databases_and_enrolments_are_published_nowhere(rendered: Tree) -> None:
    for name, service in services(rendered):
        if service["labels"]["pedigree.role"] in ("chaincode", "couchdb", "enrolment"):
            assert "ports" not in service, name


def test_only_a_nodes_own_folders_are_writable(made: Plan, rendered: Tree) -> None:
    for name, service in services(rendered):
        writable = [Path(each["source"]) for each in service["volumes"] if not each.get("read_only")]
        for folder in writable:
            parts = folder.relative_to(made.directory).parts
            assert parts[0] in ("ledgers", "gateways", "registrars"), name
        assert all(each["bind"] == {"create_host_path": False} for each in service["volumes"]), name
        assert all(Path(each["source"]).exists() for each in service["volumes"]), name


def test_a_private_key_is_mounted_into_its_owners_containers_alone(made: Plan, rendered: Tree) -> None:
    owners: dict[Path, set[str]] = {}
    for name, service in services(rendered):
        for volume in service["volumes"]:
            source = Path(volume["source"])
            found = [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]
            for path in found:
                if b"PRIVATE KEY" in path.read_bytes():
                    owners.setdefault(path, set()).add(name)
    assert owners
    assert all(len(names) == 1 for names in owners.values()), owners


def test_all_stand_in_one_network_under_their_own_names(made: Plan, rendered: Tree) -> None:
    for name, service in services(rendered):
        assert service["hostname"] == name
        assert service["networks"] == {"consortium": {"aliases": [name]}}
        assert service["labels"][DIRECTORY_LABEL] == str(made.directory)
    assert rendered["name"] == made.project


def test_chaincodes_register_with_the_package_that_carries_their_address(made: Plan, rendered: Tree) -> None:
    packages = files.chaincode_packages(made, "1.0")
    for member in made.topology.organisations:
        environment = rendered["services"][f"chaincode.{member.domain}"]["environment"]
        assert environment["CHAINCODE_ID"] == packages[member.msp_id].package_id
        assert environment["PEDIGREE_FOUNDERS"] == "HospitalMSP,LabMSP,RegulatorMSP"


def test_peers_and_orderers_demand_certificates_of_everybody(made: Plan) -> None:
    for peer in made.peers:
        tls = nodes.core(made, peer)["peer"]["tls"]
        assert (tls["enabled"], tls["clientAuthRequired"]) == (True, True)
    for node in made.orderers:
        tree = nodes.orderer(made, node)
        for tls in (tree["General"]["TLS"], tree["Admin"]["TLS"]):
            assert (tls["Enabled"], tls["ClientAuthRequired"]) == (True, True)
        assert tree["Admin"]["TLS"]["ClientRootCAs"] == [f"{nodes.NODE}/tls/ca.crt"]


def test_peers_and_chaincodes_prove_themselves_to_one_another(made: Plan, rendered: Tree) -> None:
    for member in made.topology.organisations:
        assert files.tls_of_chaincode(made, member).client_key.startswith("-----BEGIN")
        environment = rendered["services"][f"chaincode.{member.domain}"]["environment"]
        assert {"CHAINCODE_TLS_CERT_FILE", "CHAINCODE_TLS_KEY_FILE", "CHAINCODE_CLIENT_CA_CERT_FILE"} <= set(
            environment
        )


def test_a_ca_issues_under_the_organisations_root_over_tls(made: Plan) -> None:
    for authority in made.authorities:
        tree = nodes.authority(authority, "secret")
        assert tree["tls"]["enabled"] is True
        assert tree["ca"]["certfile"].endswith(f"/{authority.name}-cert.pem")
        assert (authority.folder / "ca" / "priv_sk").exists()


def test_no_path_of_a_local_process_is_left_in_a_nodes_configuration(made: Plan) -> None:
    trees = [nodes.core(made, peer) for peer in made.peers] + [nodes.orderer(made, node) for node in made.orderers]
    for tree in trees:
        text = json.dumps(tree)
        assert str(made.directory) not in text
        assert "organizations" not in text


def test_secrets_are_for_their_owner_only(made: Plan) -> None:
    secret = [made.compose_file]
    secret += [files.ca_secret(each.folder, each.name) for each in made.authorities]
    secret += [made.rendered / each.name / nodes.CA_CONFIG for each in made.authorities]
    secret += [made.registrar(member) / "admin.secret" for member in made.topology.organisations]
    for path in secret:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_the_gateways_see_the_network_from_inside(made: Plan) -> None:
    folder = made.rendered / "gateway.lab.example"
    described = json.loads((folder / "network.json").read_text(encoding="utf-8"))
    for entry in described["organisations"]:
        assert entry["peer"].startswith(f"peer0.{entry['domain']}:")
        assert len(entry["peers"]) == 2
        assert (folder / entry["msp"] / "config.yaml").exists()
        assert (folder / entry["tls_ca"]).exists()
    assert (folder / described["orderer"]["msp"] / "cacerts").is_dir()
    assert (folder / "tls" / "client.key").exists()


def test_making_the_files_again_changes_none(made: Plan) -> None:
    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in made.directory.rglob("*") if path.is_file()}

    before = content()
    files.make_files(made, "1.0")
    assert content() == before


def test_changed_keys_change_the_label_by_which_compose_replaces_a_container(made: Plan) -> None:
    ids = {member.msp_id: "label:hash" for member in made.topology.organisations}
    changed = made.material.peer("lab.example", 0)
    before = compose(made, ids, lambda _: "0" * 64)["services"]
    after = compose(made, ids, lambda path: ("1" if path == changed else "0") * 64)["services"]
    different = [
        name for name in before if before[name]["labels"][CONTENT_LABEL] != after[name]["labels"][CONTENT_LABEL]
    ]
    assert different == ["peer0.lab.example"]


def test_a_member_that_joins_replaces_nobody_elses_container(plan: Plan) -> None:
    files.make_files(plan, "1.0")
    before = yaml.safe_load(plan.compose_file.read_text(encoding="utf-8"))["services"]
    anywhere = Endpoint("127.0.0.1", 0)
    maker = Organisation("maker", "MakerMSP", "maker.example", anywhere, anywhere)
    topology = replace(plan.topology, organisations=(*plan.topology.organisations, maker))
    grown = make_plan(topology, plan.directory)
    files.make_files(grown, "1.0")
    after = yaml.safe_load(grown.compose_file.read_text(encoding="utf-8"))["services"]
    assert {"peer0.maker.example", "gateway.maker.example"} <= after.keys() - before.keys()
    for name, service in before.items():
        assert after[name] == service, name


def test_another_peer_of_its_own_is_taken_up_by_a_new_gateway(plan: Plan) -> None:
    files.make_files(plan, "1.0")
    gateway = next(each for each in plan.gateways if each.organisation.name == "lab")
    before = gatewayview.own_part(plan, gateway, lambda _: "0" * 64)
    lab = plan.topology.organisation("lab")
    more = replace(lab, further_peers=(Endpoint("127.0.0.1", 0),))
    others = tuple(more if each == lab else each for each in plan.topology.organisations)
    grown = make_plan(replace(plan.topology, organisations=others), plan.directory)
    assert gatewayview.own_part(grown, gateway, lambda _: "0" * 64) != before


def test_a_dollar_in_a_path_is_no_variable(tmp_path: Path) -> None:
    plan = make_plan(expanded(default_topology(any_port=True)), tmp_path / "a$HOME")
    tree = compose(plan, {member.msp_id: "id" for member in plan.topology.organisations}, lambda _: "0")
    (data, *_) = [each for each in tree["services"]["gateway.lab.example"]["volumes"] if each["target"] == "/data"]
    assert "a$$HOME" in data["source"]

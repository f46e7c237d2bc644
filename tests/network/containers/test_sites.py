# SPDX-License-Identifier: Apache-2.0
"""Sites: each organisation prepared in a directory of its own, what it learns by packages, and what it then plans."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from network.cli import main
from network.containers import files, nodes
from network.containers.errors import ContainersError
from network.containers.network import Progress, bring_up, service_names
from network.containers.plan import Plan
from network.containers.site import Choice, Site, parse_names
from network.containers.sitefabric import Waiting
from network.containers.siteup import Options, Outcome, bring_site_up, prepare
from network.embedded.channelconfig import ChannelConfig
from network.operations import joinpackage
from network.operations.errors import OperationsError
from network.topology import Topology, default_topology, load

HOSTS = {"orderer": "192.0.2.1", "hospital": "hospital.example.net", "lab": "192.0.2.3", "regulator": "192.0.2.4"}
DESCRIBED = default_topology()


def begin(directory: Path, name: str, **more: Any) -> Outcome:
    choice = Choice(name, HOSTS[name], names={"hospital.example.net": "192.0.2.2"})
    outcome, plan = prepare(DESCRIBED, directory / name, Options(choice, **more))
    assert plan is None
    return outcome


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four directories, one for each host, in each of which the packages of the others were imported."""
    directory = tmp_path_factory.mktemp("sites")
    packages = {name: begin(directory, name).package for name in HOSTS}
    for name in HOSTS:
        for other in HOSTS.keys() - {name}:
            joinpackage.store(joinpackage.read(packages[other]), directory / name)
    return directory


@pytest.fixture
def sites(exchanged: Path, tmp_path: Path) -> Path:
    """A copy of them for a test that changes something."""
    return Path(shutil.copytree(exchanged, tmp_path / "sites"))


def planned(directory: Path, topology: Topology | None = None) -> Plan:
    known = topology or load(directory / "topology.json")
    _, plan = prepare(known, directory, Options(Choice()))
    assert plan is not None
    return plan


def test_the_first_run_makes_own_keys_and_a_package_and_names_who_is_missing(tmp_path: Path) -> None:
    outcome = begin(tmp_path, "lab")
    assert outcome.missing == ("hospital", "regulator", "orderer")
    assert outcome.waiting == "join packages are missing of hospital, regulator, orderer"
    folders = [path.name for path in (tmp_path / "lab/organizations").glob("*/*")]
    assert folders == ["lab.example"]
    joining = joinpackage.read(outcome.package, fingerprint=outcome.fingerprint)
    assert str(joining.organisation.peer) == "192.0.2.3:8051"  # type: ignore[union-attr]
    assert b"PRIVATE KEY" not in outcome.package.read_bytes()
    before = outcome.package.read_bytes()
    assert begin(tmp_path, "lab").package.read_bytes() == before, "a second run changes nothing"


def test_packages_are_missed_one_by_one(tmp_path: Path) -> None:
    ordering = begin(tmp_path, "orderer")
    assert ordering.missing == ("hospital", "lab", "regulator")
    begin(tmp_path, "lab")
    joinpackage.store(joinpackage.read(ordering.package), tmp_path / "lab")
    assert begin(tmp_path, "lab").missing == ("hospital", "regulator")


def test_every_site_makes_the_very_same_first_block(exchanged: Path) -> None:
    blocks = {}
    for name in HOSTS:
        plan = planned(exchanged / name)
        blocks[name] = files.agreed_block(plan, plan.topology.channels[0])
    raw = {block.SerializeToString(deterministic=True) for block in blocks.values()}
    assert len(raw) == 1
    config = ChannelConfig.from_block(blocks["lab"])
    assert set(config.application_orgs) == {"HospitalMSP", "LabMSP", "RegulatorMSP"}
    assert config.orderer_addresses == ("192.0.2.1:7050", "192.0.2.1:8050", "192.0.2.1:9050")


def test_another_package_makes_another_first_block(sites: Path) -> None:
    before = planned(sites / "lab")
    ours = files.agreed_block(before, before.topology.channels[0])
    elsewhere = replace(before.topology.organisations[0], peer=replace(before.topology.organisations[0].peer, port=1))
    moved = replace(before.topology, organisations=(elsewhere, *before.topology.organisations[1:]))
    assert files.agreed_block(replace(before, topology=moved), moved.channels[0]).header != ours.header


def test_a_member_plans_its_own_containers_and_publishes_them_where_the_others_look(exchanged: Path) -> None:
    plan = planned(exchanged / "lab")
    assert service_names(plan) == [
        *["ca.lab.example", "peer0.lab.example", "chaincode.lab.example", "gateway.lab.example"]
    ]
    published = {name: endpoint.host for name, endpoint in plan.published()}
    assert published["peer0.lab.example"] == "192.0.2.3"
    assert {host for name, host in published.items() if name != "peer0.lab.example"} == {"127.0.0.1"}
    gossip = nodes.core(plan, plan.peers[0])["peer"]["gossip"]
    assert gossip["externalEndpoint"] == "192.0.2.3:8051"
    assert gossip["endpoint"] == "peer0.lab.example:8051"
    assert [str(each.peer) for each in plan.inside().organisations] == [
        *["hospital.example.net:7051", "peer0.lab.example:8051", "192.0.2.4:9051"]
    ]


def test_a_host_known_by_name_is_published_on_every_address_and_reached_from_within(exchanged: Path) -> None:
    plan = planned(exchanged / "hospital")
    assert plan.peers[0].endpoint.host == "0.0.0.0"
    assert plan.site is not None
    assert plan.site.extra_hosts() == ["hospital.example.net:192.0.2.2"]
    assert replace(plan.site, names={}).extra_hosts() == ["hospital.example.net:host-gateway"]
    assert str(plan.reached(plan.topology.organisations[0].peer)) == "192.0.2.2:7051"


def test_the_ordering_organisation_runs_ordering_nodes_and_nothing_else(exchanged: Path) -> None:
    plan = planned(exchanged / "orderer")
    assert service_names(plan) == ["ca.orderer.example", *(f"orderer{number}.orderer.example" for number in (1, 2, 3))]
    assert {node.endpoint.host for node in plan.orderers} == {"192.0.2.1"}


def test_a_site_is_started_from_its_own_part_alone(sites: Path, world: Any, engine: Any, fabric: Any) -> None:
    for name in ("orderer", "lab"):
        plan = planned(sites / name)
        free = replace(plan, peers=tuple(_here(each) for each in plan.peers), orderers=tuple(map(_here, plan.orderers)))
        world.running.clear()
        described = bring_up(free, engine, fabric, Progress(lambda _: None), version="1.0")
        assert sorted(world.running) == sorted(service_names(plan))
        assert described["site"]["organisation"] == name
        assert [entry["name"] for entry in described["organisations"]] == ([] if name == "orderer" else ["lab"])
        rendered = yaml.safe_load(plan.compose_file.read_text(encoding="utf-8"))["services"]
        assert {tuple(service["extra_hosts"]) for service in rendered.values()} == {("hospital.example.net:192.0.2.2",)}
        keys = [path for path in (sites / name / "organizations").rglob("*") if path.name in ("priv_sk", "server.key")]
        assert keys
        assert all(f"{name}.example" in str(path) for path in keys)
    assert described["site"]["others"] == {"hospital": "192.0.2.2:7051", "regulator": "192.0.2.4:9051"}
    assert described["orderer"]["addresses"] == ["192.0.2.1:7050", "192.0.2.1:8050", "192.0.2.1:9050"]


def _here(node: Any) -> Any:
    return replace(node, endpoint=replace(node.endpoint, host="127.0.0.1", port=0))


def test_what_the_others_must_do_is_an_outcome_and_the_gateway_is_there_already(
    sites: Path, world: Any, engine: Any, fabric: Any
) -> None:
    def deploy(_: Plan) -> bool:
        raise Waiting("approved by lab only")

    fabric.deploy = deploy
    plan = planned(sites / "lab")
    free = replace(plan, peers=tuple(_here(each) for each in plan.peers))
    outcome = Outcome(plan.site, sites / "x", "")  # type: ignore[arg-type]
    done = bring_site_up(free, outcome, engine, fabric, lambda _: None)
    assert done.waiting == "approved by lab only"
    assert done.described is not None
    assert [channel for channel, _ in done.blocks] == ["pedigree"]
    assert "gateway.lab.example" in world.running


def refusal(directory: Path, choice: Choice, topology: Topology = DESCRIBED, **more: Any) -> str:
    with pytest.raises(ContainersError) as refused:
        prepare(topology, directory, Options(choice, **more))
    return str(refused.value)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Choice("lab"), "--org and --host belong together"),
        (Choice(host="lab.example.net"), "--org and --host belong together"),
        (Choice("maker", "192.0.2.9"), "no organisation is called 'maker'; there are hospital, lab, regulator and"),
        (Choice("lab", "Lab_1"), "is neither a lower-case host name nor an IPv4 address"),
        (Choice("lab", "192.0.2.999"), "is neither a lower-case host name nor an IPv4 address"),
        (Choice("lab", "127.0.0.1"), "means another machine at every site"),
        (Choice("lab", "localhost"), "means another machine at every site"),
        (Choice("lab", "0.0.0.0"), "means another machine at every site"),
        (Choice("lab", "lab.example.net", listen="lab"), "--listen: 'lab' is not an IPv4 address"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_before_anything_is_made(tmp_path: Path, choice: Choice, words: str) -> None:
    assert words in refusal(tmp_path / "net", choice)
    assert not (tmp_path / "net").exists()


def test_who_a_directory_is_does_not_change(exchanged: Path) -> None:
    assert "is the part of lab" in refusal(exchanged / "lab", Choice("hospital"))
    assert "was made for 192.0.2.3" in refusal(exchanged / "lab", Choice(host="192.0.2.9"))
    assert "--peers: the ordering organisation has none" in refusal(exchanged / "orderer", Choice(), peers=2)
    assert "--consensus: the ordering organisation's site" in refusal(exchanged / "lab", Choice(), consensus="bft")


def test_names_are_added_to_those_that_were_given_before(sites: Path) -> None:
    topology = load(sites / "lab/topology.json")
    _, plan = prepare(topology, sites / "lab", Options(Choice(names=parse_names(["x.example.net=192.0.2.8"]))))
    assert plan is not None
    assert plan.site is not None
    assert plan.site.names == {"hospital.example.net": "192.0.2.2", "x.example.net": "192.0.2.8"}
    assert Site.read(sites / "lab") == plan.site
    for wrong in ("x", "=192.0.2.8", "x=y", "192.0.2.1=192.0.2.2"):
        with pytest.raises(ContainersError, match="--resolve: "):
            parse_names([wrong])


def test_a_package_of_a_stranger_or_of_another_version_is_refused(sites: Path) -> None:
    known = load(sites / "lab/topology.json")
    without = replace(known, organisations=known.organisations[:2])
    without = replace(without, channels=(replace(known.channels[0], organisations=("hospital", "lab")),))
    assert "is of RegulatorMSP, which the topology does not name" in refusal(sites / "lab", Choice(), without)
    other = replace(known.organisations[0], msp_id="ClinicMSP")
    renamed = replace(known, organisations=(other, *known.organisations[1:]))
    assert "but the topology says that hospital.example is hospital (ClinicMSP)" in refusal(
        sites / "lab", Choice(), renamed
    )
    (sites / "lab/containers/chaincode.json").write_text('{"number": 1, "version": "9", "image": null}')
    assert "hospital means to run pedigree_" in refusal(sites / "lab", Choice())


def test_an_address_that_stands_in_a_channel_does_not_move_by_a_new_package(sites: Path) -> None:
    plan = planned(sites / "lab")
    block = plan.genesis_block("pedigree")
    block.write_bytes(b"made before")
    assert planned(sites / "lab").genesis_block("pedigree") == block
    hospital = sites / "hospital"
    topology = load(hospital / "topology.json")
    moved = replace(topology.organisations[0], peer=replace(topology.organisations[0].peer, port=7777))
    changed = replace(topology, organisations=(moved, *topology.organisations[1:]))
    (hospital / "new.join").write_bytes(joinpackage.export(changed, hospital, "hospital", f"pedigree_{_version(plan)}"))
    assert joinpackage.store(joinpackage.read(hospital / "new.join"), sites / "lab")
    assert "hospital: is at hospital.example.net:7777 now, but the channels were made with" in refusal(
        sites / "lab", Choice()
    )


def _version(plan: Plan) -> str:
    assert plan.generation.version is not None
    return plan.generation.version


def test_an_ordering_package_holds_certificates_of_exactly_its_nodes_and_roots(
    exchanged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = exchanged / "orderer/orderer.join"
    assert joinpackage.read(package).name == "orderer"
    topology, directory = load(exchanged / "orderer/topology.json"), exchanged / "orderer"
    genuine = joinpackage._ordering
    lab = (
        exchanged / "lab/organizations/peerOrganizations/lab.example/peers/peer0.lab.example/tls/server.crt"
    ).read_text()

    def without(*given: Any) -> dict[str, Any]:
        content = genuine(*given)
        content["nodes"].popitem()
        return content

    def foreign(*given: Any) -> dict[str, Any]:
        content = genuine(*given)
        content["nodes"]["orderer1.orderer.example/tls/server.crt"] = lab
        return content

    changes: list[tuple[Callable[..., dict[str, Any]], str]] = [
        (without, "exactly the orderers"), (foreign, "own root")
    ]  # fmt: skip
    for change, words in changes:
        monkeypatch.setattr(joinpackage, "_ordering", change)
        (tmp_path / "bad.join").write_bytes(joinpackage.export(topology, directory, "orderer", ""))
        with pytest.raises(OperationsError, match=words):
            joinpackage.read(tmp_path / "bad.join")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], catch_exceptions=False)


def test_the_verb_says_what_to_do_next_and_exits_with_three(tmp_path: Path) -> None:
    done = run("up", "--org", "lab", "--host", "192.0.2.3", "--dir", tmp_path / "lab")
    assert done.exit_code == 3
    for words in (
        "waiting: join packages are missing of hospital, regulator, orderer",
        "give " + str(tmp_path / "lab/lab.join"),
        "import-msp hospital.join",
        "then run again: pedigree-network up --dir",
    ):
        assert words in done.stdout
    again = run("up", "--json", "--dir", tmp_path / "lab")
    assert (again.exit_code, json.loads(again.stdout)["missing"]) == (3, ["hospital", "regulator", "orderer"])


def test_verbs_for_whole_networks_leave_a_site_alone(sites: Path) -> None:
    before = (sites / "lab/topology.json").read_bytes()
    for verb in (
        ("add-org", "maker", "--mspid", "MakerMSP", "--domain", "maker.example", "--peer", "127.0.0.1:10051"),
        ("remove-org", "hospital"),
        ("upgrade-chaincode", "pedigree", "--version", "2"),
        ("loadtest", "--seconds", "1"),
        ("reset", "--yes"),
    ):
        refused = run(*verb, "--dir", sites / "lab")
        assert refused.exit_code == 1
        assert "is one organisation's part" in refused.stderr
    assert (sites / "lab/topology.json").read_bytes() == before
    wrong = run("up", "--ledger", "embedded", "--dir", sites / "lab")
    assert (wrong.exit_code, "is for --ledger fabric --run-as containers" in wrong.stderr) == (1, True)


def test_a_whole_networks_directory_does_not_become_a_site(tmp_path: Path) -> None:
    (tmp_path / "network.json").write_text('{"ledger": "fabric", "run_as": "containers"}')
    assert "holds a whole network" in refusal(tmp_path, Choice("lab", "192.0.2.3"))

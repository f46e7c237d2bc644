# SPDX-License-Identifier: Apache-2.0
"""Up, interrupted anywhere and run again, ends where an uninterrupted one does."""

import json
import socket
from dataclasses import replace
from typing import Any

import pytest
import yaml

from network.containers.errors import ContainersError
from network.containers.network import Progress, bring_up, service_names, take_down
from network.containers.plan import Plan
from network.embedded.lock import DirectoryLock


def up(plan: Plan, world: Any, engine: Any, fabric: Any) -> Progress:
    progress = Progress(lambda _: None)
    bring_up(plan, engine, fabric, progress, version="1.0")
    return progress


def test_a_consortium_comes_up_phase_by_phase(plan: Plan, world: Any, engine: Any, fabric: Any) -> None:
    progress = up(plan, world, engine, fabric)
    assert sorted(world.running) == sorted(service_names(plan))
    assert (world.joined, world.sequence, world.transactions) == (True, 1, 1)
    assert set(progress.seconds) == {
        "images", "files", "containers", "channel", "chaincode", "first transaction", "identities",
        "gateway containers", "gateways",
    }  # fmt: skip
    described = json.loads((plan.directory / "network.json").read_text(encoding="utf-8"))
    assert (described["ledger"], described["run_as"], described["pid"]) == ("fabric", "containers", None)


def test_a_second_up_starts_nothing_anew(plan: Plan, world: Any, engine: Any, fabric: Any) -> None:
    up(plan, world, engine, fabric)
    before = dict(world.running)
    keys = (plan.material.peer("lab.example") / "msp" / "keystore" / "priv_sk").read_bytes()
    genesis = plan.genesis_block("pedigree").read_bytes()
    up(plan, world, engine, fabric)
    assert world.running == before
    assert world.sequence == 1
    assert (plan.material.peer("lab.example") / "msp" / "keystore" / "priv_sk").read_bytes() == keys
    assert plan.genesis_block("pedigree").read_bytes() == genesis


STEPS = 27
"""More than an uninterrupted run takes: the last ones end without being killed. Starts of containers are much alike."""


@pytest.mark.parametrize("kill", [1, 2, 9, *range(14, STEPS)])
def test_killed_at_any_step_and_run_again_it_converges(
    kill: int, plan: Plan, world: Any, engine: Any, fabric: Any, killed: type[BaseException]
) -> None:
    world.dies_at = kill
    try:
        up(plan, world, engine, fabric)
        assert len(world.steps) < kill
    except killed:
        assert len(world.steps) >= kill
    world.dies_at = None
    up(plan, world, engine, fabric)
    assert sorted(world.running) == sorted(service_names(plan))
    described = yaml.safe_load(plan.compose_file.read_text(encoding="utf-8"))["services"]
    assert world.running == {name: described[name] for name in world.running}
    assert (world.sequence, world.enrolled) == (1, {gateway.name for gateway in plan.gateways})


def test_the_steps_of_a_run_are_fewer_than_those_that_are_killed(
    plan: Plan, world: Any, engine: Any, fabric: Any
) -> None:
    up(plan, world, engine, fabric)
    assert 20 < len(world.steps) < STEPS - 1


def test_down_removes_the_containers_and_keeps_the_rest(plan: Plan, world: Any, engine: Any, fabric: Any) -> None:
    up(plan, world, engine, fabric)
    assert take_down(plan.directory, engine) is True
    assert world.running == {}
    assert take_down(plan.directory, engine) is False
    assert plan.genesis_block("pedigree").exists()


def test_two_tools_on_one_directory_are_refused(plan: Plan, world: Any, engine: Any, fabric: Any) -> None:
    lock = DirectoryLock(plan.directory)
    try:
        with pytest.raises(ContainersError, match="is in use by process"):
            up(plan, world, engine, fabric)
    finally:
        lock.release()
    assert world.steps == []


def test_a_missing_image_of_fabric_is_pulled(plan: Plan, world: Any, engine: Any, fabric: Any) -> None:
    world.images.remove(plan.images.peer)
    world.pullable.add(plan.images.peer)
    up(plan, world, engine, fabric)
    assert "pull" in world.steps


def test_a_missing_image_is_told_with_what_to_do(plan: Plan, world: Any, engine: Any, fabric: Any) -> None:
    world.images.remove(plan.images.orderer)
    with pytest.raises(ContainersError, match=r"fabric-orderer:3\.1\.5 is missing and cannot be pulled .*FABRIC_BIN"):
        up(plan, world, engine, fabric)
    world.images.clear()
    with pytest.raises(ContainersError, match="chaincode:latest is missing: build it with: make network-images"):
        up(plan, world, engine, fabric)
    assert world.running == {}


def test_an_image_of_another_source_is_named_and_used(plan: Plan, world: Any, engine: Any, fabric: Any) -> None:
    said: list[str] = []
    world.sources[plan.images.gateway] = "another"
    bring_up(plan, engine, fabric, Progress(said.append), version="1.0")
    assert [line for line in said if "source" in line] == [
        f"the image {plan.images.gateway} is of another source than this: renew it with: make network-images"
    ]
    assert sorted(world.running) == sorted(service_names(plan))


def test_a_taken_port_is_refused_before_anything_is_made(plan: Plan, world: Any, engine: Any, fabric: Any) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", plan.peers[1].endpoint.port))
        other.listen()
        with pytest.raises(ContainersError, match=r"wanted by peer0\.lab\.example, is in use"):
            up(plan, world, engine, fabric)
    assert world.running == {}
    assert not plan.compose_file.exists()


def test_an_address_of_another_machine_is_refused(plan: Plan, world: Any, engine: Any, fabric: Any) -> None:
    peer = replace(plan.peers[0], endpoint=replace(plan.peers[0].endpoint, host="192.0.2.1"))
    with pytest.raises(ContainersError, match=r"peer0\.hospital\.example cannot be published on 192\.0\.2\.1"):
        up(replace(plan, peers=(peer, *plan.peers[1:])), world, engine, fabric)


def test_a_container_that_ended_is_told_with_its_last_words(plan: Plan, world: Any, engine: Any, fabric: Any) -> None:
    class Dying(type(engine)):  # type: ignore[misc]
        def containers(self, project: Any) -> list[Any]:
            return [
                replace(each, state="exited") if each.name == "orderer2.orderer.example" else each
                for each in super().containers(project)
            ]

    def join(_plan: Plan, trouble: Any) -> None:
        raise ContainersError(trouble("orderer2.orderer.example"))

    fabric.join = join
    with pytest.raises(ContainersError, match=r"orderer2\.orderer\.example is exited: it said goodbye"):
        up(plan, world, Dying(world), fabric)

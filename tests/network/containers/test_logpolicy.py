# SPDX-License-Identifier: Apache-2.0
"""The policy of logs that gateways in containers find: of all members' keys, as `pedigree log policy` makes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.server.logkeys import LogKeys
from gateway.server.logpolicy import PolicyFile
from gateway.tlog import composing, policy
from network.containers.logpolicy import agree, keys_file, policy_file
from network.containers.network import Progress, bring_up
from network.containers.plan import GATEWAY_PORT, Plan


@pytest.fixture
def made(plan: Plan) -> dict[str, LogKeys]:
    """What each gateway made when it first started, by the member's name."""
    return {
        each.organisation.name: LogKeys.load(
            plan.gateway_data(each.organisation) / "log-keys", "pedigree", each.organisation.msp_id
        )
        for each in plan.gateways
    }


def written(plan: Plan) -> list[bytes]:
    return [policy_file(plan, each).read_bytes() for each in plan.gateways]


def test_every_gateway_finds_the_policy_that_the_command_would_compose(plan: Plan, made: dict[str, LogKeys]) -> None:
    assert agree(plan) is None
    first, *others = written(plan)
    assert set(others) == {first}
    members = [
        composing.member(
            each.organisation.name,
            composing.keys_of(keys_file(plan, each).read_bytes()),
            f"http://{each.name}:{GATEWAY_PORT}/v1/log",
        )
        for each in plan.gateways
    ]
    assert policy.parse(first) == composing.compose(members, 2)


def test_a_gateway_asks_all_others_by_the_names_that_containers_have(plan: Plan, made: dict[str, LogKeys]) -> None:
    agree(plan)
    gateway = plan.gateways[0]
    own = made[gateway.organisation.name]
    file = PolicyFile(policy_file(plan, gateway), own.log.verifier, [each.key for each in own.cosigners])
    assert {each.url for each in file.asked()} == {
        f"http://{each.name}:{GATEWAY_PORT}/v1/log" for each in plan.gateways[1:]
    }
    assert len(file.logs()) == 2
    assert file.trouble is None
    services = set(_services(plan))
    assert {each.name for each in plan.gateways} <= services


def _services(plan: Plan) -> Any:
    from network.containers.network import service_names

    return service_names(plan)


def test_a_second_time_nothing_is_written_and_a_new_key_is(plan: Plan, made: dict[str, LogKeys]) -> None:
    agree(plan)
    before = [policy_file(plan, each).stat().st_mtime_ns for each in plan.gateways]
    agree(plan)
    assert [policy_file(plan, each).stat().st_mtime_ns for each in plan.gateways] == before
    file = keys_file(plan, plan.gateways[0])
    old = file.read_text(encoding="ascii").split()
    (file.parent / "log.key").unlink()
    new = LogKeys.load(file.parent, "pedigree", plan.gateways[0].organisation.msp_id)
    agree(plan)
    for each in written(plan):
        assert new.log.verifier.vkey.encode() in each
        assert old[0].encode() not in each


def test_the_user_of_a_gateways_container_can_read_it(plan: Plan, made: dict[str, LogKeys]) -> None:
    agree(plan)
    assert all(policy_file(plan, each).stat().st_mode & 0o004 for each in plan.gateways)


def test_a_policy_of_an_operators_own_is_left_as_it_is(plan: Plan, made: dict[str, LogKeys]) -> None:
    mine = policy_file(plan, plan.gateways[1])
    mine.write_text("quorum none\n", encoding="ascii")
    agree(plan)
    assert mine.read_text(encoding="ascii") == "quorum none\n"
    assert b"quorum members" in policy_file(plan, plan.gateways[0]).read_bytes()


@pytest.mark.parametrize(
    "content", [None, b"", b"nonsense\n", b"\xff\n", b"log+00000000+AQ==\n", b"a+00000000+AQID\nb+00000000+AQID\n"]
)
def test_a_gateway_without_keys_is_named_and_nobody_gets_half_a_policy(
    plan: Plan, made: dict[str, LogKeys], content: bytes | None
) -> None:
    file = keys_file(plan, plan.gateways[2])
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert plan.gateways[2].name in str(agree(plan))
    assert not any(policy_file(plan, each).exists() for each in plan.gateways)


def test_members_on_hosts_of_their_own_agree_by_themselves(plan: Plan, made: dict[str, LogKeys]) -> None:
    assert agree(replace(plan, gateways=plan.gateways[:1])) is None
    assert not policy_file(plan, plan.gateways[0]).exists()


def test_up_gives_them_the_policy_once_they_run(
    plan: Plan, world: Any, engine: Any, fabric: Any, made: dict[str, LogKeys]
) -> None:
    said: list[str] = []
    bring_up(plan, engine, fabric, Progress(said.append), version="1.0")
    assert len(set(written(plan))) == 1
    assert not any("policy of logs" in each for each in said)


def test_up_says_where_there_can_be_none(plan: Plan, world: Any, engine: Any, fabric: Any) -> None:
    said: list[str] = []
    bring_up(plan, engine, fabric, Progress(said.append), version="1.0")
    assert [each for each in said if "policy of logs" in each] == [
        f"no policy of logs: {plan.gateways[0].name} has written no keys that can be read"
    ]

# SPDX-License-Identifier: Apache-2.0
"""The file of the consortium's policy: read whenever it is another one, and whom it has this gateway ask."""

import logging
from pathlib import Path

import pytest
from logs import Member, policy_of

from gateway.server.logpolicy import PolicyFile
from gateway.tlog.policy import Log, Policy, Witness


@pytest.fixture
def members(tmp_path: Path) -> list[Member]:
    made = [Member(name, tmp_path / name) for name in ("LabMSP", "HospitalMSP", "RegulatorMSP")]
    for each in made:
        each.close()
    return made


@pytest.fixture
def file(tmp_path: Path, members: list[Member]) -> PolicyFile:
    """That of the first organisation, which has no file yet."""
    lab = members[0]
    return PolicyFile(tmp_path / "log-policy", lab.log.verifier, [each.key for each in lab.cosigners])


def addressed(members: list[Member]) -> bytes:
    """A policy of all, each of whose logs and witnesses is at an address of its organisation."""
    found = policy_of(members, 2)
    url = {each.origin: f"http://{each.organisation}/v1/log".encode() for each in members}
    logs = tuple(Log(each.verifier, url[each.verifier.name]) for each in found.logs)
    witnesses = {
        name: Witness(name, each.verifier, url[each.verifier.name.removesuffix("/witness")])
        for name, each in found.witnesses.items()
    }
    return Policy(logs, witnesses, found.groups, found.quorum).format()


def test_what_is_written_is_gone_by_from_the_next_look_on(
    tmp_path: Path, file: PolicyFile, members: list[Member]
) -> None:
    before = file.current()
    assert (file.asked(), file.logs()) == ([], {})
    assert file.current() == before, "nothing changed"
    (tmp_path / "log-policy").write_bytes(addressed(members))
    assert [each.url for each in file.asked()] == ["http://HospitalMSP/v1/log", "http://RegulatorMSP/v1/log"]
    assert file.current() != before
    (tmp_path / "log-policy").write_bytes(addressed(members[:2]))
    assert file.logs().keys() == {members[1].origin}
    (tmp_path / "log-policy").unlink()
    assert file.current() == before


def test_who_is_asked_is_known_by_its_own_log_at_the_same_address(
    tmp_path: Path, file: PolicyFile, members: list[Member]
) -> None:
    (tmp_path / "log-policy").write_bytes(addressed(members))
    assert [each.origins for each in file.asked()] == [{members[1].origin}, {members[2].origin}]
    (tmp_path / "log-policy").write_bytes(policy_of(members, 2).format())
    assert file.asked() == [], "no address, nobody to ask"


def test_a_file_that_cannot_be_used_is_said_once_and_read_once(
    tmp_path: Path, file: PolicyFile, members: list[Member], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "log-policy").write_bytes(addressed(members))
    good = file.current()
    for _ in range(3):
        (tmp_path / "log-policy").write_text("quorum nobody\n", encoding="utf-8")
        assert file.current() == good
    assert "line 1 of the policy" in str(file.trouble)
    assert len([each for each in caplog.records if each.levelno == logging.ERROR]) == 1
    (tmp_path / "log-policy").write_bytes(addressed(members))
    assert file.current() == good
    assert file.trouble is None

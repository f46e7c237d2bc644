# SPDX-License-Identifier: Apache-2.0
"""What a gateway refused: its operator lists it, other organisations hold it to it, and no restart loses it."""

from __future__ import annotations

import itertools
import json
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from chaincode.domain import merkle
from gateway.cli import main
from gateway.demo.consortium import ready
from pedigree import Conflict, InvalidEvidence, InvalidRequest, Pedigree, PedigreeError, Unauthenticated
from pedigree import verify_audit_log as verify

if TYPE_CHECKING:
    from scenarios.conftest import World

    from gateway.demo.consortium import Consortium

_numbers = itertools.count(1)


@pytest.fixture
def name() -> str:
    """A name that no other scenario uses."""
    return f"audit-{next(_numbers)}"


def refused(client: Pedigree, name: str) -> PedigreeError:
    """Have a client refused by the law, about a model of this name."""
    try:
        client.register_model(name, title="T")
        client.register_model(name, title="Another")
    except Conflict as refusal:
        return refusal
    raise AssertionError("it was recorded twice")


def anchored(client: Pedigree) -> Any:
    """Commit to a gateway's audit log as it is now; that nothing was new is an entry, which the next try anchors."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return client.anchor_audit().record
        except Conflict:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def exported(client: Pedigree, folder: Path) -> Path:
    return client.save_audit_log(folder / "audit.jsonl")


@pytest.mark.story("F7", "An operator lists what its gateway refused, and to whom")
def test_refused_attempts_are_listed(world: World, consortium: Consortium, name: str) -> None:
    lab = world.as_("lab")
    refusal = refused(lab, name)
    entry, *_ = lab.audit_entries(target=f"model:{name}")["items"]
    assert (entry["operation"], entry["outcome"], entry["code"]) == ("registerModel", "refused", refusal.code)
    recorded, *_ = lab.history(f"model:{name}")["items"]
    assert entry["client"] == recorded["client"]
    with Pedigree(consortium.url("lab"), "nobody.nothing") as stranger, pytest.raises(Unauthenticated):
        stranger.models()
    last, *_ = lab.audit_entries(client="none", code="unauthenticated")["items"]
    assert (last["operation"], last["client"], last["target"]) == ("listModels", None, None)
    with pytest.raises(InvalidRequest):
        lab.models(licence="no licence at all")
    assert lab.audit_entries(operation="listModels", code="invalid-parameter")["items"]


@pytest.mark.story("F7", "Another organisation sees how much a gateway has refused, and nothing of what")
def test_an_anchor_is_seen_by_others(world: World, name: str) -> None:
    lab, hospital = world.as_("lab"), world.as_("hospital")
    refused(lab, name)
    before = lab.audit_entries(limit=1)["size"]
    anchor = anchored(lab)
    assert anchor["size"] >= before
    hospital = world.as_("hospital")
    seen = [each for each in hospital.iterate_audit_anchors(owner="LabMSP") if each["record"] == anchor]
    assert len(seen) == 1
    (listed,) = hospital.transactions(
        function="audit:anchor", organisation="LabMSP", from_height=seen[0]["transaction"]["block"],
        until_height=seen[0]["transaction"]["block"] + 1,
    )["items"]  # fmt: skip
    assert listed["id"] == seen[0]["transaction"]["id"]
    assert name not in json.dumps(seen)


@pytest.mark.story("F7", "An audit log that was altered is found out, with the first entry that is wrong")
def test_an_altered_entry_is_found_by_another_organisation(world: World, name: str) -> None:
    lab = world.as_("lab")
    for each in "abc":
        refused(lab, f"{name}-{each}")
    anchored(lab)
    hospital = world.as_("hospital")
    path = exported(lab, world.folder)
    verdict = verify(path, hospital.iterate_audit_anchors())
    assert verdict.verified
    assert verdict.anchored == verdict.entries
    number = next(
        entry["number"] for entry in lab.iterate_audit_entries(target=f"model:{name}-a", code="already-exists")
    )
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number - 1] = lines[number - 1].replace(b"already-exists", b"not-the-owner")
    path.write_bytes(b"".join(lines))
    with pytest.raises(InvalidEvidence, match=f"entry {number} was altered"):
        verify(path, hospital.iterate_audit_anchors())
    # Who writes the chain again, from there on, has another root than the one on the ledger.
    rewritten: list[bytes] = []
    for line in lines:
        entry = json.loads(line)
        if rewritten:
            entry["previous"] = merkle.leaf_hash(rewritten[-1].rstrip(b"\n")).hex()
        rewritten.append(json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
    path.write_bytes(b"".join(rewritten))
    with pytest.raises(InvalidEvidence, match="was altered: anchor"):
        verify(path, hospital.iterate_audit_anchors())


@pytest.mark.story("F7", "An auditor checks an exported audit log offline, by the evidence of an anchor")
def test_a_log_is_checked_without_any_gateway(world: World, name: str) -> None:
    lab = world.as_("lab")
    refused(lab, name)
    anchor = anchored(lab)
    (seen,) = (each for each in lab.iterate_audit_anchors(owner="LabMSP") if each["record"] == anchor)
    evidence = world.folder / "anchor.json"
    evidence.write_text(json.dumps(lab.transaction_evidence(seen["transaction"]["id"])), encoding="utf-8")
    path = exported(lab, world.folder)
    genesis = lab.ledger()["genesis_hash"]
    arguments = ["audit", "verify", "--file", str(path), "--anchor", str(evidence), "--json", "--genesis"]
    printed = CliRunner().invoke(main, [*arguments, genesis])
    assert printed.exit_code == 0, printed.output
    assert json.loads(printed.output)["anchored"] == anchor["size"]
    refuted = CliRunner().invoke(main, [*arguments, "00" * 32])
    assert refuted.exit_code == 1, refuted.output


@pytest.mark.story("F7", "A gateway that is killed keeps what it refused, and its log goes on")
def test_a_gateway_that_is_killed_keeps_its_log(world: World, consortium: Consortium, name: str) -> None:
    if consortium.shared:
        pytest.skip("gateways in containers are left running for others")
    lab = world.as_("lab")
    refused(lab, name)
    before = exported(lab, world.folder).read_bytes()
    program = next(each for each in consortium.programs if each.name == "gateway-lab")
    program.kill()
    program.start()
    program.wait_until(partial(ready, consortium.ports["lab"].health), within=60)
    refused(lab, f"{name}-again")
    anchored(lab)
    path = exported(lab, world.folder)
    assert path.read_bytes().startswith(before)
    verdict = verify(path, world.as_("regulator").iterate_audit_anchors())
    assert verdict.anchored == verdict.entries > before.count(b"\n")

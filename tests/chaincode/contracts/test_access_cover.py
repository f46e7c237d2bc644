# SPDX-License-Identifier: Apache-2.0
"""Where another organisation's data needs a grant: runs, evaluations and derivations, through the contracts."""

import pytest

from chaincode.domain import errors
from chaincode.domain.access import AccessAction, SetAccessPolicy
from chaincode.domain.derivation import Activity, Derivation
from chaincode.domain.evaluation import RecordEvaluation
from chaincode.domain.float64 import Float64
from chaincode.domain.granting import GrantAccess
from chaincode.domain.grants import RevokeAccess, SuspendAccess
from chaincode.domain.selection import CommitSelection, LeftOut
from chaincode.domain.training import Code, Environment, RecordRun
from chaincode.domain.usage import Metric, RunInput
from chaincode.domain.values import Count, Digest, Instant, Iri, Name, Number, OrgId, Ref, Seconds, Text

HOSPITAL, LAB, REGULATOR = OrgId("HospitalMSP"), OrgId("LabMSP"), OrgId("RegulatorMSP")
WDBC, RUN, GRANT = Ref("dataset-version:wdbc:1"), Ref("run:r-1"), Ref("access-grant:g-1")
RESEARCH, CARE = Iri("https://w3id.org/dpv#ScientificResearch"), Iri("https://w3id.org/dpv#CommercialPurpose")
ZERO = Digest(bytes(32))
POLICY = SetAccessPolicy(Name("wdbc"), Number(1), (RESEARCH,), (AccessAction.PROCESS,), Seconds(100))


@pytest.fixture
def held(world):
    """A world in which the hospital has data that others need a grant for."""
    world.dataset(HOSPITAL, "wdbc")
    world.dataset_version(HOSPITAL, "wdbc")
    world.submit(HOSPITAL, POLICY)
    return world


def give(world, **changes):
    values = {
        "grant": Name("g-1"),
        "grantee": LAB,
        "artifact": WDBC,
        "purpose": RESEARCH,
        "actions": (AccessAction.PROCESS,),
        "expires": Instant(world.at + 100_000),
    }
    world.submit(HOSPITAL, GrantAccess(**(values | changes)))


def run(world, grant=GRANT, **changes):
    used = {"version": WDBC, "root": world.digest_of("wdbc:1"), "grant": grant}
    taken = {name: changes.pop(name) for name in ("root", "selection") if name in changes}
    values = {"started": world.at, "finished": world.at, "purpose": RESEARCH} | changes
    inputs = (RunInput(**(used | taken)),)
    return RecordRun(Name("r-1"), Code(ZERO), Environment(ZERO), inputs=inputs, **values)


@pytest.mark.story("F6", "A run over data that needs a grant and names none is refused", refused="grant-missing")
def test_a_run_over_anothers_data_names_a_grant(held):
    world = held
    assert world.refused(LAB, run(world, None)) == errors.GrantMissing(RUN, WDBC, HOSPITAL)
    give(world)
    world.submit(LAB, run(world))
    assert world.shown("training-run", "r-1")["inputs"][0]["grant"] == GRANT


def test_the_owner_needs_no_grant(held):
    world = held
    world.submit(HOSPITAL, run(world, None))


def test_data_without_an_access_policy_is_used_as_before(world):
    world.dataset(HOSPITAL, "wdbc")
    world.dataset_version(HOSPITAL, "wdbc")
    world.submit(LAB, run(world, None))


@pytest.mark.parametrize(
    ("given", "made", "reason"),
    [
        ({"grantee": REGULATOR}, {}, "another-organisation"),
        ({}, {"purpose": CARE}, "another-purpose"),
        ({}, {"started": -1}, "not-yet"),
        ({}, {"started": 100_000}, "expired"),
        ({"grant": Name("g-2")}, {}, "no-such-grant"),
    ],
)
@pytest.mark.story("F6", "A run under a grant that does not cover it is refused", refused="grant-does-not-cover")
def test_a_grant_covers_the_run(held, given, made, reason):
    world = held
    give(world, **given)
    began = Instant(world.at + made.get("started", 0))
    world.wait(seconds=200)
    changes = {**made, "started": began, "finished": world.at}
    refusal = world.refused(LAB, run(world, **changes))
    assert refusal == errors.GrantDoesNotCover(GRANT, WDBC, RUN, reason)


def test_a_grant_of_other_data_covers_nothing(held):
    world = held
    world.dataset(HOSPITAL, "other")
    world.dataset_version(HOSPITAL, "other")
    give(world, artifact=Ref("dataset-version:other:1"))
    assert world.refused(LAB, run(world)).reason == "another-version"


def test_a_grant_is_cited_as_one(held):
    world = held
    refusal = world.refused(LAB, run(world, Ref("dataset:wdbc")))
    assert (refusal.code, refusal.pointer) == ("invalid-field", "/inputs/0/grant")


@pytest.mark.parametrize("command", [SuspendAccess, RevokeAccess])
def test_what_began_before_a_revocation_is_covered_and_what_began_after_it_is_not(held, command):
    world = held
    give(world)
    world.wait(seconds=10)
    world.submit(HOSPITAL, command(Name("g-1"), Text("stop")))
    world.wait(seconds=10)
    assert world.refused(LAB, run(world)).reason == ("revoked" if command is RevokeAccess else "suspended")
    world.submit(LAB, run(world, started=Instant(world.at - 11_000)))


def test_a_grant_of_a_version_covers_its_selections_and_one_of_a_selection_its_parts(held):
    world = held
    left = (LeftOut(Text("not chosen"), Count(2)),)
    half = (LeftOut(Text("not chosen"), Count(4)),)
    whole = CommitSelection(WDBC, Name("whole"), world.digest_of("whole"), Count(8), left_out=left)
    part = CommitSelection(WDBC, Name("part"), world.digest_of("part"), Count(4), left_out=half,
                           parent=Ref("selection:wdbc:1:whole"))  # fmt: skip
    other = CommitSelection(WDBC, Name("other"), world.digest_of("other"), Count(8), left_out=left)
    for command in (whole, part, other):
        world.submit(HOSPITAL, command)
    give(world, artifact=Ref("selection:wdbc:1:whole"))
    assert world.refused(LAB, run(world)).reason == "another-version", "a grant of a part covered the whole"
    of_other = {"root": world.digest_of("other"), "selection": Ref("selection:wdbc:1:other")}
    assert world.refused(LAB, run(world, **of_other)).reason == "another-version"
    world.submit(LAB, run(world, root=world.digest_of("part"), selection=Ref("selection:wdbc:1:part")))


def test_an_evaluation_over_anothers_data_names_a_grant(held):
    world = held
    digest = world.model_version(LAB, "net").digest

    def judging(grant):
        data = RunInput(WDBC, world.digest_of("wdbc:1"), grant=grant)
        metrics = (Metric(Text("auc"), Float64("0.9")),)
        return RecordEvaluation(Name("e-1"), Ref("model-version:net:1"), digest, data, metrics, world.at)

    assert world.refused(LAB, judging(None)) == errors.GrantMissing(Ref("evaluation:e-1"), WDBC, HOSPITAL)
    give(world)
    world.submit(LAB, judging(GRANT))


@pytest.mark.story("F6", "What is derived from data that needs a grant needs it too", refused="grant-missing")
def test_what_is_derived_from_anothers_data_names_a_grant_in_force(held):
    world = held
    world.dataset(LAB, "public")

    def derived(*grants, parents=(WDBC,)):
        return world.commit_version("public", derivation=Derivation(Activity.FILTER, parents, grants=grants or None))

    made = Ref("dataset-version:public:1")
    assert world.refused(LAB, derived()) == errors.GrantMissing(made, WDBC, HOSPITAL)
    give(world, grant=Name("g-0"), grantee=REGULATOR)
    give(world)
    refusal = world.refused(LAB, derived(Ref("access-grant:g-0")))
    assert refusal == errors.GrantDoesNotCover("access-grant:g-0", WDBC, made, "another-organisation")
    refusal = world.refused(LAB, derived(Ref("dataset:wdbc")))
    assert (refusal.code, refusal.pointer) == ("invalid-field", "/derivation/grants/0")
    world.wait(seconds=100)
    assert world.refused(LAB, derived(GRANT)).reason == "expired"
    world.wait(seconds=-1)
    world.submit(LAB, derived(Ref("access-grant:g-0"), GRANT))


def test_of_several_grants_the_one_of_this_data_says_why_it_does_not_cover(held):
    world = held
    world.dataset(HOSPITAL, "other")
    world.dataset_version(HOSPITAL, "other")
    world.dataset(LAB, "public")
    give(world, grant=Name("g-0"), artifact=Ref("dataset-version:other:1"))
    give(world)
    world.submit(HOSPITAL, RevokeAccess(Name("g-1"), Text("stop")))
    grants = (Ref("access-grant:g-0"), GRANT)
    derivation = Derivation(Activity.JOIN, (WDBC,), grants=grants)
    refusal = world.refused(LAB, world.commit_version("public", derivation=derivation))
    assert (refusal.grant, refusal.reason) == (GRANT, "revoked")

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
from chaincode.domain.provenance import Change, Sensitivity
from chaincode.domain.selection import CommitSelection, LeftOut
from chaincode.domain.training import Code, Environment, RecordRun
from chaincode.domain.usage import Metric, RunInput
from chaincode.domain.values import Count, Digest, Instant, Iri, Name, Number, OrgId, Ref, Seconds, Text

HOSPITAL, LAB, REGULATOR = OrgId("HospitalMSP"), OrgId("LabMSP"), OrgId("RegulatorMSP")
WDBC, RUN, GRANT = Ref("dataset-version:wdbc:1"), Ref("run:r-1"), Ref("access-grant:g-1")
RESEARCH, CARE = Iri("https://w3id.org/dpv#ScientificResearch"), Iri("https://w3id.org/dpv#CommercialPurpose")
MADE, OPEN = Ref("dataset-version:made:1"), Ref("dataset-version:open:1")
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


def sensitive(world, sensitivity=Sensitivity.SPECIAL_CATEGORY):
    """The hospital has data that is so sensitive, and has set no access policy for it."""
    world.dataset(HOSPITAL, "wdbc", sensitivity=sensitivity)
    world.dataset_version(HOSPITAL, "wdbc")


def run(world, grant=GRANT, *, name="r-1", **changes):
    used = {"version": WDBC, "root": world.digest_of("wdbc:1"), "grant": grant}
    taken = {name: changes.pop(name) for name in ("root", "selection") if name in changes}
    values = {"started": world.at, "finished": world.at, "purpose": RESEARCH} | changes
    inputs = (RunInput(**(used | taken)),)
    return RecordRun(Name(name), Code(ZERO), Environment(ZERO), inputs=inputs, **values)


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


@pytest.mark.parametrize("sensitivity", [Sensitivity.PUBLIC, Sensitivity.INTERNAL])
def test_open_data_without_an_access_policy_is_used_without_a_grant(world, sensitivity):
    world.dataset(HOSPITAL, "wdbc", sensitivity=sensitivity)
    world.dataset_version(HOSPITAL, "wdbc")
    world.submit(LAB, run(world, None))


@pytest.mark.parametrize("sensitivity", [Sensitivity.CONFIDENTIAL, Sensitivity.PERSONAL, Sensitivity.SPECIAL_CATEGORY])
def test_sensitive_data_without_an_access_policy_is_its_owners_alone(world, sensitivity):
    sensitive(world, sensitivity)
    world.dataset(LAB, "made", sensitivity=sensitivity)
    digest = world.model_version(LAB, "net").digest
    data = RunInput(WDBC, world.digest_of("wdbc:1"))
    judging = RecordEvaluation(Name("e-1"), Ref("model-version:net:1"), digest, data,
                               (Metric(Text("auc"), Float64("0.9")),), world.at)  # fmt: skip
    withheld = [
        (run(world, None), RUN),
        (judging, Ref("evaluation:e-1")),
        (world.commit_version("made", derivation=Derivation(Activity.FILTER, (WDBC,))), MADE),
    ]
    for command, reference in withheld:
        assert world.refused(LAB, command) == errors.DataWithheld(reference, WDBC, sensitivity, HOSPITAL)
    world.submit(HOSPITAL, run(world, None))
    give(world)
    world.submit(LAB, run(world, name="r-2"))
    granted = Derivation(Activity.FILTER, (WDBC,), grants=(GRANT,))
    world.submit(LAB, world.commit_version("made", derivation=granted))


def test_a_grant_that_does_not_cover_sensitive_data_is_refused_with_its_reason(world):
    sensitive(world, Sensitivity.PERSONAL)
    give(world, grantee=REGULATOR)
    assert world.refused(LAB, run(world)) == errors.GrantDoesNotCover(GRANT, WDBC, RUN, "another-organisation")


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


# --- How sensitive what was made is -----------------------------------------------------------------------------


def make(world, by, name, parents, *, activity=Activity.FILTER, grants=(), number=1, **more):
    """The command that commits a version of a data set of `by`, made from these."""
    derivation = Derivation(activity, tuple(Ref(parent) for parent in parents), grants=grants or None)
    return world.commit_version(name, number, derivation=derivation, **more)


def lowered(artifact=WDBC, owner=HOSPITAL, reference=OPEN):
    return errors.SensitivityLowered(reference, "public", artifact, "special-category", owner)


@pytest.fixture
def open_data(world):
    """The hospital's special-category data, which the lab may process, and a public data set of the lab's."""
    sensitive(world)
    world.dataset(LAB, "open", sensitivity=Sensitivity.PUBLIC)
    give(world)
    return world


def test_what_is_made_is_as_sensitive_as_what_it_was_made_from(open_data):
    world = open_data
    assert world.refused(LAB, make(world, LAB, "open", [WDBC], grants=(GRANT,))) == lowered()
    anonymised = make(world, LAB, "open", [WDBC], activity=Activity.ANONYMISE, grants=(GRANT,))
    assert world.refused(LAB, anonymised) == lowered()
    world.dataset(LAB, "kept", sensitivity=Sensitivity.SPECIAL_CATEGORY)
    world.submit(LAB, make(world, LAB, "kept", [WDBC], grants=(GRANT,)))


@pytest.mark.parametrize("activity", [Activity.ANONYMISE, Activity.SYNTHESISE])
def test_a_grant_allows_what_is_anonymised_to_be_less_sensitive(open_data, activity):
    world = open_data
    give(world, grant=Name("g-2"), actions=(AccessAction.PROCESS, AccessAction.ANONYMISE))
    grants = (GRANT, Ref("access-grant:g-2"))
    refusal = world.refused(LAB, make(world, LAB, "open", [WDBC], grants=grants))
    assert (refusal.code, refusal.pointer) == ("invalid-field", "/derivation/activity")
    world.submit(LAB, make(world, LAB, "open", [WDBC], activity=activity, grants=grants))
    # What was made lawfully is as open as it says: nobody asks the hospital any more.
    world.dataset(REGULATOR, "further", sensitivity=Sensitivity.PUBLIC)
    world.submit(REGULATOR, make(world, REGULATOR, "further", [OPEN]))


def test_a_grant_of_other_data_or_to_others_does_not_lower(open_data):
    world = open_data
    world.dataset(HOSPITAL, "other")
    world.dataset_version(HOSPITAL, "other")
    both = (AccessAction.PROCESS, AccessAction.ANONYMISE)
    give(world, grant=Name("g-2"), actions=both, artifact=Ref("dataset-version:other:1"))
    give(world, grant=Name("g-3"), actions=both, grantee=REGULATOR)
    grants = (GRANT, Ref("access-grant:g-2"), Ref("access-grant:g-3"))
    assert world.refused(LAB, make(world, LAB, "open", [WDBC], activity=Activity.ANONYMISE, grants=grants)) == lowered()


@pytest.mark.parametrize("change", [Change.EXTENDS, Change.REPLACES])
def test_two_steps_are_judged_as_one(open_data, change):
    world = open_data
    world.dataset(LAB, "kept", sensitivity=Sensitivity.SPECIAL_CATEGORY)
    world.submit(LAB, make(world, LAB, "kept", [WDBC], grants=(GRANT,)))
    kept = Ref("dataset-version:kept:1")
    assert world.refused(LAB, make(world, LAB, "open", [kept], activity=Activity.ANONYMISE)) == lowered()
    # A version that extends holds what the one before it does; one that replaces it does not.
    second = (
        {"root": ZERO, "size": Count(10)}
        if change is Change.REPLACES
        else {"root": world.digest_of("kept:1"), "size": Count(10)}
    )
    world.submit(LAB, world.commit_version("kept", 2, change=change, parent_root=world.digest_of("kept:1"), **second))
    command = make(world, LAB, "open", ["dataset-version:kept:2"], activity=Activity.ANONYMISE)
    if change is Change.REPLACES:
        world.submit(LAB, command)
    else:
        assert world.refused(LAB, command) == lowered()


def test_by_way_of_a_third_organisation_both_owners_are_asked(open_data):
    world = open_data
    world.dataset(LAB, "kept", sensitivity=Sensitivity.SPECIAL_CATEGORY)
    world.submit(LAB, make(world, LAB, "kept", [WDBC], grants=(GRANT,)))
    kept = Ref("dataset-version:kept:1")
    both = (AccessAction.PROCESS, AccessAction.ANONYMISE)
    given = {"purpose": RESEARCH, "actions": both, "expires": Instant(world.at + 100_000)}
    world.submit(LAB, GrantAccess(Name("of-lab"), grantee=REGULATOR, artifact=kept, **given))
    world.dataset(REGULATOR, "open-2", sensitivity=Sensitivity.PUBLIC)
    of_lab, of_hospital = Ref("access-grant:of-lab"), Ref("access-grant:of-hospital")

    def made(*grants):
        return make(world, REGULATOR, "open-2", [kept], activity=Activity.ANONYMISE, grants=grants)

    reference = Ref("dataset-version:open-2:1")
    assert world.refused(REGULATOR, made(of_lab)) == lowered(reference=reference)
    give(world, grant=Name("of-hospital"), grantee=REGULATOR, actions=both)
    world.submit(REGULATOR, made(of_lab, of_hospital))


def test_an_owner_says_itself_what_of_its_own_data_is_open(world):
    sensitive(world)
    world.dataset(HOSPITAL, "open", sensitivity=Sensitivity.PUBLIC)
    world.submit(HOSPITAL, make(world, HOSPITAL, "open", [WDBC], activity=Activity.TRANSFORM))


def test_less_sensitive_parents_are_not_gone_above(open_data):
    world = open_data
    world.dataset(LAB, "plain", sensitivity=Sensitivity.PUBLIC)
    world.dataset_version(LAB, "plain")
    world.submit(LAB, make(world, LAB, "open", ["dataset-version:plain:1"]))


def test_more_sources_than_are_looked_at_are_refused(open_data, monkeypatch):
    world = open_data
    monkeypatch.setattr("chaincode.domain.covering.MOST_ANCESTORS", 2)
    world.dataset(HOSPITAL, "mine", sensitivity=Sensitivity.PUBLIC)
    world.dataset(HOSPITAL, "first", sensitivity=Sensitivity.SPECIAL_CATEGORY)
    world.submit(HOSPITAL, make(world, HOSPITAL, "first", [WDBC]))
    world.dataset(HOSPITAL, "second", sensitivity=Sensitivity.SPECIAL_CATEGORY)
    world.submit(HOSPITAL, make(world, HOSPITAL, "second", ["dataset-version:first:1"]))
    refusal = world.refused(HOSPITAL, make(world, HOSPITAL, "mine", ["dataset-version:second:1"]))
    path = ("dataset-version:mine:1", WDBC)
    assert refusal == errors.AncestryTooLarge("dataset-version:mine:1", "commit", 2, path)


def test_a_source_that_is_met_twice_is_looked_at_once(open_data):
    world = open_data
    for name, parents in (("left", [WDBC]), ("right", [WDBC]), ("both", ["dataset-version:left:1", WDBC])):
        world.dataset(HOSPITAL, name, sensitivity=Sensitivity.SPECIAL_CATEGORY)
        world.submit(HOSPITAL, make(world, HOSPITAL, name, parents))
    world.dataset(HOSPITAL, "mine", sensitivity=Sensitivity.PUBLIC)
    world.submit(HOSPITAL, make(world, HOSPITAL, "mine", ["dataset-version:both:1", "dataset-version:right:1"]))

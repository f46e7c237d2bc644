# SPDX-License-Identifier: Apache-2.0
"""Attempts through the contracts: each is written with its decision, and no grant is used once too often."""

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from chaincode.domain import sparsemerkle
from chaincode.domain.access import AccessAction
from chaincode.domain.attempting import AccessAttempt, AccessDecision, AccessSlot, AttemptAccess, looks
from chaincode.domain.consent import ChangeConsent, ConsentStatus, Indication, OpenConsent, SubjectChange
from chaincode.domain.granting import GrantAccess
from chaincode.domain.grants import ExpireAccess, ResumeAccess, RevokeAccess, SuspendAccess
from chaincode.domain.lifecycle import Quarantine
from chaincode.domain.policy import DEFAULT_LAPSE
from chaincode.domain.provenance import LawfulBasis
from chaincode.domain.selection import CommitSelection, LeftOut, MapState
from chaincode.domain.values import (
    Blob,
    ClientId,
    Count,
    Digest,
    Instant,
    Iri,
    Name,
    Number,
    OrgId,
    Purposes,
    Ref,
    SignedInstant,
    Text,
)

HOSPITAL, LAB, REGULATOR = OrgId("HospitalMSP"), OrgId("LabMSP"), OrgId("RegulatorMSP")
WDBC, PERMITTED = Ref("dataset-version:wdbc:1"), Ref("selection:wdbc:1:permitted")
RESEARCH, CARE = Iri("https://w3id.org/dpv#ScientificResearch"), Iri("https://w3id.org/dpv#CommercialPurpose")
DOWNLOAD, PROCESS = AccessAction.DOWNLOAD, AccessAction.PROCESS
MONTH = 30 * 86_400_000
PATIENT = Digest(b"\x07" * 32)
ASK = AttemptAccess(Name("g-1"), WDBC, PROCESS, RESEARCH)
REVOKE = RevokeAccess(Name("g-1"), Text("over"))


def furnish(world):
    world.dataset(HOSPITAL, "wdbc")
    world.dataset_version(HOSPITAL, "wdbc")
    return world


@pytest.fixture
def clinic(world):
    """A world in which the hospital has a data set with a version."""
    return furnish(world)


def give(world, **changes):
    values = {
        "grant": Name("g-1"),
        "grantee": LAB,
        "artifact": WDBC,
        "purpose": RESEARCH,
        "actions": (PROCESS,),
        "expires": Instant(world.at + MONTH),
    }
    world.submit(HOSPITAL, GrantAccess(**(values | changes)))


def attempt(world, by=LAB, command=ASK):
    """The record of an attempt that is made now."""
    event = world.submit(by, command)
    made = world.read(AccessAttempt, Digest.parse(event["attempt"]))
    assert (event["decision"], event.get("reason")) == (made.decision, made.reason)
    assert (made.by, made.at, made.grant) == (by, world.at, command.grant)
    return made


def decided(world, by=LAB, command=ASK):
    return attempt(world, by, command).reason or "allowed"


# --- Decisions --------------------------------------------------------------------------------------------------


def test_an_attempt_under_a_grant_is_allowed_and_written(clinic):
    give(clinic)
    made = attempt(clinic)
    assert (made.decision, made.owner, made.slot) == (AccessDecision.ALLOWED, HOSPITAL, None)
    assert clinic.shown("access-attempt", made.attempt)["artifact"] == WDBC


@pytest.mark.story("F6", "A grant of 30 days is in force up to the last second, and not at the end")
def test_a_grant_of_thirty_days_ends_on_the_millisecond(clinic):
    give(clinic)
    begun = clinic.now
    for passed, reason in (
        ({"days": 29}, "allowed"),
        ({"days": 30, "seconds": -1}, "allowed"),
        ({"days": 30, "milliseconds": -1}, "allowed"),
        ({"days": 30}, "expired"),
        ({"days": 31}, "expired"),
    ):
        clinic.now = begun
        clinic.wait(**passed)
        assert decided(clinic) == reason, passed


@pytest.mark.parametrize(
    ("changes", "by", "reason"),
    [
        ({"grant": Name("g-9")}, LAB, "no-such-grant"),
        ({}, REGULATOR, "another-organisation"),
        ({"recipient": ClientId("u-8")}, LAB, "another-user"),
        ({"recipient": None}, LAB, "another-user"),
        ({"artifact": Ref("dataset-version:wdbc:2")}, LAB, "another-version"),
        ({"artifact": PERMITTED}, LAB, "another-version"),
        ({"action": DOWNLOAD}, LAB, "another-action"),
        ({"purpose": CARE}, LAB, "another-purpose"),
    ],
)
def test_what_a_grant_does_not_cover_is_written_as_denied(clinic, changes, by, reason):
    give(clinic, recipient=ClientId("u-7"), uses=Count(1))
    ask = replace(ASK, recipient=ClientId("u-7"))
    made = attempt(clinic, by, replace(ask, **changes))
    assert (made.decision, made.reason, made.slot) == (AccessDecision.DENIED, reason, None)
    assert made.recipient_key_digest is None
    assert decided(clinic, LAB, ask) == "allowed", "what was denied took a use"


def test_without_a_grant_nobody_owns_the_attempt(clinic):
    assert attempt(clinic).owner is None


def test_an_attempt_is_to_data(clinic):
    refusal = clinic.refused(LAB, replace(ASK, artifact=Ref("model:net")))
    assert (refusal.code, refusal.pointer) == ("invalid-field", "/artifact")


def test_a_grant_is_not_in_force_before_its_time(clinic):
    give(clinic, not_before=Instant(clinic.at + 1_000))
    assert decided(clinic) == "not-yet"
    clinic.wait(seconds=1)
    assert decided(clinic) == "allowed"


def test_a_grant_that_is_suspended_revoked_or_expired_is_in_force_no_more(clinic):
    give(clinic)
    clinic.submit(HOSPITAL, SuspendAccess(Name("g-1"), Text("wait")))
    assert decided(clinic) == "suspended"
    clinic.submit(HOSPITAL, ResumeAccess(Name("g-1")))
    assert decided(clinic) == "allowed"
    clinic.submit(HOSPITAL, REVOKE)
    assert decided(clinic) == "revoked"


def test_a_revocation_is_in_force_for_an_attempt_that_is_dated_before_it(clinic):
    give(clinic)
    clinic.wait(seconds=10)
    clinic.submit(HOSPITAL, REVOKE)
    clinic.wait(seconds=-9)
    assert decided(clinic) == "revoked"


def test_that_a_grant_is_over_may_be_written_before_the_attempt(clinic):
    give(clinic)
    clinic.wait(days=30)
    clinic.submit(HOSPITAL, ExpireAccess(Name("g-1")))
    assert decided(clinic) == "expired"
    clinic.wait(seconds=-90)
    assert decided(clinic) == "expired", "an attempt that is dated back was allowed"


def test_an_attempt_that_was_held_until_after_a_revocation_is_invalid(clinic):
    give(clinic)
    held = clinic.simulate(LAB, ASK)
    assert clinic.answer["record"]["decision"] == "allowed"
    clinic.submit(HOSPITAL, REVOKE)
    assert not clinic.commit(held)
    assert decided(clinic) == "revoked"


def test_quarantined_data_is_denied_until_the_quarantine_lapses(clinic):
    give(clinic)
    clinic.submit(REGULATOR, Quarantine(WDBC, Text("poisoned")))
    assert decided(clinic) == "quarantined"
    clinic.wait(seconds=DEFAULT_LAPSE)
    assert decided(clinic) == "allowed"


def test_data_is_denied_once_a_withdrawal_has_marked_its_selection(world):
    said = Indication(ConsentStatus.GIVEN, Purposes(1), SignedInstant(0))
    root = Digest(sparsemerkle.leaf_hash(PATIENT, said.value()))
    world.dataset(HOSPITAL, "wdbc", basis=LawfulBasis.CONSENT)
    world.dataset_version(HOSPITAL, "wdbc")
    world.submit(HOSPITAL, OpenConsent(Name("wdbc"), root, Count(1)))
    left = (LeftOut(Text("no consent"), Count(2)),)
    world.submit(HOSPITAL, CommitSelection(WDBC, Name("permitted"), world.digest_of("p"), Count(8), purpose=RESEARCH,
                                           left_out=left, consent_map=MapState(Number(1), root)))  # fmt: skip
    give(world, artifact=PERMITTED)
    ask = replace(ASK, artifact=PERMITTED)
    assert decided(world, LAB, ask) == "allowed"
    held = world.simulate(LAB, ask)
    gone = Indication(ConsentStatus.WITHDRAWN, Purposes(0), SignedInstant(1))
    change = SubjectChange(PATIENT, gone, Blob(b""), said)
    world.submit(HOSPITAL, ChangeConsent(Name("wdbc"), Number(2), root, (change,), (PERMITTED,)))
    assert decided(world, LAB, ask) == "consent"
    assert not world.commit(held), "an attempt from before the withdrawal was valid after it"


# --- Uses -------------------------------------------------------------------------------------------------------


def test_the_fourth_of_three_uses_is_denied(clinic):
    give(clinic, uses=Count(3))
    slots = [attempt(clinic).slot for _ in range(3)]
    assert sorted(slots) == [1, 2, 3]
    last = attempt(clinic)
    assert (last.decision, last.reason, last.slot) == (AccessDecision.DENIED, "no-use-left", None)
    assert {clinic.read(AccessSlot, "g-1", slot).by for slot in slots} == {LAB}


def test_one_of_five_at_once_gets_the_last_use(clinic):
    give(clinic, uses=Count(1))
    held = [clinic.simulate(LAB, ASK) for _ in range(5)]
    assert [clinic.commit(each) for each in held] == [True, False, False, False, False]
    assert [decided(clinic) for _ in range(4)] == ["no-use-left"] * 4


def test_many_at_once_seldom_want_the_same_use(clinic):
    give(clinic, uses=Count(1_000))
    held = [clinic.simulate(LAB, ASK) for _ in range(50)]
    assert sum(clinic.commit(each) for each in held) >= 45


@given(transaction=st.binary(min_size=32, max_size=32), uses=st.integers(1, 1_000))
def test_every_use_is_looked_at_once(transaction, uses):
    found = [slot for look in looks(Digest(transaction), uses) for slot in look]
    assert sorted(found) == list(range(1, uses + 1))
    assert len(next(looks(Digest(transaction), uses))) == 1


# --- Histories --------------------------------------------------------------------------------------------------


class Histories(RuleBasedStateMachine):
    """Attempts, some of them held back, among all that an owner can do; the reference counts what was allowed."""

    make = None

    @initialize(uses=st.integers(0, 3))
    def begin(self, uses):
        self.world = furnish(type(self).make())
        give(self.world, uses=Count(uses))
        self.uses, self.taken, self.held = uses, 0, []
        self.ends = self.world.at + MONTH
        self.status = "active"

    def expected(self):
        if self.status in {"revoked", "suspended"}:
            return self.status
        if self.world.at >= self.ends:
            return "expired"
        return "no-use-left" if self.uses and self.taken == self.uses else "allowed"

    @rule()
    def attempt(self):
        expected = self.expected()
        assert decided(self.world) == expected
        self.taken += expected == "allowed"

    @rule()
    def hold(self):
        self.held.append((self.world.simulate(LAB, ASK), self.world.answer["record"]["decision"], self.status))

    @rule()
    def release(self):
        while self.held:
            held, decision, status = self.held.pop()
            valid = self.world.commit(held)
            if valid and decision == "allowed":
                assert self.status == status == "active", "an attempt was allowed under a grant that is stopped"
                self.taken += 1
            assert not self.uses or self.taken <= self.uses, "a grant was used once too often"

    @rule(days=st.integers(0, 12))
    def wait(self, days):
        self.world.wait(days=days)

    @rule()
    def suspend(self):
        self.change(SuspendAccess(Name("g-1"), Text("x")), {"active"}, "suspended")

    @rule()
    def resume(self):
        self.change(ResumeAccess(Name("g-1")), {"suspended"}, "active")

    @rule()
    def revoke(self):
        self.change(REVOKE, {"active", "suspended"}, "revoked")

    def change(self, command, wanted, status):
        if self.status in wanted:
            self.world.submit(HOSPITAL, command)
            self.status = status
        else:
            assert self.world.refused(HOSPITAL, command).code == "wrong-grant-status"


def test_no_history_of_attempts_allows_one_too_many(make_world):
    def make():
        world = make_world()
        world.found()
        return world

    histories = type("Made", (Histories,), {"make": staticmethod(make)})
    run_state_machine_as_test(
        histories, settings=settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    )

# SPDX-License-Identifier: Apache-2.0
"""Access through the contracts: what an owner offers, what is asked for, what is granted, and every refusal."""

from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chaincode.domain import errors, sparsemerkle
from chaincode.domain.access import AccessAction, AccessOffer, AccessPolicy, SetAccessPolicy
from chaincode.domain.asking import AccessApproval, AccessRequest, ApproveAccess, DenyAccess, RequestAccess, Word
from chaincode.domain.attempting import AccessBatch, AnchorAccess
from chaincode.domain.consent import ChangeConsent, ConsentStatus, Indication, OpenConsent, SubjectChange
from chaincode.domain.granting import GrantAccess
from chaincode.domain.grants import (
    AccessGrant,
    AccessReview,
    ExpireAccess,
    GrantStatus,
    ResumeAccess,
    ReviewAccess,
    RevokeAccess,
    SuspendAccess,
)
from chaincode.domain.policy import Member
from chaincode.domain.provenance import LawfulBasis
from chaincode.domain.purposes import RegisterPurpose
from chaincode.domain.selection import CommitSelection, LeftOut, MapState
from chaincode.domain.values import (
    SKEW,
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
    Role,
    Seconds,
    SignedInstant,
    Text,
)  # fmt: skip

HOSPITAL, LAB, REGULATOR, MAKER = OrgId("HospitalMSP"), OrgId("LabMSP"), OrgId("RegulatorMSP"), OrgId("MakerMSP")
WDBC, PERMITTED = Ref("dataset-version:wdbc:1"), Ref("selection:wdbc:1:permitted")
RESEARCH, CARE = Iri("https://w3id.org/dpv#ScientificResearch"), Iri("https://w3id.org/dpv#CommercialPurpose")
OWN = Iri("https://hospital.example/purposes#Cohort7")
DOWNLOAD, PROCESS = AccessAction.DOWNLOAD, AccessAction.PROCESS
DAY = 86_400
PATIENT = Digest(b"\x07" * 32)
GIVEN = Indication(ConsentStatus.GIVEN, Purposes(1), SignedInstant(0))
GRANT, REQUEST = Ref("access-grant:g-1"), Ref("access-request:q-1")


@pytest.fixture
def clinic(world):
    """A world in which the hospital has a data set with a version."""
    world.dataset(HOSPITAL, "wdbc")
    world.dataset_version(HOSPITAL, "wdbc")
    return world


def terms(**changes):
    values = {
        "dataset": Name("wdbc"),
        "number": Number(1),
        "purposes": (RESEARCH,),
        "actions": (PROCESS,),
        "longest": Seconds(30 * DAY),
        "most_uses": Count(3),
    }
    return SetAccessPolicy(**(values | changes))


def asking(world, **changes):
    values = {
        "request": Name("q-1"),
        "artifact": WDBC,
        "purpose": RESEARCH,
        "actions": (PROCESS,),
        "expires": Instant(world.at + 30_000 * DAY),
        "uses": Count(3),
    }
    return RequestAccess(**(values | changes))


def giving(world, **changes):
    values = {
        "grant": Name("g-1"),
        "grantee": LAB,
        "artifact": WDBC,
        "purpose": RESEARCH,
        "actions": (PROCESS,),
        "expires": Instant(world.at + 30_000 * DAY),
        "uses": Count(3),
    }
    return GrantAccess(**(values | changes))


def answering(**changes):
    return GrantAccess(**({"grant": Name("g-1"), "request": Name("q-1")} | changes))


def public_key():
    key = ec.derive_private_key(7, ec.SECP256R1()).public_key()
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


# --- What an owner offers ---------------------------------------------------------------------------------------


def test_an_owner_sets_versions_of_an_access_policy(clinic):
    event = clinic.submit(HOSPITAL, terms(conditions=Text("no attempt to identify anyone")))
    assert (event["name"], event["owner"], event["number"]) == ("AccessPolicySet", HOSPITAL, 1)
    clinic.wait(days=1)
    clinic.submit(HOSPITAL, terms(number=Number(2), purposes=(RESEARCH, CARE), most_uses=None))
    first, second = clinic.read(AccessPolicy, "wdbc", 1), clinic.read(AccessPolicy, "wdbc", 2)
    assert (first.purposes, first.most_uses, second.most_uses) == ((RESEARCH,), 3, 0)
    assert clinic.read(AccessOffer, "wdbc") == AccessOffer(Name("wdbc"), HOSPITAL, Number(2), clinic.at)
    assert clinic.refused(HOSPITAL, terms()) == errors.AlreadyExists("access-policy:wdbc:1")
    refusal = clinic.refused(HOSPITAL, terms(number=Number(4)))
    assert refusal == errors.VersionOutOfOrder("access-offer:wdbc", 4, 3)


def test_only_the_owner_of_a_data_set_offers_it(clinic):
    assert clinic.refused(LAB, terms()) == errors.NotTheOwner("dataset:wdbc", HOSPITAL, LAB)
    assert clinic.refused(LAB, terms(dataset=Name("none"))) == errors.RecordNotFound("dataset:none")


def test_a_purpose_is_everybodys_or_one_that_the_owner_registered(clinic):
    refusal = clinic.refused(HOSPITAL, terms(purposes=(RESEARCH, OWN)))
    assert (refusal.code, refusal.pointer) == ("invalid-field", "/purposes/1")
    clinic.submit(HOSPITAL, RegisterPurpose(Number(32), OWN))
    clinic.submit(HOSPITAL, terms(purposes=(RESEARCH, OWN)))


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"purposes": ()}, "invalid-field", "/purposes"),
        ({"actions": ()}, "invalid-field", "/actions"),
        ({"purposes": (RESEARCH, RESEARCH)}, "repeated-entry", "/purposes"),
        ({"actions": (PROCESS, PROCESS)}, "repeated-entry", "/actions"),
        ({"organisations": (LAB, LAB)}, "repeated-entry", "/organisations"),
        ({"roles": (Role("trainer"), Role("trainer"))}, "repeated-entry", "/roles"),
        ({"approvers": (REGULATOR, REGULATOR)}, "repeated-entry", "/approvers"),
        ({"approvers": (HOSPITAL,)}, "invalid-field", "/approvers"),
        ({"most_uses": Count(1_001)}, "invalid-field", "/most_uses"),
    ],
)
def test_an_access_policy_says_something(clinic, changes, code, pointer):
    refusal = clinic.refused(HOSPITAL, terms(**changes))
    assert (refusal.code, refusal.pointer) == (code, pointer)


# --- What is asked for ------------------------------------------------------------------------------------------


def test_a_request_says_who_asks_for_what(clinic):
    clinic.submit(HOSPITAL, terms())
    key = Blob(public_key())
    event = clinic.submit(LAB, asking(clinic, recipient=ClientId("u-7"), recipient_key=key, justification=Text("why")))
    assert (event["name"], event["by"], event["owner"], event["artifact"]) == ("AccessRequested", LAB, HOSPITAL, WDBC)
    request = clinic.read(AccessRequest, "q-1")
    assert (request.recipient, request.recipient_key, request.policy) == ("u-7", key, 1)
    assert request.recipient_key_digest == sha256(key).digest()
    assert request.not_before == clinic.at
    assert clinic.refused(LAB, asking(clinic)) == errors.AlreadyExists(REQUEST)


def test_without_an_access_policy_anything_may_be_asked_for(clinic):
    clinic.submit(LAB, asking(clinic, purpose=CARE, actions=(DOWNLOAD, PROCESS), uses=None))
    request = clinic.read(AccessRequest, "q-1")
    assert (request.policy, request.uses, request.recipient_key_digest) == (None, 0, None)


@pytest.mark.parametrize("artifact", ["dataset:wdbc", "model-version:net:1"])
def test_access_is_to_data(clinic, artifact):
    refusal = clinic.refused(LAB, asking(clinic, artifact=Ref(artifact)))
    assert (refusal.code, refusal.pointer) == ("invalid-field", "/artifact")


def test_access_is_asked_to_what_is_there_and_another_organisations(clinic):
    gone = Ref("dataset-version:wdbc:2")
    assert clinic.refused(LAB, asking(clinic, artifact=gone)) == errors.RecordNotFound(gone)
    assert clinic.refused(HOSPITAL, asking(clinic)) == errors.OwnData(WDBC, HOSPITAL)


@pytest.mark.parametrize(
    ("changes", "given", "allowed"),
    [
        ({"purpose": CARE}, f"the purpose {CARE}", RESEARCH),
        ({"actions": (PROCESS, DOWNLOAD)}, "the action download", "process"),
        ({"uses": Count(4)}, "4 uses", "3 at most"),
        ({"uses": None}, "uses without number", "3 at most"),
    ],
)
def test_a_request_keeps_to_the_access_policy(clinic, changes, given, allowed):
    clinic.submit(HOSPITAL, terms())
    refusal = clinic.refused(LAB, asking(clinic, **changes))
    assert refusal == errors.OutsideAccessPolicy(REQUEST, "wdbc", 1, given, allowed)


def test_a_request_is_for_no_longer_than_the_access_policy_allows(clinic):
    clinic.submit(HOSPITAL, terms())
    clinic.submit(LAB, asking(clinic))
    longer = asking(clinic, request=Name("q-2"), expires=Instant(clinic.at + 30_000 * DAY + 1))
    assert clinic.refused(LAB, longer).code == "outside-access-policy"


def test_who_may_ask_is_named_or_has_a_role(clinic):
    clinic.submit(HOSPITAL, terms(organisations=(MAKER,), roles=(Role("auditor"),)))
    refusal = clinic.refused(LAB, asking(clinic))
    assert refusal == errors.NotAmongAskers("wdbc", 1, "MakerMSP, members with the role auditor", LAB)
    clinic.submit(REGULATOR, asking(clinic))
    clinic.submit(HOSPITAL, terms(number=Number(2), organisations=(LAB,)))
    clinic.submit(LAB, asking(clinic, request=Name("q-2")))


def test_an_organisation_that_is_no_member_has_no_role(clinic):
    clinic.submit(HOSPITAL, terms(roles=(Role("auditor"),)))
    assert clinic.refused(MAKER, asking(clinic)).code == "not-among-askers"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"actions": ()}, "invalid-field"),
        ({"actions": (PROCESS, PROCESS)}, "repeated-entry"),
        ({"uses": Count(1_001)}, "invalid-field"),
    ],
)
def test_a_request_says_something(clinic, changes, code):
    assert clinic.refused(LAB, asking(clinic, **changes)).code == code


def test_a_request_is_not_for_the_past(clinic):
    early = Instant(clinic.at - SKEW - 1)
    refusal = clinic.refused(LAB, asking(clinic, not_before=early))
    assert refusal == errors.AccessBackdated("/not_before", early, clinic.at)
    refusal = clinic.refused(LAB, asking(clinic, expires=clinic.at))
    assert refusal == errors.AccessEndsBeforeItStarts(clinic.at, clinic.at, clinic.at)
    later = Instant(clinic.at + 10)
    refusal = clinic.refused(LAB, asking(clinic, not_before=later, expires=later))
    assert refusal == errors.AccessEndsBeforeItStarts(later, later, clinic.at)


@pytest.mark.parametrize("spoil", [lambda key: key[:-1], lambda key: b"\x00" + key[1:], lambda key: key[:-1] + b"\x00"])
def test_a_recipients_key_is_a_point_of_the_curve(clinic, spoil):
    refusal = clinic.refused(LAB, asking(clinic, recipient_key=Blob(spoil(public_key()))))
    assert (refusal.code, refusal.pointer) == ("invalid-field", "/recipient_key")


# --- Who has a say ----------------------------------------------------------------------------------------------


@pytest.fixture
def asked(clinic):
    """A world in which the lab asks for what the regulator must approve."""
    clinic.submit(HOSPITAL, terms(approvers=(REGULATOR,)))
    clinic.submit(LAB, asking(clinic))
    return clinic


def test_what_another_must_approve_is_granted_after_that(asked):
    assert asked.refused(HOSPITAL, answering()) == errors.ApprovalMissing(GRANT, (REGULATOR,))
    assert "RegulatorMSP" in str(errors.ApprovalMissing(GRANT, (REGULATOR,)))
    event = asked.submit(REGULATOR, ApproveAccess(Name("q-1"), Text("approved by the board")))
    assert (event["name"], event["by"]) == ("AccessApproved", REGULATOR)
    word = AccessApproval(Name("q-1"), REGULATOR, asked.at, Word.APPROVED, Text("approved by the board"))
    assert asked.read(AccessApproval, "q-1", REGULATOR) == word
    event = asked.submit(HOSPITAL, answering())
    assert (event["name"], event["owner"], event["grantee"]) == ("AccessGranted", HOSPITAL, LAB)


def test_without_a_request_nothing_is_granted_that_others_must_approve(asked):
    assert asked.refused(HOSPITAL, giving(asked)) == errors.ApprovalMissing(GRANT, (REGULATOR,))


def test_what_was_denied_is_not_granted(asked):
    asked.submit(REGULATOR, DenyAccess(Name("q-1"), Text("no")))
    assert asked.refused(HOSPITAL, answering()) == errors.RequestDenied(REQUEST, REGULATOR)
    assert asked.refused(HOSPITAL, answering(emergency=Text("now"))) == errors.RequestDenied(REQUEST, REGULATOR)


def test_the_owner_denies_too(asked):
    asked.submit(HOSPITAL, DenyAccess(Name("q-1"), Text("no")))
    asked.submit(REGULATOR, ApproveAccess(Name("q-1")))
    assert asked.refused(HOSPITAL, answering()) == errors.RequestDenied(REQUEST, HOSPITAL)


def test_only_who_has_a_say_says_it_and_once(asked):
    name = Name("q-1")
    refusal = asked.refused(LAB, ApproveAccess(name))
    assert refusal == errors.NotAnApprover(REQUEST, LAB, "RegulatorMSP")
    assert asked.refused(HOSPITAL, ApproveAccess(name)).code == "not-an-approver"
    asked.submit(REGULATOR, ApproveAccess(name))
    refusal = asked.refused(REGULATOR, DenyAccess(name, Text("no")))
    assert refusal == errors.AlreadyDecided(REQUEST, REGULATOR, "approved")
    for command in (ApproveAccess(Name("q-9")), DenyAccess(Name("q-9"), Text("no"))):
        assert asked.refused(REGULATOR, command) == errors.RecordNotFound("access-request:q-9")


def test_without_an_access_policy_nobody_approves(clinic):
    clinic.submit(LAB, asking(clinic))
    assert clinic.refused(REGULATOR, ApproveAccess(Name("q-1"))).approvers == "nobody else"


# --- What is granted --------------------------------------------------------------------------------------------


def test_a_grant_answers_a_request_with_what_was_asked_for(clinic):
    key = Blob(public_key())
    clinic.submit(LAB, asking(clinic, recipient=ClientId("u-7"), recipient_key=key))
    clinic.wait(days=1)
    clinic.submit(HOSPITAL, answering())
    request, grant = clinic.read(AccessRequest, "q-1"), clinic.read(AccessGrant, "g-1")
    for name in ("artifact", "purpose", "actions", "expires", "uses", "recipient", "recipient_key",
                 "recipient_key_digest"):  # fmt: skip
        assert getattr(grant, name) == getattr(request, name), name
    assert (grant.owner, grant.grantee, grant.status) == (HOSPITAL, LAB, GrantStatus.ACTIVE)
    assert grant.not_before == grant.granted_at == clinic.at
    assert clinic.refused(HOSPITAL, answering()) == errors.AlreadyExists(GRANT)


def test_a_grant_gives_less_than_was_asked_for(clinic):
    clinic.submit(LAB, asking(clinic, actions=(PROCESS, DOWNLOAD)))
    begins, ends = Instant(clinic.at + 1_000), Instant(clinic.at + 2_000)
    less = answering(actions=(PROCESS,), not_before=begins, expires=ends, uses=Count(1))
    clinic.submit(HOSPITAL, less)
    grant = clinic.read(AccessGrant, "g-1")
    assert (grant.actions, grant.not_before, grant.expires, grant.uses) == ((PROCESS,), begins, ends, 1)


def test_a_request_for_as_many_uses_as_there_are_is_granted_with_any_number(clinic):
    clinic.submit(LAB, asking(clinic, uses=None))
    clinic.submit(HOSPITAL, answering(uses=Count(5)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("grantee", REGULATOR),
        ("artifact", Ref("dataset-version:wdbc:2")),
        ("purpose", CARE),
        ("actions", (PROCESS, DOWNLOAD)),
        ("not_before", -1),
        ("expires", 1),
        ("uses", Count(4)),
        ("uses", Count(0)),
        ("recipient", ClientId("u-8")),
        ("recipient_key", True),
    ],
)
def test_a_grant_gives_no_more_than_was_asked_for(clinic, field, value):
    begins = Instant(clinic.at + 100)
    request = asking(clinic, not_before=begins, recipient=ClientId("u-7"), recipient_key=Blob(public_key()))
    clinic.submit(LAB, request)
    if field == "artifact":
        clinic.dataset(HOSPITAL, "other")
        clinic.dataset_version(HOSPITAL, "other")
        value = Ref("dataset-version:other:1")
    elif field == "not_before":
        value = Instant(begins + value)
    elif field == "expires":
        value = Instant(request.expires + value)
    elif field == "recipient_key":
        other = ec.derive_private_key(8, ec.SECP256R1()).public_key()
        value = Blob(other.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
    refusal = clinic.refused(HOSPITAL, answering(**{field: value}))
    assert (refusal.code, refusal.field, refusal.source) == ("grant-wider-than-asked", field, REQUEST)


def test_a_grant_needs_no_request(clinic):
    clinic.submit(HOSPITAL, giving(clinic, uses=None, recipient=ClientId("u-7")))
    grant = clinic.read(AccessGrant, "g-1")
    assert (grant.request, grant.uses, grant.recipient, grant.recipient_key) == (None, 0, "u-7", None)


@pytest.mark.parametrize("field", ["grantee", "artifact", "purpose", "actions", "expires"])
def test_a_grant_without_a_request_says_all_of_it(clinic, field):
    assert clinic.refused(HOSPITAL, giving(clinic, **{field: None})) == errors.MissingField(f"/{field}")


def test_only_the_owner_grants_and_to_another_member(clinic):
    assert clinic.refused(LAB, giving(clinic)) == errors.NotTheOwner(WDBC, HOSPITAL, LAB)
    assert clinic.refused(HOSPITAL, giving(clinic, grantee=HOSPITAL)) == errors.OwnData(WDBC, HOSPITAL)
    assert clinic.refused(HOSPITAL, giving(clinic, grantee=MAKER)) == errors.NotAMember(MAKER)


def test_a_grant_keeps_to_the_access_policy(clinic):
    clinic.submit(HOSPITAL, terms())
    assert clinic.refused(HOSPITAL, giving(clinic, purpose=CARE)).code == "outside-access-policy"


def test_a_grant_names_what_is_there(clinic):
    assert clinic.refused(HOSPITAL, answering()) == errors.RecordNotFound(REQUEST)
    refusal = clinic.refused(HOSPITAL, giving(clinic, renews=Name("g-0")))
    assert refusal == errors.RecordNotFound("access-grant:g-0")


def test_without_a_consortiums_policy_nobody_is_a_member(empty_world):
    empty_world.found()
    empty_world.dataset(HOSPITAL, "wdbc")
    empty_world.dataset_version(HOSPITAL, "wdbc")
    del empty_world.state[next(key for key in empty_world.state if key == "\x00policy\x00")]
    assert empty_world.refused(HOSPITAL, giving(empty_world)) == errors.NotAMember(LAB)


# --- Consent ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=[LawfulBasis.CONSENT, LawfulBasis.HIPAA_AUTHORISATION])
def consented(world, request):
    """A world in which a patient gave the record, and the hospital selected what may be used for research."""
    world.dataset(HOSPITAL, "wdbc", basis=request.param)
    world.dataset_version(HOSPITAL, "wdbc")
    root = Digest(sparsemerkle.leaf_hash(PATIENT, GIVEN.value()))
    world.submit(HOSPITAL, OpenConsent(Name("wdbc"), root, Count(1)))
    world.submit(HOSPITAL, selecting(world, consent_map=MapState(Number(1), root), purpose=RESEARCH))
    return world


def selecting(world, **changes):
    values = {
        "version": WDBC,
        "selection": Name("permitted"),
        "root": world.digest_of("permitted"),
        "size": Count(8),
        "left_out": (LeftOut(Text("no consent"), Count(2)),),
    }
    return CommitSelection(**(values | changes))


def withdrawal():
    change = SubjectChange(
        PATIENT, Indication(ConsentStatus.WITHDRAWN, Purposes(0), SignedInstant(1)), Blob(b""), GIVEN
    )
    root = Digest(sparsemerkle.leaf_hash(PATIENT, GIVEN.value()))
    return ChangeConsent(Name("wdbc"), Number(2), root, (change,), (PERMITTED,))


def test_what_subjects_gave_is_granted_as_a_selection_for_its_purpose(consented):
    refusal = consented.refused(HOSPITAL, giving(consented))
    assert (refusal.code, refusal.reference, refusal.version) == ("selection-missing", GRANT, WDBC)
    refusal = consented.refused(HOSPITAL, giving(consented, artifact=PERMITTED, purpose=CARE))
    assert refusal == errors.PurposeDiffers(PERMITTED, RESEARCH, CARE)
    consented.submit(HOSPITAL, giving(consented, artifact=PERMITTED))


def test_a_selection_for_no_purpose_is_not_granted_where_subjects_gave_the_data(consented):
    consented.submit(HOSPITAL, selecting(consented, selection=Name("half"), root=consented.digest_of("half")))
    refusal = consented.refused(HOSPITAL, giving(consented, artifact=Ref("selection:wdbc:1:half")))
    assert refusal.code == "selection-missing"


def test_a_selection_from_an_older_map_than_is_in_force_is_not_granted(consented):
    consented.submit(HOSPITAL, withdrawal())
    refusal = consented.refused(HOSPITAL, giving(consented, artifact=PERMITTED))
    assert refusal == errors.SelectionOutdated(PERMITTED, 1, consented.at, GRANT, consented.at)


def test_a_change_of_consent_that_is_ordered_first_makes_a_grant_invalid(consented):
    held = consented.simulate(HOSPITAL, giving(consented, artifact=PERMITTED))
    consented.submit(HOSPITAL, withdrawal())
    assert not consented.commit(held)


# --- How a grant changes ----------------------------------------------------------------------------------------


@pytest.fixture
def granted(clinic):
    """A world in which the lab has a grant for 30 days."""
    clinic.submit(HOSPITAL, giving(clinic))
    return clinic


def test_a_grant_is_suspended_resumed_and_revoked(granted):
    name, before = Name("g-1"), granted.read(AccessGrant, "g-1")
    granted.wait(hours=1)
    event = granted.submit(HOSPITAL, SuspendAccess(name, Text("wait")))
    assert (event["name"], event["grantee"]) == ("AccessSuspended", LAB)
    changed = replace(before, status=GrantStatus.SUSPENDED, changed_at=granted.at, reason=Text("wait"))
    assert granted.read(AccessGrant, "g-1") == changed
    assert granted.submit(HOSPITAL, ResumeAccess(name))["name"] == "AccessResumed"
    assert granted.submit(HOSPITAL, RevokeAccess(name, Text("over")))["name"] == "AccessRevoked"


@pytest.mark.parametrize(
    ("status", "command", "step", "wanted"),
    [
        (GrantStatus.SUSPENDED, SuspendAccess(Name("g-1"), Text("x")), "suspend", "active"),
        (GrantStatus.ACTIVE, ResumeAccess(Name("g-1")), "resume", "suspended"),
        (GrantStatus.REVOKED, ResumeAccess(Name("g-1")), "resume", "suspended"),
        (GrantStatus.REVOKED, RevokeAccess(Name("g-1"), Text("x")), "revoke", "active or suspended"),
        (GrantStatus.REVOKED, ExpireAccess(Name("g-1")), "expire", "active or suspended"),
    ],
)
def test_a_grant_is_in_the_status_that_a_change_needs(granted, status, command, step, wanted):
    if status is not GrantStatus.ACTIVE:
        kind = SuspendAccess if status is GrantStatus.SUSPENDED else RevokeAccess
        granted.submit(HOSPITAL, kind(Name("g-1"), Text("before")))
    assert granted.refused(HOSPITAL, command) == errors.WrongGrantStatus(GRANT, status, step, wanted)


@pytest.mark.parametrize(
    "command",
    [
        SuspendAccess(Name("g-1"), Text("x")),
        ResumeAccess(Name("g-1")),
        RevokeAccess(Name("g-1"), Text("x")),
        ExpireAccess(Name("g-1")),
    ],
    ids=lambda command: type(command).__name__,
)
def test_only_the_owner_changes_a_grant_that_is_there(granted, command):
    assert granted.refused(LAB, command) == errors.NotTheOwner(GRANT, HOSPITAL, LAB)
    gone = replace(command, grant=Name("g-9"))
    assert granted.refused(HOSPITAL, gone) == errors.RecordNotFound("access-grant:g-9")


def test_that_a_grant_is_over_is_written_when_it_is(granted):
    ends = granted.read(AccessGrant, "g-1").expires
    granted.wait(days=30, milliseconds=-1)
    assert granted.refused(HOSPITAL, ExpireAccess(Name("g-1"))) == errors.GrantStillRuns(GRANT, ends, granted.at)
    granted.wait(milliseconds=1)
    assert granted.submit(HOSPITAL, ExpireAccess(Name("g-1")))["name"] == "AccessExpired"
    assert granted.read(AccessGrant, "g-1").status is GrantStatus.EXPIRED


# --- Renewal and emergencies ------------------------------------------------------------------------------------


def test_a_grant_is_renewed_by_one_that_names_it(granted):
    granted.wait(days=29)
    again = GrantAccess(Name("g-2"), renews=Name("g-1"), expires=Instant(granted.at + 30_000 * DAY))
    granted.submit(HOSPITAL, again)
    old, new = granted.read(AccessGrant, "g-1"), granted.read(AccessGrant, "g-2")
    kept = {"grant": old.grant, "renews": None, "expires": old.expires}
    moments = {"granted_at": old.granted_at, "not_before": old.not_before, "changed_at": old.changed_at}
    assert replace(new, **kept, **moments) == old
    assert (new.renews, new.granted_at) == ("g-1", granted.at)


def test_a_renewal_says_until_when(granted):
    refusal = granted.refused(HOSPITAL, GrantAccess(Name("g-2"), renews=Name("g-1")))
    assert refusal == errors.MissingField("/expires")


@pytest.mark.parametrize("changes", [{"grantee": REGULATOR}, {"purpose": CARE}, {"artifact": "other"}])
def test_a_renewal_is_for_the_same(granted, changes):
    ((field, value),) = changes.items()
    if field == "artifact":
        granted.dataset(HOSPITAL, "other")
        granted.dataset_version(HOSPITAL, "other")
        value = Ref("dataset-version:other:1")
    again = GrantAccess(Name("g-2"), renews=Name("g-1"), expires=Instant(granted.at + 1), **{field: value})
    refusal = granted.refused(HOSPITAL, again)
    assert (refusal.code, refusal.field, refusal.source) == ("grant-wider-than-asked", field, GRANT)


def test_a_request_is_answered_by_a_renewal(granted):
    granted.submit(LAB, asking(granted))
    granted.submit(HOSPITAL, answering(grant=Name("g-2"), renews=Name("g-1")))
    assert granted.read(AccessGrant, "g-2").request == "q-1"


def test_an_emergency_does_not_wait_for_approval_and_is_looked_at_afterwards(asked):
    asked.submit(HOSPITAL, giving(asked, emergency=Text("the ward is on fire")))
    refusal = asked.refused(HOSPITAL, ReviewAccess(Name("g-1"), True, Text("fine")))
    assert refusal == errors.OwnGrant(GRANT, HOSPITAL, LAB)
    assert asked.refused(LAB, ReviewAccess(Name("g-1"), True, Text("fine"))).code == "own-grant"
    assert asked.refused(MAKER, ReviewAccess(Name("g-1"), True, Text("fine"))) == errors.NotAMember(MAKER)
    event = asked.submit(REGULATOR, ReviewAccess(Name("g-1"), False, Text("it was not on fire")))
    assert (event["name"], event["by"], event["justified"]) == ("AccessReviewed", REGULATOR, False)
    review = AccessReview(Name("g-1"), REGULATOR, asked.at, False, Text("it was not on fire"))
    assert asked.read(AccessReview, "g-1", REGULATOR) == review
    assert asked.refused(REGULATOR, ReviewAccess(Name("g-1"), True, Text("fine"))).code == "already-exists"


def test_only_an_emergency_is_looked_at_afterwards(granted):
    assert granted.refused(REGULATOR, ReviewAccess(Name("g-1"), True, Text("x"))) == errors.NotEmergency(GRANT)
    refusal = granted.refused(REGULATOR, ReviewAccess(Name("g-9"), True, Text("x")))
    assert refusal == errors.RecordNotFound("access-grant:g-9")


def test_a_member_of_a_consortium_without_a_policy_looks_at_nothing(asked):
    asked.submit(HOSPITAL, giving(asked, emergency=Text("now")))
    del asked.state[next(key for key in asked.state if key == "\x00policy\x00")]
    assert asked.refused(REGULATOR, ReviewAccess(Name("g-1"), True, Text("x"))) == errors.NotAMember(REGULATOR)


# --- Lists of reads ---------------------------------------------------------------------------------------------


def anchoring(world, **changes):
    values = {"number": Number(1), "root": Digest(bytes(32)), "size": Count(5), "since": Instant(world.at - 1_000)}
    return AnchorAccess(**({"until": world.at} | values | changes))


def test_reads_that_are_too_many_are_anchored_by_a_root(clinic):
    event = clinic.submit(HOSPITAL, anchoring(clinic))
    assert (event["name"], event["owner"], event["size"]) == ("AccessAnchored", HOSPITAL, 5)
    clinic.submit(HOSPITAL, anchoring(clinic, number=Number(2)))
    clinic.submit(LAB, anchoring(clinic))
    assert clinic.read(AccessBatch, HOSPITAL, 2).root == Digest(bytes(32))
    assert clinic.refused(HOSPITAL, anchoring(clinic)).code == "already-exists"
    assert clinic.refused(HOSPITAL, anchoring(clinic, number=Number(4))).code == "version-out-of-order"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"size": Count(0)}, "invalid-field"),
        ({"since": 1}, "invalid-field"),
        ({"until": SKEW + 1}, "dated-in-the-future"),
    ],
)
def test_a_list_of_reads_has_some_and_is_of_the_past(clinic, changes, code):
    given = {name: Instant(clinic.at + value) if name != "size" else value for name, value in changes.items()}
    assert clinic.refused(HOSPITAL, anchoring(clinic, **given)).code == code


# --- Members that join ------------------------------------------------------------------------------------------


def test_a_grant_to_a_member_of_four(empty_world):
    members = (*empty_world.founding_policy().members, Member(MAKER))
    empty_world.found(members=members)
    empty_world.dataset(HOSPITAL, "wdbc")
    empty_world.dataset_version(HOSPITAL, "wdbc")
    empty_world.submit(HOSPITAL, giving(empty_world, grantee=MAKER))
    assert empty_world.policies["\x00access-grant\x00g-1\x00"].startswith("OutOf(2,'HospitalMSP.peer',")


# --- Grants whose reads are listed ------------------------------------------------------------------------------


def batched(world, **changes):
    values = {"actions": (AccessAction.DOWNLOAD,), "uses": None, "batched": True}
    return giving(world, **(values | changes))


def test_a_grant_says_that_reads_need_no_transaction_each_and_so_does_its_renewal(clinic):
    clinic.submit(HOSPITAL, batched(clinic))
    assert clinic.shown("access-grant", "g-1")["batched"] is True
    renewal = {"grant": Name("g-2"), "renews": Name("g-1"), "expires": Instant(clinic.at + DAY)}
    clinic.submit(HOSPITAL, GrantAccess(**renewal))
    assert clinic.shown("access-grant", "g-2")["batched"] is True
    clinic.submit(HOSPITAL, GrantAccess(**{**renewal, "grant": Name("g-3"), "batched": False}))
    assert clinic.shown("access-grant", "g-3")["batched"] is False
    clinic.submit(HOSPITAL, giving(clinic, grant=Name("g-4")))
    assert "batched" not in clinic.shown("access-grant", "g-4")


@pytest.mark.parametrize("changes", [{"uses": Count(3)}, {"actions": (PROCESS,)}])
def test_what_is_counted_or_processed_has_a_transaction_each(clinic, changes):
    refusal = clinic.refused(HOSPITAL, batched(clinic, **changes))
    assert (refusal.code, refusal.pointer) == ("invalid-field", "/batched")

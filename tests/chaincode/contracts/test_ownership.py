# SPDX-License-Identifier: Apache-2.0
"""Past every gateway: a member whose certificate counts sends commands about records that are not its own.

The gateways' table of permissions says of each command whose record it may be about, and with which code the law
refuses it else. Each of these is sent here to the contracts by the wrong member, after all that it needs is there.
"""

from dataclasses import replace
from hashlib import sha256

import pytest

from chaincode.domain import sparsemerkle
from chaincode.domain.access import AccessAction, SetAccessPolicy
from chaincode.domain.asking import ApproveAccess, DenyAccess, RequestAccess
from chaincode.domain.consent import (
    ChangeConsent,
    ConsentStatus,
    Indication,
    MarkSelections,
    OpenConsent,
    SubjectChange,
)
from chaincode.domain.counterclaim import AnswerClaim, StateClaim, WithdrawClaim
from chaincode.domain.deployment import EndDeployment, RecordDeployment
from chaincode.domain.endorsement import Endorse
from chaincode.domain.evidence import Decision
from chaincode.domain.granting import GrantAccess
from chaincode.domain.grants import ExpireAccess, ResumeAccess, ReviewAccess, RevokeAccess, SuspendAccess
from chaincode.domain.lifecycle import Advance, Quarantine, Release
from chaincode.domain.model import DeclareParent, Relation
from chaincode.domain.policy import Stage
from chaincode.domain.provenance import LawfulBasis
from chaincode.domain.register import FUNCTION_OF
from chaincode.domain.selection import CommitSelection, LeftOut
from chaincode.domain.submission import Submit
from chaincode.domain.values import (
    Blob,
    Count,
    Digest,
    Instant,
    Iri,
    Name,
    Number,
    OrgId,
    Purposes,
    Ref,
    Seconds,
    SignedInstant,
    Text,
)  # fmt: skip
from chaincode.domain.withdrawal import Withdraw
from gateway.api.permissions import PERMISSION_OF_COMMAND

HOSPITAL, LAB, REGULATOR = OrgId("HospitalMSP"), OrgId("LabMSP"), OrgId("RegulatorMSP")
NET, BASE, WDBC = Ref("model-version:net:1"), Ref("model-version:base:1"), Ref("dataset-version:wdbc:1")
DONE = Ref("model-version:done:1")
PERMITTED = Ref("selection:wdbc:1:permitted")
RESEARCH = Iri("https://w3id.org/dpv#ScientificResearch")
PATIENT = Digest(b"\x07" * 32)
GIVEN = Indication(ConsentStatus.GIVEN, Purposes(1), SignedInstant(0))
WITHDRAWN = Indication(ConsentStatus.WITHDRAWN, Purposes(0), SignedInstant(1))
REFUSABLE = {command: row.refused_else for command, row in PERMISSION_OF_COMMAND.items() if row.refused_else}


def root_of(said):
    return Digest(sparsemerkle.leaf_hash(PATIENT, said.value()))


@pytest.fixture
def settled(world):
    """The hospital's data, map, deployment, policy and grant; the lab's models, of which one is quarantined."""
    world.dataset(HOSPITAL, "wdbc")
    world.dataset_version(HOSPITAL, "wdbc")
    world.submit(HOSPITAL, selecting())
    for name in ("ward", "unopened"):
        world.dataset(HOSPITAL, name, basis=LawfulBasis.CONSENT)
    world.submit(HOSPITAL, OpenConsent(Name("ward"), root_of(GIVEN), Count(1)))
    world.net = world.model_version(LAB, "net").digest
    world.model_version(LAB, "base")
    world.submit(HOSPITAL, RecordDeployment(Name("ward-3"), NET, Text("triage in ward 3")))
    world.submit(HOSPITAL, offering())
    world.submit(LAB, asking(world))
    world.submit(REGULATOR, ApproveAccess(Name("q-1")))
    world.submit(HOSPITAL, GrantAccess(grant=Name("g-1"), request=Name("q-1")))
    world.submit(LAB, asking(world, "q-0"))
    world.submit(HOSPITAL, replace(giving(world, "g-9"), emergency=Text("a fire")))
    done = world.model_version(LAB, "done").digest
    world.submit(LAB, Submit(DONE, done))
    for org in (REGULATOR, HOSPITAL):
        world.submit(org, Endorse(DONE, world.envelope(org, DONE, done)))
    world.submit(REGULATOR, claiming(world, REGULATOR))
    world.submit(REGULATOR, Quarantine(BASE, Text("look")))
    return world


def selecting(name="permitted"):
    left_out = (LeftOut(Text("no consent"), Count(2)),)
    root = Digest(sha256(name.encode()).digest())
    return CommitSelection(selection=Name(name), version=WDBC, root=root, size=Count(8), left_out=left_out)


def offering(number=1):
    return SetAccessPolicy(
        Name("wdbc"), Number(number), (RESEARCH,), (AccessAction.PROCESS,), longest=Seconds(86_400), most_uses=Count(9),
        approvers=(REGULATOR,),
    )  # fmt: skip


def asking(world, name="q-1"):
    return RequestAccess(
        request=Name(name), artifact=WDBC, purpose=RESEARCH, actions=(AccessAction.PROCESS,),
        expires=Instant(world.at + 80_000_000), uses=Count(3),
    )  # fmt: skip


def giving(world, name="g-1", grantee=LAB):
    return GrantAccess(
        grant=Name(name), grantee=grantee, artifact=WDBC, purpose=RESEARCH, actions=(AccessAction.PROCESS,),
        expires=Instant(world.at + 80_000_000), uses=Count(3),
    )  # fmt: skip


def claiming(world, org):
    said = world.statement(org, NET, world.net, Decision.COUNTER_CLAIM, reason=Text("wrong"))
    envelope = world.envelope(org, NET, world.net, statement=replace(said, round=0))
    return StateClaim(NET, Text("wrong"), envelope)


def changing():
    change = SubjectChange(PATIENT, WITHDRAWN, Blob(b""), GIVEN)
    return ChangeConsent(Name("ward"), Number(2), root_of(WITHDRAWN), (change,))


def attempts(world):
    """What each wrong member sends; the commands are those that the right one might send."""
    return (
        (LAB, world.commit_version("wdbc", 2)),
        (LAB, selecting("other")),
        (LAB, OpenConsent(Name("unopened"), root_of(GIVEN), Count(1))),
        (LAB, changing()),
        (LAB, MarkSelections(Name("wdbc"), Number(1), (PERMITTED,))),
        (HOSPITAL, world.record_model_version("net", 2)),
        (HOSPITAL, DeclareParent(NET, BASE, Relation.FINE_TUNED)),
        (LAB, EndDeployment(Name("ward-3"))),
        (LAB, offering(2)),
        (HOSPITAL, asking(world, "q-2")),
        (LAB, ApproveAccess(Name("q-0"))),
        (LAB, DenyAccess(Name("q-0"), Text("no"))),
        (LAB, giving(world, "g-2", REGULATOR)),
        (LAB, SuspendAccess(Name("g-1"), Text("wait"))),
        (LAB, ResumeAccess(Name("g-1"))),
        (LAB, RevokeAccess(Name("g-1"), Text("no more"))),
        (LAB, ExpireAccess(Name("g-1"))),
        (HOSPITAL, ReviewAccess(Name("g-9"), True, Text("mine"))),
        (HOSPITAL, Submit(NET, world.net)),
        (HOSPITAL, Withdraw(NET, Text("second thoughts"))),
        (HOSPITAL, Release(BASE, Text("looked"))),
        (HOSPITAL, Advance(DONE, Stage.DEPLOYED)),
        (LAB, claiming(world, LAB)),
        (HOSPITAL, AnswerClaim(NET, REGULATOR, Text("so it is"))),
        (HOSPITAL, WithdrawClaim(NET, Text("so it is"))),
    )


def test_what_is_not_ones_own_is_refused_past_every_gateway(settled):
    refused = {}
    for wrong, command in attempts(settled):
        refused[FUNCTION_OF[type(command)]] = settled.refused(wrong, command).code
    assert refused == REFUSABLE

# SPDX-License-Identifier: Apache-2.0
"""Random histories of one artifact: the contracts side by side with a slow and obvious reference."""

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from chaincode.domain.endorsement import Endorse, Reject
from chaincode.domain.evidence import Decision
from chaincode.domain.lifecycle import (
    Advance,
    ArtifactStage,
    ConfirmQuarantine,
    LiftQuarantine,
    Quarantine,
    Release,
    standing_at,
)
from chaincode.domain.lineage import Ancestry
from chaincode.domain.policy import Member, QuorumRule, Stage, TaintRules
from chaincode.domain.status import GetStatus
from chaincode.domain.submission import Submit
from chaincode.domain.values import ArtifactKind, Number, OrgId, Ref, Role, Seconds, Text
from chaincode.domain.withdrawal import Withdraw

OWNER = "LabMSP"
MEMBERS = {"LabMSP": set(), "HospitalMSP": {"expert"}, "RegulatorMSP": {"auditor"}, "MakerMSP": {"expert"}}
NET = Ref("model-version:net:1")
THRESHOLD, NEEDED, SECONDS = 2, "auditor", 100
LAPSE, TO_LIFT = 120, 3
ORDER = ["draft", "submitted", "endorsed", "approved", "deployed", "deprecated", "retired"]
organisations = st.sampled_from([*MEMBERS, "StrangerMSP"])


class Reference:
    """What should happen, in sets and strings; each step says whether it is allowed and then does it."""

    def __init__(self) -> None:
        self.stage = "draft"
        self.given: dict[str, float] = {}
        self.withdrawn: set[str] = set()
        self.rejected: set[str] = set()
        self.stopped: tuple[str, str] | None = None
        self.stopped_until: float | None = None
        self.confirmed = False
        self.unconfirmed: str | None = None
        self.lifting: set[str] = set()
        self.fallen = False
        """Whether it had an approval that was taken from it and not given again."""
        self.now = 0.0

    def wait(self, seconds: int) -> None:
        self.now += seconds
        if self.stopped_until is not None and self.now >= self.stopped_until:
            self.resume()

    def resume(self) -> None:
        assert self.stopped is not None
        if not self.confirmed:
            self.unconfirmed = self.stopped[0]
        self.stage = self.stopped[1]
        self.stopped, self.stopped_until, self.confirmed = None, None, False

    def reached(self) -> str:
        return self.stage if self.stopped is None else self.stopped[1]

    def lost(self) -> bool:
        rests = self.reached() in {"approved", "deployed", "deprecated", "retired"}
        return self.fallen or (rests and not self.enough(self.valid()))

    def valid(self) -> set[str]:
        return {org for org, at in self.given.items() if org not in self.withdrawn and self.now < at + SECONDS}

    @staticmethod
    def enough(orgs: set[str]) -> bool:
        return len(orgs) >= THRESHOLD and any(NEEDED in MEMBERS[org] for org in orgs)

    def may_speak(self, org: str) -> bool:
        if self.stage not in {"submitted", "endorsed", "approved", "deployed"} or org not in MEMBERS or org == OWNER:
            return False
        return org not in self.rejected and org not in self.withdrawn and org not in self.valid()

    def submit(self, org: str) -> bool:
        if org != OWNER or self.stage not in {"draft", "submitted", "endorsed", "approved", "deployed"}:
            return False
        if self.stage != "draft" and self.enough(set(MEMBERS) - {OWNER} - self.rejected - self.withdrawn):
            return False
        self.fallen = self.fallen or self.stage in {"approved", "deployed"}
        self.stage, self.given, self.withdrawn, self.rejected = "submitted", {}, set(), set()
        return True

    def endorse(self, org: str) -> bool:
        if not self.may_speak(org):
            return False
        self.given[org] = self.now
        if self.stage in {"submitted", "endorsed"}:
            self.stage = "approved" if self.enough(self.valid()) else "endorsed"
            self.fallen = self.fallen and self.stage == "endorsed"
        return True

    def reject(self, org: str) -> bool:
        if not self.may_speak(org):
            return False
        self.rejected.add(org)
        if self.stage in {"submitted", "endorsed"} and not self.enough(
            set(MEMBERS) - {OWNER} - self.rejected - self.withdrawn
        ):
            self.stage = "draft"
        return True

    def withdraw(self, org: str) -> bool:
        if org not in self.given or org in self.withdrawn:
            return False
        self.withdrawn.add(org)
        left = self.valid()
        fallen = "approved" if self.enough(left) else "endorsed" if left else "submitted"
        self.fallen = self.fallen or (self.reached() == "approved" and fallen != "approved")
        if self.stage in {"submitted", "endorsed", "approved"}:
            self.stage = fallen
        if self.stopped is not None and self.stopped[1] in {"submitted", "endorsed", "approved"}:
            self.stopped = (self.stopped[0], fallen)
        return True

    def quarantine(self, org: str) -> bool:
        if org not in MEMBERS or org == self.unconfirmed:
            return False
        if self.stopped is None:
            self.stopped, self.stage = (org, self.stage), "quarantined"
        elif self.stopped[0] != OWNER or org == OWNER or self.confirmed:
            return False
        else:
            self.stopped = (org, self.stopped[1])
        self.stopped_until, self.lifting = self.now + LAPSE, set()
        return True

    def confirm(self, org: str) -> bool:
        if self.stopped is None or self.confirmed or org not in MEMBERS or org == self.stopped[0]:
            return False
        self.confirmed, self.stopped_until = True, None
        return True

    def lift(self, org: str) -> bool:
        if self.stopped is None or org not in MEMBERS or org in self.lifting:
            return False
        self.lifting.add(org)
        if len(self.lifting) == TO_LIFT:
            self.resume()
        return True

    def release(self, org: str) -> bool:
        if self.stopped is None or self.stopped[0] != org or self.confirmed:
            return False
        self.resume()
        return True

    def advance(self, org: str, to: str) -> bool:
        if org != OWNER or self.stage not in ORDER or to not in {"deployed", "deprecated", "retired"}:
            return False
        if ORDER.index(to) != ORDER.index(self.stage) + 1 or (to == "deployed" and not self.enough(self.valid())):
            return False
        self.stage = to
        return True


class Histories(RuleBasedStateMachine):
    """Whatever is tried, contract and reference agree on whether it is done and on what is then the case."""

    make_world: Callable[[], Any]

    @initialize()
    def begin(self) -> None:
        self.world, self.reference = self.make_world(), Reference()
        members = tuple(Member(OrgId(org), tuple(map(Role, sorted(roles)))) for org, roles in MEMBERS.items())
        quorum = QuorumRule(
            ArtifactKind.MODEL_VERSION,
            Number(THRESHOLD),
            required_roles=(Role(NEEDED),),
            valid_seconds=Seconds(SECONDS),
        )
        self.world.found(
            members=members,
            rules=(quorum,),
            amendment_threshold=Number(TO_LIFT),
            taint=TaintRules(lapse_seconds=Seconds(LAPSE)),
        )
        self.digest = self.world.model_version(OWNER, "net").digest

    def both(self, expected: bool, org: str, command: Any) -> None:
        if expected:
            self.world.submit(org, command)
        else:
            self.world.refused(org, command)

    @rule(org=organisations)
    def submit(self, org: str) -> None:
        self.both(self.reference.submit(org), org, Submit(NET, self.digest))

    @rule(org=organisations)
    def endorse(self, org: str) -> None:
        envelope = self.world.envelope(org, NET, self.digest)
        self.both(self.reference.endorse(org), org, Endorse(NET, envelope))

    @rule(org=organisations)
    def reject(self, org: str) -> None:
        statement = self.world.statement(org, NET, self.digest, Decision.REJECT, reason=Text("no"))
        envelope = self.world.envelope(org, NET, self.digest, statement=statement)
        self.both(self.reference.reject(org), org, Reject(NET, envelope, Text("no")))

    @rule(org=organisations)
    def withdraw(self, org: str) -> None:
        self.both(self.reference.withdraw(org), org, Withdraw(NET, Text("no more")))

    @rule(org=organisations)
    def quarantine(self, org: str) -> None:
        self.both(self.reference.quarantine(org), org, Quarantine(NET, Text("stop")))

    @rule(org=organisations)
    def confirm(self, org: str) -> None:
        self.both(self.reference.confirm(org), org, ConfirmQuarantine(NET, Text("so it is")))

    @rule(org=organisations)
    def lift(self, org: str) -> None:
        self.both(self.reference.lift(org), org, LiftQuarantine(NET, Text("it is harmless")))

    @rule(org=organisations)
    def release(self, org: str) -> None:
        self.both(self.reference.release(org), org, Release(NET, Text("go on")))

    @rule(org=st.sampled_from([OWNER, "HospitalMSP"]), to=st.sampled_from(Stage))
    def advance(self, org: str, to: Stage) -> None:
        self.both(self.reference.advance(org, to), org, Advance(NET, to))

    @rule(seconds=st.sampled_from([1, 50, SECONDS]))
    def wait(self, seconds: int) -> None:
        self.reference.wait(seconds)
        self.world.wait(seconds=seconds)

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "world"):
            return
        held = [record for record in self.world.records() if isinstance(record, ArtifactStage)]
        standing = [standing_at(record, self.world.at) for record in held]
        assert (standing[0].stage if standing else "draft") == self.reference.stage
        (node,) = self.world.ask(Ancestry(NET))["nodes"]
        assert node.get("quorum_lost", False) is self.reference.lost()
        status = self.world.ask(GetStatus(NET))
        if standing and standing[0].round:
            assert set(status["endorsed_by"]) == self.reference.valid()
            assert set(status["rejected_by"]) == self.reference.rejected
            assert status["complete"] is self.reference.enough(self.reference.valid())


@pytest.mark.timeout(300)
def test_contracts_and_reference_agree_on_every_history(make_world):
    machine = type("MachineOfThisTest", (Histories,), {"make_world": staticmethod(make_world)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

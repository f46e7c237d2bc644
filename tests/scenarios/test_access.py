# SPDX-License-Identifier: Apache-2.0
"""Access to data: an owner offers, another organisation asks, and every attempt is on the ledger with its decision."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from letting import let_in

from gateway.cli.program import main as pedigree_command
from gateway.verifier.transactions import verify_transaction
from pedigree import Conflict, PedigreeError

if TYPE_CHECKING:
    from scenarios.conftest import World

RESEARCH = "https://w3id.org/dpv#ScientificResearch"
COMMERCIAL = "https://w3id.org/dpv#CommercialPurpose"
HOUR = 3_600_000


def now() -> int:
    return time.time_ns() // 1_000_000


class Study:
    """The hospital's data, and a grant of it to the lab."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.grant = f"grant-{world.number}"
        world.register("hospital")
        world.commit("a,b,c")

    def give(self, **changes: Any) -> Any:
        terms = {"grantee": "LabMSP", "artifact": self.world.data_version, "purpose": RESEARCH, "actions": ["process"]}
        return self.world.as_("hospital").grant_access(
            **{"grant": self.grant, "expires": now() + HOUR, **terms, **changes}
        )

    def attempt(self, by: str = "lab", **changes: Any) -> Any:
        asked = {"artifact": self.world.data_version, "action": "process", "purpose": RESEARCH}
        recorded = self.world.as_(by).attempt_access(**{"grant": self.grant, **asked, **changes})
        return recorded.record

    def decided(self, by: str = "lab", **changes: Any) -> str:
        made = self.attempt(by, **changes)
        return str(made.get("reason", made["decision"]))

    def log(self, **filters: Any) -> list[Any]:
        """What the auditor lists of it, the oldest first."""
        listed = self.world.as_("regulator").iterate_access_attempts(grant=self.grant, **filters)
        return [item["record"] for item in listed]


@pytest.fixture
def study(world: World) -> Study:
    return Study(world)


def refused(code: str, action: Callable[[], object]) -> PedigreeError:
    with pytest.raises(PedigreeError) as refusal:
        action()
    assert refusal.value.code == code
    return refusal.value


@pytest.mark.story("F6", "A grant of five seconds expires by itself, and what was denied is on the ledger")
def test_a_grant_of_five_seconds(study: Study) -> None:
    given = study.give(expires=now() + 5_000)
    assert study.decided() == "allowed"
    time.sleep(max(0, given.record["expires"] - now()) / 1_000 + 0.2)
    assert study.decided() == "expired"
    lab = study.world.as_("lab")
    renewed = study.world.as_("hospital").grant_access(f"{study.grant}-2", renews=study.grant, expires=now() + HOUR)
    assert renewed.record["renews"] == study.grant
    lab.at_least(renewed.height)
    assert study.decided(grant=f"{study.grant}-2") == "allowed"
    written = study.world.as_("hospital").expire_access(study.grant)
    assert written.record["status"] == "expired"
    assert [made.get("reason") for made in study.log()] == [None, "expired"]


@pytest.mark.story("F6", "A grant is suspended, resumed and revoked, at once")
@pytest.mark.story("F6", "The auditor lists every attempt and finds the denied ones")
def test_what_was_revoked_is_denied_and_the_auditor_finds_it(study: Study) -> None:
    study.give()
    hospital = study.world.as_("hospital")
    decisions = [study.decided()]
    hospital.suspend_access(study.grant, reason="a question is open")
    decisions.append(study.decided())
    study.world.as_("hospital").resume_access(study.grant)
    decisions.append(study.decided())
    study.world.as_("hospital").revoke_access(study.grant, reason="the study is over")
    decisions.append(study.decided())
    assert decisions == ["allowed", "suspended", "allowed", "revoked"]
    assert [made.get("reason", "allowed") for made in study.log()] == decisions
    denied = study.log(access_decision="denied")
    assert [made["reason"] for made in denied] == ["suspended", "revoked"]
    assert study.log(reason="revoked", by="LabMSP", owner="HospitalMSP") == denied[1:]
    found = study.world.as_("regulator").access_attempt(denied[1]["attempt"])
    assert found["transaction"]["id"] == denied[1]["attempt"]


@pytest.mark.story("F6", "What is asked for is approved by those whom the policy names, and then granted")
def test_from_a_policy_to_an_attempt(study: Study) -> None:
    world, request = study.world, f"request-{study.world.number}"
    terms = {"actions": ["process"], "longest": 86_400, "most_uses": 2, "approvers": ["RegulatorMSP"]}
    policy = world.as_("hospital").set_access_policy(world.dataset, purposes=["research"], **terms)
    assert (policy.record["number"], policy.record["purposes"]) == (1, [RESEARCH])
    asked = {"artifact": world.data_version, "actions": ["process"], "uses": 2, "expires": now() + HOUR}
    world.as_("lab").request_access(request, purpose="research", recipient="u-7", **asked)
    refused("approval-missing", lambda: world.as_("hospital").grant_access(study.grant, request=request))
    world.as_("regulator").approve_access(request, note="the board agrees")
    given = world.as_("hospital").grant_access(study.grant, request=request)
    assert (given.record["grantee"], given.record["recipient"], given.record["uses"]) == ("LabMSP", "u-7", 2)
    assert study.decided() == "another-user"
    assert [study.decided(recipient="u-7") for _ in range(3)] == ["allowed", "allowed", "no-use-left"]
    taken = world.as_("regulator").access_slots(study.grant)["items"]
    assert sorted(item["record"]["slot"] for item in taken) == [1, 2]


@pytest.mark.story("F6", "More than the access policy allows is refused", refused="outside-access-policy")
@pytest.mark.story("F6", "A grant wider than its request is refused", refused="grant-wider-than-asked")
@pytest.mark.story("F6", "A request that was denied is not granted", refused="request-denied")
@pytest.mark.story("F6", "A grant that begins or ends in the past is refused", refused="access-backdated")
@pytest.mark.story("F6", "Only the owner grants", refused="not-the-owner")
def test_what_is_not_granted(study: Study) -> None:
    world, request = study.world, f"request-{study.world.number}"
    world.as_("hospital").set_access_policy(world.dataset, purposes=[RESEARCH], actions=["process"], longest=7_200)
    asked = {"artifact": world.data_version, "actions": ["process"], "expires": now() + HOUR}
    lab = world.as_("lab")
    refused("outside-access-policy", lambda: lab.request_access(request, purpose=COMMERCIAL, **asked))
    lab.request_access(request, purpose=RESEARCH, **asked)
    hospital = world.as_("hospital")
    longer = now() + 2 * HOUR - 60_000
    refused("grant-wider-than-asked", lambda: hospital.grant_access(study.grant, request=request, expires=longer))
    hospital.deny_access(request, reason="another study has it")
    refused("request-denied", lambda: hospital.grant_access(study.grant, request=request))
    refused("access-backdated", lambda: study.give(not_before=now() - HOUR))
    refused("access-ends-before-it-starts", lambda: study.give(expires=now() - 1))
    refused("not-the-owner", lambda: world.as_("lab").grant_access(study.grant, grantee="RegulatorMSP",
                                                                  purpose=RESEARCH, **asked))  # fmt: skip


@pytest.mark.story("F6", "Another user, action, purpose or version is denied, and is on the ledger as denied")
def test_what_a_grant_does_not_cover(study: Study) -> None:
    study.give(recipient="u-7")
    told = {"recipient": "u-7"}
    assert study.decided(**told) == "allowed"
    assert study.decided(recipient="u-8") == "another-user"
    assert study.decided("regulator", **told) == "another-organisation"
    assert study.decided(action="download", **told) == "another-action"
    assert study.decided(purpose=COMMERCIAL, **told) == "another-purpose"
    assert study.decided(artifact=study.world.second_data_version, **told) == "another-version"
    assert study.decided(grant=f"{study.grant}-none", **told) == "no-such-grant"
    assert len(study.log(access_decision="denied")) == 5


@pytest.mark.story("F6", "Of five attempts at the last use one is allowed, and four are denied")
def test_the_race_for_the_last_use(study: Study) -> None:
    study.give(uses=1)
    lab = study.world.as_("lab")
    asked: Any = {"artifact": study.world.data_version, "action": "process", "purpose": RESEARCH}
    with ThreadPoolExecutor(5) as pool:
        made = list(pool.map(lambda _: lab.attempt_access(study.grant, **asked).record, range(5)))
    assert sorted(each.get("reason", "allowed") for each in made) == ["allowed", *["no-use-left"] * 4]


@pytest.mark.story("F6", "Quarantined data is denied")
def test_quarantined_data_is_denied(study: Study) -> None:
    study.give()
    study.world.as_("regulator").quarantine(study.world.data_version, reason="poisoned")
    assert study.decided() == "quarantined"


@pytest.mark.story(
    "F6", "A grant for data whose consent does not cover the purpose is refused", refused="selection-missing"
)
@pytest.mark.story("F6", "After a withdrawal an attempt is denied for the consent")
def test_consent_decides_too(world: World) -> None:
    hospital = world.as_("hospital")
    hospital.register_dataset(
        world.dataset, title="T", licence="CC-BY-4.0", sensitivity="personal", basis="consent",
        origin={"source": "a clinic", "method": "measured", "geography": ["DE"]},
    )  # fmt: skip
    hospital.open_consent(
        world.dataset, [{"subject": each, "state": "ConsentGiven", "purposes": ["research"]} for each in ("s1", "s2")]
    )
    hospital.commit_records(world.dataset, b"id,who\na,s1\nb,s2\n", id_field="id", subject_field="who")
    (chosen,) = [hospital.select_records(world.dataset, 1, "permitted", purpose="research")]
    assert chosen is not None
    study = Study.__new__(Study)
    study.world, study.grant = world, f"grant-{world.number}"
    refused("selection-missing", study.give)
    selection = f"selection:{world.dataset}:1:permitted"
    refused("purpose-differs", lambda: study.give(artifact=selection, purpose=COMMERCIAL))
    study.give(artifact=selection)
    assert study.decided(artifact=selection) == "allowed"
    world.as_("hospital").withdraw_consent(world.dataset, "s1")
    assert study.decided(artifact=selection) == "consent"
    refused("selection-outdated", lambda: study.give(artifact=selection, grant=f"{study.grant}-2"))


@pytest.mark.story(
    "F6", "A run over data with an access policy and without a grant is refused", refused="grant-missing"
)
def test_a_run_names_its_grant(study: Study) -> None:
    world = study.world
    world.as_("hospital").set_access_policy(world.dataset, purposes=[RESEARCH], actions=["process"], longest=7_200)
    given = study.give()
    began = given.record["granted_at"]
    root = world.as_("lab").dataset_version(world.dataset, 1)["record"]["root"]
    used = {"version": world.data_version, "root": root, "role": "train"}

    def train(grant: str | None) -> Any:
        inputs = [used if grant is None else {**used, "grant": grant}]
        fields = world.run_fields(inputs=inputs, started=began, finished=began, purpose=RESEARCH)
        return world.as_("lab").record_run(f"run-{world.number}", **fields)

    refused("grant-missing", lambda: train(None))
    refused("grant-does-not-cover", lambda: train(f"access-grant:{study.grant}-none"))
    assert train(f"access-grant:{study.grant}").record["inputs"][0]["grant"] == f"access-grant:{study.grant}"


class Sensitive:
    """The hospital's special-category data, for which there is no access policy, and what others make of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.register("hospital", sensitivity="special-category", basis="public-task")
        world.commit("a,b,c")

    def train(self, grant: str | None = None) -> Any:
        lab, began = self.world.as_("lab"), now()
        root = lab.dataset_version(self.world.dataset, 1)["record"]["root"]
        used = {"version": self.world.data_version, "root": root, "role": "train"}
        inputs = [used if grant is None else {**used, "grant": grant}]
        fields = self.world.run_fields(inputs=inputs, started=began, finished=began)
        return lab.record_run(f"run-{self.world.number}", **fields)

    def derive(
        self, made: str, *, sensitivity: Any, grants: Any = (), activity: Any = "filter", parent: str | None = None
    ) -> Any:
        """The lab's data set of this name, made from the hospital's or from another."""
        lab = self.world.as_("lab")
        name = f"{self.world.dataset}-{made}"
        basis: Any = "public-task" if sensitivity == "special-category" else None
        with contextlib.suppress(Conflict):  # an attempt that was refused had registered it
            self.world.register("lab", name=name, sensitivity=sensitivity, basis=basis)
        content = f"id,{made}\na,97\n".encode()
        parents = [parent or self.world.data_version]
        return lab.commit_records(name, content, id_field="id", parents=parents, activity=activity, grants=grants)


@pytest.fixture
def sensitive(world: World) -> Sensitive:
    return Sensitive(world)


@pytest.mark.story(
    "F6", "Sensitive data of another owner is not used without a grant, whatever its owner offers",
    refused="data-withheld",
)  # fmt: skip
@pytest.mark.story("F6", "What is made from sensitive data of another owner needs a grant too", refused="data-withheld")
def test_sensitive_data_is_its_owners_alone(sensitive: Sensitive) -> None:
    refusal = refused("data-withheld", sensitive.train)
    assert (refusal.facts["owner"], refusal.facts["sensitivity"]) == ("HospitalMSP", "special-category")
    assert "Ask HospitalMSP for access" in str(refusal)
    refused("data-withheld", lambda: sensitive.derive("copied", sensitivity="special-category"))
    lab = sensitive.world.as_("lab")
    refused("data-withheld", lambda: lab.run("early", datasets=[sensitive.world.data_version], code="ab" * 32))
    grant = sensitive.world.let_in(sensitive.world.data_version)
    assert sensitive.train(grant).record["inputs"][0]["grant"] == grant
    copied = sensitive.derive("copied", sensitivity="special-category", grants=[grant])
    assert copied.record["derivation"]["grants"] == [grant]


@pytest.mark.story(
    "F6", "What is made from special-category data is not public, in one step or in two", refused="sensitivity-lowered"
)
@pytest.mark.story("F6", "Anonymised data is less sensitive where a grant allows it")
def test_made_data_is_as_sensitive_as_its_sources(sensitive: Sensitive) -> None:
    process = sensitive.world.let_in(sensitive.world.data_version)
    refusal = refused("sensitivity-lowered", lambda: sensitive.derive("open", sensitivity="public", grants=[process]))
    assert (refusal.facts["sensitivity"], refusal.facts["source"]) == ("public", "special-category")
    copied = sensitive.derive("copied", sensitivity="special-category", grants=[process])
    refusal = refused(
        "sensitivity-lowered",
        lambda: sensitive.derive("open", sensitivity="public", parent=copied.reference, grants=[process]),
    )
    assert refusal.facts["artifact"] == sensitive.world.data_version
    anonymise = let_in(sensitive.world.as_("hospital"), sensitive.world.data_version, actions=["process", "anonymise"])
    refusal = refused("invalid-field", lambda: sensitive.derive("open", sensitivity="public", grants=[anonymise]))
    assert refusal.facts["pointer"] == "/derivation/activity"
    made = sensitive.derive("open", sensitivity="public", grants=[anonymise], activity="anonymise")
    assert made.record["derivation"] == {
        "activity": "anonymise", "parents": [sensitive.world.data_version], "grants": [anonymise],
    }  # fmt: skip


@pytest.mark.story("F6", "The command line asks, grants, renews, attempts and lists")
def test_on_the_command_line(study: Study, consortium: Any) -> None:
    world, request = study.world, f"request-{study.world.number}"
    key = world.folder / "lab.pem"
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    key.write_bytes(ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(*form))

    def run(organisation: str, *arguments: str, exit_code: int = 0) -> str:
        world.as_(organisation)
        environment = {"PEDIGREE_URL": consortium.url(organisation), "PEDIGREE_KEY": consortium.key(organisation)}
        for _ in range(50):  # another gateway recorded what this one reads
            printed = CliRunner().invoke(pedigree_command, ["access", *arguments], env=environment)
            if printed.exit_code == exit_code:
                return printed.output
            time.sleep(0.1)
        raise AssertionError(printed.output)

    terms = ("--purpose", "research", "--action", "process")
    run("hospital", "policy", world.dataset, *terms, "--longest", "30d", "--most-uses", "5")
    assert "is not a duration" in run("hospital", "policy", world.dataset, "--longest", "30", *terms, exit_code=2)
    assert "most_uses" in run("lab", "policy", world.dataset)
    assert "Missing --longest" in run("hospital", "policy", world.dataset, *terms, exit_code=2)
    asked = (request, world.data_version, *terms, "--for", "1h", "--uses", "2", "--recipient-key", str(key))
    run("lab", "request", *asked)
    assert "say the same" in run("lab", "request", *asked, "--until", "2030-01-01", exit_code=2)
    assert "Missing --for" in run("lab", "request", "r", world.data_version, *terms, exit_code=2)
    (bad := world.folder / "bad.pem").write_text("no key", encoding="utf-8")
    assert "neither a certificate" in run("lab", "request", *asked[:-1], str(bad), exit_code=2)
    run("hospital", "grant", study.grant, "--request", request)
    ask = (study.grant, world.data_version, "--action", "process", "--purpose", "research")
    assert "allowed" in run("lab", "attempt", *ask)
    run("hospital", "suspend", study.grant, "--reason", "wait")
    assert "denied: suspended" in run("lab", "attempt", *ask, exit_code=4)
    run("hospital", "resume", study.grant)
    run("hospital", "renew", study.grant, f"{study.grant}-2", "--for", "2s")
    assert "Missing --for" in run("hospital", "renew", study.grant, f"{study.grant}-3", exit_code=2)
    run("hospital", "revoke", study.grant, "--reason", "over")
    time.sleep(2.2)
    written = json.loads(run("hospital", "expire", "--json"))["expired"]
    assert f"{study.grant}-2" in [each["grant"] for each in written]
    listed = json.loads(run("regulator", "log", "--grant", study.grant, "--json"))["items"]
    assert [each["record"]["decision"] for each in listed] == ["allowed", "denied"]
    assert study.grant in run("regulator", "list", "--grant-status", "revoked", "--limit", "100")


@pytest.mark.story("F6", "An emergency does not wait for approval, and a third member looks at it afterwards")
def test_an_emergency(study: Study) -> None:
    world = study.world
    terms: Any = {"purposes": [RESEARCH], "actions": ["process"], "longest": 86_400, "approvers": ["RegulatorMSP"]}
    world.as_("hospital").set_access_policy(world.dataset, **terms)
    refused("approval-missing", study.give)
    study.give(emergency="the ward waits")
    refused("own-grant", lambda: world.as_("lab").review_access(study.grant, justified=True, note="fine"))
    found = world.as_("regulator").review_access(study.grant, justified=False, note="the ward did not wait")
    assert found.record["justified"] is False


@pytest.mark.story("F6", "A grant and an attempt verify from one file, offline")
def test_evidence_of_access(study: Study) -> None:
    study.give()
    made = study.attempt()
    regulator = study.world.as_("regulator")
    genesis = bytes.fromhex(regulator.ledger()["genesis_hash"])
    for reference in (f"access-grant:{study.grant}", f"access-attempt:{made['attempt']}"):
        file: Any = regulator.evidence(reference)
        verdict = verify_transaction(file, trusted=genesis)
        assert verdict.complete
        assert len(verdict.endorsers) >= 2
        assert reference in [each.reference for each in verdict.written]

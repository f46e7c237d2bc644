# SPDX-License-Identifier: Apache-2.0
"""The steps that the feature files are written in; the same text runs on every ledger."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from pytest_bdd import given, parsers, scenarios, then, when
from sklearn.linear_model import LogisticRegression

from chaincode.domain import sparsemerkle
from chaincode.domain.consent import STATUSES
from chaincode.domain.sparsemerkle import Proof
from gateway.cli import main as pedigree_command
from pedigree import PedigreeError, Recorded, verify_receipt

if TYPE_CHECKING:
    from scenarios.conftest import World

pytestmark = [pytest.mark.timeout(180)]

scenarios(".")


@pytest.fixture
def words(request: pytest.FixtureRequest) -> Any:
    """The helpers beside the fixtures."""
    return next(
        plugin
        for plugin in request.config.pluginmanager.get_plugins()
        if getattr(plugin, "__file__", "").endswith("scenarios/conftest.py")
    )


RESEARCH = "https://w3id.org/dpv#ScientificResearch"
PATIENT = "7a" * 32


def selection_of(world: World) -> str:
    """What the hospital selected from the scenario's data."""
    return f"selection:{world.dataset}:1:permitted"


def run_over(world: World, selection: str | None, *, purpose: str, after: int = 0) -> dict[str, Any]:
    """A run that has just been over the scenario's data, or over a selection from it."""
    now = time.time_ns() // 1_000_000 + after
    used = {"version": world.data_version, "role": "train"}
    if selection is None:
        used["root"] = world.as_("lab").dataset_version(world.dataset, 1)["record"]["root"]
    else:
        used |= {"root": "5e" * 32, "selection": selection, "found": "verified"}
        if (grant := world.grants.get(selection)) is not None:
            used["grant"] = grant
    return world.run_fields(started=now, finished=now, inputs=[used], purpose=purpose)


def open_map(world: World, subjects: list[str], purposes: list[str]) -> None:
    """Open a map of what these subjects of the hospital consented to on New Year's Day of 2026."""
    world.register("hospital", sensitivity="personal", basis="consent")
    world.commit("a,b,c")
    said = {"state": "ConsentGiven", "purposes": purposes, "indicated_at": "2026-01-01"}
    opened = world.as_("hospital").open_consent(world.dataset, [{"subject": each, **said} for each in subjects])
    world.proof["map"] = {name: opened.record[name] for name in ("number", "root")}
    world.did(opened)


def withdrawal(world: World, subject: str) -> dict[str, Any]:
    """A change of the map as the ledger takes it, made of what the hospital's gateway proves of it now."""
    proven = world.as_("hospital").consent_proof(world.dataset, subject=subject)
    withdrawn = {"status": "ConsentWithdrawn", "purposes": "0" * 16, "indicated_at": time.time_ns() // 1_000_000}
    change = {
        "subject": proven["subject"],
        "old": proven["status"],
        "new": withdrawn,
        "siblings": proven["proof"]["siblings"],
    }
    version = proven["version"]
    return {"number": version["number"] + 1, "previous_root": version["root"], "changes": [change]}


def is_given(change: dict[str, Any]) -> bool:
    """Whether the subject of a change had given its consent before."""
    return bool(change["changes"][0]["old"]["status"] == "ConsentGiven")


def send(world: World, organisation: str, change: dict[str, Any]) -> Recorded:
    """Have the ledger decide about a change, past what the gateway itself looks at."""
    path = f"/v1/datasets/{world.dataset}/consent/changes"
    return world.as_(organisation)._record(path, change, None)


# --- What is given -------------------------------------------------------------------------------------------------


@given("a consortium with its founding policy")
def _(world: World) -> None:
    lab = world.as_("lab")
    (first, *_) = sorted((each["record"]["policy"] for each in lab.iterate_policies()), key=lambda each: each["number"])
    # Stories on the same ledger amend it, and put its rules back in force under another number.
    assert lab.policy()["record"]["rules"] == first["rules"]


@given("the hospital registered a data set")
def _(world: World) -> None:
    world.did(world.register("hospital"))


@given("the hospital registered a data set with a card")
def _(world: World, words: Any) -> None:
    world.did(world.register("hospital", card=words.digest(f"card {world.number}")))


@given(parsers.parse('the hospital committed the records "{letters}"'))
def _(world: World, letters: str) -> None:
    world.did(world.commit(letters))


@given("the hospital selected what a patient permitted for research")
def _(world: World) -> None:
    world.register("hospital", sensitivity="personal", basis="consent")
    world.commit("a,b,c")
    hospital = world.as_("hospital")
    said = {"subject": PATIENT, "state": "ConsentGiven", "purposes": ["research"]}
    opened = hospital.open_consent(world.dataset, [said]).record
    world.proof["map"] = {name: opened[name] for name in ("number", "root")}
    selected = hospital.commit_selection(
        world.data_version, "permitted", root="5e" * 32, size=1, purpose=RESEARCH, consent_map=world.proof["map"],
        left_out=[{"reason": "no consent for this purpose", "count": 2}],
    )  # fmt: skip
    assert selected.record["consent_map"] == world.proof["map"]
    world.let_in(selection_of(world))


@given(parsers.parse('the hospital opened a consent map with the patients "{names}"'))
def _(world: World, names: str) -> None:
    open_map(world, names.split(", "), ["research"])


@given(parsers.parse("the hospital opened a consent map with {count:d} patients"))
def _(world: World, count: int) -> None:
    open_map(world, [f"patient {number}" for number in range(count)], ["research"])


@given("the hospital registered a purpose")
def _(world: World) -> None:
    hospital = world.as_("hospital")
    bits = [each["record"]["bit"] for each in hospital.iterate_purposes(owner="HospitalMSP")]
    iri = f"https://hospital.example/purposes#{world.dataset}"
    made = hospital.register_purpose(max(bits, default=31) + 1, iri=iri, title=f"studies {world.number}")
    world.proof["purpose"] = made.record


@given("the hospital opened a consent map with a patient who consents to that purpose")
def _(world: World) -> None:
    purpose = world.proof["purpose"]
    open_map(world, ["ann"], [purpose["title"], purpose["iri"], "care"])
    said = world.as_("hospital").consent_proof(world.dataset, subject="ann")["status"]
    assert int(said["purposes"], 16) == 1 << purpose["bit"] | 0b1000
    history = world.as_("hospital").consent_history(world.dataset, subject="ann")
    assert history["purposes"] == history["history"][0]["purposes"] == ["care", purpose["title"]]


@given("the lab trained a model on the hospital's data")
def _(world: World) -> None:
    world.register("hospital")
    world.commit("a,b,c")
    lab = world.as_("lab")
    lab.register_model(world.model, title="A model")
    lab.record_run(f"run-{world.number}", **world.run_fields())
    world.did(
        lab.record_model_version(world.model, world.files("first"), licence="CC-BY-4.0", run=f"run-{world.number}")
    )


@given(parsers.parse("the lab trained a model on what {change} the hospital's first version"))
def _(world: World, change: str) -> None:
    world.register("hospital")
    world.commit("a,b")
    second = world.commit("a,b,c" if change == "extends" else "b,c")
    assert second.record["change"] == change
    used = {"version": world.second_data_version, "root": second.record["root"], "role": "train"}
    lab = world.as_("lab")
    lab.register_model(world.model, title="A model")
    lab.record_run(f"run-{world.number}", **world.run_fields(inputs=[used]))
    world.did(
        lab.record_model_version(world.model, world.files("first"), licence="CC-BY-4.0", run=f"run-{world.number}")
    )


@given("the lab trained a model on data of the hospital that may not be used commercially")
def _(world: World) -> None:
    world.register("hospital", licence="CC-BY-NC-4.0")
    world.commit("a,b,c")
    lab = world.as_("lab")
    lab.register_model(world.model, title="A model")
    world.did(lab.record_run(f"run-{world.number}", **world.run_fields()))


@given("the lab trained a model on the selection")
def _(world: World) -> None:
    lab = world.as_("lab")
    lab.record_run(f"run-{world.number}", **run_over(world, selection_of(world), purpose=RESEARCH))
    lab.register_model(world.model, title="A model")
    files = world.files("first")
    world.did(lab.record_model_version(world.model, files, licence="CC-BY-4.0", run=f"run-{world.number}"))


@given("the lab trained a model on data that credits its source and on data for non-commercial use")
def _(world: World, words: Any) -> None:
    world.register("hospital", licence="CC-BY-4.0")
    world.commit("a,b,c")
    other = f"more-{world.number}"
    world.register("hospital", name=other, licence="CC-BY-NC-4.0")
    root = words.digest(f"more {world.number}")
    world.as_("hospital").commit_version(other, root=root, size=2)
    lab = world.as_("lab")
    lab.register_model(world.model, title="A model")
    inputs = [*world.run_fields()["inputs"], {"version": f"dataset-version:{other}:1", "root": root, "role": "train"}]
    lab.record_run(f"run-{world.number}", **world.run_fields(inputs=inputs))
    files = world.files("first")
    world.did(lab.record_model_version(world.model, files, licence="CC-BY-NC-SA-4.0", run=f"run-{world.number}"))


@given(
    parsers.parse('the lab merged a model under "{first}" into one under "{second}" and that into one under "{third}"')
)
def _(world: World, first: str, second: str, third: str) -> None:
    lab = world.as_("lab")
    lab.register_model(world.model, title="A model")
    parents: list[dict[str, str]] = []
    for number, licence in enumerate((first, second, third), 1):
        files = world.files(f"version {number}")
        world.did(lab.record_model_version(world.model, files, licence=licence, parents=parents))
        parents = [{"version": f"model-version:{world.model}:{number}", "relation": "merged"}]


@given("the lab fine-tuned a second version from the first")
def _(world: World) -> None:
    parents = [{"version": world.model_version, "relation": "fine-tuned"}]
    second = world.as_("lab").record_model_version(
        world.model, world.files("second"), licence="CC-BY-4.0", parents=parents
    )
    world.proof["second"] = world.did(second).block


@given("the lab trained a model on what four patients permitted, held one out, and built another model on it")
def _(world: World) -> None:
    world.register("hospital", sensitivity="personal", basis="consent")
    hospital = world.as_("hospital")
    rows = "\n".join(["id,value,patient", *(f"{letter},1,{name_of(world, letter)}" for letter in "abcd"), ""])
    said = {"consent": "ConsentGiven", "purposes": ("research",), "subject_field": "patient"}
    hospital.commit_records(world.dataset, rows.encode(), id_field="id", **said)
    hospital.open_consent(world.dataset)
    inputs = []
    for role, ids in (("train", ["a", "b", "c"]), ("test", ["d"])):
        chosen = hospital.select_records(world.dataset, 1, role, ids, purpose="research", role=role)
        used = {"version": world.data_version, "root": chosen.record["root"], "role": role, "found": "verified"}
        inputs.append({**used, "selection": chosen.reference, "grant": world.let_in(chosen.reference)})
    lab, now = world.as_("lab"), time.time_ns() // 1_000_000
    fields = world.run_fields(started=now, finished=now, inputs=inputs, purpose=RESEARCH)
    lab.record_run(f"run-{world.number}", **fields)
    lab.register_model(world.model, title="A model")
    lab.record_model_version(world.model, world.files("first"), licence="CC-BY-4.0", run=f"run-{world.number}")
    parents = [{"version": world.model_version, "relation": "fine-tuned"}]
    built = lab.record_model_version(world.model, world.files("second"), licence="CC-BY-4.0", parents=parents)
    world.proof["height"] = built.height


def name_of(world: World, letter: str) -> str:
    """The hospital's own id of the patient whose record this is."""
    return f"patient-{letter}-{world.number}"


@given("the lab submitted the model")
def _(world: World) -> None:
    world.did(world.as_("lab").submit(world.model_version))


@given(parsers.parse("the {organisation} endorsed the model"))
def _(world: World, organisation: str) -> None:
    world.did(world.as_(organisation).endorse(world.model_version))


@given("the hospital withdrew its endorsement")
def _(world: World) -> None:
    world.did(world.as_("hospital").withdraw(world.model_version, "new evidence"))


@given("the lab submitted the second version")
def _(world: World) -> None:
    world.did(world.as_("lab").submit(world.second_version))


@given(parsers.parse("the {organisation} endorsed the second version"))
def _(world: World, organisation: str) -> None:
    world.did(world.as_(organisation).endorse(world.second_version))


@given("the hospital registered a data set on the basis of consent")
def _(world: World) -> None:
    world.did(world.register("hospital", sensitivity="personal", basis="consent"))


@given(parsers.parse('the hospital committed records of "{people}", who consent to research'))
def _(world: World, people: str) -> None:
    world.people = people.split(",")
    rows = [f"{number},{person},ConsentGiven,research" for number, person in enumerate(world.people)]
    content = "\n".join(["id,who,state,purposes", *rows]).encode()
    columns = {"subject_field": "who", "consent_field": "state", "purposes_field": "purposes"}
    hospital = world.as_("hospital")
    world.did(hospital.commit_records(world.dataset, content, id_field="id", **columns))
    hospital.open_consent(world.dataset)


OWN_PURPOSE = "https://hospital.example/purposes#Scenarios"


def consented_to_own(world: World) -> None:
    """Records of one patient, who permits research and the purpose that the hospital has registered."""
    hospital = world.as_("hospital")
    with contextlib.suppress(PedigreeError):  # one scenario after another registers it
        hospital.register_purpose(bit=63, iri=OWN_PURPOSE)
    world.register("hospital", sensitivity="personal", basis="consent")
    rows = f"id,who,state,purposes\nr1,ann,ConsentGiven,research;{OWN_PURPOSE}\n"
    columns = {"subject_field": "who", "consent_field": "state", "purposes_field": "purposes"}
    hospital.commit_records(world.dataset, rows.encode(), id_field="id", **columns)
    hospital.open_consent(world.dataset)


@given("the hospital selected what a patient permitted for research and for a purpose of its own")
def _(world: World) -> None:
    consented_to_own(world)
    for name, purpose in (("research", "research"), ("own", OWN_PURPOSE)):
        world.as_("hospital").select_records(world.dataset, 1, name, purpose=purpose)


@given(parsers.parse("the hospital selected {count:d} times what a patient permitted for a purpose of its own"))
def _(world: World, count: int) -> None:
    consented_to_own(world)
    hospital = world.as_("hospital")

    def select(number: int) -> None:
        hospital.select_records(world.dataset, 1, f"own-{number}", purpose=OWN_PURPOSE)

    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(select, range(count)))) == count


# --- What organisations do -------------------------------------------------------------------------------------------


@when(parsers.parse('the hospital commits the records "{letters}"'))
def _(world: World, letters: str) -> None:
    world.attempt(lambda: world.commit(letters))


@when("the lab commits the root of some records to it")
def _(world: World, words: Any) -> None:
    root = words.digest("root")
    world.attempt(lambda: world.as_("lab").commit_version(world.dataset, number=1, root=root, size=3))


@when("the hospital commits a root without a size")
def _(world: World, words: Any) -> None:
    world.attempt(lambda: world.as_("hospital").commit_version(world.dataset, number=1, root=words.digest("root")))


@when("the hospital commits a second root over another parent")
def _(world: World, words: Any) -> None:
    fields = {"number": 2, "root": words.digest("two"), "size": 3, "change": "replaces"}
    other = words.digest("other")
    world.attempt(lambda: world.as_("hospital").commit_version(world.dataset, parent_root=other, **fields))


@when("the hospital claims to extend it with a proof that does not hold")
def _(world: World, words: Any) -> None:
    assert world.recorded is not None
    fields = {
        "number": 2,
        "root": words.digest("two"),
        "size": 3,
        "change": "extends",
        "parent_root": world.recorded.record["root"],
        "header": world.recorded.record["header"],
        "consistency": [words.digest("path")],
    }
    world.attempt(lambda: world.as_("hospital").commit_version(world.dataset, **fields))


@when(parsers.parse('the hospital registers a data set under the licence "{licence}"'))
def _(world: World, licence: str) -> None:
    world.attempt(lambda: world.register("hospital", licence=licence))


@when("the lab registers a data set with the same card")
def _(world: World, words: Any) -> None:
    card = words.digest(f"card {world.number}")
    world.attempt(lambda: world.register("lab", name=f"copied-{world.number}", card=card))


@when("the lab records a run that ends before it starts")
def _(world: World, words: Any) -> None:
    inputs = [{"version": world.data_version, "root": words.digest("any"), "role": "train"}]
    fields = world.run_fields(started=1_700_000_060_000, finished=1_700_000_000_000, inputs=inputs)
    world.attempt(lambda: world.as_("lab").record_run(f"odd-{world.number}", **fields))


@when("the lab records a run over a data set version that does not exist")
def _(world: World, words: Any) -> None:
    inputs = [{"version": world.data_version, "root": words.digest("any"), "role": "train"}]
    world.attempt(lambda: world.as_("lab").record_run(f"odd-{world.number}", **world.run_fields(inputs=inputs)))


@when("the lab records a run over the same version with another root")
def _(world: World, words: Any) -> None:
    inputs = [{"version": world.data_version, "root": words.digest("another"), "role": "train"}]
    world.attempt(lambda: world.as_("lab").record_run(f"odd-{world.number}", **world.run_fields(inputs=inputs)))


@when("the lab declares the model version its own parent")
def _(world: World) -> None:
    declare(world, child=world.model_version, parent=world.model_version)


@when("the lab declares the second version a parent of the first")
def _(world: World) -> None:
    declare(world, child=world.model_version, parent=world.second_version)


def declare(world: World, child: str, parent: str) -> None:
    """Declare a parent after the fact."""
    world.attempt(lambda: world.as_("lab").declare_parent(child, parent, relation="fine-tuned"))


@when("the lab records a version whose digest is not that of its files")
def _(world: World, words: Any) -> None:
    entries = [{"path": "weights.json", "digest": words.digest("file"), "size": 3}]
    fields = {"licence": "CC-BY-4.0", "digest": words.digest("other")}
    world.attempt(lambda: world.as_("lab").record_model_version(world.model, entries, **fields))


@when(parsers.parse("the {organisation} quarantines the first version"))
def _(world: World, organisation: str) -> None:
    world.attempt(lambda: world.as_(organisation).quarantine(world.model_version, "a complaint"))
    assert world.refusal is None


@when(parsers.parse("the {organisation} confirms the quarantine"))
def _(world: World, organisation: str) -> None:
    world.did(world.as_(organisation).confirm_quarantine(world.model_version, "seen here too"))


@when(parsers.parse("the {organisation} votes for the end of the quarantine"))
def _(world: World, organisation: str) -> None:
    world.did(world.as_(organisation).lift_quarantine(world.model_version, "a false alarm"))


@when("the policy's period has passed")
def _(world: World) -> None:
    period = world.as_("lab").policy()["record"].get("taint", {}).get("lapse_seconds")
    if period is None or period > 60:
        pytest.skip("this consortium's policy has quarantines that last longer than a test")
    time.sleep(period + 1)


@when("the lab submits the second version")
def _(world: World) -> None:
    world.attempt(lambda: world.as_("lab").submit(world.second_version))


@when("the hospital endorses the second version")
def _(world: World) -> None:
    world.attempt(lambda: world.as_("hospital").endorse(world.second_version))


@when("the lab deploys the second version")
def _(world: World) -> None:
    world.attempt(lambda: world.as_("lab").advance(world.second_version, "deployed"))


@when("the lab records another run over it")
def _(world: World) -> None:
    world.did(world.as_("lab").record_run(f"another-{world.number}", **world.run_fields()))


@when("the regulator quarantines the first version of the data")
def _(world: World) -> None:
    world.attempt(lambda: world.as_("regulator").quarantine(world.data_version, "consent was withdrawn"))
    assert world.refusal is None


@when(parsers.parse("the {organisation} endorses the model"))
def _(world: World, organisation: str) -> None:
    world.attempt(lambda: world.as_(organisation).endorse(world.model_version))


@when(parsers.parse('the lab moves the model to "{stage}"'))
def _(world: World, stage: str) -> None:
    world.attempt(lambda: world.as_("lab").advance(world.model_version, stage))


@when("the hospital endorses the model with a statement about another digest")
def _(world: World, words: Any) -> None:
    other = words.digest("other bytes")
    world.attempt(lambda: world.as_("hospital").endorse(world.model_version, digest=other))


@when("the hospital endorses the model under the regulator's signature")
def _(world: World) -> None:
    world.as_("regulator").endorse(world.model_version)
    hospital = world.as_("hospital")
    genuine = hospital.artifact(world.model_version)["endorsements"][0]["record"]["envelope"]
    payload = base64.b64decode(genuine["payload"]).replace(b"RegulatorMSP", b"HospitalMSP")
    forged = {**genuine, "payload": base64.b64encode(payload).decode()}
    world.attempt(lambda: hospital.endorse(world.model_version, envelope=forged))


@when("the hospital endorses the model with the regulator's statement")
def _(world: World) -> None:
    world.as_("regulator").endorse(world.model_version)
    hospital = world.as_("hospital")
    genuine = hospital.artifact(world.model_version)["endorsements"][0]["record"]["envelope"]
    world.attempt(lambda: hospital.endorse(world.model_version, envelope=genuine))


@then("the hospital sees what its endorsement would say, and that the ledger would take it")
def _(world: World) -> None:
    draft = world.as_("hospital").draft_statement(world.model_version)
    digest = world.as_("hospital").model_version(world.model, 1)["record"]["digest"]
    assert draft["refused"] is None
    assert any(digest in sentence for sentence in draft["words"])
    assert json.loads(base64.b64decode(draft["payload"])) == draft["statement"]
    assert draft["not_covered"]
    assert world.as_("hospital").artifact(world.model_version)["endorsements"] == []


@then(parsers.parse('the lab sees that its own endorsement would be refused as "{code}"'))
def _(world: World, code: str) -> None:
    refused = world.as_("lab").draft_statement(world.model_version)["refused"]
    assert refused is not None
    assert refused["code"] == code


@when(parsers.parse('the regulator rejects the model because "{reason}"'))
def _(world: World, reason: str) -> None:
    world.did(world.as_("regulator").reject(world.model_version, reason))


@then("the regulator's signed statement says why")
def _(world: World) -> None:
    assert world.recorded is not None
    record = world.recorded.record
    predicate = json.loads(base64.b64decode(record["envelope"]["payload"]))["predicate"]
    assert predicate["reason"] == record["reason"] == "the test data overlap the training data"
    assert predicate["genesis"] == world.as_("regulator").ledger()["genesis_hash"]


@when("the regulator rejects the model under a statement with another reason")
def _(world: World) -> None:
    regulator = world.as_("regulator")
    draft = regulator.draft_statement(world.model_version, "reject", reason="too slow")
    envelope: Any = {"payload": draft["payload"], "payloadType": draft["payloadType"], "signatures": [{"sig": "AAAA"}]}
    world.attempt(lambda: regulator.reject(world.model_version, "unsafe", envelope=envelope))


@when("the hospital endorses the model with a statement of two days ago")
def _(world: World) -> None:
    hospital = world.as_("hospital")
    statement: Any = dict(hospital.draft_statement(world.model_version)["statement"])
    statement["predicate"] = {**statement["predicate"], "at": statement["predicate"]["at"] - 2 * 86_400_000}
    payload = base64.b64encode(json.dumps(statement).encode()).decode()
    kind = "application/vnd.in-toto+json"
    envelope: Any = {"payload": payload, "payloadType": kind, "signatures": [{"sig": "AAAA"}]}
    world.attempt(lambda: hospital.endorse(world.model_version, envelope=envelope))


@when("the lab registers a model that only its own peer endorses")
def _(world: World) -> None:
    lab = world.as_("lab")
    world.attempt(lambda: lab.register_model(world.model + "-x", title="X", endorsing_organisations=["LabMSP"]))


@when("the hospital votes for another founding policy")
def _(world: World) -> None:
    hospital = world.as_("hospital")
    policy = hospital.policy()["record"]
    fields = {name: policy[name] for name in ("members", "rules")}
    world.attempt(lambda: hospital.set_policy(number=1, amendment_threshold=3, **fields))


@when(parsers.parse('{count:d} clients of the hospital commit the records "{letters}" at once'))
def _(world: World, count: int, letters: str) -> None:
    world.as_("hospital")
    with ThreadPoolExecutor(count) as pool:
        made = list(pool.map(lambda _: world.commit(letters).record["number"], range(count)))
    assert sorted(made) == list(range(2, count + 2))


@when(parsers.parse('the hospital commits the records "{letters}" with their columns exchanged'))
def _(world: World, words: Any, letters: str) -> None:
    rows = words.records(letters).decode().splitlines()
    exchanged = "\n".join(",".join(reversed(row.split(","))) for row in rows).encode()
    given = {"consent": "ConsentGiven", "purposes": ("model-training",)}
    world.proof["before"] = world.as_("hospital").dataset_version(world.dataset, 1)["record"]
    world.attempt(lambda: world.as_("hospital").commit_records(world.dataset, exchanged, id_field="id", **given))


@when("the lab commits a version that was filtered from it")
def _(world: World, words: Any) -> None:
    world.register("lab", name=f"filtered-{world.number}")
    derivation = {"activity": "filter", "parents": [world.data_version]}
    root = words.digest(f"filtered {world.number}")
    world.attempt(
        lambda: world.as_("lab").commit_version(f"filtered-{world.number}", root=root, size=2, derivation=derivation)
    )


@when("the lab commits the hospital's root to a data set of its own")
def _(world: World) -> None:
    assert world.recorded is not None
    root = world.recorded.record["root"]
    world.register("lab", name=f"taken-{world.number}")
    world.attempt(lambda: world.as_("lab").commit_version(f"taken-{world.number}", root=root, size=2))


@when(parsers.parse("the lab records a run over the {what} for {purpose}"))
def _(world: World, what: str, purpose: str) -> None:
    name = {"selection": selection_of(world), "whole version": None}[what]
    iri = {"research": RESEARCH, "care": "https://w3id.org/dpv/sector/health#PrimaryCareManagement"}[purpose]
    fields = run_over(world, name, purpose=iri)
    world.attempt(lambda: world.as_("lab").record_run(f"run-{world.number}", **fields))


@when("the patient withdraws")
def _(world: World) -> None:
    world.as_("hospital").withdraw_consent(world.dataset, PATIENT)


@when("the patient withdraws, which affects the selection")
def _(world: World) -> None:
    hospital = world.as_("hospital")
    evidence = hospital.consent_proof(world.dataset, PATIENT)
    now = time.time_ns() // 1_000_000
    change = {
        "subject": evidence["subject"],
        "old": evidence["status"],
        "new": {"status": "ConsentWithdrawn", "purposes": f"{0:016x}", "indicated_at": now},
        "siblings": evidence["proof"]["siblings"],
    }
    body = {"number": 2, "previous_root": evidence["version"]["root"], "changes": [change]}
    changed = {**body, "affects": [selection_of(world)]}
    # As a controller sends it that keeps the map, and knows whose records are in which selection, by itself.
    world.did(hospital._record(f"/v1/datasets/{world.dataset}/consent/changes", changed, None))


@when(parsers.parse('the subject "{subject}" withdraws'))
def _(world: World, subject: str) -> None:
    world.as_("hospital").withdraw_consent(world.dataset, subject)


@when(parsers.parse('the hospital splits it into "{shares}" by the seed "{seed}"'))
def _(world: World, shares: str, seed: str) -> None:
    parts = world.as_("hospital").split_records(world.dataset, 1, shares, seed=seed)
    world.proof["parts"] = {role: recorded.record for role, recorded in parts.items()}


@when("the patient permits research alone")
def _(world: World) -> None:
    said: Any = {"subject": "ann", "state": "ConsentGiven", "purposes": ["research"]}
    world.did(world.as_("hospital").change_consent(world.dataset, [said]))


@when("the hospital marks a selection from another data set for it")
def _(world: World) -> None:
    other = f"selection:{world.dataset}-other:1:own"
    world.attempt(lambda: world.as_("hospital").mark_selections(world.dataset, number=2, selections=[other]))


@when(parsers.parse('the hospital splits it by subjects into "{shares}"'))
def _(world: World, shares: str) -> None:
    def split() -> Recorded[Any]:
        parts = world.as_("hospital").split_records(world.dataset, 1, shares, seed="7", by="subject")
        world.proof["parts"] = {role: recorded.record for role, recorded in parts.items()}
        return parts["train"]

    world.attempt(split)


@when(parsers.parse('the {organisation} selects the records "{letters}"'))
def _(world: World, organisation: str, letters: str) -> None:
    ids = letters.split(",")
    world.attempt(lambda: world.as_(organisation).select_records(world.dataset, 1, "chosen", ids))


@when(parsers.parse('the hospital selects what is permitted for "{purpose}"'))
def _(world: World, purpose: str) -> None:
    world.attempt(lambda: world.as_("hospital").select_records(world.dataset, 1, "permitted", purpose=purpose))


@when("the patient withdraws while the lab records runs over the selection")
def _(world: World) -> None:
    # Dated after the withdrawal, as clocks may differ: a run that knows of it is refused.
    fields = run_over(world, selection_of(world), purpose=RESEARCH, after=60_000)
    lab = world.as_("lab")
    hospital = world.as_("hospital")

    def record(number: int) -> int | str:
        try:
            return int(lab.record_run(f"run-{world.number}-{number}", **fields).block)
        except PedigreeError as refusal:
            return str(refusal.code)

    with ThreadPoolExecutor(5) as pool:
        runs = [pool.submit(record, number) for number in range(2)]
        withdrawn = pool.submit(hospital.withdraw_consent, world.dataset, PATIENT)
        runs += [pool.submit(record, number) for number in range(2, 4)]
        world.proof |= {"withdrawn": withdrawn.result().block, "runs": [each.result() for each in runs]}
    world.proof["runs"].append(record(4))


@when(parsers.parse('the patient "{name}" gives consent'))
def _(world: World, name: str) -> None:
    said = {"subject": name, "state": "ConsentGiven", "purposes": ["research"]}
    world.did(world.as_("hospital").change_consent(world.dataset, [said]))


@when(parsers.parse('the patient "{name}" withdraws consent'))
def _(world: World, name: str) -> None:
    world.did(world.as_("hospital").withdraw_consent(world.dataset, name))


@when("the hospital records that all of them withdrew, except the first")
def _(world: World, tmp_path: Path) -> None:
    file = tmp_path / "withdrawn.csv"
    rows = (f"patient {number},ConsentWithdrawn\n" for number in range(1, 500))
    file.write_text("".join(["subject,state\n", *rows]), encoding="utf-8")
    world.did(world.as_("hospital").change_consent(world.dataset, file))


@when("the hospital selects for that purpose, and the lab records a run for it")
def _(world: World) -> None:
    title = world.proof["purpose"]["title"]
    selected = world.as_("hospital").commit_selection(
        world.data_version, "permitted", root="5e" * 32, size=1, purpose=title, consent_map=world.proof["map"],
        left_out=[{"reason": "no consent for this purpose", "count": 2}],
    )  # fmt: skip
    world.proof["selected"] = selected.record["purpose"]
    world.let_in(selection_of(world), purpose=selected.record["purpose"])
    world.did(world.as_("lab").record_run(f"run-{world.number}", **run_over(world, selection_of(world), purpose=title)))


@when(parsers.parse('the lab withdraws the consent of "{name}" with the hospital\'s proof'))
def _(world: World, name: str) -> None:
    change = withdrawal(world, name)
    world.attempt(lambda: send(world, "lab", change))


@when(parsers.parse('the hospital withdraws the consent of "{name}" as of before "{other}" withdrew'))
def _(world: World, name: str, other: str) -> None:
    change = withdrawal(world, name)
    world.proof["now"] = world.as_("hospital").withdraw_consent(world.dataset, other).record
    world.attempt(lambda: send(world, "hospital", change))


@when(parsers.parse('"{name}" and "{other}" withdraw at once, each over version 1'))
def _(world: World, name: str, other: str) -> None:
    changes = [withdrawal(world, each) for each in (name, other)]

    def sent(change: dict[str, Any]) -> Recorded | PedigreeError:
        try:
            return send(world, "hospital", change)
        except PedigreeError as refusal:
            return refusal

    with ThreadPoolExecutor(2) as pool:
        became = list(pool.map(sent, changes))
    (held,) = (each for each in became if not isinstance(each, PedigreeError))
    (world.refusal,) = (each for each in became if isinstance(each, PedigreeError))
    world.proof["now"] = held.record
    assert world.as_("hospital").consent(world.dataset)["record"]["root"] == held.record["root"]


@when(parsers.parse('the hospital withdraws the consent of "{name}" with a proof that does not hold'))
def _(world: World, name: str) -> None:
    change = withdrawal(world, name)
    siblings = bytearray(base64.b64decode(change["changes"][0]["siblings"]))
    siblings[0] ^= 1
    change["changes"][0]["siblings"] = base64.b64encode(siblings).decode()
    world.attempt(lambda: send(world, "hospital", change))


@when(parsers.parse('the hospital records that "{name}" withdrew on "{day}"'))
def _(world: World, name: str, day: str) -> None:
    world.attempt(lambda: world.as_("hospital").withdraw_consent(world.dataset, name, indicated_at=day))


@when(parsers.parse('the patient of the record "{letter}" withdraws'))
def _(world: World, letter: str) -> None:
    world.attempt(lambda: world.as_("hospital").withdraw_consent(world.dataset, name_of(world, letter)))
    assert world.refusal is None, str(world.refusal)


@when("the hospital registers personal data without a lawful basis")
def _(world: World) -> None:
    world.attempt(lambda: world.register("hospital", sensitivity="personal"))


@when("the hospital registers a data set whose title is not in normal form C")
def _(world: World) -> None:
    world.attempt(lambda: world.register("hospital", title="Cafe\u0301"))


@when("the lab records a run that starts at a fraction of a millisecond")
def _(world: World) -> None:
    fields = world.run_fields(started=1_700_000_000_000.5, inputs=[])
    world.attempt(lambda: world.as_("lab").record_run(f"odd-{world.number}", **fields))


@when("the lab records a version of it that may be")
def _(world: World) -> None:
    lab, folder = world.as_("lab"), world.files("first")
    run = f"run-{world.number}"
    world.attempt(lambda: lab.record_model_version(world.model, folder, licence="CC-BY-4.0", run=run))


@when("the lab trains a classifier on it inside a run")
def _(world: World, words: Any) -> None:
    rows = [row.split(",") for row in words.records("a,b,c").decode().splitlines()[1:]]
    values, labels = [[int(value)] for _, value in rows], [name == "a" for name, _ in rows]
    lab = world.as_("lab")
    classifier = LogisticRegression(C=0.5)
    with lab.run(f"run-{world.number}", datasets=[world.data_version], code=Path(__file__)) as run:
        classifier.fit(values, labels)
        run.log_parameters(classifier.get_params())
        run.log_metric("accuracy", classifier.score(values, labels))
    world.did(run.recorded)
    world.proof["accuracy"] = classifier.score(values, labels)


# --- What then holds -----------------------------------------------------------------------------------------------


@then(parsers.parse('it is refused as "{code}"'))
def _(world: World, code: str) -> None:
    assert world.refusal is not None, f"it was accepted: {world.recorded}"
    assert world.refusal.code == code, str(world.refusal)


@then("upstream of the run are the selection and the version")
def _(world: World) -> None:
    assert world.refusal is None, str(world.refusal)
    lineage = world.as_("hospital").lineage(f"run:run-{world.number}", direction="up")
    assert {selection_of(world), world.data_version} <= {node["reference"] for node in lineage["nodes"]}


@then("every run that stands was ordered before the withdrawal")
def _(world: World) -> None:
    # In one block, a run that knew nothing of the withdrawal stands only ahead of it.
    for became in world.proof["runs"]:
        assert became == "selection-outdated" or became <= world.proof["withdrawn"], world.proof
    assert world.proof["runs"][-1] == "selection-outdated"
    blocks = [each for each in world.proof["runs"] if isinstance(each, int)]
    stand = world.as_("regulator").lineage(selection_of(world), direction="down")["nodes"]
    assert sum(node["reference"].startswith("run:") for node in stand) == len(blocks)


@then(parsers.parse('versions {first:d} to {last:d} prove that the consent of "{name}" is "{states}"'))
def _(world: World, first: int, last: int, name: str, states: str) -> None:
    words = {"ConsentGiven": "given", "ConsentWithdrawn": "withdrawn", None: "absent"}
    found = []
    for number in range(first, last + 1):
        evidence = world.as_("hospital").consent_proof(world.dataset, subject=name, number=number)
        assert f'"{name}"' not in json.dumps(evidence)
        # The root is read where the regulator is, and the proof checked by the law's own lines.
        root = world.as_("regulator").consent_version(world.dataset, number)["record"]["root"]
        proof = Proof(*(base64.b64decode(evidence["proof"][part]) for part in ("siblings", "leaf")))
        value = sparsemerkle.verify(bytes.fromhex(root), bytes.fromhex(evidence["subject"]), proof)
        status = None if value is None else STATUSES[value[0]]
        assert status == (evidence["status"] or {}).get("status")
        found.append(words[status])
    assert ", ".join(found) == states


@then(parsers.parse("one transaction changed the consent of {count:d} patients"))
def _(world: World, count: int) -> None:
    version = world.as_("regulator").consent_version(world.dataset, 2)["record"]
    assert version["changed"] == count
    assert version["counts"] == [{"status": "ConsentWithdrawn", "count": count}]
    assert world.as_("regulator").consent(world.dataset)["record"]["number"] == 2


@then("the selection and the run have the purpose's term")
def _(world: World) -> None:
    assert world.recorded is not None
    assert world.proof["selected"] == world.recorded.record["purpose"] == world.proof["purpose"]["iri"]


@then("the refusal names the root to build on")
def _(world: World) -> None:
    assert world.refusal is not None
    now = world.proof["now"]
    assert (world.refusal.facts["number"], world.refusal.facts["root"]) == (now["number"], now["root"])
    (change,) = (each for each in map(partial(withdrawal, world), ("ann", "bob")) if is_given(each))
    assert send(world, "hospital", change).record["previous_root"] == now["root"]


def impact_of(world: World) -> tuple[dict[str, Any], dict[str, tuple[str, bool, str | None]]]:
    """What the withdrawal was answered with, and of each artifact how the record reached it and what that asks for."""
    assert world.recorded is not None
    impact = world.recorded.impact
    assert impact is not None
    return impact, {item["reference"]: (item["role"], item["certain"], item["duty"]) for item in impact["items"]}


@then(
    parsers.parse(
        'it is answered that "{letter}" reached training, and that the lab has to retrain or document both models'
    )
)
def _(world: World, letter: str) -> None:
    impact, found = impact_of(world)
    selection = f"selection:{world.dataset}:1:train"
    assert found == {
        selection: ("data", True, "stop-using"),
        f"run:run-{world.number}": ("train", True, "stop-using"),
        world.model_version: ("train", True, "retrain-or-document"),
        world.second_version: ("train", True, "retrain-or-document"),
    }
    (version,) = impact["versions"]
    assert (version["version"], [each["id"] for each in version["records"]]) == (world.data_version, [letter])
    duties = {(each["organisation"], each["duty"]): each["count"] for each in impact["duties"]}
    assert duties["LabMSP", "retrain-or-document"] == 2
    assert duties["HospitalMSP", "stop-using"] == 1
    path = next(item["path"] for item in impact["items"] if item["reference"] == world.second_version)
    assert path == [
        world.second_version, world.model_version, f"run:run-{world.number}", selection, world.data_version,
    ]  # fmt: skip


@then("the training selection is marked, so that both models need review")
def _(world: World) -> None:
    for version in (world.model_version, world.second_version):
        causes = {each["cause"]: each["path"][-1] for each in world.as_("regulator").artifact(version)["tainted_by"]}
        assert causes == {"withdrawn": f"selection:{world.dataset}:1:train"}


@then("the hospital's signed statement of it verifies offline and names no patient")
def _(world: World, consortium: Any, tmp_path: Path) -> None:
    hospital = world.as_("hospital")
    envelope = hospital.consent_impact_statement(world.dataset, subject=name_of(world, "a"))
    assert b"patient-" not in base64.b64decode(envelope["payload"])
    file = tmp_path / "impact.json"
    file.write_text(json.dumps(envelope))
    folder = Path(os.environ.get("PEDIGREE_NETWORK") or consortium.directory)
    (member,) = (each for each in consortium.network()["organisations"] if each["name"] == "hospital")
    # A gateway in a container has a user of its own, which it enrolled with the organisation's CA.
    own = folder / "gateways" / "hospital" / "identity" / "msp"
    (certificate,) = ((own if own.is_dir() else folder / member["user_msp"]) / "signcerts").iterdir()
    given = ["--certificate", str(certificate), "--msp", str(folder / member["msp"])]
    answer = CliRunner().invoke(pedigree_command, ["verify", str(file), *given])
    assert answer.exit_code == 0, answer.output
    assert f"{world.model_version}: the record reached training; LabMSP: retrain-or-document." in answer.output
    lab = CliRunner().invoke(pedigree_command, ["verify", str(file), *given[:3], str(folder)])
    assert lab.exit_code != 0


@then(
    parsers.parse(
        'it is answered that "{letter}" was held out only, and that the lab has to evaluate both models again'
    )
)
def _(world: World, letter: str) -> None:
    impact, found = impact_of(world)
    assert found[world.model_version] == found[world.second_version] == ("held-out", True, "re-evaluate")
    assert f"selection:{world.dataset}:1:train" not in found
    assert [each["id"] for each in impact["versions"][0]["records"]] == [letter]
    asked = world.as_("hospital").consent_impact(world.dataset, subject=name_of(world, "a"))
    assert {item["role"] for item in asked["items"] if item["kind"] == "model-version"} == {"train"}


@then("as of the height before it nobody has to do anything")
def _(world: World) -> None:
    subject, height = name_of(world, "d"), world.proof["height"]
    before = world.as_("hospital").consent_impact(world.dataset, subject=subject, as_of=height)
    assert (before["permitted"], before["duties"], before["as_of"]) == (True, [], height)
    assert world.second_version in {item["reference"] for item in before["items"]}


@then(parsers.parse('the receipts of "{letter}" from before it and of now verify offline, and an altered one does not'))
def _(world: World, letter: str) -> None:
    hospital, regulator = world.as_("hospital"), world.as_("regulator")
    for number, status in ((1, "ConsentGiven"), (2, "ConsentWithdrawn")):
        answer = hospital.consent_receipt(world.dataset, subject=name_of(world, letter), number=number)
        receipt = json.loads(json.dumps(answer["receipt"]))
        assert "patient-" not in json.dumps(receipt)
        verdict = verify_receipt(receipt, version=regulator.consent_version(world.dataset, number))
        assert verdict.verified
        assert verdict.indicated is not None
        assert verdict.indicated.status == status
        receipt["dct:hasPart"]["dpv:hasConsentStatus"]["@id"] = "dpv:RenewedConsentGiven"
        with pytest.raises(PedigreeError, match="another status than its evidence"):
            verify_receipt(receipt)


@then(parsers.parse('the hospital\'s gateway shows both states of "{letter}"'))
def _(world: World, letter: str) -> None:
    history = world.as_("hospital").consent_history(world.dataset, subject=name_of(world, letter))
    assert [each["status"]["status"] for each in history["history"]] == ["ConsentWithdrawn", "ConsentGiven"]


@then("it says that the hospital recorded the same bytes first")
def _(world: World, words: Any) -> None:
    assert world.refusal is None
    assert world.recorded is not None
    (claim,) = world.recorded.record["earlier_claims"]
    assert (claim["digest"], claim["owner"]) == (words.digest(f"card {world.number}"), "HospitalMSP")


@then(parsers.parse("the version commits to {count:d} records"))
def _(world: World, count: int) -> None:
    assert world.refusal is None
    assert world.recorded is not None
    assert world.recorded.record["size"] == count


@then(parsers.parse('the version "{change}" the one before'))
def _(world: World, change: str) -> None:
    assert world.refusal is None
    assert world.recorded is not None
    assert world.recorded.record["change"] == change
    assert world.recorded.record["number"] == 2


@then(parsers.parse('versions {first:d} to {last:d} are intact and prove record "{letter}"'))
def _(world: World, first: int, last: int, letter: str) -> None:
    hospital = world.as_("hospital")
    for number in range(first, last + 1):
        assert hospital.verify_dataset(world.dataset, number)["verified"]
        assert hospital.record_proof(world.dataset, number, letter)["record"]["id"] == letter


@then(parsers.parse('the hospital can prove that record "{letter}" was in version 1'))
def _(world: World, letter: str) -> None:
    proof = world.as_("hospital").record_proof(world.dataset, 1, letter)
    verdict = world.as_("regulator").verify_record(proof)
    assert verdict.verified
    assert verdict.id == letter
    assert "HospitalMSP" in verdict.recorded[0]


@then(parsers.parse('a copy in which record "{letter}" was altered is reported as changed in "{named}" only'))
def _(world: World, words: Any, letter: str, named: str) -> None:
    report = verify(world, words.records("a,b,c,d", altered=letter))
    assert report == {"verified": False, "changed": [named], "added": [], "removed": []}


@then(parsers.parse('a copy without record "{letter}" is reported as missing "{named}" only'))
def _(world: World, words: Any, letter: str, named: str) -> None:
    kept = ",".join(one for one in "abcd" if one != letter)
    assert verify(world, words.records(kept)) == {"verified": False, "changed": [], "added": [], "removed": [named]}


@then(parsers.parse('a copy with record "{letter}" besides is reported as having "{named}" added'))
def _(world: World, words: Any, letter: str, named: str) -> None:
    report = verify(world, words.records(f"a,b,c,d,{letter}"))
    assert report == {"verified": False, "changed": [], "added": [named], "removed": []}


def verify(world: World, copy: bytes) -> dict[str, Any]:
    """What the owner's gateway says about a copy of version 1."""
    report = world.as_("hospital").verify_dataset(world.dataset, 1, copy, id_field="id")
    return {name: report[name] for name in ("verified", "changed", "added", "removed")}


@then("upstream of the model are the run and the data set version")
def _(world: World) -> None:
    found = lineage(world, world.model_version, "up")
    assert found == {
        f"run:run-{world.number}", world.data_version, f"dataset:{world.dataset}", f"model:{world.model}"
    }  # fmt: skip


@then("downstream of the data set version are the run and the model")
def _(world: World) -> None:
    assert lineage(world, world.data_version, "down") == {f"run:run-{world.number}", world.model_version}


@then("every organisation's gateway gives the same lineage")
def _(world: World) -> None:
    answers = [world.as_(name).lineage(world.model_version, "up") for name in world.clients]
    assert answers[0] == answers[1] == answers[2]


def lineage(world: World, of: str, direction: str) -> set[str]:
    """What the regulator's gateway reaches from an artifact, without the artifact itself."""
    nodes = world.as_("regulator").lineage(of, direction)["nodes"]
    return {node["reference"] for node in nodes} - {of}


@then("the refusal names the path from the second version to the first")
def _(world: World) -> None:
    assert world.refusal is not None
    assert world.refusal.facts["path"] == [world.second_version, world.model_version]


@then("the hospital's inbox shows that the first version taints the second")
def _(world: World) -> None:
    expected = [{"cause": "quarantined", "path": [world.second_version, world.model_version]}]
    hospital = world.as_("hospital")
    assert hospital.artifact(world.second_version)["tainted_by"] == expected
    items = {item["artifact"]: item for item in hospital.inbox()["items"]}
    assert items[world.second_version]["tainted_by"] == expected


@then("the run bears a mark with the path to the data")
def _(world: World) -> None:
    name = f"another-{world.number}"
    record = world.as_("hospital").get_run(name)["record"]
    assert record["tainted_by"] == [{"cause": "quarantined", "path": [f"run:{name}", world.data_version]}]


@then(parsers.parse('the first version is a "{stage}"'))
def _(world: World, stage: str) -> None:
    assert world.as_("lab").artifact(world.model_version)["stage"] == stage


@then("the second version is marked for review, with the path to the first")
def _(world: World) -> None:
    nodes = world.as_("hospital").lineage(world.second_version, "up")["nodes"]
    paths = {node["reference"]: node["review_path"] for node in nodes}
    assert paths[world.second_version] == [world.second_version, world.model_version]


@then("before the second version was recorded nothing was made from the first")
def _(world: World) -> None:
    for name in world.clients:
        client, before = world.as_(name), world.proof["second"]
        assert client.impact(world.model_version, as_of=before)["items"] == []
        assert [node["reference"] for node in down(client, world.model_version, before)] == [world.model_version]
        found = client.impact(world.model_version, as_of=before + 1)
        assert [each["reference"] for each in found["items"]] == [world.second_version]
        with pytest.raises(PedigreeError, match="not-found"):
            client.lineage(world.second_version, "up", as_of=before)


@then("before the quarantine the second version needs no review")
def _(world: World) -> None:
    assert world.recorded is not None
    stopped = world.recorded.block
    path = [world.second_version, world.model_version]
    for name in world.clients:
        client = world.as_(name)
        for at, expected in ((stopped, []), (stopped + 1, path), (None, path)):
            (item,) = client.impact(world.model_version, as_of=at)["items"]
            assert item["review_path"] == expected
            assert item["review_cause"] == ("quarantined" if expected else None)
            assert down(client, world.model_version, at)[1]["review_path"] == expected


def down(client: Any, of: str, as_of: int | None) -> Any:
    """The artifacts of a walk down as of a height."""
    return client.lineage(of, "down", as_of=as_of)["nodes"]


@then("the run and the model are marked for review, with the path to the selection")
def _(world: World) -> None:
    run, selection = f"run:run-{world.number}", selection_of(world)
    for name in world.clients:
        client = world.as_(name)
        found = {each["reference"]: each for each in client.impact(selection)["items"]}
        walked = {node["reference"]: node for node in down(client, selection, None)}
        for path in ([run, selection], [world.model_version, run, selection]):
            assert found[path[0]]["review_path"] == walked[path[0]]["review_path"] == path
            assert found[path[0]]["review_cause"] == "withdrawn"
        assert walked[selection]["withdrawn"]
        assert client.artifact(world.model_version)["tainted_by"] == [{"cause": "withdrawn", "path": path}]


@then(parsers.parse('what its ancestors\' licences come to is "{licence}"'))
def _(world: World, licence: str) -> None:
    for name in world.clients:
        found = world.as_(name).effective_licence(world.model_version)
        assert (found["inherited"], found["ancestors"], found["complete"]) == (licence, 3, True)


@then(parsers.parse('its effective licence is "{licence}", for credit, non-commercial use and sharing alike'))
def _(world: World, licence: str) -> None:
    for name in world.clients:
        found = world.as_(name).effective_licence(world.model_version)
        assert (found["licence"], found["verdict"], found["offending"]) == (licence, "met", None)
        assert found["conditions"] == ["attribution", "non-commercial use", "share-alike"]


@then(parsers.parse('no licence keeps all of them, and the path leads to the one under "{licence}"'))
def _(world: World, licence: str) -> None:
    last, *others = (f"model-version:{world.model}:{number}" for number in (3, 2, 1))
    for name in world.clients:
        found = world.as_(name).effective_licence(last)
        assert (found["licence"], found["verdict"]) == (None, "none")
        offending = found["offending"]
        assert (offending["licence"], offending["code"]) == (licence, "licence-too-wide")
        assert offending["path"] == [last, *others]


@then("the model is marked for review, with the path through the version that extends it")
def _(world: World) -> None:
    path = [world.model_version, f"run:run-{world.number}", world.second_data_version, world.data_version]
    for of, direction in ((world.model_version, "up"), (world.data_version, "down")):
        nodes = {node["reference"]: node for node in world.as_("hospital").lineage(of, direction)["nodes"]}
        assert nodes[world.model_version]["review_path"] == path


@then("the model needs no review, and the first version of the data is shown as superseded")
def _(world: World) -> None:
    nodes = {node["reference"]: node for node in world.as_("lab").lineage(world.model_version, "up")["nodes"]}
    assert nodes[world.model_version]["review_path"] == []
    assert nodes[world.data_version]["superseded_by"] == world.second_data_version
    below = world.as_("lab").lineage(world.data_version, "down")["nodes"]
    assert [node["reference"] for node in below] == [world.data_version, world.second_data_version]


@then(parsers.parse('the model is "{stage}"'))
def _(world: World, stage: str) -> None:
    assert world.refusal is None, str(world.refusal)
    assert world.as_("lab").artifact(world.model_version)["stage"] == stage


@then("one more organisation is missing")
def _(world: World) -> None:
    assert world.as_("lab").artifact(world.model_version)["status"]["missing"] == 1


@then(parsers.parse('the role "{role}" is missing'))
def _(world: World, role: str) -> None:
    assert world.as_("lab").artifact(world.model_version)["status"]["missing_roles"] == [role]


@then(parsers.parse('every organisation\'s gateway shows it as "{stage}"'))
def _(world: World, stage: str) -> None:
    assert {world.as_(name).artifact(world.model_version)["stage"] for name in world.clients} == {stage}


@then("the model is in the inbox of the hospital and of the regulator")
def _(world: World) -> None:
    for name in ("hospital", "regulator"):
        assert world.model_version in inbox(world, name)


@then("the model is not in the inbox of the lab")
def _(world: World) -> None:
    assert world.model_version not in inbox(world, "lab")


def inbox(world: World, organisation: str) -> set[str]:
    """What awaits an organisation."""
    return {item["artifact"] for item in world.as_(organisation).inbox()["items"]}


@then("the model is unknown to every organisation")
def _(world: World) -> None:
    for name in world.clients:
        client = world.as_(name)
        client.at_least(client.ledger()["height"])
        with pytest.raises(Exception, match="not-found"):
            client.model(world.model + "-x")


@then(parsers.parse('every organisation finds the model by its name, its digest and the stage "{stage}"'))
def _(world: World, stage: str) -> None:
    for name in world.clients:
        client = world.as_(name)
        version = client.model_version(world.model, 1)["record"]
        assert f"model:{world.model}" in [item["reference"] for item in client.search(world.model)["items"]]
        weights = version["files"][0]["digest"]
        found = {item["reference"]: item["digests"] for item in client.search(weights[:12])["items"]}
        assert found[world.model_version][0]["digest"] == weights
        listed = client.model_versions(world.model, stage=stage, digest=version["digest"], owner=version["owner"])
        assert [item["record"]["number"] for item in listed["items"]] == [1]
        assert listed["count"] == 1
        assert client.model_versions(world.model, stage="approved")["items"] == []
        assert client.whoami()["height"] >= client.height


@then("every organisation reads the same model from its gateway and from the ledger")
def _(world: World) -> None:
    for name in world.clients:
        client = world.as_(name)
        ours = client.model_version(world.model, 1)
        theirs = client.model_version(world.model, 1, source="ledger")
        assert (ours["source"], theirs["source"]) == ("read-model", "ledger")
        assert theirs["record"] == ours["record"]
        assert theirs["transaction"] == ours["transaction"]
        assert theirs["height"] > ours["transaction"]["block"]
        assert client.policy(source="ledger")["record"] == client.policy()["record"]


@then("what nobody recorded is not found on the ledger either")
def _(world: World) -> None:
    for name in world.clients:
        with pytest.raises(Exception, match="not-found"):
            world.as_(name).model(f"{world.model}-x", source="ledger")


@then("each record is proven to be in one part, by its leaf in the version, and in no other")
def _(world: World) -> None:
    hospital, regulator = world.as_("hospital"), world.as_("regulator")
    found: Counter[str] = Counter()
    for letter in "abcdefgh":
        in_version = hospital.record_proof(world.dataset, 1, letter)
        in_parts = {role: _proof_in(hospital, world.dataset, role, letter) for role in ("train", "test")}
        (role,) = (role for role, evidence in in_parts.items() if evidence is not None)
        evidence = in_parts[role]
        assert regulator.verify_record(evidence).verified
        assert evidence["proof"] == in_version["proof"]
        found[role] += 1
    assert found == {role: record["size"] for role, record in world.proof["parts"].items()} == {"train": 6, "test": 2}
    assert "by the seed '7' (pedigree-split/v1)" in world.proof["parts"]["test"]["note"]


@then("each patient's records are proven to be in one part, and the parts have all of them")
def _(world: World) -> None:
    hospital, regulator = world.as_("hospital"), world.as_("regulator")
    roles: dict[str, set[str]] = {}
    for number, person in enumerate(world.people):
        evidence = {role: _proof_in(hospital, world.dataset, role, str(number)) for role in ("train", "test")}
        (role,) = (role for role, found in evidence.items() if found is not None)
        assert regulator.verify_record(evidence[role]).verified
        roles.setdefault(person, set()).add(role)
    assert all(len(found) == 1 for found in roles.values())
    parts = world.proof["parts"]
    assert sum(part["size"] for part in parts.values()) == len(world.people)
    assert all("(pedigree-split/v2)" in part["note"] for part in parts.values())


@then("the selection for its own purpose is marked, and that for research is not")
def _(world: World) -> None:
    assert marked(world) == {"own"}


@then("the impact has a duty for the one, and none for the other")
def _(world: World) -> None:
    impact = did(world).impact
    assert impact is not None
    duties = {item["reference"].rpartition(":")[2]: item["duty"] for item in impact["items"]}
    assert duties == {"own": "stop-using", "research": None}
    assert [(each["duty"], each["count"]) for each in impact["duties"]] == [("stop-using", 1)]


@then(parsers.parse("all selections for its own purpose are marked, {most:d} by the change and the others after it"))
def _(world: World, most: int) -> None:
    changed = did(world)
    assert changed.unmarked == 0
    assert len(marked(world)) == 66
    assert len(marked(world, as_of=changed.height)) == most


def did(world: World) -> Recorded[Any]:
    assert world.recorded is not None
    return world.recorded


def marked(world: World, as_of: int | None = None) -> set[str]:
    """The selections of the data set's version that are marked."""
    found = world.as_("hospital").impact(world.data_version, limit=100, as_of=as_of)
    assert found["next"] is None
    return {each["reference"].rpartition(":")[2] for each in found["items"] if each["stopped"] == "withdrawn"}


def _proof_in(client: Any, dataset: str, selection: str, record_id: str) -> Any:
    """The evidence that a record is in a selection; `None` where it is in the version only."""
    try:
        return client.selection_proof(dataset, 1, selection, record_id)
    except PedigreeError as refusal:
        if refusal.code != "record-not-selected":
            raise
        return None


@then("a run of the lab over the training part has that part upstream, and not the other")
def _(world: World) -> None:
    part = world.proof["parts"]["train"]
    selection = f"selection:{world.dataset}:1:train"
    used = {"version": world.data_version, "selection": selection, "root": part["root"], "role": "train"}
    world.as_("lab").record_run(f"run-{world.number}", **world.run_fields(inputs=[used]))
    found = lineage(world, f"run:run-{world.number}", "up")
    assert {selection, world.data_version} <= found
    assert f"selection:{world.dataset}:1:test" not in found


@then(parsers.parse('the selection has {size:d} records, and {count:d} was left out as "{reason}"'))
def _(world: World, size: int, count: int, reason: str) -> None:
    assert world.recorded is not None, str(world.refusal)
    record = world.recorded.record
    assert (record["size"], record["left_out"]) == (size, [{"reason": reason, "count": count}])
    assert record["consent_map"]["number"] == 2


@then("the record of bob is not in it")
def _(world: World) -> None:
    hospital = world.as_("hospital")
    assert _proof_in(hospital, world.dataset, "permitted", "1") is None
    assert world.as_("regulator").verify_record(hospital.selection_proof(world.dataset, 1, "permitted", "0")).verified


@then("it commits to other columns than the one before")
def _(world: World) -> None:
    assert world.recorded is not None
    before = world.proof["before"]
    assert world.recorded.record["size"] == before["size"]
    assert world.recorded.record["header"] != before["header"]
    assert world.recorded.record["root"] != before["root"]


@then(parsers.parse("upstream of the lab's version is the hospital's, by the relation \"{relation}\""))
def _(world: World, relation: str) -> None:
    assert world.recorded is not None, str(world.refusal)
    child = f"dataset-version:filtered-{world.number}:1"
    assert world.recorded.record["derivation"] == {"activity": relation, "parents": [world.data_version]}
    found = [entry["record"] for entry in world.as_("regulator").edges(child)["items"]]
    assert (world.data_version, relation) in {(edge["parent"], edge["relation"]) for edge in found}


@then(parsers.parse('the refusal names the field "{pointer}"'))
def _(world: World, pointer: str) -> None:
    assert world.refusal is not None
    assert world.refusal.facts.get("pointer") == pointer


@then("the refusal names the path from the version through the run to the data")
def _(world: World) -> None:
    assert world.refusal is not None
    path = [world.model_version, f"run:run-{world.number}", world.data_version]
    assert [each for each in world.refusal.facts["path"] if each in path] == path


@then("the run on the ledger has the classifier's parameters and its accuracy")
def _(world: World) -> None:
    record = world.as_("regulator").get_run(f"run-{world.number}", source="ledger")["record"]
    root = world.as_("hospital").dataset_version(world.dataset, 1)["record"]["root"]
    assert [(used["version"], used["root"]) for used in record["inputs"]] == [(world.data_version, root)]
    assert {"name": "C", "value": "0.5"} in record["parameters"]
    (accuracy,) = record["metrics"]
    assert (accuracy["name"], float(accuracy["value"])) == ("accuracy", world.proof["accuracy"])

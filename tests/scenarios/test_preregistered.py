# SPDX-License-Identifier: Apache-2.0
"""Evaluations whose criteria were on the ledger before the training, and those that came too late."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from letting import let_in

from gateway.cli import main as pedigree_command
from gateway.demo.founding import ORIGIN
from pedigree import NotFound, Pedigree, Recorded, Unmet

_names = itertools.count(1)
ROWS = [f"p{number},{number % 90}" for number in range(40)]
HELD_OUT = [f"p{number}" for number in range(30, 40)]
AUC = {"auc": 0.97, "loss": 0.1}


@dataclass
class Bench:
    """A data set of which some records are held out, and a model of the lab's that is to be trained."""

    clients: dict[str, Pedigree]
    folder: Path
    number: int
    grant: str = ""
    """Under which the lab has the data."""

    @property
    def dataset(self) -> str:
        return f"judged-data-{self.number}"

    @property
    def version(self) -> str:
        return f"dataset-version:{self.dataset}:1"

    @property
    def held_out(self) -> str:
        return f"selection:{self.dataset}:1:held-out"

    @property
    def model(self) -> str:
        return f"judged-{self.number}"

    @property
    def criteria(self) -> str:
        return f"bar-{self.number}"

    def as_(self, organisation: str) -> Pedigree:
        """A client that sees what all have recorded so far."""
        client = self.clients[organisation]
        client.at_least(max(other.height for other in self.clients.values()))
        return client

    def set_bar(self, by: str = "regulator", **changes: Any) -> Recorded[Any]:
        """Register criteria; they are on the ledger before this returns."""
        given = {"all_of": ["auc >= 0.95", "loss < 0.2"], "selection": self.held_out, "model": self.model} | changes
        recorded = self.as_(by).register_criteria(self.criteria, title="What it has to reach", **given)
        time.sleep(0.002)  # a run that starts in the same millisecond did not start after it
        return recorded

    def train(self, model: str | None = None, **more: Any) -> str:
        """A run over the data, and the version that it made; answers the version's reference."""
        name = model or self.model
        lab = self.as_("lab")
        used = {"version": self.version, "grant": self.grant}
        with lab.run(model=name, datasets=[used], code="ab" * 32, **more) as run:
            run.log_metric("loss", 0.4)
        return self.keep(name, run=run.name)

    def keep(self, name: str, **more: Any) -> str:
        """Record a version of a model of the lab's."""
        weights = self.folder / f"{name}-{next(_names)}"
        weights.mkdir()
        (weights / "net.json").write_text(json.dumps([name, next(_names)]))
        return self.as_("lab").record_model_version(name, weights, licence="CC-BY-4.0", **more).reference

    def evaluate(self, subject: str, *, metrics: Any = None, by: str = "hospital", **changes: Any) -> Recorded[Any]:
        """Record an evaluation of a version, now, judged by the criteria."""
        client = self.as_(by)
        name, number = subject.split(":")[1:]
        root = client.selection(self.dataset, 1, "held-out")["record"]["root"]
        data = {
            "version": self.version,
            "root": root,
            "role": "test",
            "selection": self.held_out,
        }
        if by != "hospital":
            data["grant"] = let_in(self.as_("hospital"), self.held_out, grantee=f"{by.capitalize()}MSP")
            client = self.as_(by)
        given: dict[str, Any] = {"data": data, "criteria": self.criteria, "evaluated_at": int(time.time() * 1000)}
        return client.record_evaluation(
            f"evaluation-{next(_names)}", subject=subject,
            digest=client.model_version(name, int(number))["record"]["digest"], metrics=metrics or AUC,
            **given | changes,
        )  # fmt: skip


@pytest.fixture
def bench(clients: dict[str, Pedigree], tmp_path: Path) -> Bench:
    """Data with records held out, and a model that has no version yet."""
    made = Bench(clients, tmp_path, next(_names))
    hospital = clients["hospital"]
    hospital.register_dataset(
        made.dataset, title="Ages", licence="CC-BY-4.0", origin=ORIGIN, sensitivity="special-category",
        basis="public-task",
    )  # fmt: skip
    hospital.commit_records(made.dataset, "\n".join(["id,age", *ROWS]).encode(), id_field="id")
    hospital.select_records(made.dataset, 1, "held-out", HELD_OUT, role="test")
    made.grant = let_in(hospital, made.version)
    made.as_("lab").register_model(made.model, title="Judged")
    return made


@pytest.fixture
def policy(bench: Bench) -> Iterator[Callable[[list[str] | None], None]]:
    """Amends the policy: by which roles models have to be judged before they are endorsed, None for by none."""

    def amend(roles: list[str] | None) -> None:
        now = bench.as_("lab").policy()["record"]
        kept = ("members", "amendment_threshold", "amendment_roles", "taint")
        rules = [{name: value for name, value in rule.items() if name != "judged_by_roles"} for rule in now["rules"]]
        if roles is not None:
            rules = [rule | {"judged_by_roles": roles} for rule in rules]
        for name in ("hospital", "regulator"):
            bench.as_(name).set_policy(
                number=now["number"] + 1, rules=rules, **{name: now[name] for name in kept if name in now}
            )

    yield amend
    amend(None)  # other scenarios share this ledger


def refused(code: str, attempt: Callable[[], object]) -> Unmet:
    with pytest.raises(Unmet) as refusal:
        attempt()
    assert refusal.value.code == code
    return refusal.value


@pytest.mark.story("F4", "An evaluation is judged by criteria that were registered before the run")
def test_what_was_set_first_judges(bench: Bench) -> None:
    bar = bench.set_bar()
    assert bar.record["size"] == len(HELD_OUT)
    version = bench.train()
    passed = bench.evaluate(version)
    assert passed.record["verdict"] == "pass"
    assert [each["verdict"] for each in passed.record["judged"]] == ["pass", "pass"]
    failed = bench.evaluate(version, metrics={"auc": 0.9499999999999998, "loss": 0.1}, by="regulator")
    assert failed.record["verdict"] == "fail"
    lab = bench.as_("lab")
    runs = [lab.get_run(name) for name in passed.record["runs"]]
    assert all(bar.record["registered_at"] < run["record"]["started"] for run in runs)
    assert all(bar.block < run["transaction"]["block"] < passed.block for run in runs)
    for verdict, recorded in (("pass", passed), ("fail", failed)):
        found = lab.evaluations(criteria=bench.criteria, verdict=verdict)["items"]
        assert [item["record"]["evaluation"] for item in found] == [recorded.record["evaluation"]]
    assert lab.evaluations(subject=version, criteria=bench.criteria)["count"] == 2
    edges = lab.lineage(passed.reference, direction="up")["edges"]
    assert {(edge["parent"], edge["relation"]) for edge in edges} >= {
        (bar.reference, "applied"), (version, "evaluated"), (bench.held_out, "named"),
    }  # fmt: skip


@pytest.mark.story("F4", "The command line registers criteria and shows verdicts")
def test_on_the_command_line(bench: Bench, consortium: Any) -> None:
    environment = {"PEDIGREE_URL": consortium.url("hospital"), "PEDIGREE_KEY": consortium.key("hospital")}

    def run(*arguments: str) -> str:
        printed = CliRunner().invoke(pedigree_command, arguments, env=environment)
        assert printed.exit_code == 0, printed.output
        return printed.stdout

    registered = run(
        "criteria", "register", bench.criteria, "--title", "Bar", "--selection", bench.held_out, "--model", bench.model,
        "--criterion", "auc >= 0.95", "--criterion", "loss < 0.2",
    )  # fmt: skip
    assert "CriteriaRegistered in block" in registered
    assert "auc >= 0.95" in run("criteria", "list", "--model", bench.model)
    assert "loss < 0.2" in run("criteria", "show", bench.criteria)
    assert bench.criteria in run("list", "criteria", "--name", bench.criteria)
    assert f"criteria:{bench.criteria}" in run("search", bench.criteria)
    bench.clients["hospital"].at_least(bench.clients["hospital"].ledger()["height"])
    version = bench.train()
    hospital = bench.as_("hospital")
    root = hospital.selection(bench.dataset, 1, "held-out")["record"]["root"]
    fields = {
        "subject": version, "digest": hospital.model_version(bench.model, 1)["record"]["digest"],
        "data": {"version": f"dataset-version:{bench.dataset}:1", "root": root, "role": "test",
                 "selection": bench.held_out},
        "metrics": [{"name": "auc", "value": "0.97"}, {"name": "loss", "value": "0.1"}],
        "evaluated_at": int(time.time() * 1000),
    }  # fmt: skip
    file = bench.folder / "evaluation.json"
    file.write_text(json.dumps(fields))
    name = f"evaluation-{next(_names)}"
    assert "auc >= 0.95: 0.97, pass" in run("evaluation", "record", name, str(file), "--criteria", bench.criteria)
    shown = run("show", version)
    assert name in shown
    assert "pass" in shown
    assert name in run("evaluation", "list", "--criteria", bench.criteria, "--verdict", "pass")
    assert name in run("show", f"criteria:{bench.criteria}")
    order = json.loads(run("show", f"evaluation:{name}", "--json"))["order"]
    assert order["in_order"] is True
    assert order["criteria"]["block"] < order["runs"][0]["block"] < order["evaluation"]["block"]


@pytest.mark.story("F4", "Criteria that came after the run started are refused", refused="criteria-too-late")
def test_a_late_bar(bench: Bench) -> None:
    version = bench.train()
    bar = bench.set_bar()
    refusal = refused("criteria-too-late", lambda: bench.evaluate(version))
    assert refusal.facts["registered_at"] == bar.record["registered_at"]
    assert refusal.facts["started"] <= refusal.facts["registered_at"]
    assert bench.evaluate(version, criteria=None).record.get("verdict") is None


@pytest.mark.story(
    "F4", "A version of which no run is recorded is not judged by criteria", refused="criteria-without-run"
)
def test_without_a_run(bench: Bench) -> None:
    bench.set_bar()
    version = bench.keep(bench.model)
    refused("criteria-without-run", lambda: bench.evaluate(version))


@pytest.mark.story("F4", "A merged version is judged where every run that went into it started after the criteria")
def test_a_merged_version(bench: Bench) -> None:
    lab = bench.as_("lab")
    for name in ("old", "merged"):
        lab.register_model(f"{bench.model}-{name}", title=name)
    old = bench.train(f"{bench.model}-old")
    bench.set_bar(model=None)
    parents = [{"version": bench.train(), "relation": "merged"}, {"version": bench.train(), "relation": "merged"}]
    merged = bench.keep(f"{bench.model}-merged", parents=parents)
    assert len(bench.evaluate(merged).record["runs"]) == 2
    mixed = bench.keep(f"{bench.model}-merged", parents=[*parents, {"version": old, "relation": "merged"}])
    refused("criteria-too-late", lambda: bench.evaluate(mixed))


@pytest.mark.story("F4", "Criteria do not judge another model", refused="criteria-model-differs")
def test_another_model(bench: Bench) -> None:
    bench.set_bar()
    bench.as_("lab").register_model(f"{bench.model}-other", title="Other")
    other = bench.train(f"{bench.model}-other")
    refused("criteria-model-differs", lambda: bench.evaluate(other))


@pytest.mark.story("F4", "Criteria do not judge what was measured on other data", refused="criteria-data-differs")
def test_other_data(bench: Bench) -> None:
    bench.set_bar()
    version = bench.train()
    whole = f"dataset-version:{bench.dataset}:1"
    root = bench.as_("hospital").dataset_version(bench.dataset, 1)["record"]["root"]
    refused("criteria-data-differs", lambda: bench.evaluate(version, data={"version": whole, "root": root}))


@pytest.mark.story("F4", "A metric that the criteria ask for has to be there", refused="criteria-metric-missing")
def test_a_missing_metric(bench: Bench) -> None:
    bench.set_bar()
    version = bench.train()
    refusal = refused("criteria-metric-missing", lambda: bench.evaluate(version, metrics={"auc": 0.99}))
    assert refusal.facts["metrics"] == ["loss"]


@pytest.mark.story("F4", "An evaluation dated before the run is not judged by criteria", refused="evaluated-before-run")
def test_before_the_run(bench: Bench) -> None:
    bench.set_bar()
    version = bench.train()
    refused("evaluated-before-run", lambda: bench.evaluate(version, evaluated_at=1_767_225_600_000))


@pytest.mark.story("F4", "Criteria are never changed", refused="already-exists")
def test_a_lower_bar(bench: Bench) -> None:
    bench.set_bar()
    with pytest.raises(Exception, match="already") as refusal:
        bench.set_bar(all_of=["auc >= 0.5"])
    assert getattr(refusal.value, "code", None) == "already-exists"


@pytest.mark.story("F4", "Criteria that nobody registered judge nothing", refused="parent-missing")
def test_no_bar(bench: Bench) -> None:
    version = bench.train()
    with pytest.raises(NotFound) as refusal:
        bench.evaluate(version)
    assert refusal.value.code == "parent-missing"


# --- Policies that ask for an evaluation ------------------------------------------------------------------------


@pytest.mark.story(
    "F5", "Where the policy asks for an evaluation, what passed one is approved, and who endorses signs to have seen it"
)
def test_what_passed_is_approved(bench: Bench, policy: Callable[[list[str] | None], None]) -> None:
    policy(["supplier"])
    bench.set_bar()
    version = bench.train()
    failed = bench.evaluate(version, metrics={"auc": 0.5, "loss": 0.1})
    passed = bench.evaluate(version)
    submitted = bench.as_("lab").submit(version, evaluation=passed.record["evaluation"])
    assert submitted.record["evaluation"] == passed.record["evaluation"]
    seen = bench.as_("regulator").draft_statement(version)["statement"]["predicate"]["seen"]
    assert seen == [passed.reference, failed.reference]
    for name in ("hospital", "regulator"):
        bench.as_(name).endorse(version)
    found = bench.as_("lab").artifact(version)
    assert (found["stage"], found["status"]["assessed"]) == ("approved", True)
    assert bench.as_("lab").advance(version, to="deployed").record["stage"] == "deployed"


@pytest.mark.story("F5", "The inbox says that a passed evaluation is missing, and the owner submits once more with it")
@pytest.mark.story("F5", "Without an evaluation that the policy asks for nobody endorses", refused="evaluation-missing")
def test_a_missing_evaluation(bench: Bench, policy: Callable[[list[str] | None], None], consortium: Any) -> None:
    policy([])
    bench.set_bar()
    version = bench.train()
    bench.as_("lab").submit(version)
    regulator = bench.as_("regulator")
    (item,) = regulator.inbox(name=bench.model)["items"]
    assert (item["artifact"], item["status"]["assessed"]) == (version, False)
    environment = {"PEDIGREE_URL": consortium.url("regulator"), "PEDIGREE_KEY": consortium.key("regulator")}
    printed = CliRunner().invoke(pedigree_command, ["inbox", "--name", bench.model], env=environment)
    assert "missing" in printed.stdout
    assert regulator.draft_statement(version)["refused"]["code"] == "evaluation-missing"
    refusal = refused("evaluation-missing", lambda: regulator.endorse(version))
    assert refusal.facts == {"reference": version, "stage": "approved", "roles": "any"}
    passed = bench.evaluate(version, by="regulator").record["evaluation"]
    environment = {"PEDIGREE_URL": consortium.url("lab"), "PEDIGREE_KEY": consortium.key("lab")}
    bench.as_("lab").at_least(bench.as_("regulator").ledger()["height"])
    printed = CliRunner().invoke(pedigree_command, ["submit", version, "--evaluation", passed], env=environment)
    assert printed.exit_code == 0, printed.output
    regulator.at_least(bench.as_("lab").ledger()["height"])
    assert bench.as_("regulator").endorse(version).record["round"] == 2


@pytest.mark.story("F5", "An evaluation that failed does not serve", refused="evaluation-not-passed")
def test_a_failed_evaluation(bench: Bench, policy: Callable[[list[str] | None], None]) -> None:
    policy(["supplier"])
    bench.set_bar()
    version = bench.train()
    failed = bench.evaluate(version, metrics={"auc": 0.5, "loss": 0.1}).record["evaluation"]
    refused("evaluation-not-passed", lambda: bench.as_("lab").submit(version, evaluation=failed))


@pytest.mark.story("F5", "An evaluation of another version does not serve", refused="evaluation-of-another")
def test_an_evaluation_of_another(bench: Bench, policy: Callable[[list[str] | None], None]) -> None:
    policy(["supplier"])
    bench.set_bar()
    first, second = bench.train(), bench.train()
    passed = bench.evaluate(first).record["evaluation"]
    refused("evaluation-of-another", lambda: bench.as_("lab").submit(second, evaluation=passed))


@pytest.mark.story("F5", "An evaluation by the owner does not serve", refused="evaluated-by-owner")
def test_an_evaluation_by_the_owner(bench: Bench, policy: Callable[[list[str] | None], None]) -> None:
    policy([])
    bench.set_bar()
    version = bench.train()
    own = bench.evaluate(version, by="lab").record["evaluation"]
    refused("evaluated-by-owner", lambda: bench.as_("lab").submit(version, evaluation=own))


@pytest.mark.story("F5", "An evaluation by a member without the role does not serve", refused="evaluator-without-role")
@pytest.mark.story(
    "F5", "An approval from before the policy asked for an evaluation is not deployed without one",
    refused="evaluator-without-role",
)  # fmt: skip
def test_the_rule_in_force_is_asked(bench: Bench, policy: Callable[[list[str] | None], None]) -> None:
    bench.set_bar()
    version = bench.train()
    passed = bench.evaluate(version, by="regulator").record["evaluation"]
    bench.as_("lab").submit(version, evaluation=passed)
    for name in ("hospital", "regulator"):
        bench.as_(name).endorse(version)
    policy(["supplier"])
    refused("evaluator-without-role", lambda: bench.as_("lab").advance(version, to="deployed"))
    refused("evaluator-without-role", lambda: bench.as_("lab").submit(version, evaluation=passed))
    policy(["auditor"])
    assert bench.as_("lab").advance(version, to="deployed").record["stage"] == "deployed"

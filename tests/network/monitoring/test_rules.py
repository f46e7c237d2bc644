# SPDX-License-Identifier: Apache-2.0
"""Alert rules and dashboard ask only for metrics and labels that the real programs were seen to publish.

`recorded_metrics.json` is what Fabric, Fabric CA and the node exporter published under load; the gateway's metrics are
read from a gateway, and the certificates' from our own command.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.server.app import Metrics
from network.monitoring.certificates import certificate_metrics
from network.monitoring.dashboard import dashboard
from network.monitoring.export import RULES
from network.monitoring.prometheus import kubernetes, static
from network.monitoring.targets import Target

HERE = Path(__file__).parent
# What Prometheus itself adds: a metric, and labels of every target.
OF_PROMETHEUS = {"up": {"job", "instance", "organisation"}}
TARGET_LABELS = {"job", "instance", "organisation"}
WORDS = set(
    re.findall(
        r"[a-z_]+",
        "and or unless on ignoring by without group_left group_right sum max min abs rate increase time "
        "histogram_quantile label_values",
    )
)
ENDINGS = {
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("_sum", "_count", ""),
    "gauge": ("",),
    "counter": ("",),
}


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, shared_directory: Path) -> Mapping[str, set[str]]:
    """Every series name that some program publishes, and its labels."""
    found = {name: set(labels) for name, labels in OF_PROMETHEUS.items()}
    recorded = json.loads((HERE / "recorded_metrics.json").read_text(encoding="utf-8"))
    for program in recorded.values():
        for name, metric in program["metrics"].items():
            for ending in ENDINGS[metric["type"]]:
                found.setdefault(name + ending, set()).update(metric["labels"], TARGET_LABELS, {"le"})
    for name, labels in [*of_a_gateway(), *exposed(certificate_metrics(shared_directory))]:
        found.setdefault(name, set()).update(labels, TARGET_LABELS)
    return found


def of_a_gateway() -> Iterator[tuple[str, set[str]]]:
    """The metrics of a gateway, from its own registry, and the gauges that its wiring adds."""
    metrics = Metrics()
    metrics.observe("commit", 0.1)
    metrics.count("pending")
    metrics.request("models.registerModel", 201, 0.1)
    server = Path(__file__).parents[3] / "gateway" / "server"
    wiring = "".join(file.read_text(encoding="utf-8") for file in sorted(server.glob("*.py")))
    for name in re.findall(r'metrics\.gauge\(\s*"([a-z_]+)"', wiring):
        metrics.gauge(name, "as the wiring does", lambda: 0.0)
    from prometheus_client import generate_latest

    yield from exposed(generate_latest(metrics.registry).decode())


def exposed(text: str) -> Iterator[tuple[str, set[str]]]:
    for line in text.splitlines():
        if not line.startswith("#"):
            yield re.split(r"[{ ]", line, maxsplit=1)[0], set(re.findall(r'[{,]([a-z_]+)="', line))


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> dict[str, str]:
    """Every expression, by who asks it."""
    found = {f"alert {rule['alert']}": rule["expr"] for rule in rules()}
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            found[f"panel {panel['title']} {target['refId']}"] = target["expr"]
    return found


def asked(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Every metric in an expression, and the labels by which it is selected."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    bare = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    for name, selector in re.findall(r"\b([A-Za-z_:][A-Za-z0-9_:]*)\s*(\{[^}]*\})?", re.sub(r"\{[^}]*\}", _kept, bare)):
        if name not in WORDS:
            yield name, set(re.findall(r"([a-z_]+)\s*[!=]", selector))


def _kept(match: re.Match[str]) -> str:
    """A selector without spaces, so that its labels are not taken for metrics."""
    return match[0].replace(" ", "").replace(",", "\x00")


def asked_properly(expression: str) -> dict[str, set[str]]:
    """`asked`, with the names inside selectors left out."""
    outside = re.sub(r"\{[^}]*\}", "", re.sub(r'"[^"]*"', '""', expression))
    names = {name for name, _ in asked(outside)}
    return {name: labels for name, labels in asked(expression) if name in names}


@pytest.mark.parametrize("who", sorted(expressions()))
def test_every_metric_is_one_that_a_program_publishes(who: str, published: Mapping[str, set[str]]) -> None:
    found = asked_properly(expressions()[who])
    assert found, "an expression without a metric cannot be right"
    for name, labels in found.items():
        assert name in published, name
        assert labels <= published[name], name


@pytest.mark.parametrize("who", sorted(expressions()))
def test_every_label_that_is_grouped_by_is_one_of_a_metric_there(who: str, published: Mapping[str, set[str]]) -> None:
    expression = expressions()[who]
    known = set().union(*(published[name] for name in asked_properly(expression)))
    for labels in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression):
        assert {label.strip() for label in labels.split(",")} <= known


def test_the_reading_of_expressions_finds_what_it_must() -> None:
    expression = (
        'sum by (a) (rate(m_x{job="j",b=~"c d"}[5m])) / on (a) group_right () n:y{k!="v"} > 0.5 and time() - z < 1'
    )
    assert asked_properly(expression) == {"m_x": {"job", "b"}, "n:y": {"k"}, "z": set()}


def test_every_alert_says_how_bad_it_is_what_is_wrong_and_what_to_do() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert set(rule["annotations"]) == {"summary", "description"}


def test_what_an_operator_must_be_told_has_an_alert() -> None:
    wanted = {
        "CommitLag", "EndorsementFailures", "ChaincodeFails", "CertificateEndsThisWeek", "NoRaftLeader",
        "GatewayErrors", "ReadModelLag", "DiskAlmostFull", "ClockOff", "ProgramDown",
    }  # fmt: skip
    assert wanted <= {rule["alert"] for rule in rules()}


def test_texts_name_only_labels_that_the_expression_leaves() -> None:
    for rule in rules():
        grouped = re.search(r"\bby \(([^)]*)\)", rule["expr"])
        if grouped is None or "group_right" in rule["expr"]:
            continue
        left = {label.strip() for label in grouped[1].split(",")}
        for text in rule["annotations"].values():
            assert set(re.findall(r"\$labels\.([a-z_]+)", text)) <= left, rule["alert"]


def test_the_dashboard_is_laid_out_without_overlaps() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert {variable["name"] for variable in dashboard()["templating"]["list"]} == {"source", "organisation"}


@pytest.fixture(scope="session")
def promtool() -> str:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed: rules are checked for their names only, not evaluated")
    return program


def checked(program: str, *arguments: str, text: str | None = None) -> None:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, input=text, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_the_configuration(promtool: str, tmp_path: Path) -> None:
    shutil.copy(RULES, tmp_path / "rules.yaml")
    some = [Target("peer", "lab", "peer0.lab.example", "127.0.0.1:9443"), Target("node", "", "node", "127.0.0.1:9100")]
    for name, configuration in (("static", static(some)), ("kubernetes", kubernetes())):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
        checked(promtool, "check", "config", str(tmp_path / f"{name}.yaml"))


def test_prometheus_accepts_the_certificates(promtool: str, shared_directory: Path) -> None:
    checked(promtool, "check", "metrics", text=certificate_metrics(shared_directory))


def test_alerts_fire_when_they_must_and_not_before(promtool: str, tmp_path: Path) -> None:
    shutil.copy(RULES, tmp_path / "rules.yaml")
    shutil.copy(HERE / "alerts.test.yaml", tmp_path)
    checked(promtool, "test", "rules", str(tmp_path / "alerts.test.yaml"))


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    cases = yaml.safe_load((HERE / "alerts.test.yaml").read_text(encoding="utf-8"))["tests"]
    fired = {rule["alertname"] for case in cases for rule in case["alert_rule_test"] if rule.get("exp_alerts")}
    assert fired == {rule["alert"] for rule in rules()}


def test_scrapes_are_much_closer_together_than_the_shortest_alert() -> None:
    interval = timedelta(seconds=int(static([])["global"]["scrape_interval"].removesuffix("s")))
    assert interval * 2 <= timedelta(seconds=30)

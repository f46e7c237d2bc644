# SPDX-License-Identifier: Apache-2.0
"""What the chart makes of a topology: valid, closed, and with every reference in its place.

`golden/NAME.manifests.yaml` is what Helm made of `golden/NAME.values.yaml`. It names the chart and the values that it
was made from, so it cannot grow stale where Helm is missing; with Helm and `PEDIGREE_UPDATE_GOLDEN=1` it is made anew.
"""

import copy
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from network.kubernetes.export import CHART, dump
from network.kubernetes.part import Part
from network.kubernetes.secrets import secrets
from network.kubernetes.values import values
from network.packaging import Package
from network.topology import Topology

GOLDEN = Path(__file__).parent / "golden"
NAMES = ("hospital", "orderer")
Object = dict[str, Any]


def manifests_file(name: str) -> Path:
    return GOLDEN / f"{name}.manifests.yaml"


def values_file(name: str) -> Path:
    return GOLDEN / f"{name}.values.yaml"


def origin(name: str) -> str:
    """What a file of manifests says that it was made from."""
    chart = hashlib.sha256()
    for path in sorted(path for path in CHART.rglob("*") if path.is_file()):
        chart.update(f"{path.relative_to(CHART)}\0".encode() + path.read_bytes() + b"\0")
    told = hashlib.sha256(values_file(name).read_bytes()).hexdigest()
    return f"# chart {chart.hexdigest()}\n# values {told}\n"


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def part(name: str, fixed_topology: Topology, fixed_directory: Path) -> Part:
    return Part.of(fixed_topology, fixed_directory, name)


@pytest.fixture
def objects(name: str) -> list[Object]:
    return [document for document in yaml.safe_load_all(manifests_file(name).read_text(encoding="utf-8")) if document]


def told(part: Part) -> str:
    package = Package(f"pedigree_1.0:{'ab' * 32}", b"")
    return dump([values(part, genesis_hash="cd" * 32, package=package)])


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [each for each in objects if each["kind"] in kinds]


def pods(objects: list[Object]) -> Iterator[tuple[Object, Object, Object]]:
    """Every pod template: its labels, its specification and its one container."""
    for workload in of_kind(objects, "StatefulSet", "Deployment"):
        template = workload["spec"]["template"]
        (container,) = template["spec"]["containers"]
        yield template["metadata"]["labels"], template["spec"], container


def selects(selector: Object, labels: Object) -> bool:
    return all(labels.get(key) == value for key, value in selector.items())


def test_values_follow_from_the_topology(name: str, part: Part) -> None:
    if os.environ.get("PEDIGREE_UPDATE_GOLDEN"):
        values_file(name).write_text(told(part), encoding="utf-8")
    assert values_file(name).read_text(encoding="utf-8") == told(part)


def test_helm_renders_the_committed_manifests(name: str, helm: Callable[[Path], list[Object]]) -> None:
    rendered = helm(values_file(name))
    if os.environ.get("PEDIGREE_UPDATE_GOLDEN"):
        text = "# SPDX-License-Identifier: Apache-2.0\n" + origin(name) + dump(rendered)
        manifests_file(name).write_text(text, encoding="utf-8")
    assert list(yaml.safe_load_all(manifests_file(name).read_text(encoding="utf-8"))) == rendered


def test_the_committed_manifests_are_of_this_chart(name: str) -> None:
    said = manifests_file(name).read_text(encoding="utf-8").partition("\n")[2]
    assert said.startswith(origin(name)), "the chart changed: render again with helm and PEDIGREE_UPDATE_GOLDEN=1"


def test_every_object_is_valid(objects: list[Object], problems: Callable[[Object], list[str]], part: Part) -> None:
    assert len(objects) > 5
    assert [problem for each in [*objects, *secrets(part)] for problem in problems(each)] == []


def test_the_definitions_refuse_what_is_wrong(objects: list[Object], problems: Callable[[Object], list[str]]) -> None:
    workload = of_kind(objects, "StatefulSet")[0]
    for place, value in (("replica", 1), ("replicas", "one")):
        wrong = copy.deepcopy(workload)
        wrong["spec"][place] = value
        assert problems(wrong), place
    incomplete = copy.deepcopy(workload)
    del incomplete["spec"]["selector"]
    assert problems(incomplete)


def test_every_pod_is_closed(objects: list[Object]) -> None:
    for labels, spec, container in pods(objects):
        own = container["securityContext"]
        assert spec["automountServiceAccountToken"] is False, labels
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert set(container["resources"]) == {"requests", "limits"}
        assert not container["image"].startswith("hyperledger/") or not container["image"].endswith(":latest")


def test_every_pod_is_probed_on_a_port_that_it_has(objects: list[Object]) -> None:
    for labels, _, container in pods(objects):
        ports = {port["name"] for port in container["ports"]}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] in ports, (labels, probe)


def test_services_lead_to_ports_of_pods(objects: list[Object]) -> None:
    for service in of_kind(objects, "Service"):
        found = [container for labels, _, container in pods(objects) if selects(service["spec"]["selector"], labels)]
        assert len(found) == 1, service["metadata"]["name"]
        ports = {port["name"] for port in found[0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_every_pod_is_under_a_network_policy_and_a_disruption_budget(objects: list[Object]) -> None:
    policies = [(each["spec"], each["spec"]["podSelector"]) for each in of_kind(objects, "NetworkPolicy")]
    budgets = [each["spec"]["selector"] for each in of_kind(objects, "PodDisruptionBudget")]
    for labels, _, container in pods(objects):
        ports = {port["name"] for port in container["ports"]}
        bounding = [spec for spec, selector in policies if selects(selector["matchLabels"], labels)]
        assert len(bounding) == 1, labels
        named = {port["port"] for rule in bounding[0]["ingress"] for port in rule["ports"]}
        assert named <= ports
        assert len([each for each in budgets if selects(each["matchLabels"], labels)]) == 1, labels


def test_rules_between_pods_name_pods_and_ports_that_there_are(objects: list[Object]) -> None:
    everybody = [(labels, {port["name"] for port in container["ports"]}) for labels, _, container in pods(objects)]
    seen = 0
    for policy in of_kind(objects, "NetworkPolicy"):
        for rule in policy["spec"].get("egress", []):
            for peer in rule["to"]:
                if "podSelector" in peer:
                    met = [ports for labels, ports in everybody if selects(peer["podSelector"]["matchLabels"], labels)]
                    assert met
                    assert {port["port"] for port in rule["ports"]} <= met[0]
                    seen += 1
    assert seen == (2 if len(everybody) == 4 else 0)


def test_only_its_own_peer_may_speak_to_the_chaincode(objects: list[Object]) -> None:
    found = [each for each in of_kind(objects, "NetworkPolicy") if each["metadata"]["name"].endswith("-chaincode")]
    for policy in found:
        (rule,) = policy["spec"]["ingress"]
        (peer,) = rule["from"]
        assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "peer"
        assert policy["spec"]["egress"] == []
    assert len(found) == len(of_kind(objects, "Deployment"))


def files_of(volume: Object, objects: list[Object], private: dict[str, Object]) -> set[str]:
    """Paths below a volume's mount; a key that its source does not have is an error."""
    if "configMap" in volume:
        name = volume["configMap"]["name"]
        keys = next(each["data"] for each in of_kind(objects, "ConfigMap") if each["metadata"]["name"] == name)
        items = volume["configMap"].get("items")
    else:
        keys = private[volume["secret"]["secretName"]]["stringData"]
        items = volume["secret"].get("items")
    for item in items or []:
        assert item["key"] in keys, item
    return {item["path"] for item in items} if items else set(keys)


def test_every_file_that_a_program_is_told_of_is_mounted(objects: list[Object], part: Part) -> None:
    private = {each["metadata"]["name"]: each for each in secrets(part)}
    for labels, spec, container in pods(objects):
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        present, writable = set(), set()
        for mount in container["volumeMounts"]:
            volume = volumes.get(mount["name"], {})
            if "configMap" in volume or "secret" in volume:
                found = files_of(volume, objects, private)
                present |= {mount["mountPath"]} if "subPath" in mount else {f"{mount['mountPath']}/{f}" for f in found}
            else:
                writable.add(mount["mountPath"])
        present |= {str(parent) for path in present for parent in Path(path).parents}
        for path in sorted(paths_told(container, objects, private, volumes)):
            if path.startswith("/etc/pedigree/"):
                assert path in present, labels
            else:
                assert any(path.startswith(root) for root in writable), (labels, path)


def paths_told(container: Object, objects: list[Object], private: dict[str, Object], volumes: Object) -> set[str]:
    """Absolute paths of ours in arguments, environment and mounted configuration."""
    texts = [argument.partition("=")[2] for argument in container.get("args", [])]
    texts += [each.get("value", "") for each in container.get("env", [])]
    for volume in volumes.values():
        if volume["name"] == "config":
            source = (
                next(e for e in of_kind(objects, "ConfigMap") if e["metadata"]["name"] == volume["configMap"]["name"])[
                    "data"
                ]
                if "configMap" in volume
                else private[volume["secret"]["secretName"]]["stringData"]
            )
            texts += [leaf for text in source.values() for leaf in leaves(yaml.safe_load(text))]
    return {text for text in texts if text.startswith(("/etc/pedigree/", "/var/lib/pedigree"))}


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each)
    else:
        yield str(value)


def test_private_keys_are_in_secrets_only(name: str, part: Part) -> None:
    files = [file for each in secrets(part) for file in each["stringData"].items()]
    keys = [text.strip() for path, text in files if path in ("key.pem", "tls.key")]
    assert keys
    rendered = manifests_file(name).read_text(encoding="utf-8") + values_file(name).read_text(encoding="utf-8")
    assert not [key for key in keys if key in rendered]

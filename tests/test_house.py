# SPDX-License-Identifier: Apache-2.0
"""The house keeps its own rules: who imports whom, how long a file may be, what documents promise."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Container, Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.generate import COPIED, copy_of

ROOT = Path(__file__).resolve().parents[1]
OURS = ("chaincode", "gateway", "network", "pedigree")
# Where the sources of a package are, if not below its own name.
SOURCES = {"pedigree": ROOT / "gateway" / "sdk" / "pedigree"}
STATUSES = frozenset(HTTPStatus)
STDLIB = frozenset(sys.stdlib_module_names)

FABRIC_WIRE = frozenset({"grpc", "google", "fabric_protos", "cryptography"})


class Rule(NamedTuple):
    """What the modules below one dotted name may import."""

    ours: tuple[str, ...]
    third_party: frozenset[str]
    banned: frozenset[str] = frozenset()


# The first matching prefix decides, so the more particular names come first.
RULES: dict[str, Rule] = {
    "chaincode.domain": Rule(
        ("chaincode.domain",),
        frozenset(),
        frozenset(
            {
                "time",
                "random",
                "secrets",
                "uuid",
                "os",
                "io",
                "pathlib",
                "socket",
                "threading",
                "asyncio",
                "subprocess",
                "tempfile",
                "multiprocessing",
                "concurrent",
                "ssl",
                "http",
                "urllib",
            }
        ),
    ),
    "chaincode.contracts": Rule(("chaincode.domain", "chaincode.contracts"), frozenset()),
    "chaincode.crypto": Rule(("chaincode.domain",), frozenset({"cryptography"})),
    "chaincode.shim": Rule(("chaincode.shim",), FABRIC_WIRE | {"h2"}),
    "chaincode.__main__": Rule(
        ("chaincode.contracts", "chaincode.crypto", "chaincode.shim", "chaincode.domain"), frozenset()
    ),
    "chaincode": Rule((), frozenset()),
    "gateway.fabric": Rule(("gateway.fabric",), FABRIC_WIRE),
    "gateway.services.parquetdecoder": Rule(("gateway.services.parquetdecoder",), frozenset({"pyarrow"})),
    "gateway.tlog": Rule(("chaincode.domain", "gateway.tlog"), frozenset({"cryptography"})),
    "gateway.sealing": Rule(("gateway.sealing",), frozenset({"cryptography"})),
    "gateway.services": Rule(
        ("chaincode.domain", "gateway.sealing", "gateway.services", "gateway.tlog"),
        frozenset(),
        frozenset({"http", "urllib", "sqlite3", "ssl", "socket"}),
    ),
    "gateway.delivery": Rule(
        (
            "chaincode.domain",
            "gateway.delivery",
            "gateway.fabric",
            "gateway.services.logs",
            "gateway.services.ports",
            "gateway.tlog",
        ),
        frozenset(),
    ),
    "gateway.ledger": Rule(
        ("chaincode.domain", "gateway.delivery", "gateway.fabric", "gateway.services.ports"), frozenset()
    ),
    "gateway.verifier": Rule(
        (
            "chaincode.crypto",
            "chaincode.domain",
            "gateway.tlog",
            "gateway.verifier",
            "gateway.fabric.certificates",
            "gateway.fabric.identity",
            "gateway.fabric.mspfolder",
            "gateway.fabric.policy",
            "gateway.fabric.blockdata",
            "gateway.fabric.blocks",
            "gateway.fabric.msp",
            "gateway.fabric.following",
            "gateway.fabric.rwset",
            "gateway.fabric.texts",
            "gateway.fabric.verify",
            "gateway.fabric.errors",
        ),
        frozenset({"google", "fabric_protos", "cryptography"}),
    ),
    "gateway.api": Rule(("gateway.api",), frozenset()),
    "pedigree.parquetdecoder": Rule(("pedigree.parquetdecoder",), frozenset({"pyarrow"})),
    "pedigree.tlog": Rule(("pedigree.merkle", "pedigree.tlog"), frozenset({"cryptography"})),
    "pedigree.sealing": Rule(("pedigree.sealing",), frozenset({"cryptography"})),
    "pedigree.mlflowruns": Rule(("pedigree",), frozenset({"mlflow"})),
    "pedigree.sklearnfits": Rule(("pedigree",), frozenset({"sklearn"})),
    "pedigree": Rule(("pedigree",), frozenset({"httpx"})),
    "gateway.demo": Rule(
        ("pedigree", "gateway.demo", "gateway.verifier"),
        frozenset({"cryptography", "sklearn", "numpy", "joblib", "rich"}),
    ),
    "gateway.stores.blobobjects": Rule(("gateway.services", "gateway.stores"), frozenset({"obstore"})),
    "gateway.stores.postgresql": Rule(("gateway.services", "gateway.stores"), frozenset({"psycopg", "psycopg_pool"})),
    "gateway.stores": Rule(
        ("chaincode.domain", "gateway.api.scopes", "gateway.sealing", "gateway.services", "gateway.stores"),
        frozenset({"cryptography", "numpy", "rustworkx"}),
    ),
    "gateway.rest": Rule(
        ("chaincode.domain", "gateway.api", "gateway.services", "gateway.rest", "gateway.tlog"),
        frozenset({"flask", "werkzeug"}),
    ),
    "gateway.callers": Rule(
        ("gateway.api.scopes", "gateway.callers", "gateway.services.callers", "gateway.services.failures"),
        frozenset({"cryptography", "http_message_signatures", "http_sf", "httpx", "joserfc"}),
    ),
    "gateway.identities.cryptoki": Rule(("gateway.identities",), frozenset({"pkcs11"})),
    "gateway.identities.hsm": Rule(
        ("gateway.fabric.durable", "gateway.identities"), frozenset({"cryptography", "pkcs11"})
    ),
    "gateway.identities": Rule(("gateway.identities", "gateway.fabric"), frozenset({"cryptography", "httpx"})),
    "gateway.server": Rule(
        (
            "chaincode.domain",
            "gateway.api",
            "gateway.callers",
            "gateway.delivery",
            "gateway.fabric",
            "gateway.identities",
            "gateway.ledger",
            "gateway.printable",
            "gateway.rest",
            "gateway.sealing",
            "gateway.server",
            "gateway.services",
            "gateway.stores",
            "gateway.tlog",
        ),
        frozenset({"cryptography", "flask", "gunicorn", "prometheus_client", "werkzeug"}),
    ),
    "gateway.cli": Rule(("chaincode.domain", "gateway", "pedigree"), frozenset({"click", "rich"})),
    "gateway": Rule(("chaincode.domain", "gateway"), frozenset()),
    "network": Rule(("network",), FABRIC_WIRE | {"docker", "yaml", "click", "rich"}),
}

LONGEST_FILE = 400
# A file may be longer only for a reason that stands here.
LONG_FILES: dict[str, str] = {
    "chaincode/domain/register.py": "one table, a row for each kind of record, read where one is looked up",
    "gateway/api/operations.py": "one table, a row for each operation, read where one row is looked up",
    "gateway/rest/reports.py": "one table, a component for each answer, read where one is looked up",
    "gateway/sdk/pedigree/documents.py": "generated; a type for each document, read where one is looked up",
    "gateway/sdk/pedigree/operations.py": "generated; a method for each operation, read where one is looked up",
}


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of ours as (dotted name, path)."""
    for package in OURS:
        folder = SOURCES.get(package, ROOT / package)
        for path in sorted(folder.rglob("*.py")):
            if package == "gateway" and path.is_relative_to(ROOT / "gateway" / "sdk"):
                continue
            relative = path.relative_to(folder.parent).with_suffix("")
            parts = relative.parts[:-1] if relative.name == "__init__" else relative.parts
            yield ".".join(parts), path


def imported(path: Path) -> Iterator[str]:
    """Every absolute name that a file imports, wherever in the file the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module.split(".")[0] in OURS)


def rule_for(module: str) -> Rule:
    return next(rule for prefix, rule in RULES.items() if module == prefix or module.startswith(prefix + "."))


def within(name: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a name lies in one of the prefixes, or is an ancestor package that holds nothing but them."""
    return any(name == p or name.startswith(p + ".") or p.startswith(name + ".") for p in prefixes)


def violations(module: str, path: Path) -> Iterator[str]:
    rule = rule_for(module)
    for name in imported(path):
        top = name.split(".")[0]
        if top in OURS:
            if name.startswith("gateway.sdk"):
                yield f"{module} imports {name}, whose name is pedigree"
            if not within(name, rule.ours):
                yield f"{module} imports {name}"
        elif top in STDLIB:
            if top in rule.banned:
                yield f"{module} imports {name}, which its layer does without"
        elif top not in rule.third_party:
            yield f"{module} imports {name}, a library its layer does without"


def test_every_import_points_the_way_the_house_allows() -> None:
    found = [line for module, path in modules() for line in violations(module, path)]
    assert found == []


def test_the_import_test_can_fail(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("import time\nimport flask\nfrom gateway.fabric import client\n", encoding="utf-8")
    assert (
        len(list(violations("chaincode.domain.bad", bad))) == 4
    )  # gateway.fabric and gateway.fabric.client both count


def packages(files: Iterable[tuple[str, Path]], within_package: str) -> dict[str, set[str]]:
    """Which parts of a package import which others, wherever in a file the import stands.

    A part is what stands directly in the package: a package of its own, or a module.
    """
    depth = within_package.count(".") + 1
    found: dict[str, set[str]] = {}
    for module, path in files:
        if module.startswith(within_package + "."):
            part = module.split(".")[depth]
            others = found.setdefault(part, set())
            others |= {name.split(".")[depth] for name in imported(path) if name.startswith(within_package + ".")}
            others.discard(part)
    return found


def test_no_part_of_the_gateway_imports_its_own_importers() -> None:
    graph = packages(modules(), "gateway")
    assert {"cli", "server", "rest", "services"} <= graph.keys()
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the cycle


def test_no_module_of_the_sdk_imports_its_own_importers() -> None:
    graph = packages(modules(), "pedigree")
    assert {"client", "operations", "errors"} <= graph.keys()
    list(TopologicalSorter(graph).static_order())


def imports_of(files: Iterable[tuple[str, Path]]) -> dict[str, set[str]]:
    """Which modules import which others, wherever in a file the import stands."""
    paths = dict(files)
    return {module: {*wanted(path, paths)} - {module} for module, path in paths.items()}


def wanted(path: Path, known: Container[str]) -> Iterator[str]:
    """What a file imports of the known modules; where it takes a module from a package, it wants nothing of that."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            within = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else node.module for name in within]
        yield from (name for name in names if name in known)


@pytest.mark.parametrize("package", OURS)
def test_no_module_imports_its_own_importers(package: str) -> None:
    graph = imports_of((module, path) for module, path in modules() if module.split(".")[0] == package)
    assert len(graph) > 20
    list(TopologicalSorter(graph).static_order())


def test_the_test_for_cycles_of_modules_can_fail(tmp_path: Path) -> None:
    (package := tmp_path / "package.py").write_text("from network.a.low import f\n", encoding="utf-8")
    (low := tmp_path / "low.py").write_text("from network.a import high\n", encoding="utf-8")
    (high := tmp_path / "high.py").write_text("def g():\n    from network.a import f\n", encoding="utf-8")
    graph = imports_of([("network.a", package), ("network.a.low", low), ("network.a.high", high)])
    assert graph == {
        "network.a": {"network.a.low"},
        "network.a.low": {"network.a.high"},
        "network.a.high": {"network.a"},
    }
    with pytest.raises(CycleError):
        list(TopologicalSorter(graph).static_order())


def test_the_test_for_cycles_can_fail_and_sees_imports_in_functions(tmp_path: Path) -> None:
    (low := tmp_path / "low.py").write_text("def f():\n    from gateway.high.verbs import g\n", encoding="utf-8")
    (high := tmp_path / "high.py").write_text("import gateway.low.values\n", encoding="utf-8")
    graph = packages([("gateway.low.values", low), ("gateway.high.verbs", high)], "gateway")
    assert graph == {"low": {"high"}, "high": {"low"}}
    with pytest.raises(CycleError):
        list(TopologicalSorter(graph).static_order())


def statuses(path: Path) -> Iterator[str]:
    """Where a file speaks of HTTP: by name, or by a number that is one of its statuses.

    The value of a constant with a name of its own and the bound of a slice are how many of something there are.
    """
    text = path.read_text(encoding="utf-8")
    yield from (f"line {number}: HTTP" for number, line in enumerate(text.splitlines(), 1) if "HTTP" in line)
    tree = ast.parse(text)
    counts = {bound for node in ast.walk(tree) if isinstance(node, ast.Slice) for bound in (node.lower, node.upper)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            names = node.targets if isinstance(node, ast.Assign) else [node.target]
            if all(isinstance(name, ast.Name) and name.id.isupper() and "STATUS" not in name.id for name in names):
                counts.add(node.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value in STATUSES and node not in counts:
            yield f"line {node.lineno}: {node.value}"


@pytest.mark.parametrize("package", ["services", "stores"])
def test_what_is_below_http_does_not_speak_of_it(package: str) -> None:
    files = sorted((ROOT / "gateway" / package).rglob("*.py"))
    assert files
    assert {path.name: found for path in files if (found := list(statuses(path)))} == {}


@pytest.mark.parametrize(
    "line",
    [
        "success: int = 201",
        "answer = Response(202, {})",
        "refused = response.status >= 400",
        "_STATUS = 404",
        "give(status=507)",
        "CODES = {'conflict': 409}",
        "# An HTTP answer.",
    ],
)
def test_the_test_for_statuses_can_fail(tmp_path: Path, line: str) -> None:
    (bad := tmp_path / "bad.py").write_text(f"MOST: Final = 500\nshown = text[:200]\n{line}\n", encoding="utf-8")
    assert len(list(statuses(bad))) == 1


def test_no_file_is_longer_than_a_reader_can_hold_without_a_reason() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for _, path in modules()
        if (lines := path.read_text(encoding="utf-8").count("\n")) > LONGEST_FILE
    }
    assert {name: lines for name, lines in long.items() if name not in LONG_FILES} == {}
    assert set(LONG_FILES) <= set(long), "a reason stands for a file that is short"


def test_every_source_file_names_its_licence_and_says_what_it_is() -> None:
    for module, path in modules():
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n"), module
        assert ast.get_docstring(ast.parse(text)), module


def test_every_make_target_that_the_documents_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    text = "\n".join(page.read_text(encoding="utf-8") for page in documents)
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]+)", text, re.MULTILINE))
    assert named <= targets


def test_lock_files_name_no_host() -> None:
    for lock in (*ROOT.glob("*.lock"), *ROOT.glob("tests/**/package-lock.json")):
        if "node_modules" not in lock.parts:
            text = lock.read_text(encoding="utf-8")
            assert "://" not in text.replace("https://opencollective.com", "").replace(
                "https://github.com/sponsors", ""
            ), lock
            assert '"resolved"' not in text, lock


@pytest.mark.parametrize(
    "module", ["chaincode", "chaincode.domain", "chaincode.shim", "gateway", "gateway.fabric", "pedigree", "network"]
)
def test_importing_a_package_does_nothing(module: str) -> None:
    script = (
        "import sys, threading, logging\n"
        f"import {module}\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "assert not logging.getLogger().handlers\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_the_sdk_has_the_version_of_the_whole_and_asks_for_httpx_alone() -> None:
    whole, sdk = (
        tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for folder in (ROOT, ROOT / "gateway" / "sdk")
    )
    assert (sdk["version"], sdk["requires-python"]) == (whole["version"], whole["requires-python"])
    assert [each for each in whole["optional-dependencies"]["gateway"] if each.startswith("httpx")] == sdk[
        "dependencies"
    ]


def test_the_chart_has_the_version_of_the_whole() -> None:
    chart = yaml.safe_load((ROOT / "network" / "kubernetes" / "chart" / "Chart.yaml").read_text(encoding="utf-8"))
    assert (
        chart["version"] == tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    )


def test_the_sdk_has_copies_of_what_it_shares_with_the_whole() -> None:
    """Links would need a checkout, and a file system, that has them; `make generate` writes the copies."""
    licence = ROOT / "gateway" / "sdk" / "LICENSE"
    for path, original in ((licence, "LICENSE"), *((copy_of(name), name) for name in COPIED)):
        assert not path.is_symlink()
        written, own = (_without_imports(each) for each in (path, ROOT / original))
        assert written == own, "make generate"


def _without_imports(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("from ")]


def test_the_characters_of_text_can_be_read_without_the_law() -> None:
    names = set(imported(ROOT / "chaincode" / "domain" / "characters.py"))
    assert {name.split(".")[0] for name in names} <= {"re", "typing"}

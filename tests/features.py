# SPDX-License-Identifier: Apache-2.0
"""Writes `docs/features.md`: every feature's stories and refusals, and the tests in tests/scenarios that show them.

`make generate` writes the page; `make check` and a test compare it. Scenarios and marks are read from the files, so
that no network is started and nothing is imported.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "features.md"
SCENARIOS: Final = ROOT / "tests" / "scenarios"
_REFUSED: Final = re.compile(r'refused as "([a-z-]+)"')
_TAG: Final = re.compile(r"@F\d+")
_ABOUT: Final = """# Features

What Pedigree does, and the test that shows each part of it. Every scenario runs against the programs of three
organisations, through their gateways: `make scenarios` runs them on the embedded network, and
`make scenarios LEDGER=fabric` on Fabric.

`make generate` writes this page from `tests/scenarios`.
"""


@dataclass(frozen=True)
class Test:
    """A test that shows a story of a feature."""

    feature: str
    story: str
    name: str
    """The file that it is in and, of a test in Python, its function."""
    refused: tuple[str, ...] = ()
    """The codes of what it has refused."""


@dataclass
class Feature:
    """What a feature has to show."""

    title: str
    stories: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def features() -> dict[str, Feature]:
    """The features by their names, as `stories.toml` has them."""
    found = tomllib.loads((SCENARIOS / "stories.toml").read_text(encoding="utf-8"))
    return {name: Feature(**each) for name, each in found.items()}


def tests() -> list[Test]:
    """Every test in tests/scenarios that says which story it shows.

    Raises:
        ValueError: A test says none, or a feature that is not in `stories.toml`.
    """
    found = [
        *(test for path in sorted(SCENARIOS.glob("*.feature")) for test in _of_feature_file(path)),
        *(test for path in sorted(SCENARIOS.glob("test_*.py")) for test in _of_module(path)),
    ]
    known = features()
    for each in found:
        if each.feature not in known:
            raise ValueError(f"{each.name}: {each.story!r} has to name a feature of stories.toml, not {each.feature!r}")
    return found


def page() -> str:
    """The text of the page."""
    shown = tests()
    lines = [_ABOUT]
    for name, feature in features().items():
        ours = [each for each in shown if each.feature == name]
        refused = list(dict.fromkeys([*feature.refused, *(each.story for each in ours if each.refused)]))
        stories = dict.fromkeys([*feature.stories, *(each.story for each in ours if each.story not in refused)])
        by_story = {story: [each for each in ours if each.story == story] for story in (*stories, *refused)}
        lines += [f"## {name} {feature.title}", ""]
        lines += _table("Story", list(stories), by_story)
        lines += _table("Refused", refused, by_story)
    return "\n".join(lines).rstrip() + "\n"


def missing() -> Iterator[str]:
    """The stories and refusals that no test shows."""
    shown = {(each.feature, each.story) for each in tests()}
    for name, feature in features().items():
        yield from (f"{name}: {each}" for each in (*feature.stories, *feature.refused) if (name, each) not in shown)


def _table(title: str, stories: list[str], tests: Mapping[str, list[Test]]) -> list[str]:
    if not stories:
        return []
    coded = title == "Refused"
    rows = [("Refused", "Code", "Shown by") if coded else ("Story", "Shown by")]
    for story in stories:
        codes = ", ".join(f"`{code}`" for code in dict.fromkeys(c for each in tests[story] for c in each.refused))
        files = ", ".join(dict.fromkeys(_link(each) for each in tests[story])) or "no test yet"
        rows.append((story, codes, files) if coded else (story, files))
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return [head, "|" + "---|" * len(rows[0]), *body, ""]


def _link(test: Test) -> str:
    file, _, function = test.name.partition("::")
    return f"[{function or file}](../tests/scenarios/{file})"


def _of_feature_file(path: Path) -> Iterator[Test]:
    """The scenarios of a feature file, each under the tag of its own or else of the whole file."""
    whole = tag = ""
    found: list[Test] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.strip()
        if words.startswith("@"):
            tag = next((each[1:] for each in words.split() if _TAG.fullmatch(each)), tag)
        elif words.startswith("Feature:"):
            whole, tag = tag, ""
        elif words.startswith(("Scenario:", "Scenario Outline:")):
            found.append(Test(tag or whole, words.partition(":")[2].strip(), path.name))
            tag = ""
        elif code := _REFUSED.search(words):
            found[-1] = replace(found[-1], refused=(*found[-1].refused, code[1]))
    yield from found


def _of_module(path: Path) -> Iterator[Test]:
    """The tests of a module, each with the marks of its own or else of the whole module."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    whole = [
        mark
        for node in module.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
        for mark in _marks([*ast.walk(node.value)])
    ]
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            name = f"{path.name}::{node.name}"
            marks = _marks(node.decorator_list) or whole
            if not marks:
                raise ValueError(f'{name} has to say what it shows: @pytest.mark.story("F1", "…")')
            for feature, story, refused in marks:
                yield Test(feature, story, name, refused)


def _marks(nodes: list[ast.expr] | list[ast.AST]) -> list[tuple[str, str, tuple[str, ...]]]:
    found = []
    for node in nodes:
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.story":
            feature, story = (ast.literal_eval(argument) for argument in node.args)
            refused = next((ast.literal_eval(each.value) for each in node.keywords if each.arg == "refused"), ())
            found.append((feature, story, (refused,) if isinstance(refused, str) else tuple(refused)))
    return found


def main() -> None:
    """Write the page; with --check say whether it differs, with --missing which stories no test shows."""
    if sys.argv[1:] == ["--missing"]:
        sys.stdout.write("".join(f"{each}\n" for each in missing()))
    elif sys.argv[1:] == ["--check"]:
        same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == page()
        sys.exit(None if same else "docs/features.md is not what the scenarios say: run make generate")
    else:
        PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()

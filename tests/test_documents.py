# SPDX-License-Identifier: Apache-2.0
"""What the documents promise exists: names, commands, options, files, the topology and the table of imports."""

import ast
import importlib
import importlib.util
import inspect
import io
import re
import shlex
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import click
import pytest

from gateway.api import guide, permissionspage
from gateway.api.operations import OPERATIONS
from gateway.cli import main as pedigree
from gateway.cli.exits import EPILOG
from network.cli import main as pedigree_network
from network.topology import default_topology, loads

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = {"pedigree": pedigree, "pedigree-network": pedigree_network}
# Names that snippets give to what a call answers, and the class of that.
OBJECTS = {
    "hospital": "pedigree.Pedigree",
    "lab": "pedigree.Pedigree",
    "client": "pedigree.Pedigree",
    "run": "pedigree.Run",
    "version": "pedigree.Recorded",
    "stub": "chaincode.shim.Stub",
    "contract": "gateway.fabric.Contract",
}
# Resources of Fabric's access control, whose names look like paths of ours.
RESOURCES = {"gateway/CommitStatus", "gateway/ChaincodeEvents"}
# What their constructors assign.
ATTRIBUTES = {"Run": ("name", "recorded")}


class Snippet(NamedTuple):
    """A fenced block of a document."""

    document: str
    language: str
    text: str


def snippets(*languages: str) -> list[Snippet]:
    found = []
    for path in DOCUMENTS:
        for language, text in re.findall(
            r"^```(\w*)\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        ):
            found.append(Snippet(str(path.relative_to(ROOT)), language, text))
    return [each for each in found if each.language in languages]


def named(dotted: str) -> Any:
    module, _, name = dotted.rpartition(".")
    return getattr(importlib.import_module(module), name)


# -- Python --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("snippet", snippets("python"), ids=lambda snippet: snippet.document)
def test_python_snippets_compile_and_import_what_exists(snippet: Snippet) -> None:
    tree = ast.parse(snippet.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.module is not None
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"
        if isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)


@pytest.mark.parametrize("snippet", snippets("python"), ids=lambda snippet: snippet.document)
def test_python_snippets_call_what_exists_as_it_is_called(snippet: Snippet) -> None:
    for node in ast.walk(ast.parse(snippet.text)):
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            continue
        if node.value.id in OBJECTS and _is_ours(snippet, node.value.id):
            owner = named(OBJECTS[node.value.id])
            known = set(dir(owner)) | set(inspect.get_annotations(owner)) | set(ATTRIBUTES.get(owner.__name__, ()))
            assert node.attr in known, f"{owner.__name__} has no {node.attr}"
    for node in ast.walk(ast.parse(snippet.text)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            owner = OBJECTS.get(node.func.value.id)
            if owner is not None and _is_ours(snippet, node.func.value.id):
                _accepts(getattr(named(owner), node.func.attr), node)


def _is_ours(snippet: Snippet, name: str) -> bool:
    """Whether a name stands for one of our objects there, and not for a dictionary of the same name."""
    return f"{name} = next(" not in snippet.text


def _accepts(function: Any, call: ast.Call) -> None:
    """That a method has the parameters that a call gives it."""
    signature = inspect.signature(function)
    arguments = [None] * (1 + len(call.args))
    signature.bind(*arguments, **{keyword.arg: None for keyword in call.keywords if keyword.arg is not None})


def test_the_check_of_snippets_can_fail() -> None:
    call = ast.parse("lab.submit('x', 'y', 'z')").body[0]
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    with pytest.raises(TypeError):
        _accepts(named("pedigree.Pedigree").submit, call.value)


# -- commands ------------------------------------------------------------------------------------------------------


def _in_blocks() -> Iterator[tuple[str, list[str]]]:
    """Every call of our programs in a shell block: the document, and the words."""
    for snippet in snippets("sh"):
        text = re.sub(r"<<'(\w+)'\n.*?\n\1\n", "\n", snippet.text, flags=re.DOTALL).replace("\\\n", " ")
        for line in text.splitlines():
            yield from _ours(snippet.document, shlex.split(line, comments=True))


def _in_prose() -> Iterator[tuple[str, list[str]]]:
    """Every call of our programs in running text; such a call may leave things out."""
    for path in DOCUMENTS:
        prose = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for quoted in re.findall(r"`(pedigree(?:-network)?\s[^`]+)`", prose):
            yield from _ours(str(path.relative_to(ROOT)), quoted.replace("…", "").split())


def _ours(document: str, words: list[str]) -> Iterator[tuple[str, list[str]]]:
    for index, word in enumerate(words):
        if word.rpartition("/")[2] in PROGRAMS and (index == 0 or words[index - 1] in {"&&", "|", ";"}):
            rest = words[index + 1 :]
            end = next((at for at, each in enumerate(rest) if each in {"&", "|", "&&", ">", "<<"}), len(rest))
            yield document, [word.rpartition("/")[2], *rest[:end]]


def _resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    command: click.Command = PROGRAMS[words[0]]
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        inner = command.commands.get(rest[0])
        assert inner is not None, f"there is no command {' '.join(words)}"
        command, rest = inner, rest[1:]
    return command, rest


def test_the_commands_of_running_text_exist_with_their_options() -> None:
    for document, words in _in_prose():
        command, rest = _resolve(words)
        options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
        for word in rest:
            assert not word.startswith("--") or word.partition("=")[0] in options, f"{document}: {' '.join(words)}"


def test_the_commands_of_shell_blocks_are_complete() -> None:
    calls = list(_in_blocks())
    assert len(calls) > 20
    for document, words in calls:
        command, rest = _resolve(words)
        context = click.Context(command, info_name=words[0])
        given, left, _ = command.make_parser(context).parse_args(list(rest))  # raises for an unknown option
        assert left == [], f"{document}: {' '.join(words)}"
        for parameter in command.params:
            value = given.get(parameter.name or "")
            absent = not isinstance(value, str | list | tuple) or not value
            if parameter.required and not parameter.envvar:
                assert not absent, f"{document}: {' '.join(words)} lacks {parameter.name}"


def _leaves(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _leaves(inner, (*path, name))
    else:
        yield path, command


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_every_command_and_option_says_what_it_is_in_one_line_of_help(program: str) -> None:
    for path, command in _leaves(PROGRAMS[program], (program,)):
        assert command.get_short_help_str(200).strip(), path
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{path}: {parameter.name} has no help"


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_a_list_of_commands_has_room_for_what_each_does_in_80_columns(program: str) -> None:
    waiting: list[tuple[str, click.Command]] = [(program, PROGRAMS[program])]
    while waiting:
        path, group = waiting.pop()
        if not isinstance(group, click.Group):
            continue
        room = 80 - 2 - len("  ") - len("  ") - 2 - max(map(len, group.commands))  # as click reckons
        for name, command in group.commands.items():
            assert not command.get_short_help_str(room).endswith("..."), f"{path} {name}: at most {room} characters"
            waiting.append((f"{path} {name}", command))
    assert max(map(len, EPILOG.splitlines())) <= 78


# -- the rest ------------------------------------------------------------------------------------------------------


def test_the_topology_of_the_guide_is_the_default_one() -> None:
    described = {snippet.document: loads(snippet.text) for snippet in snippets("yaml")}
    assert described["docs/guide/embedded-network.md"] == default_topology()


def test_the_tables_of_operations_are_those_of_the_table() -> None:
    page = (ROOT / "docs" / "guide" / "api.md").read_text(encoding="utf-8")
    assert guide.within(page) == page, "run `make generate`"
    for operation in OPERATIONS:
        assert f"`{operation.method} {operation.path}`" in page
    with pytest.raises(ValueError, match="markers"):
        guide.within(page.replace(guide.END, ""))
    permissions = (ROOT / "docs" / "permissions.md").read_text(encoding="utf-8")
    assert permissionspage.page() == permissions, "run `make generate`"


def test_the_page_of_features_is_what_the_scenarios_say() -> None:
    features = _loaded("features")
    assert features.page() == features.PAGE.read_text(encoding="utf-8"), "run `make generate`"
    shown = features.tests()
    assert all(each.feature in features.features() for each in shown)
    assert {each.story for each in shown}.isdisjoint(each.partition(": ")[2] for each in features.missing())


def test_links_and_files_exist() -> None:
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)", text):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path.name}: {target}"
        for name in re.findall(r"`((?:chaincode|gateway|network|tests|docs)/[\w/.]+)`", text):
            assert (ROOT / name).exists() or name in RESOURCES, f"{path.name}: {name}"


def _anchors(path: Path) -> set[str]:
    """What the headings of a document can be linked by."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def test_links_into_a_document_lead_to_a_heading() -> None:
    for path in DOCUMENTS:
        for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", path.read_text(encoding="utf-8")):
            assert anchor in _anchors((path.parent / target) if target else path), f"{path.name}: {target}#{anchor}"


def test_the_glossary_tells_the_words_apart_that_are_easily_confused() -> None:
    glossary = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Glossary")[2].partition("\n## ")[0]
    terms = re.findall(r"\*([a-z ]+)\*:", glossary)
    assert len(terms) == len(set(terms))
    assert set(terms) >= {
        "artifact", "model", "endorsement", "peer endorsement", "transaction", "submission", "evidence", "lineage",
        "consent", "licence", "read model",
    }  # fmt: skip
    # What cannot be recorded yet has no place among the words.
    assert not {"grant", "derivation"} & set(terms)


def test_make_help_lists_every_target_that_a_document_names() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    described = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    for path in DOCUMENTS:
        for target in re.findall(r"(?:^|`)make ([a-z][a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            assert target in described, f"{path.name}: make {target}"


def _loaded(name: str) -> ModuleType:
    """A module of this folder that is not a package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_docstrings_say() -> None:
    reference = _loaded("reference")
    for path, text in reference.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is not up to date: make reference"
    assert list(reference.undocumented()) == []


def test_the_sdk_is_what_the_table_of_operations_says() -> None:
    assert _loaded("generate").differences() == [], "make generate"


def test_the_table_of_imports_is_the_one_that_is_enforced() -> None:
    house = _loaded("test_house")
    rows = {}
    for line in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").splitlines():
        if line.startswith(("| `chaincode", "| `gateway", "| `network", "| `pedigree")):
            module, ours, others = (set(re.findall(r"`([\w.]+)`", cell)) for cell in line.strip("|").split("|"))
            rows[next(iter(module))] = (ours, others)
    assert rows == {name: (set(rule.ours), set(rule.third_party)) for name, rule in house.RULES.items()}
    assert list(rows) == list(house.RULES)


# -- the rules of the protocol -------------------------------------------------------------------------------------

RULE = re.compile(r"^- \*\*([A-Z]-\d+)\.\*\* (.*?)(?=^- \*\*|^#|\Z)", re.MULTILINE | re.DOTALL)
CITATION = re.compile(r"(?<![\w.-])[PSRGOVLDTC]-\d+(?![\w-]|\.\d)")
CURVES = {"P-224", "P-256", "P-384", "P-521"}
WHERE = re.compile(r"Source:\s.*?(`[\w/:.]+`|hyperledger/[\w-]+|PyPI `[\w-]+`)", re.DOTALL)


def _rules() -> dict[str, str]:
    """Every rule of the protocol by its number."""
    found = RULE.findall((ROOT / "docs" / "protocol.md").read_text(encoding="utf-8"))
    assert len(found) == len(dict(found)), "a number stands for two rules"
    return dict(found)


def _cases() -> set[str]:
    """The numbers of the conformance suite's cases."""
    return set(re.findall(r'"(C-\d+)":', (ROOT / "tests" / "conformance" / "cases.py").read_text(encoding="utf-8")))


def _citations(text: str) -> set[str]:
    return set(CITATION.findall(text)) - CURVES


def test_every_rule_and_case_that_is_cited_exists() -> None:
    known = _rules().keys() | _cases()
    cited: set[str] = set()
    folders = ("chaincode", "gateway", "network", "bench", "tests")
    sources = [
        path for each in folders for path in (ROOT / each).rglob("*") if path.suffix in {".py", ".sql", ".proto"}
    ]
    for path in [*DOCUMENTS, *sources]:
        numbers = _citations(path.read_text(encoding="utf-8"))
        assert numbers <= known, f"{path.relative_to(ROOT)} cites {sorted(numbers - known)}"
        cited |= numbers
    assert len(cited) > 300, "the search for citations finds too few"


def test_the_search_for_citations_tells_rules_from_other_names() -> None:
    text = "rules V-20 to V-23 (O-7), S-" + "999; on P-256; MPL-2.0, CC-BY-4.0, ASP-3, UTF-8, C-001."
    assert _citations(text) == {"V-20", "V-23", "O-7", "S-" + "999", "C-001"}


def test_the_rules_are_numbered_without_gaps_and_say_where_they_can_be_read() -> None:
    rules = _rules()
    letters = [number[0] for number in rules]
    assert list(dict.fromkeys(letters)) == list("PSRGOVLDT")
    for letter in set(letters):
        numbers = [int(number[2:]) for number in rules if number[0] == letter]
        assert numbers == list(range(1, len(numbers) + 1))
    for number, text in rules.items():
        assert WHERE.search(text), f"{number} names no source"


# -- the release ---------------------------------------------------------------------------------------------------


def _version(path: str) -> str:
    return str(tomllib.loads((ROOT / path).read_text(encoding="utf-8"))["project"]["version"])


def test_every_place_names_the_same_release() -> None:
    version = _version("pyproject.toml")
    assert _version("gateway/sdk/pyproject.toml") == version
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)", headings[1])
    security = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert f"| {version.rpartition('.')[0]} | yes |" in security
    assert security.count("| yes |") == 1
    assert f"pedigree {version} is approved" in (ROOT / "docs" / "guide" / "sites.md").read_text(encoding="utf-8")


# -- words ---------------------------------------------------------------------------------------------------------

WORDS = {
    r"whoever|whomever": "anyone who",
    r"told": "notified, given, said",
    r"(?:stands?|stood) (?:in|on|there|under|beside)(?! for)": "is",
    r"(?<!there )(?:is|are|was|were) no (?!longer|more|less|other|\w+er than)\w+": "is not",
    r"off[- ]line": "offline",
    r"taken up": "accepted",
    r"(?:hold|holds|held|holding)\b[^.;:|]{1,60}\bagainst": "compare, check",
    r"he|him|his|himself": "it, they: programs and parties",
    r"founded": "bootstrapped",
    r"ordering nodes?": "orderer",
}
MANNERED = re.compile(rf"\b(?:{'|'.join(WORDS)})\b", re.IGNORECASE)


def _prose(program: str) -> str:
    """What people read of a program: its comments and texts, without its names."""
    names = {"COMMENT", "STRING", "FSTRING_MIDDLE"}
    tokens = tokenize.generate_tokens(io.StringIO(program).readline)
    return "\n".join(token.string for token in tokens if tokenize.tok_name[token.type] in names)


def _mannered(text: str) -> list[str]:
    return [" ".join(found.split()) for found in MANNERED.findall(re.sub(r"\n\s*(?:#|--)?\s*", " ", text))]


def test_sources_and_documents_use_plain_words() -> None:
    sources = [path for each in ("chaincode", "gateway", "network") for path in (ROOT / each).rglob("*")]
    for path in [*DOCUMENTS, *(each for each in sources if each.suffix in {".py", ".sql", ".md"})]:
        text = path.read_text(encoding="utf-8")
        found = _mannered(text)
        if found and path.suffix == ".py":  # taking a program apart takes longer than reading it
            found = _mannered(_prose(text))
        assert not found, f"{path.relative_to(ROOT)} says {found}; say instead, as fits: {list(WORDS.values())}"


def test_the_search_for_mannered_words_finds_them_and_no_others() -> None:
    assert _mannered("Whoever is told that it is no\n    # peer") == ["Whoever", "told", "is no peer"]
    assert _mannered("there is no peer, which is no longer here and no larger than that; the theory") == []


# -- the threat model ----------------------------------------------------------------------------------------------


def _attacks() -> set[str]:
    """The test functions of the hostile suite."""
    return {
        node.name
        for path in (ROOT / "tests" / "hostile").glob("test_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_the_threat_model_names_each_attack_and_no_other() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 10
    assert all(len(row) == 4 for row in rows)
    tried = {name for row in rows for name in re.findall(r"`([^`]+)`", row[2])}
    functions = {name for name in tried if not name.startswith("tests/")}
    assert functions == _attacks()
    for row in rows:
        assert re.search(r"`test_\w+`|`tests/[\w/]+\.py`", row[2]), f"nothing was tried against: {row[0]}"
    assert all((ROOT / name).is_file() for name in tried - functions), tried - functions

# SPDX-License-Identifier: Apache-2.0
"""Writes what the SDK has from the table of operations: its typed methods, and the types of what they take and answer.

`make generate` writes the files; `make check` compares them with the table. What a row calls odd for the SDK (uploads,
files, numbers of NumPy's) is written by hand beside them. Copies of what the SDK shares with the whole are written too:
links would need a checkout, and a file system, that has them.
"""

import ast
import keyword
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from chaincode.domain import derivation, errors, evidence, register
from chaincode.domain.register import ACTION, KIND, Kind
from chaincode.domain.values import Ref
from gateway.api.operations import OPERATIONS
from gateway.api.rows import PAGE_LIMIT, Operation, Parameter, report
from gateway.rest.reports import OUTCOMES
from gateway.rest.schemas import Components

ROOT: Final = Path(__file__).resolve().parents[1]
SDK: Final = ROOT / "gateway" / "sdk" / "pedigree"
COPIED: Final = (
    "chaincode/domain/characters.py",
    "chaincode/domain/merkle.py",
    "chaincode/domain/tabular.py",
    "gateway/services/copies.py",
    "gateway/services/members.py",
    "gateway/services/ownprocesses.py",
    "gateway/services/parquet.py",
    "gateway/services/parquetdecoder/__init__.py",
    "gateway/services/parquetdecoder/__main__.py",
    "gateway/services/parquetdecoder/rows.py",
    "gateway/services/parquetdecoder/values.py",
    "gateway/services/jsonobjects.py",
    "gateway/services/pieces.py",
    "gateway/services/plainrows.py",
    "gateway/services/tables.py",
    "gateway/sealing/__init__.py",
    "gateway/sealing/blobs.py",
    "gateway/sealing/errors.py",
    "gateway/sealing/fetching.py",
    "gateway/sealing/release.py",
    "gateway/sealing/streams.py",
    "gateway/tlog/__init__.py",
    "gateway/tlog/checkpoints.py",
    "gateway/tlog/composing.py",
    "gateway/tlog/entries.py",
    "gateway/tlog/errors.py",
    "gateway/tlog/keys.py",
    "gateway/tlog/lexis.py",
    "gateway/tlog/notes.py",
    "gateway/tlog/policy.py",
    "gateway/tlog/proofs.py",
    "gateway/tlog/receipts.py",
)
"""What the SDK has copies of; where one imports another, its copy imports the copy."""
_SURROUNDINGS: Final = {
    "chaincode.domain.values": "pedigree.recordfiles",
    "chaincode.domain": "pedigree",
    "gateway.services": "pedigree",
    "gateway.sealing": "pedigree.sealing",
    "gateway.tlog": "pedigree.tlog",
}
"""What a copy imports instead of what the original does, the more particular first."""
_LICENCE: Final = "# SPDX-License-Identifier: Apache-2.0"
_WRITTEN: Final = "`make generate` writes this file from the table of operations."
_ABOUT_DOCUMENTS: Final = """A record has the fields of its kind; an entry is a record with the transaction that wrote
it, and a page is a list of entries. Instants are milliseconds since 1970-01-01T00:00:00Z. A member that is
`NotRequired` is left out where it has no value."""
_INSTANT: Final = "Milliseconds since 1970-01-01T00:00:00Z."
_PARTS: Final = {
    "AnchoredLog": "An anchor of an audit log.",
    "AuditEntry": "What a gateway refused, or failed to do.",
    "ConsentIndication": "What a data subject said, and when.",
    "ConsentStep": "A change of what a data subject indicated, and the version that made it.",
    "DifferenceCounts": "How many records differ, and how.",
    "DisabledMember": "A member whose definition on the channel this gateway does not understand.",
    "EvidenceRecord": "The one record that evidence is about; its content is base64.",
    "Header": "What a table says above its records.",
    "ImpactDuty": "What an organisation has to do, and for how many artifacts.",
    "ImpactItem": "An artifact that a subject's records reached, or may have.",
    "ImpactMap": "A version of a consent map.",
    "ImpactRecord": "A record of a subject, by its place in the version.",
    "ImpactSubject": "A data subject, and what it had indicated.",
    "ImpactVersion": "A version that holds records of the subjects, or may.",
    "InboxItem": "An artifact that awaits an endorsement of this organisation.",
    "ComposedStatement": "The in-toto statement, as JSON.",
    "StatementSubject": "What a statement is about.",
    "StatementDigest": "The SHA-256 of it, in hex.",
    "EndorsementPredicate": "What a statement says: docs/statements.md.",
    "ForeseenRefusal": "A refusal that would be met now.",
    "SeenEvaluation": "An evaluation that a statement names.",
    "Facts": "What a refusal is about: its code defines which of these there are.",
    "KindCount": "How many there are of a kind.",
    "LicenceOnPath": "A licence along a lineage.",
    "OffendingAncestor": "An ancestor of which a licence does not keep what it asks for.",
    "ReachedArtifact": "An artifact that a lineage comes to.",
    "Key": "The API key that a request came with.",
    "LogHead": "The size of a log, and the root of the Merkle tree over it in hex.",
    "LogWitness": "A witness that this organisation asks to cosign its log.",
    "RefusedCheckpoint": "A checkpoint that was refused.",
    "WitnessedLog": "Another organisation's log that this gateway witnesses.",
    "MapProof": "The way from a consent map's root to a data subject's place in it, in base64.",
    "Problem": "What is answered to what was refused or failed (RFC 9457).",
    "Said": "What one organisation says a transaction answered.",
    "SearchResult": "A record that was found.",
    "Transaction": "Where something is on the ledger.",
}
"""What the parts of the gateway's own answers are."""
_OWN_FACTS: Final = {
    "field": {"type": "string", "description": "The argument that was not sent, because the ledger would refuse it."},
    "idempotency_key": {"type": "string", "description": "The key to send again, where the outcome is not known."},
}
"""Facts of what goes wrong in the client itself."""
_PLAIN: Final = {"string": "str", "integer": "int", "boolean": "bool", "null": "None"}
_WIDTH: Final = 120

Schema = Mapping[str, Any]
_MODULES: Final = (derivation, evidence, *(each for each in vars(register).values() if isinstance(each, ModuleType)))
_CLASSES: Final = {name: each for module in _MODULES for name, each in vars(module).items() if isinstance(each, type)}


def files() -> dict[Path, str]:
    """Every file that is generated, by its path."""
    components = Components()
    for row in OPERATIONS:
        components.answer(row.answer)
        if row.body is not None:
            components.body(row)
        for parameter in row.taken:
            if parameter.form == "choice":
                components.choice(parameter.name, parameter.choices)
    components.report("Problem")
    schemas = components.schemas
    schemas["Event"] = _event(components)
    schemas["Facts"] = {**schemas["Facts"], "properties": {**schemas["Facts"]["properties"], **_OWN_FACTS}}
    methods = "".join(line for row in OPERATIONS if "sdk" not in row.odd for line in _methods(row, components))
    return {
        **{copy_of(each): _copied(each) for each in COPIED},
        SDK.parent / "LICENSE": (ROOT / "LICENSE").read_text(encoding="utf-8"),
        SDK / "documents.py": _formatted(_documents(schemas)),
        SDK / "operations.py": _formatted(_operations(methods, schemas)),
        SDK / "__init__.py": _formatted(_public(SDK / "__init__.py")),
    }


def differences() -> list[str]:
    """The names of the files that are not as the table has them."""
    return [
        path.name for path, text in files().items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def copy_of(name: str) -> Path:
    """Where the SDK has the copy of a file."""
    return SDK / name.removeprefix("chaincode/domain/").removeprefix("gateway/services/").removeprefix("gateway/")


def _copied(name: str) -> str:
    """The text of a copy."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines(keepends=True)
    for package, own in _SURROUNDINGS.items():
        lines = [re.sub(rf"^from {re.escape(package)}\b", f"from {own}", line) for line in lines]
    return _formatted("".join(lines))


# -- names ---------------------------------------------------------------------------------------------------------


def _public(path: Path) -> str:
    """The package's own module, in which its table of names says what type checkers import and `__all__` lists."""
    text = path.read_text(encoding="utf-8")
    table = next(
        node.value
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_NAMES"
    )
    names: dict[str, tuple[str, ...]] = ast.literal_eval(table)
    imports = "".join(f"    from {module} import {', '.join(each)}\n" for module, each in sorted(names.items()))
    every = sorted(name for each in names.values() for name in each)
    made = f"if TYPE_CHECKING:\n{imports}\n__all__ = {every!r}\n"
    return re.sub(r"^if TYPE_CHECKING:\n.*?^\]\n", lambda _: made, text, count=1, flags=re.MULTILINE | re.DOTALL)


# -- types ---------------------------------------------------------------------------------------------------------


def _documents(schemas: Mapping[str, Schema]) -> str:
    """The module of types: the members of every document that is taken or answered."""
    shown = dict(sorted(schemas.items()))
    words = [f"{name} = {_type(each)}\n" for name, each in shown.items() if not {"properties", "anyOf"} & set(each)]
    dicts = [_typed_dict(name, each) for name, each in shown.items() if "properties" in each]
    unions = [f"{name} = {_type(each)[1:-1]}\n" for name, each in shown.items() if "anyOf" in each]
    public = sorted([*shown, "REFERENCES", "UNMET"])
    return "\n".join(
        (
            _LICENCE,
            '"""What a gateway answers and is sent, as the types of its JSON.',
            "",
            _WRITTEN,
            "",
            _ABOUT_DOCUMENTS,
            '"""',
            "",
            "from collections.abc import Mapping, Sequence",
            "from typing import Any, Final, Literal, NotRequired, TypedDict",
            "",
            f"__all__ = {public!r}",
            "",
            *words,
            "",
            *dicts,
            "",
            *unions,
            "",
            *_references(),
            *_unmet(),
        )
    )


def _event(components: Components) -> Schema:
    """What any transaction may announce: each event has some of these members."""
    properties: dict[str, Any] = {"name": {"type": "string"}, "schema": {"type": "integer"}}
    for _, action in ACTION.values():
        for event in action.events:
            properties |= components._members(event)["properties"]
    said = "What a transaction announced; its `name` says which of the other members it has."
    return {"description": said, "required": ["name", "schema"], "properties": properties}


def _typed_dict(name: str, schema: Schema) -> str:
    said = schema.get("description") or _meaning(name, schema)
    lines = [f"class {name}(TypedDict):", *_docstring(said, 4), ""]
    for member, form in schema["properties"].items():
        kind = _type(form)
        lines.append(f"    {member}: {kind if member in schema.get('required', ()) else f'NotRequired[{kind}]'}")
        if form.get("description", _INSTANT) != _INSTANT:
            lines += _docstring(form["description"], 4)
    return "\n".join(lines) + "\n\n"


def _meaning(name: str, schema: Schema) -> str:
    members = schema["properties"]
    if name.removesuffix("Fields") in _CLASSES:
        return _first_sentence(_CLASSES[name.removesuffix("Fields")])
    if name.endswith("Page"):
        return "A page of entries; `next` is the `cursor` of the page after it."
    if name.endswith("Entry") and {"record", "transaction"} <= set(members):
        return "A record and the transaction that wrote it."
    if name in OUTCOMES:
        return "What is answered where this was recorded; methods make a `Recorded` of it."
    senders = [row.sdk for row in OPERATIONS if row.body is not None and _capital(row.name) == name]
    if senders:
        return f"What `{senders[0]}` sends."
    methods = [row.sdk for row in OPERATIONS if row.answer == report(name, paged=row.answer.paged)]
    return f"What `{methods[0]}` answers." if methods else _PARTS.get(name, "A part of an answer.")


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        return f'"{schema["$ref"].rpartition("/")[2]}"'
    if "anyOf" in schema:
        return _union(_type(arm) for arm in schema["anyOf"])
    if "const" in schema:
        return f"Literal[{schema['const']!r}]"
    if "enum" in schema:
        return f"Literal[{', '.join(repr(word) for word in schema['enum'])}]"
    kind = schema["type"]
    if isinstance(kind, list):
        return " | ".join(_type({**schema, "type": each}) for each in kind)
    if kind == "array":
        return f"Sequence[{_type(schema['items'])}]"
    return _PLAIN.get(kind, "Mapping[str, Any]")


def _union(arms: Iterable[str]) -> str:
    """A union of types, of which those that are named later are quoted as a whole."""
    joined = " | ".join(arm.strip('"') for arm in arms)
    return f'"{joined}"'


def _references() -> Iterator[str]:
    kinds = {kind: KIND[kind] for row in OPERATIONS if row.records for kind in row.answer.kinds}
    yield "REFERENCES: Final[Mapping[str, tuple[str, ...]]] = {"
    for name, kind in sorted(kinds.items()):
        parts = _reference(kind)
        if parts:
            yield f"    {name!r}: {parts!r},"
    yield "}"
    yield '"""How a record is referred to, by its kind: the word that begins it, if there is one, and its fields."""'
    yield ""


def _unmet() -> Iterator[str]:
    """The codes of what the rules of the ledger ask for and a well-formed command lacks."""
    waiting, codes = [errors.Unmet], set()
    while waiting:
        kind = waiting.pop()
        below = [each for each in kind.__subclasses__() if each.__module__.startswith("chaincode.")]
        waiting += below
        codes |= set() if below else {kind.code}
    yield f"UNMET: Final = frozenset({sorted(codes)!r})"
    yield '"""The codes of refusals of what is well formed, because a rule of the ledger is not met."""'
    yield ""


def _reference(kind: Kind) -> tuple[str, ...]:
    if kind.reference:
        return (kind.reference, *kind.key)
    about = [name for name, what in kind.key.items() if what is Ref]
    if len(about) == 1:
        return ("", about[0])
    # What is recorded later about one record, such as the end of a deployment, has that one's key.
    whole = [each for each in KIND.values() if each.reference and kind.name.startswith(f"{each.name}-")]
    return next(((each.reference, *each.key) for each in whole if each.key == kind.key), ())


# -- methods -------------------------------------------------------------------------------------------------------


def _operations(methods: str, schemas: Mapping[str, Schema]) -> str:
    code = re.sub(r'""".*?"""', "", methods, flags=re.DOTALL)
    named = sorted(name for name in schemas if re.search(rf"\b{name}\b", code))
    helpers = [name for name in ("segment", "version_of") if f"{name}(" in methods]
    return "\n".join(
        (
            _LICENCE,
            '"""The methods of the client that follow from the table of operations.',
            "",
            _WRITTEN,
            '"""',
            "",
            "from collections.abc import Iterator, Sequence",
            "",
            f"from pedigree.calls import Calls, {', '.join(helpers)}",
            f"from pedigree.documents import {', '.join(named)}",
            "from pedigree.recorded import Recorded",
            "",
            "",
            "class Operations(Calls):",
            '    """One method for each operation that needs no more than its fields."""',
            "",
            methods,
        )
    )


def _methods(row: Operation, components: Components) -> Iterator[str]:
    if row.records:
        yield _recording(row, components)
        return
    yield _reading(row)
    if row.answer.paged:
        yield _iterating(row, components)


def _recording(row: Operation, components: Components) -> str:
    body = row.body
    if body is None:
        raise TypeError(f"{row.name} records no command")
    schema = components.schemas[components.body(row)["$ref"].rpartition("/")[2]]
    fields, required = schema["properties"], schema["required"]
    first = [name for name in fields if name in (*row.verb.arguments, *row.verb.required)]
    named = sorted((name for name in fields if name not in first), key=lambda name: name not in required)
    path, places, before = _path(row)
    parameters = [
        *places,
        *(f"{name}: {_argument(fields[name])}" for name in first),
        "*",
        *(_keyword(name, fields[name], name in required) for name in named),
        "endorsing_organisations: Sequence[str] | None = None",
        "idempotency_key: str | None = None",
    ]
    members = "".join(f"{name!r}: {name}, " for name in (*first, *named))
    kinds = " | ".join(_record_type(kind) for kind in row.answer.kinds)
    more = ", reads=True" if row.about else ""
    return _method(
        row.sdk,
        parameters,
        f"Recorded[{kinds}]",
        [row.does],
        [
            *before,
            f"fields = {{{members}}}" if members else "fields: dict[str, object] = {}",
            f"return self._record({path}, fields, idempotency_key, endorsing_organisations{more})",
        ],
    )


def _reading(row: Operation) -> str:
    path, places, before = _path(row)
    answer = _answer_type(row)
    asked, given = _asked(row.taken)
    said = [row.does, *_meanings(row.parameters, row.filters)]
    found = f"found: {answer} = self._get({path}{given})"
    return _method(row.sdk, [*places, *asked], answer, said, [*before, found, "return found"])


def _iterating(row: Operation, components: Components) -> str:
    path, places, before = _path(row)
    asked, given = _asked((*row.parameters, *row.filters))
    items = components.schemas[_answer_type(row)]["properties"]["items"]["items"]["$ref"].rpartition("/")[2]
    return _method(
        f"iterate_{row.sdk}",
        [*places, *asked],
        f"Iterator[{items}]",
        [f"All that `{row.sdk}` lists, page after page as they are needed."],
        [*before, f"return self._iterate({path}{given})"],
    )


def _method(name: str, parameters: list[str], answer: str, said: list[str], body: list[str]) -> str:
    lines = [f"    def {name}({', '.join(('self', *parameters))}) -> {answer}:"]
    doc = _docstring(said[0], 8)
    if len(said) > 1:
        doc = [doc[0].removesuffix('"""'), "", *(f"        {line}" for line in said[1:]), '        """']
    lines += [*doc, *(f"        {line}" for line in body), "", ""]
    return "\n".join(lines)


def _meanings(*parameters: tuple[Parameter, ...]) -> list[str]:
    """What the parameters mean, as a section of the docstring."""
    lines: list[str] = []
    for each in (each for group in parameters for each in group):
        lines += textwrap.wrap(
            f"{each.python}: {each.meaning}",
            _WIDTH - 8,
            initial_indent=" " * 4,
            subsequent_indent=" " * 8,
        )
    return ["Args:", *lines] if lines else []


def _path(row: Operation) -> tuple[str, list[str], list[str]]:
    """The path as Python writes it, the parameters that it needs, and what is done before with them."""
    before: list[str] = []
    parameters = [f"{name}: {'int' if name == 'number' else 'str'}" for name in row.places]
    for field, template in (row.body.bound if row.body else {}).items():
        kind, *parts = template.split(":")
        if parts:
            names = ", ".join(part.strip("{}") for part in parts)
            before = [f'{names} = version_of({field}, "{kind}")']
            parameters = [f"{field}: str"]
    if not row.places:
        return f'"{row.path}"', parameters, before
    text = re.sub(r"\{(?!number)(\w+)\}", r"{segment(\1)}", row.path)
    return f'f"{text}"', parameters, before


def _asked(taken: Sequence[Parameter]) -> tuple[list[str], str]:
    """The parameters of a query, and how they are handed on; first what must be said or has a usual value."""
    first = [each for each in taken if each.required or (each.form == "choice" and each.default is not None)]
    named = sorted((each for each in taken if each not in first), key=lambda each: each.name == "limit")
    parameters = [*map(_query, first), *(["*"] if named else []), *map(_query, named)]
    return parameters, "".join(_given(each) for each in (*first, *named))


def _given(parameter: Parameter) -> str:
    """How a parameter is handed on."""
    if keyword.iskeyword(parameter.name) or not parameter.name.isidentifier():
        return f", **{{{parameter.name!r}: {parameter.python}}}"
    return f", {parameter.name}={parameter.python}"


def _query(parameter: Parameter) -> str:
    name = parameter.python
    kind = {"text": "str", "number": "int", "choice": _capital(parameter.name)}[parameter.form]
    if parameter.name == "limit" and parameter.most == PAGE_LIMIT:
        return f"limit: int = {PAGE_LIMIT}"
    return f"{name}: {kind}" if parameter.required else f"{name}: {kind} | None = None"


def _keyword(name: str, schema: Schema, required: bool) -> str:
    return f"{name}: {_argument(schema)}" if required else f"{name}: {_argument(schema)} | None = None"


def _argument(schema: Schema) -> str:
    return _type(schema).replace('"', "")


def _record_type(kind: str) -> str:
    return KIND[kind].record.__name__


def _answer_type(row: Operation) -> str:
    match row.answer.form:
        case "page":
            return f"{_record_type(row.answer.kinds[0])}Page"
        case "entry":
            return f"{_record_type(row.answer.kinds[0])}Entry"
        case "document":
            return _capital(row.answer.kinds[0])
        case _:
            return row.answer.kinds[0]


# -- words ---------------------------------------------------------------------------------------------------------


def _capital(name: str) -> str:
    return "".join(part[0].upper() + part[1:] for part in name.split("_"))


def _first_sentence(thing: type) -> str:
    return re.split(r"(?<=\.)\s", " ".join((thing.__doc__ or "").split()))[0]


def _docstring(text: str, indent: int) -> list[str]:
    """A docstring, as lines that are not too long: a sentence that is goes on below."""
    space = " " * indent
    text = text.replace("\n", " ").rstrip(".") + "."
    if len(space) + len(text) + 6 <= _WIDTH:
        return [f'{space}"""{text}"""']
    lines = textwrap.wrap(text, _WIDTH - indent - 3)
    return [f'{space}"""{lines[0]}', *(space + line for line in lines[1:]), f'{space}"""']


def _formatted(text: str) -> str:
    """The text as `ruff` lays it out, with its imports in order."""
    ruff = [sys.executable, "-m", "ruff"]
    name = str(SDK / "generated.py")
    for command in (
        ["check", "--quiet", "--select", "I,F401,RUF022", "--fix", "--stdin-filename", name, "-"],
        ["format", "--quiet", "--stdin-filename", name, "-"],
    ):
        done = subprocess.run([*ruff, *command], input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(f"{done.stdout or done.stderr}")
        text = done.stdout
    return text


def main() -> None:
    """Write the files, or with --check say which differ."""
    if sys.argv[1:] == ["--check"]:
        found = differences()
        sys.exit(f"the SDK's {' and '.join(found)} are not what the table says: run make generate" if found else 0)
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

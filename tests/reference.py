# SPDX-License-Identifier: Apache-2.0
"""Writes `docs/reference/`: the public names of packages that programs of others import, out of their docstrings.

`make reference` writes the pages; a test compares them with the code. Signatures are shown as the source has
them, so the pages are the same whichever version of Python writes them.
"""

import ast
import functools
import importlib
import inspect
import itertools
import re
import sys
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "reference"
PACKAGES: Final = ("chaincode.shim", "gateway.fabric", "pedigree", "pedigree.documents")
SECTIONS: Final = {"Args", "Raises", "Returns", "Yields"}
WIDTH: Final = 120


class Member(NamedTuple):
    """A field, property or method of a class: how it is written, and its docstring."""

    signature: str
    doc: str


def pages() -> dict[Path, str]:
    """Every page of the reference by its path."""
    index = [
        "# Reference",
        "",
        "Written by `make reference` from the docstrings of what programs of others import.",
        "",
    ]
    written = {}
    for name in PACKAGES:
        module = importlib.import_module(name)
        written[FOLDER / f"{name}.md"] = page(module)
        index.append(f"- [`{name}`]({name}.md): {_first_sentence(module)}")
    return {FOLDER / "README.md": "\n".join(index) + "\n", **written}


def page(module: ModuleType) -> str:
    """The page of one package: its docstring, then its classes, errors and functions in alphabetical order."""
    public = {name: getattr(module, name) for name in module.__all__}
    classes = {name: each for name, each in public.items() if inspect.isclass(each)}
    errors = {name for name, each in classes.items() if issubclass(each, Exception)}
    kinds = {
        "Classes": classes.keys() - errors,
        "Errors": errors,
        "Functions": {name for name, each in public.items() if inspect.isfunction(each)},
    }
    kinds["Values"] = public.keys() - set().union(*kinds.values())
    lines = [f"# `{module.__name__}`", "", *_prose(module.__doc__ or "")]
    for title, names in kinds.items():
        lines += [f"## {title}", ""] if names else []
        for name in sorted(names):
            lines += [f"### `{name}`", "", *_described(module, name, public[name])]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _described(module: ModuleType, name: str, thing: Any) -> list[str]:
    if inspect.isclass(thing):
        return _class(thing)
    if inspect.isfunction(thing):
        return [*_fenced(_signature(thing)), *_prose(thing.__doc__ or "")]
    written = _assigned(module).get(name)
    if written is not None and not isinstance(thing, str | int | float):
        return [*_fenced(written.signature), *_prose(written.doc)]
    return [f"`{thing!r}`" if isinstance(thing, str | int | float) else f"See `{name}` in the source.", ""]


def _class(cls: type) -> list[str]:
    package = cls.__module__.rpartition(".")[0]
    ours = [each for each in cls.__mro__ if each.__module__.startswith(package)]
    bases = ", ".join(base.__name__ for base in cls.__bases__ if base is not object and base.__name__[0] != "_")
    if typing.is_typeddict(cls):  # at run time it is a dict
        ours, bases = [cls], "TypedDict"
    written = f"class {cls.__name__}({bases})" if bases else f"class {cls.__name__}"
    members: dict[str, Member] = {}
    for each in reversed(ours):
        members |= dict(_members(each))
    if "__init__" in members and not members["__init__"].doc:  # the class's docstring speaks of both
        written += "\n" + textwrap.indent(members.pop("__init__").signature, "    ")
    lines = [*_fenced(written), *_prose(_own_doc(cls))]
    for silent, group in itertools.groupby(members.values(), key=lambda member: not member.doc):
        if silent:
            lines += _fenced("\n".join(member.signature for member in group))
        else:
            lines += [line for member in group for line in (*_fenced(member.signature), *_prose(member.doc))]
    return lines


def undocumented() -> Iterator[str]:
    """The public functions and methods that have no docstring."""
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isfunction(thing) and not thing.__doc__:
                yield f"{package}.{name}"
            for member, described in _members(thing) if inspect.isclass(thing) else ():
                if "def " in described.signature and member != "__init__" and not described.doc:
                    yield f"{package}.{name}.{member}"


def _own_doc(cls: type) -> str:
    """The docstring that the source has, and not the signature that `dataclass` puts in the place of none."""
    return ast.get_docstring(_node(cls), clean=True) or ""


def _members(cls: type) -> Iterator[tuple[str, Member]]:
    """The constructor, and the public fields, properties and methods, in the order of the source."""
    node = _node(cls)
    assert isinstance(node, ast.ClassDef)
    for statement, following in zip(node.body, [*node.body[1:], ast.Pass()], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
            if not name.startswith("_"):
                yield name, Member(ast.unparse(statement), _text(following))
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = [ast.unparse(each) for each in statement.decorator_list]
            public = not statement.name.startswith("_") or statement.name == "__init__"
            if public and not any(each.endswith((".setter", "overload")) for each in decorators):
                yield statement.name, Member(_written(statement, decorators), ast.get_docstring(statement) or "")


def _text(node: ast.stmt) -> str:
    """The string that follows a field and describes it."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return inspect.cleandoc(node.value.value)
    return ""


def _node(thing: Any) -> ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef:
    found = _classes(sys.modules[thing.__module__]).get(thing.__qualname__) if inspect.isclass(thing) else None
    node = found or ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]
    assert isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    return node


def _classes(module: ModuleType) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in _statements(module) if isinstance(node, ast.ClassDef)}


def _assigned(module: ModuleType) -> dict[str, Member]:
    """What a module gives names at its top, as it is written, each with the string that follows it."""
    found = {}
    nodes = _statements(module)
    for node, following in zip(nodes, [*nodes[1:], ast.Pass()], strict=True):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name):
            found[target.id] = Member(_segment(module, node), _text(following))
    return found


def _segment(module: ModuleType, node: ast.stmt) -> str:
    """A statement as it is written; `ast.get_source_segment` takes the whole module apart for each."""
    *lines, last = _lines(module)[node.lineno - 1 : node.end_lineno]
    return "\n".join((*lines, last.encode()[: node.end_col_offset].decode()))


@functools.cache
def _lines(module: ModuleType) -> list[str]:
    return inspect.getsource(module).splitlines()


@functools.cache
def _statements(module: ModuleType) -> list[ast.stmt]:
    return ast.parse(inspect.getsource(module)).body


def _signature(function: Any) -> str:
    node = _node(inspect.unwrap(function))
    assert not isinstance(node, ast.ClassDef)
    return _written(node, [ast.unparse(each) for each in node.decorator_list])


def _written(node: ast.FunctionDef | ast.AsyncFunctionDef, decorators: list[str]) -> str:
    """A function's head, without `self`, on as many lines as it needs."""
    answer = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    kind = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    marks = "".join(f"@{each}\n" for each in decorators)
    parameters = [each for each in _parameters(node.args) if each not in {"self", "cls"}]
    head = f"{kind} {node.name}({', '.join(parameters)}){answer}"
    if len(head) > WIDTH:
        head = f"{kind} {node.name}(\n{''.join(f'    {each},{chr(10)}' for each in parameters)}){answer}"
    return marks + head


def _parameters(arguments: ast.arguments) -> Iterator[str]:
    """The parameters of a function as they are written, `/` and `*` among them."""
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    for index, (each, default) in enumerate(zip(positional, [*defaults, *arguments.defaults], strict=True), 1):
        yield _parameter(each, default)
        if index == len(arguments.posonlyargs):
            yield "/"
    if arguments.vararg is not None:
        yield "*" + _parameter(arguments.vararg, None)
    elif arguments.kwonlyargs:
        yield "*"
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _parameter(each, default)
    if arguments.kwarg is not None:
        yield "**" + _parameter(arguments.kwarg, None)


def _parameter(parameter: ast.arg, default: ast.expr | None) -> str:
    written = ast.unparse(parameter)
    if default is None:
        return written
    return f"{written}{' = ' if parameter.annotation is not None else '='}{ast.unparse(default)}"


def _fenced(code: str) -> list[str]:
    return ["```py", code, "```", ""]


def _prose(doc: str) -> list[str]:
    """A docstring as Markdown: its sections become lists, and what is indented otherwise stays code."""
    lines: list[str] = []
    section = False
    for line in inspect.cleandoc(doc).splitlines():
        title = line.rstrip(":")
        if line.endswith(":") and title in SECTIONS:
            section = True
            lines += ["", f"{title}:", ""]
        elif section and (found := re.match(r"    (?! )(\*{0,2}\w[\w, *]*): (.*)", line)):
            lines.append(f"- `{found[1]}`: {found[2]}")
        elif section and line.startswith("    "):
            lines.append("  " + line.strip())
        else:
            section = False if line else section
            lines.append(line)
    return [*lines, ""]


def _first_sentence(module: ModuleType) -> str:
    sentence, _, _ = inspect.cleandoc(module.__doc__ or "").partition("\n\n")
    return " ".join(sentence.split())


def main() -> int:
    """Write every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""Pages of the documentation as a reader follows them: what their blocks say, and the running of them in order.

A fenced block of `sh` or `python` is run; a block of `text` directly below it is what it prints. A comment above a
block says what a fence cannot:

- `<!-- ends with 4 -->`: its exit code, where that is not 0;
- `<!-- saved as notes.py -->`: the file that its text becomes, instead of being run;
- `<!-- not run: reason -->`: why it is not run; of a `text` block, what it shows instead of an output.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import os
import re
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

RUN = ("sh", "python")
SHOWN = "text"
FORMS = ("json", "yaml")
"""Languages of what is neither run nor printed: how something is written."""
LONGEST = 90.0
"""Seconds for one block."""

_FENCE = re.compile(r"^```(.*)$")
_MARK = re.compile(r"^<!-- (not run: (?P<reason>.+)|ends with (?P<code>\d+)|saved as (?P<file>[\w.-]+)) -->$")
# What differs from one run to the next, and stands for itself in a page: digests, times, and places on the ledger.
_VARYING = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b[0-9a-f]{16,}\b"), "DIGEST"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?"), "TIME"),
    (re.compile(r"\b(block|height)(\"?:? )\d+", re.IGNORECASE), r"\1\2N"),
)


class Unreadable(Exception):
    """A page whose blocks cannot be told apart or do not say what they are; the message names the line."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    """Of its first line of content; the first line of a page is 1."""
    language: str
    text: str
    ends_with: int
    reason: str | None
    """Why it is not run, where it is not."""
    file: str | None = None
    """The file that its text is saved as, instead of being run."""
    prints: str | None = None
    """What the page says that it prints."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str, text: str) -> list[Block]:
    """The blocks of a page in order, those of output with what printed it; raises `Unreadable`."""
    found: list[Block] = []
    for line, language, content, marks, follows in _fenced(page, text):
        reason = marks.get("reason")
        if language == SHOWN and reason is None:
            if not follows or not found or found[-1].language not in RUN:
                raise Unreadable(f"{page}:{line}: no block above prints this; say what it is: <!-- not run: … -->")
            found[-1] = replace(found[-1], prints=content)
            continue
        if language not in (*RUN, *FORMS, SHOWN):
            raise Unreadable(f"{page}:{line}: {language or 'nothing'} is no language of a block")
        found.append(Block(page, line, language, content, int(marks.get("code") or 0), reason, marks.get("file")))
    return found


def _fenced(page: str, text: str) -> Iterator[tuple[int, str, str, Mapping[str, str | None], bool]]:
    """Each block's first line, language, content, marks, and whether nothing but blank lines is above it."""
    marks: dict[str, str | None] = {}
    follows, opened, language, content = False, 0, "", list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(line)
        if opened:
            if fence is None:
                content.append(line + "\n")
                continue
            if fence[1]:
                raise Unreadable(f"{page}:{number}: the block that begins at line {opened} has not ended")
            yield opened + 1, language, "".join(content), marks, follows
            marks, follows, opened, content = {}, True, 0, []
        elif fence is not None:
            opened, language = number, fence[1]
        elif mark := _MARK.match(line):
            marks |= {name: value for name, value in mark.groupdict().items() if value is not None}
        elif line.strip():
            if marks:
                raise Unreadable(f"{page}:{number}: a mark belongs to the block below it, and here is none")
            follows = False
    if opened:
        raise Unreadable(f"{page}:{opened}: a block begins here and does not end")


def difference(shown: str, printed: str) -> str | None:
    """How what was printed differs from what a page shows of it, None where it does not.

    `…` stands for anything within a line, and on a line of its own for any lines. Digests of 16 digits or more, UUIDs,
    times and numbers of blocks differ from one run to the next, and so count as the same.
    """
    expected, found = _settled(shown), _settled(printed)
    pattern = "".join(
        r"(?:.*\n)*" if line.strip() == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n" for line in expected
    )
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in found)):
        return None
    return "\n".join(difflib.unified_diff(expected, found, "shown", "printed", lineterm="", n=30))


def _settled(text: str) -> list[str]:
    """Lines without what differs from one run to the next."""
    for varying, name in _VARYING:
        text = varying.sub(name, text)
    return [line.rstrip() for line in text.strip("\n").splitlines()]


class Reader:
    """Somebody who follows a page: one shell and one Python session, in a folder like that of the clone.

    Args:
        folder: where the blocks run; it has what a clone has of which pages speak.
        elsewhere: addresses of the pages, and where what they mean answers in this test.
        ready: commands that were carried out before, each as the whole of a line but for its comment.
    """

    def __init__(self, folder: Path, elsewhere: Mapping[str, str], ready: Mapping[str, str]) -> None:
        self._folder = folder
        self._elsewhere = elsewhere
        self._ready = ready
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._state = folder.parent / f"{folder.name}.state"
        self._state.unlink(missing_ok=True)
        self._shells: list[int] = []

    def follow(self, block: Block) -> str | None:
        """Run a block; what is wrong with how it ended or what it printed, None where that is as the page says."""
        text = block.text
        for address, place in self._elsewhere.items():
            text = text.replace(address, place)
        if block.file is not None:
            (self._folder / block.file).write_text(text, encoding="utf-8")
            return None
        code, printed = self._sh(text) if block.language == "sh" else self._python(text, block)
        for address, place in self._elsewhere.items():
            printed = printed.replace(place, address)
        if code != block.ends_with:
            return f"{block} ended with {code}, not with {block.ends_with}:\n{printed}"
        if block.prints is not None and (wrong := difference(block.prints, printed)) is not None:
            return f"{block} does not print what the page shows:\n{wrong}\n\nIt printed:\n{printed}"
        return None

    def _sh(self, text: str) -> tuple[int, str]:
        """Run commands in a shell that has the variables, functions and folder of the one before.

        What they start in the background runs until `close`, and writes to the same file.
        """
        script = "\n".join(
            (
                f". {self._state} 2>/dev/null || true",
                f'trap \'{{ export -p; declare -f; printf "cd %q\\n" "$PWD"; }} > {self._state}\' EXIT',
                "set -ae -o pipefail",
                *(self._line(line) for line in text.splitlines()),
                "",
            )
        )
        unwanted = ("PEDIGREE_", "VIRTUAL_ENV")
        variables = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        variables |= {"NO_COLOR": "1", "COLUMNS": "80", "LANG": "C.UTF-8", "HOME": str(self._folder)}
        output = self._state.with_suffix(".output")
        with output.open("w") as printed:
            shell = subprocess.Popen(
                ["bash", "-c", script], cwd=self._folder, env=variables, stdin=subprocess.DEVNULL, stdout=printed,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            self._shells.append(shell.pid)
            code = shell.wait(LONGEST)
        return code, output.read_text(encoding="utf-8")

    def _line(self, line: str) -> str:
        """A line as it is run: what was carried out before this page is not carried out again."""
        command = line.partition(" #")[0].strip()
        return f"true # {command}: {self._ready[command]}" if command in self._ready else line

    def _python(self, text: str, block: Block) -> tuple[int, str]:
        """Run statements in the Python session of this page; a traceback names the page's own lines."""
        printed = io.StringIO()
        with contextlib.chdir(self._folder), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            try:
                exec(compile("\n" * (block.line - 1) + text, block.page, "exec"), self._names)
            except Exception:
                traceback.print_exc()
                return 1, printed.getvalue()
        return 0, printed.getvalue()

    def close(self) -> None:
        """End what runs in the background and the Python session, and close what its names still hold."""
        for group in self._shells:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGTERM)
        for value in self._names.values():
            if hasattr(value, "__exit__") and hasattr(value, "close") and not isinstance(value, type):
                value.close()
        self._names.clear()


def check_form(block: Block) -> None:
    """That a block of JSON is JSON; raises `Unreadable`. YAML is compared with what reads it where that is known."""
    if block.language == "json":
        try:
            json.loads(block.text)
        except ValueError as exc:
            raise Unreadable(f"{block}: {exc}") from None


def prepare(folder: Path, root: Path) -> None:
    """Make a folder in which pages find what they expect of a clone: the environment, and what it is made of."""
    folder.mkdir(parents=True)
    (folder / ".venv").symlink_to(sys.prefix)
    for name in ("README.md", "docs", "gateway", "chaincode", "network"):
        (folder / name).symlink_to(root / name)

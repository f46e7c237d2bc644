# SPDX-License-Identifier: Apache-2.0
"""How the `pedigree` command prints: JSON for programs, tables and trees for people, one line for an error."""

import io
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, ParamSpec

import click

from gateway.cli.exits import EPILOG, exit_of
from gateway.cli.exits import Exit as Exit
from gateway.cli.layout import fields as fields
from gateway.cli.layout import table as table
from gateway.printable import plain as plain

P = ParamSpec("P")
Json = dict[str, Any]

LARGEST_JSON = 64 * 1024 * 1024
"""The largest JSON file that is read, in bytes."""
_OF_THE_FILE = frozenset({"unreadable-records", "record-id-repeated", "records-unknown"})
_MEASURED = frozenset({"hashing", "sending", "reading", "checking", "comparing"})


class Failure(click.ClickException):
    """An error in one line on standard error, as JSON for programs; `problem` is what JSON says beside the text."""

    def __init__(self, message: str, code: Exit = Exit.FAILED, problem: Json | None = None) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click reads it from the instance
        self.problem = problem or {}

    @classmethod
    def of(cls, error: BaseException, where: str = "") -> "Failure":
        """The failure of a command that ended with this error, at a file where that is known."""
        text = str(error)
        if isinstance(error, OSError) and error.filename and error.strerror:
            text = f"{error.filename}: {error.strerror}"
        said = {name: getattr(error, name, None) for name in ("code", "status", "retryable", "facts")}
        problem = {name: value for name, value in said.items() if isinstance(value, str | int | dict) and value != {}}
        return cls(f"{where}: {text}" if where else text, exit_of(error), problem)


class Tool(click.Group):
    """The command itself: whatever goes wrong, also with its arguments, is one line on standard error.

    With `--json` that line is an object of `code`, `detail` and `exit_code`, and of what else the gateway said.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, epilog=EPILOG, **more)

    def main(  # type: ignore[override]  # click's own signature promises more about what it returns
        self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        """As click's, but for the form of errors and for `Exit`; colours as `NO_COLOR` wants it (no-color.org)."""
        if os.environ.get("NO_COLOR"):
            extra.setdefault("color", False)
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **extra)
        given = list(sys.argv[1:] if args is None else args)
        as_json = "--json" in given[: given.index("--") if "--" in given else None]
        try:
            code = super().main(args, standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as exc:
            exc.show()
            sys.exit(exc.exit_code)
        except click.ClickException as exc:
            _fail(exc, as_json=as_json)
        except click.Abort:
            _fail(Failure("stopped", Exit.STOPPED), as_json=as_json)
        except Exception:
            # An exit code of 1 is a verdict on what was checked, and Python's own for what it did not expect.
            traceback.print_exc()
            sys.exit(Exit.DEFECT)
        sys.exit(code if isinstance(code, int) else Exit.DONE)

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """As click's; prints the help, if that is what was asked for."""
        with _ending_quietly():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """As click's."""
        with _ending_quietly():
            return super().invoke(ctx)


@contextmanager
def _ending_quietly() -> Iterator[None]:
    """End without a word when the reader of our output has gone: it has seen enough."""
    try:
        yield
    except BrokenPipeError:
        with suppress(io.UnsupportedOperation):  # Python flushes once more when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(Exit.BROKEN_PIPE) from None


def _fail(error: click.ClickException, *, as_json: bool) -> NoReturn:
    message = error.format_message() + _where_to_look(error)
    if as_json:
        problem = {"code": Exit(error.exit_code).code, **(error.problem if isinstance(error, Failure) else {})}
        detail = message.removesuffix(f" [{problem['code']}]")
        click.echo(json.dumps({**problem, "detail": detail, "exit_code": int(error.exit_code)}), err=True)
    else:
        click.echo(f"pedigree: {plain(' '.join((message + _how_to_go_on(error)).split()))}", err=True)
    sys.exit(error.exit_code)


def _how_to_go_on(error: click.ClickException) -> str:
    """The key that continues a recording whose outcome is not known; for programs it is among the facts."""
    facts = error.problem.get("facts", {}) if isinstance(error, Failure) else {}
    key = facts.get("idempotency_key")
    return f" (to continue: the same command with --idempotency-key {key})" if key else ""


def _where_to_look(error: click.ClickException) -> str:
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return ""
    return f" (see {error.ctx.command_path} --help)"


def told(function: Callable[P, None]) -> Callable[P, None]:
    """Turn every expected failure of a command into one line and its exit code."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except BrokenPipeError:
            raise  # `Tool` ends quietly
        except Exception as exc:
            if isinstance(exc, _expected()):
                raise Failure.of(exc) from None
            raise

    return wrapper


class _Warnings(logging.Handler):
    """Says what the SDK warns of on standard error, a line each."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"pedigree: {plain(' '.join(record.getMessage().split()))}", err=True)


@contextmanager
def warning(quiet: bool) -> Iterator[None]:
    """Say what the SDK warns of; not to programs, which are promised one object on standard error."""
    log = logging.getLogger("pedigree")
    handler = logging.NullHandler() if quiet else _Warnings()
    log.addHandler(handler)
    before, log.propagate = log.propagate, False
    try:
        yield
    finally:
        log.propagate = before
        log.removeHandler(handler)


def _expected() -> tuple[type[Exception], ...]:
    """Failures of which this program is not the cause; imported once one has, as gRPC alone takes a while."""
    from chaincode.domain.errors import LedgerError
    from gateway.fabric.errors import FabricError
    from gateway.server.settings import SettingsError
    from gateway.services.ports import PortError
    from pedigree import PedigreeError

    return (PedigreeError, PortError, SettingsError, LedgerError, FabricError, OSError, ValueError)


def dumps(value: Any) -> str:
    """JSON as this command prints it."""
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)


def show(value: Any, as_json: bool, render: Callable[[], None]) -> None:
    """Print a value as JSON, or let `render` print it for people."""
    if as_json:
        click.echo(dumps(value))
    else:
        render()


@contextmanager
def progressing(what: str, total: int, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """A progress bar over bytes; none for little or for programs."""
    if quiet or total < 64 * 1024 * 1024:
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(escape(plain(what)), total=total)
        yield lambda size: progress.advance(task, size)


@contextmanager
def continued(key: str) -> Iterator[None]:
    """Name the idempotency key where Ctrl-C leaves the outcome of a recording open."""
    try:
        yield
    except KeyboardInterrupt:
        raise Failure("stopped", Exit.STOPPED, {"facts": {"idempotency_key": key}}) from None


@contextmanager
def uploading(path: Path | None, quiet: bool, key: str | None = None) -> Iterator[Callable[[Any], None] | None]:
    """A progress bar over what is done with a file: it is sent, read and recorded, or compared; none for programs.

    Once the gateway has accepted it, the operation is named, and the idempotency key that continues it.
    """
    with following(quiet or path is None, key) as watch:
        yield watch


@contextmanager
def following(quiet: bool, key: str | None = None) -> Iterator[Callable[[Any], None] | None]:
    """The same over any work that a gateway does by itself."""
    if quiet:
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("sending", total=None)
        said: set[str] = set()

        def watch(progress: Any) -> None:
            records = f", {progress.records} records" if progress.records else ""
            records = f", {progress.done >> 20} MiB" if progress.stage == "receiving" else records
            total = (progress.total or None) if progress.stage in _MEASURED else None
            bar.update(task, description=f"{progress.stage}{records}", completed=progress.done, total=total)
            if progress.operation is not None and progress.operation not in said:
                said.add(progress.operation)
                for line in _how_to_follow(progress.operation, key):
                    bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

        yield watch


def _how_to_follow(operation: str, key: str | None) -> Iterator[str]:
    """What another terminal needs once this one is lost."""
    yield f"operation: {plain(operation)}"
    if key is not None:
        yield f"idempotency key: {key} (to continue from another terminal: --idempotency-key {key})"


@contextmanager
def reading_file(file: Path | None) -> Iterator[None]:
    """Name the file where the gateway names a line of it."""
    from pedigree import Refused

    try:
        yield
    except Refused as exc:
        if file is None or exc.code not in _OF_THE_FILE:
            raise
        raise Failure.of(exc, str(file)) from None


def read_json(path: Path) -> Json:
    """An object from a JSON file of at most 64 MiB; raises `ValueError` that names the file.

    What two readers could understand differently is refused: fractions, NaN and a member that is there twice.
    """
    if path.stat().st_size > LARGEST_JSON:
        raise ValueError(f"{path} is larger than {LARGEST_JSON >> 20} MiB")
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not JSON: it is not UTF-8 text") from None
    return parse_json(text, str(path))


def parse_json(text: str, where: str) -> Json:
    """An object from JSON; raises `ValueError` that says `where`, as `read_json`."""
    try:
        value = json.loads(text, parse_float=_no_fraction, parse_constant=_no_fraction, object_pairs_hook=_members)
    except RecursionError:
        raise ValueError(f"{where} is not JSON that anyone wrote: it is nested too deeply") from None
    except json.JSONDecodeError as exc:
        raise ValueError(f"{where} is not JSON: {exc}") from None
    except ValueError as exc:
        raise ValueError(f"{where}: {exc}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{where} must hold a JSON object")
    return value


def _no_fraction(text: str) -> NoReturn:
    raise ValueError(f"{text[:40]} is not a whole number, and nothing that Pedigree keeps is a fraction")


def _members(pairs: list[tuple[str, Any]]) -> Json:
    members: Json = {}
    for name, value in pairs:
        if name in members:
            raise ValueError(f"the member {name[:60]!r} is there twice")
        members[name] = value
    return members

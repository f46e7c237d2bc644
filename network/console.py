# SPDX-License-Identifier: Apache-2.0
"""How `pedigree-network` says what is wrong: one line on standard error, also for wrong arguments and Ctrl-C."""

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from network.exits import Exit


class Tool(click.Group):
    """The command itself, which ends with one of `network.exits`.

    With `--json` an error is an object of `detail` and `exit_code`.
    """

    def main(  # type: ignore[override]  # click's own signature promises more about what it returns
        self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        """As click's, but for the form of errors; colours as `NO_COLOR` wants it (no-color.org)."""
        if os.environ.get("NO_COLOR"):
            extra.setdefault("color", False)
        given = list(sys.argv[1:] if args is None else args)
        as_json = "--json" in given[: given.index("--") if "--" in given else None]
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **extra)
        try:
            code = super().main(args, standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except click.ClickException as error:
            _fail(error.format_message() + _where_to_look(error), error.exit_code, as_json=as_json)
        except click.Abort:
            _fail("stopped", Exit.STOPPED, as_json=as_json)
        sys.exit(code if isinstance(code, int) else Exit.DONE)


def one_line(text: str) -> str:
    """`text` without line breaks and without anything that a terminal would obey."""
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in " ".join(text.split()))


def _fail(message: str, code: int, *, as_json: bool) -> NoReturn:
    said = json.dumps({"detail": message, "exit_code": code}) if as_json else f"Error: {one_line(message)}"
    click.echo(said, err=True)
    sys.exit(code)


def _where_to_look(error: click.ClickException) -> str:
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return ""
    return f" (see {error.ctx.command_path} --help)"

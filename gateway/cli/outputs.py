# SPDX-License-Identifier: Apache-2.0
"""Documents that a verb writes: to standard output, or to a file that is whole or not there."""

from pathlib import Path
from typing import Final

import click

OUTPUT: Final = click.Path(path_type=Path, dir_okay=False, allow_dash=True)
"""The type of an option or argument that names where a document goes; `-` is standard output."""


def written(output: Path, text: str) -> None:
    """Write a text and a line end.

    A file takes the place of what had its name only once it is on the disk, and only its owner may read it. A pipe or a
    device is written to as it is. Raises `OSError`.
    """
    from pedigree.saving import replacing

    if str(output) == "-":
        click.echo(text)
    elif output.exists() and not output.is_file():
        output.write_text(f"{text}\n", encoding="utf-8")
    else:
        with replacing(output.resolve()) as file:  # a link goes on to be one
            file.write(f"{text}\n".encode())

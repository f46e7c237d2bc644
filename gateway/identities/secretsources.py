# SPDX-License-Identifier: Apache-2.0
"""Where secrets come from: a file, a systemd credential, the environment, or a person; never the command line."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.fabric.durable import write_file
from gateway.identities.errors import IdentityError
from gateway.identities.files import private_folder

_LARGEST = 4096


def read_secret(
    what: str,
    *,
    file: Path | None,
    variable: str = "",
    credential: str = "",
    prompt: Callable[[str], str] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> bytes:
    """A secret from, in this order: `file`; the systemd credential `credential` (systemd.exec(5), LoadCredential=);
    the environment variable `variable`, or the file that `<variable>_FILE` names; `prompt`.

    One newline at a file's end does not belong to it. Raises `IdentityError` that says where it was looked for.
    """
    folder = environment.get("CREDENTIALS_DIRECTORY") if credential else None
    named = environment.get(f"{variable}_FILE") if variable else None
    if file is not None:
        return _read(file, what)
    if folder and (Path(folder) / credential).is_file():
        return _read(Path(folder) / credential, what)
    if variable and environment.get(variable):
        return environment[variable].encode()
    if named:
        return _read(Path(named), what)
    if prompt is not None and sys.stdin.isatty():
        return prompt(what).encode()
    raise IdentityError(f"{what} is wanted: name a file, or set {variable} or {variable}_FILE")


def write_secret(path: Path, secret: str) -> None:
    """Write a secret for the owner alone, in one step."""
    private_folder(path.parent)
    write_file(path, secret.encode() + b"\n", mode=0o600)


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as exc:
        raise IdentityError(f"{path}: {what} cannot be read: {exc.strerror}") from None
    content = content.removesuffix(b"\n").removesuffix(b"\r")
    if not content or len(content) > _LARGEST or b"\n" in content:
        raise IdentityError(f"{path}: {what} must be one line of at most {_LARGEST} bytes")
    return content

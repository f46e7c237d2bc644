# SPDX-License-Identifier: Apache-2.0
"""Files that are whole or not there: what is kept of a run until it is recorded, and what a gateway sends.

A run is kept so that no end of a program loses it.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from pedigree.errors import InvalidInput

SUFFIX = ".pedigree-run.json"


def save_run(folder: Path, name: str, key: str, fields: Mapping[str, object]) -> Path:
    """Write a run to a new file in `folder`, or in the system's folder for temporary files; its path.

    The file holds the fields of the record, the name, and the idempotency key: recorded with it, the run is recorded
    once however often that is tried. It is complete or not there; a crash can leave a `.part` behind. Only its owner
    may read it. Raises `OSError` when neither folder can be written to.
    """
    text = json.dumps({"run": name, "idempotency_key": key, **fields}, ensure_ascii=False, indent=1)
    try:
        return _write(folder, name, text)
    except OSError:
        return _write(Path(tempfile.gettempdir()), name, text)


def replace_key(path: Path, key: str) -> None:
    """Give a saved run another idempotency key; raises `OSError`.

    A failure leaves the run whole, with one key or the other, and nothing beside it.
    """
    saved = json.loads(path.read_text(encoding="utf-8"))
    part = path.with_name(path.name + ".part")
    try:
        _write_durably(part, json.dumps({**saved, "idempotency_key": key}, ensure_ascii=False, indent=1))
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def read_run(path: Path | str) -> tuple[str, str | None, dict[str, object]]:
    """Name, idempotency key and fields of a saved run; raises `InvalidInput` and `OSError`."""
    try:
        saved = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as exc:
        raise InvalidInput(f"{path} is not JSON: {exc}", field=str(path)) from None
    if not isinstance(saved, dict) or not isinstance(saved.get("run"), str):
        raise InvalidInput(f"{path} is not a saved run: it must be an object that names its run", field=str(path))
    return saved.pop("run"), saved.pop("idempotency_key", None), saved


@contextmanager
def replacing(path: Path, folder: Path | None = None) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends without an error, and then survives a power cut.

    Until then it is beside it, or in `folder` on the same disk, with a name that ends with `.part`; an error removes
    it. Only its owner may read it. Raises `OSError`, before anything is written where `path` is a folder or its folder
    is not there.
    """
    path = path.absolute()
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name the file to write")
    place = path.parent if folder is None else folder
    prefix = f"{path.name}." if folder is None else ""
    with tempfile.NamedTemporaryFile(dir=place, prefix=prefix, suffix=".part", delete=False) as file:
        part = Path(file.name)
        try:
            yield cast("BinaryIO", file.file)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    try:
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _write(folder: Path, name: str, text: str) -> Path:
    folder = folder.absolute()
    with tempfile.NamedTemporaryFile(dir=folder, prefix=f"{name}.", suffix=".part", delete=False) as reserved:
        part = Path(reserved.name)
    try:
        _write_durably(part, text)
        return _give_name(part, folder, name)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _write_durably(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def _give_name(part: Path, folder: Path, name: str) -> Path:
    """Move the file to a name that no other has."""
    number = 1
    while True:
        path = folder / f"{name}{'' if number == 1 else f'-{number}'}{SUFFIX}"
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            number += 1
            continue
        try:
            part.replace(path)
            _sync_folder(folder)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path


def _sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the system can open folders."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

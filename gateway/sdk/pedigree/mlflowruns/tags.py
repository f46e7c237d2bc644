# SPDX-License-Identifier: Apache-2.0
"""What the tags of an MLflow run say for its record: which data it used, what ran, and what became of it.

A person sets them, or variables of the environment do: `PEDIGREE_USE_TEST` for `pedigree.use.test`. What is known when
a run starts is written into tags then, so that the tracking store alone has all that a record needs.
"""

import functools
import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from pedigree.errors import InvalidInput, PedigreeError
from pedigree.files import digest_file
from pedigree.runs import check_code, check_environment, code_of, environment_of

if TYPE_CHECKING:
    from pedigree.documents import Code, Environment

USES: Final = {
    "pedigree.use": "train",
    "pedigree.use.validation": "validation",
    "pedigree.use.test": "test",
}
"""Tags that name data, and what it was used for."""
GIVEN: Final = (
    *USES,
    "pedigree.parents",
    "pedigree.purpose",
    "pedigree.model",
    "pedigree.licence",
    "pedigree.code",
    "pedigree.environment",
)
"""Tags that a person sets."""
NAMING: Final = (*USES, "pedigree.parents", "pedigree.model")
"""Of these, those that say what a run is made from or makes: without any, a run is not recorded."""
BUNDLE: Final = "pedigree.bundle"
"""Of a data set that a run logs: the file by which its copy is compared."""

_CONTEXTS: Final = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "eval", "evaluation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_COMMIT: Final = re.compile("[0-9a-f]{40}(?:[0-9a-f]{24})?")
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_log = logging.getLogger("pedigree")


@dataclass(frozen=True, slots=True)
class Data:
    """A data set version, or a selection from one, that a run used."""

    reference: str
    role: str
    grant: str | None = None
    path: Path | None = None
    """The copy that was read, where it is on this machine."""
    bundle: Path | None = None


def tags_at_start(variables: Mapping[str, str]) -> dict[str, str]:
    """The tags of a run that starts: what variables say, the digest of the code that runs, and the environment.

    What cannot be read is left out, and warned of.
    """
    said = {tag: value for tag in GIVEN if (value := variables.get(tag.upper().replace(".", "_")))}
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    try:
        if code := said.get("pedigree.code", main):
            said["pedigree.code"] = json.dumps(code_of(code))
        place = said.get("pedigree.environment")
        said["pedigree.environment"] = json.dumps(_environment() if place is None else _environment_at(place))
    except (PedigreeError, OSError, ValueError) as exc:
        _log.warning("what runs cannot be noted in the MLflow run: %s", exc)
    return said


def data_of(tags: Mapping[str, str], inputs: Iterable[Any]) -> list[Data]:
    """The data that a run used, each for a role once; raises `InvalidInput`.

    Args:
        inputs: the data sets that it logged (`mlflow.entities.DatasetInput`); those that name no data of the ledger,
            by their tag `pedigree.use` or their own name, are left out.
    """
    named = [
        _data(entry, role, f"the tag {tag}")
        for tag, role in USES.items()
        for entry in tags.get(tag, "").split(",")
        if entry.strip()
    ]
    found: dict[tuple[str, str], Data] = {}
    for each in [*named, *filter(None, map(_logged, inputs))]:
        before = found.get((each.reference, each.role))
        found[each.reference, each.role] = each if each.grant or before is None else replace(each, grant=before.grant)
    return list(found.values())


def unnamed_inputs(inputs: Iterable[Any]) -> list[str]:
    """The names of the data sets that a run logged and that are not data of the ledger."""
    return sorted({str(each.dataset.name) for each in inputs if _reference(each) is None})


def parents_of(tags: Mapping[str, str]) -> list[str]:
    """The model versions that a run began from."""
    return [each.strip() for each in tags.get("pedigree.parents", "").split(",") if each.strip()]


def code_said(tags: Mapping[str, str]) -> "Code":
    """The code that ran; the commit is the one that MLflow noted. Raises `InvalidInput`, `OSError` and `ValueError`."""
    said = tags.get("pedigree.code")
    if not said:
        raise InvalidInput(
            "nothing says which code ran: set the tag pedigree.code, or PEDIGREE_CODE, to a path or a SHA-256",
            field="pedigree.code",
        )
    code: dict[str, Any] = dict(_object(said, "pedigree.code") if said.startswith("{") else code_of(said))
    commit = tags.get("mlflow.source.git.commit", "")
    if _COMMIT.fullmatch(commit):
        code.setdefault("commit", commit)
    return check_code(code)


def environment_said(tags: Mapping[str, str]) -> "Environment":
    """Where it ran; raises `InvalidInput`, `OSError` and `ValueError`."""
    said = tags.get("pedigree.environment")
    if not said:
        raise InvalidInput(
            "nothing says in which environment it ran: set the tag pedigree.environment, or PEDIGREE_ENVIRONMENT, to a "
            "lock file or a SHA-256",
            field="pedigree.environment",
        )
    return check_environment(_object(said, "pedigree.environment") if said.startswith("{") else _environment_at(said))


def _data(entry: str, role: str, where: str) -> Data:
    words = entry.split()
    if len(words) > 2 or not _is_data(words[0]) or not all(each.startswith("access-grant:") for each in words[1:]):
        raise InvalidInput(
            f"{where}: {entry.strip()[:120]!r} is not a data set version or a selection, with a grant where it needs "
            "one, such as 'dataset-version:wdbc:1' or 'selection:wdbc:1:train access-grant:wdbc-lab'",
            field="pedigree.use",
        )
    return Data(words[0], role, words[1] if len(words) == 2 else None)


def _logged(given: Any) -> Data | None:
    """What a data set that was logged is on the ledger."""
    entry = _reference(given)
    if entry is None:
        return None
    said = _tags_of(given)
    where = f"the data set {str(given.dataset.name)[:60]!r}"
    context = said.get("mlflow.data.context", "training")
    role = _CONTEXTS.get(context.lower())
    if role is None:
        raise InvalidInput(f"{where}: its context {context[:60]!r} is none of {', '.join(_CONTEXTS)}", field="context")
    bundle = said.get(BUNDLE)
    return replace(
        _data(entry, role, where), path=_copy(given.dataset), bundle=None if bundle is None else Path(bundle)
    )


def _reference(given: Any) -> str | None:
    said = _tags_of(given).get("pedigree.use")
    name = str(given.dataset.name)
    return said or (name if _is_data(name) else None)


def _is_data(text: str) -> bool:
    return text.startswith(("dataset-version:", "selection:"))


def _tags_of(given: Any) -> dict[str, str]:
    return {str(tag.key): str(tag.value) for tag in given.tags}


def _copy(dataset: Any) -> Path | None:
    """The file or folder on this machine that a data set came from, if it did."""
    try:
        place = json.loads(dataset.source)["uri"] if dataset.source_type == "local" else ""
        parts = urlsplit(place)
        path = Path(unquote(parts.path)) if parts.scheme == "file" else Path(place)
        return path if place and path.exists() else None
    except (ValueError, TypeError, KeyError, OSError):
        return None


def _object(text: str, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InvalidInput(f"the tag {what} is not a JSON object", field=what)
    return value


def _environment_at(place: str) -> "Environment":
    """The environment that a digest or a lock file names."""
    if _DIGEST.fullmatch(place):
        return {"digest": place}
    return {"digest": digest_file(place), "description": Path(place).name}


@functools.cache
def _environment() -> "Environment":
    return environment_of()

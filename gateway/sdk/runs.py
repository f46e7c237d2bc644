# SPDX-License-Identifier: Apache-2.0
"""A training run that records itself: what it read, ran with and measured."""

import hashlib
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from importlib.metadata import distributions
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from gateway.sdk.errors import InvalidInput
from gateway.sdk.files import digest_code
from gateway.sdk.folders import ignored_in_code
from gateway.sdk.rules import MOST_IGNORED

if TYPE_CHECKING:
    from gateway.sdk.transport import Recorded

Json = dict[str, Any]
Code = Path | str | Mapping[str, Any] | None


class Run:
    """Collects parameters and metrics while the block runs; nothing is recorded when the block raises."""

    def __init__(
        self,
        *,
        name: str,
        inputs: Sequence[Json],
        parents: Sequence[str],
        code: Json,
        environment: Json,
        parameters: Mapping[str, Any],
        note: str | None,
        save: "Callable[[Json], Recorded]",
    ) -> None:
        self.name = name
        self.recorded: Recorded | None = None
        """The committed record, once the block has ended."""
        self._inputs = list(inputs)
        self._parents = list(parents)
        self._code = code
        self._environment = environment
        self._parameters = {key: as_text(value) for key, value in parameters.items()}
        self._metrics: dict[str, str] = {}
        self._note = note
        self._save = save
        self._started = 0

    @property
    def reference(self) -> str:
        """How other records name this run."""
        return f"run:{self.name}"

    def log_parameter(self, name: str, value: Any) -> None:
        """Note a setting; it is kept as text."""
        self._parameters[name] = as_text(value)

    def log_parameters(self, values: Mapping[str, Any]) -> None:
        """Note several settings, such as `estimator.get_params()`."""
        for name, value in values.items():
            self.log_parameter(name, value)

    def log_metric(self, name: str, value: float | str | Decimal) -> None:
        """Note a measurement; it is kept as an exact decimal, so a float becomes the shortest text that equals it."""
        self._metrics[name] = as_decimal(value)

    def log_input(self, version: str, root: str, role: str = "train") -> None:
        """Note a data set version that was read, and the root found in the copy that was read."""
        self._inputs.append({"version": version, "root": root, "role": role})

    def __enter__(self) -> Self:
        self._started = _now()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.recorded = self._save(self._fields())

    def _fields(self) -> Json:
        fields: Json = {
            "code": self._code,
            "environment": self._environment,
            "started": self._started,
            "finished": _now(),
            "inputs": self._inputs,
            "parents": self._parents,
            "parameters": [{"name": name, "value": value} for name, value in sorted(self._parameters.items())],
            "metrics": [{"name": name, "value": value} for name, value in sorted(self._metrics.items())],
        }
        return fields if self._note is None else {**fields, "note": self._note}


def as_text(value: Any) -> str:
    """A setting as text; the ledger holds no empty text, so that is written out."""
    return str(value) or "(empty)"


def as_decimal(value: float | str | Decimal) -> str:
    """An exact decimal without exponent; raises `ValueError` for what is no finite number."""
    number = Decimal(repr(value) if isinstance(value, float) else str(value))
    if not number.is_finite():
        raise ValueError(f"{value} is not a finite number")
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def code_of(code: Code, ignored: Sequence[str] = ()) -> Json:
    """What a run records of its code; of a folder, also what its digest leaves out: `CODE_NAMES` and `ignored`."""
    if isinstance(code, Mapping):
        return dict(code)
    if isinstance(code, Path):
        left_out = ignored_in_code(ignored) if code.is_dir() else []
        if len(left_out) > MOST_IGNORED:
            raise InvalidInput(
                f"at most {MOST_IGNORED} names can be ignored, with those that always are", field="ignored"
            )
        digest = digest_code(code, left_out)
        return {"digest": digest, "ignored": left_out} if left_out else {"digest": digest}
    if isinstance(code, str):
        return {"digest": code}
    raise ValueError("say which code ran: a path, a SHA-256, or digest with repository and commit")


def environment_of() -> Json:
    """Digest and description of the interpreter and the installed packages."""
    packages = sorted({f"{found.metadata['Name']}=={found.version}" for found in distributions()})
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    listing = "\n".join([python, *packages]).encode()
    return {"digest": hashlib.sha256(listing).hexdigest(), "description": f"{python}, {len(packages)} packages"}


def _now() -> int:
    return time.time_ns() // 1_000_000

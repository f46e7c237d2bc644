# SPDX-License-Identifier: Apache-2.0
"""What MLflow loads: a run context provider, with which a training that logs with MLflow records itself.

It does something where the environment says which gateway (`PEDIGREE_URL`, with `PEDIGREE_KEY` or `PEDIGREE_KEY_FILE`).
Then a run gets tags when it starts, and is recorded when it ends. Nothing that fails in here reaches the training: it
is one line of the logger `pedigree`, and the tag `pedigree.error`.
"""

import functools
import logging
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from pedigree.client import Pedigree
from pedigree.errors import InvalidInput
from pedigree.mlflowruns.attempts import failed, record_tracked
from pedigree.mlflowruns.tags import tags_at_start

PATIENCE_S: Final = 20.0
"""Seconds for each call of the gateway, where `PEDIGREE_TIMEOUT` says nothing else: a training waits for it."""
_log = logging.getLogger("pedigree")
_watching = threading.Lock()


class RunContext:
    """A run context provider (`mlflow.tracking.context.abstract_context.RunContextProvider`).

    MLflow asks it for tags when a run starts. That is also when the ends of runs begin to be noticed, so that a program
    which only imports MLflow finds it as it was.
    """

    def in_context(self) -> bool:
        """Whether the environment says which gateway."""
        if not os.environ.get("PEDIGREE_URL"):
            return False
        watch_ends()
        return True

    def tags(self) -> dict[str, str]:
        """What is known of a run when it starts."""
        return tags_at_start(os.environ)


def watch_ends() -> None:
    """Let the end of every run of this process be noticed, each once, however often this is asked for."""
    from mlflow import MlflowClient

    with _watching:
        ended: Any = MlflowClient.set_terminated
        if not hasattr(ended, "records_runs"):
            MlflowClient.set_terminated = _recording(ended)


def _recording(ended: Callable[..., None]) -> Callable[..., None]:
    """MLflow's own method for the end of a run, and after it the recording."""

    @functools.wraps(ended)
    def set_terminated(client: Any, run_id: str, *given: Any, **named: Any) -> None:
        ended(client, run_id, *given, **named)
        if os.environ.get("PEDIGREE_URL"):
            (_record_apart if _is_ending() else record_ended)(client, run_id)

    set_terminated.records_runs = True  # type: ignore[attr-defined]
    return set_terminated


def record_ended(client: Any, run_id: str) -> None:
    """Record a run that has ended, or say in a line and in a tag why it is not recorded.

    Args:
        client: an `mlflow.MlflowClient`, which has no types here.
    """
    try:
        with connect(os.environ) as lab:
            attempt = record_tracked(lab, client, run_id)
    except Exception as exc:
        attempt = failed(client, run_id, exc)
    if attempt.reason is not None:
        _log.warning("%s", attempt)


def _is_ending() -> bool:
    """Whether Python is at its end, when MLflow ends a run that nobody has ended."""
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(int)
    except RuntimeError:
        return True
    return False


def _record_apart(client: Any, run_id: str) -> None:
    """Record a run in another process, which this one waits for."""
    command = [sys.executable, "-m", "pedigree.mlflowruns", client.tracking_uri, run_id]
    try:
        subprocess.run(command, check=True)  # noqa: S603 - our own program
    except (OSError, subprocess.SubprocessError) as exc:
        _log.warning("%s", failed(client, run_id, exc))


def connect(variables: Mapping[str, str]) -> Pedigree:
    """A client of the gateway that variables name as they do for the command; raises `InvalidInput` and `OSError`."""
    key, file = variables.get("PEDIGREE_KEY"), variables.get("PEDIGREE_KEY_FILE")
    if not key and file:
        key = Path(file).read_text(encoding="utf-8").strip()
    certificate = variables.get("PEDIGREE_CLIENT_CERTIFICATE") or None
    if not key and certificate is None:
        raise InvalidInput("PEDIGREE_URL is set, and neither PEDIGREE_KEY_FILE nor PEDIGREE_KEY", field="PEDIGREE_KEY")
    try:
        patience = float(variables.get("PEDIGREE_TIMEOUT") or PATIENCE_S)
    except ValueError:
        patience = 0.0
    if not 0 < patience < math.inf:
        raise InvalidInput("PEDIGREE_TIMEOUT is not a number of seconds above 0", field="PEDIGREE_TIMEOUT")
    authorities = variables.get("PEDIGREE_CA_CERTIFICATE") or None
    return Pedigree(
        variables["PEDIGREE_URL"],
        key or None,
        timeout=patience,
        ca_certificate=authorities,
        client_certificate=certificate,
        client_key=variables.get("PEDIGREE_CLIENT_KEY") or None,
    )

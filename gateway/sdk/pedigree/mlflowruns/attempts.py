# SPDX-License-Identifier: Apache-2.0
"""Recording an MLflow run without ever raising: what came of it is answered, and is in the run's tags."""

import logging
from typing import Any, Final, NamedTuple

from pedigree.client import Pedigree
from pedigree.fields import escaped
from pedigree.mlflowruns.recording import NotForTheLedger, Recording

_LONGEST_TAG: Final = 1_000
_log = logging.getLogger("pedigree")


class Attempt(NamedTuple):
    """What came of recording a run."""

    run_id: str
    reference: str | None
    """The run on the ledger, where it is there."""
    reason: str | None = None
    """Why it is not there, or not all of it, in one line."""
    error: Exception | None = None
    """What was in the way; None for a run that is not for the ledger."""

    def __str__(self) -> str:
        said = f"the MLflow run {escaped(self.run_id)} is "
        if self.reference is None:
            return f"{said}not recorded: {self.reason}"
        return f"{said}recorded as {self.reference}" + (f", and not its model: {self.reason}" if self.reason else "")


def record_tracked(lab: Pedigree, client: Any, run_id: str) -> Attempt:
    """Record a run of a tracking store, if it is not recorded already.

    Args:
        client: an `mlflow.MlflowClient`, which has no types here.
    """
    recording: Recording | None = None
    try:
        recording = Recording(lab, client, run_id)
        if not recording.is_done:
            recording.record()
        return Attempt(run_id, f"run:{recording.name}")
    except NotForTheLedger as reason:
        said = escaped(str(reason))
        tag(client, run_id, "pedigree.skipped", said)
        return Attempt(run_id, None, said)
    except Exception as exc:
        return failed(client, run_id, exc, None if recording is None else recording.reference)


def failed(client: Any, run_id: str, error: Exception, reference: str | None = None) -> Attempt:
    """Note what was in the way in the run's tags."""
    said = escaped(str(error) or type(error).__name__, _LONGEST_TAG)
    tag(client, run_id, "pedigree.error", said)
    return Attempt(run_id, reference, said, error)


def tag(client: Any, run_id: str, name: str, text: str) -> None:
    """Tag a run; where that fails, it is warned of."""
    try:
        client.set_tag(run_id, name, text)
    except Exception as exc:
        _log.warning("the MLflow run %s cannot be given the tag %s: %s", escaped(run_id), name, escaped(str(exc)))

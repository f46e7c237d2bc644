# SPDX-License-Identifier: Apache-2.0
"""Three organisations with their gateways, ready to record, for as long as a measurement takes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.demo.consortium import Consortium
from gateway.demo.founding import found


@contextmanager
def founded(kind: str) -> Iterator[Consortium]:
    """A consortium on a fresh ledger of `kind` with its policy in force, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="pedigree-bench-") as directory:
        consortium = Consortium(Path(directory), kind, any_port=True)
        try:
            consortium.start()
            found(consortium)
            yield consortium
        finally:
            consortium.stop()


def lab_headers(consortium: Consortium) -> dict[str, str]:
    """What a request to the lab's gateway must carry; after the lab's first `client`, which makes the key."""
    key = (consortium.directory / "gateways" / "lab" / "demo.key").read_text(encoding="utf-8")
    return {"Authorization": f"Bearer {key.strip()}"}

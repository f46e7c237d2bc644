# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a gateway around its reminders: after the restart none is repeated, and none is missing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from reliability.conftest import LoneGateway

    from gateway.demo.consortium import Consortium

pytestmark = [pytest.mark.timeout(300)]


def test_a_restart_repeats_and_loses_no_reminder(
    consortium: Consortium, new_gateway: Callable[..., LoneGateway], prefix: str, tmp_path: Path
) -> None:
    hospital = new_gateway(consortium, "hospital").start()
    with consortium.client("lab") as lab:

        def submit(name: str) -> str:
            lab.register_model(name, title="A model")
            (files := tmp_path / name).mkdir()
            (files / "weights.json").write_text(name)
            lab.record_model_version(name, files, number=1, licence="Apache-2.0")
            lab.submit(f"model-version:{name}:1")
            return f"model-version:{name}:1"

        def reminded() -> list[Any]:
            with hospital.client() as client:
                items: list[Any] = list(client.reminders(about="awaits-endorsement")["items"])
            return [each for each in items if prefix in each["artifact"]]

        def until(wanted: set[str]) -> list[Any]:
            deadline = time.monotonic() + 60
            while True:
                found = reminded()
                if {each["artifact"] for each in found} == wanted:
                    return found
                assert time.monotonic() < deadline, f"{found} are not {wanted}"
                time.sleep(0.2)

        first = {submit(f"{prefix}-a"), submit(f"{prefix}-b")}
        before = until(first)
        hospital.kill()
        third = submit(f"{prefix}-c")
        hospital.start()
        after = until({*first, third})
        assert after[:2] == before
        hospital.kill()
        hospital.start()
        assert until({*first, third}) == after
    said = hospital.log()
    assert [said.count(f"{each['artifact']} of LabMSP awaits") for each in after] == [1, 1, 1]

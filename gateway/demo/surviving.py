# SPDX-License-Identifier: Apache-2.0
"""Step 10: everything is killed, evidence holds while nothing runs, and all that was there is there again."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.demo import offline
from gateway.demo.consortium import ORGANISATIONS, listens
from gateway.demo.stage import Stage
from gateway.demo.telling import expect


def survive(stage: Stage) -> None:
    """Kill every process without warning, check offline what was kept, start again, and ask the same questions."""
    stage.clients["regulator"].at_least(stage.clients["lab"].ledger()["height"])
    before = _questions(stage)
    evidence = stage.clients["regulator"].transaction_evidence(stage.answers["approval"])
    genesis_hash = stage.clients["regulator"].ledger()["genesis_hash"]
    if not stage.consortium.shared:  # there the operators agree on whose logs to believe
        _keep_receipt(stage)
    stage.close()
    stage.consortium.kill()
    expect(not any(_answers(stage.consortium.url(name)) for name in ORGANISATIONS), "a gateway still answers")
    stage.telling.note("every process of the three organisations has been killed")
    for found in offline.check(evidence, genesis_hash, stage.names.version):
        stage.telling.note(found)
    if not stage.consortium.shared:
        offline.check_receipt(stage.telling, _receipts(stage), stage.answers["approval"])
    _start_again(stage, before)


def _keep_receipt(stage: Stage) -> None:
    """Have the regulator keep a receipt of the approval, and the policy that says whose word is enough."""
    regulator, folder = stage.clients["regulator"], _receipts(stage)
    (folder / offline.RECEIPT).write_bytes(regulator.receipt(stage.answers["approval"]))
    (folder / offline.POLICY).write_bytes(regulator.log_policy())


def _receipts(stage: Stage) -> Path:
    folder = stage.files / "regulator"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _answers(url: str) -> bool:
    return listens(urlsplit(url).port or 0)


def _start_again(stage: Stage, before: dict[str, Any]) -> None:
    started = time.monotonic()
    stage.consortium.start()
    stage.telling.note(f"the consortium is up again after {time.monotonic() - started:.1f} s")
    stage.connect()
    for client in stage.clients.values():
        client.at_least(before["height"])
    after = _questions(stage)
    expect(after["answers"] == before["answers"], "the answers differ after the restart")
    expect(after["height"] >= before["height"], "the ledger is shorter after the restart")
    if stage.consortium.ledger == "embedded":
        stage.telling.note(stage.consortium.fsck().strip().splitlines()[-1])
    stage.telling.note("the same questions are answered in the same words")


def _questions(stage: Stage) -> dict[str, Any]:
    """What is asked before the crash and after it; where others write too, the height of an answer may grow."""
    regulator = stage.clients["regulator"]
    answers = {
        "stage": regulator.artifact(stage.names.version),
        "upstream": regulator.lineage(stage.names.version, direction="up"),
        "downstream": regulator.lineage(f"dataset:{stage.names.dataset}", direction="down"),
        "version": {**regulator.dataset_version(stage.names.dataset, 1), "height": None},
        "model": {**regulator.model_version(stage.names.model, 1), "height": None},
    }
    return {"answers": json.loads(json.dumps(answers)), "height": regulator.ledger()["height"]}

# SPDX-License-Identifier: Apache-2.0
"""A verifier in JavaScript, written from docs/receipts.md alone, accepts and refuses what ours does."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fabricharness import node
from receiptvectors import FILE

RUN = Path(__file__).parent / "receipts" / "run.js"
VECTORS: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def said() -> Any:
    """What it says of every vector; skips, where nobody overlooks it, without Node."""
    problem = node.missing()
    if problem is not None:
        said = f"NOT RUN: the second verifier was not compared with ours, because {problem}"
        print(f"\n{'!' * 20} {said} {'!' * 20}", file=sys.__stderr__)
        pytest.skip(said)
    done = subprocess.run(["node", str(RUN), str(FILE)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def expected(kind: str, vector: dict[str, Any]) -> Any:
    """What the vector says is right; None where it is to be refused."""
    match kind:
        case "notes":
            return vector["signed_by"]
        case "policies" if "satisfied" in vector:
            return [[True] * len(vector["satisfied"]), [False] * len(vector["unsatisfied"])]
        case "policies":
            return None
        case _:
            return vector.get("accepted")


@pytest.mark.parametrize(
    ("kind", "vector"),
    [
        pytest.param(kind, vector, id=f"{kind}: {vector['name']}")
        for kind in ("notes", "policies", "receipts", "records")
        for vector in VECTORS[kind]
    ],
)
def test_it_decides_as_ours_does(said: Any, kind: str, vector: dict[str, Any]) -> None:
    found, right = said[kind][vector["name"]], expected(kind, vector)
    if right is None:
        assert found.get("refused"), f"it accepts what ours refuses: {vector.get('refused')}"
    else:
        assert found == {"answer": right}


def test_it_uses_nothing_but_node() -> None:
    for path in sorted(RUN.parent.glob("*.js")):
        required = [
            line.split("require(")[1] for line in path.read_text(encoding="utf-8").splitlines() if "require(" in line
        ]
        assert required
        assert all(each.startswith(("'node:", "'./")) for each in required)

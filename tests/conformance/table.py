# SPDX-License-Identifier: Apache-2.0
"""Writes docs/conformance.md from the outcomes of the last run on each ledger: `make conformance-table`."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from cases import CASES, LEFT_OUT
from fabricharness.outcomes import file_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
LEDGERS = {"embedded": "embedded", "fabric": "Fabric, processes", "containers": "Fabric, containers"}
HEAD = """# Conformance

How the embedded network and Hyperledger Fabric 3.1.5, as local processes and in containers, answer the same cases
through the same client, chaincode and assertions. `make conformance`, `make conformance LEDGER=fabric` and
`make conformance LEDGER=containers` run them; `make conformance-table` writes this page from their outcomes. A case
passes when its assertions hold: "passed" in all columns means the same behaviour.

Fabric is three orderers and three peers. In containers it is the consortium of `make network-up`, with CAs, chaincodes
and gateways, and with mutual TLS on every connection of the ledger, that between peers and chaincode among them. The
cases' own chaincode runs beside the containers on the host, because cases end it and start it again. The run on
containers is made by hand and not in continuous integration.

"""
DELIBERATE = """
## Deliberate differences

These do not show in the table: the suite switches the first off (`idle_cut` 0), and no case is about the others.

| what | embedded network | Fabric |
|---|---|---|
| an idle queue | a block is cut 20 ms after the last message (`idle_cut`) | the batch timeout is waited for |
| a revocation list without an authority key identifier | refused | taken, and then no one is admitted any more |
| a chaincode that has died | tried again until the caller's deadline | refused at once |

And one that the suite takes care of: on Fabric a stream of chaincode events whose client has left keeps its place, of
which a peer has 500, until the next event of that chaincode; the embedded network gives it back at once.
"""


def outcome(found: dict[str, dict[str, str]], case: str) -> str:
    """A case's cell."""
    if case not in found:
        return "not run"
    return found[case]["outcome"]


def row(found: dict[str, dict[str, dict[str, str]]], case: str) -> str:
    """A case's line; where the ledgers differ it says why."""
    cells = [outcome(found[ledger], case) for ledger in LEDGERS]
    reasons = {found[ledger].get(case, {}).get("reason", "") for ledger in LEDGERS} - {""}
    difference = "; ".join(sorted(reasons)) or "see the log of the run" if len(set(cells)) > 1 else ""
    return f"| {case} | {CASES[case]} | {' | '.join(cells)} | {difference} |"


def main() -> None:
    """Write the page; refuses to write one from some of the runs."""
    missing = [ledger for ledger in LEDGERS if not file_of(ledger).exists()]
    if missing:
        sys.exit(f"run the suite first: make conformance LEDGER={missing[0]}")
    found = {ledger: json.loads(file_of(ledger).read_text(encoding="utf-8")) for ledger in LEDGERS}
    cases = [case for case in CASES if case not in LEFT_OUT]
    lines = [row(found, case) for case in cases]
    alike = sum(len({outcome(found[ledger], case) for ledger in LEDGERS}) == 1 for case in cases)
    columns = ["case", "name", *LEDGERS.values(), "difference"]
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    table = head + "\n".join(lines) + "\n"
    summary = f"{alike} cases end alike on all three; {len(cases) - alike} differ, and say why.\n\n"
    left_out = "\n## Left out\n\n| case | name | why |\n|---|---|---|\n" + "\n".join(
        f"| {case} | {CASES[case]} | {reason} |" for case, reason in LEFT_OUT.items()
    )
    PAGE.write_text(HEAD + summary + table + DELIBERATE + left_out + "\n", encoding="utf-8")
    print(f"{PAGE.relative_to(PAGE.parents[1])}: {summary.strip()}")


if __name__ == "__main__":
    main()

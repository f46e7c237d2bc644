# SPDX-License-Identifier: Apache-2.0
"""What the ledger shows of an evaluation that criteria judged: their order, whose word the rest is, and the verdict."""

from typing import Any

import click

from gateway.cli.console import Json, plain


def order_of(pedigree: Any, evaluation: Json) -> Json:
    """Where criteria, runs and evaluation stand, and whether the criteria stand below all of the others.

    Args:
        evaluation: what `artifact` answers of an evaluation that names criteria.
    """
    record = evaluation["record"]
    criteria = pedigree.criteria(record["criteria"])
    runs = [pedigree.get_run(name) for name in record["runs"]]
    above = [*runs, evaluation]
    return {
        "criteria": _place(f"criteria:{record['criteria']}", criteria),
        "runs": [_place(f"run:{run['record']['run']}", run) for run in runs],
        "evaluation": _place(f"evaluation:{record['evaluation']}", evaluation),
        "in_order": all(_block(criteria) is not None and _block(criteria) < (_block(each) or 0) for each in above),
    }


def print_order(order: Json) -> None:
    """Print it as sentences."""
    criteria, runs, evaluation = order["criteria"], order["runs"], order["evaluation"]
    above = " and ".join(f"{each['reference']} (block {each['block']})" for each in (*runs, evaluation))
    said = f"{criteria['reference']} is in block {criteria['block']}"
    if order["in_order"]:
        lines = [f"Shown: {said}, below {above}; it was never changed, and the ledger's rule computed the verdict."]
    else:
        lines = [f"NOT shown: that the criteria came first. {said}, which is not below each of {above}."]
    trainers = ", ".join(dict.fromkeys(each["owner"] for each in runs))
    lines.append(f"Said by {trainers}: when the training began. Said by {evaluation['owner']}: what was measured.")
    click.echo()
    for line in lines:
        click.echo(plain(line))


def _place(reference: str, entry: Json) -> Json:
    return {"reference": reference, "owner": entry["record"]["owner"], "block": _block(entry)}


def _block(entry: Json) -> Any:
    """The block of a record; None where this gateway has not read it yet."""
    return entry.get("transaction", {}).get("block")

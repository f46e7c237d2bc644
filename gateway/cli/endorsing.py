# SPDX-License-Identifier: Apache-2.0
"""`pedigree artifact` and `pedigree inbox`: how far an artifact has come, and what awaits an organisation."""

from functools import partial
from typing import Any

import click

from gateway.cli.console import Json, fields, plain, show, table
from gateway.cli.options import using_gateway
from gateway.cli.verbs import CURSOR, LIMIT, filtered, gather, print_list

_SHOWN = ("endorsed_by", "rejected_by", "missing", "may_endorse")


@click.command()
@click.argument("reference")
@using_gateway
def artifact(pedigree: Any, reference: str, as_json: bool) -> None:
    """Show where an artifact stands and who vouches."""
    answer = pedigree.artifact(reference)

    def render() -> None:
        click.echo(f"{reference} is {answer['stage']}{', quorum lost' if answer.get('quorum_lost') else ''}")
        if answer["status"] is not None:
            said = {name: answer["status"][name] for name in _SHOWN}
            evaluation = _evaluation(answer["status"])
            fields(said | ({"evaluation": evaluation} if evaluation else {}))
        for word, said in (("endorsed", answer["endorsements"]), ("rejected", answer["rejections"])):
            for each in said:
                click.echo(plain(_vouched(word, each["record"])))
        for claim in (each["record"] for each in answer.get("counter_claims", ())):
            click.echo(plain(_of_claim(claim)))

    show(answer, as_json, render)


def _vouched(word: str, record: Json) -> str:
    """Who said something of an artifact, for which stage and when, and by whose certificate, on one line."""
    from chaincode.domain.values import Instant
    from gateway.services.wording import time_of

    person = f" of {_person(record['chain'][0]['der'])}" if "chain" in record else " of its gateway"
    signed = ", ".join(f"{each.get('keyid', 'unknown')}" for each in record["envelope"]["signatures"])
    ended = f", and withdrew that on {time_of(Instant(record['withdrawn_at']))}" if "withdrawn_at" in record else ""
    when = time_of(Instant(record["at"]))
    return f"{record['by']} {word} it for {record['stage']} on {when}, by certificate {signed}{person}{ended}"


def _person(der: str) -> str:
    """Whose a certificate is, by its own words; what cannot be read is said to be so."""
    from gateway.fabric.certificates import load_certificate
    from gateway.fabric.errors import MalformedData

    pem = f"-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n".encode()
    try:
        return load_certificate(pem, "the signer's certificate").name
    except MalformedData:
        return "a certificate that cannot be read"


@click.command()
@filtered("getInbox")
@LIMIT
@CURSOR
@using_gateway
def inbox(pedigree: Any, limit: int, cursor: str | None, as_json: bool, **filters: Any) -> None:
    """List what awaits your organisation's endorsement."""
    answer = gather(partial(pedigree.inbox, **filters), limit, cursor)

    def render() -> None:
        nothing = f"Nothing awaits {answer['organisation']}'s endorsement."
        if any(value is not None for value in filters.values()):
            nothing = f"Nothing of that awaits {answer['organisation']}'s endorsement."
        shown = [{**each, **_of_item(each)} for each in answer["items"]]
        names = ("for", "quorum", "claims", "evaluation", "stopped above")
        optional = [name for name in names if any(each[name] for each in shown)]
        columns = ("artifact", "owner", "since", *optional)
        print_list(shown, answer["next"], *columns, counted=answer, nothing=nothing)
        if claims := answer.get("claims"):
            click.echo("\nCounter-claims that await your answer:")
            table(claims, "artifact", "by", "against", "reason")
        if due := answer.get("must_stop"):
            click.echo(f"\n{click.style('Must stop', fg='red')}: their model has lost the quorum of its approval.")
            table(due, "deployment", "version")
        if answer.get("must_stop_complete") is False:
            click.echo("Not all running deployments were looked at.")

    show(answer, as_json, render)


def _of_claim(claim: Json) -> str:
    """A counter-claim as one line."""
    what = "it" if claim.get("against") is None else f"the endorsement by {claim['against']}"
    answered = f"; answered: {claim['answer']}" if "answer" in claim else ""
    state = "withdrawn" if "withdrawn_at" in claim else "open"
    return f"{state} counter-claim by {claim['by']} against {what}: {claim['reason']}{answered}"


def _of_item(item: Json) -> Json:
    """What a list says of an item beside its members; a column that says nothing of any item is left out."""
    from chaincode.domain.values import Instant
    from gateway.services.wording import time_of

    stage, ends = item.get("status", {}).get("for_stage", "approved"), item.get("ends_at")
    quorum = "" if ends is None else f"ends {time_of(Instant(ends))}"
    return {
        "claims": ", ".join(item.get("open_claims", ())),
        "for": "" if stage == "approved" else stage,
        "quorum": "lost" if item.get("quorum_lost") else quorum,
        "evaluation": _evaluation(item.get("status", {})),
        "stopped above": _stopped_above(item),
    }


def _evaluation(status: Json) -> str:
    """The evaluation that a submission names, and whether one is missing that the policy asks for."""
    named = status.get("evaluation", "")
    if status.get("assessed") is False:
        return f"{named} does not serve" if named else "missing"
    return str(named)


def _stopped_above(item: Json) -> str:
    """What taints an artifact that awaits a word: the nearest of what is stopped above it, and why."""
    found = [f"{taint['path'][-1]} ({taint['cause']})" for taint in item.get("tainted_by", ())]
    return "" if not found else found[0] + (f" and {len(found) - 1} more" if found[1:] else "")

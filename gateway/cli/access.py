# SPDX-License-Identifier: Apache-2.0
"""`pedigree access`: verbs that take durations and keys, look for grants that are over, or end as a decision does."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from gateway.api.operations import ACCESS_ACTIONS, READ_FROM
from gateway.cli.answers import found, outcome_of, recorded, render_outcome
from gateway.cli.console import Json, plain, show
from gateway.cli.exits import Exit
from gateway.cli.options import IDEMPOTENCY_KEY, using_gateway

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION: Final = re.compile(r"([0-9]{1,9})([smhd])")

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


class Duration(click.ParamType[int]):
    """A duration such as 30d, 12h, 90m or 45s, as whole seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        if isinstance(value, int):
            return value
        given = _DURATION.fullmatch(value)
        if given is None or given[1].strip("0") == "":
            self.fail(f"{value!r} is not a duration such as 30d, 12h, 90m or 45s", param, ctx)
        return int(given[1]) * _UNITS[given[2]]


class Moment(click.ParamType[int]):
    """An instant of RFC 3339, or a date, as milliseconds since 1970."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        from gateway.services.filters import instant_of

        if isinstance(value, int):
            return value
        try:
            return instant_of(value)
        except ValueError as exc:
            self.fail(f"{value!r}: {exc}", param, ctx)


def _public_key(_context: click.Context, _option: click.Parameter, path: Path | None) -> str | None:
    """The public key in a file, a certificate included: the DER of its SubjectPublicKeyInfo, in base64."""
    if path is None:
        return None
    from base64 import b64encode

    from gateway.identities.publickeys import public_key_in

    try:
        return b64encode(public_key_in(path.read_bytes())).decode()
    except ValueError:
        raise click.BadParameter(f"{path} holds neither a certificate nor a public key, in PEM or DER") from None


_PURPOSE: Final = click.option("--purpose", help="What for: a purpose's name or IRI.")
_ACTION: Final = click.option(
    "--action",
    "actions",
    multiple=True,
    type=click.Choice(ACCESS_ACTIONS),
    help="May be repeated; anonymise is to derive from it what is less sensitive.",
)
_TIME: Final[tuple[Decorator, ...]] = (
    click.option("--for", "duration", type=Duration(), help="How long, from now or from its beginning: 30d, 12h."),
    click.option("--until", "expires", type=Moment(), help="When it ends, instead: RFC 3339, or a date."),
    click.option("--from", "not_before", type=Moment(), help="When it begins; now by default."),
)
_USES: Final = click.option("--uses", type=click.IntRange(0, 1_000), help="How often; as often as it runs by default.")
_RECIPIENT: Final = click.option("--recipient", help="Who of the organisation it is for, by an id that says no name.")
_KEY: Final = click.option(
    "--recipient-key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    callback=_public_key,
    help="File with the recipient's public key (P-256) or certificate, to which the data's key is wrapped.",
)


def _all(*decorators: Decorator) -> Decorator:
    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        for each in reversed(decorators):
            function = each(function)
        return function

    return decorate


def _now() -> int:
    return time.time_ns() // 1_000_000


def _timed(duration: int | None, expires: int | None, not_before: int | None) -> Json:
    """When it begins and ends, where that is said."""
    if duration is not None:
        if expires is not None:
            raise click.UsageError("--for and --until say the same; give one of them", click.get_current_context())
        expires = (_now() if not_before is None else not_before) + 1_000 * duration
    return _said(expires=expires, not_before=not_before)


def _said(**fields: Any) -> Json:
    """The fields that are given."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items() if value not in
            (None, ())}  # fmt: skip


@click.command()
@click.argument("name")
@click.argument("number", type=click.IntRange(1), required=False)
@click.option("--purpose", "purposes", multiple=True, help="A purpose's name or IRI; may be repeated.")
@_ACTION
@click.option("--longest", type=Duration(), help="How long a grant may run: 30d, 12h, 90m or 45s.")
@click.option("--most-uses", type=click.IntRange(0, 1_000), help="How often a grant may be used; any by default.")
@click.option("--organisation", "organisations", multiple=True, help="Who may ask, by MSP id; every member by default.")
@click.option("--role", "roles", multiple=True, help="Members with this role may ask; may be repeated.")
@click.option("--approver", "approvers", multiple=True, help="Who must approve a request first, by MSP id.")
@click.option("--conditions", help="Conditions, in words that the ledger keeps.")
@click.option("--conditions-digest", help="SHA-256 of a document with the conditions.")
@click.option("--from", "source", type=click.Choice(READ_FROM.choices), help=READ_FROM.meaning)
@IDEMPOTENCY_KEY
@using_gateway
def access_policy(
    pedigree: Any, name: str, number: int | None, source: str | None, idempotency_key: str | None, as_json: bool,
    **said: Any,
) -> None:  # fmt: skip
    """Set a data set's access policy, or show one.

    With options, a version of the policy of your data set NAME is set; without any, the one in force is shown, or
    version NUMBER.
    """
    given = _said(**said)
    if not given:
        if number is None:
            number = _in_force(pedigree, name)
        found(pedigree.access_policy(name, number, source=source), as_json)
        return
    for needed in ("purposes", "actions", "longest"):
        if needed not in given:
            option = needed if needed == "longest" else needed[:-1]
            raise click.UsageError(f"Missing --{option}: a policy says it.", click.get_current_context())
    number_given = {} if number is None else {"number": number}
    recorded(pedigree.set_access_policy(name, idempotency_key=idempotency_key, **given, **number_given), as_json)


def _in_force(pedigree: Any, name: str) -> int:
    """The number of the access policy in force; 1 where there is none, which is then not found."""
    items = pedigree.access_offers(name=name, limit=100)["items"]
    return next((item["record"]["number"] for item in items if item["record"]["dataset"] == name), 1)


@click.command()
@click.argument("name")
@click.argument("artifact", metavar="REFERENCE")
@_PURPOSE
@_ACTION
@_all(*_TIME)
@_USES
@_RECIPIENT
@_KEY
@click.option("--justification", help="Why, in words that the ledger keeps.")
@IDEMPOTENCY_KEY
@using_gateway
def access_request(
    pedigree: Any, name: str, artifact: str, duration: int | None, expires: int | None, not_before: int | None,
    idempotency_key: str | None, as_json: bool, **said: Any,
) -> None:  # fmt: skip
    """Ask for access to another organisation's data.

    REFERENCE is a data set version or a selection, such as dataset-version:wdbc:1. Where the data set has an access
    policy, the request keeps to it.
    """
    given = {**_said(**said), **_timed(duration, expires, not_before)}
    for needed, option in (("purpose", "--purpose"), ("actions", "--action"), ("expires", "--for")):
        if needed not in given:
            raise click.UsageError(f"Missing {option}: a request says it.", click.get_current_context())
    recorded(pedigree.request_access(name, artifact=artifact, idempotency_key=idempotency_key, **given), as_json)


@click.command()
@click.argument("name")
@click.option("--request", help="The request that it answers: what you do not say otherwise is as asked for.")
@click.option("--to", "grantee", help="To whom, by MSP id.")
@click.option("--artifact", metavar="REFERENCE", help="Which data: a data set version or a selection.")
@_PURPOSE
@_ACTION
@_all(*_TIME)
@_USES
@_RECIPIENT
@_KEY
@click.option("--emergency", help="Why it cannot wait for those who must approve; a third member reviews it later.")
@click.option(
    "--batched",
    is_flag=True,
    default=None,
    help="Your gateway decides small reads by itself, and commits to lists of them; for downloads without --uses.",
)
@IDEMPOTENCY_KEY
@using_gateway
def access_grant(
    pedigree: Any, name: str, duration: int | None, expires: int | None, not_before: int | None,
    idempotency_key: str | None, as_json: bool, **said: Any,
) -> None:  # fmt: skip
    """Give another organisation access to your data.

    For a request, or directly: then say to whom, to what, for what and for how long.
    """
    given = {**_said(**said), **_timed(duration, expires, not_before)}
    recorded(pedigree.grant_access(name, idempotency_key=idempotency_key, **given), as_json)


@click.command()
@click.argument("old")
@click.argument("name")
@_all(*_TIME)
@_USES
@_RECIPIENT
@_KEY
@click.option("--request", help="A request that it answers too; needed where others must approve.")
@IDEMPOTENCY_KEY
@using_gateway
def access_renew(
    pedigree: Any, old: str, name: str, duration: int | None, expires: int | None, not_before: int | None,
    idempotency_key: str | None, as_json: bool, **said: Any,
) -> None:  # fmt: skip
    """Renew a grant for another time.

    NAME follows OLD, and has its terms where you do not say otherwise.
    """
    timed = _timed(duration, expires, not_before)
    if "expires" not in timed and said["request"] is None:
        raise click.UsageError("Missing --for or --until: a renewal says until when.", click.get_current_context())
    given = {**_said(**said), **timed}
    recorded(pedigree.grant_access(name, renews=old, idempotency_key=idempotency_key, **given), as_json)


@click.command()
@click.argument("grant")
@click.option("--justified/--not-justified", required=True, help="Whether the emergency was one.")
@click.option("--note", required=True, help="What you found, in words that the ledger keeps.")
@IDEMPOTENCY_KEY
@using_gateway
def access_review(
    pedigree: Any, grant: str, justified: bool, note: str, idempotency_key: str | None, as_json: bool
) -> None:
    """Say whether an emergency was one."""
    outcome = pedigree.review_access(grant, justified=justified, note=note, idempotency_key=idempotency_key)
    recorded(outcome, as_json)


@click.command()
@click.argument("grant")
@click.argument("artifact", metavar="REFERENCE")
@click.option("--action", required=True, type=click.Choice(ACCESS_ACTIONS), help="What you want to do.")
@click.option("--purpose", required=True, help="What for: a purpose's name or IRI.")
@_RECIPIENT
@IDEMPOTENCY_KEY
@using_gateway
def access_attempt(
    pedigree: Any, grant: str, artifact: str, idempotency_key: str | None, as_json: bool, **said: Any
) -> None:
    """Ask to use data under a grant, now.

    The decision is recorded, allowed or denied; where it is denied, the exit code says so.
    """
    outcome = pedigree.attempt_access(grant=grant, artifact=artifact, idempotency_key=idempotency_key, **_said(**said))

    def render() -> None:
        render_outcome(outcome)
        record = outcome.record
        click.echo(plain(record["decision"] if "reason" not in record else f"denied: {record['reason']}"))

    show(outcome_of(outcome), as_json, render)
    if outcome.record["decision"] == "denied":
        raise SystemExit(Exit.REFUSED)


@click.command()
@click.argument("grant", required=False)
@IDEMPOTENCY_KEY
@using_gateway
def access_expire(pedigree: Any, grant: str | None, idempotency_key: str | None, as_json: bool) -> None:
    """Write that a grant of yours is over.

    Without GRANT: every one whose time has passed and of which that is not written yet. A grant is over by its time
    whether that is written or not.
    """
    if grant is not None:
        recorded(pedigree.expire_access(grant, idempotency_key=idempotency_key), as_json)
        return
    own = pedigree.ledger()["organisation"]
    written = [pedigree.expire_access(name).record for name in _over(pedigree, own)]

    def render() -> None:
        for record in written:
            click.echo(plain(f"{record['grant']} is over, and that is written now"))
        if not written:
            click.echo("None is over of which that is not written.")

    show({"expired": written}, as_json, render)


def _over(pedigree: Any, owner: str) -> list[str]:
    """The owner's grants whose time has passed, by name."""
    return [
        item["record"]["grant"]
        for status in ("active", "suspended")
        for item in pedigree.iterate_access_grants(owner=owner, grant_status=status)
        if item["record"]["expires"] <= _now()
    ]

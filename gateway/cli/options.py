# SPDX-License-Identifier: Apache-2.0
"""The options that the verbs of `pedigree` which use a gateway have in common."""

import math
import re
from collections.abc import Callable, Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from gateway.cli.console import Json, plain, read_json, told, warning

_KEY = re.compile(r"[!-~]{1,200}")
FILE = click.Path(path_type=Path, exists=True)
FIELDS = click.option("--fields", "given", type=FILE, help="JSON file with (further) fields of the record.")
CARD = click.option("--card", type=FILE, help="Croissant card: what is not said otherwise is taken from it.")


IDEMPOTENCY_KEY = click.option(
    "--idempotency-key",
    callback=lambda _context, _option, value: _idempotency_key(value),
    help="Key of an earlier attempt at the same: it is continued, and what it recorded is not recorded again.",
)


def using_gateway(function: Callable[..., None], *, unless: str = "") -> Callable[..., None]:
    """Add the options that say which gateway, and open a client on it as the first argument.

    Args:
        unless: an option with which no gateway is asked: the first argument is None where it is given.
    """

    def opened(
        url: str | None,
        key: str | None,
        key_file: Path | None,
        ca_certificate: Path | None,
        client_certificate: Path | None,
        client_key: Path | None,
        timeout: float,
        **arguments: Any,
    ) -> None:
        from pedigree import Pedigree

        if arguments.get(unless):
            function(None, **arguments)
            return
        url, key = _address(url, key, key_file, needs_key=client_certificate is None)
        client = Pedigree(
            url,
            key,
            timeout=timeout,
            ca_certificate=ca_certificate,
            client_certificate=client_certificate,
            client_key=client_key,
        )
        with warning(arguments["as_json"]), client as pedigree:
            function(pedigree, **arguments)

    opened.__doc__ = function.__doc__
    opened.__name__ = function.__name__
    wrapper = told(opened)
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON, errors too."),
        click.option(
            "--timeout",
            type=float,
            default=60.0,
            show_default=True,
            callback=_seconds,
            help="Seconds, retries included.",
        ),
        click.option(
            "--ca-certificate",
            type=click.Path(path_type=Path),
            envvar="PEDIGREE_CA_CERTIFICATE",
            help="Certificates (PEM) that the gateway's must lead to; also PEDIGREE_CA_CERTIFICATE.",
        ),
        click.option(
            "--client-certificate",
            type=click.Path(path_type=Path),
            envvar="PEDIGREE_CLIENT_CERTIFICATE",
            help="Your own certificate (PEM), instead of a key; also PEDIGREE_CLIENT_CERTIFICATE.",
        ),
        click.option(
            "--client-key",
            type=click.Path(path_type=Path),
            envvar="PEDIGREE_CLIENT_KEY",
            help="Its key, where that is in another file; also PEDIGREE_CLIENT_KEY.",
        ),
        click.option(
            "--key",
            envvar="PEDIGREE_KEY",
            callback=_key,
            help="API key; better PEDIGREE_KEY or a file: others on this machine can read a command's arguments.",
        ),
        click.option(
            "--key-file",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            envvar="PEDIGREE_KEY_FILE",
            help="File that holds the API key; also PEDIGREE_KEY_FILE.",
        ),
        click.option("--url", envvar="PEDIGREE_URL", callback=_url, help="Gateway; also PEDIGREE_URL."),
    ):
        wrapper = option(wrapper)
    return wrapper


def _address(url: str | None, key: str | None, key_file: Path | None, *, needs_key: bool) -> tuple[str, str | None]:
    """Which gateway, and the key for it, if one is needed: the command line goes before the environment."""
    context = click.get_current_context()
    typed = {name for name in ("key", "key_file") if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if len(typed) == 2:
        raise click.UsageError("--key and --key-file say the same; give one of them", context)
    if key_file is not None and (key is None or "key_file" in typed):
        key = _one_word(key_file.read_text(encoding="utf-8", errors="replace"), context, f"{key_file}: ")
    missing = [] if url is not None else ["--url (or PEDIGREE_URL)"]
    if key is None and needs_key:
        missing.append("--key-file (or PEDIGREE_KEY_FILE, or PEDIGREE_KEY, or --key)")
    if url is None or missing:
        raise click.UsageError(f"Missing {' and '.join(missing)}.", context)
    return url, key


def _url(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and value.isprintable():
            return value
    except ValueError:
        pass  # brackets or a port that are none: it is refused like the rest
    raise click.BadParameter(f"{value!r} is not the address of a gateway, such as http://127.0.0.1:8101")


def _key(context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    return None if value is None else _one_word(value, context)


def _one_word(value: str, context: click.Context, where: str = "") -> str:
    value = value.strip()
    if value.isascii() and value.isprintable() and value and " " not in value:
        return value
    raise click.BadParameter(f"{where}an API key is one word, id.secret, as `pedigree keys add` printed it", context)


def _idempotency_key(value: str | None) -> str | None:
    if value is None or _KEY.fullmatch(value):
        return value
    raise click.BadParameter("an idempotency key has 1 to 200 visible ASCII characters")


def _seconds(_context: click.Context, _option: click.Parameter, value: float) -> float:
    if math.isfinite(value) and value > 0:
        return value
    raise click.BadParameter(f"{value} is not a number of seconds above 0")


def merged(given: Path | None, *taken: str, **options: Any) -> Json:
    """Fields from a file, overridden by options that were given; `taken` are those that only the command line names.

    Raises `ValueError` that names the file.
    """
    from_file = read_json(given) if given is not None else {}
    refuse_taken(given, from_file, *taken)
    return _over(from_file, {name: value for name, value in options.items() if value is not None})


def nested(said: Json, names: Sequence[str]) -> Json:
    """What options said, as the body has it: that of `origin.source` in the object `origin`, and no empty lists."""
    fields: Json = {}
    for name in names:
        value = said[name.rpartition(".")[2]]
        if value is not None and value != ():
            outer, _, inner = name.rpartition(".")
            fields = _over(fields, {outer: {inner: value}} if outer else {name: value})
    return fields


def _over(below: Json, above: Json) -> Json:
    """Fields of both; where both have one, that of `above`, and of objects the members of both."""
    objects = {
        name: {**below[name], **value}
        for name, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(name), dict)
    }
    return {**below, **above, **objects}


def with_card(card: Path | None, said: Json) -> Json:
    """Fields, and those that a Croissant card has besides; of the origin, its members one by one.

    What could not be taken from the card is said on standard error. Raises `InvalidInput` and `OSError`.
    """
    if card is None:
        return said
    from pedigree.croissant import read_card

    found = read_card(card)
    for remark in found.remarks:
        click.echo(plain(f"{card}: {remark}"), err=True)
    return _over(found.fields, said)


def refuse_taken(given: Path | None, fields: Json, *taken: str) -> None:
    """Refuse fields of a file that only the command line says; raises `ValueError`."""
    for name in ("self", "name", "idempotency_key", *taken):
        if name in fields:
            raise ValueError(f"{given}: {name!r} is none of the further fields; the command line says it")


def record(method: Callable[..., Any], given: Path | None, *arguments: Any, **fields: Any) -> Any:
    """Call a recording method of the client with the fields that a file and the command line said.

    Raises `click.UsageError` that names a field which the record does not have, or which is missing.
    """
    taken = signature(method).parameters
    named = {name for name, each in taken.items() if each.kind is Parameter.KEYWORD_ONLY}
    where = "" if given is None else f"{given}: "
    anything = any(each.kind is Parameter.VAR_KEYWORD for each in taken.values())
    unknown = [] if anything else sorted(fields.keys() - taken.keys())
    if unknown:
        known = ", ".join(sorted(named - {"idempotency_key"}))
        raise click.UsageError(f"{where}{unknown[0]!r} is not a field of this record; it has {known}", _context())
    missing = [name for name in taken if name in named - fields.keys() and taken[name].default is Parameter.empty]
    if missing:
        raise click.UsageError(f"{where}the field {missing[0]!r} is missing", _context())
    return method(*arguments, **fields)


def _context() -> click.Context | None:
    return click.get_current_context(silent=True)

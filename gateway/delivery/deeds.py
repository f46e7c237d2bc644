# SPDX-License-Identifier: Apache-2.0
"""Who did what in a transaction, read from its envelope: bounded, and fit to be shown, whatever bytes are in it."""

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple

from gateway.delivery.refusals import parse_object
from gateway.fabric import wire
from gateway.fabric.blocks import Transaction, validation_code_name
from gateway.fabric.certificates import load_certificate
from gateway.fabric.decoding import decode
from gateway.fabric.errors import MalformedData
from gateway.fabric.texts import said
from gateway.services.ports import Deed, LedgerWrite

__all__ = ["deed_of"]

_CLIENT: Final = re.compile(rb"[0-9a-f]{32}")
_CLIENTS_PLACE: Final = 3
"""Function, command and token are before it."""
_LONGEST_NAME: Final = 100
"""Characters of a function, an event or an MSP id that are kept."""
_MOST_ENDORSERS: Final = 32
_MOST_REFUSED: Final = 64
"""Writes of an invalid transaction that are looked at."""
_LARGEST_REFUSED: Final = 64 * 1024
"""Bytes of such a write."""
_LARGEST_REMEMBERED: Final = 8 * 1024
"""Bytes of an identity that is kept once it is read; Fabric's own have one thousand."""


class _Identity(NamedTuple):
    """What is shown of a serialised identity."""

    organisation: str
    subject: str
    certificate: str


def deed_of(transaction: Transaction, chaincode: str) -> Deed:
    """What an envelope says of who made it and what it does; `chaincode` is the one whose commands are understood."""
    identity = _identity(transaction.creator)
    ours = transaction.chaincode == chaincode
    arguments = transaction.arguments
    return Deed(
        validity=validation_code_name(transaction.validation_code),
        subject=identity.subject,
        certificate=identity.certificate,
        client=_client(arguments) if ours else None,
        chaincode=_shown(transaction.chaincode),
        function=_function(arguments[0]) if arguments else None,
        event=_event(transaction),
        endorsers=_endorsers(transaction),
        refused=() if transaction.valid else tuple(islice(_refused(transaction, chaincode), _MOST_REFUSED)),
    )


def _identity(serialized: bytes) -> _Identity:
    return _remembered(serialized) if len(serialized) <= _LARGEST_REMEMBERED else _read(serialized)


def _read(serialized: bytes) -> _Identity:
    try:
        identity = decode(wire.identities.SerializedIdentity, serialized)
    except wire.DecodeError:
        return _Identity("", "", "")
    organisation = _shown(identity.mspid)
    try:
        certificate = load_certificate(identity.id_bytes, "creator")
    except MalformedData:
        return _Identity(organisation, "", "")
    return _Identity(organisation, certificate.name, hashlib.sha256(certificate.der).hexdigest())


_remembered = lru_cache(1024)(_read)


def _client(arguments: tuple[bytes, ...]) -> str | None:
    found = arguments[_CLIENTS_PLACE] if len(arguments) == _CLIENTS_PLACE + 1 else b""
    return found.decode("ascii") if _CLIENT.fullmatch(found) is not None else None


def _function(name: bytes) -> str:
    # Cut before it is decoded: it may have as many bytes as an envelope.
    return _shown(name[: 4 * _LONGEST_NAME].decode("utf-8", "backslashreplace"))


def _shown(text: str) -> str:
    return said(text, _LONGEST_NAME)


def _event(transaction: Transaction) -> str | None:
    """The name of its event, where it writes anything for all to see.

    Of what writes only private data, the organisations whose data that is have endorsed it, and nobody else: what it
    announces is their word.
    """
    event = transaction.event
    public = any(each.namespace == transaction.chaincode and each.writes for each in transaction.namespaces)
    return _shown(event.name) if event is not None and public else None


def _endorsers(transaction: Transaction) -> tuple[str, ...]:
    """Whose peers endorsements are named after; one that cannot be read is of nobody."""
    found = (_identity(each.endorser).organisation for each in islice(transaction.endorsements, _MOST_ENDORSERS))
    return tuple(sorted({organisation for organisation in found if organisation}))


def _refused(transaction: Transaction, chaincode: str) -> Iterator[LedgerWrite]:
    for namespace in transaction.namespaces:
        for write in namespace.writes if namespace.namespace == chaincode else ():
            if write.is_delete or len(write.value) > _LARGEST_REFUSED:
                continue
            value = parse_object(write.value)
            if value is not None:
                yield LedgerWrite(write.key, value)

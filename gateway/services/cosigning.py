# SPDX-License-Identifier: Apache-2.0
"""Asking a cosigner for its lines over a checkpoint of ours: a witness or a mirror, which the answers tell apart.

Both are sent the checkpoint (`add-checkpoint`). A witness answers its lines. A mirror's come by `add-entries`, once it
has the entries; ours have the ledger, so there are none to be sent.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from chaincode.domain.merkle import Subtrees
from gateway.services.logs import AnotherSize, Asked, Published, Witnesses, WitnessRefused
from gateway.services.ports import Unavailable
from gateway.tlog import notes
from gateway.tlog.checkpoints import Checkpoint
from gateway.tlog.notes import Key, NoteSignature
from gateway.tlog.submissions import Submission
from gateway.tlog.uploads import Upload


@dataclass(frozen=True, slots=True)
class Request:
    """A checkpoint that somebody is asked to cosign."""

    published: Published
    tree: Subtrees
    """Of our log, of that size at least."""
    own: Collection[Key]
    """The log's own keys: others' lines would only make the request longer."""
    cosigned: int
    """The size that the cosigner is thought to have cosigned last."""
    mirror: bool
    """Whether it turned out to be a mirror before."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The lines of a cosigner's known keys, verified."""

    lines: Sequence[NoteSignature]
    mirror: bool
    """Whether it had to be asked as a mirror."""


def cosignatures(witnesses: Witnesses, asked: Asked, request: Request) -> Answer:
    """Ask for the lines; raises `TlogError` for a false one, `WitnessRefused`, and `Unavailable`."""
    text = notes.parse(request.published.note).text
    if request.mirror:
        try:
            # The witness beside it has had the checkpoint already, so that it may well be known.
            return Answer(_mirrored(witnesses, asked, text), mirror=True)
        except WitnessRefused:
            pass
    found = _known(text, _witnessed(witnesses, asked, request), asked)
    if found:
        return Answer(found, mirror=False)
    return Answer(_mirrored(witnesses, asked, text), mirror=True)


def _witnessed(witnesses: Witnesses, asked: Asked, request: Request) -> bytes:
    """What is answered to the checkpoint, with a proof from the size that the witness says to know."""
    note, size = notes.parse(request.published.note), request.published.head.size
    lines = notes.Note(note.text, tuple(each for each in note.signatures if each.key in request.own)).format()
    old = min(request.cosigned, size)
    for _ in range(2):
        proof = request.tree.consistency(old, size) if old else ()
        try:
            return witnesses.add_checkpoint(asked.url, Submission(old, tuple(proof), lines).format())
        except AnotherSize as exc:
            if exc.size == old:
                raise WitnessRefused(f"it knows another root of these {old} entries") from None
            if exc.size > size:
                raise Unavailable(f"it has seen {exc.size} entries", code="witness-ahead") from None
            old = exc.size
    raise Unavailable("it goes on faster than it is asked", code="witness-ahead")


def _mirrored(witnesses: Witnesses, asked: Asked, text: bytes) -> Sequence[NoteSignature]:
    checkpoint = Checkpoint.parse(text)
    upload = Upload(checkpoint.origin, checkpoint.size, checkpoint.size)
    found = _known(text, witnesses.add_entries(asked.url, upload.format()), asked)
    if not found:
        raise WitnessRefused("it answered with no signature of its known keys")
    return found


def _known(text: bytes, lines: bytes, asked: Asked) -> Sequence[NoteSignature]:
    """The lines of a cosigner's known keys; raises `TlogError` for a false one. A mirror may answer nothing."""
    found = [each for each in notes.parse_signatures(lines) if each.key in asked.verifiers] if lines else []
    for each in found:
        asked.verifiers[each.key].verify(text, each.value)
    return found

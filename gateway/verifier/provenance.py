# SPDX-License-Identifier: Apache-2.0
"""The signed statement of a training run, checked offline: SLSA provenance v1 in a DSSE envelope.

A signature shows whose word it is. That the training was as it says, only who ran it knows.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from chaincode.domain.canonical import MAX_BYTES, Json, encode, parse
from chaincode.domain.errors import LedgerError
from chaincode.domain.evidence import STATEMENT_TYPE
from chaincode.domain.slsa import BUILD_TYPE, BUILDER, PROVENANCE
from gateway.fabric.certificates import Certificate
from gateway.fabric.texts import said
from gateway.verifier.envelopes import RefutedStatement, open_envelope, prove_signer
from gateway.verifier.members import object_in, objects_in, text_in
from gateway.verifier.verdicts import NOT_PROVEN, SHOWN, text_of

__all__ = ["ProvenanceVerdict", "is_provenance", "verify_provenance"]

_MOST_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class ProvenanceVerdict:
    """What the statement of a run proves, what it says, and what nobody has shown."""

    verified: bool
    """Whether the key of the certificate that the caller gave signed the statement."""
    statement: Mapping[str, Json]
    signer: Certificate | None
    proven: tuple[str, ...]
    said: tuple[str, ...]
    not_proven: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        if self.verified:
            return "Verified: the key of your certificate signed this account of a training run."
        return "Nothing is proven yet: the signature was not checked, as no certificate was given."

    def text(self) -> str:
        """The verdict for people; whatever the file says in it is escaped."""
        return text_of(
            self.summary,
            (SHOWN, self.proven),
            ("The statement says, and nothing here shows it:", self.said),
            (NOT_PROVEN, self.not_proven),
        )

    def as_json(self) -> dict[str, Any]:
        """The verdict for programs."""
        return {
            "verified": self.verified,
            "verdict": "verified" if self.verified else "signature-not-checked",
            "statement": dict(self.statement),
            "signer": None
            if self.signer is None
            else {"subject": self.signer.name, "serial": f"{self.signer.serial:x}"},
            "proven": list(self.proven),
            "said": list(self.said),
            "not_proven": list(self.not_proven),
        }


def is_provenance(value: Mapping[str, Any]) -> bool:
    """Whether a file is an envelope whose statement is meant to be the provenance of something."""
    payload = value.get("payload")
    if not isinstance(payload, str) or "payloadType" not in value:
        return False
    try:
        statement = parse(base64.b64decode(payload, validate=True))
    except (ValueError, LedgerError):
        return False
    return isinstance(statement, dict) and statement.get("predicateType") == PROVENANCE


def verify_provenance(
    value: Mapping[str, Any], *, certificate: Certificate | None = None, msp: Path | None = None
) -> ProvenanceVerdict:
    """Check the signed statement of a run; raises `RefutedStatement`, and `MalformedData` for a bad MSP folder.

    Args:
        value: the DSSE envelope.
        certificate: of the user who is to have signed it. Without it nothing is proven.
        msp: the MSP folder of the organisation that speaks, as the caller has it; the certificate must be a member's.
    """
    payload, signature = open_envelope(value, MAX_BYTES)
    try:
        statement = parse(payload)
    except LedgerError as exc:
        raise RefutedStatement(said(str(exc).removesuffix("."))) from None
    if not isinstance(statement, dict) or statement.get("_type") != STATEMENT_TYPE:
        raise RefutedStatement(f"it is not an in-toto statement: its _type is not {STATEMENT_TYPE}")
    organisation = _organisation(statement)
    proven: list[str] = []
    if certificate is not None:
        proven = prove_signer(payload, signature, organisation, certificate, msp)
    return ProvenanceVerdict(
        verified=certificate is not None,
        statement=statement,
        signer=certificate,
        proven=tuple(proven),
        said=tuple(_repeated(statement, organisation)),
        not_proven=tuple(_missing(said(organisation), signed=certificate is not None, member=msp is not None)),
    )


def _organisation(statement: Mapping[str, Json]) -> str:
    """Who speaks in a statement of the right form, whose subjects are the run and what it wrote."""
    predicate = object_in(statement, "predicate")
    definition, details = object_in(predicate, "buildDefinition"), object_in(predicate, "runDetails")
    if definition.get("buildType") != BUILD_TYPE:
        raise RefutedStatement("it is provenance of another kind than of a training run")
    first, *_ = objects_in(statement, "subject") or [{}]
    if text_in(first, "name") != text_in(object_in(details, "metadata"), "invocationId"):
        raise RefutedStatement("its first subject is not the run that it speaks of")
    if first.get("digest") != {"sha256": sha256(encode(dict(predicate))).hexdigest()}:
        raise RefutedStatement("the digest of its first subject is not that of what it says")
    for each in (*objects_in(statement, "subject"), *objects_in(definition, "resolvedDependencies")):
        text_in(each, "name")
        text_in(object_in(each, "digest"), "sha256")
    text_in(object_in(definition, "internalParameters"), "channel")
    builder = text_in(object_in(details, "builder"), "id")
    if not builder.startswith(BUILDER):
        raise RefutedStatement(f"its builder is not an organisation: the id does not begin with {BUILDER}")
    return builder.removeprefix(BUILDER)


def _repeated(statement: Mapping[str, Json], organisation: str) -> Iterator[str]:
    predicate = object_in(statement, "predicate")
    definition = object_in(predicate, "buildDefinition")
    metadata = object_in(object_in(predicate, "runDetails"), "metadata")
    run, *written = objects_in(statement, "subject")
    channel = text_in(object_in(definition, "internalParameters"), "channel")
    yield (
        f"{said(organisation)}, on the channel '{said(channel)}': {said(text_in(run, 'name'))}, from"
        f" {said(str(metadata.get('startedOn')))} to {said(str(metadata.get('finishedOn')))}."
    )
    for word, listed in (("It used", objects_in(definition, "resolvedDependencies")), ("It wrote", written)):
        for each in listed[:_MOST_SHOWN]:
            digest = text_in(object_in(each, "digest"), "sha256")
            yield f"{word} {said(text_in(each, 'name'))}, with the SHA-256 {said(digest)}."
        if len(listed) > _MOST_SHOWN:
            yield f"{word} {len(listed) - _MOST_SHOWN} more."


def _missing(organisation: str, *, signed: bool, member: bool) -> Iterator[str]:
    if not signed:
        yield "Who signed it: give the certificate of the user who did with --certificate."
    if not member:
        yield f"That the signer is of {organisation}: give that organisation's MSP folder with --msp."
    yield "When it was signed, and that the certificate was valid at that time."
    yield "That a ledger has the run: read it from a gateway that you trust with `pedigree run show`."
    yield "That the training was as it says: only who ran it knows, and data may have been read that it does not name."

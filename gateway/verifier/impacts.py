# SPDX-License-Identifier: Apache-2.0
"""The signed impact of a withdrawal, checked offline.

A signature shows whose word it is. That the word is true, and that it is the whole of it, only a ledger shows.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chaincode.domain.canonical import MAX_BYTES, Json, parse
from chaincode.domain.errors import LedgerError
from chaincode.domain.evidence import STATEMENT_TYPE
from gateway.fabric.certificates import Certificate
from gateway.fabric.texts import said
from gateway.verifier.envelopes import RefutedStatement, open_envelope, prove_signer
from gateway.verifier.members import number_in, object_in, objects_in, text_in
from gateway.verifier.verdicts import NOT_PROVEN, SHOWN, json_of, signer_of, text_of

__all__ = ["ImpactVerdict", "is_impact", "verify_impact"]

IMPACT_PREDICATE: Final = "https://pedigree.example/impact-report/v1"
_ROLES: Final = {"train": "reached training", "held-out": "was held out only", "data": "is in it"}
DUTIES: Final = ("leave-out", "stop-using", "retrain-or-document", "re-evaluate", "replace-or-stop")
_MOST_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class ImpactVerdict:
    """What a signed impact proves, what it says, and what nobody has shown."""

    verified: bool
    """Whether the key of the certificate that the caller gave signed the report."""
    report: Mapping[str, Json]
    signer: Certificate | None
    proven: tuple[str, ...]
    said: tuple[str, ...]
    not_proven: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        if self.verified:
            return "Verified: the key of your certificate signed this impact of a withdrawal."
        return "Nothing is proven yet: the signature was not checked, as no certificate was given."

    def text(self) -> str:
        """The verdict for people; whatever the file says in it is escaped."""
        return text_of(
            self.summary,
            (SHOWN, self.proven),
            ("The report says, and nothing here shows it:", self.said),
            (NOT_PROVEN, self.not_proven),
        )

    def as_json(self) -> dict[str, Any]:
        """The verdict for programs."""
        return json_of(
            self.verified,
            report=dict(self.report),
            signer=signer_of(self.signer),
            proven=self.proven,
            said=self.said,
            not_proven=self.not_proven,
        )


def is_impact(value: Mapping[str, Any]) -> bool:
    """Whether a file is an envelope whose statement is meant to be an impact."""
    payload = value.get("payload")
    if not isinstance(payload, str) or "payloadType" not in value:
        return False
    try:
        statement = parse(base64.b64decode(payload, validate=True))
    except (ValueError, LedgerError):
        return False
    return isinstance(statement, dict) and statement.get("predicateType") == IMPACT_PREDICATE


def verify_impact(
    value: Mapping[str, Any], *, certificate: Certificate | None = None, msp: Path | None = None
) -> ImpactVerdict:
    """Check a signed impact; raises `RefutedStatement`, and `MalformedData` for a folder that is not an MSP.

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
    report = _report(statement)
    organisation = text_in(report, "organisation")
    proven: list[str] = []
    if certificate is not None:
        proven = prove_signer(payload, signature, organisation, certificate, msp)
    return ImpactVerdict(
        verified=certificate is not None,
        report=report,
        signer=certificate,
        proven=tuple(proven),
        said=tuple(_repeated(report)),
        not_proven=tuple(_missing(said(organisation), signed=certificate is not None, member=msp is not None)),
    )


def _report(statement: Json) -> Mapping[str, Json]:
    """The predicate of a statement of the right form, which speaks of its own subjects."""
    if not isinstance(statement, dict) or statement.get("_type") != STATEMENT_TYPE:
        raise RefutedStatement(f"it is not an in-toto statement: its _type is not {STATEMENT_TYPE}")
    if statement.get("predicateType") != IMPACT_PREDICATE:
        raise RefutedStatement("it is not an impact of the version that is known here")
    report = statement.get("predicate")
    if not isinstance(report, dict):
        raise RefutedStatement("its predicate is not an object")
    for name in ("channel", "organisation", "dataset", "genesis"):
        text_in(report, name)
    for name in ("as_of", "count", "made_at"):
        number_in(report, name)
    for name in ("permitted", "count_exact"):
        if not isinstance(report.get(name), bool):
            raise RefutedStatement(f"its '{name}' must be true or false")
    for item in objects_in(report, "items"):
        _check_item(item)
    if number_in(report, "count") < len(objects_in(report, "items")):
        raise RefutedStatement("it names more artifacts than it counts")
    _check_subjects(statement.get("subject"), report)
    return report


def _check_item(item: Mapping[str, Json]) -> None:
    for name in ("reference", "owner"):
        text_in(item, name)
    if item.get("role") not in list(_ROLES):  # a file may hold anything in its place
        raise RefutedStatement(
            f"its '{said(text_in(item, 'reference'))}' has a role that is none of {', '.join(_ROLES)}"
        )
    if item.get("duty") not in (None, *DUTIES):
        raise RefutedStatement(
            f"its '{said(text_in(item, 'reference'))}' has a duty that is none of {', '.join(DUTIES)}"
        )
    if not isinstance(item.get("certain"), bool):
        raise RefutedStatement("an artifact of it does not say whether it is certain")


def _check_subjects(subjects: Json, report: Mapping[str, Json]) -> None:
    """Whether the statement's subjects are the versions that the report speaks of, the map's by its root."""
    state = report.get("map")
    wanted = (
        []
        if state is None
        else [f"consent-map-version:{report['dataset']}:{number_in(object_in(report, 'map'), 'number')}"]
    )
    wanted += [text_in(each, "version") for each in objects_in(report, "versions")]
    named = [each.get("name") for each in subjects if isinstance(each, dict)] if isinstance(subjects, list) else None
    if named != wanted:
        raise RefutedStatement("its subjects are not the versions that it speaks of")
    if state is None or not isinstance(subjects, list):
        return
    first = subjects[0]
    if not isinstance(first, dict) or first.get("digest") != {"sha256": text_in(object_in(report, "map"), "root")}:
        raise RefutedStatement("its first subject has another root than the consent map that it speaks of")


def _repeated(report: Mapping[str, Json]) -> Iterator[str]:
    subjects = len(objects_in(report, "subjects"))
    yield (
        f"{said(text_in(report, 'organisation'))}, on the channel '{said(text_in(report, 'channel'))}', as of height"
        f" {report['as_of']}: what was made with the records of {subjects} subject{'' if subjects == 1 else 's'} of the"
        f" data set '{said(text_in(report, 'dataset'))}'."
    )
    for each in objects_in(report, "versions"):
        how = (
            f"{each.get('count')} of its records" if each.get("certain") is True else "any of its records may be theirs"
        )
        yield f"{said(text_in(each, 'version'))}: {said(how)}."
    items = objects_in(report, "items")
    for item in items[:_MOST_SHOWN]:
        role = _ROLES[str(item["role"])]
        sure = "" if item["certain"] else " (it cannot be ruled out)"
        duty = "" if item.get("duty") is None else f"; {said(text_in(item, 'owner'))}: {item['duty']}"
        yield f"{said(text_in(item, 'reference'))}: the record {role}{sure}{duty}."
    rest = number_in(report, "count") - len(items[:_MOST_SHOWN])
    if rest > 0 or not report["count_exact"]:
        yield f"{'At least ' if not report['count_exact'] else ''}{rest} more artifacts."


def _missing(organisation: str, *, signed: bool, member: bool) -> Iterator[str]:
    if not signed:
        yield "Who signed it: give the certificate of the user who did with --certificate."
    if not member:
        yield f"That the signer is of {organisation}: give that organisation's MSP folder with --msp."
    yield "When it was signed, and that the certificate was valid at that time."
    yield "That the records are where it says: only the controller knows whose each of them is."
    yield "That nothing else was made with them: what is on no ledger, and what came after that height, is not in it."

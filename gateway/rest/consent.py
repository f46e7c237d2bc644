# SPDX-License-Identifier: Apache-2.0
"""Consent of data subjects: their controller's map, its changes and proofs."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import BinaryIO

from chaincode.domain.errors import LedgerError
from chaincode.domain.values import Name, Number
from gateway.api.operations import HIGHEST
from gateway.rest.problems import HttpProblem
from gateway.rest.routing import Call, Reply, View, recorded
from gateway.services.consent import Vocabulary
from gateway.services.consenting import Changed, Consents
from gateway.services.drafting import Upload
from gateway.services.impact import Impacts
from gateway.services.impactstatements import ImpactStatements
from gateway.services.pieces import fault_of_id
from gateway.services.ports import Json, PortError
from gateway.services.receipts import Receipts
from gateway.services.recording import Recorder

_LOG = logging.getLogger(__name__)


def views(
    recorder: Recorder,
    consents: Consents,
    receipts: Receipts,
    impacts: Impacts,
    vocabulary: Callable[[], Vocabulary],
) -> Mapping[str, View]:
    """The operations on consent that do not follow from their rows, by name."""

    def indicated(call: Call, content: BinaryIO) -> Upload:
        return Upload(content, call.media_type, vocabulary=vocabulary())

    def opened(call: Call) -> Reply:
        name = Name(call.path["dataset"])
        if call.upload is None and call.json:
            return recorded(recorder.record(call.recording, "consent:open", call.json, dataset=name))
        upload = None if call.upload is None else indicated(call, call.upload)
        return recorded(consents.open(call.recording, name, upload))

    def changed(call: Call) -> Reply:
        name = Name(call.path["dataset"])
        if call.upload is None:
            return recorded(recorder.record(call.recording, "consent:change", call.json, dataset=name))
        change = consents.change(call.recording, name, indicated(call, call.upload))
        reply = recorded(change)
        return replace(reply, body={**reply.body, **_beside(impacts, name, change)}) if change.ended else reply

    def proven(call: Call) -> Reply:
        return Reply(consents.proof(Name(call.path["dataset"]), _subject(call), call.number("number", Number.LAST)))

    def history(call: Call) -> Reply:
        answer = consents.history(Name(call.path["dataset"]), _subject(call))
        names = vocabulary()
        for each in (answer, *answer["history"]):
            status = each["status"]
            each["purposes"] = [] if status is None else names.names_of(int(status["purposes"], 16))
        return Reply(answer)

    def receipt(call: Call) -> Reply:
        return Reply(receipts.of(Name(call.path["dataset"]), _subject(call), call.number("number", Number.LAST)))

    return {
        "openConsent": opened,
        "changeConsent": changed,
        "proveConsent": proven,
        "getConsentHistory": history,
        "getConsentReceipt": receipt,
    }


def views_of_impact(impacts: Impacts, statements: ImpactStatements) -> Mapping[str, View]:
    """The operations that say what a withdrawal comes to, by name."""

    def impact(call: Call) -> Reply:
        found = impacts.of_subject(
            Name(call.path["dataset"]),
            _subject(call),
            as_of=call.number("as_of", HIGHEST),
            cursor=call.query.get("cursor"),
            limit=call.limit,
        )
        return Reply(found)

    def statement(call: Call) -> Reply:
        name, as_of = Name(call.path["dataset"]), call.number("as_of", HIGHEST)
        return Reply(statements.of_subject(name, _subject(call), as_of=as_of))

    return {"getConsentImpact": impact, "signConsentImpact": statement}


def _beside(impacts: Impacts, name: Name, change: Changed) -> Json:
    """The first page of what the withdrawal comes to, and how many selections are not marked yet.

    What was recorded is answered without the page where that cannot be found.
    """
    left = {"unmarked": change.unmarked} if change.unmarked else {}
    try:
        return {"impact": impacts.of(name, change.ended), **left}
    except (PortError, LedgerError):
        _LOG.warning("the impact of a withdrawal could not be found", exc_info=True)
        return left


def _subject(call: Call) -> str:
    subject = call.query.get("subject", "")
    if (fault := fault_of_id(subject, "subject")) is not None:
        detail = f"subject is your id of a data subject; {fault}."
        raise HttpProblem(400, "invalid-parameter", detail, parameter="subject")
    return subject

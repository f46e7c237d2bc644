# SPDX-License-Identifier: Apache-2.0
"""Consent of data subjects: their controller's map, its changes and proofs."""

from collections.abc import Callable, Mapping
from typing import BinaryIO

from chaincode.domain.values import Name, Number
from gateway.rest.problems import HttpProblem
from gateway.rest.routing import Call, Reply, View, recorded
from gateway.services.consent import Vocabulary
from gateway.services.consenting import Consents
from gateway.services.drafting import Upload
from gateway.services.receipts import Receipts
from gateway.services.recording import Recorder
from gateway.services.tables import LONGEST_ID


def views(
    recorder: Recorder, consents: Consents, receipts: Receipts, vocabulary: Callable[[], Vocabulary]
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
        return recorded(consents.change(call.recording, name, indicated(call, call.upload)))

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


def _subject(call: Call) -> str:
    subject = call.query.get("subject", "")
    if not 1 <= len(subject) <= LONGEST_ID:
        detail = f"subject is your id of a data subject, 1 to {LONGEST_ID} characters."
        raise HttpProblem(400, "invalid-parameter", detail, parameter="subject")
    return subject

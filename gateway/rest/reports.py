# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas of what a gateway answers beside the ledger's records: components of the OpenAPI document, by name."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, Final, get_type_hints

from chaincode.domain.errors import LedgerError
from chaincode.domain.register import KIND, RECORDS
from chaincode.domain.taint import Cause
from gateway.api.operations import OPERATIONS, RECORDS_OF, REMINDER_KINDS
from gateway.api.scopes import ROLES, SCOPES
from gateway.services.approvals import MUST_STOP
from gateway.services.batches import MOST as MOST_OF_A_BATCH
from gateway.services.elsewhere import FORMAT as TRANSACTION_FORMAT
from gateway.services.progress import Stage
from gateway.services.reading import SOURCES

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
HEIGHT: Schema = {"type": "integer", "minimum": 0, "description": "How many blocks the answer reflects, at least."}
COUNT: Schema = {
    "count": {"type": "integer", "minimum": 0, "description": "How many the whole list holds."},
    "count_exact": {"type": "boolean", "description": "False where there are more than `count`, or may be."},
}
_ARTIFACTS: Final = tuple(kind.record.__name__ for kind in RECORDS if kind.reference)


def outcome_of(kinds: tuple[str, ...]) -> str:
    """The name of the component of what is answered where one of these kinds was recorded."""
    return "Recorded" + "Or".join(KIND[kind].record.__name__ for kind in kinds)


BESIDE: Final[Mapping[tuple[str, ...], Schema]] = {
    ("consent-map-version",): {
        "impact": {"$ref": "#/components/schemas/ConsentImpact"},
        "unmarked": {
            "type": "integer",
            "minimum": 1,
            "description": "How many selections that the change affects are not marked yet; the same request, with the "
            "same Idempotency-Key, marks them.",
        },
    }
}
"""What may be answered beside what was recorded, by the kinds of that: the impact where subjects withdrew."""
OUTCOMES: Final[Mapping[str, tuple[str, ...]]] = {
    outcome_of(row.answer.kinds): row.answer.kinds for row in OPERATIONS if row.records
}
"""The kinds of record of each outcome, by its component's name."""
_RECORDED: Final = tuple(KIND[kind].record.__name__ for kind in dict.fromkeys(sum(OUTCOMES.values(), ())))


def reference(name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def _perhaps(name: str, description: str) -> Schema:
    return {"anyOf": [reference(name), {"type": "null"}], "description": description}


def _object(properties: Schema, *optional: str) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


def _envelope(predicate: str) -> Schema:
    """A signed statement with this predicate."""
    members: Schema = {
        "payload": {"type": "string", "contentEncoding": "base64"},
        "payloadType": _TEXT,
        "signatures": {"type": "array", "items": reference("Signature")},
    }
    return {
        "description": f"A DSSE envelope of an in-toto statement with the predicate {predicate}.",
        **_object(members),
    }


def _details(entry: str, **more: Schema) -> Schema:
    """An entry with more about it."""
    return _object(
        {
            "record": reference(entry),
            "transaction": reference("Transaction"),
            "source": reference("Source"),
            "height": HEIGHT,
            **more,
        },
        "transaction",
        *(name for name in more if name == "reading"),
    )


_LISTED: Final[Schema] = {
    "id": _TEXT,
    "block": _WHOLE,
    "number": {"type": "integer", "minimum": 0, "description": "Its place in the block."},
    "at": {"type": ["string", "null"], "description": "The time that its client claims."},
    "organisation": {"type": "string", "description": "MSP id of the creator."},
    "identity": _perhaps("SigningIdentity", "Whose certificate signed it; null where none can be read."),
    "client": _perhaps(
        "ActingClient",
        "For whom the organisation's gateway signed it, by that gateway's word; null where it does not say.",
    ),
    "chaincode": {"type": ["string", "null"], "description": "Null for a configuration of the channel."},
    "function": {"type": ["string", "null"], "description": "What was called, cut after 100 characters."},
    "about": {
        **_TEXTS,
        "description": "The records that it wrote, or would have, and those that these name; at most 256.",
    },
    "endorsed_by": {
        **_TEXTS,
        "description": "MSP ids of the endorsements that are with it; that each of them holds, its evidence shows.",
    },
    "valid": {"type": "boolean"},
    "validation_code": _WHOLE,
    "validity": {"type": "string", "description": "Fabric's name for the code, such as MVCC_READ_CONFLICT."},
    "event": {
        "type": ["string", "null"],
        "description": "The name of the event that it carries; null also where it writes nothing for all to see.",
    },
}


def _facts_of_the_law() -> Iterator[tuple[str, Schema]]:
    """Every fact of a refusal by the law; a name that two refusals give to facts of different types has both."""
    forms: dict[object, Schema] = {str: _TEXT, int: _WHOLE, tuple[str, ...]: _TEXTS}
    found: dict[str, list[Schema]] = {}
    waiting: list[type[LedgerError]] = [LedgerError]
    while waiting:
        refusal = waiting.pop(0)
        waiting += refusal.__subclasses__()
        hints = get_type_hints(refusal)
        for each in fields(refusal):
            form = forms[hints[each.name]]
            if form not in found.setdefault(each.name, []):
                found[each.name].append(form)
    for name, types in sorted(found.items()):
        yield name, types[0] if len(types) == 1 else {"anyOf": sorted(types, key=str)}


_FACTS_OF_THE_GATEWAY: Final[Mapping[str, Schema]] = {
    **dict.fromkeys(("columns", "changed", "added", "removed", "moved", "outside", "altered_in_store"), _TEXTS),
    "violated_policies": _TEXTS,
    "asked": _WHOLE,
    "block": _WHOLE,
    "count": _WHOLE,
    "counts": reference("DifferenceCounts"),
    "dataset": _TEXT,
    "delimiter": _TEXT,
    "first": _WHOLE,
    "grpc": _TEXT,
    "header": _TEXT,
    "height": _WHOLE,
    "held": _WHOLE,
    "index": _WHOLE,
    "limit": _WHOLE,
    "line": _WHOLE,
    "row": _WHOLE,
    "needed": _TEXT,
    "number": _WHOLE,
    "operation": _TEXT,
    "organisation": _TEXT,
    "organisations": _TEXTS,
    "parameter": _TEXT,
    "reason": _TEXT,
    "recorded": {"type": "boolean"},
    "root": _TEXT,
    "said": {"type": "array", "items": reference("PeersWords")},
    "status": _WHOLE,
    "term": _TEXT,
    "transaction_id": _TEXT,
    "validation_code": _WHOLE,
}
"""Facts of failures that are not refusals by the law; a test compares them with what is raised."""

_PURPOSES: Schema = {"type": "array", "items": {"type": "string"}, "description": "What it covers, by name or IRI."}
_REGISTERED: Final[Schema] = {
    "type": "array",
    "maxItems": 32,
    "items": reference("RegisteredPurpose"),
    "description": "What the owner has registered of the purposes that it is for; left out where that is none.",
}
REPORTS: Final[Mapping[str, Schema]] = {
    "Problem": _object(
        {
            "type": {"type": "string", "format": "uri"},
            "title": _TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": _TEXT,
            "code": _TEXT,
            "retryable": {"type": "boolean"},
            "facts": reference("Facts"),
        }
    ),
    "Facts": {
        "type": "object",
        "description": "What a refusal is about: its code defines which of these there are. Those of a newer ledger "
        "may have others.",
        "properties": dict(sorted({**_FACTS_OF_THE_GATEWAY, **dict(_facts_of_the_law())}.items())),
    },
    "PeersWords": {
        "description": "What another organisation's peer said, which proves nothing.",
        **_object({"organisation": _TEXT, "text": _TEXT}),
    },
    "Pending": _object({"operation": _TEXT}, "operation"),
    "Transaction": _object(
        {
            "id": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "block": {"type": "integer", "minimum": 0},
            "at": _TEXT,
        },
        "at",
    ),
    "Source": {
        "description": "From where a single record was read: the gateway's read model, or the ledger by its own peer.",
        "type": "string",
        "enum": list(SOURCES),
    },
    "Event": {
        "type": "object",
        "description": "What the transaction announced; its `name` says which other members there are.",
        "properties": {"name": _TEXT, "schema": _WHOLE},
    },
    "DatasetVersionDetails": _details("DatasetVersion", reading=reference("Reading")),
    "Reading": {
        "description": "How the file was read, where this gateway holds the records.",
        **_object(
            {
                "media_type": reference("MediaType"),
                "id_field": {"type": ["string", "null"]},
                "delimiter": _TEXT,
                "fields": _TEXTS,
            },
            "delimiter",
            "fields",
        ),
    },
    "MediaType": {"type": "string", "enum": list(RECORDS_OF)},
    "ModelVersionDetails": _details("ModelVersion", later_parents={"type": "array", "items": reference("ModelParent")}),
    "DeploymentDetails": _details(
        "Deployment",
        end=_perhaps("DeploymentEnd", "Its end; null while it goes on."),
        quorum_lost={
            "type": "boolean",
            "description": "Whether the model version was approved by a quorum that is not there any more.",
        },
        duty=_perhaps("DeploymentDuty", "What is due of it; null where nothing is."),
    ),
    "DeploymentDuty": {
        "description": "`must-stop`: the policy lets nothing run whose model version has lost its quorum.",
        "type": "string",
        "enum": [MUST_STOP],
    },
    "Evidence": _object(
        {
            "kind": {"const": "record-evidence"},
            "schema": _WHOLE,
            "channel": _TEXT,
            "version": reference("DatasetVersion"),
            "transaction": reference("Transaction"),
            "proof": reference("RecordProof"),
            "record": reference("EvidenceRecord"),
            "purposes": _REGISTERED,
        },
        "purposes",
    ),
    "SelectionEvidence": _object(
        {
            "kind": {"const": "selection-evidence"},
            "schema": _WHOLE,
            "channel": _TEXT,
            "version": reference("DatasetVersion"),
            "transaction": reference("Transaction"),
            "proof": reference("RecordProof"),
            "record": reference("EvidenceRecord"),
            "selection": reference("Selection"),
            "selection_transaction": reference("Transaction"),
            "selection_proof": reference("SelectionProof"),
            "purposes": _REGISTERED,
        },
        "purposes",
    ),
    "ConsentEvidence": _object(
        {
            "kind": {"const": "consent-evidence"},
            "schema": _WHOLE,
            "channel": _TEXT,
            "version": reference("ConsentMapVersion"),
            "transaction": reference("Transaction"),
            "subject": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "The subject's reference."},
            "status": _perhaps("ConsentIndication", "What the subject indicated; null where it is not in the map."),
            "proof": reference("MapProof"),
            "purposes": _REGISTERED,
        },
        "purposes",
    ),
    "ConsentIndication": _object({"status": reference("ConsentStatus"), "purposes": _TEXT, "indicated_at": _WHOLE}),
    "MapProof": {
        "description": "The way from the map's root to the subject's place in it.",
        **_object({name: {"type": "string", "contentEncoding": "base64"} for name in ("siblings", "leaf")}),
    },
    "ConsentHistory": _object(
        {
            "dataset": _TEXT,
            "number": {"type": "integer", "minimum": 1, "description": "The last version of the map."},
            "subject": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "The subject's reference."},
            "status": _perhaps("ConsentIndication", "What it is now; null where the subject is not in the map."),
            "purposes": _PURPOSES,
            "history": {"type": "array", "items": reference("ConsentStep")},
            "left": {"type": "integer", "minimum": 0, "description": "How many changes are older than these."},
        }
    ),
    "ConsentStep": _object(
        {
            "number": _WHOLE,
            "status": reference("ConsentIndication"),
            "purposes": _PURPOSES,
            "transaction": reference("Transaction"),
        }
    ),
    "ConsentReceipt": _object(
        {
            "dataset": _TEXT,
            "number": {"type": "integer", "minimum": 1, "description": "The version of the map that it is of."},
            "receipt": reference("ReceiptDocument"),
        }
    ),
    "ReceiptDocument": {
        "type": "object",
        "description": "JSON-LD (profile dpv-27560), to be handed over as it is; docs/guide/"
        "consent-receipt.schema.json has its form.",
    },
    "ConsentImpact": _object(
        {
            "dataset": _TEXT,
            "as_of": {"type": "integer", "minimum": 1, "description": "The height that all of it is as of."},
            "map": _perhaps("ImpactMap", "The version of the consent map that was in force; null before the first."),
            "subjects": {"type": "array", "items": reference("ImpactSubject")},
            "permitted": {"type": "boolean", "description": "Whether every subject permits something."},
            "versions": {"type": "array", "items": reference("ImpactVersion")},
            "items": {"type": "array", "items": reference("ImpactItem")},
            "next": {"type": ["string", "null"]},
            **COUNT,
            "beyond": {
                "type": ["array", "null"],
                "items": reference("ImpactBeyond"),
                "description": "Where more was made from the versions than is looked at: how much of each, as "
                "`GET /v1/lineage/{version}/artifacts` lists it. Null where all was looked at.",
            },
            "duties": {"type": "array", "items": reference("ImpactDuty")},
            "covered": {"description": "The kinds of record that were followed.", **_TEXTS},
            "not_covered": {"description": "What models go on to that is on no ledger yet.", **_TEXTS},
        }
    ),
    "RegisteredPurpose": _object({"record": reference("Purpose"), "transaction": reference("Transaction")}),
    "ImpactBeyond": _object({"version": _TEXT, "count": {"type": ["integer", "null"], "minimum": 0}}),
    "ImpactMap": _object({"number": _WHOLE, "root": _TEXT}),
    "ImpactSubject": _object(
        {
            "subject": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "The subject's reference."},
            "status": _perhaps(
                "ConsentIndication", "What the subject had indicated; null where it was not in the map."
            ),
        }
    ),
    "ImpactVersion": _object(
        {
            "version": _TEXT,
            "certain": {
                "type": "boolean",
                "description": "False where the records are not here, or do not say whose they are.",
            },
            "count": {"type": "integer", "minimum": 0, "description": "How many records of the subjects it holds."},
            "records": {"type": "array", "items": reference("ImpactRecord")},
            "selections": {"type": "integer", "minimum": 0, "description": "How many selections hold any of them."},
        }
    ),
    "ImpactRecord": _object({"index": _WHOLE, "id": _TEXT}, "id"),
    "ImpactItem": _object(
        {
            **dict.fromkeys(("reference", "kind", "owner"), _TEXT),
            "distance": {"type": "integer", "minimum": 1},
            "role": reference("ImpactRole"),
            "certain": {"type": "boolean", "description": "False where it can only not be ruled out."},
            "path": {"type": "array", "items": _TEXT, "description": "From it up to a version that holds the records."},
            "duty": _perhaps(
                "ImpactWord",
                "What its owner has to do; null where every subject permits what it was selected for, or it ended.",
            ),
            "because": {"type": ["string", "null"]},
        }
    ),
    "ImpactRole": {
        "description": "Whether the records reached training, or were held out only; `data` where they are in it.",
        "type": "string",
        "enum": ["train", "held-out", "data"],
    },
    "ImpactWord": {
        "description": "What an owner has to do.",
        "type": "string",
        "enum": ["leave-out", "stop-using", "retrain-or-document", "re-evaluate", "replace-or-stop"],
    },
    "ImpactDuty": _object({"organisation": _TEXT, "duty": reference("ImpactWord"), "count": _WHOLE, "first": _TEXT}),
    "SignedImpact": _envelope("impact-report/v1"),
    "SignedStatement": _envelope("https://slsa.dev/provenance/v1"),
    "EvidenceRecord": _object(
        {"id": _TEXT, "content": {"type": "string", "contentEncoding": "base64"}, "header": reference("Header")},
        "header",
    ),
    "Header": _object({"delimiter": _TEXT, "fields": _TEXTS}),
    "DatasetComparison": _object(
        {
            "dataset": _TEXT,
            "number": _WHOLE,
            "root": _TEXT,
            "size": _WHOLE,
            "transaction": reference("Transaction"),
            "verified": {"type": "boolean"},
            "store_complete": {"type": "boolean"},
            "copy_root": {"type": "string", "description": "The root over the records of the copy, in its order."},
            "unreadable": {
                "type": "string",
                "description": "Why the records could not be compared under other columns.",
            },
            "counts": reference("DifferenceCounts"),
            "selection": {"type": "string", "description": "The selection that the copy was compared with."},
            "selection_root": {"type": "string", "description": "That of the selection; the copy's, where it agrees."},
            "remark": {"type": "string", "description": "What could not be named, and why."},
            **dict.fromkeys(
                ("fields", "columns", "changed", "added", "removed", "moved", "outside", "altered_in_store"), _TEXTS
            ),
        },
        "transaction",
        "store_complete",
        "copy_root",
        "unreadable",
        "counts",
        "selection",
        "selection_root",
        "remark",
        "fields",
        "outside",
        "altered_in_store",
    ),
    "Publication": _object(
        {
            "dataset": _TEXT,
            "number": _WHOLE,
            "selection": {"type": "string", "description": "The name of the selection; missing of a version."},
            "root": _TEXT,
            "media_type": _TEXT,
            "size": {"type": "integer", "description": "Bytes of the file."},
            "digest": {"type": "string", "description": "The SHA-256 of the file."},
            "blob": {"type": "string", "description": "The id of the sealed blob."},
            "sealed_size": {"type": "integer", "description": "Bytes of the sealed blob."},
            "transaction": reference("Transaction"),
        },
        "transaction",
        "selection",
    ),
    "FetchStatement": {
        "description": "A DSSE envelope of what the owner's gateway takes; see docs/sealing.md.",
        **_object(
            {
                "payload": {"type": "string", "contentEncoding": "base64"},
                "payloadType": _TEXT,
                "signatures": {"type": "array", "items": reference("MemberSignature")},
            }
        ),
    },
    "MemberSignature": _object(
        {
            "sig": {"type": "string", "contentEncoding": "base64"},
            "organisation": {"type": "string", "description": "The MSP id of who signed."},
            "certificate": {"type": "string", "description": "In PEM."},
        }
    ),
    "Deliveries": _object(
        {
            "items": {"type": "array", "items": reference("DeliveryEntry")},
            "next": {"type": ["integer", "null"], "description": "Pass it as `before`; null at the end."},
        }
    ),
    "DeliveryEntry": _object(
        {
            "attempt": {"type": "string", "description": "The id of the attempt's transaction."},
            "organisation": {"type": "string", "description": "The MSP id of who came."},
            "signer": {"type": "string", "description": "SHA-256 of the certificate or the public key that signed."},
            "at": {"type": "integer", "description": "When, in milliseconds since 1970."},
            "blob": {"type": ["string", "null"], "description": "What was given out; null where nothing was."},
            "sealed_size": {"type": "integer", "description": "Bytes of all of it."},
            "sent": {"type": "integer", "description": "Bytes that were sent, in all requests; never less than were."},
            "given": {
                "type": "array",
                "items": reference("GivenRange"),
                "description": "Which bytes were given out, with what may have left before a crash.",
            },
            "outcome": {
                "type": "string",
                "description": "`open`, `complete`, `replaced` by a later one, `ended`, or a refusal's code.",
            },
        }
    ),
    "GivenRange": _object(
        {
            "start": {"type": "integer", "description": "The first byte."},
            "stop": {"type": "integer", "description": "The byte after the last."},
        }
    ),
    "Accesses": _object(
        {
            "items": {"type": "array", "items": reference("Access")},
            "next": {
                "type": ["string", "null"],
                "description": "Pass it as `cursor` for the page after this one; a page may hold few items and have "
                "one.",
            },
        }
    ),
    "AccessForm": {
        "type": "string",
        "enum": ["attempt", "read"],
        "description": "An `attempt` has a transaction of its own; a `read` is in a list of reads, or waits for one.",
    },
    "Access": _object(
        {
            "form": reference("AccessForm"),
            "at": {"type": ["integer", "null"], "description": "Milliseconds since 1970."},
            "by": {"type": ["string", "null"], "description": "The MSP id of who used the data, or would have."},
            "owner": {"type": ["string", "null"], "description": "Whose data it is, where that is known."},
            "grant": _TEXT_OR_NULL,
            "artifact": _TEXT_OR_NULL,
            "action": _TEXT_OR_NULL,
            "purpose": _TEXT_OR_NULL,
            "decision": {"type": ["string", "null"], "description": "`allowed` or `denied`."},
            "reason": {"type": ["string", "null"], "description": "Why it was denied."},
            "attempt": {
                "type": ["string", "null"],
                "description": "The id of the attempt's transaction; of a read, that of the attempt that it is under.",
            },
            "transaction": _perhaps("Transaction", "The attempt's; null for a read."),
            "read": _perhaps("AccessReadEntry", "What is kept of the read, with its proof; null for an attempt."),
        }
    ),
    "AccessReads": _object(
        {
            "items": {"type": "array", "items": reference("AccessReadEntry")},
            "next": {"type": ["integer", "null"], "description": "Pass it as `before`; null at the end."},
        }
    ),
    "AccessReadEntry": _object(
        {
            "read": _perhaps("AccessRead", "What is kept; null where it was altered so that it is none any more."),
            "leaf": {"type": "string", "description": "Its canonical JSON, which is the leaf of the list."},
            "batch": {"type": ["integer", "null"], "description": "The list that it is in; null while it waits."},
            "index": {"type": ["integer", "null"], "description": "Its place there."},
            "size": {"type": ["integer", "null"], "description": "How many reads that list has."},
            "path": {"type": "array", "items": _TEXT, "description": "From the leaf to the list's root."},
            "state": {
                "type": "string",
                "description": "`waiting` for the ledger, `anchored`, or `altered`: the list has another root there.",
            },
        }
    ),
    "DifferenceCounts": _object(dict.fromkeys(("changed", "added", "removed", "moved", "outside"), _WHOLE), "outside"),
    "ArtifactStatus": _object(
        {
            "artifact": _TEXT,
            "record": {"anyOf": [reference(name) for name in _ARTIFACTS]},
            "transaction": reference("Transaction"),
            "stage": reference("Stage"),
            "quorum_lost": {
                "type": "boolean",
                "description": "Whether it was approved by a quorum that is not there any more, and needs renewal.",
            },
            "standing": _perhaps("ArtifactStage", "The record of its stage; null for what was never submitted."),
            "tainted_by": {"type": "array", "items": reference("Taint")},
            "status": _perhaps("Status", "The count for the stage; null while no policy is set."),
            "endorsements": {"type": "array", "items": reference("EndorsementEntry")},
            "rejections": {"type": "array", "items": reference("RejectionEntry")},
            "counter_claims": {
                "type": "array",
                "items": reference("CounterClaimEntry"),
                "description": "The last one of each organisation, open or not.",
            },
        }
    ),
    "StatementDraft": _object(
        {
            "artifact": _TEXT,
            "decision": reference("Decision"),
            "words": {**_TEXTS, "description": "What the statement says, sentence by sentence."},
            "not_covered": {**_TEXTS, "description": "What it does not say."},
            "statement": reference("ComposedStatement"),
            "payload": {
                "type": "string",
                "contentEncoding": "base64",
                "description": "The very bytes of it that are signed.",
            },
            "payloadType": _TEXT,
            "evaluations": {"type": "array", "items": reference("SeenEvaluation")},
            "tainted_by": {"type": "array", "items": reference("Taint")},
            "refused": _perhaps("ForeseenRefusal", "What the ledger would say to it now; null where it would take it."),
        }
    ),
    "ComposedStatement": {
        "description": "The in-toto statement, as JSON.",
        **_object(
            {
                "_type": _TEXT,
                "subject": {"type": "array", "items": reference("StatementSubject")},
                "predicateType": _TEXT,
                "predicate": reference("EndorsementPredicate"),
            }
        ),
    },
    "StatementSubject": _object({"name": _TEXT, "digest": reference("StatementDigest")}),
    "StatementDigest": _object({"sha256": _TEXT}),
    "EndorsementPredicate": _object(
        {
            "channel": _TEXT,
            "genesis": _TEXT,
            "organisation": _TEXT,
            "artifact": _TEXT,
            "stage": reference("Stage"),
            "decision": reference("Decision"),
            "reason": _TEXT,
            "round": _WHOLE,
            "policy": _WHOLE,
            "at": _WHOLE,
            "seen": _TEXTS,
            "against": _TEXT,
            "evidence": _TEXT,
            "evidence_digest": _TEXT,
        },
        "genesis",
        "reason",
        "seen",
        "against",
        "evidence",
        "evidence_digest",
    ),
    "SeenEvaluation": _object(
        {
            "evaluation": _TEXT,
            "owner": _TEXT,
            "verdict": {"type": ["string", "null"], "description": "Whether its criteria are met, where it has any."},
            "transaction": {"type": "string", "description": "Its receipt is that of this transaction."},
        }
    ),
    "ForeseenRefusal": _object({"code": _TEXT, "detail": _TEXT}),
    "Inbox": _object(
        {
            "organisation": _TEXT,
            "items": {"type": "array", "items": reference("InboxItem")},
            "next": {
                "type": ["string", "null"],
                "description": "Pass it as `cursor` for the page after this one; a page may hold few items and have "
                "one.",
            },
            **COUNT,
            "claims": {
                "type": "array",
                "items": reference("DueClaim"),
                "description": "Open counter-claims that await your organisation's answer, on every page.",
            },
            "claims_complete": {"type": "boolean", "description": "False where there are more of them, or may be."},
            "must_stop": {
                "type": "array",
                "items": reference("DueDeployment"),
                "description": "Your organisation's running deployments that must stop, on every page.",
            },
            "must_stop_complete": {
                "type": "boolean",
                "description": "False where so many are running that not all were looked at.",
            },
        }
    ),
    "Reminders": _object(
        {
            "organisation": _TEXT,
            "items": {"type": "array", "items": reference("Reminder")},
            "next": {
                "type": ["integer", "null"],
                "description": "Pass it as `after` to go on: for those that there are, and later for those that come. "
                "Null while there is none at all.",
            },
        }
    ),
    "ReminderKind": {
        "type": "string",
        "enum": list(REMINDER_KINDS),
        "description": "An artifact awaits your word; an approval ends soon; an approval lost its quorum.",
    },
    "Reminder": _object(
        {
            "number": _WHOLE,
            "kind": reference("ReminderKind"),
            "artifact": _TEXT,
            "owner": _TEXT,
            "stage": {"type": "string", "description": "That the word is awaited for, or that the approval is of."},
            "ends_at": {
                "type": ["integer", "null"],
                "description": "When the first endorsement that the approval rests on ends, milliseconds since 1970.",
            },
            "at": {"type": "integer", "description": "When it was given."},
            "ended_at": {"type": ["integer", "null"], "description": "When it was found over; null while it is due."},
            "says": {"type": "string", "description": "The same in words."},
        }
    ),
    "DueClaim": _object(
        {
            "artifact": _TEXT,
            "by": {"type": "string", "description": "The MSP id of who made it."},
            "against": {"type": ["string", "null"], "description": "Whose endorsement; null: the artifact itself."},
            "since": _WHOLE,
            "reason": _TEXT,
        }
    ),
    "DueDeployment": _object({"deployment": _TEXT, "version": _TEXT, "duty": reference("DeploymentDuty")}),
    "InboxItem": _object(
        {
            "artifact": _TEXT,
            "owner": _TEXT,
            "since": _WHOLE,
            "status": reference("Status"),
            "quorum_lost": {
                "type": "boolean",
                "description": "Whether it was approved by a quorum that is not there any more.",
            },
            "ends_at": {
                "type": ["integer", "null"],
                "description": "When the first endorsement that counts expires; null where none does.",
            },
            "open_claims": {**_TEXTS, "description": "MSP ids of those with an open counter-claim against it."},
            "tainted_by": {"type": "array", "items": reference("Taint")},
        }
    ),
    "LineagePage": _object(
        {
            "of": _TEXT,
            "direction": reference("Direction"),
            "as_of": {"type": "integer", "minimum": 1, "description": "The height that all of it is as of."},
            "time": {
                "type": "integer",
                "minimum": 0,
                "description": "The time by which quarantines had lapsed: now, or that of the last block below the "
                "height that was asked for; milliseconds since 1970.",
            },
            "items": {"type": "array", "items": reference("ReachedArtifact")},
            "next": {"type": ["string", "null"]},
            **COUNT,
            "left": {"type": "integer", "minimum": 0, "description": "How many follow this page."},
            "depth": {"type": "integer", "minimum": 0, "description": "The distance of the farthest of all."},
            "kinds": {"type": "array", "items": reference("KindCount")},
        }
    ),
    "EffectiveLicence": _object(
        {
            "of": _TEXT,
            "as_of": {"type": "integer", "minimum": 1, "description": "The height that it is as of."},
            "declared": {"type": ["string", "null"], "description": "The version's own; null for one not known here."},
            "licence": {
                "type": ["string", "null"],
                "description": "The one of all these licences that keeps what each of them asks for; null where none "
                "does, or where that cannot be decided.",
            },
            "verdict": reference("LicenceVerdict"),
            "conditions": {
                "type": ["array", "null"],
                "items": _TEXT,
                "description": "What that licence asks for in any case; null where it is not classified.",
            },
            "inherited": {
                "type": ["string", "null"],
                "description": "The same of the ancestors alone: null too where none has a licence.",
            },
            "offending": _perhaps(
                "OffendingAncestor", "The nearest of which the declared licence does not keep what it asks for."
            ),
            "licences": {"type": "array", "items": reference("LicenceOnPath")},
            "ancestors": {"type": "integer", "minimum": 0, "description": "How many were looked at."},
            "unknown": {"type": "array", "items": _TEXT, "description": "Whose licence was not compared."},
            "complete": {
                "type": "boolean",
                "description": "False where there are more ancestors, or where the licence of one was not compared.",
            },
        }
    ),
    "LicenceVerdict": {
        "description": "Whether there is such a licence; `undecided`: some cannot be compared.",
        "type": "string",
        "enum": ["met", "none", "undecided"],
    },
    "OffendingAncestor": _object(
        {
            "licence": _TEXT,
            "path": {"type": "array", "items": _TEXT, "description": "From the version up to the ancestor."},
            "code": {"type": "string", "description": "That of the refusal by the law that this would meet."},
            "detail": _TEXT,
        }
    ),
    "LicenceOnPath": _object(
        {
            "licence": _TEXT,
            "nearest": {"type": "string", "description": "The nearest that is under it."},
            "count": {"type": "integer", "minimum": 1, "description": "How many are, the version itself included."},
        }
    ),
    "Direction": {"type": "string", "enum": ["up", "down"]},
    "ReachedArtifact": _object(
        {
            "reference": _TEXT,
            "distance": {"type": "integer", "minimum": 1},
            "stage": {"type": ["string", "null"], "description": "Null for what was not submitted."},
            "stopped": _perhaps("Stopped", "Why it was stopped itself; null where it was not."),
            "review_path": {
                "type": "array",
                "items": _TEXT,
                "description": "From it up to the nearest stopped ancestor; not empty: review is required.",
            },
            "review_cause": _perhaps("Stopped", "Why that ancestor was stopped; null where there is none."),
            "superseded_by": {"type": ["string", "null"], "description": "The version that replaces it."},
            "quorum_lost": {
                "type": "boolean",
                "description": "Whether it was approved by a quorum that was not there any more.",
            },
            "duty": _perhaps("DeploymentDuty", "What is due of a deployment; null where nothing is."),
        }
    ),
    "Stopped": {
        "description": "It is quarantined, or a selection to which consent was withdrawn.",
        "type": "string",
        "enum": [Cause.QUARANTINED.value, Cause.WITHDRAWN.value],
    },
    "KindCount": _object({"kind": _TEXT, "count": _WHOLE}),
    "SearchResults": _object(
        {
            "items": {"type": "array", "items": reference("SearchResult")},
            "next": {"type": ["string", "null"]},
            **COUNT,
            "complete": {
                "type": "boolean",
                "description": "False where so many words begin with one of the query's that not all were looked at.",
            },
        }
    ),
    "SearchResult": _object(
        {
            "reference": _TEXT,
            "kind": _TEXT,
            "title": {"type": ["string", "null"]},
            "owner": {"type": ["string", "null"]},
            "digests": {"type": "array", "items": reference("FoundDigest")},
            "transaction": reference("Transaction"),
        }
    ),
    "FoundDigest": {
        "description": "Where the record names a digest that was searched for.",
        **_object({"pointer": _TEXT, "digest": _TEXT}),
    },
    "Submission": _object(
        {
            "id": _TEXT,
            "state": reference("SubmissionState"),
            "attempt": _WHOLE,
            "transaction_id": {"type": ["string", "null"]},
            "status": {"type": ["integer", "null"], "description": "HTTP status of the final answer."},
            "progress": reference("Progress"),
            "result": _perhaps("Result", "Body of the final answer."),
        },
        "transaction_id",
        "status",
        "progress",
        "result",
    ),
    "UnsignedTransaction": {
        "description": "A step of a transaction, to be sent back as it is, with `signature`.",
        **_object(
            {
                "format": {"const": TRANSACTION_FORMAT},
                "stage": reference("SigningStage"),
                "function": _TEXT,
                "key": {"type": "string", "description": "By which the transaction is recorded once."},
                "certificate": {"type": "string", "description": "In PEM: whose key signs."},
                "command": {"type": "string", "description": "Canonical JSON."},
                "transaction_id": _TEXT,
                "content": {
                    "type": "string",
                    "contentEncoding": "base64",
                    "description": "`gateway.ProposedTransaction` or `gateway.PreparedTransaction` of Fabric.",
                },
                "digest": {
                    "type": "string",
                    "description": "What is signed, in hexadecimal digits: SHA-256 of the proposal's or the payload's "
                    "bytes, or for a key of Ed25519 these themselves.",
                },
                "sign_before": {"type": "integer", "description": "Milliseconds since 1970."},
                "reply": _perhaps("Result", "What the ledger will answer; null before it was endorsed."),
                "seal": _TEXT,
                "signature": {
                    "type": "string",
                    "contentEncoding": "base64",
                    "description": "ECDSA in DER with low S, or Ed25519; only in what is sent.",
                },
            },
            "signature",
        ),
    },
    "SigningStage": {"type": "string", "enum": ["proposal", "transaction"]},
    "SubmittedTransaction": _object(
        {
            "operation": {"type": "string", "description": "What became of it says `getOperation`."},
            "state": reference("SubmissionState"),
            "result": _perhaps("Result", "What was recorded; null while that is pending."),
        }
    ),
    "SubmissionState": {"type": "string", "enum": ["pending", "succeeded", "failed"]},
    "Result": {
        "description": "What the operation answers, or a problem.",
        "anyOf": [reference(name) for name in (*OUTCOMES, "BatchOutcome", "Problem")],
    },
    "Batch": {
        "type": "array",
        "items": reference("BatchCommand"),
        "minItems": 1,
        "maxItems": MOST_OF_A_BATCH,
        "description": "Commands in the order in which they are to be recorded.",
    },
    "BatchCommand": _object(
        {
            "function": {"type": "string", "description": "As the ledger calls it, such as `model:register`."},
            "command": reference("CommandFields"),
            "key": {
                "type": "string",
                "minLength": 1,
                "maxLength": 200,
                "description": "By which this command is recorded once, in whatever batch or alone; without one it is "
                "named by the batch's key and its place there.",
            },
        },
        "key",
    ),
    "CommandFields": {
        "type": "object",
        "description": "The fields of a command, those among them that its own route has in its path.",
    },
    "BatchOutcome": _object(
        {
            "recorded": {"type": "integer", "minimum": 0, "description": "How many commands are recorded."},
            "failed": {"type": "integer", "minimum": 0, "description": "How many are not."},
            "transactions": {**_TEXTS, "description": "Ids of the transactions that recorded them."},
            "outcomes": {
                "type": "array",
                "items": reference("CommandOutcome"),
                "description": "One for each command, in their order.",
            },
        }
    ),
    "CommandOutcome": _object(
        {
            "status": {"type": "integer", "description": "The HTTP status that the command would have had alone."},
            "result": {
                "description": "What it would have been answered.",
                "anyOf": [reference(name) for name in ("RecordedAny", "Problem")],
            },
        }
    ),
    "RecordedAny": _object(
        {
            "record": reference("AnyRecord"),
            "event": reference("Event"),
            "transaction": reference("Transaction"),
        }
    ),
    "Progress": {
        "description": "How far an upload has come that is read after the request was answered.",
        **_object(
            {
                "stage": reference("UploadStage"),
                "bytes": {"type": "integer", "description": "Size of the upload."},
                "bytes_read": _WHOLE,
                "records": {"type": "integer", "description": "Records read and hashed."},
            }
        ),
    },
    "UploadStage": {"type": "string", "enum": [str(stage) for stage in Stage]},
    "Ledger": _object(
        {
            **dict.fromkeys(("organisation", "domain", "channel", "chaincode", "genesis_hash"), _TEXT),
            "height": _WHOLE,
            "caught_up": {"type": "boolean"},
            "disabled_members": {
                "description": "Members whose definition on the channel this gateway does not understand: what they "
                "sign is not believed here, and the channel goes on without it.",
                "type": "array",
                "items": reference("DisabledMember"),
            },
        }
    ),
    "TransparencyLog": _object(
        {
            "origin": {**_TEXT, "description": "The first line of its checkpoints, and the name of its key."},
            "key": {**_TEXT, "description": "The log's key (C2SP verifier key)."},
            "cosigner_keys": {**_TEXTS, "description": "The keys that this gateway cosigns others' logs with."},
            "mirror_keys": {**_TEXTS, "description": "The keys that it cosigns with what it mirrors of others' logs."},
            "entries": {**_WHOLE, "description": "One for each valid transaction that was read."},
            "checkpoint": _perhaps("LogHead", "What was signed last; null before that."),
            "trouble": {
                "type": ["string", "null"],
                "description": "Why nothing is signed, or why the policy's file cannot be used.",
            },
            "witnesses": {"type": "array", "items": reference("LogWitness")},
            "witnessed": {"type": "array", "items": reference("WitnessedLog")},
            "mirrored": {"type": "array", "items": reference("MirroredLog")},
            "refused": {
                "description": "Checkpoints that show that a log forked, or that a witness refused; the latest first.",
                "type": "array",
                "items": reference("RefusedCheckpoint"),
            },
        }
    ),
    "LogHead": _object({"size": _WHOLE, "root": _TEXT}),
    "LogWitness": _object(
        {
            "name": {**_TEXT, "description": "The name of its key."},
            "url": _TEXT,
            "cosigned": {**_WHOLE, "description": "How many entries it has cosigned since this gateway was started."},
            "trouble": {"type": ["string", "null"], "description": "Why it has not cosigned the last checkpoint."},
        }
    ),
    "WitnessedLog": _object(
        {
            "origin": _TEXT,
            "checkpoint": _perhaps("LogHead", "What was cosigned last, or what was read when it first came; or null."),
        }
    ),
    "MirroredLog": _object(
        {"origin": _TEXT, "checkpoint": _perhaps("LogHead", "Up to which it is mirrored; null where it is not yet.")}
    ),
    "RefusedCheckpoint": _object(
        {
            "origin": {**_TEXT, "description": "Of the log."},
            "at": {**_WHOLE, "description": "Seconds since 1970."},
            "reason": _TEXT,
            "checkpoint": {**_TEXT, "description": "The signed note."},
        }
    ),
    "Caller": _object(
        {
            **dict.fromkeys(("organisation", "domain", "channel", "chaincode", "genesis_hash"), _TEXT),
            "height": _WHOLE,
            "caught_up": {"type": "boolean"},
            "key": reference("Key"),
            "roles": {
                "description": "The role that the key has, and those below it.",
                "type": "array",
                "items": reference("KeyRole"),
            },
            "scopes": {
                "description": "What the key may do: each of these.",
                "type": "array",
                "items": reference("KeyScope"),
            },
            "owners": {
                "description": "Whose records alone the key may see, by MSP id; null where it may see everybody's.",
                "type": ["array", "null"],
                "items": _TEXT,
            },
            "consortium_roles": {
                "description": "Roles of the organisation in the policy in force; null where it is not a member.",
                "type": ["array", "null"],
                "items": _TEXT,
            },
        }
    ),
    "Key": _object({"id": _TEXT, "name": _TEXT}),
    "KeyRole": {"type": "string", "enum": list(ROLES)},
    "KeyScope": {"type": "string", "enum": list(SCOPES)},
    "DisabledMember": _object({"organisation": _TEXT, "reason": _TEXT}),
    "TransactionEvidence": {
        "description": "A transaction as it was ordered, with what shows that; `pedigree verify` checks it offline.",
        **_object(
            {
                "kind": {"const": "transaction-evidence"},
                "schema": {"const": 1},
                "channel": _TEXT,
                "reference": {"type": "string", "description": "The record that it was asked for."},
                "transaction": reference("OrderedPlace"),
                "validation": {"type": "string", "description": "What this gateway's peer found it, such as VALID."},
                "block": reference("OrderedBlock"),
                "configurations": {
                    "type": "array",
                    "items": reference("OrderedBlock"),
                    "description": "Each holds a configuration of the channel, from its first block on.",
                },
                "definitions": {
                    "type": "array",
                    "items": reference("DefiningTransaction"),
                    "description": "Where the chaincode's endorsement policy was defined.",
                },
            },
            "reference",
        ),
    },
    "OrderedPlace": _object({"id": _TEXT, "block": _WHOLE, "index": _WHOLE}),
    "DefiningTransaction": _object({"block": reference("OrderedBlock"), "index": _WHOLE}),
    "OrderedBlock": _object(
        {
            "number": _WHOLE,
            "previous_hash": {"type": "string", "description": "In hexadecimal digits; of block 0 empty."},
            "data": {"type": "string", "description": "All its envelopes, one after another, in base64."},
            "signatures": {"type": "string", "description": "The orderers', with what they signed, in base64."},
        }
    ),
    "AuditPage": _object(
        {
            "items": {"type": "array", "items": reference("AuditEntry")},
            "next": {"type": ["string", "null"]},
            "size": {"type": "integer", "minimum": 0, "description": "How many entries the whole log has."},
            "anchored": {"type": "integer", "minimum": 0, "description": "How many of them the last anchor covers."},
        }
    ),
    "AuditEntry": _object(
        {
            "number": {"type": "integer", "minimum": 1, "description": "Its place in the log."},
            "at": {"type": "string", "description": "When it was written (RFC 3339)."},
            "since": {
                "type": ["string", "null"],
                "description": "When the first of several attempts was; null where it is about one.",
            },
            "count": {"type": "integer", "minimum": 1, "description": "How many attempts it stands for."},
            "client": _perhaps("ActingClient", "Who asked; null where no key that is known was shown."),
            "operation": {"type": ["string", "null"], "description": "What was asked for, such as registerModel."},
            "target": {"type": ["string", "null"], "description": "The reference of the record that it is about."},
            "outcome": reference("AuditOutcome"),
            "code": {"type": "string", "description": "The permanent code of what was answered."},
            "request": {"type": ["string", "null"], "description": "The id under which it was answered."},
        }
    ),
    "AuditOutcome": {"type": "string", "enum": ["refused", "failed"]},
    "AuditProof": _object(
        {
            "entry": reference("AuditEntry"),
            "content": {"type": "string", "description": "The entry as it is hashed: canonical JSON."},
            "hash": {"type": "string", "description": "SHA-256 of a byte 00 and the entry, in hex."},
            "anchor": _perhaps("AnchoredLog", "The last anchor of the log; null where it does not cover the entry."),
            "path": {**_TEXTS, "description": "The way from the hash to the anchor's root (RFC 6962), in hex."},
        }
    ),
    "AnchoredLog": _object(
        {
            "number": {"type": "integer", "minimum": 1},
            "size": {"type": "integer", "minimum": 1},
            "root": {"type": "string"},
            "transaction": {"type": "string", "description": "The id of the transaction that anchored it."},
        }
    ),
    "TransactionPage": _object(
        {
            "items": {"type": "array", "items": reference("ListedTransaction")},
            "next": {"type": ["string", "null"]},
            **COUNT,
        }
    ),
    "ListedTransaction": _object(_LISTED),
    "SigningIdentity": _object(
        {
            "subject": {"type": "string", "description": "Of the certificate, as RFC 4514 writes it."},
            "certificate": {"type": "string", "description": "SHA-256 of the certificate in DER."},
        }
    ),
    "ActingClient": _object(
        {
            "id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "name": {
                "type": ["string", "null"],
                "description": "The name of the key, where it is one of this gateway.",
            },
        }
    ),
    "TransactionOutcome": _object(
        {
            **_LISTED,
            "reply": {
                "anyOf": [reference("Reply"), reference("BatchReply"), {"type": "null"}],
                "description": "What the chaincode answered, where the ledger's public entries show it.",
            },
            "said": _perhaps(
                "Said",
                "What a valid transaction says it answered, without public entries to show for it: the word of the "
                "organisation that signed it, and of nobody else.",
            ),
        }
    ),
    "Reply": {
        "description": "The chaincode's answer: the record, and the event.",
        **_object({"record": reference("AnyRecord"), "event": reference("Event")}),
    },
    "BatchReply": {
        "description": "The chaincode's answer to several commands.",
        **_object({"outcomes": {"type": "array", "items": reference("BatchedReply")}}),
    },
    "BatchedReply": _object(
        {
            "token": {"type": "string", "description": "By which its organisation names the request."},
            "record": reference("AnyRecord"),
            "event": reference("Event"),
            "refusal": reference("BatchedRefusal"),
        },
        "record",
        "event",
        "refusal",
    ),
    "BatchedRefusal": _object({"code": _TEXT, "message": _TEXT, "facts": reference("Facts")}),
    "AnyRecord": {
        "description": "A record of any kind that a user can have written.",
        "anyOf": [reference(name) for name in _RECORDED],
    },
    "Said": _object({"by": _TEXT, "reply": reference("UnshownReply")}),
    "UnshownReply": {
        "type": "object",
        "description": "Whatever the organisation says was answered: nothing on the ledger gives it a form.",
    },
}

# SPDX-License-Identifier: Apache-2.0
"""Every operation that a user of a gateway has, one row each.

The routes, the OpenAPI document, the verbs of `pedigree`, the tables of the guide and the parameters of tests derive
from these rows. What cannot be derived from a row is written by hand; the row says where (`odd`) and why.
"""

from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType
from typing import Final

from gateway.api.rows import Answer, Body, Operation, Parameter, Verb, entry, file, outcome, page, report

RECORDS_OF: Final = ("text/csv", "application/jsonl", "application/vnd.apache.parquet")
"""Media types of files of records, and of indications."""
BUNDLE: Final = "application/vnd.pedigree.bundle"
"""Media type of what checks a copy of a version."""
TRANSACTION: Final = "application/vnd.pedigree.transaction+json"
"""Media type of transactions that are signed elsewhere."""
NOTE: Final = "text/plain; charset=utf-8"
"""Media type of checkpoints, policies and receipts, whose forms C2SP's specifications define."""
IDS_OF: Final = ("text/plain", "text/csv", "application/jsonl")
"""Media types of lists of record ids."""

OWNER: Final = Parameter(
    "owner", "Only those of this organisation; none where no record is of it. An id that is not an MSP id is refused."
)
_LICENCE: Final = Parameter("licence", "Only those under this SPDX expression, or with this licence in it.")
_NAME: Final = Parameter("name", "Only those whose name begins so; in the order of names.")
_DIGEST: Final = Parameter(
    "digest", "Only those that name a digest which is this, or begins with these 8 digits or more."
)
_TIMES: Final = (
    Parameter("since", "Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time."),
    Parameter("before", "Only those recorded before this instant (RFC 3339, or a date); in the order of time."),
)
_DIRECTION: Final = Parameter("direction", "`up` (the default) or `down`.", "choice", ("up", "down"), default="up")
HIGHEST: Final = 9_999_999_999
DEEPEST: Final = 1_000_000
_AS_OF: Final = Parameter(
    "as_of",
    "Only what the blocks below this height say, at the time of the last of them; all, and now, by default.",
    "number", most=HIGHEST,
)  # fmt: skip
_READING: Final = (
    Parameter("id_field", "Column or member that holds each record's id; without it records are numbered from 1."),
    Parameter("delimiter", "What separates fields in CSV: `,`, `;`, `|` or `tab`; a comma by default."),
)
CONSENT_STATES: Final = (
    "ConsentUnknown", "ConsentRequested", "ConsentGiven", "RenewedConsentGiven", "ConsentRefused", "ConsentWithdrawn",
    "ConsentExpired", "ConsentInvalidated", "ConsentTerminated",
)  # fmt: skip
PURPOSES: Final = ("research", "model-training", "model-evaluation", "care", "public-health", "commercial")
_CONSENT: Final = (
    Parameter("consent", "Consent of every record.", "choice", CONSENT_STATES, default="ConsentUnknown"),
    Parameter(
        "purposes",
        f"Purposes that the consent covers, comma separated: {', '.join(PURPOSES)}, and those that your organisation "
        "registered, by title or IRI.",
    ),
)
_SUBJECT: Final = Parameter("subject", "Your own id of the data subject.", required=True)
_MAP_NUMBER: Final = Parameter(
    "number", "A version of the consent map; the last one by default.", "number", most=999_999_999
)
_COLUMNS: Final = (
    Parameter("subject_field", "Column or member that says whose record it is, by your own id of the data subject."),
    Parameter("consent_field", "Column or member that holds each record's consent state, such as ConsentGiven."),
    Parameter("purposes_field", "Column or member that holds the purposes that each consent covers."),
    Parameter("indicated_field", "Column or member that says when the subject indicated it (RFC 3339, or a date)."),
)
VERDICTS: Final = ("pass", "fail")
ACTIVITIES: Final = ("filter", "split", "join", "label", "transform", "synthesise", "anonymise")
_DERIVED: Final = (
    Parameter(
        "parents", "Data set versions that the records were made from, comma separated: `dataset-version:visits:3`."
    ),
    Parameter("activity", "How they were made from them.", "choice", ACTIVITIES),
    Parameter(
        "grants", "Grants of those that are other organisations' data, comma separated: `access-grant:visits-lab`."
    ),
)
_CHOOSING: Final = (
    Parameter("selection", "What it is called; needed where the gateway is to choose the records."),
    Parameter("purpose", "Only records whose consent permits this purpose, by its name or IRI."),
    Parameter("role", "Which part of a split it is: `train`, `validation` or `test`."),
    Parameter("split", "Only those in the part `role` of this split, such as train=0.8,validation=0.1,test=0.1."),
    Parameter("seed", "Of the split, 1 to 100 characters: with the record's id it says in which part a record is."),
    Parameter(
        "split_by",
        "What the split goes by: each `record`, or each data `subject`, all of whose records are in one part.",
        "choice",
        ("record", "subject"),
    ),
    Parameter("parent", "Reference of a selection from the same version: only records of that one."),
    Parameter("note", "What the ledger is to keep about it."),
    Parameter("id_field", "Column or member that holds the ids, where they come as CSV or JSON Lines."),
    Parameter("delimiter", "What separates fields in CSV: `,`, `;`, `|` or `tab`; a comma by default."),
)
REMINDER_KINDS: Final = ("awaits-endorsement", "approval-expires", "quorum-lost")
DECISIONS: Final = ("endorse", "reject", "withdraw", "counter-claim")
STAGES: Final = ("draft", "submitted", "endorsed", "approved", "deployed", "deprecated", "retired", "quarantined")
_STAGE: Final = Parameter("stage", "Only versions at this stage; of data sets and models, those with such a version.",
                         "choice", STAGES)  # fmt: skip
SENSITIVITIES: Final = ("public", "internal", "confidential", "personal", "special-category")
BASES: Final = (
    "consent", "contract", "legal-obligation", "vital-interests", "public-task", "legitimate-interests",
    "hipaa-authorisation",
)  # fmt: skip
_SENSITIVITY: Final = Parameter("sensitivity", "Only those that are so sensitive.", "choice", SENSITIVITIES)
_OF_VERSIONS: Final = (OWNER, _STAGE, _LICENCE, _DIGEST, *_TIMES)
READ_FROM: Final = Parameter(
    "from",
    "`ledger` asks this organisation's own peer; `read-model` (the default) answers what was read from blocks.",
    "choice", ("read-model", "ledger"), default="read-model", argument="source",
)  # fmt: skip
_FROM: Final = (READ_FROM,)
_OF_SELECTIONS: Final = (
    OWNER,
    Parameter("role", "Only those that are this part of a split: `train`, `validation` or `test`."),
    Parameter("purpose", "Only those for this purpose, by its IRI."),
    _NAME,
    _DIGEST,
    *_TIMES,
)
_OF_RUNS: Final = (OWNER, _NAME, _DIGEST, *_TIMES)
KINDS: Final = (
    "dataset", "dataset-version", "selection", "consent-map", "consent-map-version", "model", "model-version",
    "training-run", "criteria", "evaluation", "deployment", "access-policy", "access-offer", "access-request",
    "access-grant", "access-attempt",
)  # fmt: skip
_KIND_OF_ARTIFACT: Final = Parameter("kind", "Only artifacts of this kind.", "choice", KINDS)
_KIND_OF_END: Final = Parameter("kind", "Only edges whose other end is of this kind.", "choice", KINDS)
_RELATION: Final = Parameter("relation", "Only edges of this relation, such as extends, input:train or fine-tuned.")
_ARTIFACT: Final = MappingProxyType({"artifact": "{reference}"})
_ACCESS: Final = ("access", "data", "vouching")
_GRANT: Final = MappingProxyType({"grant": "{grant}"})
GRANT_STATUSES: Final = ("active", "suspended", "revoked", "expired")
ACCESS_ACTIONS: Final = ("download", "process", "anonymise")
ACCESS_DECISIONS: Final = ("allowed", "denied")
DENIALS: Final = (
    "no-such-grant", "another-organisation", "another-user", "revoked", "suspended", "not-yet", "expired",
    "another-version", "another-action", "another-purpose", "quarantined", "consent", "no-use-left",
)  # fmt: skip
_BY: Final = Parameter("by", "Only those of this organisation.")
_ARTIFACT_OF: Final = Parameter("artifact", "Only those of this data: a data set version or a selection.")
_PURPOSE_OF: Final = Parameter("purpose", "Only those for this purpose, by its IRI.")
_GRANT_OF: Final = Parameter("grant", "Only those of this grant, by its name.")
_VOUCHED_FOR: Final = Parameter("artifact", "Only those of this artifact, by its reference.")
_KEYID: Final = (
    "`keyid` is the SHA-256 of the signer's certificate, as `pedigree log list --identity` takes it; --json has the "
    "whole statement, and the certificate of a person who signed it."
)
_VOUCHING: Final = ("vouching",)
_SPEAKING: Final = ("vouching", "speaking")
_CLAIMING: Final = ("vouching", "speaking", "claiming")
_REASON: Final = ("reason",)
_TAKES_A_FILE: Final = "sends a file of records in pieces and follows the gateway's work on it"
_TAKES_INDICATIONS: Final = "takes what subjects indicated, and proves it against the map that this gateway holds"
_CHOOSES: Final = "chooses among the records that this gateway holds, and follows the gateway's work on it"
_AS_IT_IS: Final = "answers a text whose form others define, byte for byte"
_SIGNS: Final = "shows what is signed, and takes what was signed elsewhere"
_OF_ANY_COMMAND: Final = "takes any command, and bytes that are signed elsewhere"
_OF_DOCUMENTS: Final = ("not-prepared-here", "signed-too-late")
_FILLED_IN: Final = "the gateway looks up the digest of what is recorded, or signs the statement"

DATASETS: Final = (
    Operation(
        name="registerDataset",
        does="Register a data set of your organisation.",
        method="POST",
        path="/v1/datasets",
        role="recorder",
        body=Body("dataset:register"),
        answer=outcome("dataset"),
        sdk="register_dataset",
        verb=Verb(
            "dataset register",
            arguments=("dataset",),
            options=(
                "title",
                "licence",
                "sensitivity",
                "basis",
                "origin.source",
                "origin.method",
                "origin.geography",
            ),
            several=("origin.geography",),
            file="option",
            card=True,
        ),
    ),
    Operation(
        name="listDatasets",
        does="List data sets.",
        path="/v1/datasets",
        filters=(OWNER, _STAGE, _LICENCE, _SENSITIVITY, _NAME, _DIGEST, *_TIMES),
        answer=page("dataset"),
        sdk="datasets",
        verb=Verb("dataset list", columns=("dataset", "title", "owner", "licence", "sensitivity")),
    ),
    Operation(
        name="getDataset",
        does="Read a data set.",
        path="/v1/datasets/{dataset}",
        about="dataset:{dataset}",
        parameters=_FROM,
        answer=entry("dataset"),
        sdk="dataset",
        verb=Verb("dataset show", help="Show a data set, or one version of it."),
    ),
    Operation(
        name="commitDatasetVersion",
        does="Commit to every record of a version: send the records, or a root that was computed elsewhere.",
        method="POST",
        path="/v1/datasets/{dataset}/versions",
        role="recorder",
        body=Body("dataset:commit-version", bound={"dataset": "{dataset}"}, filled=("number",)),
        uploads=RECORDS_OF,
        parameters=(*_READING, *_CONSENT, *_COLUMNS, *_DERIVED),
        answer=outcome("dataset-version"),
        sdk="commit_records",
        verb=Verb("dataset commit"),
        codes={409: ("consent-subjects-elsewhere",)},
        odd=dict.fromkeys(("rest", "sdk", "cli"), _TAKES_A_FILE),
    ),
    Operation(
        name="listDatasetVersions",
        does="List the versions of a data set.",
        path="/v1/datasets/{dataset}/versions",
        filters=_OF_VERSIONS,
        answer=page("dataset-version"),
        sdk="dataset_versions",
        verb=Verb("dataset versions", columns=("dataset", "number", "change", "size", "root")),
    ),
    Operation(
        name="listAllDatasetVersions",
        does="List versions of all data sets.",
        path="/v1/dataset-versions",
        filters=(OWNER, _STAGE, _LICENCE, _SENSITIVITY, _NAME, _DIGEST, *_TIMES),
        answer=page("dataset-version"),
        sdk="all_dataset_versions",
        verb=Verb("list dataset-versions", columns=("dataset", "number", "change", "size", "root")),
    ),
    Operation(
        name="getDatasetVersion",
        does="Read a version.",
        path="/v1/datasets/{dataset}/versions/{number}",
        about="dataset-version:{dataset}:{number}",
        parameters=_FROM,
        answer=report("DatasetVersionDetails"),
        sdk="dataset_version",
        verb=Verb("dataset show"),
        odd={"rest": "says how the file was read, where this gateway holds the records"},
    ),
    Operation(
        name="proveRecord",
        does="Evidence that a record is in a version; only its owner's gateway has it.",
        path="/v1/datasets/{dataset}/versions/{number}/proof",
        about="dataset-version:{dataset}:{number}",
        role="recorder",
        parameters=(Parameter("id", "The record's id.", required=True, argument="record_id"),),
        answer=report("Evidence"),
        sdk="record_proof",
        verb=Verb("dataset proof"),
        codes={404: ("records-not-held",)},
        odd={"rest": "computed from the records that this gateway holds", "cli": "writes a file of evidence"},
    ),
    Operation(
        name="getBundle",
        does="What checks a copy of a version without its owner: a salt and a digest for each record, no content.",
        path="/v1/datasets/{dataset}/versions/{number}/bundle",
        about="dataset-version:{dataset}:{number}",
        role="recorder",
        parameters=(
            Parameter(
                "selections", "Names of selections, comma separated, whose records it is to tell from the others."
            ),
        ),
        answer=file(BUNDLE),
        sdk="save_bundle",
        verb=Verb("dataset bundle"),
        codes={404: ("records-not-held", "selection-not-held"), 429: ("too-many-requests",), 503: ("capacity",)},
        odd=dict.fromkeys(("rest", "sdk", "cli"), "answers a file in pieces, and keeps it whole or not at all"),
    ),
    Operation(
        name="publishDatasetVersion",
        does="Seal the bytes of a version that your organisation committed, and keep them for those who get access.",
        method="POST",
        path="/v1/datasets/{dataset}/versions/{number}/content",
        about="dataset-version:{dataset}:{number}",
        role="recorder",
        uploads=RECORDS_OF,
        parameters=tuple(
            Parameter(each.name, f"{each.meaning} As the version was read, where nothing is said.") for each in _READING
        ),
        answer=report("Publication"),
        sdk="publish_dataset",
        verb=Verb("dataset publish"),
        codes={
            404: ("records-not-held",),
            422: ("not-the-committed-records",),
            500: ("key-encryption-key-unusable", "blob-missing"),
            503: ("blob-store-failed",),
        },
        odd=dict.fromkeys(("rest", "sdk", "cli"), _TAKES_A_FILE),
    ),
    Operation(
        name="verifyDatasetVersion",
        does="Compare a copy of the records, or the owner's own store, with the ledger.",
        method="POST",
        path="/v1/datasets/{dataset}/versions/{number}/verify",
        about="dataset-version:{dataset}:{number}",
        role="recorder",
        uploads=RECORDS_OF,
        optional_body=True,
        parameters=(
            *(
                Parameter(each.name, f"{each.meaning} As the version was read, where nothing is said.")
                for each in _READING
            ),
            Parameter(
                "selection", "Name of a selection from the version: the copy should have its records, no others."
            ),
        ),
        answer=report("DatasetComparison"),
        sdk="verify_dataset",
        verb=Verb("dataset verify"),
        codes={404: ("records-not-held",)},
        odd=dict.fromkeys(("rest", "sdk", "cli"), _TAKES_A_FILE),
    ),
)

SELECTIONS: Final = (
    Operation(
        name="commitSelection",
        does="Commit to some records of a version: by their ids, a purpose or a split, or a root computed elsewhere.",
        method="POST",
        path="/v1/datasets/{dataset}/versions/{number}/selections",
        about="dataset-version:{dataset}:{number}",
        role="recorder",
        body=Body("selection:commit", bound={"version": "dataset-version:{dataset}:{number}"}),
        uploads=IDS_OF,
        optional_body=True,
        parameters=_CHOOSING,
        answer=outcome("selection"),
        sdk="commit_selection",
        verb=Verb(
            "selection commit",
            help="Commit to some of a version's records, from FILE (JSON).",
            arguments=("selection",),
            file="argument",
        ),
        codes={
            404: ("records-not-held", "selection-not-held", "consent-map-not-held"),
            409: ("consent-map-behind",),
            422: ("no-subjects", "nothing-selected", "records-unknown"),
        },
        odd=dict.fromkeys(("rest", "sdk"), _CHOOSES),
    ),
    Operation(
        name="listSelections",
        does="List the selections from a version.",
        path="/v1/datasets/{dataset}/versions/{number}/selections",
        filters=_OF_SELECTIONS,
        answer=page("selection"),
        sdk="selections",
        verb=Verb("selection list", columns=("selection", "size", "role", "purpose", "root")),
    ),
    Operation(
        name="listAllSelections",
        does="List selections from all data set versions.",
        path="/v1/selections",
        filters=_OF_SELECTIONS,
        answer=page("selection"),
        sdk="all_selections",
        verb=Verb("list selections", columns=("dataset", "number", "selection", "size", "role", "purpose")),
    ),
    Operation(
        name="getSelection",
        does="Read a selection.",
        path="/v1/datasets/{dataset}/versions/{number}/selections/{selection}",
        about="selection:{dataset}:{number}:{selection}",
        parameters=_FROM,
        answer=entry("selection"),
        sdk="selection",
        verb=Verb("selection show", help="Show a selection."),
    ),
    Operation(
        name="proveSelected",
        does="Evidence that a record is in a selection, by the leaf that it has in the version; its owner has it.",
        path="/v1/datasets/{dataset}/versions/{number}/selections/{selection}/proof",
        about="selection:{dataset}:{number}:{selection}",
        role="recorder",
        parameters=(Parameter("id", "The record's id.", required=True, argument="record_id"),),
        answer=report("SelectionEvidence"),
        sdk="selection_proof",
        verb=Verb("selection proof"),
        codes={404: ("records-not-held", "selection-not-held", "record-not-selected")},
        odd={"rest": "computed from the records that this gateway holds", "cli": "writes a file of evidence"},
    ),
    Operation(
        name="getSelectionBundle",
        does="What checks a copy of a selection without its owner: a salt and a digest for each of its records alone.",
        path="/v1/datasets/{dataset}/versions/{number}/selections/{selection}/bundle",
        about="selection:{dataset}:{number}:{selection}",
        role="recorder",
        answer=file(BUNDLE),
        sdk="save_selection_bundle",
        verb=Verb("selection bundle"),
        codes={404: ("records-not-held", "selection-not-held"), 429: ("too-many-requests",), 503: ("capacity",)},
        odd=dict.fromkeys(("rest", "sdk", "cli"), "answers a file in pieces, and keeps it whole or not at all"),
    ),
    Operation(
        name="publishSelection",
        does="Seal the records of a selection, and no others, and keep them for those who get access.",
        method="POST",
        path="/v1/datasets/{dataset}/versions/{number}/selections/{selection}/content",
        about="selection:{dataset}:{number}:{selection}",
        role="recorder",
        uploads=RECORDS_OF,
        optional_body=True,
        parameters=tuple(
            Parameter(each.name, f"{each.meaning} As the version was read, where nothing is said.") for each in _READING
        ),
        answer=report("Publication"),
        sdk="publish_selection",
        verb=Verb("selection publish"),
        codes={
            404: ("records-not-held", "selection-not-held"),
            422: ("not-the-committed-records", "selection-needs-a-file"),
            500: ("key-encryption-key-unusable", "blob-missing"),
            503: ("blob-store-failed",),
            507: ("storage-full",),
        },
        odd=dict.fromkeys(("rest", "sdk", "cli"), _TAKES_A_FILE),
    ),
)

CONSENT: Final = (
    Operation(
        name="openConsent",
        does="Open the consent map of your data set, with the root over what its subjects have said.",
        method="POST",
        path="/v1/datasets/{dataset}/consent",
        role="recorder",
        body=Body("consent:open", bound={"dataset": "{dataset}"}, filled=("root", "size")),
        uploads=RECORDS_OF,
        optional_body=True,
        answer=outcome("consent-map-version"),
        sdk="open_consent",
        verb=Verb("consent open", help="Open the consent map of a data set of yours."),
        codes={409: ("consent-subjects-elsewhere",)},
        odd=dict.fromkeys(("rest", "sdk", "cli"), _TAKES_INDICATIONS),
    ),
    Operation(
        name="getConsent",
        does="Read the consent map of a data set as it is now.",
        path="/v1/datasets/{dataset}/consent",
        about="consent-map:{dataset}",
        parameters=_FROM,
        answer=entry("consent-map"),
        sdk="consent",
        verb=Verb("consent show", help="Show a consent map, or what a subject indicated."),
        odd={"cli": "shows one subject's state and history too, where a subject is named"},
    ),
    Operation(
        name="changeConsent",
        does="Change what up to 500 subjects have said, each with the proof of what it was before.",
        method="POST",
        path="/v1/datasets/{dataset}/consent/changes",
        role="recorder",
        body=Body("consent:change", bound={"dataset": "{dataset}"}),
        uploads=RECORDS_OF,
        answer=outcome("consent-map-version"),
        sdk="change_consent",
        verb=Verb("consent change"),
        codes={404: ("consent-map-not-held",), 409: ("consent-map-behind", "consent-subjects-elsewhere")},
        odd=dict.fromkeys(("rest", "sdk", "cli"), _TAKES_INDICATIONS),
    ),
    Operation(
        name="markSelections",
        does="Mark more selections that a version of your consent map affects, where you keep the map by yourself.",
        method="POST",
        path="/v1/datasets/{dataset}/consent/marks",
        role="recorder",
        body=Body("consent:mark", bound={"dataset": "{dataset}"}),
        answer=outcome("selection-mark"),
        sdk="mark_selections",
        verb=Verb(
            "consent mark",
            help="Mark selections that a change affects, from FILE (JSON).",
            more="Where your gateway keeps the map it marks them by itself.",
            file="argument",
        ),
    ),
    Operation(
        name="proveConsent",
        does="Evidence of what a data subject's consent is, or that there is none; its controller's gateway has it.",
        path="/v1/datasets/{dataset}/consent/proof",
        role="recorder",
        parameters=(_SUBJECT, _MAP_NUMBER),
        answer=report("ConsentEvidence"),
        sdk="consent_proof",
        verb=Verb("consent proof", help="Print evidence of a data subject's consent."),
        codes={404: ("consent-map-not-held", "subject-unknown"), 409: ("consent-map-behind",)},
        odd={"rest": "computed from the map that this gateway holds", "cli": "takes the subject as an argument"},
    ),
    Operation(
        name="getConsentHistory",
        does="What a data subject's consent is, and every change of it; its controller's gateway has it.",
        path="/v1/datasets/{dataset}/consent/history",
        role="recorder",
        parameters=(_SUBJECT,),
        answer=report("ConsentHistory"),
        sdk="consent_history",
        verb=Verb("consent show"),
        codes={404: ("consent-map-not-held", "subject-unknown"), 409: ("consent-map-behind",)},
        odd={"rest": "read from the map that this gateway holds", "cli": "takes the subject as an argument"},
    ),
    Operation(
        name="getConsentReceipt",
        does="A receipt for a data subject (ISO/IEC TS 27560, in DPV's terms), with the proof of what it says.",
        path="/v1/datasets/{dataset}/consent/receipt",
        role="recorder",
        parameters=(_SUBJECT, _MAP_NUMBER),
        answer=report("ConsentReceipt"),
        sdk="consent_receipt",
        verb=Verb("consent receipt", help="Write a receipt for a data subject."),
        codes={404: ("consent-map-not-held", "nothing-indicated", "subject-unknown"), 409: ("consent-map-behind",)},
        odd={"rest": "made of what this gateway holds", "cli": "takes the subject as an argument, and writes a file"},
    ),
    Operation(
        name="getConsentImpact",
        does="What was made with a data subject's records, whether they trained it, and what each owner has to do.",
        path="/v1/datasets/{dataset}/consent/impact",
        about="dataset:{dataset}",
        role="recorder",
        parameters=(_SUBJECT, _AS_OF),
        answer=report("ConsentImpact", paged=True),
        sdk="consent_impact",
        verb=Verb("consent impact", help="Show what a data subject's withdrawal comes to."),
        codes={404: ("consent-map-not-held", "subject-unknown"), 409: ("consent-map-behind",)},
        odd={"rest": "a walk from the records that this gateway holds", "cli": "takes the subject as an argument"},
    ),
    Operation(
        name="signConsentImpact",
        does="The impact of a data subject's withdrawal as a statement that this organisation signs, without ids.",
        path="/v1/datasets/{dataset}/consent/impact/statement",
        about="dataset:{dataset}",
        role="recorder",
        parameters=(_SUBJECT, _AS_OF),
        answer=report("SignedImpact"),
        sdk="consent_impact_statement",
        verb=Verb("consent impact"),
        codes={
            404: ("consent-map-not-held", "subject-unknown"),
            409: ("consent-map-behind",),
            503: ("signing-key-unavailable",),
        },
        odd={"rest": "signed with this gateway's key", "cli": "writes a file of evidence"},
    ),
    Operation(
        name="listConsentVersions",
        does="List the versions of a data set's consent map.",
        path="/v1/datasets/{dataset}/consent/versions",
        filters=_TIMES,
        answer=page("consent-map-version"),
        sdk="consent_versions",
        verb=Verb("consent versions", columns=("dataset", "number", "size", "changed", "root")),
    ),
    Operation(
        name="getConsentVersion",
        does="Read a version of a data set's consent map.",
        path="/v1/datasets/{dataset}/consent/versions/{number}",
        about="consent-map-version:{dataset}:{number}",
        parameters=_FROM,
        answer=entry("consent-map-version"),
        sdk="consent_version",
        verb=Verb("consent version", help="Show a version of the consent map of a data set."),
    ),
    Operation(
        name="registerPurpose",
        does="Give one of the bits 32 to 63 a meaning in your organisation's data sets.",
        method="POST",
        path="/v1/purposes",
        role="recorder",
        body=Body("purpose:register"),
        answer=outcome("purpose"),
        sdk="register_purpose",
        verb=Verb(
            "purpose register",
            help="Register what one of your bits 32 to 63 means.",
            arguments=("bit",),
            options=("iri", "title"),
            required=("iri",),
        ),
    ),
    Operation(
        name="listPurposes",
        does="List the purposes that organisations have registered.",
        path="/v1/purposes",
        filters=(OWNER, *_TIMES),
        answer=page("purpose"),
        sdk="purposes",
        verb=Verb("purpose list", columns=("owner", "bit", "iri", "title")),
    ),
)

MODELS: Final = (
    Operation(
        name="registerModel",
        does="Register a model of your organisation.",
        method="POST",
        path="/v1/models",
        role="recorder",
        body=Body("model:register"),
        answer=outcome("model"),
        sdk="register_model",
        verb=Verb("model register", arguments=("model",), options=("title",), file="option"),
    ),
    Operation(
        name="listModels",
        does="List models.",
        path="/v1/models",
        filters=(OWNER, _STAGE, _LICENCE, _NAME, _DIGEST, *_TIMES),
        answer=page("model"),
        sdk="models",
        verb=Verb("model list", columns=("model", "title", "owner")),
    ),
    Operation(
        name="getModel",
        does="Read a model.",
        path="/v1/models/{model}",
        about="model:{model}",
        parameters=_FROM,
        answer=entry("model"),
        sdk="model",
        verb=Verb("model show", help="Show a model, or one version of it."),
    ),
    Operation(
        name="recordModelVersion",
        does="Record a version of your model, the next one unless it says which: every file by its SHA-256.",
        method="POST",
        path="/v1/models/{model}/versions",
        role="recorder",
        body=Body("model:record-version", bound={"model": "{model}"}, filled=("number",)),
        answer=outcome("model-version"),
        sdk="record_model_version",
        verb=Verb("model record"),
        odd={"sdk": "hashes the files of a folder", "cli": "hashes the files of a folder"},
    ),
    Operation(
        name="listModelVersions",
        does="List the versions of a model.",
        path="/v1/models/{model}/versions",
        filters=_OF_VERSIONS,
        answer=page("model-version"),
        sdk="model_versions",
        verb=Verb("model versions", columns=("model", "number", "licence", "run", "digest")),
    ),
    Operation(
        name="listAllModelVersions",
        does="List versions of all models.",
        path="/v1/model-versions",
        filters=(OWNER, _STAGE, _LICENCE, _NAME, _DIGEST, *_TIMES),
        answer=page("model-version"),
        sdk="all_model_versions",
        verb=Verb("list model-versions", columns=("model", "number", "licence", "run", "digest")),
    ),
    Operation(
        name="getModelVersion",
        does="Read a version and the parents declared later.",
        path="/v1/models/{model}/versions/{number}",
        about="model-version:{model}:{number}",
        parameters=_FROM,
        answer=report("ModelVersionDetails"),
        sdk="model_version",
        verb=Verb("model show"),
        odd={"rest": "joins the parents that were declared later, which are a record of their own"},
    ),
    Operation(
        name="declareModelParent",
        does="Add a parent that became known later.",
        method="POST",
        path="/v1/models/{model}/versions/{number}/parents",
        about="model-version:{model}:{number}",
        role="recorder",
        body=Body("model:declare-parent", bound={"child": "model-version:{model}:{number}"}),
        answer=outcome("later-parents"),
        sdk="declare_parent",
        verb=Verb("model declare-parent", arguments=("parent",), options=("relation",), required=("relation",)),
    ),
)

RUNS: Final = (
    Operation(
        name="recordRun",
        does="Record a training run that is over.",
        method="POST",
        path="/v1/runs",
        role="recorder",
        body=Body("run:record", refusals=("data", "vouching")),
        answer=outcome("training-run"),
        sdk="record_run",
        verb=Verb("run record"),
        odd={
            "rest": "the gateway signs the run's statement",
            "sdk": "takes mappings of parameters and metrics, and floating-point numbers",
            "cli": "also reads the file that a program left which could not record its run",
        },
    ),
    Operation(
        name="listRuns",
        does="List training runs.",
        path="/v1/runs",
        filters=_OF_RUNS,
        answer=page("training-run"),
        sdk="runs",
        verb=Verb("run list", columns=("run", "owner", "finished")),
    ),
    Operation(
        name="getRun",
        does="Read a training run.",
        path="/v1/runs/{run}",
        about="run:{run}",
        parameters=_FROM,
        answer=entry("training-run"),
        sdk="get_run",
        verb=Verb("run show", help="Show a training run."),
    ),
    Operation(
        name="getRunStatement",
        does="The signed statement of a run: SLSA provenance, in an in-toto statement, in a DSSE envelope.",
        path="/v1/runs/{run}/statement",
        about="run:{run}",
        parameters=_FROM,
        answer=report("SignedStatement"),
        sdk="run_statement",
        verb=Verb("run statement", help="Print the signed statement of a run."),
        codes={404: ("run-not-signed",)},
        odd={"rest": "made of the record and its signature", "cli": "writes a file of evidence"},
    ),
    Operation(
        name="registerCriteria",
        does="Register what evaluations of a model have to reach, before the training that they judge.",
        method="POST",
        path="/v1/criteria",
        role="recorder",
        body=Body("criteria:register"),
        answer=outcome("criteria"),
        sdk="register_criteria",
        verb=Verb("criteria register"),
        odd={
            "sdk": "takes criteria as text, such as `auc >= 0.95`, and thresholds as numbers",
            "cli": "takes criteria as text, such as `auc >= 0.95`",
        },
    ),
    Operation(
        name="listCriteria",
        does="List criteria of evaluations.",
        path="/v1/criteria",
        filters=(
            *_OF_RUNS,
            Parameter("version", "Only those that are measured on this data set version."),
            Parameter("model", "Only those for this model."),
        ),
        answer=page("criteria"),
        sdk="all_criteria",
        verb=Verb("criteria list", columns=("criteria", "owner", "registered_at", "version", "all_of")),
    ),
    Operation(
        name="getCriteria",
        does="Read criteria of evaluations.",
        path="/v1/criteria/{criteria}",
        about="criteria:{criteria}",
        parameters=_FROM,
        answer=entry("criteria"),
        sdk="criteria",
        verb=Verb("criteria show", help="Show criteria of evaluations."),
    ),
    Operation(
        name="recordEvaluation",
        does="Record how a model version did on a data set version.",
        method="POST",
        path="/v1/evaluations",
        role="recorder",
        body=Body("evaluation:record", refusals=("data", "judging")),
        answer=outcome("evaluation"),
        sdk="record_evaluation",
        verb=Verb(
            "evaluation record",
            help="Record an evaluation, from FILE (JSON).",
            arguments=("evaluation",),
            options=("criteria",),
            file="argument",
        ),
        odd={"sdk": "takes a mapping of metrics, and floating-point numbers"},
    ),
    Operation(
        name="listEvaluations",
        does="List evaluations.",
        path="/v1/evaluations",
        filters=(
            *_OF_RUNS,
            Parameter("subject", "Only those of this model version."),
            Parameter("criteria", "Only those that these criteria judged."),
            Parameter(
                "verdict", "Only those whose criteria are all met (`pass`), or not (`fail`).", "choice", VERDICTS
            ),
        ),
        answer=page("evaluation"),
        sdk="evaluations",
        verb=Verb("evaluation list", columns=("evaluation", "subject", "owner", "evaluated_at", "criteria", "verdict")),
    ),
    Operation(
        name="getEvaluation",
        does="Read an evaluation.",
        path="/v1/evaluations/{evaluation}",
        about="evaluation:{evaluation}",
        parameters=_FROM,
        answer=entry("evaluation"),
        sdk="evaluation",
        verb=Verb("evaluation show", help="Show an evaluation."),
    ),
)

DEPLOYMENTS: Final = (
    Operation(
        name="recordDeployment",
        does="Record that your organisation puts a model version to use.",
        method="POST",
        path="/v1/deployments",
        role="recorder",
        body=Body("deployment:record"),
        answer=outcome("deployment"),
        sdk="record_deployment",
        verb=Verb(
            "deployment record",
            more="The model may be another organisation's: who uses it records where, and when that ended.",
            arguments=("deployment", "version"),
            options=("location", "territories", "digest", "purpose", "note"),
            required=("location",),
            several=("territories",),
            file="option",
        ),
    ),
    Operation(
        name="listDeployments",
        does="List deployments.",
        path="/v1/deployments",
        filters=(*_OF_RUNS, Parameter("version", "Only those of this model version.")),
        answer=page("deployment"),
        sdk="deployments",
        verb=Verb("deployment list", columns=("deployment", "version", "owner", "location", "started")),
    ),
    Operation(
        name="getDeployment",
        does="Read a deployment, and its end where it has ended.",
        path="/v1/deployments/{deployment}",
        about="deployment:{deployment}",
        parameters=_FROM,
        answer=report("DeploymentDetails"),
        sdk="deployment",
        verb=Verb("deployment show", help="Show a deployment, and when it ended."),
        odd={"rest": "joins the end, which is a record of its own", "cli": "says whether it has ended"},
    ),
    Operation(
        name="endDeployment",
        does="Record that a deployment of yours ended; that is recorded once.",
        method="POST",
        path="/v1/deployments/{deployment}/end",
        about="deployment:{deployment}",
        role="recorder",
        body=Body("deployment:end", bound={"deployment": "{deployment}"}),
        answer=outcome("deployment-end"),
        sdk="end_deployment",
        verb=Verb("deployment end", help="Record that a deployment of yours ended.", options=_REASON),
    ),
    Operation(
        name="listDeploymentEnds",
        does="List which deployments ended, and when.",
        path="/v1/deployment-ends",
        filters=(OWNER, *_TIMES),
        answer=page("deployment-end"),
        sdk="deployment_ends",
        verb=Verb("list deployment-ends", columns=("deployment", "owner", "ended", "reason")),
    ),
)

ACCESS: Final = (
    Operation(
        name="setAccessPolicy",
        does="Say under which terms others get access to your data set.",
        method="POST",
        path="/v1/datasets/{dataset}/access-policies",
        role="operator",
        body=Body("access:set-policy", bound={"dataset": "{dataset}"}, filled=("number",), refusals=_ACCESS),
        answer=outcome("access-policy"),
        sdk="set_access_policy",
        verb=Verb("access policy"),
        odd={"cli": "takes durations such as 30d, and shows the policy in force where nothing is set"},
    ),
    Operation(
        name="listAccessPolicies",
        does="List the versions of a data set's access policy.",
        path="/v1/datasets/{dataset}/access-policies",
        filters=(OWNER, *_TIMES),
        answer=page("access-policy"),
        sdk="access_policies",
        verb=Verb(
            "access policies",
            columns=("dataset", "number", "purposes", "actions", "longest", "most_uses", "approvers"),
        ),
    ),
    Operation(
        name="getAccessPolicy",
        does="Read a version of a data set's access policy.",
        path="/v1/datasets/{dataset}/access-policies/{number}",
        about="access-policy:{dataset}:{number}",
        parameters=_FROM,
        answer=entry("access-policy"),
        sdk="access_policy",
        verb=Verb("access policy"),
        odd={"cli": "shown by the verb that sets it"},
    ),
    Operation(
        name="listAccessOffers",
        does="List which data sets have an access policy, and the version in force.",
        path="/v1/access-offers",
        filters=(OWNER, _NAME, *_TIMES),
        answer=page("access-offer"),
        sdk="access_offers",
        verb=Verb(
            "list access-offers",
            help="List which data sets have an access policy.",
            columns=("dataset", "owner", "number", "changed_at"),
        ),
    ),
    Operation(
        name="requestAccess",
        does="Ask for access to another organisation's data.",
        method="POST",
        path="/v1/access-requests",
        role="recorder",
        body=Body("access:request", refusals=_ACCESS),
        answer=outcome("access-request"),
        sdk="request_access",
        verb=Verb("access request", arguments=("request",)),
        odd={"cli": "takes durations such as 30d, and a public key from a file"},
    ),
    Operation(
        name="listAccessRequests",
        does="List requests for access.",
        path="/v1/access-requests",
        filters=(OWNER, _BY, _ARTIFACT_OF, _PURPOSE_OF, _NAME, *_TIMES),
        answer=page("access-request"),
        sdk="access_requests",
        verb=Verb("access requests", columns=("request", "by", "owner", "artifact", "purpose", "expires")),
    ),
    Operation(
        name="getAccessRequest",
        does="Read a request for access, and what was said of it.",
        path="/v1/access-requests/{request}",
        about="access-request:{request}",
        parameters=_FROM,
        answer=entry("access-request"),
        sdk="access_request",
        verb=Verb("access show-request", help="Show a request for access."),
    ),
    Operation(
        name="approveAccess",
        does="Approve a request for access, as an organisation that the access policy names.",
        method="POST",
        path="/v1/access-requests/{request}/approval",
        about="access-request:{request}",
        role="endorser",
        body=Body("access:approve", bound={"request": "{request}"}, refusals=_ACCESS),
        answer=outcome("access-approval"),
        sdk="approve_access",
        verb=Verb("access approve", help="Approve a request that the access policy asks you about.", options=("note",)),
    ),
    Operation(
        name="denyAccess",
        does="Deny a request for access, as the data's owner or as an organisation that the access policy names.",
        method="POST",
        path="/v1/access-requests/{request}/denial",
        about="access-request:{request}",
        role="endorser",
        body=Body("access:deny", bound={"request": "{request}"}, refusals=_ACCESS),
        answer=outcome("access-approval"),
        sdk="deny_access",
        verb=Verb("access deny", help="Deny a request for access.", options=_REASON, required=_REASON),
    ),
    Operation(
        name="listAccessApprovals",
        does="List what organisations that have a say said of requests for access.",
        path="/v1/access-approvals",
        filters=(_BY, Parameter("request", "Only those of this request, by its name."), *_TIMES),
        answer=page("access-approval"),
        sdk="access_approvals",
        verb=Verb(
            "list access-approvals",
            help="List what was said of requests for access.",
            columns=("request", "by", "word", "at", "note"),
        ),
    ),
    Operation(
        name="grantAccess",
        does="Give another organisation access to your data, as it asked for or as you say.",
        method="POST",
        path="/v1/access-grants",
        role="operator",
        body=Body("access:grant", refusals=_ACCESS),
        answer=outcome("access-grant"),
        sdk="grant_access",
        verb=Verb("access grant", arguments=("grant",)),
        odd={"cli": "takes durations such as 30d, and a public key from a file"},
    ),
    Operation(
        name="listAccessGrants",
        does="List grants of access.",
        path="/v1/access-grants",
        filters=(
            OWNER,
            Parameter("grantee", "Only those to this organisation."),
            _ARTIFACT_OF,
            _PURPOSE_OF,
            Parameter("grant_status", "Only those in this status.", "choice", GRANT_STATUSES),
            _NAME,
            *_TIMES,
        ),
        answer=page("access-grant"),
        sdk="access_grants",
        verb=Verb("access list", columns=("grant", "grantee", "artifact", "purpose", "expires", "uses", "status")),
    ),
    Operation(
        name="getAccessGrant",
        does="Read a grant of access.",
        path="/v1/access-grants/{grant}",
        about="access-grant:{grant}",
        parameters=_FROM,
        answer=entry("access-grant"),
        sdk="access_grant",
        verb=Verb("access show", help="Show a grant of access."),
    ),
    Operation(
        name="suspendAccess",
        does="Stop a grant of yours until you resume it.",
        method="POST",
        path="/v1/access-grants/{grant}/suspension",
        about="access-grant:{grant}",
        role="operator",
        body=Body("access:suspend", bound=_GRANT, refusals=_ACCESS),
        answer=outcome("access-grant"),
        sdk="suspend_access",
        verb=Verb("access suspend", options=_REASON, required=_REASON),
    ),
    Operation(
        name="resumeAccess",
        does="Let a suspended grant of yours run on.",
        method="POST",
        path="/v1/access-grants/{grant}/resumption",
        about="access-grant:{grant}",
        role="operator",
        body=Body("access:resume", bound=_GRANT, refusals=_ACCESS),
        answer=outcome("access-grant"),
        sdk="resume_access",
        verb=Verb("access resume", options=_REASON),
    ),
    Operation(
        name="revokeAccess",
        does="End a grant of yours at once, for good.",
        method="POST",
        path="/v1/access-grants/{grant}/revocation",
        about="access-grant:{grant}",
        role="operator",
        body=Body("access:revoke", bound=_GRANT, refusals=_ACCESS),
        answer=outcome("access-grant"),
        sdk="revoke_access",
        verb=Verb("access revoke", options=_REASON, required=_REASON),
    ),
    Operation(
        name="expireAccess",
        does="Write that a grant of yours is over, once its time has passed.",
        method="POST",
        path="/v1/access-grants/{grant}/expiry",
        about="access-grant:{grant}",
        role="operator",
        body=Body("access:expire", bound=_GRANT, refusals=_ACCESS),
        answer=outcome("access-grant"),
        sdk="expire_access",
        verb=Verb("access expire", more="Without a name: every grant of yours whose time has passed."),
        odd={"cli": "looks for every grant whose time has passed where none is named"},
    ),
    Operation(
        name="reviewAccess",
        does="Say, as a third member, whether a grant that was given in an emergency was right.",
        method="POST",
        path="/v1/access-grants/{grant}/reviews",
        about="access-grant:{grant}",
        role="endorser",
        body=Body("access:review", bound=_GRANT, refusals=_ACCESS),
        answer=outcome("access-review"),
        sdk="review_access",
        verb=Verb("access review"),
        odd={"cli": "takes yes or no as an option without a value"},
    ),
    Operation(
        name="listAccessReviews",
        does="List what third members found of grants that were given in an emergency.",
        path="/v1/access-reviews",
        filters=(_BY, _GRANT_OF, *_TIMES),
        answer=page("access-review"),
        sdk="access_reviews",
        verb=Verb(
            "list access-reviews",
            help="List reviews of grants given in an emergency.",
            columns=("grant", "by", "justified", "note"),
        ),
    ),
    Operation(
        name="attemptAccess",
        does="Ask to use data under a grant, now; what is denied is recorded as well, with its reason.",
        method="POST",
        path="/v1/access-attempts",
        role="recorder",
        body=Body("access:attempt", refusals=_ACCESS),
        answer=outcome("access-attempt"),
        sdk="attempt_access",
        verb=Verb(
            "access attempt",
            help="Ask to use data under a grant, now.",
            more="The decision is recorded, allowed or denied.",
            arguments=("grant", "artifact"),
        ),
        odd={"cli": "ends with an exit code of its own where the attempt is denied"},
    ),
    Operation(
        name="listAccessAttempts",
        does="List attempts to use data, the allowed and the denied ones.",
        path="/v1/access-attempts",
        filters=(
            OWNER,
            Parameter("by", "Only those that this organisation made."),
            _GRANT_OF,
            _ARTIFACT_OF,
            _PURPOSE_OF,
            Parameter("access_decision", "Only those that came to this.", "choice", ACCESS_DECISIONS),
            Parameter("reason", "Only those that were denied for this reason.", "choice", DENIALS),
            *_TIMES,
        ),
        answer=page("access-attempt"),
        sdk="access_attempts",
        verb=Verb(
            "access log",
            help="List attempts to use data, denied ones too.",
            columns=("at", "by", "grant", "artifact", "action", "purpose", "decision", "reason"),
        ),
    ),
    Operation(
        name="getAccessAttempt",
        does="Read an attempt to use data, by the id of its transaction.",
        path="/v1/access-attempts/{attempt}",
        about="access-attempt:{attempt}",
        parameters=_FROM,
        answer=entry("access-attempt"),
        sdk="access_attempt",
        verb=Verb("access show-attempt", help="Show an attempt to use data."),
    ),
    Operation(
        name="signFetch",
        does="Sign that your organisation fetches what an attempt of it was allowed, for the owner's gateway.",
        path="/v1/access-attempts/{attempt}/statement",
        role="recorder",
        parameters=(
            Parameter(
                "recipient_key",
                "Public key that the data key is to go to: base64 of its SubjectPublicKeyInfo, on P-256.",
            ),
        ),
        answer=report("FetchStatement"),
        sdk="sign_fetch",
        verb=Verb("access statement", help="Sign a statement for the owner's gateway."),
        codes={403: ("fetch-by-another",), 503: ("signing-key-unavailable",)},
        odd={"rest": "is signed with the organisation's own key"},
    ),
    Operation(
        name="listDeliveries",
        does="List what this gateway gave out of its organisation's data and what it refused, the last first.",
        path="/v1/deliveries",
        role="operator",
        parameters=(Parameter("before", "Only those before this one.", "number", most=HIGHEST),),
        answer=report("Deliveries"),
        sdk="deliveries",
        verb=Verb("access deliveries"),
        odd=dict.fromkeys(("rest", "cli"), "is of what this gateway keeps, and has no record on the ledger"),
    ),
    Operation(
        name="listAccesses",
        does="List attempts and the small reads that this gateway decided together, in the order of time.",
        path="/v1/accesses",
        filters=(
            OWNER,
            Parameter("by", "Only those that this organisation made."),
            _GRANT_OF,
            _ARTIFACT_OF,
            _PURPOSE_OF,
            Parameter("access_decision", "Only those that came to this.", "choice", ACCESS_DECISIONS),
            Parameter("reason", "Only those that were denied for this reason.", "choice", DENIALS),
            *_TIMES,
        ),
        answer=report("Accesses", paged=True),
        sdk="accesses",
        verb=Verb("access attempts"),
        odd={
            "rest": "joins what the ledger has and what this gateway keeps",
            "cli": "compares with the ledger what another owner's gateway keeps",
        },
    ),
    Operation(
        name="listAccessReads",
        does="List the reads that this gateway decided without a transaction each, the last first, with their proofs.",
        path="/v1/access-reads",
        parameters=(
            Parameter("before", "Only those before this one.", "number", most=HIGHEST),
            _GRANT_OF,
        ),
        answer=report("AccessReads"),
        sdk="access_reads",
        verb=Verb("access reads"),
        odd=dict.fromkeys(("rest", "cli"), "is of what this gateway keeps, and has no record on the ledger"),
    ),
    Operation(
        name="signReadList",
        does="Sign that your organisation asks to see a list of another organisation's reads, for that one's gateway.",
        path="/v1/access-batches/{organisation}/{number}/statement",
        answer=report("FetchStatement"),
        sdk="sign_read_list",
        verb=Verb("access sign-reads", help="Sign a statement for the gateway of who keeps the reads."),
        codes={400: ("invalid-parameter",), 503: ("signing-key-unavailable",)},
        odd={"rest": "is signed with the organisation's own key"},
    ),
    Operation(
        name="listAccessSlots",
        does="List the uses of a grant that are taken.",
        path="/v1/access-grants/{grant}/uses",
        filters=_TIMES,
        answer=page("access-slot"),
        sdk="access_slots",
        verb=Verb("access uses", columns=("slot", "by", "at", "attempt")),
    ),
    Operation(
        name="anchorAccess",
        does="Commit to a list of reads of your data that had no transaction each.",
        method="POST",
        path="/v1/access-batches",
        role="recorder",
        body=Body("access:anchor", refusals=_ACCESS),
        answer=outcome("access-batch"),
        sdk="anchor_access",
        verb=Verb("access anchor", help="Commit to a list of reads, from FILE (JSON).", file="argument"),
    ),
    Operation(
        name="listAccessBatches",
        does="List what commits to lists of reads.",
        path="/v1/access-batches",
        filters=(OWNER, *_TIMES),
        answer=page("access-batch"),
        sdk="access_batches",
        verb=Verb("list access-batches", columns=("owner", "number", "size", "since", "until", "root")),
    ),
)

POLICIES: Final = (
    Operation(
        name="voteForPolicy",
        does="Vote for a version of the policy; the vote that completes the quorum puts it in force.",
        method="POST",
        path="/v1/policies",
        role="operator",
        body=Body("endorsement:set-policy", refusals=_VOUCHING),
        answer=outcome("policy", "policy-vote"),
        sdk="set_policy",
        verb=Verb(
            "policy vote",
            help="Vote for the policy in FILE (JSON).",
            file="argument",
            more="Once enough organisations have voted for the very same one, it is in force.",
        ),
    ),
    Operation(
        name="listPolicies",
        does="Every version that was in force.",
        path="/v1/policies",
        filters=_TIMES,
        answer=page("policy-version"),
        sdk="policies",
        verb=Verb(
            "policy list", help="List the policies that were in force.", columns=("policy.number", "policy.set_at")
        ),
    ),
    Operation(
        name="getPolicy",
        does="The policy in force.",
        path="/v1/policies/current",
        parameters=_FROM,
        answer=entry("policy"),
        sdk="policy",
        verb=Verb("policy show", help="Show the policy in force."),
        odd={"rest": "the last one, which no name in the path identifies"},
    ),
    Operation(
        name="listPolicyVotes",
        does="Votes for versions of the policy.",
        path="/v1/policies/votes",
        filters=(
            Parameter("number", "Only votes for this version.", "number"),
            Parameter("by", "Only the votes of this organisation."),
            *_TIMES,
        ),
        answer=page("policy-vote"),
        sdk="policy_votes",
        verb=Verb("policy votes", help="List votes for versions of the policy.", columns=("number", "by", "at")),
    ),
)

ROOTS: Final = (
    Operation(
        name="declareRoots",
        does="Declare under which certificate authorities those are who may sign statements for your organisation.",
        method="POST",
        path="/v1/roots",
        role="operator",
        body=Body("organisation:declare-roots", refusals=_SPEAKING),
        answer=outcome("organisation-roots"),
        sdk="declare_roots",
        verb=Verb("root declare", help="Declare who may sign statements for you."),
        odd={"cli": "reads the certificates from an MSP folder"},
    ),
    Operation(
        name="listRoots",
        does="List whose certificates may speak for which organisation.",
        path="/v1/roots",
        filters=(OWNER, *_TIMES),
        answer=page("organisation-roots"),
        sdk="roots",
        verb=Verb(
            "root list",
            help="List whose certificates may speak for whom.",
            columns=("owner", "number", "at", "units", "revoked"),
        ),
    ),
)

ARTIFACTS: Final = (
    Operation(
        name="getArtifact",
        does="Where an artifact stands, who vouches for it, and who is missing.",
        path="/v1/artifacts/{reference}",
        about="{reference}",
        parameters=(
            Parameter(
                "stage", "The stage that is counted for; `approved` by default.", "choice", STAGES, default="approved"
            ),
        ),
        answer=report("ArtifactStatus"),
        sdk="artifact",
        verb=Verb("artifact", help="Show where an artifact stands and who vouches."),
        odd={"rest": "joins what several records say of it", "cli": "prints who is missing"},
    ),
    Operation(
        name="getInbox",
        does="What awaits this organisation's endorsement.",
        path="/v1/inbox",
        filters=(_KIND_OF_ARTIFACT, OWNER, _NAME, *_TIMES),
        answer=report("Inbox", paged=True),
        sdk="inbox",
        verb=Verb("inbox", help="List what awaits your organisation's endorsement."),
        odd={"rest": "counts for each open artifact", "cli": "says whose inbox is empty"},
    ),
    Operation(
        name="listReminders",
        does="What this gateway reminded its organisation of, in order, each once: words awaited, approvals that end.",
        path="/v1/reminders",
        parameters=(
            Parameter(
                "after", "Only those after this number, such as the `next` of an answer.", "number", most=HIGHEST
            ),
            Parameter("about", "Only those of this kind.", "choice", REMINDER_KINDS),
            Parameter("state", "Only those of what is due still, or of what is over.", "choice", ("due", "over")),
        ),
        answer=report("Reminders"),
        sdk="reminders",
        verb=Verb("reminders"),
        odd={
            "rest": "is of what this gateway keeps, and has no record on the ledger",
            "cli": "goes on and waits for more",
        },
    ),
    Operation(
        name="draftStatement",
        does="The statement that a word on an artifact signs, before it is signed; nothing is recorded.",
        path="/v1/artifacts/{reference}/statement",
        about="{reference}",
        parameters=(
            Parameter("decision", "What is said of the artifact.", "choice", DECISIONS, default="endorse"),
            Parameter("stage", "The stage that the word is on.", "choice", STAGES, default="approved"),
            Parameter("digest", "The bytes that you examined; the recorded ones by default."),
            Parameter("reason", "Why, of anything but an endorsement; it is signed."),
            Parameter("against", "Of a counter-claim, whose endorsement it is against; the artifact by default."),
            Parameter("evidence", "Of a counter-claim, the reference of a record that shows it."),
            Parameter("evidence_digest", "Of a counter-claim, the SHA-256 of a document that shows it."),
        ),
        answer=report("StatementDraft"),
        sdk="draft_statement",
        verb=Verb("endorse", help="Vouch for an artifact, signed."),
        codes={404: ("policy-missing",)},
        odd={"rest": "composes what is signed, and asks the law what it would say", "cli": _SIGNS},
    ),
    Operation(
        name="submitArtifact",
        does="Ask the consortium to endorse your artifact.",
        method="POST",
        path="/v1/artifacts/{reference}/submission",
        about="{reference}",
        role="recorder",
        body=Body("endorsement:submit", bound=_ARTIFACT, filled=("digest",), examined=True, refusals=_VOUCHING),
        answer=outcome("artifact-stage"),
        sdk="submit",
        verb=Verb("submit", help="Ask for endorsement of an artifact of yours.", options=("evaluation",)),
        odd={"rest": _FILLED_IN},
    ),
    Operation(
        name="endorseArtifact",
        does="Vouch for an artifact; the gateway signs the statement.",
        method="POST",
        path="/v1/artifacts/{reference}/endorsements",
        about="{reference}",
        role="endorser",
        body=Body("endorsement:endorse", bound=_ARTIFACT, filled=("envelope",), examined=True, refusals=_SPEAKING),
        answer=outcome("endorsement"),
        sdk="endorse",
        verb=Verb("endorse", help="Vouch for an artifact, signed.", options=("digest",)),
        odd={"rest": _FILLED_IN, "cli": _SIGNS},
    ),
    Operation(
        name="rejectArtifact",
        does="Say that an artifact must not reach a stage.",
        method="POST",
        path="/v1/artifacts/{reference}/rejections",
        about="{reference}",
        role="endorser",
        body=Body("endorsement:reject", bound=_ARTIFACT, filled=("envelope",), examined=True, refusals=_SPEAKING),
        answer=outcome("rejection"),
        sdk="reject",
        verb=Verb("reject", help="Say that an artifact must not be approved.", options=_REASON, required=_REASON),
        odd={"rest": _FILLED_IN, "cli": _SIGNS},
    ),
    Operation(
        name="withdrawEndorsement",
        does="Take your endorsement back; the gateway signs the statement.",
        method="POST",
        path="/v1/artifacts/{reference}/withdrawal",
        about="{reference}",
        role="endorser",
        body=Body("endorsement:withdraw", bound=_ARTIFACT, filled=("envelope",), refusals=_SPEAKING),
        answer=outcome("endorsement", "artifact-stage"),
        sdk="withdraw",
        verb=Verb("withdraw", help="Take your endorsement back, signed.", options=_REASON, required=_REASON),
        odd={"rest": _FILLED_IN, "cli": _SIGNS},
    ),
    Operation(
        name="quarantineArtifact",
        does="Stop an artifact at whatever stage it is.",
        method="POST",
        path="/v1/artifacts/{reference}/quarantine",
        about="{reference}",
        role="endorser",
        body=Body("endorsement:quarantine", bound=_ARTIFACT, refusals=_VOUCHING),
        answer=outcome("artifact-stage"),
        sdk="quarantine",
        verb=Verb("quarantine", options=_REASON, required=_REASON),
    ),
    Operation(
        name="confirmQuarantine",
        does="Make the quarantine that another member imposed a lasting one.",
        method="POST",
        path="/v1/artifacts/{reference}/quarantine/confirmation",
        about="{reference}",
        role="endorser",
        body=Body("endorsement:confirm-quarantine", bound=_ARTIFACT, refusals=_VOUCHING),
        answer=outcome("artifact-stage"),
        sdk="confirm_quarantine",
        verb=Verb("confirm-quarantine", help="Make another's quarantine lasting.", options=_REASON, required=_REASON),
    ),
    Operation(
        name="liftQuarantine",
        does="Vote for the end of a quarantine; as many votes as amend the policy end it.",
        method="POST",
        path="/v1/artifacts/{reference}/quarantine/votes",
        about="{reference}",
        role="endorser",
        body=Body("endorsement:lift-quarantine", bound=_ARTIFACT, refusals=_VOUCHING),
        answer=outcome("artifact-stage", "lift-vote"),
        sdk="lift_quarantine",
        verb=Verb("lift-quarantine", help="Vote for the end of a quarantine.", options=_REASON, required=_REASON),
    ),
    Operation(
        name="releaseArtifact",
        does="End a quarantine that your organisation imposed and nobody confirmed.",
        method="POST",
        path="/v1/artifacts/{reference}/release",
        about="{reference}",
        role="endorser",
        body=Body("endorsement:release", bound=_ARTIFACT, refusals=_VOUCHING),
        answer=outcome("artifact-stage"),
        sdk="release",
        verb=Verb("release", help="End a quarantine that you imposed.", options=_REASON, required=_REASON),
    ),
    Operation(
        name="advanceArtifact",
        does="Move your artifact to its next stage.",
        method="POST",
        path="/v1/artifacts/{reference}/stage",
        about="{reference}",
        role="recorder",
        body=Body("endorsement:advance", bound=_ARTIFACT, refusals=_VOUCHING),
        answer=outcome("artifact-stage"),
        sdk="advance",
        verb=Verb("advance", help="Move an artifact of yours to its next STAGE.", arguments=("to",)),
    ),
    Operation(
        name="listEndorsements",
        does="List who endorsed what, with which key and under which policy; those that were withdrawn too.",
        path="/v1/endorsements",
        filters=(_VOUCHED_FOR, _BY, *_TIMES),
        answer=page("endorsement"),
        sdk="endorsements",
        verb=Verb(
            "list endorsements",
            help="List who endorsed what, and with which key.",
            more=_KEYID,
            columns=("artifact", "stage", "by", "at", "envelope.signatures.keyid", "withdrawn_at"),
        ),
    ),
    Operation(
        name="listRejections",
        does="List who rejected what, with which key and why.",
        path="/v1/rejections",
        filters=(_VOUCHED_FOR, _BY, *_TIMES),
        answer=page("rejection"),
        sdk="rejections",
        verb=Verb(
            "list rejections",
            help="List who rejected what, and why.",
            more=_KEYID,
            columns=("artifact", "stage", "by", "at", "envelope.signatures.keyid", "reason"),
        ),
    ),
)

CLAIMS: Final = (
    Operation(
        name="stateClaim",
        does="Object to another organisation's artifact, or to an endorsement of it; the gateway signs it.",
        method="POST",
        path="/v1/artifacts/{reference}/counter-claims",
        about="{reference}",
        role="endorser",
        body=Body("claim:state", bound=_ARTIFACT, filled=("envelope",), examined=True, refusals=_CLAIMING),
        answer=outcome("counter-claim"),
        sdk="state_claim",
        verb=Verb(
            "claim state",
            help="Object to an artifact, signed.",
            options=("reason", "against", "evidence", "evidence_digest"),
            required=_REASON,
        ),
        odd={"rest": _FILLED_IN, "cli": _SIGNS},
    ),
    Operation(
        name="answerClaim",
        does="Answer a counter-claim against your artifact or endorsement; that is recorded once.",
        method="POST",
        path="/v1/artifacts/{reference}/counter-claims/{claimant}/answer",
        about="{reference}",
        role="endorser",
        body=Body("claim:answer", bound={**_ARTIFACT, "claimant": "{claimant}"}, refusals=_CLAIMING),
        answer=outcome("counter-claim"),
        sdk="answer_claim",
        verb=Verb("claim answer", help="Answer a claim against you.", options=("answer",), required=("answer",)),
    ),
    Operation(
        name="withdrawClaim",
        does="Take your counter-claim back.",
        method="POST",
        path="/v1/artifacts/{reference}/counter-claims/withdrawal",
        about="{reference}",
        role="endorser",
        body=Body("claim:withdraw", bound=_ARTIFACT, refusals=_CLAIMING),
        answer=outcome("counter-claim"),
        sdk="withdraw_claim",
        verb=Verb("claim withdraw", options=_REASON, required=_REASON),
    ),
    Operation(
        name="listClaims",
        does="List counter-claims, open or not.",
        path="/v1/counter-claims",
        filters=(Parameter("artifact", "Only those against this artifact."), _BY, *_TIMES),
        answer=page("counter-claim"),
        sdk="claims",
        verb=Verb("claim list", columns=("artifact", "by", "at", "against", "reason", "answer", "withdrawn_at")),
    ),
)

LINEAGE: Final = (
    Operation(
        name="getLineage",
        does="Walk up to the sources, or down to what depends on it.",
        path="/v1/lineage/{reference}",
        about="{reference}",
        parameters=(
            _DIRECTION,
            Parameter("limit", "Most nodes to visit; 1000 by default.", "number", most=10_000, default="1000"),
            _AS_OF,
        ),
        answer=Answer("document", ("lineage",)),
        sdk="lineage",
        verb=Verb("lineage", help="Show the lineage of an artifact as a tree."),
        odd={"rest": "a walk over many records", "cli": "draws a tree"},
    ),
    Operation(
        name="listLineage",
        does="List all that was made from an artifact, or that it was made from, to any depth, nearest first.",
        path="/v1/lineage/{reference}/artifacts",
        about="{reference}",
        parameters=(
            Parameter("direction", "`down` (the default) or `up`.", "choice", ("up", "down"), default="down"),
            Parameter("depth", "Only what is at most so many steps away; all by default.", "number", most=DEEPEST),
            _AS_OF,
        ),
        answer=report("LineagePage", paged=True),
        sdk="impact",
        verb=Verb("impact", help="List all that was made from an artifact, to any depth."),
        codes={503: ("lineage-being-read",)},
        odd={"rest": "a walk over all records, in memory", "cli": "sums up what there is of each kind"},
    ),
    Operation(
        name="listEdges",
        does="List the edges on the ledger that end (`up`) or begin (`down`) at an artifact.",
        path="/v1/lineage/{reference}/edges",
        about="{reference}",
        parameters=(_DIRECTION,),
        filters=(_RELATION, _KIND_OF_END, *_TIMES),
        answer=page("edge"),
        sdk="edges",
        verb=Verb("edges", help="List the edges from or to an artifact.", columns=("child", "relation", "parent")),
        odd={"rest": "which end of an edge is asked for depends on the direction"},
    ),
    Operation(
        name="getEffectiveLicence",
        does="What the licences of a version and of all its ancestors come to, and the path to what does not fit.",
        path="/v1/lineage/{reference}/licence",
        about="{reference}",
        parameters=(
            Parameter("limit", "Most ancestors to look at; 1000 by default.", "number", most=10_000, default="1000"),
            _AS_OF,
        ),
        answer=report("EffectiveLicence"),
        sdk="effective_licence",
        verb=Verb("licence show", help="Show what the licences along a lineage come to."),
        odd={"rest": "a walk over many records", "cli": "says it in words"},
    ),
)

SEARCH: Final = (
    Operation(
        name="search",
        does="Search names, titles, descriptions, notes and digests; every word has to begin one of a record's.",
        path="/v1/search",
        parameters=(
            Parameter(
                "q", "Words, a digest or its first 8 digits or more, or a reference.", required=True, argument="query"
            ),
            Parameter("kind", "Only records of this kind.", "choice", KINDS),
        ),
        answer=report("SearchResults", paged=True),
        sdk="search",
        verb=Verb("search", help="Search names, titles, descriptions and digests."),
        odd={"rest": "looks across all kinds of records", "cli": "takes words as they are typed"},
    ),
)  # fmt: skip

SUBMISSIONS: Final = (
    Operation(
        name="findOperation",
        does="What became of the submission with an idempotency key of yours.",
        path="/v1/operations",
        parameters=(
            Parameter(
                "idempotency-key", "The key that the request was sent with.", required=True, argument="idempotency_key"
            ),
        ),
        answer=report("Submission"),
        sdk="find_operation",
        verb=Verb("find-operation", help="Find a submission by its idempotency key."),
        codes={404: ("no-such-operation",)},
        odd={"rest": "about a request to this gateway, not about a record"},
    ),
    Operation(
        name="getOperation",
        does="What became of a submission.",
        path="/v1/operations/{operation}",
        answer=report("Submission"),
        sdk="operation",
        verb=Verb("operation", help="Show what became of a submission."),
        codes={404: ("no-such-operation",)},
        odd={"rest": "about a request to this gateway, not about a record"},
    ),
)

_OF_BLOCKS: Final[Mapping[int, tuple[str, ...]]] = MappingProxyType(
    {
        413: ("evidence-too-large",),
        502: ("ledger-protocol",),
        503: ("peer-behind", "peer-unavailable"),
    }
)
"""What may go wrong where blocks are read again."""

LEDGER: Final = (
    Operation(
        name="getLedger",
        does="Height, channel and organisation.",
        path="/v1/ledger",
        answer=report("Ledger"),
        sdk="ledger",
        verb=Verb("ledger", help="Show the ledger's height and this gateway's place."),
        odd={"rest": "about this gateway, not about a record"},
    ),
    Operation(
        name="whoAmI",
        does="Who the caller is: organisation, roles, and the ledger and channel of this gateway.",
        path="/v1/whoami",
        answer=report("Caller"),
        sdk="whoami",
        verb=Verb("whoami", help="Show who you are here, and which ledger this is."),
        odd={"rest": "about the caller, not about a record"},
    ),
    Operation(
        name="getTransaction",
        does="The outcome of a transaction.",
        path="/v1/transactions/{transaction}",
        answer=report("TransactionOutcome"),
        sdk="transaction",
        verb=Verb("transaction", help="Show the outcome of a transaction."),
        codes={404: ("no-such-transaction",)},
        odd={"rest": "about a transaction, not about a record"},
    ),
    Operation(
        name="getTransactionEvidence",
        does="Evidence that a transaction was ordered and endorsed: a file that is checked offline.",
        path="/v1/transactions/{transaction}/evidence",
        answer=report("TransactionEvidence"),
        sdk="transaction_evidence",
        verb=Verb("evidence", help="Write evidence of a record or a transaction."),
        codes={404: ("no-such-transaction",), **_OF_BLOCKS},
        odd={"rest": "made of blocks that are read again", "cli": "writes a file"},
    ),
    Operation(
        name="getEvidence",
        does="Evidence of the transaction that wrote a record, by the record's reference.",
        path="/v1/evidence/{reference}",
        answer=report("TransactionEvidence"),
        sdk="evidence",
        verb=Verb("evidence", help="Write evidence of a record or a transaction."),
        codes={404: ("no-such-transaction",), **_OF_BLOCKS},
        odd={"rest": "made of blocks that are read again", "cli": "writes a file"},
    ),
)

_WHO_DID_WHAT: Final = (
    Parameter("organisation", "Only those that this organisation signed, by its MSP id."),
    Parameter(
        "identity",
        "Only those signed with this certificate, by its SHA-256, or by one with this subject, such as "
        "`CN=User1@lab.example,OU=client,O=lab.example`.",
    ),
    Parameter("client", "Only those of this acting client, by its 32 digits or by the name of a key of this gateway."),
    Parameter("function", "Only calls of this function, such as `model:register`."),
    Parameter("validity", "`VALID`, `INVALID`, or a validation code by Fabric's name, such as `MVCC_READ_CONFLICT`."),
    Parameter("about", "Only those about this reference, such as `model-version:net:1`."),
    Parameter("since", "Only those whose client claims this instant or a later one (RFC 3339, or a date)."),
    Parameter("before", "Only those whose client claims an earlier instant (RFC 3339, or a date)."),
    Parameter("from_height", "Only those in blocks from this number on.", "number", most=HIGHEST),
    Parameter("until_height", "Only those in blocks below this number.", "number", most=HIGHEST),
)
_ORDER: Final = (
    Parameter(
        "order",
        "`ledger` (the default), which is that of the blocks and of times where these are asked for, or `newest`, the "
        "other way round.",
        "choice", ("ledger", "newest"), default="ledger",
    ),
)  # fmt: skip
_OF_THE_CHANNEL: Final = "about transactions, not about a record"

ELSEWHERE: Final = (
    Operation(
        name="prepareTransaction",
        does="Prepare the proposal of a command, to be signed with a key that this gateway does not have.",
        method="POST",
        path="/v1/transactions/prepare",
        role="recorder",
        uploads=(TRANSACTION,),
        elsewhere=True,
        answer=report("UnsignedTransaction"),
        sdk="prepare_transaction",
        verb=Verb("offline prepare"),
        odd=dict.fromkeys(("rest", "sdk", "cli"), _OF_ANY_COMMAND),
    ),
    Operation(
        name="endorseTransaction",
        does="Have a signed proposal endorsed; what comes of it is signed in turn.",
        method="POST",
        path="/v1/transactions/endorse",
        role="recorder",
        uploads=(TRANSACTION,),
        elsewhere=True,
        answer=report("UnsignedTransaction"),
        sdk="endorse_transaction",
        verb=Verb("offline endorse"),
        codes={409: ("already-submitted",), 422: _OF_DOCUMENTS},
        odd=dict.fromkeys(("rest", "sdk", "cli"), _OF_ANY_COMMAND),
    ),
    Operation(
        name="submitTransaction",
        does="Have a signed transaction ordered, exactly once for its key.",
        method="POST",
        path="/v1/transactions/submit",
        role="recorder",
        uploads=(TRANSACTION,),
        elsewhere=True,
        answer=report("SubmittedTransaction"),
        sdk="submit_transaction",
        verb=Verb("offline submit"),
        codes={422: _OF_DOCUMENTS},
        odd=dict.fromkeys(("rest", "sdk", "cli"), _OF_ANY_COMMAND),
    ),
)

BATCHES: Final = (
    Operation(
        name="recordBatch",
        does="Record up to 1,000 commands in as few transactions as can be, each with its own outcome.",
        method="POST",
        path="/v1/batches",
        role="recorder",
        uploads=("application/json",),
        batch=True,
        answer=report("BatchOutcome"),
        sdk="batch",
        verb=Verb("batch"),
        odd=dict.fromkeys(("rest", "sdk", "cli"), "takes any commands, each with its own outcome"),
    ),
)

TRANSACTIONS: Final = (
    Operation(
        name="listTransactions",
        does="Every transaction of the channel, invalid ones too: who did what, and when.",
        path="/v1/transactions",
        parameters=_ORDER,
        filters=_WHO_DID_WHAT,
        answer=report("TransactionPage", paged=True),
        sdk="transactions",
        verb=Verb("transactions", help="List every transaction, invalid ones too."),
        odd={"rest": _OF_THE_CHANNEL, "cli": "writes files for spreadsheets and programs as well"},
    ),
    Operation(
        name="getHistory",
        does="Every transaction that touched an artifact or another record, in order, refused ones too.",
        path="/v1/history/{reference}",
        parameters=_ORDER,
        filters=tuple(each for each in _WHO_DID_WHAT if each.name != "about"),
        answer=report("TransactionPage", paged=True),
        sdk="history",
        verb=Verb("history", help="List the transactions that touched a record."),
        odd={"rest": _OF_THE_CHANNEL, "cli": "shares its form with `transactions`"},
    ),
)

LOG: Final = (
    Operation(
        name="getLog",
        does="This organisation's transparency log: its keys, its size, its witnesses, and the logs that it witnesses.",
        path="/v1/log",
        answer=report("TransparencyLog"),
        sdk="log",
        verb=Verb("log show"),
        odd={"rest": "about this gateway, not about a record", "cli": "says in words how it stands with witnesses"},
    ),
    Operation(
        name="getCheckpoint",
        does="The log's last checkpoint, a signed note, with the cosignatures that were collected.",
        path="/v1/log/checkpoint",
        answer=file(NOTE),
        sdk="checkpoint",
        verb=Verb("log checkpoint"),
        codes={404: ("nothing-signed",)},
        odd=dict.fromkeys(("rest", "sdk", "cli"), _AS_IT_IS),
    ),
    Operation(
        name="getLogPolicy",
        does="The policy that this organisation goes by: which logs and witnesses it knows, and how many must agree.",
        path="/v1/log/policy",
        answer=file(NOTE),
        sdk="log_policy",
        verb=Verb("log policy"),
        odd=dict.fromkeys(("rest", "sdk", "cli"), _AS_IT_IS),
    ),
    Operation(
        name="getReceipt",
        does="A file that proves anywhere that a valid transaction is in the log, and who cosigned that.",
        path="/v1/transactions/{transaction}/receipt",
        answer=file(NOTE),
        sdk="receipt",
        verb=Verb("receipt"),
        codes={404: ("no-such-transaction", "not-in-the-log"), 503: ("not-signed-yet",)},
        odd=dict.fromkeys(("rest", "sdk", "cli"), _AS_IT_IS),
    ),
)

_OF_THE_AUDIT: Final = "about what this gateway refused, not about a record"
AUDIT: Final = (
    Operation(
        name="listAuditEntries",
        does="What this gateway refused, and what failed: who asked for what, when, and why not; the last first.",
        path="/v1/audit",
        role="operator",
        filters=(
            Parameter(
                "client",
                "Only those of this client, by its 32 digits or the name of its key; `none` for those without a key.",
            ),
            Parameter("operation", "Only attempts at this operation, such as `registerModel`."),
            Parameter(
                "outcome",
                "`refused`, where the caller may not or said something wrong, or `failed`, where it could not be done.",
                "choice",
                ("refused", "failed"),
            ),
            Parameter("code", "Only those refused with this code, such as `role-too-low`."),
            Parameter("target", "Only those about the record of this reference, such as `model:net`."),
            Parameter("since", "Only those at this instant or after it (RFC 3339, or a date)."),
            Parameter("before", "Only those before this instant (RFC 3339, or a date)."),
        ),
        answer=report("AuditPage", paged=True),
        sdk="audit_entries",
        verb=Verb("audit list", help="List what this gateway refused, and what failed."),
        odd={"rest": _OF_THE_AUDIT, "cli": "writes files for spreadsheets and programs as well"},
    ),
    Operation(
        name="getAuditEntry",
        does="One entry of the audit log, and the proof that it is in the log that was anchored last.",
        path="/v1/audit/{entry}",
        role="operator",
        answer=report("AuditProof"),
        sdk="audit_entry",
        verb=Verb("audit show"),
        codes={404: ("no-such-entry",)},
        odd={"rest": _OF_THE_AUDIT, "cli": "checks the proof, and says what it comes to"},
    ),
    Operation(
        name="exportAuditLog",
        does="The whole audit log in its order, one entry a line, as it is hashed; it is checked offline.",
        path="/v1/audit/export",
        role="operator",
        answer=file("application/jsonl"),
        sdk="save_audit_log",
        verb=Verb("audit export"),
        codes={429: ("too-many-requests",), 503: ("capacity",)},
        odd=dict.fromkeys(("rest", "sdk", "cli"), "answers a file in pieces, and keeps it whole or not at all"),
    ),
    Operation(
        name="anchorAudit",
        does="Commit to the audit log as it is now; the gateway says by itself what the command needs.",
        method="POST",
        path="/v1/audit/anchors",
        role="operator",
        body=Body("audit:anchor", filled=("log", "number", "size", "root", "previous"), refusals=()),
        answer=outcome("audit-anchor"),
        sdk="anchor_audit",
        verb=Verb(
            "audit anchor",
            help="Commit to the audit log as it is now.",
            more="A gateway does so by itself from time to time (`pedigree serve --audit-interval`).",
        ),
        codes={409: ("nothing-to-anchor",), 500: ("audit-log-altered",)},
        odd={"rest": "the gateway knows its log, and which anchor is next"},
    ),
    Operation(
        name="listAuditAnchors",
        does="List what organisations committed to of their audit logs: how many entries, and their root.",
        path="/v1/audit/anchors",
        filters=(OWNER, *_TIMES),
        answer=page("audit-anchor"),
        sdk="audit_anchors",
        verb=Verb(
            "audit anchors",
            help="List the anchors of audit logs.",
            columns=("owner", "log", "number", "at", "size", "root"),
        ),
    ),
)

NOUNS: Final[Mapping[str, tuple[Operation, ...]]] = MappingProxyType(
    {
        "datasets": DATASETS,
        "selections": SELECTIONS,
        "consent": CONSENT,
        "models": MODELS,
        "runs": RUNS,
        "deployments": DEPLOYMENTS,
        "access": ACCESS,
        "policies": POLICIES,
        "roots": ROOTS,
        "artifacts": ARTIFACTS,
        "counter-claims": CLAIMS,
        "lineage": LINEAGE,
        "search": SEARCH,
        "operations": SUBMISSIONS,
        "ledger": LEDGER,
        "transactions": TRANSACTIONS,
        "transactions signed elsewhere": ELSEWHERE,
        "batches": BATCHES,
        "log": LOG,
        "audit": AUDIT,
    }
)
"""The rows by the noun that they are about, in the order in which the documents list them."""

OPERATIONS: Final = tuple(chain.from_iterable(NOUNS.values()))

GROUPS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "dataset": "Register data sets, commit to and verify records.",
        "selection": "Commit to some of the records of a version.",
        "consent": "Keep and read what data subjects have said.",
        "purpose": "Register what consent is given for.",
        "model": "Register models, record and verify versions.",
        "run": "Record and show training runs.",
        "criteria": "Register what evaluations have to reach.",
        "evaluation": "Record how a model version did on a data set.",
        "deployment": "Record where a model is in use, and when that ended.",
        "access": "Offer, ask for, grant and use access to data.",
        "policy": "The consortium's endorsement policy.",
        "root": "Declare and list who may sign for an organisation.",
        "offline": "Record what you sign with a key of your own.",
        "claim": "State, answer, withdraw and list counter-claims.",
        "licence": "Read what licences come to along a lineage.",
        "log": "Show the transparency log of the organisation.",
        "audit": "Show and verify what a gateway refused.",
        "list": "List records of a kind, with filters and a count.",
    }
)
"""What the verbs of two words are about, by their first word."""

BESIDE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "access renew": "calls `grantAccess` with the terms of the grant that it follows",
        "audit verify": "checks an exported audit log against the anchors on the ledger",
        "consent adopt": "takes over what another gateway of the organisation keeps, and asks none",
        "consent copy": "copies what a gateway keeps, and asks none",
        "consent give": "calls `changeConsent` with that state",
        "consent refuse": "calls `changeConsent` with that state",
        "consent renew": "calls `changeConsent` with that state",
        "consent withdraw": "calls `changeConsent` with that state",
        "dataset check": "compares files here with the Croissant card that describes them, and asks no gateway",
        "dataset select": "calls `commitSelection` without a root, once or for each part of a split",
        "run verify": "hashes files here and compares them with the run that `getRun` answers",
        "model check-signature": "checks a signature over a model's files offline, and asks no gateway",
        "access fetch": "makes an attempt, fetches from the owner's gateway and compares with the ledger",
        "model embed": "puts evidence into a model's file here, and asks no gateway",
        "model extract": "takes evidence out of a model's file here, and asks no gateway",
        "model sign": "signs a model's files with a key that is here, and asks no gateway",
        "model verify": "hashes files here and compares them with the version that `getModelVersion` answers",
        "sign": "signs a prepared statement or transaction with a key that is here, and asks no gateway",
        "show": "joins what several operations answer about one reference",
        "verify": "checks a file of evidence offline, and asks no gateway",
    }
)
"""Verbs that are not an operation of a gateway, and why."""

FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "title": "What people call it.",
        "iri": "The purpose's term in a vocabulary on the Web.",
        "licence": "SPDX expression.",
        "sensitivity": f"One of {', '.join(SENSITIVITIES)}.",
        "basis": f"Why personal data may be processed: {', '.join(BASES)}.",
        "origin.source": "Where the data are from.",
        "origin.method": "How they were collected.",
        "origin.geography": "Where: a code of ISO 3166 such as DE or US-WI; may be repeated.",
        "reason": "Why, in words that the ledger keeps.",
        "answer": "What you say to it, in words that the ledger keeps.",
        "against": "Whose endorsement it is against; the artifact by default.",
        "evidence": "The reference of a record that shows it, such as an evaluation.",
        "evidence_digest": "The SHA-256 of a document that shows it.",
        "criteria": "Criteria that were registered before the training, by name; the ledger says whether they are met.",
        "evaluation": "An evaluation that met criteria set before the training, by name; the policy may ask for one.",
        "location": "Where it is in use: a service, a device, a ward.",
        "territories": "For whose people: a code of ISO 3166 such as DE or US-WI; may be repeated.",
        "purpose": "What it is for, by its IRI.",
        "note": "What the ledger is to keep about it.",
        "digest": "The bytes that you examined; the recorded ones by default.",
        "relation": "How the child was made: fine-tuned, distilled, merged, quantised or adapter.",
    }
)
"""What those fields of bodies mean that are options on the command line."""

EXAMPLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "dataset": "wdbc",
        "selection": "training",
        "model": "net",
        "number": "1",
        "organisation": "HospitalMSP",
        "run": "r-7",
        "criteria": "bar",
        "evaluation": "e-3",
        "deployment": "ward-3",
        "request": "q-1",
        "idempotency-key": "key-1",
        "grant": "g-1",
        "attempt": "5f" * 32,
        "reference": "model-version:net:1",
        "claimant": "RegulatorMSP",
        "operation": "0b5f3e1c9d7a4c52",
        "transaction": "5f" * 32,
        "id": "p1",
        "entry": "1",
        "subject": "patient-17",
        "q": "breast cancer",
    }
)
"""An example of everything that a path or a query must name."""

# SPDX-License-Identifier: Apache-2.0
"""The tree of refusals: every code once, never changed, and rebuilt from what is said of it."""

import typing
from dataclasses import fields

import pytest

from chaincode.domain import errors
from chaincode.domain.errors import LedgerError, rebuild

FAMILIES = (errors.Malformed, errors.NotFound, errors.Conflict, errors.Forbidden, errors.Unmet)
REFUSALS = [kind for family in FAMILIES for kind in family.__subclasses__()]
EXAMPLES = {str: "x", int: 7, tuple[str, ...]: ("a", "b")}

# A code, once published, is never changed or used for another meaning: add below, never edit.
PUBLISHED = """
already-answered claim-already-open claims-open no-open-claim not-the-answerer own-claim
already-endorsed already-exists already-recorded already-rejected already-voted artifact-altered bad-signature
consistency-proof-fails dated-in-the-future digest-taken duplicate-name endorsed-after-withdrawal float-refused
founders-differ inclusion-proof-fails integer-out-of-range invalid-field invalid-json licence-malformed
licence-too-wide licence-unknown lineage-cycle missing-field not-a-member not-a-number not-endorsed not-found
not-normalised not-the-owner not-the-quarantiner own-artifact parent-missing parent-root-differs policy-missing
policy-number-wrong quorum-missing record-id-repeated repeated-entry root-without-size rule-missing
run-ends-before-it-starts run-without-input selection-out-of-range self-parent stage-skipped
statement-digest-differs statement-invalid token-reused too-deep too-large unknown-field unknown-kind
unknown-schema version-out-of-order without-role wrong-arguments wrong-stage
derivatives-forbidden licence-unclassified
consent-backdated consent-map-moved consent-proof-fails consent-status-cannot-follow not-on-consent
quarantine-confirmed quarantine-unconfirmed voted-to-lift
tainted ancestry-too-large
purpose-differs purpose-missing role-differs selection-missing selection-outdated selection-too-late
already-ended deployment-ends-before-it-starts
criteria-data-differs criteria-metric-missing criteria-model-differs criteria-too-late criteria-without-run
evaluated-before-run
evaluated-by-owner evaluation-missing evaluation-not-passed evaluation-of-another evaluator-without-role
quorum-lost
statement-out-of-time
access-backdated access-ends-before-it-starts already-decided approval-missing grant-does-not-cover grant-missing
grant-still-runs grant-wider-than-asked not-among-askers not-an-approver not-an-emergency outside-access-policy own-data
own-grant request-denied wrong-grant-status
authority-unrooted certificate-unreadable not-an-authority roots-missing signer-expired signer-is-authority
signer-not-yet-valid signer-of-another signer-revoked signer-unrooted signer-without-unit
data-withheld sensitivity-lowered
"""


def example(kind):
    return kind(*(EXAMPLES[typing.get_type_hints(kind)[field.name]] for field in fields(kind)))


def test_the_published_codes_are_all_there():
    assert sorted(kind.code for kind in REFUSALS) == sorted(PUBLISHED.split())


@pytest.mark.parametrize("kind", REFUSALS, ids=lambda kind: kind.code)
def test_a_refusal_is_a_sentence_and_is_rebuilt_from_its_facts(kind):
    refusal = example(kind)
    assert str(refusal).endswith(".")
    assert "{" not in str(refusal)
    facts = {name: list(fact) if isinstance(fact, tuple) else fact for name, fact in refusal.facts().items()}
    assert rebuild(refusal.code, facts) == refusal
    assert isinstance(refusal, LedgerError)


def test_every_refusal_is_exported():
    exported = {getattr(errors, name) for name in errors.__all__}
    assert set(REFUSALS) <= exported


@pytest.mark.parametrize(
    ("code", "facts"), [("no-such-code", {}), ("not-found", {}), ("not-found", {"reference": "x", "more": 1})]
)
def test_what_was_not_said_by_this_law_is_not_rebuilt(code, facts):
    with pytest.raises(ValueError):
        rebuild(code, facts)


def test_a_value_that_stands_alone_is_not_called_a_field_without_a_name():
    assert str(errors.InvalidField("", "it must be a name")) == "The value is invalid: it must be a name."
    assert str(errors.InvalidField("/title", "it must be text")) == "The field '/title' is invalid: it must be text."

# SPDX-License-Identifier: Apache-2.0
"""Signed impacts as strangers may write them: refuted, or whose word they are and nothing else."""

from __future__ import annotations

import base64
import datetime
import json
import random
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from altering import altered, cut_up
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sampleimpact import signed, statement

from chaincode.domain.canonical import parse
from chaincode.domain.errors import LedgerError
from gateway.fabric.certificates import load_certificate
from gateway.verifier.envelopes import RefutedStatement
from gateway.verifier.impacts import ImpactVerdict, is_impact, verify_impact
from pedigree import InvalidEvidence
from pedigree.evidence import parse_evidence

if TYPE_CHECKING:
    from fuzz.conftest import Fuzzing

_MOST = 32 << 20
"""Bytes that judging one file, which is a small one, may take at most."""


def _certified(key: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "controller")])
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start.replace(year=2044))
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


KEY = ec.generate_private_key(ec.SECP256R1())
CERTIFICATE = load_certificate(_certified(KEY), "the controller's")
GENUINE = signed(KEY, statement())


def _verdict(document: Any, **given: Any) -> ImpactVerdict | None:
    try:
        found = verify_impact(document, **given)
    except RefutedStatement as exc:
        refusal = str(exc)
    else:
        lines = found.text().split("\n")
        assert all(line.isprintable() for line in lines)
        assert [line for line in lines if line.startswith("Verified")] == [found.summary] * found.verified
        json.dumps(found.as_json())
        return found
    assert len(refusal) < 1_000
    assert refusal.isprintable()
    return None


def _drawn(chance: random.Random) -> tuple[Any, Any]:
    """An envelope, and the statement that the controller's key signed where it is not the genuine one."""
    if chance.random() < 0.5:
        said: Any = altered(chance, statement())
        try:
            return signed(KEY, said), said  # whoever has the key may say anything
        except (LedgerError, TypeError, ValueError):
            return None, None  # the encoder of the law does not write it
    document: Any = altered(chance, json.loads(json.dumps(GENUINE)))
    if chance.random() < 0.3:
        payload = cut_up(chance, base64.b64decode(GENUINE["payload"]))
        document = {**GENUINE, "payload": base64.b64encode(payload).decode()}
    if chance.random() < 0.3:
        try:
            document = parse_evidence(cut_up(chance, json.dumps(document).encode()))
        except InvalidEvidence:
            return None, None
    return document, statement()


@pytest.mark.timeout(3_600)
def test_a_signed_impact_is_refuted_or_the_signers_word(fuzzing: Fuzzing) -> None:
    tracemalloc.start()
    try:
        for chance in fuzzing.rounds("impacts"):
            document, said = _drawn(chance)
            if document is None:
                continue
            tracemalloc.reset_peak()
            assert is_impact(document) in (True, False)
            alone = _verdict(document)
            assert alone is None or not (alone.verified or alone.proven)
            found = _verdict(document, certificate=CERTIFICATE)
            if found is not None:
                assert found.verified
                assert found.report == said["predicate"]
                assert parse(base64.b64decode(document["payload"])) == said
            assert tracemalloc.get_traced_memory()[1] < _MOST
    finally:
        tracemalloc.stop()


def test_the_genuine_one_is_the_signers_word() -> None:
    assert is_impact(GENUINE)
    found = _verdict(GENUINE, certificate=CERTIFICATE)
    assert found is not None
    assert found.report == statement()["predicate"]

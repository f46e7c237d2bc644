# SPDX-License-Identifier: Apache-2.0
"""What is signed for an endorsement, byte for byte."""

from chaincode.domain.evidence import Decision, pre_authentication_encoding, statement_about
from chaincode.domain.intoto import encode_statement
from chaincode.domain.policy import Stage
from chaincode.domain.values import Digest, Instant, OrgId, Ref


def test_the_pre_authentication_encoding_of_the_dsse_specification():
    """The example of the DSSE protocol document, version 1.0."""
    assert (
        pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_the_length_of_the_payload_type_is_in_bytes():
    assert pre_authentication_encoding("ä", b"") == "DSSEv1 2 ä 0 ".encode()


def test_a_statement_is_an_in_toto_statement():
    """Version 2 of the predicate, as docs/statements.md has it."""
    statement = statement_about(
        Ref("model-version:net:1"),
        Digest(bytes(32)),
        Stage.APPROVED,
        Decision.ENDORSE,
        channel="pedigree",
        organisation=OrgId("LabMSP"),
        round_=1,
        policy=2,
        at=Instant(1_767_225_600_000),
        genesis=Digest(b"\xab" * 32),
    )
    assert encode_statement(statement) == (
        b'{"_type":"https://in-toto.io/Statement/v1",'
        b'"predicate":{"artifact":"model-version:net:1","at":1767225600000,"channel":"pedigree","decision":"endorse",'
        b'"genesis":"' + b"ab" * 32 + b'","organisation":"LabMSP","policy":2,"round":1,"stage":"approved"},'
        b'"predicateType":"https://pedigree.example/endorsement/v2",'
        b'"subject":[{"digest":{"sha256":"' + b"00" * 32 + b'"},"name":"model-version:net:1"}]}'
    )

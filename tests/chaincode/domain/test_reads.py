# SPDX-License-Identifier: Apache-2.0
"""A read that had no transaction of its own is proven to be in the list that its owner committed to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.domain import codec, merkle
from chaincode.domain.access import AccessAction
from chaincode.domain.attempting import AccessBatch, AccessDecision
from chaincode.domain.errors import InclusionProofFails
from chaincode.domain.grants import Reason
from chaincode.domain.reads import AccessRead, ReadPart, verify_read
from chaincode.domain.values import Count, Digest, Instant, Iri, Name, Number, OrgId, Ref

READ = AccessRead(
    attempt=Digest(bytes(32)),
    grant=Name("g-1"),
    by=OrgId("LabMSP"),
    at=Instant(7),
    artifact=Ref("dataset-version:wdbc:1"),
    action=AccessAction.DOWNLOAD,
    purpose=Iri("https://w3id.org/dpv#ScientificResearch"),
    part=ReadPart.CONTENT,
    start=Count(0),
    stop=Count(10),
    decision=AccessDecision.DENIED,
    reason=Reason.REVOKED,
)


def test_a_read_is_written_and_read_the_same():
    assert codec.from_json(codec.to_json(READ)) == READ
    assert codec.to_json(READ) == (
        b'{"action":"download","artifact":"dataset-version:wdbc:1","at":7,"attempt":"' + b"00" * 32 + b'",'
        b'"by":"LabMSP","decision":"denied","grant":"g-1","kind":"access-read","part":"content",'
        b'"purpose":"https://w3id.org/dpv#ScientificResearch","reason":"revoked","schema":1,"start":0,"stop":10}'
    )


@given(st.integers(1, 40), st.data())
def test_each_leaf_is_in_its_place_and_in_no_other(size, data):
    leaves = [b"%d" % number for number in range(size)]
    tree = merkle.Tree(b"".join(map(merkle.leaf_hash, leaves)))
    batch = AccessBatch(OrgId("HospitalMSP"), Number(1), Instant(1), Digest(tree.root()), Count(size), Instant(0),
                        Instant(1))  # fmt: skip
    index = data.draw(st.integers(0, size - 1))
    path = tree.inclusion(index)
    verify_read(leaves[index], index, path, batch)
    with pytest.raises(InclusionProofFails):
        verify_read(b"other", index, path, batch)
    with pytest.raises(InclusionProofFails):
        verify_read(leaves[index], index, [*path, bytes(32)], batch)

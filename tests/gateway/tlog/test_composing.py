# SPDX-License-Identifier: Apache-2.0
"""Policies made of the members' keys, and what policies say in words: that and nothing else is what they ask for."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samplelog import SampleLog, entry, policy_text, witness

from gateway.tlog import composing, policy, receipts
from gateway.tlog.composing import Member, compose, keys_of, member, words
from gateway.tlog.entries import origin_of
from gateway.tlog.errors import MalformedPolicy, TlogError
from gateway.tlog.keys import Cosigner

NAMES = ("lab", "maker", "clinic", "regulator")
LOGS = {name: SampleLog(9, origin_of("main", f"{name}MSP")) for name in NAMES}
COSIGNERS = {
    name: (witness(f"{log.origin}/witness"), witness(f"{log.origin}/witness", post_quantum=True))
    for name, log in LOGS.items()
}


def made(*names: str) -> list[Member]:
    """Members with the keys of these organisations."""
    return [
        member(name, [LOGS[name].signer.verifier.vkey, *(each.verifier.vkey for each in COSIGNERS[name])])
        for name in names
    ]


def cosigned(log: str, keys: list[Cosigner]) -> bytes:
    return LOGS[log].receipt(3, keys, extra=entry(3).leaf)


@given(st.integers(1, 4), st.data())
def test_enough_is_what_so_many_members_cosigned_with_any_key_and_nothing_less(count: int, data: st.DataObject) -> None:
    threshold = data.draw(st.integers(1, count))
    said = compose(made(*NAMES[:count]), threshold)
    assert policy.parse(said.format()) == said
    signed = data.draw(st.lists(st.tuples(st.sampled_from(NAMES[:count]), st.integers(0, 1)), unique=True))
    receipt = cosigned(NAMES[0], [COSIGNERS[name][number] for name, number in signed])
    if len({name for name, _ in signed}) >= threshold:
        receipts.verify(receipt, entry(3), said)
    else:
        with pytest.raises(TlogError, match="quorum"):
            receipts.verify(receipt, entry(3), said)


def test_every_members_log_is_believed_and_no_other() -> None:
    said = compose(made("lab", "maker"), 1)
    receipts.verify(cosigned("maker", [COSIGNERS["lab"][0]]), entry(3), said)
    with pytest.raises(TlogError):
        receipts.verify(cosigned("clinic", [COSIGNERS["lab"][0]]), entry(3), said)


def test_an_address_is_where_the_log_and_the_witness_are() -> None:
    lab = made("lab")[0]
    said = compose([Member(lab.name, lab.log, lab.cosigners, "https://lab.example/v1/log")], 1)
    assert [each.url for each in (*said.logs, *said.witnesses.values())] == [b"https://lab.example/v1/log"] * 3


MIRRORS = {name: (witness(f"{log.origin}/mirror"),) for name, log in LOGS.items()}


def mirroring(*names: str) -> list[Member]:
    """Members with the keys of their mirrors."""
    return [member(name, vkeys(name), None, [each.verifier.vkey for each in MIRRORS[name]]) for name in names]


def test_where_mirrors_are_asked_for_members_and_mirrors_both_have_to_agree() -> None:
    said = compose(mirroring("lab", "maker", "clinic"), 2, 2)
    two = [COSIGNERS["lab"][0], COSIGNERS["maker"][1]]
    receipts.verify(cosigned("clinic", [*two, MIRRORS["lab"][0], MIRRORS["clinic"][0]]), entry(3), said)
    for few in (two, [*two, MIRRORS["lab"][0]], [two[0], *(MIRRORS[name][0] for name in ("lab", "maker", "clinic"))]):
        with pytest.raises(TlogError, match="quorum 'members-and-mirrors'"):
            receipts.verify(cosigned("clinic", few), entry(3), said)
    told = words(said)
    assert "Enough is the word of all 2 of members and mirrors." in told
    assert "mirrors speaks by any 2 of lab-mirror, maker-mirror and clinic-mirror." in told
    assert not [each for each in told if "who lie together" in each]


def test_mirrors_are_named_only_where_they_are_asked_for() -> None:
    assert compose(mirroring("lab", "maker"), 1) == compose(made("lab", "maker"), 1)


@pytest.mark.parametrize("mirrors", [2, -1])
def test_more_mirrors_than_there_are_cannot_agree(mirrors: int) -> None:
    with pytest.raises(MalformedPolicy, match="of 1 mirrors cannot agree"):
        compose([*mirroring("lab"), *made("maker")], 1, mirrors)


def vkeys(name: str) -> list[str]:
    return [LOGS[name].signer.verifier.vkey, *(each.verifier.vkey for each in COSIGNERS[name])]


@pytest.mark.parametrize(
    ("name", "keys", "url", "said"),
    [
        ("none", vkeys("lab"), None, "cannot be the name of a member"),
        ("members", vkeys("lab"), None, "cannot be the name of a member"),
        ("a b", vkeys("lab"), None, "cannot be the name of a member"),
        ("lab", vkeys("lab")[1:], None, "lab has 0 keys of a log"),
        ("lab", [*vkeys("lab"), vkeys("maker")[0]], None, "lab has 2 keys of a log"),
        ("lab", vkeys("lab")[:1], None, "lab has no key that it cosigns with"),
        ("lab", ["nonsense"], None, "a key of lab: "),
        ("lab", vkeys("lab"), "lab.example", "the address 'lab.example' of lab"),
        ("lab", vkeys("lab"), "https://lab.example/ x", "the address"),
    ],
)
def test_a_member_that_cannot_be_one_is_named(name: str, keys: list[str], url: str | None, said: str) -> None:
    with pytest.raises(MalformedPolicy, match=said):
        member(name, keys, url)


@pytest.mark.parametrize(
    ("members", "threshold", "said"),
    [
        ([], 1, "one member at least"),
        (made("lab", "maker"), 0, "0 of 2 members cannot agree"),
        (made("lab", "maker"), 3, "3 of 2 members cannot agree: it is a number from 1 to 2"),
        ([made("lab")[0], Member("other", made("lab")[0].log, made("maker")[0].cosigners)], 1, "another log already"),
        ([made("lab")[0], Member("other", made("maker")[0].log, made("lab")[0].cosigners)], 1, "another witness"),
        ([*made("lab"), Member("lab-1", made("maker")[0].log, made("maker")[0].cosigners)], 1, "'lab-1'"),
        ([*made("lab"), *made("lab")], 1, "'lab-1' is defined already"),
    ],
)
def test_members_that_make_no_policy_are_refused(members: list[Member], threshold: int, said: str) -> None:
    with pytest.raises(MalformedPolicy, match=said):
        compose(members, threshold)


def test_a_file_of_keys_has_one_a_line() -> None:
    assert keys_of(b"# of the lab\n\na+b+c\r\n  d \n#e\n") == ["a+b+c", "d"]
    with pytest.raises(MalformedPolicy, match="64 KiB"):
        keys_of(b"x" * (composing.LARGEST_KEYS + 1))
    with pytest.raises(MalformedPolicy, match="UTF-8"):
        keys_of(b"\xff")


def test_the_words_say_whose_word_is_enough() -> None:
    said = words(compose(made("lab", "maker", "clinic"), 2))
    assert said[0] == (
        "Believed are the logs 'pedigree/main/labMSP', 'pedigree/main/makerMSP' and 'pedigree/main/clinicMSP',"
        " by the 3 keys here."
    )
    assert said[1] == "Enough is the word of any 2 of the 3 lab, maker and clinic."
    assert said[2].startswith("lab speaks by lab-1 (Ed25519 key ")
    assert " or lab-2 (ML-DSA-44 key " in said[2]
    assert "'pedigree/main/labMSP/witness')." in said[2]
    assert said[-1] == "2 who lie together are believed; 1 who is silent is not missed."
    assert len(said) == 6


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("quorum none",), "The log's own word is enough: no cosignature is asked for."),
        (("quorum w1",), r"The word of w1 \(Ed25519 key [0-9a-f]{8} of 'a'\) is enough, and needed."),
        (("quorum w1",), "Named, and counted for nothing: w2."),
        (("group g all w1 w2", "quorum g"), "Enough is the word of all 2 of w1 and w2."),
        (("group g all w1 w2", "quorum g"), "2 who lie together are believed; each of them is needed."),
        (("group g any w1 w2", "quorum g"), "1 who lie together is believed; 1 who is silent is not missed."),
        (("group g all w1", "quorum g"), "Enough is the word of w1."),
        (("group h all w1 w2", "group g all h", "quorum g"), r"h speaks by w1 \(.*\) and w2 \(.*\)."),
    ],
)
def test_the_words_of_other_policies(lines: tuple[str, ...], said: str) -> None:
    import re

    text = policy_text(LOGS["lab"].signer, [witness("a"), witness("b")], *lines)
    found = words(policy.parse(text))
    assert any(re.fullmatch(said, each) for each in found), found


def test_no_log_is_said_too() -> None:
    assert words(policy.parse(b"quorum none\n"))[0] == "No log is believed: the policy names none."


def test_every_subset_of_four_is_judged_as_the_words_say() -> None:
    """All 16 subsets under every threshold, without signatures: the count of members decides, and nothing else."""
    for threshold in range(1, 5):
        said = compose(made(*NAMES), threshold)
        for size in range(5):
            for chosen in itertools.combinations(NAMES, size):
                signed = [f"{name}-2".encode() for name in chosen]
                assert said.satisfied(signed) is (size >= threshold)

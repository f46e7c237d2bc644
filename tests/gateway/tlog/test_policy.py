# SPDX-License-Identifier: Apache-2.0
"""Trust policies: C2SP's example decides as its page says, and every line that is wrong is named."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samplelog import ORIGIN, SampleLog, ed25519, policy_text, witness

from gateway.tlog import policy
from gateway.tlog.errors import MalformedPolicy
from gateway.tlog.keys import Cosigner, LogSigner

LOG = SampleLog(1).signer
WITNESSES = [witness(f"witness.example/{number}", post_quantum=number % 2 == 0) for number in range(6)]
KEYS = [each.verifier.vkey for each in WITNESSES]

# The example of c2sp.org/tlog-policy; its keys are elided there.
EXAMPLE = f"""
log {LOG.verifier.vkey}

witness X1 {KEYS[0]}
witness X2 {KEYS[1]}
witness X3 {KEYS[2]}
group X-witnesses 2 X1 X2 X3

witness Y1 {KEYS[3]}
witness Y2 {KEYS[4]}
witness Y3 {KEYS[5]}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def test_the_example_of_the_specification_asks_for_two_of_x_and_one_of_y() -> None:
    found = policy.parse(EXAMPLE.encode())
    assert [each.verifier.vkey for each in found.logs] == [LOG.verifier.vkey]
    names = [b"X1", b"X2", b"X3", b"Y1", b"Y2", b"Y3"]
    assert list(found.witnesses) == names
    for count in range(7):
        for cosigned in itertools.combinations(names, count):
            x, y = (sum(name.startswith(letter) for name in cosigned) for letter in (b"X", b"Y"))
            assert found.satisfied(cosigned) == (x >= 2 and y >= 1), cosigned
    assert not found.satisfied([b"X-and-Y", b"X-witnesses", b"Y-witnesses"]), "nobody cosigns as a group"


def test_a_quorum_may_be_one_witness_or_none() -> None:
    one = policy.parse(f"witness w {KEYS[0]}\nquorum w\n".encode())
    assert (one.logs, one.satisfied([b"w"]), one.satisfied([])) == ((), True, False)
    none = policy.parse(b"quorum none")
    assert (none.quorum, none.satisfied([])) == (None, True)


def test_lines_are_separated_and_commented_as_the_specification_allows() -> None:
    log = f"\tlog\t \t{LOG.verifier.vkey} \t https://log.example/\xe9 "
    text = f"# a comment\n\t # another \xe9\n \n{log}\n quorum none \n"
    found = policy.parse(text.encode("latin-1"))
    assert found.logs[0].url == b"https://log.example/\xe9"


def test_names_are_octets() -> None:
    """The letter K and the sign for Kelvin are two names, and so is what is no text at all."""
    text = b"witness K %s\nwitness \xe2\x84\xaa %s\nwitness \xff %s\ngroup g all K \xe2\x84\xaa \xff\nquorum g\n"
    found = policy.parse(text % tuple(key.encode() for key in KEYS[:3]))
    assert list(found.witnesses) == [b"K", b"\xe2\x84\xaa", b"\xff"]
    assert not found.satisfied([b"K", b"K", b"\xff"])
    assert policy.parse(found.format()) == found


def test_the_specifications_least_is_read() -> None:
    logs = "".join(f"log {SampleLog(1, f'log/{n}').signer.verifier.vkey}\n" for n in range(32))
    witnesses = "".join(f"witness w{n} {witness(f'w/{n}').verifier.vkey}\n" for n in range(32))
    groups = "group g0 any w0\n" + "".join(f"group g{n} all g{n - 1} w{n}\n" for n in range(1, 32))
    found = policy.parse((logs + witnesses + groups + "quorum g31\n").encode())
    everybody = [b"w%d" % number for number in range(32)]
    assert (len(found.logs), len(found.groups)) == (32, 32)
    assert found.satisfied(everybody)
    assert not any(found.satisfied(everybody[:n] + everybody[n + 1 :]) for n in range(32))


def test_groups_nested_a_thousand_deep_need_no_stack() -> None:
    groups = "".join(f"group g{n} all {f'g{n - 1}' if n else 'w'}\n" for n in range(1_500))
    found = policy.parse(f"witness w {KEYS[0]}\n{groups}quorum g1499\n".encode())
    assert found.satisfied([b"w"])
    assert not found.satisfied([])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the policy has no quorum line"),
        ("quorum none\nquorum none\n", "line 2 of the policy: it is the second quorum line"),
        ("quorum w\nwitness w {w0}\n", "line 1 of the policy: the quorum 'w' is not defined on a line above"),
        ("quorum\n", "line 1 of the policy: it has 0 items behind 'quorum'"),
        ("quorum a b\n", "it has 2 items behind 'quorum'"),
        ("log {log} https://a b\nquorum none\n", "it has 3 items behind 'log'"),
        ("Log {log}\nquorum none\n", "'Log' is none of 'log', 'witness', 'group' and 'quorum'"),
        ("log {log}\nlog {log}\nquorum none\n", "line 2 .* is that of another log already"),
        ("log {renamed}\nlog {log}\nquorum none\n", "line 2 .* is that of another log already"),
        ("witness a {w1}\nwitness b {w1}\nquorum none\n", "line 2 .* is that of another witness already"),
        ("log {w1}\nquorum none\n", "is of an algorithm that logs do not sign with"),
        ("witness a {log}\nquorum none\n", "is of an algorithm that witnesses do not sign with"),
        ("witness a abc\nquorum none\n", "line 1 of the policy: 'abc' is not a verifier key"),
        ("witness none {w0}\nquorum none\n", "the name 'none' is defined already"),
        ("witness a {w0}\nwitness a {w1}\nquorum none\n", "the name 'a' is defined already"),
        ("witness a {w0}\ngroup a any a\nquorum a\n", "the name 'a' is defined already"),
        ("group g any none\nquorum g\n", "the member 'none' is not defined on a line above"),
        ("group g any g\nquorum g\n", "the member 'g' is not defined on a line above"),
        ("group g any\nquorum g\n", "it has 2 items behind 'group'"),
        ("witness a {w0}\ngroup g 0 a\nquorum g\n", "'0' is none of 'all', 'any' and a number from 1 to 1"),
        ("witness a {w0}\ngroup g 2 a\nquorum g\n", "'2' is none of 'all', 'any' and a number from 1 to 1"),
        ("witness a {w0}\ngroup g 01 a\nquorum g\n", "'01' is none of"),
        ("witness a {w0}\ngroup g most a\nquorum g\n", "'most' is none of"),
        ("witness a {w0}\ngroup g 2 a a\nquorum g\n", "the member 'a' is a member of a group already"),
        ("witness a {w0}\ngroup g any a\ngroup h any a\nquorum h\n", "line 3 .* is a member of a group already"),
        ("quorum none\r\n", "line 1 of the policy has the control character U\\+000D"),
        ("# \x7f\nquorum none\n", "control character U\\+007F"),
        ("quorum none\n" * 5_000, "second quorum line"),
        ("witness \x1b[2J {w0}\nquorum none\n", "control character U\\+001B"),
        ("\n" * (1 << 20) + "quorum none\n", "more than 1 MiB"),
    ],
)
def test_what_is_no_policy_is_refused_in_a_sentence(text: str, why: str) -> None:
    renamed = LogSigner("renamed", ed25519(f"log {ORIGIN}")).verifier.vkey
    keys = {"log": LOG.verifier.vkey, "renamed": renamed, "w0": KEYS[0], "w1": KEYS[1]}
    with pytest.raises(MalformedPolicy, match=why) as refused:
        policy.parse(text.format(**keys).encode())
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400


def test_more_lines_than_anybody_needs_are_refused() -> None:
    groups = "".join(f"group g{n} all {f'g{n - 1}' if n else 'w'}\n" for n in range(5_000))
    with pytest.raises(MalformedPolicy, match="more than 4096 lines"):
        policy.parse(f"witness w {KEYS[0]}\n{groups}quorum w\n".encode())


def test_two_keys_with_one_name_and_hash_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash has four bytes: such a key can be found in minutes, and here it is made by a hash that is always zero."""
    monkeypatch.setattr("gateway.tlog.keys.key_id_of", lambda *_: bytes(4))
    one, other = (Cosigner("w", ed25519(label)).verifier.vkey for label in ("one", "other"))
    with pytest.raises(MalformedPolicy, match="line 2 of the policy: another key has the name 'w' and the same hash"):
        policy.parse(f"witness a {one}\nwitness b {other}\nquorum none\n".encode())


def test_a_key_may_be_a_logs_and_a_witnesss() -> None:
    """ML-DSA-44 is for both, and nothing in the specification forbids it: who may count is for the policy to say."""
    both = witness("both", post_quantum=True)
    found = policy.parse(f"log {both.verifier.vkey}\nwitness w {both.verifier.vkey}\nquorum w\n".encode())
    assert found.verifiers == {both.key: both.verifier}


@given(st.data())
def test_a_policy_is_read_as_it_was_written_and_more_cosignatures_never_harm(data: st.DataObject) -> None:
    signers: list[Cosigner] = WITNESSES[: data.draw(st.integers(1, 6))]
    free = [f"w{number}" for number in range(1, len(signers) + 1)]
    lines = []
    for number in range(data.draw(st.integers(0, 4))):
        members = data.draw(st.lists(st.sampled_from(free), unique=True, min_size=1)) if free else []
        if members:
            lines.append(f"group g{number} {data.draw(st.integers(1, len(members)))} {' '.join(members)}")
            free = [*(name for name in free if name not in members), f"g{number}"]
    lines.append(f"quorum {data.draw(st.sampled_from(free))}")
    found = policy.parse(policy_text(LOG, signers, *lines))
    assert policy.parse(found.format()) == found
    names = list(found.witnesses)
    some = data.draw(st.lists(st.sampled_from(names), unique=True))
    assert found.satisfied(some) <= found.satisfied([*some, data.draw(st.sampled_from(names))])
    assert found.satisfied(names)
    assert not found.satisfied([])


@given(st.binary(max_size=300))
def test_anything_else_is_refused_as_no_policy(content: bytes) -> None:
    with pytest.raises(MalformedPolicy):
        policy.parse(content + b"\nquorum w\n")

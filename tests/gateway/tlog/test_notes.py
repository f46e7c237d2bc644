# SPDX-License-Identifier: Apache-2.0
"""Notes, checkpoints, keys and proofs as text: what C2SP's pages show reads here, and one thing has one spelling."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samplelog import AT, ORIGIN, SampleLog, ed25519, ml_dsa, witness

from gateway.tlog import notes
from gateway.tlog.checkpoints import Checkpoint
from gateway.tlog.entries import Entry, origin_of
from gateway.tlog.errors import (
    BadSignature,
    MalformedCheckpoint,
    MalformedKey,
    MalformedNote,
    MalformedProof,
    TlogError,
)
from gateway.tlog.keys import Algorithm, Cosigner, LogSigner, Verifier, key_id_of, subtree_message
from gateway.tlog.notes import Note, NoteSignature
from gateway.tlog.proofs import MOST_HASHES, TlogProof

# c2sp.org/signed-note, section Verifier keys.
FOO = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
FOO_NOTE = """This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
""".encode()
# The documentation of golang.org/x/mod/sumdb/note.
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_NOTE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
""".encode()
# c2sp.org/tlog-cosignature, at its beginning.
SOFA_NOTE = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa"
    " Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1"
    " jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
).encode()
SIGNERS = (
    LogSigner(ORIGIN, ed25519("log")),
    witness("witness.example/w1"),
    witness("witness.example/w2", post_quantum=True),
)


@pytest.mark.parametrize(("vkey", "text"), [(FOO, FOO_NOTE), (NEUMANN, NEUMANN_NOTE)])
def test_the_notes_of_others_verify(vkey: str, text: bytes) -> None:
    verifier = Verifier.parse(vkey)
    note = notes.parse(text)
    assert note.format() == text
    assert verifier.vkey == vkey
    assert notes.verify(note, {verifier.key: verifier}) == {verifier.key: None}
    altered = Note(note.text.replace(b"is", b"iz", 1), note.signatures)
    with pytest.raises(BadSignature, match="is not over this text"):
        notes.verify(altered, {verifier.key: verifier})


def test_a_cosigned_checkpoint_of_the_specification_is_read() -> None:
    note = notes.parse(SOFA_NOTE)
    checkpoint = Checkpoint.parse(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert checkpoint.format() == note.text
    log, cosigner = note.signatures
    assert (log.name, log.key_id.hex(), len(log.value)) == ("example.com/behind-the-sofa", "033de0ae", 64)
    assert (cosigner.name, cosigner.key_id.hex()) == ("witness.example.com/w1", "8d66cf3f")
    assert int.from_bytes(cosigner.value[:8]) == 1_679_315_147, "the time that its example of a signed message has"
    assert notes.verify(note, {}) == {}, "lines of unknown keys are ignored"


def test_the_signed_message_of_an_ed25519_cosignature_is_the_specifications() -> None:
    name, key = "witness.example.com/w1", ed25519("w1")
    message = b"cosignature/v1\ntime 1679315147\n" + notes.parse(SOFA_NOTE).text
    value = Cosigner(name, key, lambda: 1_679_315_147.9).sign(notes.parse(SOFA_NOTE).text)
    assert value[:8] == (1_679_315_147).to_bytes(8)
    key.public_key().verify(value[8:], message)


def test_the_signed_message_of_an_ml_dsa_cosignature_is_the_specifications() -> None:
    name, key = "w", ml_dsa("w")
    text = notes.parse(SOFA_NOTE).text
    root = base64.b64decode("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
    message = (
        b"subtree/v1\n\x00" + b"\x01w" + (1_679_315_147).to_bytes(8) + b"\x1bexample.com/behind-the-sofa"
        + bytes(8) + (20_852_163).to_bytes(8) + root
    )  # fmt: skip
    value = Cosigner(name, key, lambda: 1_679_315_147).sign(text)
    key.public_key().verify(value[8:], message)
    assert subtree_message("w", 0, "o", 4, 8, root)[-48:] == (4).to_bytes(8) + (8).to_bytes(8) + root


def test_an_ml_dsa_cosignature_does_not_cover_further_lines_and_an_ed25519_one_does() -> None:
    text = notes.parse(SOFA_NOTE).text
    for signer, covers in ((SIGNERS[1], True), (SIGNERS[2], False)):
        value = signer.sign(text)
        if covers:
            with pytest.raises(BadSignature):
                signer.verifier.verify(text + b"more\n", value)
        else:
            assert signer.verifier.verify(text + b"more\n", value) == AT


def test_an_ml_dsa_key_cosigns_checkpoints_only() -> None:
    with pytest.raises(MalformedCheckpoint):
        SIGNERS[2].sign(b"hello\n")
    value = SIGNERS[2].sign(SampleLog(3).checkpoint().format())
    with pytest.raises(BadSignature, match="cosigns checkpoints only"):
        SIGNERS[2].verifier.verify(b"hello\n", value)
    with pytest.raises(MalformedCheckpoint, match="at most 255"):
        SIGNERS[2].sign(Checkpoint("o" * 256, 1, bytes(32)).format())


def test_a_time_of_zero_is_none_of_an_ml_dsa_cosignature() -> None:
    """Such a cosigner says nothing of the largest tree that it has seen."""
    text = SampleLog(3).checkpoint().format()
    for post_quantum, stated in ((True, None), (False, 0)):
        signer = witness("w", post_quantum=post_quantum, at=0)
        assert signer.verifier.verify(text, signer.sign(text)) == stated


@pytest.mark.parametrize("signer", SIGNERS, ids=lambda each: each.verifier.algorithm.name)
def test_every_bit_of_a_signature_counts(signer: LogSigner) -> None:
    text = SampleLog(3).checkpoint().format()
    value = signer.sign(text)
    assert signer.verifier.verify(text, value) in (None, AT)
    for at in range(0, len(value), max(1, len(value) // 80)):
        with pytest.raises(BadSignature):
            signer.verifier.verify(text, value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :])
    for wrong in (value[:-1], value + b"\0", b""):
        with pytest.raises(BadSignature, match="bytes of its own, not"):
            signer.verifier.verify(text, wrong)


def test_a_time_beyond_2_to_63_is_refused() -> None:
    with pytest.raises(BadSignature, match="beyond 2\\^63"):
        SIGNERS[1].verifier.verify(b"x\n", b"\x80" + bytes(71))


def test_a_key_signs_under_its_own_name_and_algorithm_alone() -> None:
    one, key = ed25519("one"), ed25519("one").public_key().public_bytes_raw()
    ids = {key_id_of(name, algorithm, key) for name in "ab" for algorithm in Algorithm}
    assert len(ids) == 6
    text = SampleLog(2).checkpoint().format()
    log, cosigner = LogSigner("a", one), Cosigner("a", one, lambda: AT)
    with pytest.raises(BadSignature):
        cosigner.verifier.verify(text, AT.to_bytes(8) + log.sign(text))
    with pytest.raises(BadSignature):
        log.verifier.verify(text, cosigner.sign(text)[8:])


def test_lines_of_one_key_are_each_verified_and_count_once() -> None:
    log = SampleLog(3)
    note = notes.parse(log.signed(witness("w")))
    twice = note.with_signatures(note.signatures[1])
    known = {each.key: each for each in (log.signer.verifier, witness("w").verifier)}
    assert notes.verify(twice, known) == {log.signer.key: None, witness("w").key: AT}
    forged = note.with_signatures(NoteSignature("w", note.signatures[1].key_id, bytes(72)))
    with pytest.raises(BadSignature):
        notes.verify(forged, known)


MANGLED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "does not end with a newline"),
    "no last newline": (FOO_NOTE[:-1], "does not end with a newline"),
    "no empty line": (b"text\n" + FOO_NOTE.split(b"\n\n")[1], "no empty line"),
    "no signature": (b"text\n\n", "has no signature"),
    "a carriage return": (FOO_NOTE.replace(b"example ", b"example\r"), "U\\+000D"),
    "no UTF-8": (FOO_NOTE.replace(b"example ", b"ex\xff "), "not UTF-8"),
    "a hyphen": (FOO_NOTE.replace("—".encode(), b"-"), "is not a signature line"),
    "no name": (FOO_NOTE.replace(b" example.com/foo Uw", b"  Uw"), "names no key"),
    "no signature behind a name": (FOO_NOTE[: FOO_NOTE.index(b" Uw")] + b"\n", "names no key"),
    "a plus in a name": (FOO_NOTE.replace(b"/foo", b"/f+o"), "names no key"),
    "a space of another script": (FOO_NOTE.replace(b"/foo", "/f\u3000o".encode()), "names no key"),
    "too long a name": (FOO_NOTE.replace(b"/foo", b"/" + b"o" * 256), "names no key"),
    "base64 without padding": (FOO_NOTE.replace(b"aQM=", b"aQM"), "not standard base64"),
    "base64 with other last bits": (FOO_NOTE.replace(b"aQM=", b"aQN="), "not standard base64"),
    "base64 for addresses": (FOO_NOTE.replace(b"Uw2Q", b"Uw-_"), "not standard base64"),
    "a space behind": (FOO_NOTE[:-1] + b" \n", "not standard base64"),
    "nothing but an id": (b"text\n\n" + "— foo Uw2QOg==\n".encode(), "too short"),
    "an empty line behind": (FOO_NOTE + b"\n", "has no signature"),
    "65 lines": (b"text\n\n" + FOO_NOTE.split(b"\n\n")[1] * 65, "more than 64 signature lines"),
    "2 MiB": (b"a" * (2 << 20) + FOO_NOTE, "at most 1048576 are read"),
}  # fmt: skip


@pytest.mark.parametrize("which", MANGLED)
def test_what_is_no_note_is_refused_in_a_sentence(which: str) -> None:
    content, why = MANGLED[which]
    with pytest.raises(MalformedNote, match=why) as refused:
        notes.parse(content)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400


def test_lines_of_a_witness_are_read_by_themselves() -> None:
    line = notes.parse(FOO_NOTE).signatures[0]
    assert notes.parse_signatures(line.format() * 2) == (line, line)
    for lines_given, why in ((line.format()[:-1], "does not end with a newline"), (b"", "does not end with a newline"),
                             (line.format().replace(b"foo", b"f\xff"), "not UTF-8")):  # fmt: skip
        with pytest.raises(MalformedNote, match=why):
            notes.parse_signatures(lines_given)


def test_what_cannot_be_signed_is_a_mistake_of_the_caller() -> None:
    for text, why in ((b"text", "ends with a newline"), (b"a\tb\n", "control character"), (b"\xff\n", "UTF-8")):
        with pytest.raises(ValueError, match=why):
            notes.sign(text, SIGNERS[0])


names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30).filter(notes.is_name)
lines = st.text(st.characters(exclude_categories=("Cs",), min_codepoint=32), max_size=40)


@given(
    st.lists(lines, min_size=1, max_size=6),
    st.lists(st.builds(NoteSignature, names, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=90)),
             min_size=1, max_size=5),
)  # fmt: skip
def test_a_note_is_read_as_it_was_written(text: list[str], signatures: list[NoteSignature]) -> None:
    note = Note("".join(f"{line}\n" for line in text).encode(), tuple(signatures))
    assert notes.parse(note.format()) == note


@given(st.binary(max_size=200))
def test_anything_else_is_refused_as_no_note_checkpoint_key_or_proof(content: bytes) -> None:
    for parse in (notes.parse, Checkpoint.parse, Verifier.parse, TlogProof.parse):
        with pytest.raises(TlogError):
            parse(content)


@given(st.binary(max_size=120))
def test_what_is_read_has_one_spelling(noise: bytes) -> None:
    log = SampleLog(5)
    content = bytearray(log.receipt(2, [witness("w")]))
    for place, value in enumerate(noise[:3]):
        content[(value * 7919 + place) % len(content)] = value
    try:
        proof = TlogProof.parse(bytes(content))
        note = notes.parse(proof.checkpoint)
        checkpoint = Checkpoint.parse(note.text)
    except TlogError:
        return
    assert proof.format() == bytes(content)
    assert note.format() == proof.checkpoint
    assert checkpoint.format() == note.text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "origin, size and root"),
        (b"o\n1\n", "origin, size and root"),
        (b"o\n1\n" + b"A" * 43 + b"=", "origin, size and root"),
        (b"\n1\n" + b"A" * 43 + b"=\n", "empty line"),
        (b"o\n01\n" + b"A" * 43 + b"=\n", "decimal number"),
        (b"o\n-1\n" + b"A" * 43 + b"=\n", "decimal number"),
        (b"o\n9223372036854775808\n" + b"A" * 43 + b"=\n", "decimal number"),
        ("o\n١\n".encode() + b"A" * 43 + b"=\n", "decimal number"),
        (b"o\n1\nAAAA\n", "has 3 bytes, not 32"),
        (b"o\n1\n" + b"A" * 43 + b"=\n\n", "empty line"),
        (b"\xff\n1\n" + b"A" * 43 + b"=\n", "UTF-8"),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_a_sentence(text: bytes, why: str) -> None:
    with pytest.raises(MalformedCheckpoint, match=why):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "wrong",
    [Checkpoint("", 1, bytes(32)), Checkpoint("a\nb", 1, bytes(32)), Checkpoint("o", -1, bytes(32)),
     Checkpoint("o", 2**63, bytes(32)), Checkpoint("o", 1, bytes(31)), Checkpoint("o", 1, bytes(32), ("",))],
)  # fmt: skip
def test_a_checkpoint_that_nobody_could_read_is_not_written(wrong: Checkpoint) -> None:
    with pytest.raises(ValueError):
        wrong.format()


def test_further_lines_of_a_checkpoint_are_kept() -> None:
    checkpoint = Checkpoint("o", 0, bytes(32), ("one", "two ä"))
    assert Checkpoint.parse(checkpoint.format()) == checkpoint


@pytest.mark.parametrize(
    ("vkey", "why"),
    [
        ("", "name\\+hash\\+base64"),
        ("x" * 3_000, "name\\+hash\\+base64"),
        ("a+b", "name\\+hash\\+base64"),
        (FOO.replace("530d903a", "530D903A"), "is '530D903A', not 530d903a"),
        (FOO.replace("530d903a", "530d903b"), "is '530d903b', not 530d903a"),
        (FOO.replace("+Aek", "+Bek"), "algorithm that is not known"),
        (FOO[:-4], "has 29 bytes, not 32"),
        (FOO[: FOO.rindex("+") + 1], "algorithm that is not known"),
        (FOO + "=", "not standard base64"),
        (FOO[11:].replace("/foo", ""), "is not a key's name"),
        ("\udcff" + FOO, "not UTF-8 text"),
        (FOO.replace("/foo", "/f o"), "is not a key's name"),
    ],
)
def test_what_is_no_key_is_refused_in_a_sentence(vkey: str, why: str) -> None:
    with pytest.raises(MalformedKey, match=why):
        Verifier.parse(vkey)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "\u2003", "\ud800", "ä" * 128])
def test_no_key_is_called_so(name: str) -> None:
    assert not notes.is_name(name)
    with pytest.raises(MalformedKey):
        Cosigner(name, ed25519("x"))


@given(st.integers(0, 2**63 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=64),
       st.none() | st.binary(max_size=100))  # fmt: skip
def test_a_proof_is_read_as_it_was_written(index: int, hashes: list[bytes], extra: bytes | None) -> None:
    proof = TlogProof(index, tuple(hashes), FOO_NOTE, extra)
    assert TlogProof.parse(proof.format()) == proof


@pytest.mark.parametrize(
    "wrong", [TlogProof(-1, (), FOO_NOTE), TlogProof(0, (b"",), FOO_NOTE), TlogProof(0, (bytes(32),) * 65, FOO_NOTE)]
)
def test_a_proof_that_nobody_could_read_is_not_written(wrong: TlogProof) -> None:
    with pytest.raises(ValueError):
        wrong.format()


PROOF = TlogProof(3, (bytes(32), bytes(32)), FOO_NOTE, b"extra").format()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "does not begin with the line"),
        (PROOF.replace(b"@v1", b"@v2"), "does not begin with the line"),
        (PROOF.replace(b"\n", b"\r\n"), "does not begin with the line"),
        (PROOF[: PROOF.index(b"\n\n")], "ends before its checkpoint"),
        (PROOF[: PROOF.index(b"\n\n") + 2], "ends before its checkpoint"),
        (PROOF.replace(b"index 3\n", b""), "no index line"),
        (PROOF.replace(b"index 3\n", b"index 3\nindex 3\n"), "hash 'index 3' of the proof is not standard base64"),
        (PROOF.replace(b"extra ZXh0cmE=", b"extra ZXh0cmE=\nextra ZXh0cmE="), "no index line"),
        (PROOF.replace(b"ZXh0cmE=", b"ZXh0cmE"), "extra data of the proof is not standard base64"),
        (PROOF.replace(b"index 3", b"index 03"), "index of the proof is '03'"),
        (PROOF.replace(b"index 3", b"index 3 "), "index of the proof is '3 '"),
        (PROOF.replace(b"index 3", b"index " + b"9" * 5_000), "index of the proof is '999"),
        (PROOF.replace(b"AAA=\n", b"AAA\n", 1), "not standard base64"),
        (PROOF.replace(b"A" * 43 + b"=\n", b"AAAA\n", 1), "has 3 bytes, not 32"),
        (PROOF.replace(b"A" * 43 + b"=\n", (b"A" * 43 + b"=\n") * (MOST_HASHES + 1), 1), "more than 64 hashes"),
        (b"c2sp.org/tlog-proof@v1\n" + b"\n" * 100, "no index line"),
        (b"c2sp.org/tlog-proof@v1\n" + b"A\n" * 100 + FOO_NOTE, "no index line"),
        (b"c2sp.org/tlog-proof@v1\n" + b"A" * (16 << 20), "more than 16 MiB"),
    ],
)  # fmt: skip
def test_what_is_no_proof_is_refused_in_a_sentence(content: bytes, why: str) -> None:
    with pytest.raises(MalformedProof, match=why) as refused:
        TlogProof.parse(content)
    assert len(str(refused.value)) < 400


def test_an_entry_is_a_transaction_and_the_digest_of_its_envelope() -> None:
    made = Entry.of("ab" * 32, b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert made.leaf == bytes.fromhex("ab" * 32 + empty)
    assert Entry.parse(made.leaf) == made
    with pytest.raises(TlogError, match="has 63 bytes"):
        Entry.parse(made.leaf[1:])
    for wrong in ("AB" * 32, "ab", "", "é" * 64):
        with pytest.raises(ValueError):
            Entry.of(wrong, b"")


def test_an_origin_names_the_channel_and_the_organisation() -> None:
    assert origin_of("main", "HospitalMSP") == "pedigree/main/HospitalMSP"
    for channel, organisation in (("", "a"), ("a/b", "c"), ("a", "b c"), ("a", "b+c"), ("a", "")):
        with pytest.raises(ValueError):
            origin_of(channel, organisation)

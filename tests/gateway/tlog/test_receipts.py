# SPDX-License-Identifier: Apache-2.0
"""Receipts: what holds is said in plain words, every altered copy is refused in a sentence, and so are forks."""

import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samplelog import ORIGIN, SampleLog, ed25519, entry, policy_of, policy_text, witness

from gateway.tlog import notes, policy, receipts
from gateway.tlog.checkpoints import Checkpoint
from gateway.tlog.errors import BadSignature, MalformedPolicy, RefutedReceipt, TlogError
from gateway.tlog.keys import LogSigner
from gateway.tlog.proofs import LARGEST, TlogProof

SIZE, INDEX = 11, 6
LOG = SampleLog(SIZE)
WITNESSES = [witness(f"witness/{name}") for name in ("lab", "maker", "regulator")]
POLICY = policy_of(LOG.signer, WITNESSES, 2)
RECEIPT = LOG.receipt(INDEX, WITNESSES)


def test_a_receipt_says_what_it_proves_and_what_not() -> None:
    verdict = receipts.verify(RECEIPT, entry(INDEX), POLICY)
    made = entry(INDEX)
    what = f"the transaction {made.transaction.hex()}, whose envelope has the SHA-256 {made.digest.hex()}"
    when = "at 2026-05-28T20:26:40Z by its own clock"
    assert verdict.text() == "\n".join(
        [
            f"Verified: the log '{ORIGIN}' holds this entry and 3 of your witnesses cosigned it.",
            "Shown by signatures and SHA-256:",
            f"  - The log holds {what}. It is number 7 of its 11 entries.",
            f"  - The key of the log '{ORIGIN}' signed that tree, with the root {LOG.tree.root().hex()}.",
            *(
                f"  - '{name}' cosigned that tree {when}: it continues all that it has seen of that log."
                for name in ("w1", "w2", "w3")
            ),
            "  - With these cosignatures the quorum 'all-of-them' of your policy is reached.",
            "Not proven:",
            "  - What the envelope says, beyond its SHA-256, and that this is true.",
            "  - That the transaction is valid, other than that the log and those who cosigned recorded it as valid.",
            "  - That nothing recorded later changes, withdraws or replaces what it recorded.",
        ]
    )
    document = verdict.as_json()
    assert document["transaction"] == made.transaction.hex()
    assert document["log"]["size"] == SIZE
    assert [each["witness"] for each in document["cosignatures"]] == ["w1", "w2", "w3"]


def test_without_a_quorum_it_says_that_nobody_compared_trees() -> None:
    alone = policy.parse(policy_text(LOG.signer, [], "quorum none"))
    verdict = receipts.verify(LOG.receipt(INDEX, [], extra=b"abc"), entry(INDEX), alone)
    assert verdict.summary == f"Verified: the log '{ORIGIN}' holds this entry."
    assert "That the log shows everyone the same tree: your policy asks for no cosignature." in verdict.not_proven
    assert "The file's extra data, 3 bytes: nothing signs it." in verdict.not_proven


def test_leaves_of_other_logs_are_bytes() -> None:
    log = SampleLog(SIZE, "other.example/log")
    verdict = receipts.verify(log.receipt(2, WITNESSES), entry(2).leaf, policy_of(log.signer, WITNESSES, 3))
    assert verdict.entry is None
    assert "an entry of 64 bytes with the hash" in verdict.proven[0]


def test_a_time_that_no_calendar_has_is_a_number() -> None:
    odd = witness("odd", at=2**62)
    verdict = receipts.verify(LOG.receipt(1, [odd]), entry(1), policy_of(LOG.signer, [odd], 1))
    assert f"cosigned that tree at second {2**62} since 1970" in verdict.text()
    silent = witness("silent", post_quantum=True, at=0)
    verdict = receipts.verify(LOG.receipt(1, [silent]), entry(1), policy_of(LOG.signer, [silent], 1))
    assert "'w1' cosigned that tree: it continues" in verdict.text()


def altered() -> dict[str, tuple[bytes, str]]:
    """Copies of the receipt, each with one thing changed, and why each proves nothing."""
    proof = TlogProof.parse(RECEIPT)
    note = notes.parse(proof.checkpoint)
    lines = note.signatures

    def again(text: bytes = note.text, signatures: Sequence[notes.NoteSignature] = lines) -> bytes:
        return TlogProof(proof.index, proof.hashes, notes.Note(text, tuple(signatures)).format()).format()

    def path(index: int, *hashes: bytes) -> bytes:
        return TlogProof(index, hashes, proof.checkpoint).format()

    fork, other = SampleLog(SIZE, forked=True), SampleLog(SIZE, "pedigree/main/StrangerMSP")
    size, root = (line for line in note.text.split(b"\n")[1:3])
    return {
        "another index": (path(INDEX - 1, *proof.hashes), "the log is not shown to hold the entry: the path leads to"),
        "an index outside": (path(SIZE, *proof.hashes), "there is no leaf 11 in a tree of 11"),
        "a hash less": (path(INDEX, *proof.hashes[:-1]), "the path is too short"),
        "a hash more": (path(INDEX, *proof.hashes, bytes(32)), "the path is too long"),
        "another hash": (path(INDEX, bytes(32), *proof.hashes[1:]), "the path leads to another root"),
        "another size": (again(note.text.replace(size, b"12")), f"the signature of '{ORIGIN}' is not over this text"),
        "another root": (again(note.text.replace(root, b"A" * 43 + b"=")), "is not over this text"),
        "another origin": (again(note.text.replace(b"Hospital", b"Stranger")), "no log with the origin"),
        "a further line": (again(note.text + b"more\n"), "is not over this text"),
        "another log's key": (
            TlogProof(INDEX, tuple(other.tree.inclusion(INDEX)), other.signed(*WITNESSES)).format(),
            "the policy has no log with the origin 'pedigree/main/StrangerMSP'",
        ),
        "no signature of the log": (again(signatures=lines[1:]), "signed its checkpoint"),
        "the log's name over a stranger's key": (
            notes_with(LogSigner(ORIGIN, ed25519("stranger"))), "no key that the policy has of the log"
        ),
        "one witness": (again(signatures=lines[:2]), "is not reached: only 'w1' cosigned the checkpoint"),
        "no witness": (again(signatures=lines[:1]), "is not reached: none of its witnesses cosigned the checkpoint"),
        "one witness twice": (again(signatures=[*lines[:2], lines[1]]), "only 'w1' cosigned"),
        "another time": (again(signatures=[lines[0], sooner(lines[1]), *lines[2:]]), "'witness/lab' is not over this"),
        "a witness's line of an earlier tree": (
            again(signatures=[*lines[:3], notes.parse(LOG.signed(WITNESSES[2], size=10)).signatures[1]]),
            "'witness/regulator' is not over this text",
        ),
        "a fork that the witnesses did not see": (
            fork.receipt(INDEX, []), "is not reached: none of its witnesses cosigned the checkpoint"
        ),
        "a fork with the witnesses' lines": (
            TlogProof(INDEX, tuple(fork.tree.inclusion(INDEX)), notes.Note(fork.checkpoint().format(), (
                notes.signature_of(fork.checkpoint().format(), fork.signer), *lines[1:])).format()).format(),
            "'witness/lab' is not over this text",
        ),
        "a fork that everybody signed": (fork.receipt(INDEX, WITNESSES), "the path leads to another root"),
    }  # fmt: skip


def notes_with(signer: LogSigner) -> bytes:
    """The receipt with a log's signature by another key, and the true witnesses' lines."""
    proof = TlogProof.parse(RECEIPT)
    return TlogProof(proof.index, proof.hashes, notes.sign(LOG.checkpoint().format(), signer, *WITNESSES)).format()


def sooner(line: notes.NoteSignature) -> notes.NoteSignature:
    """The cosignature with the time of a second before."""
    stated = int.from_bytes(line.value[:8]) - 1
    return notes.NoteSignature(line.name, line.key_id, stated.to_bytes(8) + line.value[8:])


ALTERED = altered()


@pytest.mark.parametrize("which", ALTERED)
def test_an_altered_copy_is_refused_in_a_sentence_of_its_own(which: str) -> None:
    content, why = ALTERED[which]
    assert content != RECEIPT
    with pytest.raises(TlogError, match=why) as refused:
        receipts.verify(content, entry(INDEX), POLICY)
    assert str(refused.value).isprintable()


def test_a_receipt_proves_no_other_entry() -> None:
    for other in (entry(INDEX + 1), entry(INDEX).leaf[:-1], entry(INDEX).leaf + b"\0", b"", entry(INDEX).hash):
        with pytest.raises(RefutedReceipt, match="the path leads to another root"):
            receipts.verify(RECEIPT, other, POLICY)


@given(st.data())
def test_no_byte_can_be_changed(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(RECEIPT) - 1))
    new = data.draw(st.integers(0, 255).filter(lambda value: value != RECEIPT[at]))
    content = RECEIPT[:at] + bytes([new]) + RECEIPT[at + 1 :]
    try:
        verdict = receipts.verify(content, entry(INDEX), POLICY)
    except TlogError:
        return
    # What is left: a line that is another key's now, and two of three witnesses are enough.
    assert len(verdict.cosignatures) == 2
    assert verdict.checkpoint == LOG.checkpoint()


@given(st.integers(0, len(RECEIPT) - 1))
def test_a_receipt_that_is_cut_off_proves_nothing(end: int) -> None:
    try:
        receipts.verify(RECEIPT[:end], entry(INDEX), POLICY)
    except TlogError:
        return
    assert RECEIPT[:end].count("— ".encode()) == 3, "two of three witnesses are enough"


@given(st.integers(1, 300), st.data())
def test_every_entry_of_every_log_has_a_receipt(size: int, data: st.DataObject) -> None:
    log = SampleLog(size)
    index = data.draw(st.integers(0, size - 1))
    verdict = receipts.verify(log.receipt(index, WITNESSES[:2]), entry(index), POLICY)
    assert (verdict.index, verdict.entry) == (index, entry(index))


def test_a_receipt_of_any_size_that_the_log_has_had_is_accepted() -> None:
    for size in range(INDEX + 1, SIZE + 1):
        assert receipts.verify(LOG.receipt(INDEX, WITNESSES, size=size), entry(INDEX), POLICY).checkpoint.size == size


def test_what_strangers_add_is_ignored_and_bounded() -> None:
    strangers = [witness(f"stranger/{number}") for number in range(60)]
    verdict = receipts.verify(LOG.receipt(INDEX, [*strangers, *WITNESSES]), entry(INDEX), POLICY)
    assert len(verdict.cosignatures) == 3
    with pytest.raises(TlogError, match="more than 64 signature lines"):
        receipts.verify(LOG.receipt(INDEX, [*strangers, witness("one/more"), *WITNESSES]), entry(INDEX), POLICY)


def test_many_witnesses_are_not_all_named() -> None:
    many = [witness(f"w/{number}") for number in range(12)]
    with pytest.raises(RefutedReceipt, match=r"only 'w1', .*'w8' and 1 more cosigned"):
        receipts.verify(LOG.receipt(INDEX, many[:9]), entry(INDEX), policy_of(LOG.signer, many, 12))


def test_what_a_receipt_says_is_read_without_a_policy_and_believed_of_nobody() -> None:
    claim = receipts.read(LOG.receipt(INDEX, WITNESSES, extra=entry(INDEX).leaf))
    transaction = entry(INDEX).transaction.hex()
    assert not claim.verified
    assert claim.text() == "\n".join(
        [
            "Nothing is proven yet: no signature was checked, as no policy says whose signatures to believe.",
            "The file says, and nothing here shows it:",
            f"  - The log '{ORIGIN}' holds the transaction {transaction}, as number 7 of 11 entries.",
            f"  - Signed by '{ORIGIN}', 'witness/lab', 'witness/maker', 'witness/regulator'.",
            "Not proven:",
            "  - Any of it: give the policy of an organisation that you trust with --policy.",
        ]
    )
    assert claim.as_json()["log"] == {"origin": ORIGIN, "size": SIZE}
    for extra in (None, b"", entry(1).leaf + b"x"):
        assert receipts.read(LOG.receipt(INDEX, [], extra=extra)).entry is None


def test_extra_data_is_the_entry_only_where_the_path_leads_from_it() -> None:
    verdict = receipts.verify(LOG.receipt(INDEX, WITNESSES, extra=entry(INDEX).leaf), None, POLICY)
    assert verdict.entry == entry(INDEX)
    assert not any("extra data" in each for each in verdict.not_proven)
    with pytest.raises(RefutedReceipt, match="the path leads to another root"):
        receipts.verify(LOG.receipt(INDEX, WITNESSES, extra=entry(3).leaf), None, POLICY)
    with pytest.raises(RefutedReceipt, match="it does not say which entry it is about"):
        receipts.verify(RECEIPT, None, POLICY)


HUGE = {
    "letters": b"c2sp.org/tlog-proof@v1\n" + b"A" * 100_000_000,
    "extra data": b"c2sp.org/tlog-proof@v1\nextra " + b"A" * (LARGEST - 100),
    "lines": b"c2sp.org/tlog-proof@v1\nindex 1\n" + b"A\n" * (LARGEST // 2 - 40),
    "empty lines": b"c2sp.org/tlog-proof@v1\nindex 1\n" + b"\n" * (LARGEST - 100),
    "a note in a note": b"c2sp.org/tlog-proof@v1\nindex 1\n\n" + RECEIPT * 5_000,
    "signature lines": RECEIPT + "— a AAAA\n".encode() * 1_000_000,
}


@pytest.mark.parametrize("which", HUGE)
def test_large_files_are_refused_in_bounded_memory(which: str) -> None:
    content = HUGE[which]
    tracemalloc.start()
    try:
        with pytest.raises(TlogError) as refused:
            receipts.verify(content, entry(INDEX), POLICY)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 64 << 20
    assert len(str(refused.value)) < 400


def test_errors_of_one_family_can_be_told_apart() -> None:
    assert issubclass(BadSignature, TlogError)
    assert not issubclass(MalformedPolicy, BadSignature)


def test_a_receipt_has_the_bytes_that_its_documentation_says() -> None:
    """Of 20 hashes: what the formats fix, the entry, twice the origin, and the names."""

    def size(origin: str, names: Sequence[str], leaf: bytes | None) -> int:
        checkpoint = Checkpoint(origin, 1 << 20, bytes(32)).format()
        signed = notes.sign(checkpoint, LogSigner(origin, ed25519("log")), *(witness(name) for name in names))
        content = TlogProof(700_001, (bytes(32),) * 20, signed, leaf).format()
        assert len(content) == 1_530 + (95 if leaf else 0) + 2 * len(origin) + sum(map(len, names))
        return len(content)

    members = [f"pedigree/main/{name}MSP/witness" for name in ("Hospital", "Research", "Clinique", "Auditors")]
    assert size("pedigree/main/HospitalMSP", members, bytes(64)) == 1_807
    outside = ["lab.example", "maker.example", "clinic.example", "auditor.example"]
    assert size("pedigree/main/HospitalMSP", outside, None) == 1_633
    assert size("o" * 15, ["w" * 10] * 4, None) == 1_600
    assert size("o", list("abcd"), bytes(64)) == 1_631

# SPDX-License-Identifier: Apache-2.0
"""Makes tests/vectors/receipts-c2sp.json: what every verifier of receipts and records must accept, and what refuse.

``python tests/harness/receiptvectors.py`` writes the file. A test compares it with what this module makes, and the
verifiers with the file; so does the second implementation, in JavaScript.
"""

import base64
import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from sampleevidence import SUBJECT, evidence_of
from samplelog import AT, SampleLog, ed25519, entry, policy_text, witness

from gateway.tlog import notes, policy, receipts
from gateway.tlog.errors import TlogError
from gateway.tlog.keys import LogSigner
from gateway.tlog.notes import Note, NoteSignature
from gateway.tlog.proofs import TlogProof
from pedigree import InvalidEvidence, verify_record

FILE: Final = Path(__file__).resolve().parents[1] / "vectors" / "receipts-c2sp.json"
SIZE, INDEX = 11, 6
LOG: Final = SampleLog(SIZE)
WITNESSES: Final = [witness(f"witness/{name}") for name in ("lab", "maker", "regulator")]
MIRRORS: Final = [witness(f"pedigree/main/{name}/mirror") for name in ("LabMSP", "MakerMSP")]
STATING: Final = (
    "group members 2 w1 w2 w3", "group mirrors any w4 w5", "group both all members mirrors", "quorum both"
)  # fmt: skip
GROUPS: Final = ("group companies any w1 w2", "group both all companies w3", "quorum both")
POLICIES: Final = {
    "two of three": policy_text(LOG.signer, WITNESSES, "group g 2 w1 w2 w3", "quorum g"),
    "a company and the regulator": policy_text(LOG.signer, WITNESSES, *GROUPS),
    "one witness": policy_text(LOG.signer, WITNESSES, "quorum w2"),
    "no witness": policy_text(LOG.signer, [], "quorum none"),
    "two of three and a mirror": policy_text(LOG.signer, [*WITNESSES, *MIRRORS], *STATING),
    "another log": policy_text(SampleLog(1, "pedigree/main/LabMSP").signer, WITNESSES, "quorum none"),
}
Json = dict[str, Any]


def made() -> Json:
    """The vectors."""
    return {
        "sources": {
            "notes": "c2sp.org/signed-note, section Verifier keys; the documentation of golang.org/x/mod/sumdb/note",
            "policies": "'the example' is that of c2sp.org/tlog-policy with keys put in",
            "others": "made by tests/harness/receiptvectors.py",
        },
        "notes": [*_notes()],
        "policies": [*_policies()],
        "trust": {name: text.decode() for name, text in POLICIES.items()},
        "receipts": [*_receipts()],
        "records": [*_records()],
    }


def _text(content: bytes) -> Json:
    """Bytes as text where they are text, else in base64."""
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


# -- notes ---------------------------------------------------------------------------------------------------------


def _notes() -> Iterator[Json]:
    foo = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    neumann = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    text = (
        "This is an example message.\n\n— example.com/foo"
        " Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
    )
    problem = (
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
        "— PeterNeumann"
        " x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    for name, key, content, accepted in (
        ("of the specification", foo, text, ["example.com/foo"]),
        ("of Go's package", neumann, problem, ["PeterNeumann"]),
        ("of a key that is not known", neumann, text, []),
        ("with an empty line in its text", neumann, problem.replace("problem,\n", "problem,\n\n"), None),
        ("altered", foo, text.replace("example m", "example n"), None),
        ("with spare bits in its base64", foo, text.replace("aQM=", "aQN="), None),
        ("with a carriage return", foo, text.replace("message.\n", "message.\r\n"), None),
        ("without its last newline", foo, text[:-1], None),
        ("with an empty line at its end", foo, text + "\n", None),
        ("without a signature", foo, "This is an example message.\n\n", None),
        ("with a line that is no signature", foo, text + "- example.com/foo AAAA\n", None),
        ("under a key whose hash is another", foo.replace("530d", "530e"), text, None),
        ("under a key of an algorithm that is not known", foo.replace("+Aek", "+Cek"), text, None),
    ):
        yield {"name": name, "vkey": key, "note": content, "signed_by": accepted}


# -- policies ------------------------------------------------------------------------------------------------------


def _policies() -> Iterator[Json]:
    keys = [witness(f"witness.example/{number}").verifier.vkey for number in range(6)]
    log = LOG.signer.verifier.vkey
    members = "".join(f"witness {name} {key}\n" for name, key in zip(("X1", "X2", "X3"), keys[:3], strict=True))
    others = "".join(f"witness {name} {key}\n" for name, key in zip(("Y1", "Y2", "Y3"), keys[3:], strict=True))
    example = (
        f"log {log}\n\n{members}group X-witnesses 2 X1 X2 X3\n\n{others}group Y-witnesses any Y1 Y2 Y3\n\n"
        "group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
    )
    yield {
        "name": "the example",
        "policy": {"text": example},
        "satisfied": [["X1", "X2", "Y1"], ["X1", "X3", "Y3"], ["X1", "X2", "X3", "Y1", "Y2", "Y3"]],
        "unsatisfied": [[], ["X1", "Y1"], ["X1", "X2", "X3"], ["Y1", "Y2", "Y3"], ["X-and-Y"], ["X1", "X1", "Y1"]],
    }
    yield {
        "name": "nobody has to cosign",
        "policy": {"text": f" \t# comment\n\n\tlog  {log}\thttps://log.example\t\nquorum\tnone"},
        "satisfied": [[]],
        "unsatisfied": [],
    }
    yield {
        "name": "a name that is no text",
        "policy": _text(b"witness \xff " + keys[0].encode() + b"\nquorum \xff\n"),
        "satisfied": [],
        "unsatisfied": [[]],
    }
    for name, text in (
        ("no quorum", f"log {log}\n"),
        ("two quorums", "quorum none\nquorum none\n"),
        ("a quorum of what comes later", f"quorum w\nwitness w {keys[0]}\n"),
        ("a quorum of nobody", "quorum w\n"),
        ("a witness without a key", "witness w\nquorum none\n"),
        ("a log with too much", f"log {log} https://log.example more\nquorum none\n"),
        ("a word that is not known", f"logs {log}\nquorum none\n"),
        ("a log's key twice", f"log {log}\nlog {log}\nquorum none\n"),
        ("a witness's key twice", f"witness a {keys[0]}\nwitness b {keys[0]}\nquorum none\n"),
        ("a witness that is called none", f"witness none {keys[0]}\nquorum none\n"),
        ("a name twice", f"witness a {keys[0]}\nwitness a {keys[1]}\nquorum none\n"),
        ("a log with a witness's key", f"log {keys[0]}\nquorum none\n"),
        ("a witness with a log's key", f"witness a {log}\nquorum none\n"),
        ("a group of itself", "group g any g\nquorum g\n"),
        ("a group of nobody", "group g any\nquorum none\n"),
        ("a group of none", "group g any none\nquorum g\n"),
        ("none of one", f"witness a {keys[0]}\ngroup g 0 a\nquorum g\n"),
        ("two of one", f"witness a {keys[0]}\ngroup g 2 a\nquorum g\n"),
        ("a number with a zero before", f"witness a {keys[0]}\ngroup g 01 a\nquorum g\n"),
        ("a member twice", f"witness a {keys[0]}\ngroup g any a a\nquorum g\n"),
        ("a member of two groups", f"witness a {keys[0]}\ngroup g any a\ngroup h any a\nquorum h\n"),
        ("a carriage return", "quorum none\r\n"),
        ("a key that is none", "witness a abc\nquorum none\n"),
    ):
        yield {"name": name, "policy": {"text": text}}


# -- receipts ------------------------------------------------------------------------------------------------------


def _receipts() -> Iterator[Json]:
    for name, (by, content, leaf) in _cases().items():
        vector: Json = {
            "name": name,
            "policy": by,
            "leaf": None if leaf is None else leaf.hex(),
            "receipt": _text(content),
        }
        try:
            verdict = receipts.verify(content, leaf, policy.parse(POLICIES[by]))
        except TlogError as exc:
            vector["refused"] = str(exc)
        else:
            vector["accepted"] = {
                "origin": verdict.checkpoint.origin,
                "size": verdict.checkpoint.size,
                "root": verdict.checkpoint.root.hex(),
                "index": verdict.index,
                "cosigned": {each.witness.name.decode(): each.at for each in verdict.cosignatures},
            }
        yield vector


def _cases() -> dict[str, tuple[str, bytes, bytes | None]]:
    """The policy, the receipt and the leaf of each vector; without a leaf it is the receipt's extra data."""
    two, leaf = "two of three", entry(INDEX).leaf
    whole = LOG.receipt(INDEX, WITNESSES)
    proof = TlogProof.parse(whole)
    note = notes.parse(proof.checkpoint)
    log, lab, maker, regulator = note.signatures
    fork, other = SampleLog(SIZE, forked=True), SampleLog(SIZE, "pedigree/main/StrangerMSP")
    earlier = notes.parse(LOG.signed(WITNESSES[2], size=10)).signatures[1]
    stranger = notes.parse(LOG.signed(LogSigner(LOG.origin, ed25519("stranger")))).signatures[1]

    def signed(*lines: NoteSignature, text: bytes = note.text) -> bytes:
        return TlogProof(proof.index, proof.hashes, Note(text, lines).format()).format()

    def path(index: int, *hashes: bytes) -> bytes:
        return TlogProof(index, hashes, proof.checkpoint).format()

    def edited(old: bytes, new: bytes) -> bytes:
        assert old in whole
        return whole.replace(old, new, 1)

    late = LOG.checkpoint().format()
    mirrored = "two of three and a mirror"
    copied, other_copy = (notes.parse(LOG.signed(*MIRRORS)).signatures[each] for each in (1, 2))
    earlier_copy = notes.parse(LOG.signed(MIRRORS[0], size=10)).signatures[1]
    return {
        "all three": (two, whole, leaf),
        "two of three": (two, signed(log, lab, regulator), leaf),
        "a company and the regulator": ("a company and the regulator", signed(log, maker, regulator), leaf),
        "the one witness": ("one witness", signed(log, maker), leaf),
        "nobody has to cosign": ("no witness", signed(log), leaf),
        "with extra data": (two, TlogProof(INDEX, proof.hashes, proof.checkpoint, leaf).format(), leaf),
        "its entry as extra data": (two, LOG.receipt(INDEX, WITNESSES, extra=leaf), None),
        "another entry as extra data": (two, LOG.receipt(INDEX, WITNESSES, extra=entry(INDEX + 1).leaf), None),
        "no entry at all": (two, whole, None),
        "extra data of another entry, which nobody asks for": (
            two, LOG.receipt(INDEX, WITNESSES, extra=entry(INDEX + 1).leaf), leaf
        ),
        "a line of a key that is not known": (two, signed(log, stranger, lab, maker), leaf),
        "a line of an algorithm that is not known": (
            two, signed(log, NoteSignature("post-quantum", b"\1\2\3\4", bytes(2428)), lab, maker), leaf
        ),
        "the only leaf": (two, SampleLog(1).receipt(0, WITNESSES), entry(0).leaf),
        "the last leaf": (two, LOG.receipt(SIZE - 1, WITNESSES), entry(SIZE - 1).leaf),
        "an earlier tree": (two, LOG.receipt(INDEX, WITNESSES, size=8), leaf),
        "a further line that all signed": (
            two,
            TlogProof(INDEX, proof.hashes, notes.sign(late + b"more\n", LOG.signer, *WITNESSES)).format(),
            leaf,
        ),
        "another leaf": (two, whole, entry(INDEX + 1).leaf),
        "a leaf cut short": (two, whole, leaf[:-1]),
        "another index": (two, path(INDEX - 1, *proof.hashes), leaf),
        "an index outside": (two, path(SIZE, *proof.hashes), leaf),
        "a hash less": (two, path(INDEX, *proof.hashes[:-1]), leaf),
        "a hash more": (two, path(INDEX, *proof.hashes, bytes(32)), leaf),
        "hashes in another order": (two, path(INDEX, *proof.hashes[::-1]), leaf),
        "65 hashes": (two, edited(b"\n\n", (b"\n" + b"A" * 43 + b"=") * 65 + b"\n\n"), leaf),
        "a hash cut short": (two, edited(b"\n\n", b"\nAAAA\n\n"), leaf),
        "another size": (two, edited(b"\n11\n", b"\n12\n"), leaf),
        "a size with a zero before": (two, edited(b"\n11\n", b"\n011\n"), leaf),
        "another root": (two, signed(log, lab, maker, text=_rooted(note.text, bytes(32))), leaf),
        "a root cut short": (two, signed(log, lab, maker, text=_rooted(note.text, bytes(31))), leaf),
        "another origin": (two, edited(b"HospitalMSP\n11", b"StrangerMSP\n11"), leaf),
        "another log": (two, other.receipt(INDEX, WITNESSES), leaf),
        "a log that the policy does not have": ("another log", whole, leaf),
        "a further line that nobody signed": (two, signed(log, lab, maker, text=note.text + b"more\n"), leaf),
        "no signature of the log": (two, signed(lab, maker, regulator), leaf),
        "a stranger's signature for the log's": (two, signed(stranger, lab, maker), leaf),
        "one of three": (two, signed(log, lab), leaf),
        "one of three, twice": (two, signed(log, lab, lab), leaf),
        "two companies": ("a company and the regulator", signed(log, lab, maker), leaf),
        "another witness than the one": ("one witness", signed(log, lab, regulator), leaf),
        "another time": (two, signed(log, _at(lab, AT - 1), maker, regulator), leaf),
        "a time beyond 2^63": (two, signed(log, _at(lab, 2**63), maker, regulator), leaf),
        "a cosignature cut short": (two, signed(log, _cut(lab), maker, regulator), leaf),
        "a cosignature of an earlier tree beside a true one": (two, signed(log, lab, maker, regulator, earlier), leaf),
        "the log's signature as a cosignature": (
            two, signed(log, NoteSignature(lab.name, lab.key_id, lab.value[:8] + log.value), maker, regulator), leaf
        ),
        "a fork that no witness signed": (two, fork.receipt(INDEX, []), leaf),
        "a fork that all signed, for what it does not hold": (two, fork.receipt(INDEX, WITNESSES), leaf),
        "cut off in its hashes": (two, whole[:120], leaf),
        "cut off before its checkpoint": (two, whole[: whole.index(b"\n\n") + 2], leaf),
        "cut off in a signature": (two, whole[:-9], leaf),
        "another version": (two, edited(b"@v1", b"@v2"), leaf),
        "no index": (two, edited(b"index 6\n", b""), leaf),
        "an index with a sign": (two, edited(b"index 6", b"index +6"), leaf),
        "an index in other digits": (two, edited(b"index 6", "index ٦".encode()), leaf),
        "an index beyond 2^63": (two, edited(b"index 6", b"index 9223372036854775808"), leaf),
        "extra data behind the index": (two, edited(b"index 6\n", b"index 6\nextra AAAA\n"), leaf),
        "extra data that is no base64": (two, edited(b"index 6\n", b"extra A\nindex 6\n"), leaf),
        "lines that end as on Windows": (two, whole.replace(b"\n", b"\r\n"), leaf),
        "a space behind a hash": (two, edited(b"\n\n", b" \n\n"), leaf),
        "no text": (two, edited(b"main", b"ma\xff\xfe"), leaf),
        "65 signatures": (two, signed(*note.signatures, *[stranger] * 61), leaf),
        "64 signatures": (two, signed(*note.signatures, *[stranger] * 60), leaf),
        "nothing": (two, b"", leaf),
        "two of three and a mirror": (mirrored, signed(log, lab, maker, copied), leaf),
        "a mirror's line where no policy asks for it": (two, signed(log, lab, maker, copied), leaf),
        "no mirror where one is asked for": (mirrored, signed(log, lab, maker, regulator), leaf),
        "two mirrors for a witness": (mirrored, signed(log, lab, copied, other_copy), leaf),
        "a mirror's cosignature of an earlier tree": (mirrored, signed(log, lab, maker, earlier_copy), leaf),
    }  # fmt: skip


def _rooted(text: bytes, root: bytes) -> bytes:
    lines = text.split(b"\n")
    return b"\n".join([*lines[:2], base64.b64encode(root), *lines[3:]])


def _at(line: NoteSignature, stated: int) -> NoteSignature:
    return NoteSignature(line.name, line.key_id, stated.to_bytes(8) + line.value[8:])


def _cut(line: NoteSignature) -> NoteSignature:
    return NoteSignature(line.name, line.key_id, line.value[:-1])


# -- records -------------------------------------------------------------------------------------------------------

ROWS: Final = [(f"r{number}", b"r%d,benign" % number) for number in range(5)]


def _records() -> Iterator[Json]:
    for name, document in _documents():
        vector: Json = {"name": name, "evidence": document, "root": _document(0)["version"]["root"]}
        if "subject" in name:
            vector["root"] = _document(0, subject=SUBJECT)["version"]["root"]
        try:
            verdict = verify_record(document, root=vector["root"])
        except InvalidEvidence as exc:
            vector["refused"] = exc.detail
        else:
            vector["accepted"] = {"id": verdict.id, "content": base64.b64encode(verdict.content).decode()}
        yield vector


def _document(chosen: int, subject: bytes | None = None) -> Json:
    made = evidence_of(ROWS, chosen, purposes=3, columns=["id", "finding"], subject=subject)
    made["version"]["committed_at"], made["transaction"]["at"] = AT * 1_000, "2026-05-28T20:26:40Z"
    return made


def _documents() -> Iterator[tuple[str, Json]]:
    for number in range(len(ROWS)):
        yield f"record {number} of 5", _document(number)
    yield "a record of a subject", _document(3, subject=SUBJECT)
    changes: dict[str, Callable[[Json], None]] = {
        "another id": lambda it: it["record"].update(id="r1"),
        "another content": lambda it: it["record"].update(content=base64.b64encode(b"r2,malignant").decode()),
        "another salt": lambda it: it["proof"].update(salt=base64.b64encode(bytes(16)).decode()),
        "another digest of the id": lambda it: it["proof"].update(id_digest="00" * 32),
        "another consent state": lambda it: it["proof"].update(consent=3),
        "a consent state without a meaning": lambda it: it["proof"].update(consent=9),
        "other purposes": lambda it: it["proof"].update(purposes="0000000000000007"),
        "another place": lambda it: it["proof"].update(index=3),
        "a place outside": lambda it: it["proof"].update(index=5),
        "a step less": lambda it: it["proof"]["path"].pop(),
        "a step more": lambda it: it["proof"]["path"].append("00" * 32),
        "steps in another order": lambda it: it["proof"]["path"].reverse(),
        "a size that is not the version's": lambda it: it["proof"].update(size=6),
        "another version": lambda it: it["proof"].update(version="dataset-version:visits:4"),
        "another root": lambda it: it["version"].update(root="00" * 32),
        "another column": lambda it: it["record"]["header"].update(fields=["id", "diagnosis"]),
        "a digest of a subject where there is none": lambda it: it["proof"].update(subject_digest="00" * 32),
    }
    for name, change in changes.items():
        document = copy.deepcopy(_document(2))
        change(document)
        yield name, document
    document = _document(3, subject=SUBJECT)
    document["proof"]["subject_digest"] = "00" * 32
    yield "another subject", document
    document = _document(3, subject=SUBJECT)
    del document["proof"]["subject_digest"]
    yield "no digest of the subject", document


def written(vectors: Json) -> str:
    """The text of the file."""
    return json.dumps(vectors, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(written(made()), encoding="utf-8")

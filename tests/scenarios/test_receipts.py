# SPDX-License-Identifier: Apache-2.0
"""Receipts: what three organisations' logs prove of a record to anyone who has a policy, and nothing else."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chaincode.domain import merkle
from gateway.cli import main as pedigree_command
from gateway.demo import tampering
from gateway.demo.consortium import Consortium
from gateway.demo.containers import Containers
from gateway.demo.founding import ORIGIN
from gateway.tlog import notes, policy, receipts
from gateway.tlog.checkpoints import Checkpoint
from gateway.tlog.errors import TlogError
from gateway.tlog.keys import LogSigner
from gateway.tlog.submissions import Submission
from gateway.tlog.uploads import Upload
from pedigree import NotFound, Pedigree

_names = itertools.count(1)
MEMBERS = {"hospital", "lab", "regulator"}


@pytest.fixture
def recorded(consortium: Consortium | Containers, clients: dict[str, Pedigree]) -> str:
    """The reference of a data set that the hospital registered, known to all."""
    name = f"logged-{next(_names)}"
    done = clients["hospital"].register_dataset(
        name, title="Ages", licence="CC-BY-4.0", origin=ORIGIN, sensitivity="internal"
    )
    for client in clients.values():
        client.at_least(done.height)
    until(lambda: all(cosigned_by_all(client) for client in clients.values()))
    return f"dataset:{name}"


def until(said: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not said():
        assert time.monotonic() < deadline, "not within a minute"
        time.sleep(0.05)


def cosigned_by_all(client: Pedigree) -> bool:
    """Whether a log asks the two other organisations' witnesses, and both have cosigned all that it holds."""
    found = client.log()
    behind = [each for each in found["witnesses"] if each["trouble"] or each["cosigned"] < found["entries"]]
    return len(found["witnesses"]) == 2 and not behind


def cosigners(content: bytes, trusted: policy.Policy) -> set[str]:
    """The organisations that cosigned."""
    verdict = receipts.verify(content, receipts.TlogProof.parse(content).extra or b"", trusted)
    return {each.witness.name.decode().rpartition("-")[0] for each in verdict.cosignatures}


@pytest.mark.story("F3", "A receipt of a record verifies without a network, cosigned by every member")
def test_every_gateway_gives_a_receipt_that_all_members_cosigned(clients: dict[str, Pedigree], recorded: str) -> None:
    transaction = clients["lab"].artifact(recorded)["transaction"]["id"]
    trusted = policy.parse(clients["regulator"].log_policy())
    origins = set()
    for client in clients.values():
        content = client.receipt(recorded)
        verdict = receipts.verify(content, receipts.TlogProof.parse(content).extra or b"", trusted)
        assert verdict.entry is not None
        assert verdict.entry.transaction.hex() == transaction
        assert cosigners(content, trusted) == MEMBERS
        origins.add(verdict.checkpoint.origin)
    assert origins == {f"pedigree/pedigree/{name}MSP" for name in ("Hospital", "Lab", "Regulator")}


@pytest.mark.story("F3", "A receipt of a record verifies without a network, cosigned by every member")
def test_the_command_writes_a_receipt_and_says_who_cosigned(
    consortium: Consortium | Containers, clients: dict[str, Pedigree], recorded: str, tmp_path: Path
) -> None:
    file = tmp_path / "a.tlog-proof"
    given = ["--url", consortium.url("lab"), "--key", consortium.key("lab")]
    done = CliRunner().invoke(pedigree_command, ["receipt", recorded, "-o", str(file), *given])
    assert done.exit_code == 0, done.output
    assert "cosigned by pedigree/pedigree/HospitalMSP/witness" in done.output
    assert "not cosigned" not in done.output
    shown = CliRunner().invoke(pedigree_command, ["log", "show", *given]).output
    assert "witnesses pedigree/pedigree/HospitalMSP: " in shown
    assert "key of the log: pedigree/pedigree/LabMSP+" in shown
    for verb, name in (("checkpoint", "checkpoint"), ("policy", "log-policy")):
        kept = tmp_path / name
        assert CliRunner().invoke(pedigree_command, ["log", verb, "-o", str(kept), *given]).exit_code == 0
        assert kept.read_bytes() == getattr(clients["lab"], name.replace("-", "_"))()
    trusted = ["--policy", str(tmp_path / "log-policy")]
    verified = CliRunner().invoke(pedigree_command, ["verify", str(file), *trusted])
    assert verified.exit_code == 0, verified.output
    assert "Verified: the log 'pedigree/pedigree/LabMSP' holds this entry" in verified.output
    assert "6 of your witnesses cosigned it." in verified.output
    other = CliRunner().invoke(pedigree_command, ["verify", str(file), *trusted, "--transaction", "ab" * 32])
    assert other.exit_code != 0


@pytest.mark.story("F3", "The members' keys make a policy, and the command says whose word is enough")
def test_a_policy_of_the_members_keys_judges_their_receipts(
    consortium: Consortium | Containers, clients: dict[str, Pedigree], recorded: str, tmp_path: Path
) -> None:
    kept, file = tmp_path / "mine.policy", tmp_path / "a.tlog-proof"
    named = [f"--member={name}={consortium.data(name) / 'log-keys' / 'public.vkeys'}" for name in sorted(MEMBERS)]
    done = CliRunner().invoke(pedigree_command, ["log", "policy", *named, "--threshold", "3", "-o", str(kept)])
    assert done.exit_code == 0, done.output
    assert "Enough is the word of all 3 of hospital, lab and regulator." in done.output
    content = clients["hospital"].receipt(recorded)
    file.write_bytes(content)
    given = ["verify", str(file), "--policy", str(kept)]
    assert CliRunner().invoke(pedigree_command, given).exit_code == 0
    file.write_bytes(b"\n".join(line for line in content.split(b"\n") if b"LabMSP/witness" not in line))
    assert CliRunner().invoke(pedigree_command, given).exit_code == 1


@pytest.mark.story("F3", "An altered receipt is refused", refused="refuted")
def test_an_altered_receipt_proves_nothing(clients: dict[str, Pedigree], recorded: str) -> None:
    content = clients["lab"].receipt(recorded)
    trusted = policy.parse(clients["lab"].log_policy())
    leaf = receipts.TlogProof.parse(content).extra or b""
    lines = content.split(b"\n")
    for number, line in enumerate(lines):
        if not line or line.startswith(b"extra"):
            continue
        altered = bytes([line[-1] ^ 1])
        changed = b"\n".join([*lines[:number], line[:-1] + altered, *lines[number + 1 :]])
        with pytest.raises(TlogError):
            receipts.verify(changed, leaf, trusted)
    with pytest.raises(TlogError, match="is not shown to hold the entry"):
        receipts.verify(content, leaf[:-1] + bytes([leaf[-1] ^ 1]), trusted)


@pytest.mark.story("F3", "An altered receipt is refused", refused="refuted")
def test_each_way_to_alter_a_receipt_is_refused_in_its_own_sentence(
    clients: dict[str, Pedigree], recorded: str
) -> None:
    content = clients["hospital"].receipt(recorded)
    trusted = policy.parse(clients["lab"].log_policy())
    receipts.verify(content, None, trusted)
    reasons = set()
    for how in tampering.WAYS:
        with pytest.raises(TlogError) as refused:
            receipts.verify(tampering.altered(content, how), None, trusted)
        reasons.add(str(refused.value))
    assert len(reasons) == len(tampering.WAYS)


@pytest.mark.story("F3", "A quorum short of one is refused", refused="refuted")
def test_a_receipt_without_a_cosignature_is_one_short(clients: dict[str, Pedigree], recorded: str) -> None:
    content = clients["lab"].receipt(recorded)
    trusted = policy.parse(clients["lab"].log_policy())
    leaf = receipts.TlogProof.parse(content).extra or b""
    kept = [line for line in content.split(b"\n") if b"HospitalMSP/witness" not in line]
    assert cosigners(b"\n".join(kept), trusted) == MEMBERS - {"hospital"}
    short = [line for line in kept if b"RegulatorMSP/witness" not in line]
    with pytest.raises(TlogError, match="quorum"):
        receipts.verify(b"\n".join(short), leaf, trusted)


@pytest.mark.story("F3", "What is not on the ledger has no receipt", refused="not-found")
def test_there_is_no_receipt_for_what_is_not_there(clients: dict[str, Pedigree], recorded: str) -> None:
    for unknown in ("ab" * 32, "dataset:nobody-registered-it"):
        with pytest.raises(NotFound):
            clients["lab"].receipt(unknown)


@pytest.mark.story("F3", "A log that forks is refused by its witnesses, who say so", refused="log-forked")
def test_a_fork_is_cosigned_by_nobody(
    consortium: Consortium | Containers, clients: dict[str, Pedigree], recorded: str
) -> None:
    clients["lab"].receipt(recorded)
    genuine = Checkpoint.parse(notes.parse(clients["lab"].checkpoint()).text)
    key = consortium.data("lab") / "log-keys" / "log.key"
    stolen = LogSigner(genuine.origin, Ed25519PrivateKey.from_private_bytes(key.read_bytes()))
    forked = notes.sign(Checkpoint(genuine.origin, genuine.size, b"\x01" * 32).format(), stolen)
    for name in ("hospital", "regulator"):
        address = f"{consortium.url(name)}/v1/log/add-checkpoint"
        answer = httpx.post(address, content=Submission(genuine.size, (), forked).format())
        assert (answer.status_code, answer.text) == (409, f"{genuine.size}\n")
        grown = notes.sign(Checkpoint(genuine.origin, genuine.size + 1, b"\x01" * 32).format(), stolen)
        answer = httpx.post(address, content=Submission(genuine.size, (), grown).format())
        assert (answer.status_code, answer.json()["code"]) == (422, "inconsistent-checkpoint")
        shown = (
            CliRunner()
            .invoke(
                pedigree_command,
                ["log", "show", "--url", consortium.url(name), "--key", consortium.key(name)],
            )
            .output
        )
        assert "REFUSED" in shown
        assert "pedigree/pedigree/LabMSP" in shown


@pytest.mark.story("F3", "A changed policy of logs is gone by at once, though nothing is recorded")
def test_a_witness_that_joins_cosigns_what_there_is(
    consortium: Consortium | Containers, clients: dict[str, Pedigree], recorded: str
) -> None:
    lab, file = clients["lab"], consortium.data("lab") / "log-policy"
    agreed = file.read_bytes()
    without = [line for line in agreed.split(b"\n") if not line.startswith((b"witness regulator", b"group regulator"))]
    file.write_bytes(b"\n".join(without).replace(b" regulator", b""))
    until(lambda: len(lab.log()["witnesses"]) == 1)
    done = lab.register_model(f"joining-{next(_names)}", title="T")
    until(lambda: cosigners(lab.receipt(done.transaction_id), policy.parse(agreed)) == MEMBERS - {"regulator"})
    height = lab.ledger()["height"]
    file.write_bytes(agreed)
    until(lambda: cosigners(lab.receipt(done.transaction_id), policy.parse(agreed)) == MEMBERS)
    assert lab.ledger()["height"] == height


@pytest.mark.story("F3", "A receipt is there as soon as its record is known to the witnesses")
def test_a_receipt_is_there_soon_after_the_commit(clients: dict[str, Pedigree], recorded: str) -> None:
    """It waits for no timer: rounds follow blocks."""
    spent: list[float] = []
    trusted: Any = policy.parse(clients["lab"].log_policy())
    for _ in range(5):
        done = clients["lab"].register_model(f"{recorded.partition(':')[2]}-{next(_names)}", title="T")
        began = time.monotonic()
        until(lambda: cosigners(clients["lab"].receipt(done.transaction_id), trusted) == MEMBERS)  # noqa: B023  # now
        spent.append(time.monotonic() - began)
    assert sorted(spent)[2] < 2.0


# --- Mirrors --------------------------------------------------------------------------------------------------------


@pytest.fixture
def mirrored(
    consortium: Consortium | Containers, clients: dict[str, Pedigree], recorded: str, tmp_path: Path
) -> Iterator[policy.Policy]:
    """The policy of two members and two mirrors, which the lab's gateway goes by meanwhile."""
    keys = {name: consortium.data(name) / "log-keys" for name in sorted(MEMBERS)}
    file, kept = consortium.data("lab") / "log-policy", tmp_path / "mirrored.policy"
    agreed = file.read_bytes()
    at = {each.name: each.url for each in policy.parse(agreed).witnesses.values()}
    words = [f"--member={name}={folder / 'public.vkeys'}" for name, folder in keys.items()]
    words += [f"--mirror={name}={folder / 'mirror.vkeys'}" for name, folder in keys.items()]
    words += [f"--at={name}={(at[f'{name}-1'.encode()] or b'').decode()}" for name in keys]
    done = CliRunner().invoke(
        pedigree_command, ["log", "policy", *words, "--threshold", "2", "--mirrors", "2", "-o", str(kept)]
    )
    assert done.exit_code == 0, done.output
    assert "Enough is the word of all 2 of members and mirrors." in done.output
    file.write_bytes(kept.read_bytes())
    yield policy.parse(kept.read_bytes())
    file.write_bytes(agreed)
    until(lambda: cosigned_by_all(clients["lab"]))


def stating(content: bytes, trusted: policy.Policy) -> set[str]:
    """The names of the mirrors that a receipt has, where a policy believes it."""
    try:
        verdict = receipts.verify(content, None, trusted)
    except TlogError:
        return set()
    return {name for each in verdict.cosignatures if (name := each.witness.verifier.name).endswith("/mirror")}


@pytest.mark.story("F3", "Members mirror one another's logs, and a receipt names the mirrors that a policy asks for")
def test_a_receipt_names_two_mirrors(
    consortium: Consortium | Containers, clients: dict[str, Pedigree], recorded: str, mirrored: policy.Policy,
    tmp_path: Path,
) -> None:  # fmt: skip
    lab = clients["lab"]
    others = {f"pedigree/pedigree/{name}MSP/mirror" for name in ("Hospital", "Regulator")}
    until(lambda: stating(lab.receipt(recorded), mirrored) == others)
    file, trusted = tmp_path / "mirrored.tlog-proof", tmp_path / "trusted"
    file.write_bytes(lab.receipt(recorded))
    trusted.write_bytes(mirrored.format())
    done = CliRunner().invoke(pedigree_command, ["verify", str(file), "--policy", str(trusted)])
    assert done.exit_code == 0, done.output
    assert "it states that it keeps a copy of all these entries" in " ".join(done.output.split())
    for name in ("hospital", "regulator"):
        found = {each["origin"]: each["checkpoint"] for each in clients[name].log()["mirrored"]}
        assert (
            found["pedigree/pedigree/LabMSP"]["size"]
            >= Checkpoint.parse(notes.parse(receipts.TlogProof.parse(file.read_bytes()).checkpoint).text).size
        )
        given = ["log", "show", "--url", consortium.url(name), "--key", consortium.key(name)]
        assert "mirrors pedigree/pedigree/LabMSP: " in CliRunner().invoke(pedigree_command, given).output


@pytest.mark.story("F3", "Members mirror one another's logs, and a receipt names the mirrors that a policy asks for")
def test_a_mirror_serves_another_organisations_log(
    consortium: Consortium | Containers, clients: dict[str, Pedigree], recorded: str, mirrored: policy.Policy
) -> None:
    until(lambda: bool(stating(clients["lab"].receipt(recorded), mirrored)))
    origin = "pedigree/pedigree/LabMSP"
    prefix = f"{consortium.url('hospital')}/v1/log/mirror/{hashlib.sha256(origin.encode()).hexdigest()}"
    as_reader = {"Authorization": f"Bearer {consortium.key('hospital')}"}
    note = notes.parse(httpx.get(f"{prefix}/checkpoint", headers=as_reader).content)
    found = Checkpoint.parse(note.text)
    assert notes.verify(note, mirrored.verifiers).keys() == {each.key for each in note.signatures}
    assert {each.name for each in note.signatures} == {origin, "pedigree/pedigree/HospitalMSP/mirror"}
    hashes = b""
    while len(hashes) < 32 * found.size:
        left = found.size - len(hashes) // 32
        path = f"{prefix}/tile/0/{len(hashes) // 8192:03}{'' if left >= 256 else f'.p/{left}'}"
        hashes += httpx.get(path, headers=as_reader).content
    assert merkle.root_of_hashes(hashes) == found.root


@pytest.mark.story("F3", "A receipt short of a mirror is refused", refused="refuted")
def test_a_receipt_without_a_mirror_is_one_short(
    clients: dict[str, Pedigree], recorded: str, mirrored: policy.Policy
) -> None:
    lab = clients["lab"]
    until(lambda: len(stating(lab.receipt(recorded), mirrored)) == 2)
    short = [line for line in lab.receipt(recorded).split(b"\n") if b"HospitalMSP/mirror" not in line]
    with pytest.raises(TlogError, match="quorum 'members-and-mirrors'"):
        receipts.verify(b"\n".join(short), None, mirrored)


@pytest.mark.story("F3", "A log that forks is mirrored no further", refused="log-forked")
def test_a_fork_is_mirrored_by_nobody(
    consortium: Consortium | Containers, clients: dict[str, Pedigree], recorded: str, mirrored: policy.Policy
) -> None:
    until(lambda: len(stating(clients["lab"].receipt(recorded), mirrored)) == 2)
    genuine = Checkpoint.parse(notes.parse(clients["lab"].checkpoint()).text)
    key = consortium.data("lab") / "log-keys" / "log.key"
    stolen = LogSigner(genuine.origin, Ed25519PrivateKey.from_private_bytes(key.read_bytes()))
    grown = notes.sign(Checkpoint(genuine.origin, genuine.size + 1, b"\x02" * 32).format(), stolen)
    for name in ("hospital", "regulator"):
        before = [each for each in clients[name].log()["mirrored"] if each["origin"] == genuine.origin]
        address = f"{consortium.url(name)}/v1/log"
        answer = httpx.post(f"{address}/add-checkpoint", content=Submission(genuine.size, (), grown).format())
        assert (answer.status_code, answer.json()["code"]) == (422, "inconsistent-checkpoint")
        answer = httpx.post(f"{address}/add-entries", content=Upload(genuine.origin, *[genuine.size + 1] * 2).format())
        assert (answer.status_code, answer.text) == (409, f"{genuine.size}\n{genuine.size}\n\n")
        assert [each for each in clients[name].log()["mirrored"] if each["origin"] == genuine.origin] == before

# SPDX-License-Identifier: Apache-2.0
"""Evidence of any transaction, from any organisation's gateway, checked offline; and copies that are altered."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest

from gateway.demo.forging import WAYS, altered
from gateway.demo.founding import ORIGIN
from gateway.verifier.transactions import RefutedEvidence, TransactionVerdict, verify_transaction
from pedigree import Pedigree, Recorded

_numbers = itertools.count(1)


class Recording:
    """Records one transaction after another, whoever makes it."""

    def __init__(self, clients: dict[str, Pedigree]) -> None:
        self.clients = clients
        self.name = f"shown-{next(_numbers)}"
        self.made: list[tuple[str, Recorded[Any]]] = []

    def __call__(self, who: str, record: Callable[[Pedigree], Recorded[Any]]) -> None:
        client = self.clients[who]
        if self.made:
            client.at_least(self.made[-1][1].height)
        self.made.append((who, record(client)))

    def data_and_consent(self) -> None:
        def register(hospital: Pedigree, dataset: str, basis: Any) -> Recorded[Any]:
            return hospital.register_dataset(
                dataset, title="T", licence="CC-BY-4.0", origin=ORIGIN, sensitivity="personal", basis=basis
            )

        consented = f"{self.name}-consent"
        said: Any = [{"subject": "s1", "state": "ConsentGiven", "purposes": ["research"]}]
        self("hospital", lambda hospital: register(hospital, self.name, "public-task"))
        self("hospital", lambda hospital: hospital.commit_records(self.name, b"id,age\np1,61\np2,44\n", id_field="id"))
        self("hospital", lambda hospital: register(hospital, consented, "consent"))
        self("hospital", lambda hospital: hospital.open_consent(consented, said))
        self("hospital", lambda hospital: hospital.withdraw_consent(consented, "s1"))

    def grant(self, organisation: str) -> str:
        """Have the hospital let an organisation process its personal data; answers the grant's reference."""
        name, grantee = f"{self.name}-{organisation}", f"{organisation.capitalize()}MSP"
        self(
            "hospital",
            lambda hospital: hospital.grant_access(
                name,
                grantee=grantee,
                artifact=f"dataset-version:{self.name}:1",
                purpose="research",
                actions=["process"],
                expires=time.time_ns() // 1_000_000 + 3_600_000,
            ),
        )
        return f"access-grant:{name}"

    def model(self) -> None:
        version = f"model-version:{self.name}:1"
        used = {"version": f"dataset-version:{self.name}:1"}
        grants = [self.grant(organisation) for organisation in ("lab", "regulator")]
        began = self.made[-1][1].record["granted_at"]
        files: Any = [{"path": "net.onnx", "digest": f"{next(_numbers):064x}", "size": 1}]
        self("lab", lambda lab: lab.register_model(self.name, title="T"))
        self(
            "lab",
            lambda lab: lab.record_run(
                self.name,
                code={"digest": "ab" * 32},
                environment={"digest": "cd" * 32},
                started=began,
                finished=began,
                inputs=[{**used, "root": self.made[1][1].record["root"], "grant": grants[0]}],
            ),
        )
        self("lab", lambda lab: lab.record_model_version(self.name, files, licence="CC-BY-4.0", run=self.name))
        digest = self.made[-1][1].record["digest"]
        self(
            "regulator",
            lambda regulator: regulator.record_evaluation(
                self.name,
                subject=version,
                digest=digest,
                data={**used, "root": self.made[1][1].record["root"], "role": "test", "grant": grants[1]},
                metrics={"accuracy": "0.97"},
                evaluated_at=began,
            ),
        )
        self("lab", lambda lab: lab.submit(version))
        self("hospital", lambda hospital: hospital.endorse(version))
        self("regulator", lambda regulator: regulator.endorse(version))

    def bar_and_use(self) -> None:
        """What the approved version is judged by and where it is in use, and what stops it."""
        version = f"model-version:{self.name}:1"
        self("hospital", lambda hospital: hospital.select_records(self.name, 1, "held-out", ["p1"], role="test"))
        self(
            "regulator",
            lambda regulator: regulator.register_criteria(
                self.name, title="T", all_of=["accuracy >= 0.9"], selection=f"selection:{self.name}:1:held-out"
            ),
        )
        self("lab", lambda lab: lab.record_deployment(self.name, version, location="triage"))
        self("lab", lambda lab: lab.end_deployment(self.name))
        self("regulator", lambda regulator: regulator.quarantine(version, "it is looked into"))
        self("lab", lambda lab: lab.lift_quarantine(version, "nothing was found"))

    def second_version(self) -> None:
        """A further version, a parent that is said later, and a rejection."""
        version = f"model-version:{self.name}:2"
        files: Any = [{"path": "net.onnx", "digest": f"{next(_numbers):064x}", "size": 1}]
        self("lab", lambda lab: lab.record_model_version(self.name, files, licence="CC-BY-4.0", run=self.name))
        self("lab", lambda lab: lab.declare_parent(version, f"model-version:{self.name}:1", relation="fine-tuned"))
        self("lab", lambda lab: lab.submit(version))
        self("regulator", lambda regulator: regulator.reject(version, "it is no better"))
        self("lab", lambda lab: lab.register_purpose(32 + len(self.made), f"https://lab.example/{self.name}"))


@pytest.fixture(scope="module")
def genesis(clients: dict[str, Pedigree]) -> bytes:
    """The hash of the channel's first block, which every member knows."""
    found = {client.ledger()["genesis_hash"] for client in clients.values()}
    assert len(found) == 1
    return bytes.fromhex(found.pop())


@pytest.fixture(scope="module")
def recording(clients: dict[str, Pedigree]) -> Recording:
    found = Recording(clients)
    found.data_and_consent()
    found.model()
    found.second_version()
    found.bar_and_use()
    return found


def others_evidence(recording: Recording, who: str, made: Recorded[Any]) -> Any:
    """A file about a transaction, from the gateway of another organisation than the one that made it."""
    other = recording.clients["lab" if who != "lab" else "regulator"]
    other.at_least(made.height)
    return other.transaction_evidence(made.transaction_id)


@pytest.mark.story("F3", "Every sort of record verifies from one file, offline: who ordered and endorsed it")
def test_every_sort_of_record_verifies_from_one_file(recording: Recording, genesis: bytes) -> None:
    kinds = set()
    for who, made in recording.made:
        verdict = verify_transaction(others_evidence(recording, who, made), trusted=genesis)
        assert verdict.complete
        assert len(verdict.endorsers) >= 2, verdict.endorsers
        assert made.record in [each.as_json()["record"] for each in verdict.written]
        assert verdict.as_json()["transaction"]["creator"].lower() == f"{who}msp"
        assert any("That it is VALID" in each for each in verdict.not_proven)
        kinds |= {each["record"]["kind"] for each in verdict.as_json()["written"] if each["record"]}
    assert {
        "dataset", "dataset-version", "selection", "consent-map", "consent-map-version", "model", "model-version",
        "later-parents", "training-run", "criteria", "evaluation", "deployment", "deployment-end", "artifact-stage",
        "endorsement", "rejection", "lift-vote", "purpose", "access-grant",
    } <= kinds  # fmt: skip


@pytest.mark.story("F3", "Every sort of record verifies from one file, offline: who ordered and endorsed it")
def test_the_policy_in_force_verifies_from_one_file(recording: Recording, genesis: bytes) -> None:
    lab = recording.clients["lab"]
    (*_, found) = lab.policies()["items"]
    file: Any = lab.transaction_evidence(found["transaction"]["id"])
    written = verify_transaction(file, trusted=genesis).as_json()["written"]
    assert {"policy", "policy-version", "policy-vote"} <= {each["record"]["kind"] for each in written if each["record"]}


@pytest.mark.story("F3", "A record's evidence is asked for by its reference")
def test_evidence_is_asked_for_by_reference(recording: Recording, genesis: bytes) -> None:
    lab = recording.clients["lab"]
    reference = f"model-version:{recording.name}:1"
    file: Any = lab.evidence(reference)
    verdict = verify_transaction(file, trusted=genesis)
    assert reference in [each.reference for each in verdict.written]


@pytest.mark.story("F3", "Altered evidence of a transaction is refused", refused="invalid-evidence")
def test_altered_copies_are_refused_each_in_its_own_sentence(recording: Recording, genesis: bytes) -> None:
    file: Any = recording.clients["lab"].evidence(f"model-version:{recording.name}:1")
    verdict: TransactionVerdict = verify_transaction(file, trusted=genesis)
    assert verdict.complete
    sentences = {}
    for how in WAYS:
        with pytest.raises(RefutedEvidence) as refused:
            verify_transaction(altered(file, how), trusted=genesis)
        sentences[how] = str(refused.value)
    assert len(set(sentences.values())) == len(WAYS) >= 10, sentences


@pytest.mark.story("F3", "Evidence of another channel is refused", refused="invalid-evidence")
def test_evidence_under_another_first_block_is_refused(recording: Recording) -> None:
    file: Any = recording.clients["lab"].evidence(f"model:{recording.name}")
    with pytest.raises(RefutedEvidence, match="none of its configurations is the block that you trust"):
        verify_transaction(file, trusted=b"\xab" * 32)

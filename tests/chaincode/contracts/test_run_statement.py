# SPDX-License-Identifier: Apache-2.0
"""The signed statement of a run through the contract, and what the record makes of it again."""

import json
from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from chaincode.domain import errors
from chaincode.domain.canonical import encode
from chaincode.domain.evidence import PAYLOAD_TYPE, pre_authentication_encoding
from chaincode.domain.float64 import Float64
from chaincode.domain.slsa import run_statement
from chaincode.domain.training import (
    Code,
    Environment,
    MetricHistory,
    Parameter,
    RecordRun,
    RunArtifact,
    RunSignature,
    TrainingRun,
)
from chaincode.domain.usage import Found, Metric, RunInput
from chaincode.domain.values import (
    Blob,
    CommitId,
    Count,
    Digest,
    FilePath,
    Instant,
    Iri,
    Name,
    OrgId,
    Ref,
    Setting,
    Text,
)

HOSPITAL, LAB = "HospitalMSP", "LabMSP"
DATA, BASE = Ref("dataset-version:wdbc:1"), Ref("model-version:base:1")
CODE, LOCK, GENESIS, FILE = (Digest(bytes([each]) * 32) for each in range(1, 5))


@pytest.fixture
def lab(world):
    """A world in which the hospital has data and a model to begin from."""
    world.dataset(HOSPITAL, "wdbc")
    world.dataset_version(HOSPITAL, "wdbc")
    world.base = world.model_version(HOSPITAL, "base")
    return world


def run(world, **changes):
    values = {
        "run": Name("r-1"),
        "code": Code(CODE, Text("https://git.example/lab"), CommitId("0" * 40), (Text("*.pyc"),)),
        "environment": Environment(LOCK, Text("Python 3.11")),
        "started": Instant(1_767_225_600_000),
        "finished": Instant(1_767_225_661_001),
        "inputs": (RunInput(DATA, world.digest_of("wdbc:1"), found=Found.VERIFIED),),
        "parents": (BASE,),
        "parameters": (Parameter(Text("Größe"), Setting("4")),),
        "metrics": (Metric(Text("loss"), Float64("0.5"), Count(7)), Metric(Text("auc"), Float64("0.99"))),
        "note": Text("a first try"),
        "purpose": Iri("https://w3id.org/dpv#ScientificResearch"),
        "artifacts": (RunArtifact(FilePath("net.onnx"), FILE, Count(9), Text("application/octet-stream")),),
        "history": MetricHistory(FILE, Count(100), Count(3)),
    }
    return RecordRun(**(values | changes))


def statement(world, command, *, channel="pedigree", genesis=GENESIS):
    return run_statement(command, {BASE: world.base.digest}, organisation=OrgId(LAB), channel=channel, genesis=genesis)


def signed(world, command, *, by=LAB, genesis=GENESIS, **said):
    payload = statement(world, command, genesis=genesis, **said)
    message = pre_authentication_encoding(PAYLOAD_TYPE, payload)
    signature = world.key(by).sign(message, ec.ECDSA(hashes.SHA256()))
    return replace(command, signature=RunSignature(Blob(signature), Text("a hint"), genesis))


@pytest.mark.parametrize("genesis", [GENESIS, None])
def test_a_signed_run_is_recorded_and_the_record_makes_the_same_statement(lab, genesis):
    command = signed(lab, run(lab), genesis=genesis)
    lab.submit(LAB, command)
    record = lab.read(TrainingRun, "r-1")
    assert (record.signature, record.artifacts, record.history) == (
        command.signature, command.artifacts, command.history,
    )  # fmt: skip
    assert statement(lab, record, genesis=genesis) == statement(lab, command, genesis=genesis)


def test_a_run_without_a_signature_is_recorded_as_ever(lab):
    lab.submit(LAB, run(lab, artifacts=None, history=None))
    record = lab.read(TrainingRun, "r-1")
    assert (record.signature, record.artifacts, record.history) == (None, None, None)


def test_the_statement_is_slsa_provenance_about_the_run_and_what_it_wrote(lab):
    said = json.loads(statement(lab, run(lab)))
    predicate = said["predicate"]
    assert (said["_type"], said["predicateType"]) == (
        "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1",
    )  # fmt: skip
    assert said["subject"] == [
        {"name": "run:r-1", "digest": {"sha256": sha256(encode(predicate)).hexdigest()}},
        {"name": "net.onnx", "digest": {"sha256": str(FILE)}},
    ]
    assert predicate["buildDefinition"]["externalParameters"] == {
        "run": "r-1", "purpose": "https://w3id.org/dpv#ScientificResearch", "note": "a first try",
        "parameters": [{"name": "Größe", "value": "4"}],
    }  # fmt: skip
    assert predicate["buildDefinition"]["internalParameters"] == {"channel": "pedigree", "genesis": str(GENESIS)}
    assert predicate["buildDefinition"]["resolvedDependencies"] == [
        {"name": DATA, "digest": {"sha256": str(lab.digest_of("wdbc:1"))},
         "annotations": {"role": "train", "found": "verified"}},
        {"name": BASE, "digest": {"sha256": str(lab.base.digest)}},
        {"name": "code", "uri": "https://git.example/lab", "digest": {"sha256": str(CODE), "gitCommit": "0" * 40},
         "annotations": {"ignored": ["*.pyc"]}},
        {"name": "environment", "digest": {"sha256": str(LOCK)}, "annotations": {"description": "Python 3.11"}},
    ]  # fmt: skip
    metrics = b'[{"name":"loss","step":7,"value":"0.5"},{"name":"auc","value":"0.99"}]'
    assert predicate["runDetails"] == {
        "builder": {"id": "https://pedigree.example/organisations/LabMSP"},
        "metadata": {
            "invocationId": "run:r-1", "startedOn": "2026-01-01T00:00:00.000Z",
            "finishedOn": "2026-01-01T00:01:01.001Z",
        },
        "byproducts": [
            {"name": "metrics", "mediaType": "application/json", "digest": {"sha256": sha256(metrics).hexdigest()}},
            {"name": "metric-history", "mediaType": "application/jsonl", "digest": {"sha256": str(FILE)},
             "annotations": {"entries": 3}},
        ],
    }  # fmt: skip


def test_a_selection_is_named_with_the_version_that_it_is_from(lab):
    chosen = RunInput(DATA, FILE, selection=Ref("selection:wdbc:1:training"))
    bare = run(
        lab, inputs=(chosen,), parents=(), code=Code(CODE), environment=Environment(LOCK), parameters=(), metrics=(),
        note=None, purpose=None, artifacts=None, history=None,
    )  # fmt: skip
    said = json.loads(statement(lab, bare))
    definition = said["predicate"]["buildDefinition"]
    assert definition["resolvedDependencies"] == [
        {"name": "selection:wdbc:1:training", "digest": {"sha256": str(FILE)},
         "annotations": {"role": "train", "version": DATA}},
        {"name": "code", "digest": {"sha256": str(CODE)}},
        {"name": "environment", "digest": {"sha256": str(LOCK)}},
    ]  # fmt: skip
    assert (definition["externalParameters"], said["predicate"]["runDetails"]["byproducts"]) == (
        {"run": "r-1", "parameters": []}, [],
    )  # fmt: skip
    assert len(said["subject"]) == 1


ALTERED = {
    "parameter": {"parameters": (Parameter(Text("Größe"), Setting("5")),)},
    "metric": {"metrics": (Metric(Text("auc"), Float64("1")),)},
    "code": {"code": Code(LOCK)},
    "environment": {"environment": Environment(CODE)},
    "start": {"started": Instant(1_767_225_600_001)},
    "end": {"finished": Instant(1_767_225_661_002)},
    "artifact": {"artifacts": None},
    "history": {"history": None},
    "parent": {"parents": ()},
    "note": {"note": None},
    "name": {"run": Name("r-2")},
}


@pytest.mark.parametrize("change", ALTERED.values(), ids=ALTERED)
def test_a_signature_is_over_everything_that_the_run_says(lab, change):
    assert lab.refused(LAB, replace(signed(lab, run(lab)), **change)).code == "bad-signature"


def test_a_signature_is_the_creators_on_this_ledger(lab):
    command = run(lab)
    assert lab.refused(LAB, signed(lab, command, by=HOSPITAL)).code == "bad-signature"
    assert lab.refused(HOSPITAL, signed(lab, command)).code == "bad-signature"
    assert lab.refused(LAB, signed(lab, command, channel="other")).code == "bad-signature"
    genuine = signed(lab, command)
    moved = replace(genuine, signature=replace(genuine.signature, genesis=FILE))
    assert lab.refused(LAB, moved).code == "bad-signature"


def test_an_artifact_is_named_once(lab):
    twice = run(lab).artifacts * 2
    assert lab.refused(LAB, run(lab, artifacts=twice)) == errors.RepeatedEntry("/artifacts", "net.onnx")

# SPDX-License-Identifier: Apache-2.0
"""The chaincode life cycle and the system chaincodes: rules L-1 to L-15."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.peer import query_pb2, transaction_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2
from fabricharness import blocks
from fabricharness.deployments import ANYONE, FIRST_TWO, PROBE, H, L
from fabricharness.expect import refused, value
from fabricharness.lifecycle import Collection, Definition
from fabricharness.networks import BLOCKS, LIFECYCLE, MAIN, VALID, Network, Org

from network import native


class Tool:
    """Fabric's `peer` command line, acting as an organisation's administrator."""

    def __init__(self, net: Network, org: Org) -> None:
        self._net = net
        self._org = org
        self._program = str(native.Binaries.find().folder / "peer")
        (net.directory / "tool").mkdir(exist_ok=True)
        (net.directory / "tool" / "core.yaml").write_text(
            "peer: {BCCSP: {Default: SW, SW: {Hash: SHA2, Security: 256}}}\n", encoding="ascii"
        )

    def lifecycle(self, *args: str) -> str:
        org, orderer = self._org, self._net.description["orderer"]
        environment = {
            "PATH": os.environ["PATH"],
            "FABRIC_CFG_PATH": str(self._net.directory / "tool"),
            "FABRIC_LOGGING_SPEC": "error",
            "CORE_PEER_LOCALMSPID": org.mspid,
            "CORE_PEER_TLS_ENABLED": "true",
            "CORE_PEER_TLS_ROOTCERT_FILE": str(org.tls_ca),
            "CORE_PEER_MSPCONFIGPATH": str(org.admin_msp),
            "CORE_PEER_ADDRESS": org.address,
        }
        ordering = ["-o", orderer["addresses"][0], "--tls", "--cafile", orderer["tls_ca"]]
        if org.tls_client is not None:
            certificate, key = (str(org.tls_client / name) for name in ("client.crt", "client.key"))
            environment |= {
                "CORE_PEER_TLS_CLIENTAUTHREQUIRED": "true",
                "CORE_PEER_TLS_CLIENTCERT_FILE": certificate,
                "CORE_PEER_TLS_CLIENTKEY_FILE": key,
            }
            ordering += ["--clientauth", "--certfile", certificate, "--keyfile", key]
        needs_orderer = args[0] in ("approveformyorg", "commit")
        command = [self._program, "lifecycle", "chaincode", *args, *(ordering if needs_orderer else [])]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def test_c190_lifecycle_cli_flow(net: Network, tmp_path: Path, key: str) -> None:
    try:
        tools = {org.mspid: Tool(net, org) for org in net.orgs}
    except native.NativeError as error:
        pytest.skip(f"NOT RUN: Fabric's command line is needed: {error}")
    chaincode = ["-C", MAIN, "-n", "bytool", "--version", "1", "--sequence", "1"]
    policy = ["--signature-policy", ANYONE]
    for org in net.orgs:
        program = net.programs[PROBE, org.name]
        package = tmp_path / f"{org.name}.tgz"
        package.write_bytes(program.package)
        tool = tools[org.mspid]
        assert tool.lifecycle("calculatepackageid", str(package)).strip() == program.package_id
        installed = json.loads(tool.lifecycle("queryinstalled", "--output", "json"))
        assert program.package_id in [entry["package_id"] for entry in installed["installed_chaincodes"]]
        tool.lifecycle("approveformyorg", *chaincode, *policy, "--package-id", program.package_id)
    tool = tools["HospitalMSP"]
    ready = json.loads(tool.lifecycle("checkcommitreadiness", *chaincode, *policy, "--output", "json"))
    assert ready["approvals"] == {org.mspid: True for org in net.orgs}
    peers = [arg for org in net.orgs for arg in ("--peerAddresses", org.address, "--tlsRootCertFiles", str(org.tls_ca))]
    tool.lifecycle("commit", *chaincode, *policy, *peers)
    committed = json.loads(tool.lifecycle("querycommitted", "-C", MAIN, "-n", "bytool", "--output", "json"))
    assert (committed["sequence"], committed["version"]) == (1, "1")
    assert net.hospital.submit("bytool", "put", key, "v").code == VALID


def readiness(net: Network, definition: Definition) -> dict[str, bool]:
    asked = net.hospital.propose(LIFECYCLE, "CheckCommitReadiness", definition.readiness())
    payload = net.hospital.peer.respond(asked).response.payload
    return dict(lifecycle_pb2.CheckCommitReadinessResult.FromString(payload).approvals)


def test_c191_commit_without_majority(net: Network) -> None:
    definition = Definition("lonely", ANYONE)
    net.approve(net.hospital, definition, PROBE)
    assert readiness(net, definition) == {"HospitalMSP": True, "LabMSP": False, "RegulatorMSP": False}
    asked = net.hospital.propose(
        LIFECYCLE, "CommitChaincodeDefinition", definition.commitment(), member=net.hospital.admin
    )
    assert (
        "chaincode definition not agreed to by this org (LabMSP)"
        in refused(net.hospital.peer.endorse_raw, asked, organisations=["HospitalMSP", "LabMSP"]).text
    )


def test_c192_wrong_sequence(net: Network) -> None:
    own = {"organisations": ["HospitalMSP"]}
    late = Definition("unborn", ANYONE, sequence=3)
    package_id = net.programs[PROBE, "hospital"].package_id
    approving = net.hospital.propose(
        LIFECYCLE, "ApproveChaincodeDefinitionForMyOrg", late.approval(package_id), member=net.hospital.admin
    )
    refusal = refused(net.hospital.peer.endorse_raw, approving, **own)
    assert "requested sequence 3 is larger than the next available sequence number 1" in refusal.text
    committing = net.hospital.propose(LIFECYCLE, "CommitChaincodeDefinition", late.commitment())
    refusal = refused(net.hospital.peer.endorse_raw, committing, **own)
    assert "requested sequence is 3, but new definition must be sequence 1" in refusal.text
    early = Definition("callee", ANYONE, sequence=1)
    committing = net.hospital.propose(LIFECYCLE, "CommitChaincodeDefinition", early.commitment())
    refusal = refused(net.hospital.peer.endorse_raw, committing, **own)
    assert "requested sequence is 1, but new definition must be sequence 2" in refusal.text


def test_c193_query_undefined_cc(net: Network) -> None:
    query = lifecycle_pb2.QueryChaincodeDefinitionArgs(name="nodef").SerializeToString()
    response = net.hospital.peer.process_proposal(net.hospital.propose(LIFECYCLE, "QueryChaincodeDefinition", query))
    assert response.response.status == 404
    assert "namespace nodef is not defined" in response.response.message


def test_c194_qscc_block_tx(net: Network, key: str) -> None:
    org = net.hospital
    outcome = org.submit("anyone", "put", key, "v")
    by_number = org.evaluate("qscc", "GetBlockByNumber", MAIN, str(outcome.block))
    block = common_pb2.Block.FromString(by_number)
    by_hash = org.evaluate("qscc", "GetBlockByHash", MAIN, blocks.header_hash(block.header))
    by_transaction = org.evaluate("qscc", "GetBlockByTxID", MAIN, outcome.transaction_id)
    assert common_pb2.Block.FromString(by_hash) == block
    assert common_pb2.Block.FromString(by_transaction) == block
    found = transaction_pb2.ProcessedTransaction.FromString(
        org.evaluate("qscc", "GetTransactionByID", MAIN, outcome.transaction_id)
    )
    assert found.validationCode == transaction_pb2.VALID
    recorded = blocks.recorded(org, outcome)
    assert found.transactionEnvelope.SerializeToString() == block.data.data[recorded.index]


def test_c195_qscc_missing(net: Network) -> None:
    absent = "ab" * 32
    refusal = refused(net.hospital.evaluate, "qscc", "GetTransactionByID", MAIN, absent)
    assert (
        f"Failed to get transaction with id {absent}, error no such transaction ID [{absent}] in index" in refusal.text
    )
    refusal = refused(net.hospital.evaluate, "qscc", "GetBlockByNumber", MAIN, "999999")
    assert "Failed to get block number 999999, error no such block number [999999] in index" in refusal.text


def test_c196_upgrade_policy_only(net: Network, key: str) -> None:
    first = net.hospital.propose("upgraded", is_init=True)
    assert net.finish(net.hospital, first, net.hospital.peer.endorse_raw(first)).code == VALID
    alone = {"endorsing_organisations": ["HospitalMSP"]}
    assert net.hospital.submit("upgraded", "put", key, "1", **alone).code == VALID
    net.deploy(PROBE, [Definition("upgraded", FIRST_TWO, init_required=True, sequence=2)])
    # The version is the same, so no new Init is asked for; the policy is another.
    assert net.hospital.submit("upgraded", "put", key, "2", **alone).code == "ENDORSEMENT_POLICY_FAILURE"
    assert net.hospital.submit("upgraded", "put", key, "3").code == VALID
    assert value(net.hospital.evaluate("upgraded", "get", key)) == "3"


def test_c197_collection_upgrade_add(net: Network, key: str) -> None:
    call = ("pputPlain", "added", key, "v")
    assert "could not be found" in refused(net.hospital.submit, "growing", *call).text
    collections = (Collection("pair", (H, L)), Collection("added", (H, L)))
    net.deploy(PROBE, [Definition("growing", ANYONE, collections, sequence=2)])
    assert net.hospital.submit("growing", *call).code == VALID
    assert value(net.hospital.evaluate("growing", "pget", "added", key)) == "v"


def test_c198_cscc_channels(net: Network) -> None:
    response = net.hospital.peer.respond(net.hospital.propose("cscc", "GetChannels", channel=""))
    answer = query_pb2.ChannelQueryResponse.FromString(response.response.payload)
    assert sorted(channel.channel_id for channel in answer.channels) == sorted([MAIN, BLOCKS])

# SPDX-License-Identifier: Apache-2.0
"""Installing, approving, committing and querying definitions, with the texts of rules L-1 to L-12."""

import pytest
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.peer import policy_pb2, proposal_pb2, proposal_response_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2

MEMBERS = "OR('HospitalMSP.member','LabMSP.member')"
PRIVATE = {"name": "c", "members": MEMBERS, "block_to_live": 3}


async def nothing(stub):
    return b""


def approval(kit, name="cc", sequence=1, package_id="", **definition):
    kind = lifecycle_pb2.ChaincodeSource
    source = kind(local_package=kind.Local(package_id=package_id)) if package_id else kind(unavailable={})
    return lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs(
        **kit.described(name, sequence, **definition), source=source
    )


def commitment(kit, name="cc", sequence=1, **definition):
    return lifecycle_pb2.CommitChaincodeDefinitionArgs(**kit.described(name, sequence, **definition))


async def approve(world, kit, org, **definition):
    request = approval(kit, **definition)
    await world.change("ApproveChaincodeDefinitionForMyOrg", request, orgs=(org,), by=org)


async def refusal(world, function, request, **options) -> str:
    response = await world.lifecycle(function, request, **options)
    assert response.status == 500
    start = f"failed to invoke backing implementation of '{function}': "
    assert response.message.startswith(start)
    return response.message.removeprefix(start)


def test_install_and_its_queries(play, kit):
    async def scenario(world):
        package = kit.make_package("basic", "127.0.0.1:9")
        package_id = await world.install("LabMSP", package)
        text = await refusal(
            world,
            "InstallChaincode",
            lifecycle_pb2.InstallChaincodeArgs(chaincode_install_package=package),
            org="LabMSP",
            channel_id="",
        )
        assert text == f"chaincode already successfully installed (package ID '{package_id}')"
        await world.deploy(
            "cc", nothing, orgs=("LabMSP", "HospitalMSP"), package_ids=dict.fromkeys(kit.ORGS, package_id)
        )
        one = await world.lifecycle(
            "QueryInstalledChaincode",
            lifecycle_pb2.QueryInstalledChaincodeArgs(package_id=package_id),
            org="LabMSP",
            channel_id="",
        )
        installed = lifecycle_pb2.QueryInstalledChaincodeResult.FromString(one.payload)
        (reference,) = installed.references["pedigree"].chaincodes
        assert (installed.label, reference.name, reference.version) == ("basic", "cc", "1.0")
        every = await world.lifecycle(
            "QueryInstalledChaincodes", lifecycle_pb2.QueryInstalledChaincodesArgs(), org="LabMSP", channel_id=""
        )
        (entry,) = lifecycle_pb2.QueryInstalledChaincodesResult.FromString(every.payload).installed_chaincodes
        assert entry.package_id == package_id
        content = await world.lifecycle(
            "GetInstalledChaincodePackage",
            lifecycle_pb2.GetInstalledChaincodePackageArgs(package_id=package_id),
            org="LabMSP",
            channel_id="",
        )
        result = lifecycle_pb2.GetInstalledChaincodePackageResult.FromString(content.payload)
        assert result.chaincode_install_package == package
        text = await refusal(
            world,
            "QueryInstalledChaincode",
            lifecycle_pb2.QueryInstalledChaincodeArgs(package_id=package_id),
            channel_id="",
        )
        assert text == f"could not find chaincode with package id '{package_id}'"
        text = await refusal(
            world, "GetInstalledChaincodePackage", lifecycle_pb2.GetInstalledChaincodePackageArgs(package_id="x:1")
        )
        assert text == "could not load cc install package: chaincode install package 'x:1' not found"
        broken = lifecycle_pb2.InstallChaincodeArgs(chaincode_install_package=b"junk")
        assert (await refusal(world, "InstallChaincode", broken)).startswith("could not parse as a chaincode install")

    play(scenario)


def test_only_administrators_of_the_peer_s_organisation_install_and_approve(play, kit):
    async def scenario(world):
        request = approval(kit)
        start = "Failed to authorize invocation due to failed ACL check: "
        user = await world.lifecycle("ApproveChaincodeDefinitionForMyOrg", request, user="User1")
        assert user.status == 500
        assert user.message.startswith(f"{start}Failed verifying that proposal's creator satisfies local MSP principal")
        answer = await world.ask(
            "_lifecycle",
            b"ApproveChaincodeDefinitionForMyOrg",
            request.SerializeToString(),
            by="LabMSP",
            user="Admin",
        )
        assert answer.response.response.message.endswith("[expected MSP ID HospitalMSP, received LabMSP]")
        unknown = await world.lifecycle("Nonsense", request)
        assert unknown.message == f"{start}Unmapped policy for _lifecycle/Nonsense"
        peer = await world.lifecycle("CommitChaincodeDefinition", request, user="peer")
        assert peer.message.startswith(f"{start}Failed evaluating policy on signed data")

    play(scenario)


def test_the_number_of_arguments_is_checked(play):
    async def scenario(world):
        for count in (0, 1, 3):
            answer = await world.ask("_lifecycle", *[b"x"] * count, user="Admin")
            expected = (
                f"lifecycle scc operations require exactly two arguments but received {count}"
                if count
                else "lifecycle scc must be invoked with arguments"
            )
            assert answer.response.response.message == expected
        answer = await world.ask("_lifecycle", b"CheckCommitReadiness", b"\xff\xff")
        assert "error unmarshaling message" in answer.response.response.message

    play(scenario)


def test_sequences_and_repetitions_are_refused_in_fabric_s_words(play, kit):
    name = "ApproveChaincodeDefinitionForMyOrg"

    async def scenario(world):
        assert await refusal(world, name, approval(kit, sequence=2)) == (
            "requested sequence 2 is larger than the next available sequence number 1"
        )
        assert await refusal(world, name, approval(kit, sequence=0)) == (
            "requested sequence is 0, but first definable sequence number is 1"
        )
        await approve(world, kit, "HospitalMSP")
        assert await refusal(world, name, approval(kit)) == (
            "attempted to redefine uncommitted sequence (1) for namespace cc with unchanged content"
        )
        await approve(world, kit, "HospitalMSP", package_id="other:1")
        assert await refusal(world, "CommitChaincodeDefinition", commitment(kit, sequence=2)) == (
            "requested sequence is 2, but new definition must be sequence 1"
        )
        assert await refusal(world, "CommitChaincodeDefinition", commitment(kit, version="2.0")) == (
            "chaincode definition not agreed to by this org (HospitalMSP)"
        )
        await approve(world, kit, "LabMSP")
        request = commitment(kit)
        await world.change("CommitChaincodeDefinition", request, orgs=("HospitalMSP", "LabMSP"), by="HospitalMSP")
        assert await refusal(world, name, approval(kit, package_id="other:1")) == (
            "attempted to redefine the current committed sequence (1) for namespace cc"
        )
        assert await refusal(world, name, approval(kit, version="2.0")) == (
            "attempted to redefine the current committed sequence (1) for namespace cc with different parameters: "
            "expected Version '1.0' does not match passed Version '2.0'"
        )
        await approve(world, kit, "HospitalMSP", package_id="third:1")
        assert await refusal(world, "CommitChaincodeDefinition", commitment(kit)) == (
            "requested sequence is 1, but new definition must be sequence 2"
        )
        for sequence in (2, 3):
            for org in ("HospitalMSP", "LabMSP"):
                await approve(world, kit, org, sequence=sequence)
            request = commitment(kit, sequence=sequence)
            await world.change("CommitChaincodeDefinition", request, orgs=("HospitalMSP", "LabMSP"), by="LabMSP")
        assert await refusal(world, name, approval(kit, sequence=2)) == (
            "currently defined sequence 3 is larger than requested sequence 2"
        )

    play(scenario)


def test_readiness_names_who_has_not_agreed_and_in_what(play, kit):
    async def readiness(world, **definition):
        request = lifecycle_pb2.CheckCommitReadinessArgs(**kit.described("cc", **definition))
        response = await world.lifecycle("CheckCommitReadiness", request, org="RegulatorMSP", user="User1")
        assert response.status == 200, response.message
        return lifecycle_pb2.CheckCommitReadinessResult.FromString(response.payload)

    async def scenario(world):
        assert dict((await readiness(world)).approvals) == dict.fromkeys(kit.ORGS, False)
        await approve(world, kit, "HospitalMSP")
        await approve(world, kit, "LabMSP", version="1.1", policy=MEMBERS)
        result = await readiness(world)
        assert dict(result.approvals) == {"HospitalMSP": True, "LabMSP": False, "RegulatorMSP": False}
        assert list(result.mismatches["LabMSP"].items) == [
            "EndorsementInfo (Check the Version, InitRequired, EndorsementPlugin)",
            "ValidationInfo (Check the ValidationPlugin, ValidationParameter)",
        ]
        assert "HospitalMSP" not in result.mismatches

    play(scenario)


def test_definitions_and_approvals_can_be_queried(play, kit):
    async def scenario(world):
        undefined = await world.lifecycle(
            "QueryChaincodeDefinition", lifecycle_pb2.QueryChaincodeDefinitionArgs(name="cc"), user="User1"
        )
        assert (undefined.status, undefined.message) == (404, "namespace cc is not defined")
        await world.deploy("cc", nothing, orgs=("HospitalMSP", "LabMSP"), collections=[PRIVATE], version="1.7")
        found = await world.lifecycle(
            "QueryChaincodeDefinition", lifecycle_pb2.QueryChaincodeDefinitionArgs(name="cc"), user="User1"
        )
        definition = lifecycle_pb2.QueryChaincodeDefinitionResult.FromString(found.payload)
        assert (definition.sequence, definition.version) == (1, "1.7")
        assert (definition.endorsement_plugin, definition.validation_plugin) == ("escc", "vscc")
        assert b"/Channel/Application/Endorsement" in definition.validation_parameter
        assert definition.collections.config[0].static_collection_config.name == "c"
        assert dict(definition.approvals) == {"HospitalMSP": True, "LabMSP": True, "RegulatorMSP": False}
        every = await world.lifecycle("QueryChaincodeDefinitions", lifecycle_pb2.QueryChaincodeDefinitionsArgs())
        (listed,) = lifecycle_pb2.QueryChaincodeDefinitionsResult.FromString(every.payload).chaincode_definitions
        assert (listed.name, listed.version) == ("cc", "1.7")
        approved = await world.lifecycle(
            "QueryApprovedChaincodeDefinition", lifecycle_pb2.QueryApprovedChaincodeDefinitionArgs(name="cc")
        )
        result = lifecycle_pb2.QueryApprovedChaincodeDefinitionResult.FromString(approved.payload)
        assert result.version == "1.7"
        assert result.source.local_package.package_id.startswith("cc:")
        all_approved = await world.lifecycle(
            "QueryApprovedChaincodeDefinitions", lifecycle_pb2.QueryApprovedChaincodeDefinitionsArgs()
        )
        (entry,) = lifecycle_pb2.QueryApprovedChaincodeDefinitionsResult.FromString(
            all_approved.payload
        ).approved_chaincode_definitions
        assert (entry.name, entry.sequence) == ("cc", 1)
        text = await refusal(
            world,
            "QueryApprovedChaincodeDefinition",
            lifecycle_pb2.QueryApprovedChaincodeDefinitionArgs(name="nope", sequence=7),
        )
        assert text == (
            "could not fetch approved chaincode definition (name: 'nope', sequence: '7') on channel 'pedigree'"
        )

    play(scenario)


def test_an_organisation_that_has_not_approved_says_so(play):
    async def scenario(world):
        await world.deploy("cc", nothing, orgs=("HospitalMSP", "LabMSP"))
        message = (await world.ask("cc", org="RegulatorMSP")).response.response.message
        assert message == (
            "make sure the chaincode cc has been successfully defined on channel pedigree and try again: "
            "chaincode definition for 'cc' at sequence 1 on channel 'pedigree' has not yet been approved by this org"
        )
        assert not world.node.orgs["RegulatorMSP"].endorser.can_endorse("pedigree", "cc")
        assert world.node.orgs["LabMSP"].endorser.can_endorse("pedigree", "cc")

    play(scenario)


def test_an_upgrade_rewrites_only_what_changed_and_stops_what_was_endorsed_before(play, kit):
    async def scenario(world):
        await world.deploy("cc", nothing)
        signed = world.propose("cc")
        responses = [(await world.node.orgs[org].endorser.process(signed)).response for org in kit.ORGS[:2]]
        ids = {org: next(iter(world.node.orgs[org].chaincodes.installed)) for org in kit.ORGS}
        for org in kit.ORGS:
            await approve(world, kit, org, sequence=2, version="1.1", package_id=ids[org])
        answer = await world.ask(
            "_lifecycle",
            b"CommitChaincodeDefinition",
            commitment(kit, sequence=2, version="1.1").SerializeToString(),
            user="Admin",
        )
        payload = proposal_response_pb2.ProposalResponsePayload.FromString(answer.response.payload)
        results = rwset_pb2.TxReadWriteSet.FromString(
            proposal_pb2.ChaincodeAction.FromString(payload.extension).results
        )
        written = [write.key for write in kv_rwset_pb2.KVRWSet.FromString(results.ns_rwset[0].rwset).writes]
        assert written == ["namespaces/fields/cc/EndorsementInfo", "namespaces/fields/cc/Sequence"]
        assert not answer.response.interest.chaincodes
        request = commitment(kit, sequence=2, version="1.1")
        await world.change("CommitChaincodeDefinition", request, orgs=kit.ORGS[:2], by="HospitalMSP")
        assert await world.order(signed, responses, world.signer("HospitalMSP")) == 11
        action = proposal_response_pb2.ProposalResponsePayload.FromString((await world.ask("cc")).response.payload)
        assert proposal_pb2.ChaincodeAction.FromString(action.extension).chaincode_id.version == "1.1"

    play(scenario)


INVALID = [
    ({"name": "no spaces"}, "invalid chaincode name 'no spaces'. Names can only consist of alphanumerics"),
    ({"name": "qscc"}, "chaincode name 'qscc' is the name of a system chaincode"),
    ({"version": ""}, "invalid chaincode version ''. Versions can only consist of alphanumerics"),
    ({"collections": [PRIVATE, PRIVATE]}, "collection-name: c -- found duplicate in collection configuration"),
    ({"collections": [PRIVATE | {"name": "_c"}]}, "invalid collection name '_c'."),
    (
        {"collections": [PRIVATE | {"required": 2, "maximum": 1}]},
        "collection-name: c -- maximum peer count (1) cannot be less than the required peer count (2)",
    ),
    (
        {"collections": [PRIVATE | {"required": -1}]},
        "collection-name: c -- requiredPeerCount (-1) cannot be less than zero",
    ),
    (
        {"collections": [PRIVATE | {"members": "AND('HospitalMSP.member','LabMSP.member')"}]},
        "collection-name: c -- error in member org policy: signature policy is not an OR concatenation, NOutOf 2",
    ),
    (
        {"collections": [PRIVATE | {"members": "OR('NoMSP.member')"}]},
        "collection-name: c -- collection member 'NoMSP' is not part of the channel",
    ),
]


@pytest.fixture
def refusals(play, kit):
    def check(cases):
        async def scenario(world):
            for fields, text in cases:
                message = await refusal(world, "ApproveChaincodeDefinitionForMyOrg", approval(kit, **fields))
                assert message.startswith(text), fields

        play(scenario)

    return check


def test_what_a_definition_may_not_say(refusals):
    refusals(INVALID)


def test_a_policy_that_cannot_be_read_is_refused_before_it_is_agreed_on(play, kit):
    async def scenario(world):
        name = "ApproveChaincodeDefinitionForMyOrg"
        reference = policy_pb2.ApplicationPolicy(channel_config_policy_reference="/Channel/Nowhere")
        empty = policy_pb2.ApplicationPolicy(signature_policy={})
        for parameter in (b"\xff\xff", reference.SerializeToString(), empty.SerializeToString()):
            request = approval(kit)
            request.validation_parameter = parameter
            assert (await refusal(world, name, request)).startswith("invalid endorsement policy: ")
        request = approval(kit, collections=[PRIVATE | {"endorsement_policy": empty}])
        message = await refusal(world, name, request)
        assert message.startswith("collection-name: c -- invalid endorsement policy: ")
        request.collections.config[0].static_collection_config.ClearField("member_orgs_policy")
        assert await refusal(world, name, request) == "collection-name: c -- collection member policy is not set"

    play(scenario)


def test_a_life_cycle_call_needs_a_channel(play, kit):
    async def scenario(world):
        queried = await world.lifecycle("QueryChaincodeDefinitions", approval(kit), channel_id="")
        assert queried.message.startswith("Failed to authorize invocation due to failed ACL check: Invalid channel ID")
        text = await refusal(world, "ApproveChaincodeDefinitionForMyOrg", approval(kit), channel_id="")
        assert text == "could not get channelconfig for channel ''"

    play(scenario)


def test_existing_collections_stay_as_they_are(play, kit):
    async def scenario(world):
        await world.deploy("cc", nothing, collections=[PRIVATE])
        name = "ApproveChaincodeDefinitionForMyOrg"
        assert await refusal(world, name, approval(kit, sequence=2)) == (
            "existing collection [c] missing in the proposed collection configuration"
        )
        longer = [PRIVATE | {"block_to_live": 4}]
        assert await refusal(world, name, approval(kit, sequence=2, collections=longer)) == (
            "the BlockToLive in an existing collection [c] modified. Existing value [3]"
        )
        more = [PRIVATE, {"name": "d", "members": MEMBERS}]
        await approve(world, kit, "HospitalMSP", sequence=2, collections=more)

    play(scenario)

# SPDX-License-Identifier: Apache-2.0
"""Data sets through the contracts: what is written, and every refusal with its code."""

import dataclasses
import json

import pytest

from chaincode.domain import errors, merkle, tabular
from chaincode.domain.claims import DigestClaim, RootClaim
from chaincode.domain.derivation import Activity, Derivation, Range, Taken
from chaincode.domain.lineage import Edge
from chaincode.domain.provenance import Change, Dataset, LawfulBasis, LeafSchema, Origin, Sensitivity
from chaincode.domain.spdx_ids import LIST_VERSION
from chaincode.domain.values import (
    Blob,
    Count,
    Digest,
    Ref,
    SignedInstant,
    Territory,
    Text,
    dataset_version_ref,
)

HOSPITAL, LAB, REGULATOR = "HospitalMSP", "LabMSP", "RegulatorMSP"
TITANIC = -1_820_534_400_000  # 1912-04-24
WDBC = Ref("dataset-version:wdbc:1")


def _tree(size):
    return merkle.Tree(b"".join(merkle.leaf_hash(b"%d" % index) for index in range(size)))


def _derivation(*parents, activity=Activity.FILTER, selection=None):
    return Derivation(activity, tuple(map(Ref, parents)), selection=selection)


def test_a_data_set_is_registered_for_the_organisation_that_asks(world):
    command = world.register_dataset(
        "wdbc",
        card=world.digest_of("card"),
        distributions=(world.digest_of("file"), world.digest_of("file")),
        jurisdictions=(Territory("US-WI"),),
        origin=Origin(Text("UCI"), Text("biopsy"), (Territory("US"),), SignedInstant(TITANIC), SignedInstant(1)),
    )
    assert world.submit(HOSPITAL, command) == {
        "name": "DatasetRegistered",
        "schema": 1,
        "dataset": "wdbc",
        "owner": HOSPITAL,
    }
    dataset = world.read(Dataset, "wdbc")
    assert (dataset.owner, dataset.registered_at, dataset.licence) == (HOSPITAL, world.at, "CC-BY-4.0")
    origin = world.shown("dataset", "wdbc")["origin"]
    assert (origin["geography"], origin["collected_from"]) == (["US"], TITANIC)
    assert world.read(DigestClaim, world.digest_of("card")).reference == "dataset:wdbc"


def test_a_registration_is_under_the_policy_of_its_owner_and_another_member(world):
    world.dataset(HOSPITAL, "wdbc")
    assert world.policies == {
        "\x00dataset\x00wdbc\x00": "OutOf(2,'HospitalMSP.peer',OR('LabMSP.peer','RegulatorMSP.peer'))"
    }


def test_in_a_consortium_of_two_the_other_member_endorses_what_its_partner_registers(empty_world):
    policy = empty_world.founding_policy()
    members = tuple(member for member in policy.members if member.organisation != LAB)
    for organisation in (HOSPITAL, "RegulatorMSP"):
        empty_world.submit(organisation, empty_world.founding_policy(members=members, rules=()))
    empty_world.dataset(HOSPITAL, "wdbc")
    assert empty_world.policies["\x00dataset\x00wdbc\x00"] == "OutOf(2,'HospitalMSP.peer','RegulatorMSP.peer')"


def test_nothing_is_registered_before_the_consortium_has_a_policy(empty_world):
    assert empty_world.refused(HOSPITAL, empty_world.register_dataset("wdbc")) == errors.PolicyMissing()


def test_an_organisation_that_is_no_member_registers_nothing(world):
    assert world.refused("MakerMSP", world.register_dataset("wdbc")) == errors.NotAMember("MakerMSP")


def test_a_name_is_taken_once(world):
    world.dataset(HOSPITAL, "wdbc")
    assert world.refused(LAB, world.register_dataset("wdbc")) == errors.AlreadyExists("dataset:wdbc")


def test_the_first_claim_to_public_bytes_stands_and_blocks_nobody(world):
    licence, own = world.digest_of("LICENSE"), world.digest_of("own")
    world.dataset(HOSPITAL, "wdbc", card=licence, distributions=(licence,))
    world.dataset(HOSPITAL, "wdbc-copy", distributions=(licence,))
    world.dataset(LAB, "mine", distributions=(own, licence, licence))
    world.dataset(REGULATOR, "third", card=own)
    first = world.read(DigestClaim, licence)
    assert (first.owner, first.reference) == (HOSPITAL, "dataset:wdbc")
    assert world.read(Dataset, "wdbc-copy").earlier_claims == ()
    assert world.read(Dataset, "mine").earlier_claims == (first,)
    assert world.read(Dataset, "third").earlier_claims == (world.read(DigestClaim, own),)
    shown = world.shown("dataset", "mine")["earlier_claims"]
    assert shown == [
        {"digest": str(licence), "owner": HOSPITAL, "reference": "dataset:wdbc", "claimed_at": first.claimed_at}
    ]


def test_nobody_blocks_a_root_by_naming_it_as_a_file(world):
    version = world.commit_version("mine")
    world.dataset(HOSPITAL, "trap", card=version.root, distributions=(version.root,))
    world.dataset(LAB, "mine")
    world.submit(LAB, version)
    assert world.read(RootClaim, version.root).owner == LAB


def test_an_owner_may_commit_the_same_root_again(world):
    world.dataset(HOSPITAL, "wdbc")
    version = world.dataset_version(HOSPITAL, "wdbc")
    world.dataset(HOSPITAL, "copy")
    world.submit(HOSPITAL, world.commit_version("copy", root=version.root))
    assert world.read(RootClaim, version.root).reference == WDBC


def test_a_root_cannot_be_committed_by_another_owner(world):
    world.dataset(HOSPITAL, "wdbc")
    version = world.dataset_version(HOSPITAL, "wdbc", card=world.digest_of("card"))
    world.dataset(LAB, "mine")
    refusal = world.refused(LAB, world.commit_version("mine", root=version.root))
    assert refusal == errors.DigestTaken(str(version.root), HOSPITAL, WDBC)


def test_two_organisations_that_register_one_digest_at_once_do_not_both_succeed(world):
    file = world.digest_of("file")
    first = world.simulate(HOSPITAL, world.register_dataset("a", distributions=(file,)))
    second = world.simulate(LAB, world.register_dataset("b", distributions=(file,)))
    assert (world.commit(first), world.commit(second)) == (True, False)


def test_a_collection_that_ends_before_it_begins_is_refused(world):
    origin = Origin(Text("x"), Text("y"), (), SignedInstant(2), SignedInstant(-1))
    refusal = world.refused(HOSPITAL, world.register_dataset("wdbc", origin=origin))
    assert isinstance(refusal, errors.InvalidField)
    assert refusal.pointer == "/origin/collected_until"


def test_a_collection_in_the_future_is_refused(world):
    later = SignedInstant(world.at + 120_001)
    origin = Origin(Text("x"), Text("y"), (), later, None)
    refusal = world.refused(HOSPITAL, world.register_dataset("wdbc", origin=origin))
    assert refusal == errors.DatedInTheFuture("/origin/collected_from", later, world.at)


# --- Versions ---------------------------------------------------------------------------------------------------


def test_a_version_commits_to_its_root_and_size(world):
    world.dataset(HOSPITAL, "wdbc")
    version = world.dataset_version(HOSPITAL, "wdbc", size=Count(569))
    assert (version.size, version.licence, version.change) == (569, "CC-BY-4.0", Change.FIRST)
    assert world.shown("dataset-version", "wdbc", 1)["size"] == 569


def test_a_version_extends_the_last_one_with_a_consistency_proof(world):
    tree = _tree(13)
    world.dataset(HOSPITAL, "wdbc")
    world.dataset_version(HOSPITAL, "wdbc", 1, root=Digest(tree.root(7)), size=Count(7))
    world.dataset_version(
        HOSPITAL,
        "wdbc",
        2,
        root=Digest(tree.root(13)),
        size=Count(13),
        change=Change.EXTENDS,
        parent_root=Digest(tree.root(7)),
        consistency=tuple(map(Digest, tree.consistency(7, 13))),
    )


def test_a_version_replaces_the_last_one_when_it_says_so(world):
    world.dataset(HOSPITAL, "wdbc")
    first = world.dataset_version(HOSPITAL, "wdbc")
    second = world.dataset_version(HOSPITAL, "wdbc", 2, change=Change.REPLACES, parent_root=first.root)
    assert second.parent_root == first.root


def test_a_consistency_proof_that_fails_is_refused(world):
    tree = _tree(13)
    world.dataset(HOSPITAL, "wdbc")
    first = world.dataset_version(HOSPITAL, "wdbc", 1, root=Digest(tree.root(7)), size=Count(7))
    command = world.commit_version(
        "wdbc",
        2,
        root=Digest(tree.root(13)),
        size=Count(13),
        change=Change.EXTENDS,
        parent_root=first.root,
        consistency=tuple(map(Digest, tree.consistency(6, 13))),
    )
    refusal = world.refused(HOSPITAL, command)
    assert isinstance(refusal, errors.ConsistencyProofFails)
    assert (refusal.reference, refusal.number) == ("dataset:wdbc", 2)


def test_a_version_keeps_what_it_says_of_its_columns(world):
    tree = _tree(13)
    columns, others = (tabular.header_digest(names, ",") for names in (["id", "age"], ["id", "weight"]))
    world.dataset(HOSPITAL, "wdbc")
    first = world.dataset_version(HOSPITAL, "wdbc", 1, root=Digest(tree.root(7)), size=Count(7), header=columns)
    assert first.header == columns
    longer = {
        "root": Digest(tree.root(13)),
        "size": Count(13),
        "parent_root": first.root,
        "consistency": tuple(map(Digest, tree.consistency(7, 13))),
    }
    for header in (others, None):
        refusal = world.refused(
            HOSPITAL, world.commit_version("wdbc", 2, change=Change.EXTENDS, header=header, **longer)
        )
        assert isinstance(refusal, errors.InvalidField)
        assert refusal.pointer == "/header"
    other_leaves = world.commit_version(
        "wdbc", 2, change=Change.EXTENDS, header=columns, leaf_schema=LeafSchema.RECORD_V2, **longer
    )
    assert world.refused(HOSPITAL, other_leaves).pointer == "/leaf_schema"
    second = world.dataset_version(HOSPITAL, "wdbc", 2, change=Change.EXTENDS, header=columns, **longer)
    third = world.dataset_version(HOSPITAL, "wdbc", 3, change=Change.REPLACES, header=others, parent_root=second.root)
    assert (second.header, third.header) == (columns, others)


@pytest.mark.parametrize("given", [None, Digest(bytes(32))])
def test_a_version_whose_parent_root_differs_is_refused(world, given):
    world.dataset(HOSPITAL, "wdbc")
    first = world.dataset_version(HOSPITAL, "wdbc")
    refusal = world.refused(HOSPITAL, world.commit_version("wdbc", 2, change=Change.REPLACES, parent_root=given))
    assert refusal == errors.ParentRootDiffers("dataset:wdbc", 2, str(first.root), str(given))


@pytest.mark.parametrize("size", [None, Count(0)])
def test_a_root_without_its_size_is_refused(world, size):
    world.dataset(HOSPITAL, "wdbc")
    assert world.refused(HOSPITAL, world.commit_version("wdbc", size=size)) == errors.RootWithoutSize()


def test_only_the_owner_commits_versions(world):
    world.dataset(HOSPITAL, "wdbc")
    assert world.refused(LAB, world.commit_version("wdbc")) == errors.NotTheOwner("dataset:wdbc", HOSPITAL, LAB)


def test_a_version_of_nothing_is_refused(world):
    assert world.refused(LAB, world.commit_version("nothing")) == errors.RecordNotFound("dataset:nothing")


def test_a_version_is_written_once_and_after_the_one_before(world):
    world.dataset(HOSPITAL, "wdbc")
    world.dataset_version(HOSPITAL, "wdbc")
    assert world.refused(HOSPITAL, world.commit_version("wdbc", size=Count(3))) == errors.AlreadyExists(WDBC)
    refusal = world.refused(HOSPITAL, world.commit_version("wdbc", 3, change=Change.REPLACES))
    assert refusal == errors.VersionOutOfOrder("dataset:wdbc", 3, 2)


@pytest.mark.parametrize(
    ("number", "more", "pointer"),
    [
        (1, {"change": Change.REPLACES}, "/change"),
        (1, {"parent_root": Digest(bytes(32))}, "/change"),
        (1, {"consistency": (Digest(bytes(32)),)}, "/change"),
        (2, {"change": Change.FIRST}, "/change"),
        (2, {"change": Change.REPLACES, "consistency": (Digest(bytes(32)),)}, "/consistency"),
    ],
)
def test_a_version_says_truly_how_it_follows(world, number, more, pointer):
    world.dataset(HOSPITAL, "wdbc")
    if number == 2:
        more = {"parent_root": world.dataset_version(HOSPITAL, "wdbc").root} | more
    refusal = world.refused(HOSPITAL, world.commit_version("wdbc", number, **more))
    assert isinstance(refusal, errors.InvalidField)
    assert refusal.pointer == pointer


# --- Derivations ------------------------------------------------------------------------------------------------


@pytest.fixture
def derived(world):
    world.dataset(HOSPITAL, "wdbc")
    world.dataset_version(HOSPITAL, "wdbc")
    world.dataset(HOSPITAL, "train")
    return world


@pytest.mark.parametrize(
    "selection",
    [
        None,
        Taken(WDBC, (Range(Count(0), Count(4)), Range(Count(4), Count(10)))),
        Taken(WDBC, bitmap=Blob(b"\xff\x03")),
    ],
)
def test_a_derived_version_names_its_parents_and_the_activity(derived, selection):
    derivation = _derivation(WDBC, activity=Activity.SPLIT, selection=selection)
    derived.dataset_version(HOSPITAL, "train", derivation=derivation)
    edge = Edge(WDBC, dataset_version_ref("train", 1), Text("split"))
    assert edge in derived.records()


@pytest.mark.parametrize(
    "selection",
    [Taken(WDBC, (Range(Count(0), Count(11)),)), Taken(WDBC, bitmap=Blob(b"\x00\x04"))],
)
def test_a_split_selects_only_records_that_its_parent_has(derived, selection):
    command = derived.commit_version("train", derivation=_derivation(WDBC, selection=selection))
    assert derived.refused(HOSPITAL, command) == errors.SelectionOutOfRange(WDBC, 10)


@pytest.mark.parametrize(
    ("selection", "where"),
    [
        (Taken(WDBC), ""),
        (Taken(WDBC, (Range(Count(0), Count(1)),), Blob(b"\x01")), ""),
        (Taken(WDBC, (Range(Count(3), Count(3)),)), "/ranges/0"),
        (Taken(WDBC, (Range(Count(3), Count(5)), Range(Count(4), Count(6)))), "/ranges/1"),
        (Taken(WDBC, bitmap=Blob(b"\x00")), "/bitmap"),
        (Taken(Ref("dataset-version:train:9"), (Range(Count(0), Count(1)),)), "/parent"),
    ],
)
def test_a_selection_that_makes_no_sense_is_refused(derived, selection, where):
    command = derived.commit_version("train", derivation=_derivation(WDBC, selection=selection))
    refusal = derived.refused(HOSPITAL, command)
    assert isinstance(refusal, errors.InvalidField)
    assert refusal.pointer == f"/derivation/selection{where}"


def test_nothing_is_derived_where_the_licence_forbids_it(world):
    world.dataset(HOSPITAL, "closed", licence="CC-BY-NC-ND-4.0")
    first = world.dataset_version(HOSPITAL, "closed")
    world.dataset(HOSPITAL, "mine", licence="CC-BY-NC-ND-4.0")
    closed = Ref("dataset-version:closed:1")
    command = world.commit_version("mine", derivation=_derivation(closed, activity=Activity.TRANSFORM))
    refusal = world.refused(HOSPITAL, command)
    path = ("dataset-version:mine:1", closed)
    assert refusal == errors.DerivativesForbidden(closed, "CC-BY-NC-ND-4.0", path)
    corrected = world.commit_version(
        "closed",
        2,
        change=Change.REPLACES,
        parent_root=first.root,
        derivation=_derivation(closed, activity=Activity.TRANSFORM),
    )
    assert world.submit(HOSPITAL, corrected)["version"] == "dataset-version:closed:2"


def test_an_owner_permits_derivation_by_a_choice_in_its_licence(world):
    world.dataset(HOSPITAL, "closed", licence="CC-BY-ND-4.0 OR LicenseRef-for-lab")
    world.dataset_version(HOSPITAL, "closed")
    world.dataset(LAB, "mine", licence="LicenseRef-For-Lab")
    world.submit(LAB, world.commit_version("mine", derivation=_derivation("dataset-version:closed:1")))


@pytest.mark.parametrize("parent", ["dataset-version:nothing:1", "model-version:net:1", "dataset:wdbc"])
def test_a_missing_parent_is_refused(derived, parent):
    refusal = derived.refused(HOSPITAL, derived.commit_version("train", derivation=_derivation(parent)))
    assert refusal == errors.ParentMissing("dataset-version:train:1", parent)


def test_a_version_is_not_its_own_parent(derived):
    itself = "dataset-version:train:1"
    refusal = derived.refused(HOSPITAL, derived.commit_version("train", derivation=_derivation(itself)))
    assert refusal == errors.SelfParent(itself)


def test_a_parent_stands_there_once(derived):
    refusal = derived.refused(HOSPITAL, derived.commit_version("train", derivation=_derivation(WDBC, WDBC)))
    assert refusal == errors.RepeatedEntry("/derivation/parents", WDBC)


def test_a_derivation_without_parents_is_refused(derived):
    refusal = derived.refused(HOSPITAL, derived.commit_version("train", derivation=_derivation()))
    assert isinstance(refusal, errors.InvalidField)


def test_a_derived_data_set_has_no_wider_licence_than_its_parents(derived):
    derived.dataset(LAB, "free", "CC0-1.0")
    refusal = derived.refused(LAB, derived.commit_version("free", derivation=_derivation(WDBC)))
    assert refusal == errors.LicenceTooWide("CC0-1.0", "CC-BY-4.0", "attribution", ("dataset-version:free:1", WDBC))


# --- Form -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"licence": "OpenRAIL-M"}, errors.LicenceUnknown("OpenRAIL-M", LIST_VERSION)),
        ({"title": "e\u0301"}, errors.NotNormalised("/title")),
        ({"title": 1.5}, errors.FloatRefused("/title")),
        ({"title": float("nan")}, errors.NotANumber("/title")),
        ({"colour": "red"}, errors.UnknownField("/colour")),
        ({"schema": 2}, errors.UnknownSchema("register-dataset", 2)),
    ],
)
def test_a_command_of_another_form_is_refused_with_the_field(world, changes, refusal):
    document = {
        "kind": "register-dataset",
        "schema": 1,
        "dataset": "wdbc",
        "title": "t",
        "licence": "MIT",
        "origin": {"source": "s", "method": "m", "geography": []},
        "sensitivity": "public",
    }
    said = world.refused(HOSPITAL, json.dumps(document | changes).encode(), "dataset:register")
    assert said == refusal


def test_a_command_of_another_function_is_refused(world):
    query = b'{"key":["wdbc"],"kind":"get-record","record":"dataset","schema":1}'
    assert world.refused(HOSPITAL, query, "dataset:register") == errors.UnknownKind("get-record")


@pytest.mark.parametrize("sensitivity", [Sensitivity.PERSONAL, Sensitivity.SPECIAL_CATEGORY])
def test_personal_data_has_a_lawful_basis(world, sensitivity):
    command = dataclasses.replace(world.register_dataset("wdbc"), sensitivity=sensitivity)
    refusal = world.refused(HOSPITAL, dataclasses.replace(command, basis=None))
    assert isinstance(refusal, errors.InvalidField)
    assert refusal.pointer == "/basis"
    assert "consent, contract, legal-obligation" in refusal.reason
    world.submit(HOSPITAL, dataclasses.replace(command, basis=LawfulBasis.HIPAA_AUTHORISATION))
    assert world.shown("dataset", "wdbc")["basis"] == "hipaa-authorisation"


def test_what_is_not_personal_needs_no_lawful_basis(world):
    command = dataclasses.replace(world.register_dataset("wdbc", basis=None), sensitivity=Sensitivity.CONFIDENTIAL)
    world.submit(HOSPITAL, command)
    assert world.read(Dataset, "wdbc").basis is None
    assert "basis" not in world.shown("dataset", "wdbc")

# SPDX-License-Identifier: Apache-2.0
"""What an operator may ask to deploy, and the packages made of it."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from fabric_protos.peer import collection_pb2, policy_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from network.embedded.packages import Package as InstalledPackage
from network.embedded.policy import parse
from network.packaging import Definition, DefinitionError, load_collections, make_package, parse_addresses
from network.topology import Endpoint


def test_a_package_is_what_a_peer_installs() -> None:
    package = make_package("pedigree_1.0", Endpoint("127.0.0.1", 9999))
    assert package.package_id == f"pedigree_1.0:{hashlib.sha256(package.content).hexdigest()}"
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(package.content))) as outer:
        assert outer.getnames() == ["metadata.json", "code.tar.gz"]
        metadata = json.loads(outer.extractfile("metadata.json").read())  # type: ignore[union-attr]
    assert metadata == {"path": "", "type": "ccaas", "label": "pedigree_1.0"}
    installed = InstalledPackage.parse(package.content)
    assert installed.package_id == package.package_id
    assert installed.address is not None
    assert installed.address.target == "127.0.0.1:9999"


def test_equal_packages_are_equal_bytes_and_other_addresses_are_not() -> None:
    first, second = (make_package("a", Endpoint("h", 1)) for _ in range(2))
    assert first == second
    assert make_package("a", Endpoint("h", 2)).package_id != first.package_id


def test_without_a_policy_the_channels_default_holds() -> None:
    policy = policy_pb2.ApplicationPolicy.FromString(Definition.make("cc", "1.0").validation_parameter)
    assert policy.channel_config_policy_reference == "/Channel/Application/Endorsement"


def test_a_policy_expression_is_encoded() -> None:
    raw = Definition.make("cc", "1.0", policy="OR('AMSP.peer')").validation_parameter
    assert policy_pb2.ApplicationPolicy.FromString(raw).signature_policy == parse("OR('AMSP.peer')")


@pytest.mark.parametrize(
    ("name", "version", "policy", "field"),
    [
        ("", "1", None, "NAME"),
        ("a b", "1", None, "NAME"),
        ("_lifecycle", "1", None, "NAME"),
        ("qscc", "1", None, "NAME"),
        ("cc", "", None, "--version"),
        ("cc", "1/2", None, "--version"),
        ("cc", "1", "OR(", "--policy"),
    ],
)
def test_a_bad_definition_names_its_field(name: str, version: str, policy: str | None, field: str) -> None:
    with pytest.raises(DefinitionError, match=rf"^{field}: "):
        Definition.make(name, version, policy=policy)


@pytest.mark.parametrize("text", ["", "lab", "=127.0.0.1:1", "lab=", "lab=127.0.0.1", "lab=127.0.0.1:0", "lab=h:x"])
def test_a_bad_address_is_refused(text: str) -> None:
    with pytest.raises(DefinitionError, match=r"^--address: "):
        parse_addresses([text])


def test_an_organisation_has_one_address() -> None:
    assert parse_addresses(["a=h:1", "b=h:2"]) == {"a": Endpoint("h", 1), "b": Endpoint("h", 2)}
    with pytest.raises(DefinitionError, match="named twice"):
        parse_addresses(["a=h:1", "a=h:2"])


def _load(folder: Path, content: Any) -> bytes:
    path = folder / "collections.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return load_collections(path)


COLLECTION = {"name": "consents", "policy": "OR('LabMSP.member')"}


def test_collections_are_read_in_fabrics_format(tmp_path: Path) -> None:
    raw = _load(
        tmp_path,
        [
            COLLECTION | {"requiredPeerCount": 0, "maxPeerCount": 2, "blockToLive": 5, "memberOnlyRead": True},
            {"name": "b", "policy": "OR('A.member')", "endorsementPolicy": {"signaturePolicy": "OR('A.peer')"}},
            {"name": "c", "policy": "OR('A.member')", "endorsementPolicy": {"channelConfigPolicy": "/Channel/X"}},
        ],
    )
    first, second, third = (
        c.static_collection_config for c in collection_pb2.CollectionConfigPackage.FromString(raw).config
    )
    assert (first.name, first.maximum_peer_count, first.block_to_live) == ("consents", 2, 5)
    assert (first.member_only_read, first.member_only_write) == (True, False)
    assert first.member_orgs_policy.signature_policy == parse("OR('LabMSP.member')")
    assert not first.HasField("endorsement_policy")
    assert second.endorsement_policy.signature_policy == parse("OR('A.peer')")
    assert third.endorsement_policy.channel_config_policy_reference == "/Channel/X"


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ("{", "--collections"),
        ({}, "--collections"),
        (["x"], "collections[0]"),
        ([{"policy": "OR('A.member')"}], "collections[0].name"),
        ([COLLECTION | {"name": "_x"}], "collections[0].name"),
        ([COLLECTION | {"policy": None}], "collections[0].policy"),
        ([COLLECTION | {"policy": "OR("}], "collections[0].policy"),
        ([COLLECTION | {"blockToLive": -1}], "collections[0].blockToLive"),
        ([COLLECTION | {"blockToLive": True}], "collections[0].blockToLive"),
        ([COLLECTION | {"requiredPeerCount": 3}], "collections[0].maxPeerCount"),
        ([COLLECTION | {"memberOnlyRead": "false"}], "collections[0].memberOnlyRead"),
        ([COLLECTION | {"ttl": 1}], "collections[0].ttl"),
        ([COLLECTION | {"endorsementPolicy": {}}], "collections[0].endorsementPolicy"),
        ([COLLECTION, COLLECTION], "collections[1].name"),
    ],
)
def test_a_bad_collection_names_its_field(tmp_path: Path, content: Any, field: str) -> None:
    with pytest.raises(DefinitionError) as refusal:
        _load(tmp_path, content)
    assert str(refusal.value).startswith(f"{field}: ")


def test_a_missing_collections_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="No such file"):
        load_collections(tmp_path / "missing.json")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys((*COLLECTION, "endorsementPolicy"), _JSON)) | _JSON))
def test_any_json_is_read_or_refused(tmp_path: Path, content: Any) -> None:
    try:
        raw = _load(tmp_path, content)
    except DefinitionError:
        return
    assert len(collection_pb2.CollectionConfigPackage.FromString(raw).config) == len(content)

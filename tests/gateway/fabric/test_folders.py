# SPDX-License-Identifier: Apache-2.0
"""MSP folders that another organisation made: nothing outside is opened, and no key in them is shown to anybody."""

import os

import pytest
from cryptography.hazmat.primitives import serialization

from gateway.fabric import Identity
from gateway.fabric.errors import MalformedData
from gateway.fabric.folders import read_public
from gateway.fabric.mspfolder import msp_from_folder


@pytest.fixture
def folder(world, tmp_path):
    return world.organisations["LabMSP"].write_msp(tmp_path / "lab" / "msp")


@pytest.fixture
def key(world, tmp_path):
    """A private key of somebody else, beside the folder."""
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = tmp_path / "priv_sk"
    path.write_bytes(world.organisations["LabMSP"].key.private_bytes(serialization.Encoding.PEM, *form))
    return path


def naming(folder, certificate):
    (folder / "config.yaml").write_text(
        "NodeOUs:\n  Enable: true\n  PeerOUIdentifier:\n"
        f"    Certificate: {certificate}\n    OrganizationalUnitIdentifier: peer\n"
    )


def test_a_certificate_is_named_inside_the_folder_alone(folder, key):
    for name in (os.path.relpath(key, folder), str(key), "..", "cacerts/../../../priv_sk"):
        naming(folder, name)
        with pytest.raises(MalformedData, match="is not a path inside the folder"):
            msp_from_folder("LabMSP", folder)


@pytest.mark.parametrize("kind", ["cacerts", "intermediatecerts", "admincerts", "crls"])
def test_links_do_not_lead_out_of_the_folder(folder, key, kind):
    (folder / kind).mkdir(exist_ok=True)
    (folder / kind / "x.pem").symlink_to(key)
    with pytest.raises(MalformedData, match="is not a path inside the folder"):
        msp_from_folder("LabMSP", folder)


def test_config_yaml_is_no_link_to_elsewhere(folder, key):
    (folder / "config.yaml").unlink()
    (folder / "config.yaml").symlink_to(key)
    with pytest.raises(MalformedData, match="is not a path inside the folder"):
        msp_from_folder("LabMSP", folder)


def test_links_inside_it_are_followed_as_volumes_of_kubernetes_need(folder):
    (folder / "cacerts").rename(folder / "..data")
    (folder / "cacerts").symlink_to("..data")
    assert msp_from_folder("LabMSP", folder).msp_id == "LabMSP"


@pytest.mark.parametrize("kind", ["cacerts", "admincerts"])
def test_a_key_among_public_files_is_refused(folder, key, kind):
    (folder / kind).mkdir(exist_ok=True)
    (folder / kind / "x.pem").write_bytes(key.read_bytes())
    with pytest.raises(MalformedData, match="holds a private key"):
        msp_from_folder("LabMSP", folder)


def test_pipes_and_large_files_are_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(bytes((1 << 20) + 1))
    (tmp_path / "round").symlink_to("round")
    for name in ("pipe", "large", "round", "absent", "a\0b"):
        with pytest.raises(MalformedData, match=r"is not a plain file|larger than 1 MiB|cannot be read"):
            read_public(tmp_path, name, "it")


def test_every_message_carries_the_certificate_and_nothing_else_of_its_file(world, folder, key):
    (file,) = (folder / "signcerts").iterdir()
    own = world.client.identity.credentials
    file.write_bytes(b"Subject: me\n" + own + b"\nsecret words\n")
    assert Identity.from_msp_folder("LabMSP", folder).credentials == own
    file.write_bytes(own + key.read_bytes())
    with pytest.raises(MalformedData, match="holds a private key"):
        Identity.from_msp_folder("LabMSP", folder)

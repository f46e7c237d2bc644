# SPDX-License-Identifier: Apache-2.0
"""What the composition root joins that no part knows of alone: a new certificate, and everybody who signs with it."""

import shutil
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from gateway.delivery.peers import Peer, PeerConnection, Peers
from gateway.fabric import Identity
from gateway.identities.mspfolder import read_msp
from gateway.ledger import OrganisationSigner
from gateway.server.app import Metrics
from gateway.server.signing import SigningKey
from gateway.server.wiring import _renewal
from network.material import ensure_material
from network.topology import default_topology


@pytest.fixture
def msp(tmp_path: Path) -> Path:
    """A folder with User1's identity; Admin's is beside it."""
    material = ensure_material(default_topology(any_port=True), tmp_path)
    shutil.copytree(material.user("lab.example", "Admin") / "msp", tmp_path / "renewed")
    shutil.copytree(material.user("lab.example") / "msp", tmp_path / "msp")
    return tmp_path / "msp"


class Connection:
    """Counts how often it was closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_a_renewed_identity_is_taken_up_by_peers_and_statements(msp: Path) -> None:
    dialled: list[Identity] = []

    def dial() -> PeerConnection:
        dialled.append(key.pair()[0])
        return PeerConnection(Connection(), None, None, None)  # type: ignore[arg-type]

    key = SigningKey(lambda: read_msp("LabMSP", msp))
    metrics, peer = Metrics(), Peer("peer0", dial)
    signer = OrganisationSigner(key.pair)
    renewal = _renewal(key, Peers([peer], meter=metrics), metrics)
    first, before = peer.connect(), signer.sign(b"statement")

    renewal.step()
    assert peer.connect() is first, "nothing has changed yet"

    for name in ("signcerts", "keystore"):
        shutil.rmtree(msp / name)
        shutil.copytree(msp.parent / "renewed" / name, msp / name)
    renewal.step()
    second, after = peer.connect(), signer.sign(b"statement")
    assert second is not first
    assert (first.dropped, first.transport.closed) == (False, 0), "what is under way ends undisturbed"  # type: ignore[attr-defined]
    assert [found.credentials for found in dialled] == [before.certificate, after.certificate]
    assert before.certificate != after.certificate
    assert b"pedigree_identity_overdue 0.0" in generate_latest(metrics.registry)

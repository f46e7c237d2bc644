# SPDX-License-Identifier: Apache-2.0
"""The real Fabric CA, on the organisation's own root: its identities transact on a ledger, are renewed and revoked."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chaincode.domain import codec
from gateway.cli import main
from gateway.demo.consortium import CHAINCODE, ORGANISATIONS, POLICY, Consortium, listens, ready
from gateway.demo.founding import FOUNDING_POLICY, ORIGIN
from gateway.fabric import EndorseError, Gateway, Trust, connect, decode_block
from gateway.identities.ca import FabricCa
from gateway.identities.credential import Credential, authority_key_id, load_certificate
from gateway.identities.described import attributes
from gateway.identities.errors import (
    AlreadyRegistered,
    CaUnreachable,
    CertificateRevoked,
    NotAuthenticated,
    NotAuthorised,
    NotFoundAtCa,
)
from gateway.identities.keys import generate
from gateway.identities.mspfolder import read_msp
from gateway.identities.records import Attribute, AttributeRequest, Registration
from gateway.identities.renewal import CurrentIdentity, RenewalWatch
from gateway.identities.revocation import Revocations
from gateway.identities.transport import tls_context
from gateway.identities.wallet import Wallet
from gateway.identities.wallets import open_wallet
from gateway.server.settings import NetworkFile
from gateway.services.recording import COMMANDS
from network.material import ensure_material
from network.topology import default_topology

SERVER = Path(os.environ.get("FABRIC_BIN") or "/opt/fabric/bin") / "fabric-ca-server"
DOMAIN = "hospital.example"
NAME = f"ca.{DOMAIN}"
SECRET = "a-bootstrap-secret"
RECORDS: dict[str, Any] = {"title": "Records", "licence": "CC-BY-4.0", "origin": ORIGIN, "sensitivity": "internal"}

pytestmark = [
    pytest.mark.fabric,
    pytest.mark.skipif(
        not os.access(SERVER, os.X_OK),
        reason=f"{SERVER} is missing (set FABRIC_BIN): the real Fabric CA goes untested",
    ),
]


def _tls_pair(organisation: Path, folder: Path) -> None:
    """A TLS certificate for the CA's server, from the organisation's TLS root."""
    root = x509.load_pem_x509_certificate((organisation / "tlsca" / f"tlsca.{DOMAIN}-cert.pem").read_bytes())
    root_key: Any = serialization.load_pem_private_key((organisation / "tlsca" / "priv_sk").read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)]))
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    (folder / "tls.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


class Server:
    """fabric-ca-server as a process, on a free port, with the organisation's root."""

    def __init__(self, organisation: Path, folder: Path) -> None:
        folder.mkdir(parents=True)
        _tls_pair(organisation, folder)
        self.root = organisation / "ca" / f"{NAME}-cert.pem"
        self.tls_root = organisation / "tlsca" / f"tlsca.{DOMAIN}-cert.pem"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [
                str(SERVER), "start", "-H", str(folder), "-b", f"admin:{SECRET}",
                "--address", "127.0.0.1", "--port", str(self.port), "--ca.name", NAME,
                "--ca.certfile", str(self.root), "--ca.keyfile", str(organisation / "ca" / "priv_sk"),
                "--tls.enabled", "--tls.certfile", str(folder / "tls.pem"), "--tls.keyfile", str(folder / "tls.key"),
            ],
            env={"FABRIC_CA_SERVER_OPERATIONS_LISTENADDRESS": "127.0.0.1:0", "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )  # fmt: skip
        try:
            self._wait(folder / "log")
        except BaseException:
            self.stop()
            raise

    def _wait(self, log: Path) -> None:
        deadline = time.monotonic() + 30
        with self.client() as ca:
            while True:
                try:
                    ca.info()
                    return
                except CaUnreachable:
                    text = log.read_text(errors="replace")
                    assert self._process.poll() is None, text
                    assert time.monotonic() < deadline, text
                    time.sleep(0.05)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def client(self) -> FabricCa:
        root = load_certificate(self.root.read_bytes(), "root")
        return FabricCa(self.url, tls_context(self.tls_root), name=NAME, root=root)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._log.close()


class EnrolledConsortium(Consortium):
    """A consortium with one gateway, whose identity comes from the hospital's CA by the commands of operators."""

    server: Server | None = None

    def start(self) -> None:
        self._start_network()
        packages = json.loads(self._run("package", CHAINCODE, *self._addresses(), "--json"))
        chaincodes = [self._launch_chaincode(name, packages[msp_id]) for name, msp_id in ORGANISATIONS.items()]
        self._enrol()
        gateway = self._launch_gateway("hospital")
        for name, program in zip(ORGANISATIONS, chaincodes, strict=True):
            program.wait_until(partial(listens, self.ports[name].chaincode), within=60)
        self._run("deploy", CHAINCODE, *self._addresses(), "--policy", POLICY)
        gateway.wait_until(partial(ready, self.ports["hospital"].health), within=60)

    def _enrol(self) -> None:
        organisation = self.directory / "organizations" / "peerOrganizations" / DOMAIN
        self.server = Server(organisation, self.directory / "ca")
        msp = organisation / "users" / f"User1@{DOMAIN}" / "msp"
        (self.directory / "bootstrap").write_text(SECRET)
        for _ in range(2):  # as an operator does who was interrupted
            self.identity("enrol", "admin", "--secret-file", str(self.directory / "bootstrap"), "--if-needed")
            self.identity(
                "register", "gateway", "--as", "admin", "--secret-file", str(self.directory / "secret"), "--if-absent"
            )
            self.identity(
                "enrol", "gateway", "--secret-file", str(self.directory / "secret"), "--if-needed", "--msp", str(msp)
            )

    def identity(self, *arguments: str) -> Any:
        """One of the commands; its JSON."""
        assert self.server is not None
        environment = {
            "PEDIGREE_WALLET": str(self.directory / "wallet"),
            "PEDIGREE_CA_URL": self.server.url,
            "PEDIGREE_CA_NAME": NAME,
            "PEDIGREE_CA_TLS_ROOT": str(self.server.tls_root),
            "PEDIGREE_CA_ROOT": str(self.server.root),
            "PEDIGREE_MSP_ID": "HospitalMSP",
        }
        result = CliRunner().invoke(main, ["identity", *arguments, "--json"], env=environment)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def stop(self) -> None:
        super().stop()
        if self.server is not None:
            self.server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A CA without a ledger."""
    folder = tmp_path_factory.mktemp("ca")
    material = ensure_material(default_topology(), folder)
    running = Server(material.organisation(DOMAIN), folder / "server")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def consortium(ledger: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnrolledConsortium]:
    running = EnrolledConsortium(tmp_path_factory.mktemp("consortium"), ledger, any_port=True)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def ca(server: Server) -> Iterator[FabricCa]:
    with server.client() as client:
        yield client


@pytest.fixture
def admin(ca: FabricCa) -> Credential:
    return ca.enrol("admin", SECRET, msp_id="HospitalMSP")


# -- on a ledger -----------------------------------------------------------------------------------------------


Use = Callable[[Credential], Gateway]


@pytest.fixture(scope="module")
def use(consortium: EnrolledConsortium) -> Iterator[Use]:
    """A gateway on the hospital's peer for an identity; the consortium's members have voted for a policy."""
    network = NetworkFile.read(consortium.directory / "network.json")
    _, member = network.organisation("hospital")
    folders = {each.msp_id: each.msp for each in network.organisations} | {network.orderer_msp_id: network.orderer_msp}
    trust = Trust.from_msp_folders(folders, bytes.fromhex(network.genesis_hash))
    certificate, key = member.tls_pair()
    peer = member.peers[0]
    with connect(
        peer.address, tls_root=member.tls_ca.read_bytes(), server_name=peer.server_name,
        client_certificate=certificate, client_key=key,
    ) as connection:  # fmt: skip

        def use(credential: Credential) -> Gateway:
            return Gateway(connection, credential.identity, credential.signer, trust=trust)

        _, regulator = network.organisation("regulator")
        for voter in (
            Wallet(consortium.directory / "wallet").get("gateway"),
            read_msp("RegulatorMSP", regulator.user_msp),
        ):
            _submit(use(voter), "endorsement:set-policy", **FOUNDING_POLICY)
        yield use


def _submit(gateway: Gateway, function: str, **fields: Any) -> None:
    """Submit a command in the name of the gateway's identity; raises unless the transaction is valid."""
    command = codec.from_plain({"kind": codec.kind_of(COMMANDS[function]), "schema": codec.SCHEMA, **fields})
    token = hashlib.sha256(repr((gateway.identity.mspid, function, fields)).encode()).hexdigest()
    gateway.network("pedigree").contract("pedigree").submit(function, codec.to_json(command), token)


def _register(gateway: Gateway, name: str) -> None:
    _submit(gateway, "dataset:register", dataset=name, **RECORDS)


def test_a_gateway_with_an_identity_of_the_ca_commits_transactions(consortium: EnrolledConsortium, use: Use) -> None:
    held = Wallet(consortium.directory / "wallet").get("gateway")
    with consortium.client("hospital") as hospital:
        recorded = hospital.register_dataset("by-the-gateway", **RECORDS)
    assert recorded.record["owner"] == "HospitalMSP"
    events = use(held).network("pedigree").block_events(start_block=recorded.block, stop_block=recorded.block)
    with events as blocks:
        block = decode_block(next(iter(blocks)))
    creators = {each.transaction_id: each.creator for each in block.transactions}
    assert creators[recorded.transaction_id] == held.identity.serialized


def test_a_renewed_identity_commits_and_so_does_the_former_until_it_expires(
    consortium: EnrolledConsortium, use: Use
) -> None:
    wallet = Wallet(consortium.directory / "wallet")
    identity = CurrentIdentity(lambda: wallet.get("gateway"))
    gateway = identity.built(use)
    old, before = identity.current, gateway()
    _register(before, "before-renewal")
    assert consortium.server is not None
    with consortium.server.client() as ca:
        wallet.put("gateway", ca.reenrol(old, key=wallet.new_key("p256")))
    watch = RenewalWatch(identity)
    watch.step()
    assert watch.failure is None
    assert identity.current.serial != old.serial
    assert gateway() is not before
    assert gateway().identity.serialized == identity.current.identity.serialized
    _register(gateway(), "after-renewal")
    _register(before, "signed-with-the-former")


@pytest.mark.parametrize("algorithm", ["p256", "p384"])
def test_keys_of_other_kinds_commit_too(consortium: EnrolledConsortium, use: Use, algorithm: str) -> None:
    wallet = Wallet(consortium.directory / "wallet")
    assert consortium.server is not None
    with consortium.server.client() as ca:
        secret = ca.register(Registration(f"app-{algorithm}"), wallet.get("admin"))
        credential = ca.enrol(f"app-{algorithm}", secret, msp_id="HospitalMSP", key=generate(algorithm))
    _register(use(credential), f"by-{algorithm}")


def test_an_identity_of_another_msp_id_does_not(consortium: EnrolledConsortium, use: Use) -> None:
    held = Wallet(consortium.directory / "wallet").get("gateway")
    with pytest.raises(EndorseError):
        _register(use(Credential("LabMSP", held.certificate, held.key, held.authorities)), "by-nobody")


# -- the CA itself ---------------------------------------------------------------------------------------------


def test_it_says_who_it_is(ca: FabricCa, server: Server) -> None:
    info = ca.info()
    assert info.name == NAME
    assert info.version.removeprefix("v").startswith("1.5.")
    assert [each.subject.rfc4514_string() for each in info.chain] == [f"CN={NAME},O={DOMAIN}"]


@pytest.mark.parametrize("algorithm", ["p256", "p384", "ed25519"])
def test_every_kind_of_key_enrols_and_authenticates(ca: FabricCa, algorithm: str) -> None:
    first = ca.enrol("admin", SECRET, msp_id="HospitalMSP", key=generate(algorithm))
    assert ca.reenrol(first).name == "admin"
    assert [each.name for each in ca.identities(first)][:1] == ["admin"]


def test_registered_attributes_stand_in_the_certificate(ca: FabricCa, admin: Credential) -> None:
    registration = Registration(
        "with-attributes",
        affiliation="org1.department1",
        attributes=(Attribute("role", "auditor", ecert=True), Attribute("silent", "yes")),
        max_enrolments=3,
    )
    secret = ca.register(registration, admin)
    plain = ca.enrol("with-attributes", secret, msp_id="HospitalMSP")
    assert attributes(plain.certificate)["role"] == "auditor"
    assert "silent" not in attributes(plain.certificate)
    units = plain.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    assert {str(each.value) for each in units} == {"client", "org1", "department1"}
    asked = ca.enrol(
        "with-attributes", secret, msp_id="HospitalMSP",
        attributes=[AttributeRequest("silent"), AttributeRequest("absent", optional=True)],
    )  # fmt: skip
    assert attributes(asked.certificate) == {"silent": "yes"}
    tls = ca.enrol("with-attributes", secret, msp_id="HospitalMSP", hosts=["gw.example", "10.1.2.3"], profile="tls")
    names = tls.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["gw.example"]
    usages = tls.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.SERVER_AUTH in usages
    with pytest.raises(NotAuthenticated):
        ca.enrol("with-attributes", secret, msp_id="HospitalMSP")  # three enrolments were allowed
    found = ca.identity("with-attributes", admin)
    assert (found.type, found.affiliation, found.max_enrolments) == ("client", "org1.department1", 3)


def test_a_changed_secret_changes_nothing_else(ca: FabricCa, admin: Credential) -> None:
    first = ca.register(Registration("forgetful", attributes=(Attribute("role", "r", ecert=True),)), admin)
    before = ca.identity("forgetful", admin)
    ca.change_secret("forgetful", "another-secret", admin)
    after = ca.identity("forgetful", admin)
    assert set(after.attributes) == set(before.attributes)
    assert (after.type, after.affiliation, after.max_enrolments) == (
        before.type,
        before.affiliation,
        before.max_enrolments,
    )
    with pytest.raises(NotAuthenticated):
        ca.enrol("forgetful", first, msp_id="HospitalMSP")
    assert ca.enrol("forgetful", "another-secret", msp_id="HospitalMSP").name == "forgetful"


def test_what_the_ca_refuses_has_its_error(ca: FabricCa, admin: Credential) -> None:
    secret = ca.register(Registration("refused"), admin)
    with pytest.raises(AlreadyRegistered):
        ca.register(Registration("refused"), admin)
    mere = ca.enrol("refused", secret, msp_id="HospitalMSP")
    with pytest.raises(NotAuthorised):
        ca.register(Registration("by-a-mere-client"), mere)
    with pytest.raises(NotAuthorised):
        ca.revocation_list(mere)
    with pytest.raises(NotFoundAtCa):
        ca.identity("nobody", admin)
    with pytest.raises(NotFoundAtCa):
        ca.revoke(admin, name="nobody")
    stranger = Credential("HospitalMSP", admin.certificate, admin.key)
    assert ca.identity("refused", stranger).name == "refused"


def test_a_revoked_certificate_stands_in_the_list_and_is_refused_everywhere(
    ca: FabricCa, admin: Credential, tmp_path: Path
) -> None:
    secret = ca.register(Registration("leaver"), admin)
    first, second = (ca.enrol("leaver", secret, msp_id="HospitalMSP") for _ in range(2))
    revocations = Revocations(admin.authorities, tmp_path / "crl.pem")
    revocations.update(ca.revocation_list(admin))
    revocations.check(first.certificate)
    done = ca.revoke(
        admin, serial=first.serial, aki=authority_key_id(first.certificate), reason="keycompromise", crl=True
    )
    assert [serial for serial, _ in done.certificates] == [first.serial]
    assert done.crl is not None
    assert first.serial in revocations.update(done.crl).serials
    with pytest.raises(CertificateRevoked):
        revocations.check(first.certificate, write=False)
    revocations.check(second.certificate)
    with pytest.raises(NotAuthenticated):
        ca.reenrol(first)
    assert ca.reenrol(second).name == "leaver"
    usable = ca.certificates(admin, name="leaver", usable=True)
    assert first.certificate not in usable
    assert second.certificate in usable
    everything = ca.revoke(admin, name="leaver", reason="cessationofoperation")
    assert second.serial in [serial for serial, _ in everything.certificates]
    listed = revocations.update(ca.revocation_list(admin)).serials
    assert {first.serial, second.serial} <= set(listed)
    with pytest.raises(NotAuthenticated):
        ca.enrol("leaver", secret, msp_id="HospitalMSP")


def test_tls_trusts_the_pinned_root_and_no_other(server: Server, tmp_path: Path) -> None:
    with FabricCa(server.url, tls_context(server.root)) as ca, pytest.raises(CaUnreachable, match="verify failed"):
        ca.info()


def test_an_encrypted_wallet_keeps_what_the_ca_issued(ca: FabricCa, admin: Credential, tmp_path: Path) -> None:
    wallet = open_wallet(tmp_path / "w", lambda: b"correct horse battery", make="sealed")
    wallet.put("admin", admin)
    assert ca.identity("admin", wallet.get("admin")).name == "admin"

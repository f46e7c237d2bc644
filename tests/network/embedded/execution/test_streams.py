# SPDX-License-Identifier: Apache-2.0
"""The chaincode stream: handshake, both directions, loss and return (rules S-1 to S-16)."""

import asyncio
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fabric_protos.peer import chaincode_pb2, chaincode_shim_pb2, chaincode_shim_pb2_grpc
from grpc import StatusCode, aio, ssl_server_credentials

from network.embedded.chaincode import ChaincodeRegistry, ChaincodeSettings, LaunchError
from network.embedded.chaincodetoken import ensure_token, matches
from network.embedded.packages import Address
from network.embedded.session import Session, StreamViolation

Message = chaincode_shim_pb2.ChaincodeMessage


async def echo(stub):
    return stub.args[0]


def register(name: str = "cc:1.0") -> object:
    return Message(type=Message.REGISTER, payload=chaincode_pb2.ChaincodeID(name=name).SerializeToString())


class Recorder:
    """A session with everything it sent."""

    def __init__(self, refuse: str | None = None) -> None:
        self.sent: list[object] = []
        self.names: list[str] = []
        self._refuse = refuse
        self.session = Session(self.sent.append, self._register, b"parameters")

    def _register(self, session, name):
        if self._refuse is not None:
            raise StreamViolation(self._refuse)
        self.names.append(name)


def test_the_handshake_answers_registered_and_ready():
    recorder = Recorder()
    recorder.session.receive(register("label:hash"))
    assert recorder.names == ["label:hash"]
    assert [(m.type, m.payload, m.txid, m.channel_id) for m in recorder.sent] == [
        (Message.REGISTERED, b"", "", ""),
        (Message.READY, b"parameters", "", ""),
    ]


def test_a_registration_that_cannot_be_read_is_ignored():
    recorder = Recorder()
    recorder.session.receive(Message(type=Message.REGISTER, payload=b"\xff\xff"))
    assert (recorder.sent, recorder.session.ready) == ([], False)


@pytest.mark.parametrize("kind", [k for k in Message.Type.values() if k not in (Message.REGISTER, Message.KEEPALIVE)])
def test_nothing_but_register_may_come_first(kind):
    with pytest.raises(StreamViolation, match="not allowed in state created"):
        Recorder().session.receive(Message(type=kind))


def test_an_empty_or_refused_name_ends_the_stream_without_an_answer():
    for recorder, message in ((Recorder(), register("")), (Recorder(refuse="duplicate chaincodeID: x"), register("x"))):
        with pytest.raises(StreamViolation):
            recorder.session.receive(message)
        assert recorder.sent == []


@pytest.mark.parametrize("kind", [Message.REGISTER, Message.RESPONSE, Message.READY, Message.TRANSACTION, 12, 77])
def test_what_a_chaincode_may_not_say_ends_a_ready_stream(kind):
    recorder = Recorder()
    recorder.session.receive(register())
    with pytest.raises(StreamViolation, match="not allowed in state ready"):
        recorder.session.receive(Message(type=kind))


def test_keepalive_and_answers_to_unknown_transactions_are_swallowed():
    recorder = Recorder()
    recorder.session.receive(Message(type=Message.KEEPALIVE))
    recorder.session.receive(register())
    del recorder.sent[:]
    for kind in (Message.KEEPALIVE, Message.COMPLETED, Message.ERROR):
        recorder.session.receive(Message(type=kind, txid="unknown"))
    assert recorder.sent == []


def test_requests_of_unknown_transactions_find_no_ledger():
    recorder = Recorder()
    recorder.session.receive(register())
    del recorder.sent[:]
    recorder.session.receive(Message(type=Message.GET_STATE, txid="t", channel_id="c"))
    recorder.session.receive(Message(type=Message.INVOKE_CHAINCODE, txid="t", channel_id="c"))
    assert [(m.type, m.payload.decode(), m.txid, m.channel_id) for m in recorder.sent] == [
        (Message.ERROR, "GET_STATE failed: transaction ID: t: no ledger context", "t", "c"),
        (Message.ERROR, "INVOKE_CHAINCODE failed: transaction ID: t: could not get valid transaction", "t", "c"),
    ]


def test_undecodable_requests_and_late_requests_are_answered_with_an_error(play, kit):
    texts = []

    async def odd(stub):
        with pytest.raises(kit.PeerError) as refused:
            await stub.ask(Message.GET_STATE, b"\xff\xff")
        texts.append(str(refused.value))
        return b""

    async def late(stub):
        await asyncio.sleep(1.3)
        with pytest.raises(kit.PeerError) as refused:
            await stub.get("k")
        texts.append(str(refused.value))
        return b""

    async def scenario(world):
        await world.deploy("odd", odd)
        await world.deploy("late", late)
        assert (await world.ask("odd")).response.response.status == 200
        assert (await world.ask("late")).response.response.status == 500
        await asyncio.sleep(0.5)
        assert texts[0].partition(": unmarshal failed: ")[1]
        assert texts[1].endswith(": no ledger context")

    play(scenario, execute_timeout_s=1.0)


def test_a_second_request_before_the_answer_is_dropped(play):
    async def hasty(stub):
        if stub.args:
            await asyncio.sleep(0.2)
            return b""
        message = stub.message
        spec = chaincode_pb2.ChaincodeSpec(
            chaincode_id=chaincode_pb2.ChaincodeID(name="slow"), input=chaincode_pb2.ChaincodeInput(args=[b"x"])
        )
        for kind, request in (
            (Message.INVOKE_CHAINCODE, spec),
            (Message.GET_STATE, chaincode_shim_pb2.GetState(key="k")),
        ):
            payload = request.SerializeToString()
            await stub.process.write(
                Message(type=kind, payload=payload, txid=message.txid, channel_id=message.channel_id)
            )
        answer = await stub.answers.get()
        await asyncio.sleep(0.1)
        return Message.FromString(answer.payload).payload + str(stub.answers.qsize()).encode()

    async def scenario(world):
        await world.deploy("hasty", hasty)
        await world.deploy("slow", hasty)
        answer = await world.ask("hasty")
        assert answer.response.response.payload.endswith(b"0")

    play(scenario)


def test_a_lost_stream_fails_what_is_pending_and_the_next_call_dials_again(play):
    async def sleepy(stub):
        if stub.args[0] == b"sleep":
            await asyncio.sleep(30)
        return stub.args[0]

    async def scenario(world):
        processes = await world.deploy("cc", sleepy)
        process = processes["HospitalMSP"]
        assert (await world.ask("cc", b"a")).response.response.payload == b"a"
        pending = asyncio.create_task(world.ask("cc", b"sleep"))
        await asyncio.sleep(0.1)
        address = process.address
        await process.stop()
        answer = (await pending).response
        assert answer.response.message.startswith("error in simulation: failed to execute transaction ")
        assert answer.response.message.endswith(": error sending: chaincode stream terminated")
        down = (await world.ask("cc", b"b")).response.response.message
        assert ": could not launch chaincode cc:" in down
        assert f": error creating grpc connection to {address}: context deadline exceeded" in down
        await process.serve(address)
        assert (await world.ask("cc", b"c")).response.response.payload == b"c"
        assert process.connections == 2
        await process.stop()

    play(scenario)


def test_after_a_restart_of_the_node_the_chaincode_is_found_again(play, kit):
    async def first(world):
        await world.deploy("cc", echo)
        assert (await world.ask("cc", b"a")).response.response.payload == b"a"

    async def second(world):
        peer = world.node.orgs["HospitalMSP"]
        (package,) = peer.chaincodes.installed.values()
        process = kit.Process("HospitalMSP", echo)
        await process.serve(package.address.target)
        assert peer.endorser.can_endorse("pedigree", "cc")
        assert (await world.ask("cc", b"again")).response.response.payload == b"again"
        await process.stop()

    play(first)
    play(second)


def test_a_chaincode_may_dial_its_own_organisation_s_peer(play, kit):
    async def scenario(world):
        names = dict.fromkeys(world.node.orgs, "")
        await world.deploy("cc", echo, package_ids=names)
        peer = world.node.orgs["HospitalMSP"]
        missing = (await world.ask("cc", b"x")).response.response.message
        assert missing.endswith(": chaincode definition for 'cc' exists, but chaincode is not installed")
        assert not peer.endorser.can_endorse("pedigree", "cc")
        process = kit.Process("HospitalMSP", echo, name="cc:1.0")
        async with aio.insecure_channel(peer.chaincode_address) as channel:
            stub = chaincode_shim_pb2_grpc.ChaincodeSupportStub(channel)
            token = (("chaincode-token", token_of(world, "hospital.example")),)
            running = asyncio.create_task(process.run(stub.Register(metadata=token)))
            while not peer.chaincodes.is_ready("cc:1.0"):
                await asyncio.sleep(0.01)
            assert peer.endorser.can_endorse("pedigree", "cc")
            assert (await world.ask("cc", b"x")).response.response.payload == b"x"
            assert not world.node.orgs["LabMSP"].endorser.can_endorse("pedigree", "cc")
            second = stub.Register(metadata=token)
            await second.write(register("cc:1.0"))
            with pytest.raises(aio.AioRpcError) as refused:
                await second.read()
            assert refused.value.code() == StatusCode.UNKNOWN
            assert refused.value.details() == "duplicate chaincodeID: cc:1.0"
            assert (await world.ask("cc", b"still")).response.response.payload == b"still"
            running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        while peer.chaincodes.is_ready("cc:1.0"):
            await asyncio.sleep(0.01)

    play(scenario, dials=True)


def token_of(world, domain):
    return (world.node.material.organisation(domain) / "chaincode-token").read_text().strip()


def test_a_program_without_the_token_does_not_become_an_organisation_s_chaincode(play, kit):
    async def scenario(world):
        names = dict.fromkeys(world.node.orgs, "")
        await world.deploy("cc", echo, package_ids=names)
        peer = world.node.orgs["HospitalMSP"]
        file = world.node.material.organisation("hospital.example") / "chaincode-token"
        assert file.stat().st_mode & 0o777 == 0o600
        others = token_of(world, "lab.example")
        assert len(others) > 40
        assert others != token_of(world, "hospital.example")
        async with aio.insecure_channel(peer.chaincode_address) as channel:
            stub = chaincode_shim_pb2_grpc.ChaincodeSupportStub(channel)
            for metadata in (None, (("chaincode-token", ""),), (("chaincode-token", others),)):
                call = stub.Register(metadata=metadata)
                assert await call.code() == StatusCode.UNAUTHENTICATED
        assert not peer.endorser.can_endorse("pedigree", "cc")

    play(scenario, dials=True)


def test_a_chaincode_with_an_address_is_reached_there_whoever_dials(play, kit):
    async def scenario(world):
        await world.deploy("cc", echo)
        peer = world.node.orgs["HospitalMSP"]
        (package_id,) = peer.chaincodes.installed
        metadata = (("chaincode-token", token_of(world, "hospital.example")),)

        async with aio.insecure_channel(peer.chaincode_address) as channel:
            stub = chaincode_shim_pb2_grpc.ChaincodeSupportStub(channel)
            under_its_id = stub.Register(metadata=metadata)
            await under_its_id.write(register(package_id))
            with pytest.raises(aio.AioRpcError) as refused:
                await under_its_id.read()
            assert "it need not dial" in refused.value.details()
            alias = stub.Register(metadata=metadata)
            await alias.write(register("cc:1.0"))
            await alias.read()
            assert (await world.ask("cc", b"x")).response.response.payload == b"x"
            alias.cancel()

    play(scenario, dials=True)


def test_without_the_flag_nobody_listens_for_chaincode(play):
    async def scenario(world):
        host, port = world.node.orgs["HospitalMSP"].chaincode_address.rsplit(":", 1)
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection(host, int(port))
        assert not (world.node.material.organisation("hospital.example") / "chaincode-token").exists()

    play(scenario)


def test_a_token_that_others_may_read_is_refused_and_an_empty_one_is_made_anew(tmp_path):
    token = ensure_token(tmp_path)
    assert ensure_token(tmp_path) == token
    file = tmp_path / "chaincode-token"
    file.write_text("")
    assert ensure_token(tmp_path) not in ("", token)
    file.chmod(0o640)
    with pytest.raises(PermissionError, match="chmod 600"):
        ensure_token(tmp_path)
    assert [matches(*pair) for pair in (("", ""), ("a", None), ("", None), ("a", b"a"))] == [False, False, False, True]


def test_ready_announces_batches_and_many_keys(play):
    async def scenario(world):
        processes = await world.deploy("cc", echo)
        await world.ask("cc", b"x")
        registered, ready, transaction = processes["HospitalMSP"].received[:3]
        assert (registered.type, ready.type, transaction.type) == (
            Message.REGISTERED,
            Message.READY,
            Message.TRANSACTION,
        )
        parameters = chaincode_pb2.ChaincodeAdditionalParams.FromString(ready.payload)
        assert (parameters.use_write_batch, parameters.max_size_write_batch) == (True, 1000)
        assert (parameters.use_get_multiple_keys, parameters.max_size_get_multiple_keys) == (True, 1000)
        assert transaction.proposal.signature

    play(scenario)
    assert ChaincodeSettings(write_batch=False).announcement == b""
    assert ChaincodeSettings(execute_timeout_s=0.5).call_timeout_s == 30


class Memory:
    """Small values in a dictionary."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    def meta(self, key):
        return self.values.get(key)

    def put_meta(self, key, value):
        self.values[key] = value


def self_signed(name: str) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    return (
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain),
        certificate.public_bytes(serialization.Encoding.PEM),
    )


def test_the_connection_may_be_mutual_tls(kit):
    async def scenario():
        server_key, server_cert = self_signed("chaincode")
        client_key, client_cert = self_signed("peer")
        process = kit.Process("HospitalMSP", echo)
        server = aio.server()
        chaincode_shim_pb2_grpc.add_ChaincodeServicer_to_server(process, server)
        credentials = ssl_server_credentials([(server_key, server_cert)], client_cert, require_client_auth=True)
        target = f"127.0.0.1:{server.add_secure_port('127.0.0.1:0', credentials)}"
        await server.start()
        registry = ChaincodeRegistry("HospitalMSP", Memory())
        try:
            registry.connect("cc:1", Address(target, 5.0, server_cert, client_key, client_cert))
            session = await registry.session("cc:1", "cc:1.0")
            assert (session.ready, session.name) == (True, "any:1.0")
            registry.connect("cc:2", Address(target, 0.5, server_cert))
            with pytest.raises(LaunchError):
                await registry.session("cc:2", "cc:2.0")
        finally:
            await registry.close()
            await server.stop(0)

    asyncio.run(scenario())


def test_many_callers_share_one_dial_and_a_silent_chaincode_is_given_up(kit):
    async def scenario():
        process = kit.Process("HospitalMSP", echo)
        silent = kit.Process("HospitalMSP", echo, name="")
        await process.serve()
        await silent.serve()
        registry = ChaincodeRegistry("HospitalMSP", Memory(), ChaincodeSettings(startup_timeout_s=10))
        try:
            registry.connect("cc:1", Address(process.address))
            sessions = await asyncio.gather(*(registry.session("cc:1", "") for _ in range(20)))
            assert len(set(sessions)) == 1
            assert process.connections == 1
            registry.connect("cc:2", Address(silent.address))
            with pytest.raises(LaunchError, match="ended before it registered"):
                await registry.session("cc:2", "")
        finally:
            await registry.close()
            await process.stop()
            await silent.stop()

    asyncio.run(scenario())


def test_addresses_and_packages_survive_a_restart(kit):
    memory = Memory()
    registry = ChaincodeRegistry("LabMSP", memory)
    address = Address("127.0.0.1:9", 2.5, b"-----BEGIN ROOT", b"-----BEGIN KEY", b"-----BEGIN CERT")
    installed = registry.install(kit.make_package("label", "127.0.0.1:7"))
    registry.connect("other:1", address)
    again = ChaincodeRegistry("LabMSP", memory)
    assert dict(again.installed) == dict(registry.installed)
    assert again.installed["other:1"].address == address
    assert again.installed[installed.package_id].content == installed.content
    assert ChaincodeRegistry("HospitalMSP", memory).installed == {}
    with pytest.raises(ValueError, match="chaincode already successfully installed"):
        again.install(installed.content)

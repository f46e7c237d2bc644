# SPDX-License-Identifier: Apache-2.0
"""One scenario of fabric-sdk-py 1.0.0, unchanged: wanted on standard input, its result on standard output.

It runs in an environment of its own (`requirements-fabric-sdk-py.lock`), with this folder on PYTHONPATH for `sha3` and
PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python. Nothing of Pedigree is imported.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

import grpc
from hfc.fabric import Client
from hfc.fabric.orderer import Orderer
from hfc.fabric.peer import Peer
from hfc.fabric.user import User, create_user
from hfc.fabric_ca.caservice import ca_service
from hfc.util.crypto.crypto import ecies
from hfc.util.keyvaluestore import FileKeyValueStore


class Session:
    """Everything that a program of fabric-sdk-py sets up; without a profile, since that is a format of its own."""

    def __init__(self, given, store):
        self.given = given
        self.client = Client()
        self.client.new_channel(given["channel"])
        tls = {}
        if given["tls_client"]:  # where peers ask their clients for a certificate
            folder = Path(given["tls_client"])
            tls = {"client_key_file": str(folder / "client.key"), "client_cert_file": str(folder / "client.crt")}
        self.peers = [
            Peer(each["name"], each["address"], each["tls_ca"], opts=self.named(each["name"]), **tls)
            for each in given["peers"]
        ]
        node = given["orderer"]
        orderer = Orderer(node["name"], node["address"], node["tls_ca"], opts=self.named(node["name"]), **tls)
        self.client._orderers[node["name"]] = orderer  # what its reader of profiles does
        self.store = FileKeyValueStore(store)
        msp = Path(given["msp"])
        (key,), (certificate,) = (list((msp / name).iterdir()) for name in ("keystore", "signcerts"))
        self.user = create_user("User1", given["organisation"], self.store, given["mspid"], str(key), str(certificate))

    @staticmethod
    def named(name):
        """The name in the server's certificate; without it the address is compared."""
        return (("grpc.ssl_target_name_override", name),)

    async def query(self, function, *args, transient=None, user=None, peers=None):
        return await self.client.chaincode_query(
            requestor=user or self.user, channel_name=self.given["channel"], peers=peers or self.peers[:1],
            fcn=function, args=list(args), cc_name=self.given["chaincode"], transient_map=transient,
        )  # fmt: skip

    async def invoke(self, function, *args, transient=None, pattern=None, peers=None, wait=True):
        return await self.client.chaincode_invoke(
            requestor=self.user, channel_name=self.given["channel"], peers=peers or self.peers, fcn=function,
            args=list(args), cc_name=self.given["chaincode"], transient_map=transient, cc_pattern=pattern,
            wait_for_event=wait, wait_for_event_timeout=60,
        )  # fmt: skip

    def about(self):
        return {"requestor": self.user, "channel_name": self.given["channel"], "peers": self.peers[:1]}


async def query(session):
    return await session.query(*session.given["args"])


async def invoke(session):
    answer = await session.invoke(*session.given["args"])
    return {"answer": answer, "transaction": session.client.evt_tx_id, "events": seen(session)}


async def transient(session):
    value = {"k": session.given["value"].encode()}
    asked = await session.query("transient", "k", transient=value)
    return {"query": asked, "invoke": await session.invoke("transient", "k", transient=value)}


async def event(session):
    """Wait for the chaincode's own event rather than for the transaction."""
    await session.invoke(*session.given["args"], pattern=session.given["pattern"])
    return seen(session)


def seen(session):
    found = session.client.evts[session.client.evt_tx_id].get("txEvents", [])
    return [{"status": each["tx_status"], "block": each["block_number"]} for each in found]


async def replay(session):
    """Every event of a range of blocks, with what it carries."""
    events, given = [], session.given
    hub = session.client.get_channel(given["channel"]).newChannelEventHub(session.peers[0], session.user)
    hub.registerChaincodeEvent(
        given["chaincode"], given["pattern"],
        onEvent=lambda event, block, transaction, status: events.append(
            {"name": event["event_name"], "payload": event["payload"].decode(), "block": block,
             "transaction": transaction, "status": status}
        ),
    )  # fmt: skip
    await ended(hub.connect(filtered=False, start=given["start"], stop=given["stop"]))
    return events


async def follow(session):
    """The numbers of a range of filtered blocks and of full ones, as they arrive."""
    found = {}
    for kind, filtered in (("filtered", True), ("full", False)):
        numbers = found.setdefault(kind, [])
        hub = session.client.get_channel(session.given["channel"]).newChannelEventHub(session.peers[0], session.user)
        hub.registerBlockEvent(
            unregister=False,
            onEvent=lambda block, numbers=numbers: numbers.append(
                int(block.get("number") or block["header"]["number"])
            ),
        )
        await ended(hub.connect(filtered=filtered, start=session.given["start"], stop=session.given["stop"]))
    return found


async def ended(stream):
    """Until the stream ends; the SDK ends it by cancelling its own call, which is raised here."""
    try:
        await asyncio.wait_for(stream, 60)
    except asyncio.CancelledError:
        return
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.CANCELLED:
            raise


async def blocks(session):
    client, about = session.client, session.about()
    info = await client.query_info(**about)
    newest = await client.query_block(block_number=str(session.given["number"]), **about)
    by_transaction = await client.query_block_by_txid(tx_id=session.given["transaction"], **about)
    transaction = await client.query_transaction(tx_id=session.given["transaction"], **about)
    channels = await client.query_channels(session.user, session.peers[:1])
    by_hash = await client.query_block_by_hash(block_hash=info.currentBlockHash, **about)
    return {
        "height": info.height,
        "hash": info.currentBlockHash.hex(),
        "number": int(newest["header"]["number"]),
        "data_hash": newest["header"]["data_hash"].decode(),
        "previous_hash": newest["header"]["previous_hash"].decode(),
        "by_transaction": int(by_transaction["header"]["number"]),
        "by_hash": int(by_hash["header"]["number"]),
        "code": transaction["validation_code"],
        "creator": transaction["transaction_envelope"]["payload"]["header"]["signature_header"]["creator"]["mspid"],
        "channels": [each.channel_id for each in channels.channels],
    }


async def defects(session):
    """What is the SDK's own, and no fault of the network: see the guide."""
    args = session.given["args"]
    refused = await session.invoke("throw", "no")
    try:
        await session.query("throw", "no")
        queried = "answered"
    except Exception as error:
        queried = type(error).__name__
    one = session.peers[:1]
    try:
        invalid = await session.invoke(*args, peers=one)
    except Exception as error:
        invalid = f"{type(error).__name__}: {error}"
    return {
        "refused": refused,
        "queried": queried,
        "invalid": invalid,
        "unwaited": await session.invoke(*args, peers=one, wait=False),
    }


async def authority(session):
    """The Fabric CA client: enrol a registrar, which queries; and what a registrar does, as far as the CA takes it."""
    ca, given = session.given["ca"], session.given
    crypto = ecies()
    crypto.curve = crypto.curve()  # it names a class where today's cryptography wants an instance
    service = ca_service(target=ca["url"], ca_certs_path=ca["tls_ca"], crypto=crypto, ca_name=ca["name"])

    async def asked(name, enrolled):
        user = User(name, given["organisation"], session.store)
        user.enrollment, user.msp_id, user.cryptoSuite = enrolled, given["mspid"], ecies()
        return await session.query(*given["args"], user=user)

    registrar = service.enroll(ca["registrar"], ca["secret"])
    found = {"registrar": await asked(ca["registrar"], registrar)}
    try:
        secret = registrar.register(given["name"], enrollmentSecret="a-secret", role="client", affiliation="")
    except ValueError as error:
        return found | {"refused": str(error)}
    enrolled = service.enroll(given["name"], secret)
    found["client"] = await asked(given["name"], enrolled)
    found["again"] = service.reenroll(enrolled).cert.decode()
    revoked, _ = registrar.revoke(given["name"], reason="superseded", gencrl=True)
    return found | {"certificate": enrolled.cert.decode(), "revoked": len(revoked)}


SCENARIOS = {
    each.__name__: each for each in (query, invoke, transient, event, replay, follow, blocks, defects, authority)
}


def main():
    given = json.load(sys.stdin)
    # aiogrpc binds to the event loop that there is when channels are made.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    with tempfile.TemporaryDirectory() as store:
        session = Session(given, store)
        result = loop.run_until_complete(SCENARIOS[given["scenario"]](session))
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()

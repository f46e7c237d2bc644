# SPDX-License-Identifier: Apache-2.0
"""A chaincode process of our own making: it speaks the real stream and shares no code with the runtime we ship."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fabric_protos.peer import chaincode_pb2, chaincode_shim_pb2, chaincode_shim_pb2_grpc, proposal_response_pb2
from grpc import aio

Message = chaincode_shim_pb2.ChaincodeMessage


class PeerError(Exception):
    """The peer answered ERROR."""


@dataclass
class Stub:
    """What a fake chaincode's function is given."""

    process: "Process"
    message: object
    args: list[bytes]
    answers: asyncio.Queue = field(default_factory=asyncio.Queue)
    event: object = None

    async def ask(self, kind: int, request) -> bytes:
        payload = request if isinstance(request, bytes) else request.SerializeToString()
        await self.process.write(
            Message(type=kind, payload=payload, txid=self.message.txid, channel_id=self.message.channel_id)
        )
        answer = await self.answers.get()
        if answer.type == Message.ERROR:
            raise PeerError(answer.payload.decode())
        assert answer.type == Message.RESPONSE
        return answer.payload

    async def get(self, key: str, collection: str = "") -> bytes:
        return await self.ask(Message.GET_STATE, chaincode_shim_pb2.GetState(key=key, collection=collection))

    async def put(self, key: str, value: bytes, collection: str = "") -> None:
        await self.ask(Message.PUT_STATE, chaincode_shim_pb2.PutState(key=key, value=value, collection=collection))

    async def delete(self, key: str, collection: str = "") -> None:
        await self.ask(Message.DEL_STATE, chaincode_shim_pb2.DelState(key=key, collection=collection))

    async def set_policy(self, key: str, policy: bytes, collection: str = "") -> None:
        metadata = chaincode_shim_pb2.StateMetadata(metakey="VALIDATION_PARAMETER", value=policy)
        request = chaincode_shim_pb2.PutStateMetadata(key=key, collection=collection, metadata=metadata)
        await self.ask(Message.PUT_STATE_METADATA, request)

    async def range(self, start: str, end: str, *, collection="", size=0, bookmark=None):
        metadata = b""
        if bookmark is not None:
            metadata = chaincode_shim_pb2.QueryMetadata(pageSize=size, bookmark=bookmark).SerializeToString()
        request = chaincode_shim_pb2.GetStateByRange(
            startKey=start, endKey=end, collection=collection, metadata=metadata
        )
        answer = await self.ask(Message.GET_STATE_BY_RANGE, request)
        return chaincode_shim_pb2.QueryResponse.FromString(answer)

    async def invoke(self, name: str, *args: bytes) -> object:
        spec = chaincode_pb2.ChaincodeSpec(
            chaincode_id=chaincode_pb2.ChaincodeID(name=name), input=chaincode_pb2.ChaincodeInput(args=args)
        )
        inner = Message.FromString(await self.ask(Message.INVOKE_CHAINCODE, spec))
        assert inner.type == Message.COMPLETED
        return proposal_response_pb2.Response.FromString(inner.payload)


Function = Callable[[Stub], Awaitable[object]]


class Process(chaincode_shim_pb2_grpc.ChaincodeServicer):
    """One chaincode process of one organisation: serves `Chaincode.Connect`, or dials the peer."""

    def __init__(self, msp_id: str, function: Function, name: str = "any:1.0") -> None:
        self.msp_id = msp_id
        self.function = function
        self.name = name
        self.connections = 0
        self.received: list[object] = []
        self.stubs: dict[tuple[str, str], Stub] = {}
        self.stream = None
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task] = set()
        self._server = None
        self.address = ""

    async def serve(self, address: str = "127.0.0.1:0") -> None:
        self._server = aio.server(options=(("grpc.so_reuseport", 0),))
        chaincode_shim_pb2_grpc.add_ChaincodeServicer_to_server(self, self._server)
        port = self._server.add_insecure_port(address)
        self.address = f"127.0.0.1:{port}"
        await self._server.start()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._server is not None:
            await self._server.stop(0)

    async def write(self, message) -> None:
        async with self._lock:
            await self.stream.write(message)

    async def Connect(self, _requests, context) -> None:  # noqa: N802 - the name is gRPC's
        await self.run(context)

    async def run(self, stream) -> None:
        self.connections += 1
        self.stream = stream
        name = chaincode_pb2.ChaincodeID(name=self.name).SerializeToString()
        await self.write(Message(type=Message.REGISTER, payload=name))
        while (message := await stream.read()) is not aio.EOF:
            self.received.append(message)
            if message.type in (Message.TRANSACTION, Message.INIT):
                task = asyncio.create_task(self._transact(message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            elif message.type in (Message.RESPONSE, Message.ERROR):
                stub = self.stubs.get((message.channel_id, message.txid))
                if stub is not None:
                    stub.answers.put_nowait(message)

    async def _transact(self, message) -> None:
        arguments = chaincode_pb2.ChaincodeInput.FromString(message.payload)
        stub = Stub(self, message, list(arguments.args))
        self.stubs[message.channel_id, message.txid] = stub
        kind = Message.COMPLETED
        try:
            result = await self.function(stub)
            if isinstance(result, bytes):
                result = proposal_response_pb2.Response(status=200, payload=result)
            payload = result.SerializeToString()
        except PeerError as error:
            payload = proposal_response_pb2.Response(status=500, message=str(error)).SerializeToString()
        except RuntimeError as error:
            kind, payload = Message.ERROR, str(error).encode()
        answer = Message(type=kind, payload=payload, txid=message.txid, channel_id=message.channel_id)
        if stub.event is not None:
            answer.chaincode_event.CopyFrom(stub.event)
        await self.write(answer)

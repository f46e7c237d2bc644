# SPDX-License-Identifier: Apache-2.0
"""One organisation's chaincode processes: what is installed, how each is reached, and the streams that are open.

There is one stream per organisation and chaincode (rule S-13). It is dialled when it is first needed and again after
it was lost (rules S-6, S-7). Where the operator has opened the organisation's own listener, a chaincode without an
address may dial that, with the organisation's token: what a program there answers is endorsed by the organisation.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from fabric_protos.peer import chaincode_pb2, chaincode_shim_pb2
from google.protobuf.message import DecodeError

from network.embedded.chaincodetoken import METADATA_KEY, matches
from network.embedded.invocation import DEFAULT_QUERY_LIMIT
from network.embedded.packages import Address, MalformedPackage, Package
from network.embedded.session import Session, StreamViolation
from network.embedded.stream import drive
from network.embedded.transport import Channel, StreamCall, client_context, dial

__all__ = ["ChaincodeRegistry", "ChaincodeSettings", "LaunchError"]

_CONNECT = "/protos.Chaincode/Connect"
log = logging.getLogger(__name__)


class LaunchError(Exception):
    """No stream to the chaincode could be had; the text is the cause of rule S-7."""


class Meta(Protocol):
    """Small values that survive a restart; `put_meta` returns after the value has reached the disk."""

    def meta(self, key: str) -> bytes | None:
        """The value, None when never put."""
        ...

    def put_meta(self, key: str, value: bytes | None) -> None:
        """Keep or remove a value durably."""
        ...


@dataclass(frozen=True, slots=True)
class ChaincodeSettings:
    """Limits of chaincode calls, as in a peer's configuration."""

    execute_timeout_s: float = 30.0
    """Per call; below one second it counts as 30 (rule S-16)."""
    startup_timeout_s: float = 300.0
    """From the connection to the registration (rule S-7)."""
    query_limit: int = DEFAULT_QUERY_LIMIT
    write_batch: bool = True
    """Announce write batches and multi-key reads of up to 1000 (rule S-42)."""

    @property
    def call_timeout_s(self) -> float:
        """The limit that holds."""
        return self.execute_timeout_s if self.execute_timeout_s >= 1 else 30.0

    @property
    def announcement(self) -> bytes:
        """The payload of READY."""
        if not self.write_batch:
            return b""
        parameters = chaincode_pb2.ChaincodeAdditionalParams(
            use_write_batch=True, max_size_write_batch=1000, use_get_multiple_keys=True, max_size_get_multiple_keys=1000
        )
        return bytes(parameters.SerializeToString())


class ChaincodeRegistry:
    """The chaincodes of one organisation's peer; also the servicer of its `ChaincodeSupport` listener."""

    def __init__(self, msp_id: str, meta: Meta, settings: ChaincodeSettings | None = None, *, token: str = "") -> None:
        """`token` is what a chaincode that dials has to present; with an empty one none is admitted."""
        self.msp_id = msp_id
        self._token = token
        self.settings = settings or ChaincodeSettings()
        self.revision = 0
        """Rises whenever a chaincode is installed, registers or goes away; what was derived before is then stale."""
        self._meta = meta
        self._installed = {package.package_id: package for package in self._load()}
        self._sessions: dict[str, Session] = {}
        """Streams to chaincodes that this side dialled, by package id."""
        self._guests: dict[str, Session] = {}
        """Streams of chaincodes that dialled, by the name that they registered."""
        self._dials: dict[str, asyncio.Task[Session]] = {}
        self._streams: set[asyncio.Task[None]] = set()
        # A shim with state shared between its streams wants one handshake after the other (rule S-45).
        self._handshake = asyncio.Lock()

    # -- what is installed ---------------------------------------------------------------------------------------

    @property
    def installed(self) -> Mapping[str, Package]:
        """Installed packages by package id."""
        return self._installed

    def install(self, content: bytes) -> Package:
        """Install a package durably; raises MalformedPackage, or ValueError when it is installed already (L-6)."""
        package = Package.parse(content)
        if package.package_id in self._installed:
            raise ValueError(f"chaincode already successfully installed (package ID '{package.package_id}')")
        self._keep(package)
        return package

    def connect(self, package_id: str, address: Address) -> None:
        """Reach a chaincode at `address` from now on, durably; the package need not have been installed.

        An open stream stays; the next one goes to the new address.
        """
        known = self._installed.get(package_id)
        label, content = package_id.partition(":")[0], b""
        if known is not None:
            label, content = known.label, known.content
        self._keep(Package(package_id, label, address, content))

    def is_ready(self, name: str) -> bool:
        """Say whether a chaincode registered under this name has an open stream."""
        return any(_live(streams.get(name)) is not None for streams in (self._sessions, self._guests))

    def _key(self, kind: str, package_id: str = "") -> str:
        return f"chaincode/{self.msp_id}/{kind}/{package_id}"

    def _load(self) -> Iterator[Package]:
        index = self._meta.meta(self._key("installed"))
        for package_id, label in json.loads(index or b"{}").items():
            connection = self._meta.meta(self._key("connection", package_id))
            try:
                address = None if connection is None else Address.from_json(connection)
            except MalformedPackage as error:  # one member's package must not keep the others' node from starting
                log.error("package %s of %s cannot be reached: %s", package_id, self.msp_id, error)
                address = None
            content = self._meta.meta(self._key("content", package_id)) or b""
            yield Package(package_id, label, address, content)

    def _keep(self, package: Package) -> None:
        """Write the parts first and the index last, so that the index never names what is not there."""
        if package.content:
            self._meta.put_meta(self._key("content", package.package_id), package.content)
        if package.address is not None:
            self._meta.put_meta(self._key("connection", package.package_id), package.address.to_json())
        labels = {known.package_id: known.label for known in self._installed.values()}
        labels[package.package_id] = package.label
        self._meta.put_meta(self._key("installed"), json.dumps(labels, sort_keys=True).encode())
        self._installed[package.package_id] = package
        self.revision += 1

    # -- streams -------------------------------------------------------------------------------------------------

    async def session(self, package_id: str, alias: str) -> Session:
        """An open stream to the chaincode, dialled now if need be; raises LaunchError.

        A chaincode that dialled this node may have registered under the package id or under `alias`
        ("name:version", as in Fabric's development mode, rule S-5); for a package with an address none of that counts.
        """
        package = self._installed.get(package_id)
        if package is None or package.address is None:
            for name in (package_id, alias):
                if (session := _live(self._guests.get(name))) is not None:
                    return session
        elif (session := _live(self._sessions.get(package_id))) is not None:
            return session
        if package is None or package.address is None:
            raise LaunchError(f"chaincode {package_id or alias} is not registered and has no address to connect to")
        dial = self._dials.get(package_id)
        if dial is None:
            dial = self._dials[package_id] = asyncio.create_task(self._dial(package_id, package.address))
            dial.add_done_callback(lambda task: self._dialled(package_id, task))
        # Shielded: one caller's deadline must not end the connection that others wait for.
        return await asyncio.shield(dial)

    def _dialled(self, package_id: str, task: asyncio.Task[Session]) -> None:
        self._dials.pop(package_id, None)
        if not task.cancelled() and task.exception() is not None:
            log.warning("connecting to chaincode %s of %s failed: %s", package_id, self.msp_id, task.exception())

    async def _dial(self, package_id: str, address: Address) -> Session:
        async with self._handshake:
            failed = f"connection to {package_id} failed: error creating grpc connection to {address.target}: "
            try:
                async with asyncio.timeout(address.dial_timeout_s):
                    channel = await dial(address.target, _tls(address))
            except TimeoutError as error:
                raise LaunchError(failed + "context deadline exceeded") from error
            except Exception as error:  # an installer wrote the address and the certificates
                raise LaunchError(failed + str(error)) from error
            return await self._open(package_id, channel)

    async def _open(self, package_id: str, channel: Channel) -> Session:
        registered: asyncio.Future[Session] = asyncio.get_running_loop().create_future()

        def register(session: Session, name: str) -> None:
            # This side chose whom to dial, so the chaincode may call itself whatever it likes.
            log.info("chaincode %s of %s registered as %s", package_id, self.msp_id, name)
            self._sessions[package_id] = session
            self.revision += 1
            if not registered.done():
                registered.set_result(session)

        message = chaincode_shim_pb2.ChaincodeMessage
        call = channel.stream(_CONNECT, message.SerializeToString, message.FromString)
        session = Session(call.send, register, self.settings.announcement)
        stream = asyncio.create_task(self._run(package_id, session, channel, call))
        self._streams.add(stream)
        stream.add_done_callback(self._streams.discard)
        await asyncio.wait((stream, registered), timeout=self.settings.startup_timeout_s, return_when="FIRST_COMPLETED")
        if registered.done():
            return registered.result()
        if stream.done():
            raise LaunchError(f"chaincode registration failed: connection to {package_id} ended before it registered")
        stream.cancel()
        raise LaunchError(f"timeout expired while starting chaincode {package_id}")

    async def _run(self, package_id: str, session: Session, channel: Channel, call: StreamCall) -> None:
        try:
            await drive(session, call)
        except (StreamViolation, DecodeError) as violation:
            log.warning("the stream with chaincode %s of %s ended: %s", package_id, self.msp_id, violation)
        finally:
            self._forget(self._sessions, package_id, session)
            call.cancel()
            channel.close()

    async def Register(self, _requests: object, context: Any) -> None:  # noqa: N802 - the name is gRPC's
        """Serve a chaincode that dialled this node with its organisation's token (rule S-1)."""
        if not matches(self._token, dict(context.invocation_metadata()).get(METADATA_KEY)):
            log.warning("a program that dialled as chaincode of %s was refused: it has not the token", self.msp_id)
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, f"the token of {self.msp_id} is required")
        session = Session(context.send, self._admit, self.settings.announcement)
        try:
            await drive(session, context)
        except StreamViolation as violation:
            await context.abort(grpc.StatusCode.UNKNOWN, str(violation))
        finally:
            self._forget(self._guests, session.name, session)

    def _admit(self, session: Session, name: str) -> None:
        """Refuse a second stream of the same name (rule S-5), and the name of a package that has an address."""
        if self.is_ready(name):
            raise StreamViolation(f"duplicate chaincodeID: {name}")
        package = self._installed.get(name)
        if package is not None and package.address is not None:
            raise StreamViolation(f"chaincode {name} is reached at {package.address.target}, it need not dial")
        self._guests[name] = session
        self.revision += 1

    def _forget(self, streams: dict[str, Session], name: str, session: Session) -> None:
        if streams.get(name) is session:
            del streams[name]
            self.revision += 1

    async def close(self) -> None:
        """End all streams that this side opened; pending calls fail."""
        tasks = [*self._dials.values(), *self._streams]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _live(session: Session | None) -> Session | None:
    return None if session is None or session.closed else session


def _tls(address: Address) -> ssl.SSLContext | None:
    if address.root_cert is None:
        return None
    return client_context(address.root_cert, address.client_key, address.client_cert)

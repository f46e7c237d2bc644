# SPDX-License-Identifier: Apache-2.0
"""Run chaincode for one organisation: which definition holds, whether it may run, on which stream, for how long."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from fabric_protos.peer import chaincode_pb2, chaincode_shim_pb2, proposal_response_pb2
from fabric_protos.peer.lifecycle import db_pb2
from google.protobuf.message import DecodeError

from network.embedded import definitions
from network.embedded.chaincode import ChaincodeRegistry, LaunchError
from network.embedded.channelconfig import AccessDenied
from network.embedded.definitions import LIFECYCLE, Definition
from network.embedded.entries import Version
from network.embedded.invocation import Invocation, Transaction
from network.embedded.policy import SignedData
from network.embedded.simulator import SimulationError, Simulator

__all__ = ["INITIALIZED_KEY", "SYSTEM_VERSION", "Execution", "Outcome", "SystemCall", "SystemChaincode", "Undefined"]

INITIALIZED_KEY = "\x00\U0010ffffinitialized"
"""Holds the definition version for which a chaincode was initialised (rule S-39)."""

SYSTEM_VERSION = "syscc"
Message = chaincode_shim_pb2.ChaincodeMessage


class Undefined(SimulationError):
    """The chaincode cannot run on this organisation's peer; the text is a cause of rule L-12."""


class Outcome(NamedTuple):
    """What a chaincode answered."""

    response: Any
    """`peer.Response`."""
    event: Any
    """`ChaincodeEvent`, None when the chaincode set none."""


class Usable(NamedTuple):
    """A definition in force, and the package that this organisation runs for it."""

    definition: Definition
    package_id: str

    @property
    def alias(self) -> str:
        """The name under which a chaincode in development mode registers (rule S-5)."""
        return f"{self.definition.name}:{self.definition.version}"


@dataclass(frozen=True, slots=True)
class SystemCall:
    """What a system chaincode is given."""

    transaction: Transaction
    channel_id: str
    arguments: list[bytes]
    simulator: Simulator | None
    from_chaincode: bool
    """Called by another chaincode rather than by a client."""


class SystemChaincode(Protocol):
    """A chaincode that runs inside the peer."""

    simulates: bool
    """Whether it is given a simulator (rule S-20)."""

    def invoke(self, call: SystemCall) -> Any:
        """Answer a `peer.Response`."""
        ...


class Execution:
    """Chaincode calls of one organisation's peer."""

    def __init__(
        self,
        msp_id: str,
        registry: ChaincodeRegistry,
        channels: Mapping[str, Any],
        system: Mapping[str, SystemChaincode],
    ) -> None:
        self._msp_id = msp_id
        self._registry = registry
        self._channels = channels
        self.system = system
        self._recent: dict[tuple[str, str], tuple[int, Version, Usable]] = {}
        """What held at the height of the last call, by channel and chaincode."""

    # -- which chaincode -----------------------------------------------------------------------------------------

    def usable(self, simulator: Simulator, channel_id: str, chaincode: str) -> Usable:
        """The definition in force and this organisation's package for it; raises Undefined (rules L-5, L-12).

        Reads the definition's sequence through the simulator (rule R-9).
        """
        found: Usable | None = simulator.resolved.get(chaincode)
        if found is None:
            found = simulator.resolved[chaincode] = self._resolve(simulator, channel_id, chaincode)
        if found.package_id not in self._registry.installed and not (
            self._registry.is_ready(found.package_id) or self._registry.is_ready(found.alias)
        ):
            raise Undefined(f"chaincode definition for '{chaincode}' exists, but chaincode is not installed")
        return found

    def _resolve(self, simulator: Simulator, channel_id: str, chaincode: str) -> Usable:
        height = simulator.snapshot.height
        recent = self._recent.get((channel_id, chaincode))
        if recent is not None and recent[0] == height:
            simulator.note_sequence(chaincode, recent[1])
            return recent[2]
        version, found = self._look_up(simulator, channel_id, chaincode)
        self._recent[channel_id, chaincode] = (height, version, found)
        return found

    def _look_up(self, simulator: Simulator, channel_id: str, chaincode: str) -> tuple[Version, Usable]:
        sequence = simulator.read_sequence(chaincode)
        if sequence is None:
            # Where no definition is found, Fabric asks the old life cycle next, and both look-ups are recorded.
            simulator.rwset.add_read("lscc", chaincode, None)
            raise Undefined(f"chaincode {chaincode} not found")
        # What is remembered rests on two entries: the definition's sequence, and the package chosen for it.
        snapshot = simulator.snapshot
        number = db_pb2.StateData.FromString(sequence.value).Int64
        source_key = definitions.field_key(f"{chaincode}#{number}", "PackageID", definitions.SOURCES)
        collection = definitions.implicit_collection(self._msp_id)
        source = snapshot.get_private(self._msp_id, LIFECYCLE, collection, source_key)
        memo_key = ("usable", self._msp_id, chaincode, sequence.version, None if source is None else source.version)
        found: Usable | None = snapshot.memo.get(memo_key)
        if found is None:
            definition = definitions.lookup(snapshot, chaincode)
            if definition is None:
                raise Undefined(f"chaincode {chaincode} not found")
            found = snapshot.memo[memo_key] = self._approved(snapshot, channel_id, definition)
        return sequence.version, found

    def _approved(self, snapshot: Any, channel_id: str, definition: Definition) -> Usable:
        if not definitions.approved(snapshot, self._msp_id, definition):
            raise Undefined(
                f"chaincode definition for '{definition.name}' at sequence {definition.sequence} "
                f"on channel '{channel_id}' has not yet been approved by this org"
            )

        def read(key: str) -> bytes | None:
            collection = definitions.implicit_collection(self._msp_id)
            entry = snapshot.get_private(self._msp_id, LIFECYCLE, collection, key)
            return None if entry is None else entry.value

        package_id = definitions.decode_source(definition.name, definition.sequence, read)
        return Usable(definition, package_id or "")

    # -- calls ---------------------------------------------------------------------------------------------------

    async def execute(self, transaction: Transaction, chaincode: str) -> Outcome:
        """Call the chaincode that a proposal names; raises SimulationError with the text that the client sees."""
        transaction_id = transaction.proposal.transaction_id
        channel_id = transaction.proposal.channel_id
        try:
            message = await self._invoke(
                transaction, transaction.simulator, channel_id, chaincode, transaction.proposal.input, nested=False
            )
        except SimulationError as error:
            raise SimulationError(f"failed to execute transaction {transaction_id}: {error}") from error
        if message.type == Message.ERROR:
            text = message.payload.decode(errors="replace")
            raise SimulationError(f"transaction returned with failure: {text}")
        try:
            response = proposal_response_pb2.Response.FromString(message.payload)
        except DecodeError as error:
            raise SimulationError(f"failed to unmarshal response for transaction {transaction_id}: {error}") from error
        event = message.chaincode_event if message.HasField("chaincode_event") else None
        if event is not None:
            # Whatever the chaincode claims (rule S-19).
            event.chaincode_id, event.tx_id = chaincode, transaction_id
        return Outcome(response, event)

    async def _invoke(
        self,
        transaction: Transaction,
        simulator: Simulator | None,
        channel_id: str,
        chaincode: str,
        arguments: Any,
        *,
        nested: bool,
    ) -> Any:
        """Answer the COMPLETED or ERROR message of one call; raises SimulationError when there is none."""
        system = self.system.get(chaincode)
        if system is not None:
            call = SystemCall(transaction, channel_id, list(arguments.args), simulator, nested)
            payload = system.invoke(call).SerializeToString()
            return Message(
                type=Message.COMPLETED,
                payload=payload,
                txid=transaction.proposal.transaction_id,
                channel_id=channel_id,
            )
        if simulator is None:
            raise SimulationError("invalid invocation: application chaincode needs a channel")
        usable, is_init = self._check_invocation(simulator, channel_id, chaincode, arguments)
        try:
            session = await self._registry.session(usable.package_id, usable.alias)
        except LaunchError as error:
            name = usable.package_id or usable.alias
            raise SimulationError(f"could not launch chaincode {name}: {error}") from error
        invocation = Invocation(
            transaction=transaction,
            simulator=simulator,
            channel_id=channel_id,
            chaincode=chaincode,
            input=arguments,
            is_init=is_init,
            outcome=asyncio.get_running_loop().create_future(),
            call_other=self._call_other,
            query_limit=self._registry.settings.query_limit,
        )
        try:
            session.begin(invocation)
        except SimulationError as error:
            raise SimulationError(f"error sending: {error}") from error
        try:
            async with asyncio.timeout(self._registry.settings.call_timeout_s):
                return await invocation.outcome
        except TimeoutError as error:
            raise SimulationError("error sending: timeout expired while executing transaction") from error
        except SimulationError as error:
            raise SimulationError(f"error sending: {error}") from error
        finally:
            session.end(invocation)

    def _check_invocation(
        self, simulator: Simulator, channel_id: str, chaincode: str, arguments: Any
    ) -> tuple[Usable, bool]:
        """Find the chaincode and apply the rules of initialisation (rule S-39); raises SimulationError."""
        try:
            usable = self.usable(simulator, channel_id, chaincode)
        except Undefined as error:
            raise SimulationError(
                f"invalid invocation: [channel {channel_id}] failed to get chaincode container info "
                f"for {chaincode}: {error}"
            ) from error
        definition = usable.definition
        needs_init = False
        if definition.init_required:
            needs_init = simulator.get(chaincode, INITIALIZED_KEY) != definition.version.encode()
        if arguments.is_init:
            if not definition.init_required:
                raise SimulationError(
                    f"invalid invocation: chaincode '{chaincode}' does not require initialization but called as init"
                )
            if not needs_init:
                raise SimulationError(
                    f"invalid invocation: chaincode '{chaincode}' is already initialized but called as init"
                )
            simulator.put(chaincode, INITIALIZED_KEY, definition.version.encode())
        elif needs_init:
            raise SimulationError(
                f"invalid invocation: chaincode '{chaincode}' has not been initialized for this version, "
                "must call as init first"
            )
        return usable, bool(arguments.is_init)

    # -- chaincode to chaincode ----------------------------------------------------------------------------------

    async def _call_other(self, caller: Invocation, payload: bytes) -> bytes:
        """Carry out INVOKE_CHAINCODE (rule S-40); answers the inner message."""
        spec = chaincode_pb2.ChaincodeSpec.FromString(payload)
        if not spec.HasField("chaincode_id"):
            raise SimulationError("panic during execution")
        target, _, channel_id = spec.chaincode_id.name.partition("/")
        chaincode = target.partition(":")[0]
        channel_id = channel_id or caller.channel_id
        if chaincode not in self.system:
            self._check_access(caller.transaction, channel_id)
        # The callee cannot be called as init.
        arguments = chaincode_pb2.ChaincodeInput(args=spec.input.args, decorations=spec.input.decorations)
        if channel_id == caller.channel_id:
            message = await self._call(caller.transaction, caller.simulator, channel_id, chaincode, arguments)
        else:
            simulator = self._other_simulator(caller, channel_id)
            try:
                message = await self._call(caller.transaction, simulator, channel_id, chaincode, arguments)
            finally:
                simulator.close()
        return bytes(message.SerializeToString())

    async def _call(
        self, transaction: Transaction, simulator: Simulator, channel_id: str, chaincode: str, arguments: Any
    ) -> Any:
        try:
            return await self._invoke(transaction, simulator, channel_id, chaincode, arguments, nested=True)
        except SimulationError as error:
            raise SimulationError(f"execute failed: {error}") from error

    def _check_access(self, transaction: Transaction, channel_id: str) -> None:
        """The policy of the target channel, over the original signed proposal; raises SimulationError."""
        channel = self._channels.get(channel_id)
        if channel is None:
            raise SimulationError(f"Failed to get policy manager for channel [{channel_id}]")
        proposal = transaction.proposal
        signed = SignedData(proposal.proposal_bytes, proposal.creator, transaction.signed.signature)
        try:
            if channel is transaction.channel:
                channel.config.check_acl_identity("peer/ChaincodeToChaincode", transaction.creator)
            else:
                channel.config.check_acl("peer/ChaincodeToChaincode", [signed])
        except AccessDenied as refusal:
            raise SimulationError(str(refusal)) from refusal

    def _other_simulator(self, caller: Invocation, channel_id: str) -> Simulator:
        """A simulator whose writes nobody will ever see."""
        channel = self._channels.get(channel_id)
        if channel is None:
            raise SimulationError(f"failed to find ledger for channel: {channel_id}")
        transaction_id = caller.transaction.proposal.transaction_id
        return Simulator(channel.store.snapshot(), channel.config, self._msp_id, transaction_id)

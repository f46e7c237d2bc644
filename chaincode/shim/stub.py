# SPDX-License-Identifier: Apache-2.0
"""What a contract is handed for one transaction: the call, who made it, and the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from chaincode.shim import wire
from chaincode.shim.identity import ClientIdentity, parse_creator
from chaincode.shim.keys import composite_range, create_composite_key, simple_range, split_composite_key
from chaincode.shim.ledger import Ledger
from chaincode.shim.private import PrivateData
from chaincode.shim.proposal import ProposalFacts, as_datetime
from chaincode.shim.protocol import TransactionKey
from chaincode.shim.results import KV, KeyModification, Page, Results


@dataclass(frozen=True, slots=True)
class Response:
    """What a chaincode answers: below 400 it is endorsed, from 400 on it changes nothing."""

    status: int
    message: str = ""
    payload: bytes = b""


class Stub(PrivateData):
    """One transaction as its contract sees it.

    Reads show the committed state, never this transaction's own writes. For use by one thread, until the
    contract returns. A refusal by the peer raises `PeerError`, a lost peer `StreamEnded`.
    """

    def __init__(
        self, key: TransactionKey, call: Any, proposal: ProposalFacts, ledger: Ledger, local_msp_id: str
    ) -> None:
        self._key = key
        self._call = call
        self._proposal = proposal
        self._ledger = ledger
        self._local_msp_id = local_msp_id
        self._event: Any = None

    # The call

    @property
    def args(self) -> tuple[bytes, ...]:
        """The arguments as they came, the function's name included."""
        return tuple(self._call.args)

    def function_and_parameters(self) -> tuple[str, tuple[bytes, ...]]:
        """The first argument as text and the others as they came; an empty name when there are none.

        Raises:
            UnicodeDecodeError: when the first argument is not UTF-8.
        """
        name, *parameters = self.args or (b"",)
        return name.decode(), tuple(parameters)

    @property
    def transaction_id(self) -> str:
        """SHA-256 over the client's nonce and identity, in lower-case hexadecimal (rule P-4)."""
        return self._key.transaction_id

    @property
    def channel_id(self) -> str:
        """The name of the channel; empty in a call without one (rule P-19)."""
        return self._key.channel_id

    @property
    def timestamp(self) -> datetime:
        """The time that the client claims, in UTC; the same on every peer."""
        return as_datetime(self._proposal.timestamp)

    @property
    def creator(self) -> bytes:
        """The serialised identity that signed the proposal."""
        return self._proposal.creator

    @property
    def client(self) -> ClientIdentity:
        """The creator, read.

        Raises:
            MalformedIdentity: when it is not an X.509 identity.
        """
        return parse_creator(self._proposal.creator)

    @property
    def local_msp_id(self) -> str:
        """The MSP id of the organisation whose peer runs this process; differs from peer to peer."""
        return self._local_msp_id

    @property
    def transient(self) -> Mapping[str, bytes]:
        """What the client passed in confidence: in no block, and not to be written to public state."""
        return self._proposal.transient

    @property
    def binding(self) -> bytes:
        """SHA-256 that ties nonce, creator and epoch of the proposal together."""
        return self._proposal.binding

    @property
    def decorations(self) -> Mapping[str, bytes]:
        """What the peer's decorators added to the call."""
        return MappingProxyType(dict(self._call.decorations))

    @property
    def signed_proposal(self) -> Any:
        """The `SignedProposal` message as the client sent it."""
        return self._proposal.signed

    # The public state

    def get_state(self, key: str) -> bytes | None:
        """The value of a key, or `None` when it is absent."""
        return self._ledger.get("", key)

    def get_states(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of many keys in their order, in as few messages as the peer allows."""
        return self._ledger.get_many(keys)

    def put_state(self, key: str, value: bytes) -> None:
        """Set the value of a key; an empty value removes it."""
        self._ledger.put("", key, value)

    def del_state(self, key: str) -> None:
        """Remove a key."""
        self._ledger.delete("", key)

    def get_state_by_range(self, start: str, end: str) -> Results[KV]:
        """The simple keys from `start` to before `end` by UTF-8 bytes; an empty string leaves that side open."""
        return self._ledger.range("", *simple_range(start, end))

    def get_state_by_range_with_pagination(self, start: str, end: str, size: int, bookmark: str = "") -> Page:
        """One page of a range; only in transactions that write nothing."""
        return self._ledger.range_page(*simple_range(start, end), size, bookmark)

    @staticmethod
    def create_composite_key(object_type: str, parts: Sequence[str]) -> str:
        """Join a type and its parts into one key."""
        return create_composite_key(object_type, parts)

    @staticmethod
    def split_composite_key(key: str) -> tuple[str, tuple[str, ...]]:
        """The type and the parts of a composite key."""
        return split_composite_key(key)

    def get_state_by_partial_composite_key(self, object_type: str, parts: Sequence[str]) -> Results[KV]:
        """All composite keys that begin with these parts."""
        return self._ledger.range("", *composite_range(object_type, parts))

    def get_state_by_partial_composite_key_with_pagination(
        self, object_type: str, parts: Sequence[str], size: int, bookmark: str = ""
    ) -> Page:
        """One page of such a range; only in transactions that write nothing."""
        return self._ledger.range_page(*composite_range(object_type, parts), size, bookmark)

    def get_history_for_key(self, key: str) -> Results[KeyModification]:
        """All committed changes of a key, newest first."""
        return self._ledger.history(key)

    def get_query_result(self, query: str) -> Results[KV]:
        """The results of a query in the language of the peer's state database."""
        return self._ledger.query("", query)

    def get_query_result_with_pagination(self, query: str, size: int, bookmark: str = "") -> Page:
        """One page of such a query; only in transactions that write nothing."""
        return self._ledger.query_page(query, size, bookmark)

    def set_state_validation_parameter(self, key: str, policy: bytes | str) -> None:
        """Say who must endorse changes of a key: compiled bytes, or an expression such as `AND('A.peer','B.peer')`."""
        self._ledger.set_policy("", key, policy)

    def get_state_validation_parameter(self, key: str) -> bytes | None:
        """The compiled policy of a key, or `None` when it has none of its own."""
        return self._ledger.get_policy("", key)

    def start_write_batch(self) -> None:
        """Send later writes together, where the peer offers it; a write's error then shows when they are sent."""
        self._ledger.start_batch()

    def finish_write_batch(self) -> None:
        """Send what was gathered; a contract that returns successfully need not call it."""
        self._ledger.flush()

    # The world outside

    @property
    def event(self) -> Any:
        """The `ChaincodeEvent` message that goes with the answer, or `None`."""
        return self._event

    def set_event(self, name: str, payload: bytes) -> None:
        """Announce the transaction under this name; the last event set is the one that counts."""
        if name == "":
            raise ValueError("the name of an event is not an empty string")
        self._event = wire.ChaincodeEvent(event_name=name, payload=payload)

    def invoke_chaincode(self, name: str, args: Sequence[bytes | str], channel: str | None = None) -> Response:
        """Call another chaincode; on another channel its writes are dropped.

        Raises:
            PeerError: when it could not be called or did not answer with a response.
        """
        target = f"{name}/{channel}" if channel else name
        encoded = [arg.encode() if isinstance(arg, str) else arg for arg in args]
        answer = self._ledger.invoke(target, encoded)
        return Response(answer.status, answer.message, answer.payload)

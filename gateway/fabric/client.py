# SPDX-License-Identifier: Apache-2.0
"""The gateway: one client identity on one connection to a peer of its organisation.

    Gateway → Network → Contract → Proposal → Transaction → Commit → Status

Each stage is a type with its own error. Stages from Proposal to Commit, and requests for events, can be taken as
bytes, signed elsewhere and rebuilt in another process by the `new_…` methods below.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any

from gateway.fabric import requests
from gateway.fabric.calls import Calls, Deadlines
from gateway.fabric.checkpoint import Checkpoint
from gateway.fabric.commit import Commit
from gateway.fabric.identity import Hash, Identity, Sign, default_hash
from gateway.fabric.messages import Creator
from gateway.fabric.network import Network
from gateway.fabric.proposal import Proposal
from gateway.fabric.requests import BlockEventsRequest, ChaincodeEventsRequest
from gateway.fabric.session import Session
from gateway.fabric.transaction import Transaction
from gateway.fabric.verify import Trust

__all__ = ["Gateway"]


class Gateway:
    """A client identity on a connection; thread-safe.

    `channel` is a `Connection` or a `grpc.Channel`; it belongs to the caller and is never closed here, so any number
    of gateways may share it. `signer` may be absent when every message is signed elsewhere. `trust` pins what answers
    are verified against before anything is signed; a caller that wants to do without says `verify=False`. `hash` makes
    the digest that the signer gets, by default SHA-256, and the message itself for an Ed25519 certificate. Raises
    `ValueError` when there is neither trust nor `verify=False`.
    """

    def __init__(
        self,
        channel: Any,
        identity: Identity,
        signer: Sign | None = None,
        *,
        trust: Trust | None = None,
        verify: bool = True,
        deadlines: Deadlines | None = None,
        hash: Hash | None = None,  # noqa: A002 - the word that Fabric's other clients use
        tls_client_certificate_hash: bytes | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        if verify and trust is None:
            raise ValueError("pin a Trust to verify the peer's answers against, or say verify=False")
        if tls_client_certificate_hash is None:
            tls_client_certificate_hash = getattr(channel, "tls_client_certificate_hash", b"")
        self.identity = identity
        self._session = Session(
            calls=Calls(channel, deadlines or Deadlines()),
            identity=identity,
            creator=Creator(identity),
            signer=signer,
            digest=default_hash(identity) if hash is None else hash,
            trust=trust if verify else None,
            tls_client_certificate_hash=tls_client_certificate_hash,
            clock=clock,
        )

    def for_identity(self, identity: Identity) -> Gateway:
        """The same connection and trust for another identity, every message of which is signed elsewhere."""
        other = copy(self)
        other.identity = identity
        other._session = replace(
            self._session, identity=identity, creator=Creator(identity), signer=None, digest=default_hash(identity)
        )
        return other

    def check_identity(self) -> None:
        """Raises `InvalidIdentity` where no pinned member vouches for it; `ValueError` where none was pinned."""
        trust = self._session.trust
        if trust is None:
            raise ValueError("no members were pinned")
        trust.msps.member(self.identity.serialized)

    def network(self, channel_name: str) -> Network:
        """A channel; nothing is asked of the peer yet."""
        return Network(self._session, channel_name)

    def new_proposal(self, data: bytes) -> Proposal:
        """The proposal whose `bytes` these are; raises `MalformedData`."""
        return Proposal.parse(self._session, data)

    def new_signed_proposal(self, data: bytes, signature: bytes) -> Proposal:
        """The same with a signature over its `digest`."""
        return Proposal.parse(self._session, data, signature)

    def new_transaction(self, data: bytes) -> Transaction:
        """The endorsed transaction whose `bytes` these are, with its signature if they hold one."""
        return Transaction.parse(self._session, data)

    def new_signed_transaction(self, data: bytes, signature: bytes) -> Transaction:
        """The same with a signature over its `digest`; submitting it again is safe, for its id can commit only once."""
        return Transaction.parse(self._session, data, signature)

    def new_commit(self, data: bytes) -> Commit:
        """The commit whose `bytes` these are."""
        return Commit.parse(self._session, data)

    def new_signed_commit(self, data: bytes, signature: bytes) -> Commit:
        """The same with a signature over its `digest`."""
        return Commit.parse(self._session, data, signature)

    def new_chaincode_events_request(
        self, data: bytes, *, checkpoint: Checkpoint | None = None
    ) -> ChaincodeEventsRequest:
        """The request whose `bytes` these are; `checkpoint` again where one was given to the first."""
        return ChaincodeEventsRequest.parse(self._session, data, checkpoint=checkpoint)

    def new_signed_chaincode_events_request(
        self, data: bytes, signature: bytes, *, checkpoint: Checkpoint | None = None
    ) -> ChaincodeEventsRequest:
        """The same with a signature over its `digest`."""
        return ChaincodeEventsRequest.parse(self._session, data, signature, checkpoint)

    def new_block_events_request(self, data: bytes) -> BlockEventsRequest:
        """The request for blocks whose `bytes` these are."""
        return BlockEventsRequest.parse(self._session, requests.BLOCKS, data)

    def new_signed_block_events_request(self, data: bytes, signature: bytes) -> BlockEventsRequest:
        """The same with a signature over its `digest`."""
        return BlockEventsRequest.parse(self._session, requests.BLOCKS, data, signature)

    def new_filtered_block_events_request(self, data: bytes) -> BlockEventsRequest:
        """The request for filtered blocks whose `bytes` these are."""
        return BlockEventsRequest.parse(self._session, requests.FILTERED_BLOCKS, data)

    def new_signed_filtered_block_events_request(self, data: bytes, signature: bytes) -> BlockEventsRequest:
        """The same with a signature over its `digest`."""
        return BlockEventsRequest.parse(self._session, requests.FILTERED_BLOCKS, data, signature)

    def new_block_and_private_data_events_request(self, data: bytes) -> BlockEventsRequest:
        """The request for blocks with private data whose `bytes` these are."""
        return BlockEventsRequest.parse(self._session, requests.BLOCKS_AND_PRIVATE_DATA, data)

    def new_signed_block_and_private_data_events_request(self, data: bytes, signature: bytes) -> BlockEventsRequest:
        """The same with a signature over its `digest`."""
        return BlockEventsRequest.parse(self._session, requests.BLOCKS_AND_PRIVATE_DATA, data, signature)

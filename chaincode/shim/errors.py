# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between a contract, this runtime and the peer.

    ShimError
    ├── PeerError            the peer answered a request with ERROR
    ├── StreamEnded          the stream to the peer is gone; nothing can be asked any more
    ├── ProtocolError        the peer broke the protocol; the stream is given up
    ├── MalformedProposal    the proposal that came with a transaction cannot be read
    ├── MalformedIdentity    the creator is not an X.509 identity, or its attributes are unreadable
    ├── MessageTooLarge      a message above the limit of the stream, which would end it for all transactions
    └── SettingsError        the environment configures this program only by half

Misuse of the stub by a contract (an empty key, a second request while one is outstanding) raises
`ValueError`, `TypeError` or `RuntimeError`.
"""


class ShimError(Exception):
    """Root of the refusals of this package."""


class PeerError(ShimError):
    """The peer refused a request; `request` names its type and `text` is the peer's own text."""

    def __init__(self, request: str, text: str) -> None:
        super().__init__(text)
        self.request = request
        self.text = text


class StreamEnded(ShimError):
    """The stream to the peer ended, so the request was not or will not be answered."""


class ProtocolError(ShimError):
    """The peer sent what the protocol does not allow in the session's state."""


class MalformedProposal(ShimError):
    """The signed proposal of a transaction is absent or cannot be decoded."""


class MalformedIdentity(ShimError):
    """The creator of a transaction cannot be read as an X.509 identity."""


class MessageTooLarge(ShimError):
    """A message is larger than the stream may carry."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"a message of {size} bytes is larger than the {limit} bytes that a stream carries")
        self.size = size
        self.limit = limit


class SettingsError(ShimError):
    """The environment does not configure this program completely; the text names the variable."""

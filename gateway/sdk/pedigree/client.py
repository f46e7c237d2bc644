# SPDX-License-Identifier: Apache-2.0
"""The client: one method for each thing that can be recorded or asked."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pedigree.batches import BatchCalls
from pedigree.connections import Connections
from pedigree.consent import ConsentCalls
from pedigree.elsewhere import ElsewhereCalls
from pedigree.errors import InvalidInput
from pedigree.logs import LogCalls
from pedigree.models import ModelCalls
from pedigree.reads import ReadCalls
from pedigree.security import Security
from pedigree.selections import SelectionCalls
from pedigree.trainings import RunCalls
from pedigree.transport import Transport

if TYPE_CHECKING:
    import httpx


class Pedigree(BatchCalls, ConsentCalls, ElsewhereCalls, LogCalls, ModelCalls, ReadCalls, RunCalls, SelectionCalls):
    """One organisation's gateway; thread-safe.

    Recording methods return once the transaction is committed and valid. Those that take fields also take
    `endorsing_organisations`, the MSP ids of those that must endorse; normally the peer chooses them. A list is asked
    for page by page, or gone through with the `iterate_` method of the same name.

    Args:
        url: address of the gateway, such as `http://127.0.0.1:8101`.
        key: an API key, `id.secret`, or an access token; or a function that answers one, asked before each request, for
            tokens that have to be renewed. A client that comes with a certificate needs none.
        timeout: seconds for each call, repetitions included.
        ca_certificate: a file with the certificates (PEM) that the gateway's must lead to; those that this system
            believes without one. Raises `InvalidInput` where it holds none.
        client_certificate: a file with this client's certificate (PEM), which its gateway knows it by.
        client_key: a file with the key of that certificate, where it is not in the same one.
    """

    def __init__(
        self,
        url: str,
        key: str | Callable[[], str] | None = None,
        *,
        timeout: float = 60.0,
        ca_certificate: Path | str | None = None,
        client_certificate: Path | str | None = None,
        client_key: Path | str | None = None,
        transport: "httpx.BaseTransport | None" = None,
    ) -> None:
        if key is None and client_certificate is None:
            raise InvalidInput("a key is needed, or a client certificate", field="key")
        security = Security(ca_certificate, client_certificate, client_key)
        connections = Connections(url, key, transport, security.own())
        super().__init__(Transport(connections, timeout=timeout, security=security))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    @property
    def height(self) -> int:
        """Ledger height that the next reads wait for."""
        return self._transport.height

    def at_least(self, height: int) -> None:
        """Let the following reads wait for a height, such as that of another organisation's recording."""
        self._transport.at_least(height)

# SPDX-License-Identifier: Apache-2.0
"""The part of the stub that reads and writes private data collections.

Every method refuses an empty collection with `ValueError`, because the peer would take it for the public state.
"""

from collections.abc import Sequence

from chaincode.shim.keys import composite_range, simple_range
from chaincode.shim.ledger import Ledger
from chaincode.shim.results import KV, Results


class PrivateData:
    """Private data as a contract sees it; only peers of a collection's members can answer the values."""

    _ledger: Ledger

    def get_private_data(self, collection: str, key: str) -> bytes | None:
        """The value of a key, or `None` when it is absent."""
        return self._ledger.get(_collection(collection), key)

    def get_private_data_hash(self, collection: str, key: str) -> bytes | None:
        """The SHA-256 of a key's value, which every peer of the channel knows; `None` when it is absent."""
        return self._ledger.get_hash(collection, key)

    def put_private_data(self, collection: str, key: str, value: bytes) -> None:
        """Set the value of a key; an empty value removes it."""
        self._ledger.put(_collection(collection), key, value)

    def del_private_data(self, collection: str, key: str) -> None:
        """Remove a key from the collection; earlier values stay in the members' stores until they expire."""
        self._ledger.delete(_collection(collection), key)

    def purge_private_data(self, collection: str, key: str) -> None:
        """Remove a key with all its earlier values from every member's store."""
        self._ledger.purge(collection, key)

    def get_private_data_by_range(self, collection: str, start: str, end: str) -> Results[KV]:
        """The simple keys from `start` to before `end`; an empty string leaves that side open."""
        return self._ledger.range(_collection(collection), *simple_range(start, end))

    def get_private_data_by_partial_composite_key(
        self, collection: str, object_type: str, parts: Sequence[str]
    ) -> Results[KV]:
        """All composite keys that begin with these parts."""
        return self._ledger.range(_collection(collection), *composite_range(object_type, parts))

    def get_private_data_query_result(self, collection: str, query: str) -> Results[KV]:
        """The results of a query in the language of the peer's state database."""
        return self._ledger.query(_collection(collection), query)

    def set_private_data_validation_parameter(self, collection: str, key: str, policy: bytes | str) -> None:
        """Say who must endorse changes of a key: compiled bytes, or an expression such as `AND('A.peer','B.peer')`."""
        self._ledger.set_policy(_collection(collection), key, policy)

    def get_private_data_validation_parameter(self, collection: str, key: str) -> bytes | None:
        """The compiled policy of a key, or `None` when it has none of its own."""
        return self._ledger.get_policy(_collection(collection), key)


def _collection(name: str) -> str:
    if name == "":
        raise ValueError("a collection is not an empty string")
    return name

# SPDX-License-Identifier: Apache-2.0
"""The probe's functions about private data."""

from probevalues import Function, as_json, shown

from chaincode.shim import Stub


def private_put(stub: Stub, collection: str, key: str) -> None:
    """The value comes in the transient map, as it should."""
    stub.put_private_data(collection, key, stub.transient["value"])


def private_put_plain(stub: Stub, collection: str, key: str, value: str) -> None:
    """The value comes as an argument, for cases without transient data."""
    stub.put_private_data(collection, key, value.encode())


def private_get(stub: Stub, collection: str, key: str) -> bytes:
    return as_json(shown(stub.get_private_data(collection, key)))


def private_get_put(stub: Stub, collection: str, key: str, value: str) -> bytes:
    old = stub.get_private_data(collection, key)
    stub.put_private_data(collection, key, value.encode())
    return as_json(shown(old))


def private_put_get(stub: Stub, collection: str, key: str, value: str) -> bytes:
    stub.put_private_data(collection, key, value.encode())
    return as_json(shown(stub.get_private_data(collection, key)))


def private_and_public(stub: Stub, collection: str, key: str, value: str) -> None:
    stub.put_private_data(collection, key, value.encode())
    stub.put_state(key, b"public")


def private_hash(stub: Stub, collection: str, key: str) -> bytes:
    found = stub.get_private_data_hash(collection, key)
    return as_json(None if found is None else found.hex())


def private_delete(stub: Stub, collection: str, key: str) -> None:
    stub.del_private_data(collection, key)


def private_purge(stub: Stub, collection: str, key: str) -> None:
    stub.purge_private_data(collection, key)


def private_range(stub: Stub, collection: str, start: str, end: str) -> bytes:
    with stub.get_private_data_by_range(collection, start, end) as found:
        return as_json([entry.key for entry in found])


def private_range_put(stub: Stub, collection: str, start: str, end: str, key: str) -> bytes:
    keys = private_range(stub, collection, start, end)
    stub.put_state(key, b"v")
    return keys


def private_set_policy(stub: Stub, collection: str, key: str, policy: str) -> None:
    stub.set_private_data_validation_parameter(collection, key, policy)


FUNCTIONS: dict[str, Function] = {
    "pput": private_put,
    "pputPlain": private_put_plain,
    "pget": private_get,
    "pgetPut": private_get_put,
    "pputGet": private_put_get,
    "pputBoth": private_and_public,
    "phash": private_hash,
    "pdel": private_delete,
    "ppurge": private_purge,
    "prange": private_range,
    "prangePut": private_range_put,
    "psetEP": private_set_policy,
}

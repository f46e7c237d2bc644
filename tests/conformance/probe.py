# SPDX-License-Identifier: Apache-2.0
"""The probe: chaincode that does one thing per function, so that a case can ask for exactly what it is about.

Run as a program it is chaincode as a service. It answers text or JSON. Unlike real contracts it tells the client the
text of any exception, because the cases compare the peer's texts.
"""

import json
import os
import random
import signal
import time

import probeprivate
from probevalues import Function, as_json, shown, text

from chaincode import shim
from chaincode.shim import Response, Stub

# Public state


def put(stub: Stub, key: str, value: str) -> None:
    stub.put_state(key, value.encode())


def put_empty(stub: Stub, key: str) -> None:
    stub.put_state(key, b"")


def get(stub: Stub, key: str) -> bytes:
    return as_json(shown(stub.get_state(key)))


def size(stub: Stub, key: str) -> bytes:
    return as_json(len(stub.get_state(key) or b""))


def delete(stub: Stub, key: str) -> None:
    stub.del_state(key)


def get_put(stub: Stub, key: str, value: str) -> bytes:
    old = stub.get_state(key)
    stub.put_state(key, value.encode())
    return as_json(shown(old))


def put_get(stub: Stub, key: str, value: str) -> bytes:
    stub.put_state(key, value.encode())
    return as_json(shown(stub.get_state(key)))


def get_put_other(stub: Stub, read: str, written: str, value: str) -> bytes:
    """Read one key and write another: a transaction that depends on `read` without changing it."""
    old = stub.get_state(read)
    stub.put_state(written, value.encode())
    return as_json(shown(old))


def put_blob(stub: Stub, key: str, length: str) -> None:
    stub.put_state(key, b"x" * int(length))


def many(stub: Stub, prefix: str, count: str) -> None:
    for number in range(int(count)):
        stub.put_state(f"{prefix}{number:05d}", b"v")


def batch(stub: Stub, prefix: str, count: str) -> None:
    """Many writes in one message, and the first key a second time."""
    stub.start_write_batch()
    many(stub, prefix, count)
    stub.put_state(f"{prefix}{0:05d}", b"last")
    stub.finish_write_batch()


def multi(stub: Stub, *keys: str) -> bytes:
    return as_json([shown(value) for value in stub.get_states(keys)])


def composite_put(stub: Stub, kind: str, first: str, second: str, value: str) -> None:
    stub.put_state(stub.create_composite_key(kind, [first, second]), value.encode())


def composite_range(stub: Stub, kind: str, *parts: str) -> bytes:
    with stub.get_state_by_partial_composite_key(kind, list(parts)) as found:
        return as_json([[*stub.split_composite_key(entry.key)[1], entry.value.decode()] for entry in found])


# Ranges, pages, queries, history


def range_(stub: Stub, start: str, end: str) -> bytes:
    with stub.get_state_by_range(start, end) as found:
        return as_json([entry.key for entry in found])


def range_first(stub: Stub, start: str, end: str, count: str, key: str) -> bytes:
    """Read the first few results of a range, leave the rest, and write a key."""
    with stub.get_state_by_range(start, end) as found:
        keys = [entry.key for entry, _ in zip(found, range(int(count)), strict=False)]
    stub.put_state(key, b"v")
    return as_json(keys)


def range_put(stub: Stub, start: str, end: str, key: str, value: str) -> bytes:
    keys = range_(stub, start, end)
    stub.put_state(key, value.encode())
    return keys


def page(stub: Stub, start: str, end: str, length: str, bookmark: str) -> bytes:
    found = stub.get_state_by_range_with_pagination(start, end, int(length), bookmark)
    keys = [entry.key for entry in found.items]
    return as_json({"keys": keys, "fetched": found.fetched, "bookmark": found.bookmark})


def page_put(stub: Stub, start: str, end: str, length: str, key: str) -> bytes:
    answer = page(stub, start, end, length, "")
    stub.put_state(key, b"v")
    return answer


def put_page(stub: Stub, start: str, end: str, length: str, key: str) -> bytes:
    stub.put_state(key, b"v")
    return page(stub, start, end, length, "")


def rich(stub: Stub, query: str) -> bytes:
    with stub.get_query_result(query) as found:
        return as_json([entry.key for entry in found])


def history(stub: Stub, key: str) -> bytes:
    with stub.get_history_for_key(key) as found:
        return as_json(
            [
                {
                    "transaction": change.transaction_id,
                    "value": shown(change.value),
                    "timestamp": change.timestamp.isoformat(),
                    "deleted": change.is_delete,
                }
                for change in found
            ]
        )


# Events, statuses, failures


def event(stub: Stub, name: str, payload: str) -> None:
    stub.set_event(name, payload.encode())


def event_put(stub: Stub, name: str, payload: str, key: str) -> bytes:
    """An event together with a read and a write of `key`, so that the transaction can be made to conflict."""
    stub.set_event(name, payload.encode())
    return get_put(stub, key, payload)


def event_twice(stub: Stub, first: str, second: str) -> None:
    stub.set_event(first, b"1")
    stub.set_event(second, b"2")


def event_fail(stub: Stub, name: str) -> Response:
    stub.set_event(name, b"never")
    return Response(500, "failed after its event")


def status(stub: Stub, code: str, message: str) -> Response:
    return Response(int(code), message, b"payload")


def throw(stub: Stub, message: str) -> None:
    raise RuntimeError(message)


def sleep(stub: Stub, seconds: str) -> bytes:
    time.sleep(float(seconds))
    return b"slept"


def crash(stub: Stub) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def randomly(stub: Stub, key: str) -> None:
    stub.put_state(key, str(random.getrandbits(64)).encode())


def orgs_fail(stub: Stub, mspids: str) -> bytes:
    if stub.local_msp_id in json.loads(mspids):
        raise RuntimeError(f"{stub.local_msp_id} refuses")
    return b"agreed"


# Who asks, who answers


def mspid(stub: Stub) -> bytes:
    return stub.local_msp_id.encode()


def transient(stub: Stub, key: str) -> bytes:
    return stub.transient[key]


def creator(stub: Stub) -> bytes:
    return stub.creator


def timestamp(stub: Stub) -> bytes:
    return stub.timestamp.isoformat().encode()


# Key-level policies


def set_policy(stub: Stub, key: str, policy: str) -> None:
    stub.set_state_validation_parameter(key, policy or b"")


def put_set_policy(stub: Stub, key: str, value: str, policy: str) -> None:
    stub.put_state(key, value.encode())
    stub.set_state_validation_parameter(key, policy)


def read_set_policy(stub: Stub, read: str, key: str, policy: str) -> None:
    """Set a key's policy in a transaction that depends on another key."""
    stub.get_state(read)
    stub.set_state_validation_parameter(key, policy)


def get_policy(stub: Stub, key: str) -> bytes:
    return as_json((stub.get_state_validation_parameter(key) or b"").hex())


# Other chaincode


def cc2cc(stub: Stub, name: str, channel: str, *args: str) -> bytes:
    """Call another chaincode and answer what it answered, whether it failed or not."""
    answer = stub.invoke_chaincode(name, list(args), channel or None)
    return as_json({"status": answer.status, "message": answer.message, "payload": answer.payload.decode()})


def put_cc2cc(stub: Stub, key: str, value: str, name: str, channel: str, *args: str) -> bytes:
    stub.put_state(key, value.encode())
    return cc2cc(stub, name, channel, *args)


def put_fail(stub: Stub, key: str, value: str) -> Response:
    stub.put_state(key, value.encode())
    return Response(500, "wrote and failed")


def self_invoke(stub: Stub, name: str) -> bytes:
    return cc2cc(stub, name, "", "get", "k")


FUNCTIONS: dict[str, Function] = {
    "put": put,
    "putEmpty": put_empty,
    "get": get,
    "size": size,
    "del": delete,
    "getPut": get_put,
    "putGet": put_get,
    "getPutOther": get_put_other,
    "putBlob": put_blob,
    "many": many,
    "batch": batch,
    "multi": multi,
    "cput": composite_put,
    "crange": composite_range,
    "range": range_,
    "rangeFirst": range_first,
    "rangePut": range_put,
    "page": page,
    "pagePut": page_put,
    "putPage": put_page,
    "rich": rich,
    "history": history,
    "event": event,
    "eventPut": event_put,
    "event2": event_twice,
    "eventFail": event_fail,
    "status": status,
    "throw": throw,
    "sleep": sleep,
    "crash": crash,
    "rand": randomly,
    "orgsFail": orgs_fail,
    "mspid": mspid,
    "transient": transient,
    "creator": creator,
    "timestamp": timestamp,
    "setEP": set_policy,
    "putSetEP": put_set_policy,
    "readSetEP": read_set_policy,
    "getEP": get_policy,
    "cc2cc": cc2cc,
    "putCc2cc": put_cc2cc,
    "putFail": put_fail,
    "selfInvoke": self_invoke,
    **probeprivate.FUNCTIONS,
}


class Probe:
    """The table above as chaincode."""

    def init(self, stub: Stub) -> Response:
        """Do what the first argument says; an Init without arguments does nothing."""
        return self.invoke(stub) if stub.args else Response(200)

    def invoke(self, stub: Stub) -> Response:
        name, *parameters = text(stub.args)
        function = FUNCTIONS.get(name)
        if function is None:
            return Response(500, f"no function {name}")
        try:
            answer = function(stub, *parameters)
        except Exception as error:
            return Response(500, str(error))
        return answer if isinstance(answer, Response) else Response(200, payload=answer or b"")


if __name__ == "__main__":
    shim.serve(Probe(), shim.settings_from_environment(os.environ))

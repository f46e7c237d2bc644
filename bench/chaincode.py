# SPDX-License-Identifier: Apache-2.0
"""The smallest chaincode worth measuring: one write, one read."""

from __future__ import annotations

import os

from chaincode.shim import Router, Stub, serve, settings_from_environment


def put(stub: Stub, args: tuple[bytes, ...]) -> bytes:
    """Write `args[1]` under the key `args[0]`."""
    stub.put_state(args[0].decode(), args[1])
    return args[1]


def get(stub: Stub, args: tuple[bytes, ...]) -> bytes:
    """Read the key `args[0]`; absent reads as empty."""
    return stub.get_state(args[0].decode()) or b""


if __name__ == "__main__":
    serve(Router({"put": put, "get": get}, lambda _: None), settings_from_environment(os.environ))

# SPDX-License-Identifier: Apache-2.0
"""How a case says what it expects."""

import json
from collections.abc import Callable
from typing import Any

import grpc

from fabricharness.wire import Refusal, read_refusal
from gateway import fabric

FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
ABORTED = grpc.StatusCode.ABORTED
UNKNOWN = grpc.StatusCode.UNKNOWN
INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT
PERMISSION_DENIED = grpc.StatusCode.PERMISSION_DENIED
DEADLINE_EXCEEDED = grpc.StatusCode.DEADLINE_EXCEEDED

ENDORSEMENT_FAILED = "failed to endorse transaction, see attached details for more info"
COLLECTION_FAILED = "failed to collect enough transaction endorsements, see attached details for more info"


def refused(call: Callable[..., Any], *args: Any, **options: Any) -> Refusal:
    """What `call` is refused with, by our client or on the wire; a call that succeeds fails the case."""
    try:
        answer = call(*args, **options)
    except fabric.GatewayError as error:
        details = tuple((detail.msp_id, detail.message) for detail in error.details)
        return Refusal(error.code, error.message, details)
    except grpc.RpcError as error:
        return read_refusal(error)
    raise AssertionError(f"was not refused but answered {answer!r}")


def value(payload: bytes) -> Any:
    """What the probe answered."""
    return json.loads(payload)

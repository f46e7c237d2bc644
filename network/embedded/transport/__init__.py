# SPDX-License-Identifier: Apache-2.0
"""gRPC over HTTP/2 for the embedded node: a core without sockets, and thin asyncio around it.

The node answers thousands of small calls a second on one core, where the general library spends more time on each
call than the node itself. What is offered is what Fabric's clients and chaincodes use: unary and streaming calls with
deadlines, cancellation, trailers, flow control and TLS. Compression of messages is not offered.
"""

from network.embedded.transport.client import Channel, StreamCall, dial
from network.embedded.transport.crowd import Crowd
from network.embedded.transport.messages import MAX_MESSAGE
from network.embedded.transport.server import Server
from network.embedded.transport.tls import client_context, server_context

__all__ = ["MAX_MESSAGE", "Channel", "Crowd", "Server", "StreamCall", "client_context", "dial", "server_context"]

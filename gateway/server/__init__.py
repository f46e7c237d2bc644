# SPDX-License-Identifier: Apache-2.0
"""One organisation's gateway as a program: its settings, its parts put together, its sockets and its health."""

# SPDX-License-Identifier: Apache-2.0
"""Where a gateway keeps what it must remember: SQLite files."""

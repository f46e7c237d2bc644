# SPDX-License-Identifier: Apache-2.0
"""One organisation's access to the ledger."""

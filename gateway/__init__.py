# SPDX-License-Identifier: Apache-2.0
"""One organisation's door to the ledger."""

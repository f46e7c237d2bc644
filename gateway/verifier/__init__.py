# SPDX-License-Identifier: Apache-2.0
"""A whole ledger judged from its blocks; `gateway.sdk.proofs` checks evidence of single records."""

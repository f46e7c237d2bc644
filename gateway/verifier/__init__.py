# SPDX-License-Identifier: Apache-2.0
"""A whole ledger judged from its blocks, and signed statements; `pedigree.proofs` checks evidence of records."""

# SPDX-License-Identifier: Apache-2.0
"""A whole ledger judged from its blocks; `pedigree.proofs` checks evidence of single records."""

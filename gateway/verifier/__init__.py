# SPDX-License-Identifier: Apache-2.0
"""Evidence and record proofs checked off line."""

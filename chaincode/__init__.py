# SPDX-License-Identifier: Apache-2.0
"""The chaincode: what the consortium agreed to, and the runtime that executes it."""

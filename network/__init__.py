# SPDX-License-Identifier: Apache-2.0
"""Where the ledger runs: topology, key material, the embedded network and Fabric itself."""

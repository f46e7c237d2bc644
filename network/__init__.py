"""Where the ledger runs: topology, key material, the embedded network and Fabric itself."""

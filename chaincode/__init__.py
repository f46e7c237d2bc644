"""The chaincode: what the consortium agreed to, and the runtime that executes it."""

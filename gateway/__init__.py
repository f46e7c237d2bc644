"""One organisation's door to the ledger."""

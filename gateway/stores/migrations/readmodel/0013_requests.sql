-- By which request a transaction is found, for one whose gateway has forgotten it. Of a batch the text is as long as the
-- batch, and only its first request leads to it.
CREATE INDEX transaction_by_request ON ledger_transaction (substr(request, 1, 160))
  WHERE code = 0 AND request IS NOT NULL;

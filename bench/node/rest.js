// SPDX-License-Identifier: Apache-2.0
// A plain REST server on the official Node client, as Fabric's samples suggest one: an API key, a submit that waits for
// the commit, a query that asks the peer. Arguments: one JSON object (see `options`). Prints the port when it listens.
'use strict';
const crypto = require('node:crypto');
const express = require('express');
const { contractOf } = require('./contract');

const options = JSON.parse(process.argv[2]);
// options: those of load.js, and key (the API key)

const contract = contractOf(options);
const app = express();
app.use(express.json());
app.use((request, response, next) => {
  if (request.get('x-api-key') === options.key) return next();
  return response.status(401).json({ error: 'unauthorised' });
});
app.post('/models', async (request, response) => {
  const { model, title } = request.body;
  const command = JSON.stringify({ kind: 'register-model', model, schema: 1, title });
  const result = await contract.submitTransaction('model:register', command, crypto.randomBytes(32).toString('hex'));
  response.status(201).type('json').send(Buffer.from(result));
});
app.get('/models/:model', async (request, response) => {
  const command = JSON.stringify({ kind: 'get-record', key: [request.params.model], record: 'model', schema: 1 });
  response.type('json').send(Buffer.from(await contract.evaluateTransaction('record:get', command)));
});
app.use((error, request, response, next) => response.status(500).json({ error: error.message }));
const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port));

// SPDX-License-Identifier: Apache-2.0
// Asks a REST server for some seconds over kept connections and prints one JSON line:
// {requests, refused, seconds, p50_ms, p95_ms, p99_ms}. Arguments: one JSON object (see `options`).
'use strict';
const crypto = require('node:crypto');
const http = require('node:http');

const options = JSON.parse(process.argv[2]);
// options: port, path, mode (submit|query), headers, in_flight, seconds, idempotency (whether to send a key)

const agent = new http.Agent({ keepAlive: true, maxSockets: options.in_flight });
const prefix = crypto.randomBytes(6).toString('hex');
let next = 0;
let refused = 0;
let answered = process.hrtime.bigint(); // when the last answer came: waits to come back later are no part of the run
const latencies = [];

function call(method, path, body) {
  const headers = { ...options.headers };
  if (body !== undefined) {
    headers['Content-Type'] = 'application/json';
    headers['Content-Length'] = Buffer.byteLength(body);
    if (options.idempotency) headers['Idempotency-Key'] = crypto.randomUUID();
  }
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port: options.port, agent, method, path, headers }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => resolve([response.statusCode, Buffer.concat(parts).toString(), response.headers]));
    });
    request.on('error', reject);
    request.end(body);
  });
}

function once(name) {
  if (options.mode === 'query') return call('GET', `${options.path}/${options.known}`);
  return call('POST', options.path, JSON.stringify({ model: name, title: 'Bench' }));
}

async function worker(end) {
  while (Date.now() < end) {
    const from = process.hrtime.bigint();
    const [status, text, headers] = await once(`${prefix}-${next++}`);
    if (status === 503 || status === 429) { // busy, or more than the share of one client: come back when asked to
      refused++;
      await new Promise((resolve) => { setTimeout(resolve, 1000 * Number(headers['retry-after'] ?? 1)); });
    } else if (status >= 300) throw new Error(`${status}: ${text.slice(0, 300)}`);
    else {
      answered = process.hrtime.bigint();
      latencies.push(Number(answered - from) / 1e6);
    }
  }
}

async function main() {
  const started = process.hrtime.bigint();
  const end = Date.now() + options.seconds * 1000;
  await Promise.all(Array.from({ length: options.in_flight }, () => worker(end)));
  const seconds = Number(answered - started) / 1e9;
  latencies.sort((a, b) => a - b);
  const at = (share) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? null;
  console.log(JSON.stringify({
    requests: latencies.length, refused, seconds, p50_ms: at(0.5), p95_ms: at(0.95), p99_ms: at(0.99),
  }));
  agent.destroy();
}

main().catch((error) => { console.error(error); process.exit(1); });

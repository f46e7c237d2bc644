// SPDX-License-Identifier: Apache-2.0
// Drives a ledger with the official Node client for some seconds and prints one JSON line:
// {transactions, seconds, cpu_s, p50_ms}. Arguments: one JSON object (see `options`).
'use strict';
const crypto = require('node:crypto');
const { contractOf } = require('./contract');

const options = JSON.parse(process.argv[2]);
// options: peer, tls_ca, server_name, msp (folder of the user), mspid, channel, chaincode, mode (submit|evaluate),
// in_flight, seconds, signer (default|native)

async function main() {
  const contract = contractOf(options);
  const once = options.mode === 'submit'
    ? (k) => contract.submitTransaction('put', k, 'value')
    : (k) => contract.evaluateTransaction('get', k);
  await once('warm');
  const latencies = [];
  const prefix = crypto.randomBytes(6).toString('hex');
  let next = 0;
  const end = Date.now() + options.seconds * 1000;
  const before = process.cpuUsage();
  const started = process.hrtime.bigint();
  const worker = async () => {
    while (Date.now() < end) {
      const from = process.hrtime.bigint();
      await once(options.mode === 'submit' ? `${prefix}-${next++}` : 'warm');
      latencies.push(Number(process.hrtime.bigint() - from) / 1e6);
    }
  };
  await Promise.all(Array.from({ length: options.in_flight }, worker));
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  const cpu = process.cpuUsage(before);
  latencies.sort((a, b) => a - b);
  console.log(JSON.stringify({
    transactions: latencies.length, seconds, cpu_s: (cpu.user + cpu.system) / 1e6,
    p50_ms: latencies[Math.floor(latencies.length / 2)],
  }));
  process.exit(0);
}

main().catch((error) => { console.error(error); process.exit(1); });

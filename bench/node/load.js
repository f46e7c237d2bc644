// SPDX-License-Identifier: Apache-2.0
// Drives a ledger with the official Node client for some seconds and prints one JSON line:
// {transactions, seconds, cpu_s, p50_ms}. Arguments: one JSON object (see `options`).
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const { connect, hash, signers } = require('@hyperledger/fabric-gateway');

const options = JSON.parse(process.argv[2]);
// options: peer, tls_ca, server_name, msp (folder of the user), mspid, channel, chaincode, mode (submit|evaluate),
// in_flight, seconds, signer (default|native)

function onlyFile(folder) {
  return fs.readFileSync(path.join(folder, fs.readdirSync(folder)[0]));
}

// Order of the P-256 group, halved: Fabric accepts only signatures whose s is not above it.
const ORDER = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');

function lowS(der) {
  const rLength = der[3];
  const s = BigInt('0x' + der.subarray(6 + rLength).toString('hex'));
  if (s <= ORDER / 2n) return der;
  let hex = (ORDER - s).toString(16);
  if (hex.length % 2) hex = '0' + hex;
  let bytes = Buffer.from(hex, 'hex');
  if (bytes[0] & 0x80) bytes = Buffer.concat([Buffer.from([0]), bytes]);
  const r = der.subarray(2, 4 + rLength);
  return Buffer.concat([Buffer.from([0x30, r.length + 2 + bytes.length]), r, Buffer.from([0x02, bytes.length]), bytes]);
}

function signing(key) {
  if (options.signer === 'native') {
    return { hash: hash.none, signer: async (message) => lowS(crypto.sign('sha256', message, key)) };
  }
  return { signer: signers.newPrivateKeySigner(key) };
}

async function main() {
  const key = crypto.createPrivateKey(onlyFile(path.join(options.msp, 'keystore')));
  const client = new grpc.Client(options.peer, grpc.credentials.createSsl(fs.readFileSync(options.tls_ca)), {
    'grpc.ssl_target_name_override': options.server_name,
    'grpc.default_authority': options.server_name,
  });
  const gateway = connect({
    client,
    identity: { mspId: options.mspid, credentials: onlyFile(path.join(options.msp, 'signcerts')) },
    ...signing(key),
  });
  const contract = gateway.getNetwork(options.channel).getContract(options.chaincode);
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
  gateway.close();
  client.close();
}

main().catch((error) => { console.error(error); process.exit(1); });

// SPDX-License-Identifier: Apache-2.0
// A contract of the official Node client, with its default signer (pure JavaScript) or one on Node's own cryptography.
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const { connect, hash, signers } = require('@hyperledger/fabric-gateway');

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

function signing(key, signer) {
  if (signer === 'native') return { hash: hash.none, signer: async (message) => lowS(crypto.sign('sha256', message, key)) };
  return { signer: signers.newPrivateKeySigner(key) };
}

// options: peer, tls_ca, server_name, msp (folder of the user), mspid, channel, chaincode, signer (default|native)
function contractOf(options) {
  const key = crypto.createPrivateKey(onlyFile(path.join(options.msp, 'keystore')));
  const client = new grpc.Client(options.peer, grpc.credentials.createSsl(fs.readFileSync(options.tls_ca)), {
    'grpc.ssl_target_name_override': options.server_name,
    'grpc.default_authority': options.server_name,
  });
  const gateway = connect({
    client,
    identity: { mspId: options.mspid, credentials: onlyFile(path.join(options.msp, 'signcerts')) },
    ...signing(key, options.signer),
  });
  return gateway.getNetwork(options.channel).getContract(options.chaincode);
}

module.exports = { contractOf };

// SPDX-License-Identifier: Apache-2.0
// `node run.js VECTORS`: what the second implementation says of each vector, as JSON by kind and name: an answer, or a
// refusal. Anything else that is thrown ends the program: a verifier that falls over has not refused.
'use strict';

const fs = require('node:fs');
const verifier = require('./verifier.js');

const bytesOf = ({ text, base64 }) => (text === undefined ? Buffer.from(base64, 'base64') : Buffer.from(text));

const answers = {
  notes: ({ vkey, note }) => {
    const key = verifier.parseKey(Buffer.from(vkey));
    return verifier.verifyNote(verifier.parseNote(Buffer.from(note)), [key]).size ? [key.name] : [];
  },
  policies: ({ policy, satisfied = [], unsatisfied = [] }) => {
    const found = verifier.parsePolicy(bytesOf(policy));
    const decide = (names) => verifier.satisfied(found, names.map((name) => verifier.octets(Buffer.from(name))));
    return [satisfied.map(decide), unsatisfied.map(decide)];
  },
  receipts: ({ policy, receipt, leaf }, { trust }) => {
    const entry = leaf === null ? null : Buffer.from(leaf, 'hex');
    return verifier.verifyReceipt(bytesOf(receipt), entry, verifier.parsePolicy(Buffer.from(trust[policy])));
  },
  records: ({ evidence, root }) => verifier.verifyRecord(evidence, root),
};

const vectors = JSON.parse(fs.readFileSync(process.argv[2]));
const said = {};
for (const [kind, answer] of Object.entries(answers)) {
  said[kind] = {};
  for (const vector of vectors[kind]) {
    try {
      said[kind][vector.name] = { answer: answer(vector, vectors) };
    } catch (error) {
      if (!(error instanceof verifier.Refused)) throw error;
      said[kind][vector.name] = { refused: error.message };
    }
  }
}
process.stdout.write(JSON.stringify(said));

// SPDX-License-Identifier: Apache-2.0
// A second implementation of the core of Pedigree's verifier, written from docs/receipts.md: receipts (signed notes,
// Ed25519 keys and cosignatures, proofs, policies) and the Merkle checks of evidence of a record. It uses nothing but
// Node. Whatever is not right is thrown as a `Refused`.
'use strict';

const crypto = require('node:crypto');

class Refused extends Error {}

const refuse = (why) => {
  throw new Refused(why);
};

const SHA = (...parts) => parts.reduce((hash, part) => hash.update(part), crypto.createHash('sha256')).digest();
const [ZERO, ONE, TWO, NEWLINE] = [0, 1, 2, 10].map((byte) => Buffer.from([byte]));

// -- conventions ----------------------------------------------------------------------------------------------------

function utf8(bytes, what) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse(`${what} is not UTF-8`);
  }
}

function base64(text, what) {
  const value = Buffer.from(text, 'base64');
  return value.toString('base64') === text ? value : refuse(`${what} is not base64`);
}

function decimal(text, what) {
  if (!/^(0|[1-9][0-9]{0,18})$/.test(text) || BigInt(text) >= 1n << 63n) refuse(`${what} is not a decimal number`);
  return BigInt(text);
}

function hash32(text, what) {
  const value = base64(text, what);
  return value.length === 32 ? value : refuse(`${what} does not have 32 bytes`);
}

// -- keys -----------------------------------------------------------------------------------------------------------

const ED25519 = 1;
const COSIGNATURE = 4;
const SPKI = Buffer.from('302a300506032b6570032100', 'hex'); // RFC 8410, before the 32 bytes of the key

const isName = (name) => /^[^\u0000-\u001f+\p{White_Space}]+$/u.test(name) && Buffer.byteLength(name) <= 255;

function parseKey(bytes) {
  const parts = utf8(bytes, 'a key').split('+');
  if (parts.length < 3) refuse('a key is name+id+base64');
  const [name, id] = parts;
  const value = base64(parts.slice(2).join('+'), 'a key');
  const algorithm = value[0];
  if (!isName(name)) refuse('a key has a name that keys do not have');
  if (algorithm !== ED25519 && algorithm !== COSIGNATURE) refuse('a key is of an algorithm that is not known here');
  if (value.length !== 33) refuse('an Ed25519 key has 32 bytes');
  const known = SHA(Buffer.from(name), NEWLINE, value).subarray(0, 4).toString('hex');
  if (known !== id) refuse('the id of a key is not the one of its name and key');
  const key = crypto.createPublicKey({ key: Buffer.concat([SPKI, value.subarray(1)]), format: 'der', type: 'spki' });
  return { name, id, algorithm, public: value.subarray(1).toString('hex'), line: `${name}+${id}`, key };
}

// The time that a signature states, or null; throws where it is not the key's.
function checkSignature(key, text, signature) {
  let message = text;
  let time = null;
  let rest = signature;
  if (key.algorithm === COSIGNATURE) {
    if (signature.length !== 72) refuse('a cosignature has 72 bytes');
    time = signature.readBigUInt64BE(0);
    if (time >= 1n << 63n) refuse('a time is below 2^63');
    message = Buffer.concat([Buffer.from(`cosignature/v1\ntime ${time}\n`), text]);
    rest = signature.subarray(8);
  } else if (signature.length !== 64) {
    refuse('a signature has 64 bytes');
  }
  if (!crypto.verify(null, message, key.key, rest)) refuse(`${key.name} did not sign this`);
  return time === null ? null : Number(time);
}

// -- notes and checkpoints ------------------------------------------------------------------------------------------

function parseNote(bytes) {
  if (bytes.length > 1 << 20) refuse('a note has at most 1 MiB');
  if (bytes.some((byte) => byte < 0x20 && byte !== 0x0a)) refuse('a note has no control characters');
  utf8(bytes, 'a note');
  const end = bytes.lastIndexOf('\n\n');
  if (bytes.at(-1) !== 0x0a || end < 0) refuse('a note ends with a newline and has an empty line');
  const lines = bytes.subarray(end + 2).toString().split('\n').slice(0, -1);
  if (lines.length < 1 || lines.length > 64) refuse('a note has 1 to 64 signatures');
  const signatures = lines.map((line) => {
    const [, name, encoded] = /^— ([^ ]+) (.*)$/u.exec(line) ?? refuse('that is not a signature line');
    if (!isName(name)) refuse('a signature line has a name that keys do not have');
    const value = base64(encoded, 'a signature');
    if (value.length < 5) refuse('a signature line holds more than an id');
    return { line: `${name}+${value.subarray(0, 4).toString('hex')}`, value: value.subarray(4) };
  });
  return { text: bytes.subarray(0, end + 1), signatures };
}

// Which of the keys signed a note: a map from name+id to the time that is stated.
function verifyNote(note, keys) {
  const known = new Map(keys.map((key) => [key.line, key]));
  const signed = new Map();
  for (const { line, value } of note.signatures) {
    if (!known.has(line)) continue;
    const time = checkSignature(known.get(line), note.text, value);
    if (!signed.has(line)) signed.set(line, time);
  }
  return signed;
}

function parseCheckpoint(text) {
  const lines = text.toString().split('\n').slice(0, -1);
  if (lines.length < 3 || lines.includes('')) refuse('a checkpoint has three lines, and none is empty');
  return { origin: lines[0], size: decimal(lines[1], 'a size'), root: hash32(lines[2], 'a root') };
}

// -- policies -------------------------------------------------------------------------------------------------------

// Octets as text of one character each: names are compared as octets.
const octets = (bytes) => Buffer.from(bytes).toString('latin1');

function parsePolicy(bytes) {
  const policy = { logs: [], witnesses: new Map(), groups: [], quorum: undefined };
  const names = new Set(['none']);
  const free = new Set();
  const define = (name) => {
    if (names.has(name)) refuse('a name is defined once');
    names.add(name);
    free.add(name);
  };
  const keyOf = (text, others, algorithm) => {
    const key = parseKey(Buffer.from(text, 'latin1'));
    if (key.algorithm !== algorithm) refuse('a key is of an algorithm for something else');
    if (others.some((other) => other.public === key.public)) refuse('a key is there once');
    return key;
  };
  const rules = {
    log: ([key, , ...more]) => {
      if (key === undefined || more.length) refuse('a log has a key and an address');
      policy.logs.push(keyOf(key, policy.logs, ED25519));
    },
    witness: ([name, key, , ...more]) => {
      if (key === undefined || more.length) refuse('a witness has a name, a key and an address');
      const found = keyOf(key, [...policy.witnesses.values()], COSIGNATURE);
      define(name);
      policy.witnesses.set(name, found);
    },
    group: ([name, number, ...members]) => {
      if (!members.length) refuse('a group has a name, a number and members');
      for (const member of members) if (!free.delete(member)) refuse('a member is defined above and is one once');
      define(name);
      const words = { all: String(members.length), any: '1' };
      const threshold = Object.hasOwn(words, number) ? words[number] : number;
      if (!/^[1-9][0-9]{0,5}$/.test(threshold) || Number(threshold) > members.length) refuse('that is not a number here');
      policy.groups.push({ name, threshold: Number(threshold), members });
    },
    quorum: ([name, ...more]) => {
      if (name === undefined || more.length || policy.quorum !== undefined) refuse('there is one quorum, with one name');
      if (!names.has(name)) refuse('the quorum is defined above');
      policy.quorum = name;
    },
  };
  if (bytes.length > 1 << 20) refuse('a policy has at most 1 MiB');
  for (const line of octets(bytes).split('\n')) {
    // eslint-disable-next-line no-control-regex
    if (/[\x00-\x08\x0b-\x1f\x7f]/.test(line)) refuse('a policy has no control characters');
    const items = line.split(/[ \t]+/).filter((item) => item !== '');
    if (!items.length || items[0].startsWith('#')) continue;
    if (!Object.hasOwn(rules, items[0])) refuse('that word is not known');
    rules[items[0]](items.slice(1));
  }
  if (policy.quorum === undefined) refuse('a policy has a quorum');
  return policy;
}

function satisfied(policy, cosigned) {
  if (policy.quorum === 'none') return true;
  const there = new Set(cosigned.filter((name) => policy.witnesses.has(name)));
  for (const { name, threshold, members } of policy.groups) {
    if (members.filter((member) => there.has(member)).length >= threshold) there.add(name);
  }
  return there.has(policy.quorum);
}

// -- proofs ---------------------------------------------------------------------------------------------------------

function parseProof(bytes) {
  if (bytes.length > 16 << 20) refuse('a proof has at most 16 MiB');
  const end = bytes.indexOf('\n\n');
  if (end < 0) refuse('a proof has an empty line');
  const lines = utf8(bytes.subarray(0, end), 'a proof').split('\n');
  if (lines.shift() !== 'c2sp.org/tlog-proof@v1') refuse('a proof has another first line');
  const extra = lines[0]?.startsWith('extra ') ? base64(lines.shift().slice(6), 'extra data') : null;
  if (!lines[0]?.startsWith('index ')) refuse('a proof has an index');
  const index = decimal(lines.shift().slice(6), 'an index');
  if (lines.length > 64) refuse('a proof has at most 64 hashes');
  return { extra, index, hashes: lines.map((line) => hash32(line, 'a hash')), checkpoint: bytes.subarray(end + 2) };
}

// RFC 9162, 2.1.3.2.
function checkPath(leafHash, index, size, path, root) {
  if (index >= size) refuse('the index is outside the tree');
  let [fn, sn, r] = [index, size - 1n, leafHash];
  for (const p of path) {
    if (sn === 0n) refuse('the path is too long');
    if (fn & 1n || fn === sn) {
      r = SHA(ONE, p, r);
      while (!(fn & 1n) && fn !== 0n) [fn, sn] = [fn >> 1n, sn >> 1n];
    } else {
      r = SHA(ONE, r, p);
    }
    [fn, sn] = [fn >> 1n, sn >> 1n];
  }
  if (sn !== 0n) refuse('the path is too short');
  if (!r.equals(root)) refuse('the path leads to another root');
}

function verifyReceipt(bytes, leaf, policy) {
  const proof = parseProof(bytes);
  const note = parseNote(proof.checkpoint);
  const checkpoint = parseCheckpoint(note.text);
  const logs = policy.logs.filter((log) => log.name === checkpoint.origin);
  if (!logs.length) refuse('the policy has no such log');
  const signed = verifyNote(note, [...policy.logs, ...policy.witnesses.values()]);
  if (!logs.some((log) => signed.has(log.line))) refuse('the log did not sign');
  const cosigned = [...policy.witnesses].filter(([, key]) => signed.has(key.line));
  if (!satisfied(policy, cosigned.map(([name]) => name))) refuse('the policy is not satisfied');
  const entry = leaf ?? proof.extra ?? refuse('it does not say what it is about');
  checkPath(SHA(ZERO, entry), proof.index, checkpoint.size, proof.hashes, checkpoint.root);
  return {
    origin: checkpoint.origin,
    size: Number(checkpoint.size),
    root: checkpoint.root.toString('hex'),
    index: Number(proof.index),
    cosigned: Object.fromEntries(cosigned.map(([name, key]) => [name, signed.get(key.line)])),
  };
}

// -- evidence of a record -------------------------------------------------------------------------------------------

function hex(text, bytes) {
  if (!new RegExp(`^[0-9a-f]{${bytes * 2}}$`).test(text)) refuse('that is not so many bytes in hexadecimal');
  return Buffer.from(text, 'hex');
}

function verifyRecord(evidence, root) {
  const { version, proof, record } = evidence;
  if (evidence.kind !== 'record-evidence' || evidence.schema !== 1) refuse('it is not evidence of a record');
  if (proof.version !== `dataset-version:${version.dataset}:${version.number}`) refuse('another version');
  if (proof.size !== version.size) refuse('another size');
  if (!(proof.consent >= 0 && proof.consent <= 8)) refuse('that consent state has no meaning');
  const salt = base64(proof.salt, 'the salt');
  if (salt.length !== 16) refuse('a salt has 16 bytes');
  const content = base64(record.content, 'the content');
  const [id, digest] = [hex(proof.id_digest, 32), hex(proof.content_digest, 32)];
  if (!SHA(salt, ZERO, Buffer.from(record.id)).equals(id)) refuse('another id');
  if (!SHA(salt, ONE, content).equals(digest)) refuse('another content');
  const ofSubject = version.leaf_schema === 'pedigree-record/v2';
  if (ofSubject !== Object.hasOwn(proof, 'subject_digest')) refuse('a subject, or none');
  if (record.header !== undefined) {
    const { delimiter, fields } = record.header;
    if (!SHA(JSON.stringify({ delimiter, fields })).equals(hex(version.header, 32))) refuse('other columns');
  }
  const subject = ofSubject ? [hex(proof.subject_digest, 32)] : [];
  const tail = [Buffer.from([proof.consent]), hex(proof.purposes, 8)];
  const leaf = [ofSubject ? TWO : ONE, salt, id, digest, ...subject, ...tail];
  const path = proof.path.map((step) => hex(step, 32));
  checkPath(SHA(ZERO, ...leaf), BigInt(proof.index), BigInt(version.size), path, hex(version.root, 32));
  if (version.root !== root) refuse('another root than the ledger has');
  return { id: record.id, content: content.toString('base64') };
}

module.exports = { Refused, octets, parseKey, parseNote, parsePolicy, satisfied, verifyNote, verifyReceipt, verifyRecord };

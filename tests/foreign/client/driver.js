// SPDX-License-Identifier: Apache-2.0
// The official Node client, one scenario per run: `driver.js SCENARIO` with the network's description on standard
// input; the result goes to standard output as JSON.

'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const { checkpointers, connect, hash, signers } = require('@hyperledger/fabric-gateway');
const { common } = require('@hyperledger/fabric-protos');

const text = (bytes) => Buffer.from(bytes).toString('utf8');
const onlyFile = (folder) => fs.readFileSync(path.join(folder, fs.readdirSync(folder)[0]));

function open(given, { offline = false } = {}) {
    const [key, certificate] = ['client.key', 'client.crt'].map((name) =>
        given.tls_client ? fs.readFileSync(path.join(given.tls_client, name)) : null,
    );
    const credentials = grpc.credentials.createSsl(fs.readFileSync(given.tls_ca), key, certificate);
    const client = new grpc.Client(given.peer, credentials, {
        'grpc.ssl_target_name_override': given.server_name,
        'grpc.default_authority': given.server_name,
        'grpc.max_receive_message_length': 100 * 1024 * 1024,
    });
    const identity = { mspId: given.mspid, credentials: onlyFile(path.join(given.user_msp, 'signcerts')) };
    const signer = signerOf(given);
    const gateway = connect({
        client,
        identity,
        hash: hash.sha256,
        ...(offline ? {} : { signer }),
        // Where mutual TLS is demanded, requests for blocks are bound to the client's certificate.
        ...(certificate ? { tlsClientCertificateHash: hash.sha256(new crypto.X509Certificate(certificate).raw) } : {}),
        evaluateOptions: () => ({ deadline: Date.now() + 10000 }),
        endorseOptions: () => ({ deadline: Date.now() + 20000 }),
        submitOptions: () => ({ deadline: Date.now() + 10000 }),
        commitStatusOptions: () => ({ deadline: Date.now() + 60000 }),
    });
    const network = gateway.getNetwork(given.channel);
    return { client, gateway, network, signer, contract: network.getContract(given.chaincode) };
}

function signerOf(given) {
    const key = crypto.createPrivateKey(onlyFile(path.join(given.user_msp, 'keystore')));
    return signers.newPrivateKeySigner(key);
}

async function take(events, count) {
    const found = [];
    try {
        for await (const event of events) {
            found.push(event);
            if (found.length === count) {
                return found;
            }
        }
        return found;
    } finally {
        events.close();
    }
}

const plain = (event) => ({
    block: Number(event.blockNumber),
    transaction: event.transactionId,
    chaincode: event.chaincodeName,
    name: event.eventName,
    payload: text(event.payload),
});

const failure = (error) => ({
    type: error.constructor.name,
    code: error.code,
    message: error.message,
    transaction: error.transactionId,
    details: (error.details ?? []).map(({ address, mspId, message }) => ({ address, mspId, message })),
});

async function caught(promise) {
    try {
        await promise;
    } catch (error) {
        return failure(error);
    }
    return null;
}

const scenarios = {
    async evaluate({ contract }, { args }) {
        return text(await contract.evaluateTransaction(...args));
    },

    async submit({ contract }, { args }) {
        return text(await contract.submitTransaction(...args));
    },

    async height({ network }, { channel }) {
        const info = await network.getContract('qscc').evaluateTransaction('GetChainInfo', channel);
        return common.BlockchainInfo.deserializeBinary(info).getHeight();
    },

    async stages({ contract }, { args }) {
        const [name, ...rest] = args;
        const proposal = contract.newProposal(name, { arguments: rest });
        const transaction = await proposal.endorse();
        const commit = await transaction.submit();
        const status = await commit.getStatus();
        return {
            result: text(transaction.getResult()),
            sameId: proposal.getTransactionId() === status.transactionId,
            transaction: status.transactionId,
            successful: status.successful,
            code: status.code,
            block: Number(status.blockNumber),
        };
    },

    async transient({ contract }, { args, transientData }) {
        const [name, ...rest] = args;
        return text(await contract.evaluate(name, { arguments: rest, transientData }));
    },

    async private({ contract }, { args, transientData }) {
        const [name, ...rest] = args;
        return text(await contract.submit(name, { arguments: rest, transientData }));
    },

    async targeted({ contract }, { args, organizations }) {
        const [name, ...rest] = args;
        return text(await contract.evaluate(name, { arguments: rest, endorsingOrganizations: organizations }));
    },

    // Read two events, remember where, read on from there with another stream.
    async events({ contract, network }, { chaincode, calls, start }) {
        for (const call of calls) {
            await contract.submitTransaction(...call);
        }
        const checkpointer = checkpointers.inMemory();
        const first = await take(await network.getChaincodeEvents(chaincode, { startBlock: BigInt(start) }), 2);
        for (const event of first) {
            await checkpointer.checkpointChaincodeEvent(event);
        }
        const rest = await take(
            await network.getChaincodeEvents(chaincode, { checkpoint: checkpointer }),
            calls.length - first.length,
        );
        return [...first, ...rest].map(plain);
    },

    async live({ contract, network }, { chaincode, args }) {
        const events = await network.getChaincodeEvents(chaincode);
        const waiting = take(events, 1);
        await new Promise((resolve) => setTimeout(resolve, 500));
        await contract.submitTransaction(...args);
        return (await waiting).map(plain);
    },

    async blocks({ network }, { start, count }) {
        const startBlock = BigInt(start);
        const full = await take(await network.getBlockEvents({ startBlock }), count);
        const filtered = await take(await network.getFilteredBlockEvents({ startBlock }), count);
        const both = await take(await network.getBlockAndPrivateDataEvents({ startBlock }), count);
        return {
            full: full.map((block) => block.getHeader().getNumber()),
            filtered: filtered.map((block) => block.getNumber()),
            codes: filtered.map((block) => block.getFilteredTransactionsList().map((tx) => tx.getTxValidationCode())),
            both: both.map((entry) => entry.getBlock().getHeader().getNumber()),
        };
    },

    // Every message leaves as bytes and comes back with a signature made elsewhere.
    async offline({ gateway, network, contract, signer }, { args, chaincode, start }) {
        const [name, ...rest] = args;
        const proposal = contract.newProposal(name, { arguments: rest });
        const signedProposal = gateway.newSignedProposal(proposal.getBytes(), await signer(proposal.getDigest()));
        const transaction = await signedProposal.endorse();
        const signedTransaction = gateway.newSignedTransaction(
            transaction.getBytes(),
            await signer(transaction.getDigest()),
        );
        const commit = await signedTransaction.submit();
        const signedCommit = gateway.newSignedCommit(commit.getBytes(), await signer(commit.getDigest()));
        const status = await signedCommit.getStatus();
        const request = network.newChaincodeEventsRequest(chaincode, { startBlock: BigInt(start) });
        const signedRequest = gateway.newSignedChaincodeEventsRequest(
            request.getBytes(),
            await signer(request.getDigest()),
        );
        const [event] = await take(await signedRequest.getEvents(), 1);
        const blocks = network.newBlockEventsRequest({ startBlock: BigInt(start) });
        const signedBlocks = gateway.newSignedBlockEventsRequest(
            blocks.getBytes(),
            await signer(blocks.getDigest()),
        );
        const [block] = await take(await signedBlocks.getEvents(), 1);
        return {
            successful: status.successful,
            transaction: status.transactionId,
            event: plain(event),
            block: block.getHeader().getNumber(),
        };
    },

    async errors({ contract }, { evaluated, submitted, insufficient, organizations }) {
        const [name, ...rest] = insufficient;
        const options = { arguments: rest, endorsingOrganizations: organizations };
        return {
            evaluate: await caught(contract.evaluateTransaction(...evaluated)),
            endorse: await caught(contract.submitTransaction(...submitted)),
            commit: await caught(contract.submit(name, options)),
        };
    },

    async conflict({ contract }, { args }) {
        const [name, id, ...values] = args;
        const transactions = [];
        for (const value of values) {
            transactions.push(await contract.newProposal(name, { arguments: [id, value] }).endorse());
        }
        const commits = [];
        for (const transaction of transactions) {
            commits.push(await transaction.submit());
        }
        return Promise.all(commits.map(async (commit) => (await commit.getStatus()).code));
    },
};

async function main() {
    const given = JSON.parse(fs.readFileSync(0, 'utf8'));
    const name = process.argv[2];
    const opened = open(given, { offline: name === 'offline' });
    try {
        console.log(JSON.stringify(await scenarios[name](opened, given)));
    } finally {
        opened.gateway.close();
        opened.client.close();
    }
}

main().catch((error) => {
    console.error(error);
    console.error(JSON.stringify(failure(error)));
    process.exitCode = 1;
});

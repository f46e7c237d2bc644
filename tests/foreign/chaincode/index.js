// SPDX-License-Identifier: Apache-2.0
// Chaincode on the official Node runtime and contract API: what ordinary contracts do, one function each.

'use strict';

const { Contract } = require('fabric-contract-api');
const { KeyEndorsementPolicy } = require('fabric-shim');

const text = (bytes) => Buffer.from(bytes).toString('utf8');

async function collect(results) {
    const found = [];
    for await (const entry of results) {
        found.push([entry.key, text(entry.value)]);
    }
    return found;
}

class Assets extends Contract {
    constructor() {
        super('assets');
    }

    async create(ctx, id, value) {
        const known = await ctx.stub.getState(id);
        if (known.length > 0) {
            throw new Error(`the asset ${id} already exists`);
        }
        await ctx.stub.putState(id, Buffer.from(value));
        ctx.stub.setEvent('Created', Buffer.from(id));
    }

    async read(ctx, id) {
        return text(await ctx.stub.getState(id));
    }

    async update(ctx, id, value) {
        const known = await ctx.stub.getState(id);
        if (known.length === 0) {
            throw new Error(`the asset ${id} does not exist`);
        }
        await ctx.stub.putState(id, Buffer.from(value));
        ctx.stub.setEvent('Updated', Buffer.from(value));
        return text(known);
    }

    async remove(ctx, id) {
        await ctx.stub.deleteState(id);
    }

    async createMany(ctx, prefix, count) {
        for (let number = 0; number < Number(count); number++) {
            await ctx.stub.putState(`${prefix}${String(number).padStart(5, '0')}`, Buffer.from('v'));
        }
    }

    async list(ctx, start, end) {
        return collect(ctx.stub.getStateByRange(start, end));
    }

    async page(ctx, start, end, size, bookmark) {
        const { iterator, metadata } = await ctx.stub.getStateByRangeWithPagination(start, end, Number(size), bookmark);
        const keys = [];
        for (let result = await iterator.next(); !result.done; result = await iterator.next()) {
            keys.push(result.value.key);
        }
        return { keys, fetched: metadata.fetchedRecordsCount, bookmark: metadata.bookmark };
    }

    async history(ctx, id) {
        const found = [];
        for await (const change of ctx.stub.getHistoryForKey(id)) {
            found.push({ transaction: change.txId, value: text(change.value), deleted: change.isDelete });
        }
        return found;
    }

    // Ten requests of one transaction at once; the runtime must queue them.
    async readTenAtOnce(ctx, prefix) {
        const keys = Array.from({ length: 10 }, (_, number) => `${prefix}${String(number).padStart(5, '0')}`);
        return (await Promise.all(keys.map((key) => ctx.stub.getState(key)))).map(text);
    }

    async whisper(ctx, key) {
        return text(ctx.stub.getTransient().get(key));
    }

    async who(ctx) {
        return { msp: ctx.clientIdentity.getMSPID(), peer: ctx.stub.getMspID(), channel: ctx.stub.getChannelID() };
    }

    async hide(ctx, collection, key) {
        await ctx.stub.putPrivateData(collection, key, ctx.stub.getTransient().get('value'));
    }

    async reveal(ctx, collection, key) {
        return text(await ctx.stub.getPrivateData(collection, key));
    }

    async hashOf(ctx, collection, key) {
        return Buffer.from(await ctx.stub.getPrivateDataHash(collection, key)).toString('hex');
    }

    // The contract API counts parameters, so lists come as JSON.
    async guard(ctx, key, mspids) {
        const policy = new KeyEndorsementPolicy();
        policy.addOrgs('PEER', ...JSON.parse(mspids));
        await ctx.stub.setStateValidationParameter(key, policy.getPolicy());
    }

    async call(ctx, chaincode, args) {
        const answer = await ctx.stub.invokeChaincode(chaincode, JSON.parse(args), '');
        return { status: answer.status, payload: text(answer.payload) };
    }
}

module.exports.contracts = [Assets];

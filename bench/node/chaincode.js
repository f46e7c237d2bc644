// SPDX-License-Identifier: Apache-2.0
// The same two functions as bench/chaincode.py, on the official Node runtime, as a service.
'use strict';
const shim = require('fabric-shim');

class Bench {
  async Init() {
    return shim.success();
  }

  async Invoke(stub) {
    const { fcn, params } = stub.getFunctionAndParameters();
    if (fcn === 'put') {
      await stub.putState(params[0], Buffer.from(params[1]));
      return shim.success(Buffer.from(params[1]));
    }
    if (fcn === 'get') {
      return shim.success(await stub.getState(params[0]));
    }
    return shim.error(Buffer.from(`no function ${fcn}`));
  }
}

shim.server(new Bench(), {
  ccid: process.env.CHAINCODE_ID,
  address: process.env.CHAINCODE_SERVER_ADDRESS,
}).start();

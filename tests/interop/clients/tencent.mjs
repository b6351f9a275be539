// An administrator with Tencent Cloud's official Node SDK (its general client), unmodified.
//
// Usage: tencent.mjs PORT SECRETID SECRETKEY POST|GET
//
// Lines in and out as in tencent.py.

import { createInterface } from 'node:readline';
import tencentcloud from 'tencentcloud-sdk-nodejs-common';

const [port, secretId, secretKey, reqMethod] = process.argv.slice(2);

function client(order) {
  return new tencentcloud.CommonClient(`127.0.0.1:${port}`, '2019-07-22', {
    credential: { secretId, secretKey: order.secretKey ?? secretKey, token: order.token },
    region: 'ap-singapore',
    profile: { httpProfile: { reqMethod, protocol: 'http://', endpoint: `127.0.0.1:${port}`, reqTimeout: 60 } },
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  let answer;
  try {
    answer = { ok: await client(order).request(order.action, order.params) };
  } catch (error) {
    answer = { code: error.code, message: error.message, requestId: error.requestId };
  }
  console.log(JSON.stringify(answer));
}

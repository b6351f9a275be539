"""An administrator with Tencent Cloud's official Python SDK, unmodified.

Usage: tencent.py PORT SECRETID SECRETKEY POST|GET

Takes one JSON object a line, `{"action": "RemoveUser", "params": {…}}`, calls that action through the SDK's own request
model (through its general call where the SDK does not know the action or the request says `"general": true`), and answers
with one JSON object a line: `{"ok": {…}}`, or `{"code": …, "message": …, "requestId": …}` of the exception that came.
"""

import json
import os
import sys

from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.trtc.v20190722 import models, trtc_client

port, secret_id, secret_key, method = sys.argv[1:5]
# The SDK would send requests for this machine through a proxy.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = f"127.0.0.1,127.0.0.1:{port}"
http = HttpProfile(protocol="http", endpoint=f"127.0.0.1:{port}", reqMethod=method, reqTimeout=60)


def client(order):
    profile = ClientProfile(httpProfile=http)
    profile.unsignedPayload = order.get("unsignedPayload", False)
    key = credential.Credential(secret_id, order.get("secretKey", secret_key), order.get("token"))
    return trtc_client.TrtcClient(key, "ap-singapore", profile)


def call(order):
    action, params = order["action"], order["params"]
    model = getattr(models, f"{action}Request", None)
    if model is None or order.get("general"):
        return client(order).call_json(action, params)["Response"]
    request = model()
    request._deserialize(params)
    return json.loads(getattr(client(order), action)(request).to_json_string())


for line in sys.stdin:
    try:
        answer = {"ok": call(json.loads(line))}
    except TencentCloudSDKException as error:
        answer = {"code": error.code, "message": error.message, "requestId": error.requestId}
    print(json.dumps(answer), flush=True)

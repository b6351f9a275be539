"""A receiver of LiveKit's webhooks out of the official Python server SDK (PyPI `livekit-api`).

Usage: receiver.py KEY SECRET

Writes `{"port": N}`, then one JSON object for each request: the event as the SDK reads it, or `{"refused": "why"}`.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from google.protobuf import json_format
from livekit import api

receiver = api.WebhookReceiver(api.TokenVerifier(*sys.argv[1:3]))


def report(line):
    print(json.dumps(line), flush=True)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        try:
            assert self.headers["Content-Type"] == "application/webhook+json", self.headers["Content-Type"]
            event = receiver.receive(body, self.headers["Authorization"])
        except Exception as error:
            report({"refused": f"{type(error).__name__}: {error}"})
            self.send_response(401)
        else:
            report(json_format.MessageToDict(event))
            self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
report({"port": server.server_port})
server.serve_forever()

"""Behave like a llama-server that loads nothing: same flags, same endpoints, and faults on order.

Orders lie beside the model in ``<model>.json``: ``load_s``, ``exits`` (list of exit codes of successive starts, null
for a good one, negative for a signal), ``say`` (printed before an exit), ``ignore_term``, ``chat_s``, ``refuse_flag``.
A file ``<model>.sick`` makes /health fail while it is there. Each start is counted in ``<model>.starts``.
"""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

flags = dict(zip(sys.argv[1:], sys.argv[2:], strict=False))
model = Path(flags["--model"])
orders_file = model.with_name(model.name + ".json")
orders = json.loads(orders_file.read_text()) if orders_file.exists() else {}
starts = model.with_name(model.name + ".starts")
with starts.open("a") as file:
    file.write(json.dumps({"argv": sys.argv[1:], "env": sorted(os.environ)}) + "\n")
number = len(starts.read_text().splitlines()) - 1
key = os.environ["LLAMA_API_KEY"]
print(f"fake server for {model.name}", flush=True)

refused = orders.get("refuse_flag")
if refused in sys.argv:
    sys.exit(print(f"error: invalid argument: {refused}", flush=True) or 1)
if orders.get("ignore_term"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

ready_at = time.monotonic() + orders.get("load_s", 0.0)


def answer(handler, status, body):
    data = json.dumps(body).encode() if not isinstance(body, bytes) else body
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        return

    def do_GET(self):
        if self.path == "/health":
            if time.monotonic() < ready_at:
                answer(self, 503, {"error": {"message": "Loading model"}})
            elif model.with_name(model.name + ".sick").exists():
                answer(self, 500, {"error": "sick"})
            else:
                answer(self, 200, {"status": "ok"})
        elif self.headers.get("Authorization") != f"Bearer {key}":
            answer(self, 401, {"error": "key"})
        elif self.path == "/metrics":
            answer(self, 200, b'# HELP x\nllamacpp:requests_processing 1\nllamacpp:tokens{a="b"} 2\n')
        else:
            answer(self, 200, {})

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(orders.get("chat_s", 0.0))
        answer(self, 200, {"model": flags["--alias"], "port": flags["--port"]})


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


exits = orders.get("exits", [])
ending = exits[number] if number < len(exits) else None
if ending is not None:
    time.sleep(orders.get("load_s", 0.0))
    print(orders.get("say", "something went wrong"), flush=True)
    if ending < 0:
        os.kill(os.getpid(), -ending)
    sys.exit(ending)
try:
    server = Server(("127.0.0.1", int(flags["--port"])), Handler)
except OSError:
    print("couldn't bind HTTP server socket", flush=True)
    sys.exit(1)
server.serve_forever()

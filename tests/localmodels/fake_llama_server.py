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
from typing import Any, NoReturn

flags = dict(zip(sys.argv[1:], sys.argv[2:], strict=False))
model = Path(flags["--model"])
orders_file = model.with_name(model.name + ".json")
orders: dict[str, Any] = json.loads(orders_file.read_text()) if orders_file.exists() else {}
starts = model.with_name(model.name + ".starts")
with starts.open("a") as journal:
    journal.write(json.dumps({"argv": sys.argv[1:], "env": sorted(os.environ)}) + "\n")
number = len(starts.read_text().splitlines()) - 1
key = os.environ["LLAMA_API_KEY"]
ready_at = time.monotonic() + orders.get("load_s", 0.0)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def end(code: int, line: str) -> NoReturn:
    say(line)
    if code < 0:
        os.kill(os.getpid(), -code)
    sys.exit(code)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        del format, args

    def answer(self, status: int, body: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        if self.path == "/health":
            if time.monotonic() < ready_at:
                self.answer(503, {"error": {"message": "Loading model"}})
            elif model.with_name(model.name + ".sick").exists():
                self.answer(500, {"error": "sick"})
            else:
                self.answer(200, {"status": "ok"})
        elif self.headers.get("Authorization") != f"Bearer {key}":
            self.answer(401, {"error": "key"})
        elif self.path == "/metrics":
            self.answer(200, b'# HELP x\nllamacpp:requests_processing 1\nllamacpp:tokens{a="b"} 2\n')
        else:
            self.answer(200, {})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(orders.get("chat_s", 0.0))
        self.answer(200, {"model": flags["--alias"], "port": flags["--port"]})


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


say(f"fake server for {model.name}")
refused = orders.get("refuse_flag")
if refused in sys.argv:
    end(1, f"error: invalid argument: {refused}")
if orders.get("ignore_term"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
exits: list[int | None] = orders.get("exits", [])
ending = exits[number] if number < len(exits) else None
if ending is not None:
    time.sleep(orders.get("load_s", 0.0))
    end(ending, orders.get("say", "something went wrong"))
try:
    server = Server(("127.0.0.1", int(flags["--port"])), Handler)
except OSError:
    end(1, "couldn't bind HTTP server socket")
server.serve_forever()

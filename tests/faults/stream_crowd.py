"""Both ends of a crowd of slow streams, each a process of its own so that neither measures the relay between them.

``python stream_crowd.py serve COUNT CHUNKS INTERVAL_MS`` answers every request with numbered chunks, the first at once
and the others when COUNT requests are there; ``python stream_crowd.py call COUNT CHUNKS PORT KEY MODEL`` makes COUNT
streamed calls at once and prints how they went.
"""

import asyncio
import json
import re
import resource
import sys

import uvloop

_CONNECTING = 200
_NUMBER = re.compile(rb'"content":"(\d+) "')
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def say(**words: object) -> None:
    """Print one line for whoever started this."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def _piece(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _chunk(delta: bytes, reason: bytes = b"null") -> bytes:
    return _piece(
        b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
        b'%s,"finish_reason":%s}]}\n\n' % (delta, reason)
    )


_LAST = _chunk(b"{}", b'"stop"') + _piece(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Service:
    """The far end."""

    def __init__(self, count: int, chunks: int, interval_s: float) -> None:
        self._count, self._chunks, self._interval_s = count, chunks, interval_s
        self._here = 0
        self._complete = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        writer.write(_HEAD + _chunk(b'{"content":"0 "}'))
        self._here += 1
        if self._here == self._count:
            say(here=self._here)
            self._complete.set()
        await self._complete.wait()
        for number in range(1, self._chunks):
            await asyncio.sleep(self._interval_s)
            writer.write(_chunk(b'{"content":"%d "}' % number))
        writer.write(_LAST)
        await writer.drain()
        writer.close()


async def serve(count: int, chunks: int, interval_ms: float) -> None:
    """Serve until ended."""
    service = Service(count, chunks, interval_ms / 1000)
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0, backlog=4096)
    say(port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def call(count: int, chunks: int, port: int, key: str, model: str) -> None:
    """Make the calls and say how many of them got every chunk, in order, and a proper end."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": True})
    request = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    ).encode()
    few = asyncio.Semaphore(_CONNECTING)
    wanted = [b"%d" % number for number in range(chunks)]

    async def one() -> str:
        async with few:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            status = await reader.readline()
        raw = await reader.read()
        writer.close()
        if b" 200 " not in status:
            return f"{status!r} {raw[-300:]!r}"
        if _NUMBER.findall(raw) != wanted:
            return f"chunks {_NUMBER.findall(raw)}"
        return "whole" if b"data: [DONE]\n\n" in raw and raw.endswith(b"0\r\n\r\n") else f"ended with {raw[-300:]!r}"

    outcomes = await asyncio.gather(*(one() for _ in range(count)), return_exceptions=True)
    told = [outcome if isinstance(outcome, str) else repr(outcome) for outcome in outcomes]
    say(whole=told.count("whole"), others=sorted({words for words in told if words != "whole"})[:5])


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    role, *words = sys.argv[1:]
    if role == "serve":
        uvloop.run(serve(int(words[0]), int(words[1]), float(words[2])))
    else:
        uvloop.run(call(int(words[0]), int(words[1]), int(words[2]), words[3], words[4]))

"""A model service that costs next to nothing: canned bytes, plain or as a slow stream, from one asyncio protocol.

``python relay_upstream.py PORT CHUNKS INTERVAL_MS``
"""

import asyncio
import sys
from typing import cast

import uvloop

ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"' + b"word " * 60 + b'"},"logprobs":null,"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":20,"completion_tokens":60,"total_tokens":80}}'
)
PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)
CHUNK = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'
    b'"delta":{"content":"word "},"logprobs":null,"finish_reason":null}]}\n\n'
)
LAST_CHUNK = CHUNK.replace(b'"delta":{"content":"word "}', b'"delta":{}').replace(b":null}]", b':"stop"}]')
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _piece(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


EVENT, LAST = _piece(CHUNK), _piece(LAST_CHUNK) + _piece(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Service(asyncio.Protocol):
    """Answers each request on its connection."""

    def __init__(self, chunks: int, interval_s: float) -> None:
        self._chunks = chunks
        self._interval_s = interval_s
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            if at >= 0:
                start, length, rest = end + 4, int(head[at + 15 :].split(b"\r\n", 1)[0]), 0
            else:  # in chunks, as some peers send it; looked through as it is
                stop = self._buffer.find(b"\r\n0\r\n\r\n", end)
                start, length, rest = end + 4, (stop if stop >= 0 else len(self._buffer)) - end - 4, 7
            if len(self._buffer) < start + length + rest:
                return
            body = self._buffer[start : start + length]
            self._buffer = self._buffer[start + length + rest :]
            if b'"stream":true' in body or b'"stream": true' in body:
                self._transport.write(HEAD)
                self._tick(self._chunks)
            else:
                self._transport.write(PLAIN)

    def _tick(self, left: int) -> None:
        if self._transport.is_closing():
            return
        if not left:
            self._transport.write(LAST)
            return
        self._transport.write(EVENT)
        asyncio.get_running_loop().call_later(self._interval_s, self._tick, left - 1)


async def main(port: int, chunks: int, interval_ms: float) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Service(chunks, interval_ms / 1000), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))

"""Open the WebSocket of a running server, ask for topics, and say what it answers; with Python alone.

Usage: smoke_socket.py URL TOKEN. Ends with 1 when an answer is not the expected one.
"""

import base64
import json
import os
import socket
import sys
from urllib.parse import urlsplit

PATIENCE_S = 10.0


def opened(url: str, token: str) -> socket.socket:
    """Return a connection whose handshake (RFC 6455, section 4) was answered by 101."""
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname or "", address.port or 80), PATIENCE_S)
    lines = [
        "GET /api/v1/ws HTTP/1.1",
        f"Host: {address.netloc}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        f"Sec-WebSocket-Protocol: tidemill.v1, bearer.{token}",
    ]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += exactly(connection, 1)
    if not head.startswith(b"HTTP/1.1 101 "):
        raise SystemExit(head.decode())
    return connection


def exactly(connection: socket.socket, count: int) -> bytes:
    """Read ``count`` bytes. Raises SystemExit when the other end has closed."""
    found = b""
    while len(found) < count:
        more = connection.recv(count - len(found))
        if not more:
            raise SystemExit("the server closed the connection")
        found += more
    return found


def say(connection: socket.socket, **frame: object) -> None:
    """Send a text frame of at most 125 bytes, masked by zeros."""
    text = json.dumps({"v": 1, **frame}).encode()
    connection.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)


def heard(connection: socket.socket, kind: str) -> None:
    """Print the next frame; raises SystemExit unless it is of type ``kind``."""
    _, length = exactly(connection, 2)
    if length > 125:  # noqa: PLR2004 - the longer form of a length
        length = int.from_bytes(exactly(connection, 2), "big")
    frame = json.loads(exactly(connection, length))
    print(frame)
    if frame["type"] != kind:
        raise SystemExit(f"{kind} was expected")


def main(url: str, token: str) -> None:
    """Go through one conversation."""
    with opened(url, token) as connection:
        heard(connection, "ready")
        say(connection, type="subscribe", id="1", data={"topics": ["jobs"]})
        heard(connection, "subscribed")
        say(connection, type="ping", id="2")
        heard(connection, "pong")


if __name__ == "__main__":
    main(*sys.argv[1:])

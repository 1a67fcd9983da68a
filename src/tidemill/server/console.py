"""The built console, served from memory of its file list: hashed assets forever, the page itself never cached."""

import asyncio
import mimetypes
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

FOLDER = Path(__file__).parent / "console"

# The page's own scripts and styles only; inline styles are what charts and virtual lists position with.
_POLICY = (
    b"default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    b"connect-src 'self'; font-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    b"frame-ancestors 'none'"
)
_MISSING = (
    b"<!doctype html><meta charset=utf-8><title>tidemill</title><p>The console has not been built. "
    b"Run <code>make setup</code>, then start the server again.</p><p>"
    + "控制台尚未构建。请运行 <code>make setup</code> 后重新启动。</p>".encode()
)

_TYPES = {".js": "text/javascript", ".woff2": "font/woff2", ".webmanifest": "application/manifest+json"}


class _File(Struct, frozen=True):
    path: Path
    size: int
    media_type: str


class Console:
    """Serves the files below ``folder``; any other path gets the page, whose router knows the way."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {"/" + path.relative_to(folder).as_posix(): _file(path) for path in _below(folder)}

    async def __call__(
        self, scope: dict[str, Any], receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        """Answer GET and HEAD."""
        del receive
        if scope["method"] not in ("GET", "HEAD"):
            await _send(send, 405, b"", b"text/plain", [(b"allow", b"GET, HEAD")], head=False)
            return
        path: str = scope["path"]
        head = scope["method"] == "HEAD"
        file = self._files.get(path)
        if file is None and "." in path.rsplit("/", 1)[-1]:
            await _send(send, 404, b"not found", b"text/plain", [], head=head)
            return
        page = file is None or path == "/index.html"
        file = file or self._files.get("/index.html")
        headers = [(b"content-security-policy", _POLICY)]
        if file is None:
            await _send(send, 200, _MISSING, b"text/html; charset=utf-8", headers, head=head)
            return
        kept = b"no-cache" if page or not path.startswith("/assets/") else b"public, max-age=31536000, immutable"
        body = b"" if head else await asyncio.to_thread(file.path.read_bytes)
        length = file.size if head else len(body)
        await _send(send, 200, body, file.media_type.encode(), [*headers, (b"cache-control", kept)], length, head=head)


def _below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []


def _file(path: Path) -> _File:
    guessed = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    charset = "; charset=utf-8" if guessed.startswith("text/") else ""
    return _File(path, path.stat().st_size, guessed + charset)


async def _send(
    send: Callable[[dict[str, Any]], Awaitable[None]],
    status: int,
    body: bytes,
    media_type: bytes,
    headers: list[tuple[bytes, bytes]],
    length: int | None = None,
    *,
    head: bool,
) -> None:
    size = len(body) if length is None else length
    start = [(b"content-type", media_type), (b"content-length", b"%d" % size), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": b"" if head else body})

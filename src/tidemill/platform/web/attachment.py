"""Answers that a browser saves as a file."""

from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote

from litestar.response import Stream


def attachment(
    filename: str, media_type: str, parts: AsyncIterator[bytes], headers: Mapping[str, str] | None = None
) -> Stream:
    """Stream a file to be saved under its name, in whatever script that is (RFC 6266)."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in filename)
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
    return Stream(parts, media_type=media_type, headers={"content-disposition": disposition, **(headers or {})})

"""The model's name in a multipart form (RFC 7578), read and replaced without touching another byte.

A form carries a sound of up to many megabytes; it is searched, never taken apart.
"""

import re

_BOUNDARY = re.compile(r'multipart/form-data\s*;.*?boundary="?([^";\s]{1,70})"?', re.IGNORECASE)
_MODEL = re.compile(rb'content-disposition:[^\r\n]*;\s*name="?model"?\s*(?:;|\r\n)', re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"
_MAX_HEAD_BYTES = 4096


def model_in(body: bytes, content_type: str) -> str | None:
    """Return the value of the field ``model``; None when this is no form or holds none."""
    place = _place(body, content_type)
    if place is None:
        return None
    try:
        return body[place[0] : place[1]].decode().strip()
    except UnicodeDecodeError:
        return None


def with_model(body: bytes, content_type: str, model: str) -> bytes:
    """Return the form with another ``model``; unchanged when it holds none."""
    place = _place(body, content_type)
    return body if place is None else body[: place[0]] + model.encode() + body[place[1] :]


def _place(body: bytes, content_type: str) -> tuple[int, int] | None:
    found = _BOUNDARY.match(content_type.strip())
    if found is None:
        return None
    mark = b"--" + found.group(1).encode()
    at = body.find(mark)
    while at >= 0:
        head_from = at + len(mark)
        head_to = body.find(_HEAD_END, head_from, head_from + _MAX_HEAD_BYTES)
        if head_to < 0:
            return None
        value_to = body.find(b"\r\n" + mark, head_to + 2)
        if value_to < 0:
            return None
        if _MODEL.search(body, head_from, head_to + 2):
            return head_to + len(_HEAD_END), value_to
        at = value_to + 2
    return None

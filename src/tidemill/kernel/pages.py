"""Pages of lists: numbered for small ones, keyset cursors for any depth."""

import base64
import binascii
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from tidemill.kernel.errors import BadInput

T = TypeVar("T")

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 200
MAX_PAGE = 1_000_000_000
_MAX_ID = 2**63 - 1


class PageRequest(Struct, frozen=True):
    """Which page the caller wants. ``cursor`` wins over ``page``."""

    page: int = 1
    page_size: int = DEFAULT_PAGE_SIZE
    cursor: str | None = None

    @classmethod
    def checked(cls, page: int = 1, page_size: int = DEFAULT_PAGE_SIZE, cursor: str | None = None) -> "PageRequest":
        """Build one from a caller's numbers; raises BadInput naming the field that is out of range."""
        if not 1 <= page <= MAX_PAGE:
            raise BadInput.of("page", f"must be between 1 and {MAX_PAGE}")
        if not 1 <= page_size <= MAX_PAGE_SIZE:
            raise BadInput.of("page_size", f"must be between 1 and {MAX_PAGE_SIZE}")
        return cls(page, page_size, cursor or None)

    @property
    def offset(self) -> int:
        """Rows before this page when it is numbered."""
        return (self.page - 1) * self.page_size


class Page(Struct, Generic[T], frozen=True):
    """One page of a list; ``next`` is the cursor of the page after it, None at the end."""

    items: list[T]
    total: int | None = None
    page: int = 1
    page_size: int = DEFAULT_PAGE_SIZE
    next: str | None = None


def encode_cursor(*parts: Any) -> str:
    """Pack the sort key of a page's last row into an opaque, URL-safe text."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).rstrip(b"=").decode()


def decode_cursor(text: str, count: int) -> tuple[Any, ...]:
    """Unpack a cursor of ``count`` parts; raises BadInput naming ``cursor`` when it is not one of ours."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        parts = msgspec.json.decode(raw, type=list[Any])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise BadInput.of("cursor", "is not a cursor of this list; take `next` from the page before") from None
    if len(parts) != count:
        raise BadInput.of("cursor", "belongs to another list or sort order; start without one")
    return tuple(parts)


def decode_id_cursor(text: str) -> int:
    """Unpack a cursor that is one row's whole-number id; raises BadInput naming ``cursor``."""
    (value,) = decode_cursor(text, 1)
    if not isinstance(value, int) or not 0 <= value <= _MAX_ID:
        raise BadInput.of("cursor", "is not a cursor of this list; take `next` from the page before")
    return value

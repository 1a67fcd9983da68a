"""The shapes of answers: the envelope of ``/api``, the plain lists of ``/api/v1``."""

from typing import Generic, TypeVar

from msgspec import UNSET, Struct, UnsetType

from tidemill.kernel.pages import Page

T = TypeVar("T")


class Envelope(Struct, Generic[T]):
    """Every success of ``/api``: HTTP 200, ``code`` 200, the thing itself in ``data``."""

    data: T | None = None
    message: str = "success"
    code: int = 200


class ListData(Struct, Generic[T]):
    """A list inside an envelope."""

    items: list[T]
    total: int | None
    page: int
    page_size: int
    next: str | None


class RestList(Struct, Generic[T]):
    """A list of ``/api/v1``."""

    items: list[T]
    next: str | None = None
    total: int | UnsetType = UNSET


def ok(data: T, message: str = "success") -> Envelope[T]:
    """Wrap ``data`` into the envelope."""
    return Envelope(data, message)


def list_data(page: Page[T]) -> Envelope[ListData[T]]:
    """Wrap a page into the envelope."""
    return Envelope(ListData(page.items, page.total, page.page, page.page_size, page.next))


def rest_list(page: Page[T]) -> RestList[T]:
    """Give a page the plain form."""
    return RestList(page.items, page.next, UNSET if page.total is None else page.total)

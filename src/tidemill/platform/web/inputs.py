"""What routes take from a request beyond their declared parameters."""

from typing import Annotated, Any

from litestar import Request
from litestar.params import QueryParameter

from tidemill.kernel.actor import Actor
from tidemill.kernel.lang import Lang
from tidemill.kernel.pages import DEFAULT_PAGE_SIZE, PageRequest
from tidemill.platform.web.faults import language
from tidemill.platform.web.guards import actor_of

PageNumber = Annotated[int, QueryParameter(description="Page of a small list, from 1.")]
PageSize = Annotated[int, QueryParameter(description="Entries a page, at most 200.")]
Cursor = Annotated[str | None, QueryParameter(description="`next` of the page before; wins over `page`.")]


def provide_actor(request: Request[Any, Any, Any]) -> Actor:
    """Give a route its caller."""
    return actor_of(request)


def provide_lang(request: Request[Any, Any, Any]) -> Lang:
    """Give a route the caller's language."""
    return language(request.scope["path"], request.headers.get("accept-language"))


def provide_page(page: int = 1, page_size: int = DEFAULT_PAGE_SIZE, cursor: str | None = None) -> PageRequest:
    """Give a route the page that its caller wants."""
    return PageRequest.checked(page, page_size, cursor)


def client_address(request: Request[Any, Any, Any]) -> str | None:
    """Return the caller's address as the server resolved it (see ``server.trusted_proxies``)."""
    return request.client.host if request.client else None

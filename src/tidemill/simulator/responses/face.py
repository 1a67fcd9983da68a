"""The routes of the Responses API, with and without ``/v1``."""

from tidemill.simulator.exchange import Exchange
from tidemill.simulator.face import Refusal, Route
from tidemill.simulator.openai import errors
from tidemill.simulator.openai.errors import bad
from tidemill.simulator.openai.face import bearer, check_key, models_route
from tidemill.simulator.peek import model_in
from tidemill.simulator.responses.answering import Answering
from tidemill.simulator.responses.reading import Stored

_PREFIX = "/responses"
_COUNT = f"{_PREFIX}/input_tokens"
_COMPACT = f"{_PREFIX}/compact"
_ITEMS = "/input_items"


class ResponsesFace:
    """OpenAI as a provider of responses alone."""

    def __init__(self, keep: int) -> None:
        self._answering = Answering(keep)
        self._create = Route(self._answering.create, _PREFIX)
        self._count = Route(self._answering.count, _COUNT)
        self._compact = Route(self._answering.compact, _COMPACT)
        self._retrieve = Route(self._show, f"{_PREFIX}/{{id}}", is_light=True)
        self._delete = Route(self._drop, f"{_PREFIX}/{{id}}", is_light=True)
        self._list = Route(self._inputs, f"{_PREFIX}/{{id}}{_ITEMS}", is_light=True)

    def route(self, exchange: Exchange) -> Route | None:
        """Return how to answer, None for an address that is not there."""
        name = exchange.path.removeprefix("/v1")
        if exchange.method == "POST":
            exchange.model = model_in(exchange.data)
            posts = {_PREFIX: self._create, _COUNT: self._count, _COMPACT: self._compact}
            return posts.get(name)
        if name.startswith(f"{_PREFIX}/"):
            if exchange.method == "DELETE":
                return self._delete
            if exchange.method == "GET":
                return self._list if name.endswith(_ITEMS) else self._retrieve
            return None
        return models_route(exchange, name)

    async def _show(self, exchange: Exchange) -> None:
        await exchange.json(200, self._stored(exchange).response)

    async def _drop(self, exchange: Exchange) -> None:
        name = self._stored(exchange).response["id"]
        self._answering.store.drop(name)
        await exchange.json(200, {"id": name, "object": "response", "deleted": True})

    async def _inputs(self, exchange: Exchange) -> None:
        own = self._stored(exchange).own_input
        data = [{"id": f"msg_{at}", **item} for at, item in enumerate(own)]
        ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": "", "last_id": ""}
        await exchange.json(200, {"object": "list", "data": data, **ends, "has_more": False})

    def _stored(self, exchange: Exchange) -> Stored:
        name = exchange.path.removeprefix("/v1").removeprefix(f"{_PREFIX}/").removesuffix(_ITEMS)
        stored = self._answering.store.get(name)
        if stored is None:
            raise bad(f"Response with id '{name}' not found.", status=404)
        return stored

    def key(self, exchange: Exchange) -> str:
        """Return the bearer token."""
        return bearer(exchange)

    def admit(self, exchange: Exchange) -> None:
        """Raise Refused for a wrong key."""
        check_key(exchange)

    def refusal(self, word: str, message: str = "", retry_after_s: float | None = None) -> Refusal:
        """Return OpenAI's error for a status or a kind of fault."""
        return errors.refusal(word, message, retry_after_s)

    def failure(self, word: str) -> bytes:
        """Return the same error as an event; a stream that has begun words it with its own numbers."""
        return errors.failure(word)

"""Keep embeddings by their text: of a request only the inputs that are not known yet go to a service.

An embedding is the same for everybody, so what one user paid for serves all. It is kept exactly as the service wrote
it, in floats or in base64; the key is a keyed hash of the input and of every field that could change it.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from msgspec import Raw

from tidemill.platform.cache import Cache
from tidemill.relay.caching.answers import Call, HashOf
from tidemill.relay.caching.kept import deflated, inflated
from tidemill.relay.caching.question import canonical
from tidemill.relay.caching.sinks import Outlet, mark
from tidemill.relay.errors import UpstreamFailed
from tidemill.relay.pipeline.ask import Ask, Headers, Reading
from tidemill.relay.pipeline.record import Record
from tidemill.relay.pipeline.sinks import CollectingSink
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.openai_chat import Body, read_body
from tidemill.wire.tokens import NOTHING

# What does not change a vector, and what the key holds by itself.
_APART = frozenset({"input", "model", "user"})
_INDEX = "index"
_IN_THREAD_FROM = 64 * 1024
_JSON = (b"content-type", b"application/json")

_bodies = msgspec.json.Decoder(list[Body])


class VectorCache:
    """Finds and keeps embeddings for ``ttl_s`` seconds.

    ``upstream_of`` returns the one name that all channels of a model know it by, None where they differ: then two
    calls may mean two models, and nothing is kept.
    """

    def __init__(
        self, cache: Cache, hash_of: HashOf, *, upstream_of: Callable[[str], str | None], ttl_s: float
    ) -> None:
        self._cache = cache
        self._hash_of = hash_of
        self._upstream_of = upstream_of
        self._ttl_s = ttl_s

    async def answer(self, ask: Ask, outlet: Outlet, record: Record, call: Call) -> bool:
        """Answer a request for embeddings; False, and nothing done, when it is none that can be kept.

        Raises what ``call`` raises, and UpstreamFailed when a service answers with other inputs than it was sent.
        """
        upstream, inputs = self._upstream_of(ask.model), _inputs(ask)
        fields = canonical(ask.body, _APART)
        if upstream is None or inputs is None or fields is None or ask.channel_id is not None:
            return False
        keys = [f"vector:{self._hash_of(_said(ask.model, upstream, fields, text))}" for text in inputs]
        found = await self._find(keys)
        missing = {key: text for key, text in zip(keys, inputs, strict=True) if key not in found}
        if not missing:
            await self._give(ask, [found[key] for key in keys], outlet, record)
            return True
        answer = CollectingSink()
        whole = len(missing) == len(keys)
        narrowed = ask if whole else _narrowed(ask, missing.values())
        record.asks(narrowed)
        await call(narrowed, answer)
        fresh = _items(answer.body, len(missing))
        if fresh is None and not whole:
            raise UpstreamFailed("the answer holds other embeddings than were asked for")
        body = answer.body
        if fresh is not None:
            made = dict(zip(missing, fresh, strict=True))
            if not whole:
                known = {**found, **made}
                body = _answer(read_body(body), [known[key] for key in keys])
            if self._upstream_of(ask.model) == upstream:
                await self._keep(made)
        word = mark(b"partial" if found else b"miss")
        await _send(outlet, [*_own(answer.headers), word], body)
        return True

    async def _give(self, ask: Ask, items: Sequence[Body], outlet: Outlet, record: Record) -> None:
        record.cached = True
        record.usage = NOTHING
        record.first_token()
        record.settle()
        fields: Body = {
            "object": Raw(b'"list"'),
            "model": Raw(msgspec.json.encode(ask.model)),
            "usage": Raw(b'{"prompt_tokens":0,"total_tokens":0}'),
        }
        await _send(outlet, [_JSON, mark(b"hit")], _answer(fields, items))

    async def _find(self, keys: Sequence[str]) -> dict[str, Body]:
        values = await self._cache.get_many(keys)
        packed = {key: value for key, value in zip(keys, values, strict=True) if value is not None}
        large = sum(map(len, packed.values())) > _IN_THREAD_FROM
        return await asyncio.to_thread(_opened, packed) if large else _opened(packed)

    async def _keep(self, items: Mapping[str, Body]) -> None:
        large = sum(len(memoryview(raw)) for item in items.values() for raw in item.values()) > _IN_THREAD_FROM
        packed = await asyncio.to_thread(_closed, items) if large else _closed(items)
        await self._cache.put_many(packed, ttl_s=self._ttl_s)


def _said(model: str, upstream: str, fields: str, text: str) -> str:
    return f"{msgspec.json.encode(['vector', model, upstream]).decode()}\n{fields}\n{text}"


def _inputs(ask: Ask) -> list[str] | None:
    """Return each input as JSON text: a text, or a list of tokens."""
    if ask.dialect is not Dialect.OPENAI_CHAT or ask.content_type is not None:
        return None
    try:
        given = msgspec.json.decode(ask.body.get("input", Raw(b"null")))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    match given:
        case str():
            several = [given]
        case [int(), *_]:
            several = [given]
        case [_, *_] if all(isinstance(each, str | list) for each in given):
            several = given
        case _:
            return None  # the service says what is wrong with it
    return [msgspec.json.encode(each).decode() for each in several]


def _narrowed(ask: Ask, texts: Iterable[str]) -> Ask:
    body = {**ask.body, "input": Raw(f"[{','.join(texts)}]".encode())}
    return msgspec.structs.replace(ask, body=body, raw=None, reading=Reading())


def _items(body: bytes, count: int) -> list[Body] | None:
    """Return the ``count`` embeddings of an answer in the order of their inputs, without their numbers."""
    try:
        items = _bodies.decode(read_body(body)["data"])
        order = [msgspec.json.decode(item[_INDEX], type=int) for item in items]
    except (msgspec.MsgspecError, UnicodeError, RecursionError, KeyError):
        return None
    if sorted(order) != list(range(count)) or not all("embedding" in item for item in items):
        return None
    placed = {index: _without_index(item) for index, item in zip(order, items, strict=True)}
    return [placed[index] for index in range(count)]


def _without_index(item: Body) -> Body:
    return {name: raw for name, raw in item.items() if name != _INDEX}


def _answer(fields: Body, items: Sequence[Body]) -> bytes:
    numbered = [{**item, _INDEX: Raw(b"%d" % index)} for index, item in enumerate(items)]
    return msgspec.json.encode({**fields, "data": numbered})


def _opened(packed: Mapping[str, bytes]) -> dict[str, Body]:
    opened: dict[str, Body] = {}
    for key, value in packed.items():
        data = inflated(value)
        if data is not None:
            opened[key] = read_body(data)
    return opened


def _closed(items: Mapping[str, Body]) -> dict[str, bytes]:
    return {key: deflated(msgspec.json.encode(item)) for key, item in items.items()}


def _own(headers: Mapping[bytes, bytes]) -> Headers:
    return [pair for pair in headers.items() if pair[0] != b"content-length"]


async def _send(outlet: Outlet, headers: Headers, body: bytes) -> None:
    await outlet.start([*headers, (b"content-length", b"%d" % len(body))])
    await outlet.end(body)

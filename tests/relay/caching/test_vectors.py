"""Of a request for embeddings only what is not known goes to a service; what comes back is as if all had gone."""

import base64
import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.relay.conftest import Start
from tests.relay.rig import Rig, relay_rig
from tests.relay.upstream import Request, Upstream, Wire, refuses
from tidemill.metering.contracts import CallStatus
from tidemill.platform.db import Database

PATH = "/v1/embeddings"


def vector_of(text: Any, dimensions: int) -> list[float]:
    """Return a vector that tells its text."""
    seed = sum(json.dumps(text).encode())
    return [seed + 0.5 * place for place in range(dimensions)]


async def embeds(request: Request, wire: Wire) -> None:
    body = request.body
    given = body["input"]
    texts = [given] if isinstance(given, str) or (given and isinstance(given[0], int)) else given
    vectors = [vector_of(text, body.get("dimensions", 3)) for text in texts]
    packed = body.get("encoding_format") == "base64"
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(struct.pack(f"<{len(v)}f", *v)).decode() if packed else v,
        }
        for index, v in enumerate(vectors)
    ]
    tokens = 5 * len(texts)
    answer = {"object": "list", "data": data[::-1], "model": body["model"], "usage": {"prompt_tokens": tokens}}
    await wire.json({**answer, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})


@pytest.fixture
async def cached(memory_database: Database) -> AsyncIterator[Rig]:
    async with relay_rig(memory_database, embedding_cache=True) as rig:
        yield rig


async def embed(rig: Rig, given: Any, user: int = 1, **fields: Any) -> tuple[str | None, dict[str, Any]]:
    body = {"model": "m", "input": given, **fields}
    async with rig.post(body, path=PATH, headers={"authorization": f"Bearer user-{user}"}) as answer:
        assert answer.status == 200, await answer.text()
        return answer.headers.get("x-gateway-cache"), await answer.json()


def vectors(answer: dict[str, Any]) -> list[Any]:
    by_index = {item["index"]: item["embedding"] for item in answer["data"]}
    assert sorted(by_index) == list(range(len(answer["data"])))
    return [by_index[index] for index in range(len(by_index))]


def asked(service: Upstream) -> list[Any]:
    return [request.body["input"] for request in service.seen]


async def test_only_what_is_missing_is_sent_and_the_order_is_kept(cached: Rig, services: Start) -> None:
    service = await services(embeds)
    await cached.channel(service)
    word, answer = await embed(cached, ["a", "b"])
    assert (word, vectors(answer)) == ("miss", [vector_of("a", 3), vector_of("b", 3)])
    word, answer = await embed(cached, ["c", "b", "a", "c", "d"])
    assert (word, vectors(answer)) == ("partial", [vector_of(text, 3) for text in "cbacd"])
    assert answer["usage"] == {"prompt_tokens": 10, "total_tokens": 10}
    assert [item["index"] for item in answer["data"]] == [0, 1, 2, 3, 4]
    word, answer = await embed(cached, "d", user=2)
    assert (word, vectors(answer)) == ("hit", [vector_of("d", 3)])
    assert answer["usage"] == {"prompt_tokens": 0, "total_tokens": 0}
    assert (answer["object"], answer["model"], answer["data"][0]["object"]) == ("list", "m", "embedding")
    assert asked(service) == [["a", "b"], ["c", "d"]]
    first, second, third = await cached.ledger.wait_for(3)
    assert (first.tokens.request, second.tokens.request, third.tokens.request) == (10, 10, 0)
    assert [event.cached for event in (first, second, third)] == [False, False, True]
    assert (third.status, third.channel) == (CallStatus.OK, None)


async def test_every_shape_of_input_is_known_again(cached: Rig, services: Start) -> None:
    service = await services(embeds)
    await cached.channel(service)
    for given in ("a", ["a"], [1, 2, 3], [[1, 2, 3], [4]], ["x"] * 3):
        await embed(cached, given)
        word, answer = await embed(cached, given)
        texts = [given] if isinstance(given, str) or isinstance(given[0], int) else given
        assert (word, vectors(answer)) == ("hit", [vector_of(text, 3) for text in texts])
    assert asked(service) == ["a", [1, 2, 3], [[4]], ["x"]]


@pytest.mark.parametrize(
    "fields", [{"dimensions": 2}, {"encoding_format": "base64"}, {"input_type": "query"}, {"dimensions": 3}]
)
async def test_what_changes_a_vector_is_part_of_its_key(cached: Rig, services: Start, fields: dict[str, Any]) -> None:
    service = await services(embeds)
    await cached.channel(service)
    await embed(cached, ["a"])
    word, made = await embed(cached, ["a"], **fields)
    assert word == "miss"
    word, kept = await embed(cached, ["a"], **fields)
    assert (word, vectors(kept)) == ("hit", vectors(made))
    assert len(service.seen) == 2


async def test_base64_is_given_back_as_it_came(cached: Rig, services: Start) -> None:
    await cached.channel(await services(embeds))
    fields: dict[str, Any] = {"encoding_format": "base64", "dimensions": 2000}
    await embed(cached, ["a", "b"], **fields)
    word, answer = await embed(cached, ["b", "new", "a"], **fields)
    assert word == "partial"
    found = [struct.unpack("<2000f", base64.b64decode(text)) for text in vectors(answer)]
    assert found == [tuple(vector_of(text, 2000)) for text in ("b", "new", "a")]


async def test_two_names_upstream_may_be_two_models(cached: Rig, services: Start) -> None:
    service = await services(embeds)
    await cached.channel(service)
    await cached.channel(service, "two", models={"m": "another-model"})
    assert [(await embed(cached, ["a"]))[0] for _ in range(2)] == [None, None]


async def test_it_is_off_unless_it_is_set(rig: Rig, services: Start) -> None:
    service = await services(embeds)
    await rig.channel(service)
    assert [(await embed(rig, ["a"]))[0] for _ in range(2)] == [None, None]
    assert len(service.seen) == 2


async def test_a_failure_is_told_and_nothing_is_kept(cached: Rig, services: Start) -> None:
    service = await services(embeds)
    await cached.channel(service)
    await embed(cached, ["a"])
    service.scripts.append(refuses(400, "bad input"))
    async with cached.post({"model": "m", "input": ["a", "b"]}, path=PATH) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["message"] == "bad input"
    word, _ = await embed(cached, ["a", "b"])
    assert word == "partial"


async def test_an_answer_with_other_inputs_is_no_answer(cached: Rig, services: Start) -> None:
    async def short(request: Request, wire: Wire) -> None:
        del request
        await wire.json({"object": "list", "data": [], "model": "x", "usage": {"prompt_tokens": 1, "total_tokens": 1}})

    service = await services(embeds)
    await cached.channel(service)
    await embed(cached, ["a"])
    service.scripts.extend([short, short])
    async with cached.post({"model": "m", "input": ["a", "b"]}, path=PATH) as answer:
        assert answer.status == 502
    word, answer_as_it_came = await embed(cached, ["b"])
    assert (word, answer_as_it_came["data"]) == ("miss", [])
    assert (await embed(cached, ["b"]))[0] == "miss"


async def test_an_input_that_is_none_goes_to_the_service(cached: Rig, services: Start) -> None:
    service = await services(refuses(400, "no such input"))
    await cached.channel(service)
    for given in ([], None, {"a": 1}, [None], 5):
        async with cached.post({"model": "m", "input": given}, path=PATH) as answer:
            assert answer.status == 400
    assert len(service.seen) == 5


async def test_gemini_serves_openais_clients_from_the_same_memory(cached: Rig, services: Start) -> None:
    async def gemini(request: Request, wire: Wire) -> None:
        texts = [item["content"]["parts"][0]["text"] for item in request.body["requests"]]
        await wire.json({"embeddings": [{"values": vector_of(text, 3)} for text in texts]})

    service = await services(gemini)
    await cached.channel(service, provider="gemini")
    await embed(cached, ["a"])
    word, answer = await embed(cached, ["b", "a"])
    assert (word, vectors(answer)) == ("partial", [vector_of("b", 3), vector_of("a", 3)])
    assert len(service.seen[1].body["requests"]) == 1
    _, second = await cached.ledger.wait_for(2)
    assert second.tokens.estimated
    assert second.tokens.request == answer["usage"]["prompt_tokens"], "only what was sent is counted"

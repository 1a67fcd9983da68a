"""What one process was answered another gives, by a Redis between them; while it is away calls go on as ever."""

from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

from tests.fixtures.valkey import StartValkey
from tests.relay.conftest import Start
from tests.relay.rig import Rig, relay_rig
from tidemill.platform.db import Database

ON: dict[str, Any] = {"response_cache": "on", "embedding_cache": True}


async def ask(rig: Rig, text: str, path: str = "/v1/chat/completions") -> tuple[int, str | None, bytes]:
    fields = {"input": text} if path.endswith("embeddings") else {"messages": [{"role": "user", "content": text}]}
    async with rig.post({"model": "m", **fields}, path=path) as answer:
        return answer.status, answer.headers.get("x-gateway-cache"), await answer.read()


async def test_processes_share_what_they_keep_and_do_without(
    memory_database: Database, services: Start, start_valkey: StartValkey
) -> None:
    server = start_valkey()
    service = await services()
    text = uuid4().hex
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(relay_rig(memory_database, cache_url=server.url, **ON))
        await one.channel(service)
        other = await stack.enter_async_context(relay_rig(memory_database, cache_url=server.url, **ON))
        for path in ("/v1/chat/completions", "/v1/embeddings"):
            status, word, body = await ask(one, text, path)
            assert (status, word) == (200, "miss")
            status, word, again = await ask(other, text, path)
            assert (status, word) == (200, "hit")
            if path.endswith("completions"):
                assert again == body
        assert len(service.seen) == 2
        server.kill()
        assert (await ask(one, text))[:2] == (200, "miss")
        assert (await ask(other, text, "/v1/embeddings"))[:2] == (200, "miss")

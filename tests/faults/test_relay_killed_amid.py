"""A model service is killed with content already out: the client's own protocol says so, and nothing is made up."""

import asyncio
import json
from typing import Any

import pytest

from tests.faults.relay_rig import EVERY_PROTOCOL, Relay, asked_of, heard, provider_of, until
from tests.fixtures.processes import SimulatorFactory
from tests.relay.tongues import ALL, WEATHER, Client, Told
from tests.relay.upstream import DEADLINE_S
from tidemill.wire.canonical import Request
from tidemill.wire.canonical_parts import Dialect

pytestmark = pytest.mark.xdist_group("relay killed amid")
CITY = "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch"
WORDS = "mills turn while the water runs and stand while it does not"


class Broken:
    """Streams of every protocol from services of every protocol, all cut by one kill."""

    def __init__(self, relay: Relay, make_simulator: SimulatorFactory, faults: str, *, calls: bool = False) -> None:
        self._calls = calls
        self.relay = relay
        self.doomed = make_simulator(*EVERY_PROTOCOL, "--faults", faults)
        other = make_simulator(*EVERY_PROTOCOL)
        self.models: dict[Dialect, str] = {}
        self.first: dict[Dialect, int] = {}
        for behind in ALL:
            model = self.models[behind] = relay.new_model()
            self.first[behind] = relay.channel(self.doomed, model, priority=9, **provider_of(behind))
            relay.channel(other, model, **provider_of(behind))
        self._speaking = 0

    def _begun(self, client: Dialect, behind: Dialect, told: Told) -> bool:
        """Tell whether content is out: of a call its arguments, but for Gemini, where they come whole."""
        if self._calls and Dialect.GEMINI not in {client, behind}:
            return any("Llan" in call.arguments for call in told.calls)
        return "weather" in told.text if self._calls else bool(told.text)

    async def ends(self, *words: str, **fields: Any) -> dict[tuple[Dialect, Dialect], Told]:
        """Ask all, kill once the services have said all that they will, and return what was heard."""
        async with asyncio.TaskGroup() as group, asyncio.timeout(DEADLINE_S):
            asking = {
                (client, behind): group.create_task(
                    self._call(client, behind, asked_of(model, client, *words, stream=True, **fields))
                )
                for client in ALL
                for behind, model in self.models.items()
            }
            await until(lambda: self._speaking == len(asking), "content in every stream")
            self.doomed.kill()
        return {pair: task.result() for pair, task in asking.items()}

    async def _call(self, client: Dialect, behind: Dialect, request: Request) -> Told:
        async with Client(self.relay, client).open(request, self.relay.key) as answer:
            assert answer.status == 200
            raw = b""
            while not self._begun(client, behind, heard(client, raw)):
                piece = await answer.content.readany()
                assert piece, raw
                raw += piece
            self._speaking += 1
            return heard(client, raw + await answer.read())


def last_word(client: Dialect, raw: bytes) -> Any:
    """Return the data of a stream's last event, which must be that protocol's error."""
    *_, last = raw.decode().strip().replace("\r\n", "\n").split("\n\n")
    name, _, data = last.rpartition("data: ")
    match client:
        case Dialect.OPENAI_CHAT:
            assert not name
            assert "[DONE]" not in raw.decode()
        case Dialect.OPENAI_RESPONSES:
            assert name.strip() in {"event: response.failed", "event: error"}
        case Dialect.ANTHROPIC:
            assert name.strip() == "event: error"
            assert b"message_stop" not in raw
        case Dialect.GEMINI:
            assert not name
            assert b"finishReason" not in raw
    return json.loads(data)


async def test_the_clients_stream_ends_with_its_own_error(relay: Relay, make_simulator: SimulatorFactory) -> None:
    broken = Broken(relay, make_simulator, "stall:after=3")
    for (client, behind), told in (await broken.ends(f"Reply with exactly: {WORDS}")).items():
        assert told.text, told.raw
        assert WORDS.startswith(told.text)
        assert told.text != WORDS
        assert not told.finished, (client, behind)
        assert told.fault is not None
        assert told.fault.message
        said = last_word(client, told.raw)
        match client:
            case Dialect.OPENAI_CHAT:
                assert said["error"]["code"] == "upstream_failed"
            case Dialect.OPENAI_RESPONSES:
                assert said["type"] in {"response.failed", "error"}
            case Dialect.ANTHROPIC:
                assert (said["type"], said["error"]["type"]) == ("error", "api_error")
            case Dialect.GEMINI:
                assert (said["error"]["code"], said["error"]["status"]) == (500, "INTERNAL")
    for behind, model in broken.models.items():
        for row in await relay.usage(model, len(ALL)):
            assert (row["status"], row["channel_id"], row["retries"]) == ("upstream_error", broken.first[behind], 0)
            # Gemini counts in every event; of the others only the input may be known.
            assert bool(row["estimated"]) is not (behind is Dialect.GEMINI)
            assert row["request_tokens"] > 0
            assert 0 < row["response_tokens"] < 20


async def test_geminis_list_is_closed_and_whole(relay: Relay, make_simulator: SimulatorFactory) -> None:
    doomed = make_simulator(*EVERY_PROTOCOL, "--faults", "stall:after=3")
    models = [relay.new_model() for _ in ALL]
    for model, behind in zip(models, ALL, strict=True):
        relay.channel(doomed, model, **provider_of(behind))
    speaking: list[bytes] = []

    async def call(model: str) -> bytes:
        url = f"{relay.url}/v1beta/models/{model}:streamGenerateContent"
        body = {"contents": [{"role": "user", "parts": [{"text": f"Reply with exactly: {WORDS}"}]}]}
        async with relay.http.post(url, json=body, headers={"x-goog-api-key": relay.key}) as answer:
            raw = b""
            while b"mills" not in raw:
                raw += await answer.content.readany()
            speaking.append(raw)
            return raw + await answer.read()

    async with asyncio.TaskGroup() as group, asyncio.timeout(DEADLINE_S):
        asking = [group.create_task(call(model)) for model in models]
        await until(lambda: len(speaking) == len(models), "content in every stream")
        doomed.kill()
    for task in asking:
        *content, error = json.loads(task.result())
        assert all("candidates" in item for item in content)
        assert error["error"]["status"] == "INTERNAL"


def shows_a_whole_call(client: Dialect, raw: bytes) -> bool:
    """Tell whether a client of ``client`` may take a call in ``raw`` for complete."""
    match client:
        case Dialect.OPENAI_CHAT:
            return b'"finish_reason":"' in raw
        case Dialect.OPENAI_RESPONSES:
            calls = [line for line in raw.split(b"\n") if b'"type":"function_call"' in line]
            return b"arguments.done" in raw or any(b'"status":"completed"' in line for line in calls)
        case Dialect.ANTHROPIC:
            return raw.count(b"event: content_block_stop") > 1 or b'"stop_reason":"' in raw
        case Dialect.GEMINI:
            return b"functionCall" in raw


async def test_no_broken_arguments_pretend_to_be_whole(relay: Relay, make_simulator: SimulatorFactory) -> None:
    # Three pieces of text, then two of the arguments; Gemini's come whole, so there the call is still out.
    faults = "stall:after=3,path=GenerateContent,stall:after=6"
    words = f"Say first that you do. Use get_weather for {CITY}."
    broken = Broken(relay, make_simulator, faults, calls=True)
    for (client, behind), told in (await broken.ends(words, tools=(WEATHER,))).items():
        assert not told.finished, (client, behind, told.raw)
        assert told.fault is not None
        last_word(client, told.raw)
        assert not shows_a_whole_call(client, told.raw), (client, behind, told.raw)
        begun = Dialect.GEMINI not in {client, behind}
        assert [call.arguments.startswith('{"city":"Llanfai') for call in told.calls] == [True] * begun
        assert not any(CITY in call.arguments for call in told.calls)
    for model in broken.models.values():
        for row in await relay.usage(model, len(ALL)):
            assert (row["status"], row["retries"]) == ("upstream_error", 0)
            assert row["response_tokens"] > 0

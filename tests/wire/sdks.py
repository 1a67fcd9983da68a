"""What a provider's own SDK makes of the bytes that its client gets: it parses them, or the test fails."""

import json
from typing import Any, cast

import httpx2
from google.genai import models as google_models
from google.genai import types as google
from google.genai._api_client import HttpResponse
from hypothesis import settings
from openai import OpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tidemill.wire.sse import Splitter, data_of

Fields = dict[str, Any]

# The first call of an SDK builds its types, which takes as long as it takes.
unhurried = settings(deadline=None)

_EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def openai_response(body: bytes) -> Response:
    """Return a whole answer of the Responses as OpenAI's types read it, missing fields refused."""
    return Response.model_validate_json(body)


def openai_events(stream: bytes) -> list[Fields]:
    """Return the events of a stream, each read by OpenAI's types."""
    splitter = Splitter()
    found: list[Fields] = []
    for event in splitter.feed(stream):
        data = data_of(event)
        if data is not None:
            found.append(json.loads(data))
            assert event.startswith(b"event: %b\n" % found[-1]["type"].encode())
            _EVENTS.validate_python(found[-1])
    assert splitter.rest() == b""
    return found


def openai_final(stream: bytes) -> Response:
    """Return what OpenAI's client has put together at the end of a stream; it refuses events out of order."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        del request
        return httpx2.Response(200, content=stream, headers={"content-type": "text/event-stream"})

    transport = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = OpenAI(api_key="k", base_url="http://up.test/v1", http_client=transport)
    with client, client.responses.stream(model="m", input="x") as events:
        for _ in events:
            pass
        return events.get_final_response()


def google_answer(fields: Fields) -> google.GenerateContentResponse:
    """Return a whole answer or a chunk as Google's types read it, unknown fields refused."""
    convert = cast("Any", google_models)._GenerateContentResponse_from_mldev
    return google.GenerateContentResponse.model_validate(convert(fields))


def google_chunks(stream: bytes) -> list[Fields]:
    """Return the chunks of an event stream as Google's client cuts it, each read by Google's types."""
    response = HttpResponse({}, httpx2.Response(200, content=stream))
    chunks = [cast("Fields", chunk) for chunk in cast("Any", response).segments()]
    for chunk in chunks:
        if "error" not in chunk:
            google_answer(chunk)
    return chunks

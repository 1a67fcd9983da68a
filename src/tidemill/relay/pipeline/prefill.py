"""Ask a service to go on from a text: the text as the assistant's last message, in the words each service has for it.

Anthropic, Gemini, Ollama, llama.cpp and OpenRouter go on from a last assistant message by themselves; OpenAI's own
models begin anew more often than not, which nobody can tell beforehand.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct

from tidemill.wire.canonical import Request
from tidemill.wire.canonical_parts import Text, Turn
from tidemill.wire.openai_chat import Body, read_body
from tidemill.wire.tokens import estimate_text

_TRUE, _FALSE = Raw(b"true"), Raw(b"false")


class _Way(Struct, frozen=True):
    """What a service is told beside the text: fields of the message, fields of the request."""

    message: Mapping[str, Raw] = MappingProxyType({})
    request: Mapping[str, Raw] = MappingProxyType({})


_PREFIX = _Way(message=MappingProxyType({"prefix": _TRUE}))
_PARTIAL = _Way(message=MappingProxyType({"partial": _TRUE}))
_FINAL = _Way(request=MappingProxyType({"continue_final_message": _TRUE, "add_generation_prompt": _FALSE}))
_WAYS: Mapping[str, _Way] = MappingProxyType(
    {"mistral": _PREFIX, "qwen": _PARTIAL, "moonshot": _PARTIAL, "vllm": _FINAL, "sglang": _FINAL}
)
_DEEPSEEK = "deepseek"
# Services that send the text once more before they go on.
RESTATING = frozenset({"mistral"})


def continued(request: Request, text: str) -> Request:
    """Return ``request`` with ``text`` as the beginning of its answer, and as much less room for the rest of it.

    The thinking is done: services refuse a beginning together with it.
    """
    changes: dict[str, Any] = {"thinking": UNSET}
    if request.max_tokens is not UNSET:
        changes["max_tokens"] = max(1, request.max_tokens - estimate_text(len(text.encode())))
    if text:
        changes["turns"] = (*request.turns, Turn(role="assistant", parts=(Text(text),)))
    return msgspec.structs.replace(request, **changes)


def told_to_go_on(body: bytes, provider: str, root: str) -> bytes:
    """Return ``body`` with what ``provider``, at ``root``, must be told so that it goes on from the last message."""
    way = _WAYS.get(provider)
    if provider == _DEEPSEEK and root.endswith("/beta"):
        way = _PREFIX  # elsewhere DeepSeek knows no such field
    if way is None:
        return body
    fields: Body = {**read_body(body), **way.request}
    if way.message:
        *before, last = msgspec.json.decode(fields["messages"], type=list[Body])
        fields["messages"] = Raw(msgspec.json.encode([*before, {**last, **way.message}]))
    return msgspec.json.encode(fields)

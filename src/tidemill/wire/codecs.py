"""The codec of each dialect, read in when it is first spoken: a server that relays only one pays for one."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType

from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codec import Codec

# Module and class; whoever adds a dialect adds a line.
_HOMES: Mapping[Dialect, tuple[str, str]] = MappingProxyType(
    {
        Dialect.OPENAI_CHAT: ("tidemill.wire.openai.codec", "OpenAIChat"),
        Dialect.OPENAI_RESPONSES: ("tidemill.wire.openai_responses.codec", "OpenAIResponses"),
        Dialect.ANTHROPIC: ("tidemill.wire.anthropic.codec", "AnthropicMessages"),
        Dialect.GEMINI: ("tidemill.wire.gemini.codec", "Gemini"),
    }
)


def spoken() -> tuple[Dialect, ...]:
    """Return the dialects that have a codec."""
    return tuple(_HOMES)


@cache
def codec_of(dialect: Dialect) -> Codec:
    """Return the codec of ``dialect``, one of ``spoken()``; it has no state, so there is one."""
    module, name = _HOMES[dialect]
    made: Codec = getattr(import_module(module), name)()
    return made

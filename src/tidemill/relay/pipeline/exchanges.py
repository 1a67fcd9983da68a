"""Which way a call goes with a channel, by what each of the two speaks."""

from tidemill.relay.pipeline.ask import Ask
from tidemill.relay.pipeline.chat_exchange import ChatExchange
from tidemill.relay.pipeline.codec_exchange import SameExchange, TranslatedExchange
from tidemill.relay.pipeline.continued_exchange import ContinuedExchange, thread_of
from tidemill.relay.pipeline.exchange import Exchange
from tidemill.relay.pipeline.raw_exchange import RawExchange
from tidemill.relay.pipeline.vectors_exchange import CountExchange, EmbeddingExchange
from tidemill.relay.snapshot import Channel
from tidemill.wire.canonical_parts import Dialect


def exchange_for(ask: Ask, channel: Channel) -> type[Exchange]:
    """Return how ``ask`` is carried through ``channel``."""
    theirs = channel.preset.dialect
    match ask.kind:
        case "chat":
            return _of_a_chat(ask, theirs)
        case "embeddings":
            if (theirs is Dialect.GEMINI) is not (ask.dialect is Dialect.GEMINI):
                return EmbeddingExchange
            return RawExchange if theirs is Dialect.GEMINI else ChatExchange
        case "count":
            return CountExchange
        case _:
            return RawExchange


def _of_a_chat(ask: Ask, theirs: Dialect) -> type[Exchange]:
    if ask.thread is not None and thread_of(ask) is not None:
        return ContinuedExchange
    if theirs is not ask.dialect:
        return TranslatedExchange
    return ChatExchange if theirs is Dialect.OPENAI_CHAT else SameExchange

"""What every showing of one answer repeats: who made it, and the settings of its request."""

from typing import Any

from msgspec import UNSET, Raw, UnsetType

from tidemill.kernel import clock
from tidemill.wire.canonical_json import encode
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codec import Reply
from tidemill.wire.openai_responses.request_out import choice_fields, format_fields, tool_list

ID_PREFIX = "resp_"

Fields = dict[str, Any]

_SHOWN_SAMPLING = ("temperature", "top_p", "top_logprobs", "frequency_penalty", "presence_penalty")
_SHOWN_EXTRAS = ("max_tool_calls", "safety_identifier")


def shown_id(answer_id: str, reply: Reply) -> str:
    """Return the id that the client sees: the upstream's own where it looks like OpenAI's."""
    return answer_id if answer_id.startswith(ID_PREFIX) else ID_PREFIX + reply.id


class ResponseFrame:
    """What stays the same in every showing of one answer: who made it, and the settings of its request."""

    def __init__(self, answer_id: str, created: int | UnsetType, reply: Reply, tier: str | UnsetType = UNSET) -> None:
        self._created = reply.created if created is UNSET else created
        self._head = b'{"id":%b,"object":"response","created_at":%d,"model":%b' % (
            encode(shown_id(answer_id, reply)),
            self._created,
            encode(reply.model),
        )
        settings = settings_of(reply)
        if tier is not UNSET:
            settings["service_tier"] = tier
        self._tail = b"," + encode(settings)[1:]

    def write(self, status: str, reason: str | None, output: bytes, usage: bytes, error: bytes = b"null") -> bytes:
        """Return the answer as it stands; ``output`` is the list's inside."""
        why = b"null" if reason is None else b'{"reason":"%b"}' % reason.encode()
        done = b"%d" % max(self._created, int(clock.now().timestamp())) if status == "completed" else b"null"
        form = b'%b,"status":"%b","completed_at":%b,"error":%b,"incomplete_details":%b,"output":[%b],"usage":%b%b'
        return form % (
            self._head,
            status.encode(),
            done,
            error,
            why,
            output,
            usage,
            self._tail,
        )


def settings_of(reply: Reply) -> Fields:
    """Return the request's settings, which the Responses show again: each is there always, by default OpenAI's own."""
    fields: Fields = {
        "background": False,
        "frequency_penalty": 0.0,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "presence_penalty": 0.0,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }
    asked = reply.asked
    if asked is UNSET:
        return fields
    told: Fields = {
        "max_output_tokens": asked.max_tokens,
        "metadata": asked.metadata,
        "parallel_tool_calls": asked.parallel_tools,
        "prompt_cache_key": asked.cache_key,
        "user": asked.user,
    }
    told.update((name, getattr(asked.sampling, name)) for name in _SHOWN_SAMPLING)
    if asked.dialect == Dialect.OPENAI_RESPONSES:
        told.update((name, asked.extras[name]) for name in _SHOWN_EXTRAS if name in asked.extras)
    if asked.system:
        told["instructions"] = "\n\n".join(part.text for part in asked.system)
    if asked.output is not UNSET:
        fields["text"]["format"] = format_fields(asked.output)
    if asked.verbosity is not UNSET:
        fields["text"]["verbosity"] = asked.verbosity
    if asked.thinking is not UNSET:
        told["reasoning"] = {"effort": asked.thinking.effort or None, "summary": asked.thinking.summary or None}
    if asked.tool_choice is not UNSET:
        told["tool_choice"] = choice_fields(asked.tool_choice, asked.custom_tools())
    told["tools"] = [_shown_tool(tool) for tool in tool_list(asked.tools, own=False)[0]]
    fields.update({name: value for name, value in told.items() if value is not UNSET})
    return fields


def _shown_tool(tool: Fields | Raw) -> Fields | Raw:
    """Return a tool as an answer shows it: a function with every field it can have."""
    if isinstance(tool, dict) and tool["type"] == "function":
        return {"type": "function", "description": None, **tool}
    return tool

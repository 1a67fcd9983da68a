"""The rules between the parts of a message request: turns, tools, thinking, caching, schemas."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tidemill.simulator.anthropic.errors import bad
from tidemill.simulator.anthropic.seals import is_ours, is_signed
from tidemill.simulator.decoded import items, obj, objects, string

_MOST_MARKS = 4
_ONLY_IN = {
    "tool_use": "assistant",
    "thinking": "assistant",
    "redacted_thinking": "assistant",
    "server_tool_use": "assistant",
    "tool_result": "user",
    "image": "user",
}
_UNSUPPORTED = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems"}
)
_LEAST_TOP_P = 0.95
_DEEPEST = 40

Blocks = list[dict[str, Any]]


def blocks_of(content: Any) -> Blocks:
    """Return a message's content as blocks; a bare text is one."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else objects(content)


def check_turns(body: Mapping[str, Any], *, strict: bool, is_newest: bool) -> None:
    """Raise Refused when messages do not follow one another as the API's version demands."""
    messages = objects(body["messages"])
    if not messages:
        raise bad("messages: at least one message is required")
    if messages[0]["role"] != "user":
        raise bad('messages: first message must use the "user" role')
    seen: set[str] = set()
    asked: list[str] = []
    for at, message in enumerate(messages):
        blocks, is_last = blocks_of(message["content"]), at == len(messages) - 1
        _check_blocks(at, message["role"], blocks, is_last=is_last)
        answered = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        for number, block in enumerate(blocks):
            if block["type"] == "tool_result" and block["tool_use_id"] not in asked:
                raise bad(
                    f"messages.{at}.content.{number}: unexpected `tool_use_id` found in `tool_result` blocks: "
                    f"{block['tool_use_id']}. Each `tool_result` block must have a corresponding `tool_use` block in "
                    "the previous message."
                )
        first = [block["tool_use_id"] for block in _leading_results(blocks)]
        missing = [name for name in asked if name not in first]
        if missing or len(set(answered)) != len(answered):
            raise bad(
                f"messages.{at - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing or answered)}. Each `tool_use` block must have a corresponding `tool_result` "
                "block in the next message."
            )
        asked = _tool_uses(at, blocks, seen) if message["role"] == "assistant" else []
        if strict:
            _check_seals(at, blocks)
        if is_newest:
            _check_newest(at, message["role"], blocks)
    if asked:
        raise bad(
            f"messages.{len(messages) - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(asked)}. Each `tool_use` block must have a corresponding `tool_result` block in the next "
            "message."
        )
    _check_thinking(body, messages)
    _check_tools(body)
    _check_marks(body, messages)
    _check_format(body)


def _check_blocks(at: int, role: str, blocks: Blocks, *, is_last: bool) -> None:
    if not blocks and not (is_last and role == "assistant"):
        raise bad(
            f"messages.{at}: all messages must have non-empty content except for the optional final assistant message"
        )
    for number, block in enumerate(blocks):
        place = _ONLY_IN.get(block["type"], role)
        if place != role:
            raise bad(f"messages.{at}.content.{number}: `{block['type']}` blocks can only be in `{place}` messages")
        if block["type"] == "text":
            if not block["text"]:
                raise bad("messages: text content blocks must be non-empty")
            if not block["text"].strip():
                raise bad("messages: text content blocks must contain non-whitespace text")
    if is_last and role == "assistant" and blocks and blocks[-1].get("text", "x")[-1:].isspace():
        raise bad("messages: final assistant content cannot end with trailing whitespace")


def _leading_results(blocks: Blocks) -> Iterator[dict[str, Any]]:
    for block in blocks:
        if block["type"] != "tool_result":
            return
        yield block


def _tool_uses(at: int, blocks: Blocks, seen: set[str]) -> list[str]:
    found: list[str] = []
    for number, block in enumerate(blocks):
        if block["type"] == "tool_use":
            if block["id"] in seen:
                raise bad(f"messages.{at}.content.{number}: `tool_use` ids must be unique")
            seen.add(block["id"])
            found.append(block["id"])
    return found


def _check_seals(at: int, blocks: Blocks) -> None:
    for number, block in enumerate(blocks):
        if block["type"] == "thinking" and not is_signed(block["thinking"], block["signature"]):
            raise bad(f"messages.{at}.content.{number}: Invalid `signature` in `thinking` block")
        if block["type"] == "redacted_thinking" and not is_ours(block["data"]):
            raise bad(f"messages.{at}.content.{number}: Invalid `data` in `redacted_thinking` block")


def _check_newest(at: int, role: str, blocks: Blocks) -> None:
    for number, block in enumerate(blocks):
        if block["type"] == "document" and role == "assistant":
            raise bad(f"messages.{at}.content.{number}: `document` blocks can only be in `user` messages")
        texts = objects(block["content"]) if block["type"] == "search_result" else [block]
        if role == "user" and any(items(part.get("citations")) for part in texts):
            raise bad(f"messages.{at}.content.{number}: `citations` can only be in `assistant` messages")


def _check_thinking(body: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> None:
    thinking = obj(body.get("thinking"))
    if thinking.get("type") not in {"enabled", "adaptive"}:
        return
    budget = thinking.get("budget_tokens")
    if budget is not None and "max_tokens" in body and body["max_tokens"] <= budget:
        raise bad("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if body.get("temperature", 1) != 1:
        raise bad("`temperature` may only be set to 1 when thinking is enabled.")
    if body.get("top_k") is not None:
        raise bad("`top_k` must be unset when thinking is enabled.")
    if body.get("top_p", 1) < _LEAST_TOP_P:
        raise bad("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.")
    if obj(body.get("tool_choice")).get("type") in {"any", "tool"}:
        raise bad("Thinking may not be enabled when tool_choice forces tool use.")
    last = next((at for at in range(len(messages) - 1, -1, -1) if messages[at]["role"] == "assistant"), None)
    if last is None or thinking["type"] != "enabled":
        return
    blocks = blocks_of(messages[last]["content"])
    has_calls = any(block["type"] == "tool_use" for block in blocks)
    if has_calls and blocks[0]["type"] not in {"thinking", "redacted_thinking"}:
        raise bad(
            f"messages.{last}.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
            f"`{blocks[0]['type']}`. When `thinking` is enabled, a final `assistant` message must start with a "
            "thinking block (preceding the lastmost set of `tool_use` and `tool_result` blocks)."
        )


def _check_tools(body: Mapping[str, Any]) -> None:
    tools = objects(body.get("tools"))
    choice = obj(body.get("tool_choice"))
    names = [string(tool.get("name")) for tool in tools]
    if choice and not tools:
        raise bad("tool_choice: tool_choice may only be specified while providing tools")
    if len(set(names)) != len(names):
        raise bad("tools: Tool names must be unique.")
    for at, tool in enumerate(tools):
        if "input_schema" in tool and tool["input_schema"].get("type") != "object":
            what = "Input should be 'object'" if "type" in tool["input_schema"] else "Field required"
            raise bad(f"tools.{at}.custom.input_schema.type: {what}")
    if choice.get("type") == "tool" and choice["name"] not in names:
        raise bad(f"Tool '{choice['name']}' not found in provided tools")
    for stop in items(body.get("stop_sequences")):
        if not stop.strip():
            raise bad("stop_sequences: each stop sequence must contain non-whitespace")


def marked_blocks(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every block that may end a cached prefix, in the order of the prompt: tools, system, messages."""
    system = body.get("system")
    found = [*objects(body.get("tools")), *(blocks_of(system) if system else [])]
    for message in objects(body["messages"]):
        found += blocks_of(message["content"])
    return found


def _check_marks(body: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> None:
    marks = [obj(block["cache_control"]) for block in marked_blocks(body) if block.get("cache_control")]
    if len(marks) > _MOST_MARKS:
        raise bad(f"A maximum of 4 blocks with cache_control may be provided. Found {len(marks)}.")
    lives = [mark.get("ttl", "5m") for mark in marks]
    if lives != sorted(lives):  # "1h" sorts before "5m"
        raise bad("a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block.")
    if any(
        block["type"] == "thinking" and "cache_control" in block for m in messages for block in blocks_of(m["content"])
    ):
        raise bad("thinking blocks cannot have cache_control")


def _check_format(body: Mapping[str, Any]) -> None:
    form = obj(obj(body.get("output_config")).get("format"))
    if form:
        _check_schema(form["schema"], 0)


def _check_schema(schema: Any, depth: int) -> None:
    part = obj(schema)
    if depth > _DEEPEST or not part:
        return
    if part.get("type") == "object" and part.get("additionalProperties") is not False:
        raise bad(
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false"
        )
    if unsupported := sorted(_UNSUPPORTED & set(part)):
        kind, listed = part.get("type"), ", ".join(unsupported)
        raise bad(f"output_config.format.schema: For '{kind}' type, properties {listed} are not supported")
    for group in ("properties", "$defs", "definitions"):
        for inner in obj(part.get(group)).values():
            _check_schema(inner, depth + 1)
    for group in ("anyOf", "allOf"):
        for inner in items(part.get(group)):
            _check_schema(inner, depth + 1)
    _check_schema(part.get("items"), depth + 1)

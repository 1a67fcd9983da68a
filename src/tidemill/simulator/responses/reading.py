"""Read a Responses request, with what earlier ones left behind, into what it asks for."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from tidemill.simulator.ask import Ask, Call, Media, Result, Role, Tool, Turn
from tidemill.simulator.decoded import obj, objects, schema_or_none, string
from tidemill.simulator.openai.chat_reading import decoded, media_of
from tidemill.simulator.openai.chat_rules import REASONING_MODEL
from tidemill.simulator.openai.errors import bad
from tidemill.simulator.openai.shapes import CUSTOM_INPUT

_ROLES: Mapping[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


class Stored(Struct, frozen=True):
    """One answered request: everything said until then as input items, its own input, and the response."""

    items: list[dict[str, Any]]
    own_input: list[dict[str, Any]]
    response: dict[str, Any]


class Store:
    """The newest responses by id, ``bound`` of them; the oldest are forgotten first."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._kept: OrderedDict[str, Stored] = OrderedDict()

    def get(self, name: str) -> Stored | None:
        """Return a stored response, None when there is none of that id (any more)."""
        return self._kept.get(name)

    def put(self, name: str, stored: Stored) -> None:
        """Keep a response."""
        self._kept[name] = stored
        self._kept.move_to_end(name)
        while len(self._kept) > self._bound:
            self._kept.popitem(last=False)

    def drop(self, name: str) -> None:
        """Forget a response."""
        self._kept.pop(name, None)


def input_items(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the request's own input as items; a bare text is the user's message."""
    given = body.get("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
    return [{"type": "message", **item} for item in objects(given)]


def read_response(body: Mapping[str, Any], items: Sequence[Mapping[str, Any]], *, thinks: bool) -> Ask:
    """Read a checked body and all items of its conversation; raises Refused when calls and outputs do not match."""
    turns: list[Turn] = []
    if instructions := string(body.get("instructions")):
        turns.append(Turn("system", instructions))
    names: dict[str, str] = {}
    answered: set[str] = set()
    for item in items:
        turn = _turn(item, names, answered)
        if turn is None:
            continue
        if turn.role == "tool" and turns and turns[-1].role == "tool":
            last = turns[-1]
            turns[-1] = Turn("tool", f"{last.text}\n{turn.text}", (), (), (*last.results, *turn.results))
        else:
            turns.append(turn)
    if unanswered := [name for name in names if name not in answered]:
        raise bad(f"No tool output found for function call {unanswered[0]}.", param="input")
    choice, only = _choice(body)
    form = obj(obj(body.get("text")).get("format"))
    reasoning = obj(body.get("reasoning"))
    effort = reasoning.get("effort")
    return Ask(
        turns=turns or [Turn("user")],
        tools=_tools(body),
        choice=choice,
        only=only,
        parallel=body.get("parallel_tool_calls") is not False,
        schema=schema_or_none(form.get("schema")),
        schema_name=string(form.get("name")),
        json_mode=form.get("type") == "json_object",
        thinks=thinks or (effort != "none" and (bool(reasoning) or bool(REASONING_MODEL.match(body["model"])))),
        max_tokens=body.get("max_output_tokens"),
    )


def _turn(item: Mapping[str, Any], names: dict[str, str], answered: set[str]) -> Turn | None:
    match item.get("type"):
        case "function_call" | "custom_tool_call":
            names[item["call_id"]] = item["name"]
            said = item.get("arguments") or item.get("input") or ""
            return Turn("assistant", calls=[Call(item["name"], {"": said})])
        case "function_call_output" | "custom_tool_call_output":
            call_id = item["call_id"]
            if call_id not in names:
                raise bad(f"No tool call found for function call output with call_id {call_id}.", param="input")
            answered.add(call_id)
            text, _ = _content(item["output"])
            return Turn("tool", text, (), (), (Result(names[call_id], text),))
        case "message":
            text, media = _content(item.get("content"))
            return Turn(_ROLES[item["role"]], text, media)
        case _:
            return None


def _content(content: Any) -> tuple[str, list[Media]]:
    if isinstance(content, str):
        return content, []
    texts: list[str] = []
    media: list[Media] = []
    for part in objects(content):
        match part.get("type"):
            case "input_text" | "output_text":
                texts.append(part["text"])
            case "input_image":
                media.append(_file("image", part.get("image_url"), part.get("file_id")))
            case "input_file":
                media.append(_file("document", part.get("file_data") or part.get("file_url"), part.get("file_id")))
            case "input_audio":
                audio = obj(part.get("input_audio"))
                data = decoded(string(audio.get("data")), "input_audio")
                media.append(Media("audio", f"audio/{string(audio.get('format'))}", data))
            case _:
                texts.append(string(part.get("refusal")))
    return "\n".join(texts), media


def _file(kind: Literal["image", "document"], where: Any, file_id: Any) -> Media:
    if where:
        return media_of(kind, string(where))
    if file_id:
        return Media(kind, url=f"file:{file_id}")
    raise bad(f"Missing required parameter: 'input[0].content[0].{kind}_url'.", param="input")


def _tools(body: Mapping[str, Any]) -> list[Tool]:
    tools: list[Tool] = []
    for tool in objects(body.get("tools")):
        if tool["type"] == "function":
            tools.append(Tool(tool["name"], obj(tool.get("parameters")) or {"type": "object"}))
        elif tool["type"] == "custom":
            tools.append(Tool(tool["name"], {"type": "object", "properties": {CUSTOM_INPUT: {"type": "string"}}}))
    return tools


def _choice(body: Mapping[str, Any]) -> tuple[Literal["auto", "none", "required"], list[str] | None]:
    choice = body.get("tool_choice")
    if choice == "none" or choice == "required":  # noqa: PLR1714 - narrows the type
        return choice, None
    given = obj(choice)
    match given.get("type"):
        case "function" | "custom":
            return "required", [given["name"]]
        case "allowed_tools":
            names = [string(tool.get("name")) for tool in objects(given.get("tools"))]
            return "required" if given.get("mode") == "required" else "auto", names
        case _:
            return "auto", None

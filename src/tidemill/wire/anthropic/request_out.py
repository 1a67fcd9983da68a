"""Write an Anthropic request; what the dialect has no word for is named, not sent."""

from typing import Any

from msgspec import UNSET, Raw

from tidemill.wire.anthropic.blocks_out import BlockWriter, mark_fields
from tidemill.wire.anthropic.turns_out import ends_in_results, used_tools, write_system, write_turns
from tidemill.wire.canonical import Request, Thinking, Tool, ToolChoice
from tidemill.wire.canonical_json import encode, object_of, text_of
from tidemill.wire.canonical_parts import ANTHROPIC, Dialect, Reasoning, Redacted
from tidemill.wire.canonical_thinking import budget_of, effort_of, is_off
from tidemill.wire.canonical_tools import CUSTOM_SCHEMA, NO_ARGUMENTS_SCHEMA
from tidemill.wire.codec import Encoded, Target

Fields = dict[str, Any]

_LEAST_BUDGET = 1024
_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})
# With thinking on, top_p may only be this or more.
_LEAST_TOP_P = 0.95
_UNKNOWN_SAMPLING = ("seed", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs")


def encode_request(request: Request, target: Target) -> Encoded:
    """Return the body for ``target``; raises WireError for content that this dialect has no form for."""
    request.refuse_elsewhere(Dialect.ANTHROPIC)
    request.refuse_elsewhere(Dialect.ANTHROPIC)
    return _Writer(request, target).encoded()


class _Writer:
    def __init__(self, request: Request, target: Target) -> None:
        self._request = request
        self._target = target
        self._own = request.dialect == Dialect.ANTHROPIC
        self._fields: Fields = {}
        self._dropped: list[str] = []

    def encoded(self) -> Encoded:
        request, fields = self._request, self._fields
        writer = BlockWriter(own=self._own, unsigned_reasoning=self._target.unsigned_reasoning)
        fields["model"] = self._target.model
        fields["max_tokens"] = self._target.max_tokens if request.max_tokens is UNSET else request.max_tokens
        system = write_system(request)
        if system is not None:
            fields["system"] = system
        fields["messages"] = write_turns(request.turns, writer)
        if request.stream:
            fields["stream"] = True
        stops = [stop for stop in request.stop if stop.strip()]  # blank ones are refused
        if stops:
            fields["stop_sequences"] = stops
        self._tools()
        self._sampling(thinks=self._thinking())
        self._output()
        if request.user is not UNSET:
            fields["metadata"] = {"user_id": request.user}
        self._rest()
        return Encoded(encode(fields), tuple(self._dropped))

    # ---- tools ---------------------------------------------------------------------------------------------------

    def _tools(self) -> None:
        request, choice = self._request, self._request.tool_choice
        # One name is forced as it is; some names are allowed by offering no others.
        allowed = None
        if choice is not UNSET and choice.names and not (choice.mode == "required" and len(choice.names) == 1):
            allowed = frozenset(choice.names)
        tools: list[Fields | Raw] = []
        for tool in request.tools:
            if not isinstance(tool, Tool):
                if tool.dialect == Dialect.ANTHROPIC:
                    tools.append(tool.raw)
                else:
                    self._dropped.append(f"tools.{tool.kind}" if tool.kind else "tools")
            elif allowed is None or tool.name in allowed:
                tools.append(_tool(tool))
        if not tools:
            # Earlier calls need their tools defined, also when none may be called any more.
            tools += [{"name": name, "input_schema": NO_ARGUMENTS_SCHEMA} for name in used_tools(request.turns)]
            if tools:
                self._fields |= {"tools": tools, "tool_choice": {"type": "none"}}
            return
        self._fields["tools"] = tools
        told = _choice(choice, serial=request.parallel_tools is False)
        if told is not None:
            self._fields["tool_choice"] = told

    # ---- thinking and sampling -----------------------------------------------------------------------------------

    def _thinking(self) -> bool:
        """Write how much to think; returns whether it is switched on by a budget, which binds the sampling."""
        wish, target = self._request.thinking, self._target
        if wish is UNSET:
            return False
        if target.thinking == "none":
            self._dropped.append("reasoning_effort")
            return False
        if self._own and wish.effort is not UNSET:
            self._config("effort", wish.effort)
        if target.thinking != "budget":
            self._adaptive(wish)
            return False
        if is_off(wish):
            return False
        budget = budget_of(wish)
        if budget is UNSET:
            if wish.mode == "adaptive":  # the client knows its model
                self._fields["thinking"] = {"type": "adaptive", **_display(wish)}
            return False
        return self._budget(wish, max(budget, _LEAST_BUDGET))

    def _adaptive(self, wish: Thinking) -> None:
        if is_off(wish):
            self._fields["thinking"] = {"type": "disabled"}
            return
        self._fields["thinking"] = {"type": "adaptive", **_display(wish)}
        effort = effort_of(wish)
        if effort is not UNSET:
            self._config("effort", effort if effort in _EFFORTS else "low")

    def _budget(self, wish: Thinking, budget: int) -> bool:
        if not self._may_think():
            self._dropped.append("reasoning_effort")
            return False
        bound = self._fields["max_tokens"]
        if self._request.max_tokens is UNSET:
            if budget >= bound:  # nobody bound the answer, so the thinking comes on top
                self._fields["max_tokens"] = bound + budget
        elif budget >= bound:
            budget = bound - 1
            if budget < _LEAST_BUDGET:
                self._dropped.append("reasoning_effort")
                return False
        self._fields["thinking"] = {"type": "enabled", "budget_tokens": budget, **_display(wish)}
        return True

    def _may_think(self) -> bool:
        """Tell whether thinking may be on: not with a forced tool, nor amid calls that began without it."""
        choice = self._request.tool_choice
        if choice is not UNSET and choice.mode == "required":
            return False
        last = ends_in_results(self._request.turns)
        if last is None or self._target.unsigned_reasoning:
            return True
        return any(
            (isinstance(part, Redacted) or (isinstance(part, Reasoning) and bool(part.signature)))
            and part.issuer == ANTHROPIC
            for part in last
        )

    def _sampling(self, *, thinks: bool) -> None:
        sampling, fields = self._request.sampling, self._fields
        self._dropped += [name for name in _UNKNOWN_SAMPLING if getattr(sampling, name) is not UNSET]
        told = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
        refused: set[str] = set()
        if not self._target.takes_sampling:
            refused = {"temperature", "top_p", "top_k"}
        elif thinks:
            refused = {"temperature", "top_k"}
            if sampling.top_p is not UNSET and sampling.top_p < _LEAST_TOP_P:
                refused.add("top_p")
        elif sampling.temperature is not UNSET and not self._own:
            refused = {"top_p"}  # newer models refuse both at once
        for name, value in told.items():
            if value is UNSET:
                continue
            if name not in refused:
                fields[name] = min(value, 1.0) if name == "temperature" else value
            elif not (name in {"temperature", "top_p"} and value == 1):  # 1 is what they are anyway
                self._dropped.append(name)

    # ---- the rest ------------------------------------------------------------------------------------------------

    def _config(self, name: str, value: Any) -> None:
        self._fields.setdefault("output_config", {})[name] = value

    def _output(self) -> None:
        output = self._request.output
        if output is UNSET or output.kind == "text":
            return
        if output.kind == "json" or output.schema is UNSET:
            self._dropped.append("response_format")
        else:
            self._config("format", {"type": "json_schema", "schema": output.schema})

    def _rest(self) -> None:
        request = self._request
        if request.n is not UNSET and request.n != 1:
            self._dropped.append("n")
        if request.modalities is not UNSET and request.modalities != ("text",):
            self._dropped.append("modalities")
        for name in ("metadata", "verbosity", "service_tier"):
            value = getattr(request, name)
            if value is UNSET:
                continue
            if name == "service_tier" and self._own:
                self._fields[name] = value
            else:
                self._dropped.append(name)
        if self._own:
            for name, raw in request.extras.items():
                self._fields.setdefault(name, raw)
        else:
            self._dropped += request.extras


def _tool(tool: Tool) -> Fields:
    fields: Fields = {"name": tool.name}
    if tool.description is not UNSET:
        fields["description"] = tool.description
    fields["input_schema"] = CUSTOM_SCHEMA if tool.custom else _schema(tool)
    if tool.strict is True:
        fields["strict"] = True
    return {**fields, **mark_fields(tool.cache)}


def _schema(tool: Tool) -> Raw | dict[str, Raw]:
    """Return the schema of a tool's input, which must say here that it is an object."""
    if tool.schema is UNSET:
        return NO_ARGUMENTS_SCHEMA
    fields = object_of(text_of(tool.schema))
    if fields is None or "type" in fields:
        return tool.schema
    return {"type": Raw(b'"object"'), **fields}


def _choice(choice: ToolChoice | Any, *, serial: bool) -> Fields | None:
    told: Fields
    if choice is UNSET:
        if not serial:
            return None
        told = {"type": "auto"}
    elif choice.mode == "required" and len(choice.names) == 1:
        told = {"type": "tool", "name": choice.names[0]}
    else:
        told = {"type": "any" if choice.mode == "required" else choice.mode}
    if serial and told["type"] != "none":
        told["disable_parallel_tool_use"] = True
    return told


def _display(wish: Thinking) -> Fields:
    return {} if wish.show is UNSET else {"display": "summarized" if wish.show else "omitted"}

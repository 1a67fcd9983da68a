"""The language in which faults are ordered, by ``--faults``, by header and inside a prompt.

``KIND[:SHARE][:OPTION=VALUE,…]``, several with commas between: ``429:0.1,cut:after=5,times=2,delay:s=0.2``. A bare
``OPTION=VALUE`` after a comma belongs to the fault before it. The table below is the whole vocabulary.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, structs

from tidemill.kernel.errors import BadInput

Group = Literal["refusal", "wire", "answer", "content", "modifier"]


class Kind(Struct, frozen=True):
    """One kind of fault: ``status`` for those that are an HTTP error, ``options`` beside the common ones."""

    group: Group
    about: str
    options: tuple[str, ...] = ()
    status: int = 0


_REFUSED = ("retry",)

KINDS: Mapping[str, Kind] = {
    **{
        str(status): Kind("refusal", f"HTTP {status} in the provider's envelope", _REFUSED, status)
        for status in (400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529)
    },
    "auth": Kind("refusal", "the key is wrong"),
    "forbidden": Kind("refusal", "the key may not do this"),
    "balance": Kind("refusal", "the account has no money left"),
    "context": Kind("refusal", "the prompt is too long"),
    "overloaded": Kind("refusal", "the provider's own status for overload: 529 or 503", _REFUSED),
    "html": Kind("refusal", "a proxy's page instead of JSON; as=STATUS, 502 unless said", ("as",)),
    "hang": Kind("wire", "no byte for s seconds, 600 unless said; then the answer", ("s",)),
    "cut": Kind(
        "wire",
        "drops the connection: after=N content events, at=head|start|event|tool; half-way unless said",
        ("after", "at"),
    ),
    "stall": Kind(
        "wire", "falls silent for s seconds (600) after=N content events, half-way unless said", ("after", "s")
    ),
    "error": Kind("answer", "an error inside the stream after=N content events; as=KIND or STATUS", ("after", "as")),
    "error200": Kind("answer", "an error object under HTTP 200; as=KIND or STATUS", ("as",)),
    "bytes": Kind("answer", "bytes that are no JSON; in a stream after=N content events", ("after",)),
    "empty": Kind("answer", "HTTP 200 and not one byte of body"),
    "blank": Kind("content", "a sound answer that says nothing"),
    "blocked": Kind("content", "the provider's filter stops the answer; at=prompt for the question", ("at",)),
    "garbage": Kind("content", "prose where JSON was asked for"),
    "think": Kind("content", "a <think> block and a code fence around the text"),
    "length": Kind("content", "half the text, ended by the token limit"),
    "delay": Kind("modifier", "waits s seconds before the first byte", ("s",)),
    "pace": Kind("modifier", "waits s seconds between the chunks of a stream", ("s",)),
    "type": Kind("modifier", "wrong content type; as=TYPE, text/html unless said", ("as",)),
    "no-done": Kind("modifier", "leaves out what closes a stream"),
    "no-usage": Kind("modifier", "leaves out the usage"),
    "repeat-usage": Kind("modifier", "repeats the usage so far in every chunk of a stream"),
    "tools": Kind(
        "modifier",
        "odd deltas of tool calls; form=no-index|no-id|whole|cumulative|one-index|joined (openai)",
        ("form",),
    ),
    "frames": Kind("modifier", "odd framing of a stream; form=split|joined|crlf|comments|spaceless", ("form",)),
}
"""Every kind of fault. Of the groups but ``modifier`` one fault at most strikes a request."""

COMMON_OPTIONS = ("rate", "times", "model", "key", "path", "id")
_FORMS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("cut", "at"): ("head", "start", "event", "tool"),
    ("blocked", "at"): ("prompt", "answer"),
    ("tools", "form"): ("no-index", "no-id", "whole", "cumulative", "one-index", "joined"),
    ("frames", "form"): ("split", "joined", "crlf", "comments", "spaceless"),
}
_MOST_FAULTS = 50


class Fault(Struct, frozen=True):
    """One ordered fault. ``rate`` is its share of the requests, ``times`` how often it strikes at most.

    ``model``, ``key`` and ``path`` narrow it to requests of that model, with a key ending so, to a path holding that.
    ``id`` tells orders of the same words apart. The rest are options of single kinds.
    """

    kind: str
    rate: float = 1.0
    times: int | None = None
    model: str = ""
    key: str = ""
    path: str = ""
    id: str = ""
    after: int | None = None
    at: str = ""
    s: float | None = None
    retry: float | None = None
    as_: str = ""
    form: str = ""

    @property
    def group(self) -> Group:
        """The group of its kind."""
        return KINDS[self.kind].group


def parse_faults(text: str) -> tuple[Fault, ...]:
    """Read faults in the language of this module; raises BadInput naming ``faults`` and what is wrong with them."""
    found: list[list[str]] = []
    for piece in filter(None, (part.strip() for part in text.replace(";", ",").split(","))):
        head, *options = (word.strip() for word in piece.split(":"))
        if "=" not in head:
            found.append([head, *options])
        elif found:
            found[-1] += [head, *options]
        else:
            raise _wrong(f"{piece!r} has no fault before it")
    if len(found) > _MOST_FAULTS:
        raise _wrong(f"more than {_MOST_FAULTS} faults")
    return check_faults(tuple(_fault(words) for words in found))


def faults_of(given: str | Mapping[str, float] | tuple[Fault, ...]) -> tuple[Fault, ...]:
    """Read faults from text or from shares by kind (``{"429": 0.1}``); raises BadInput naming ``faults``."""
    if isinstance(given, str):
        return parse_faults(given)
    if isinstance(given, Mapping):
        return check_faults(tuple(_fault([kind, f"rate={share}"]) for kind, share in given.items()))
    return given


def check_faults(faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """Return ``faults`` unless shares of those that exclude one another add up to more than 1; then raise BadInput."""
    lasting = [fault for fault in faults if fault.group != "modifier" and fault.times is None]
    shares = [fault.rate for fault in lasting if fault.rate < 1.0]
    if sum(shares) > 1.0 + 1e-9:  # the small term forgives float addition
        raise _wrong("the shares add up to more than 1")
    return faults


def _fault(words: list[str]) -> Fault:
    name, *rest = words
    kind = KINDS.get(name)
    if kind is None:
        raise _wrong(f"{name!r} is unknown; known are {', '.join(KINDS)}")
    fault = Fault(name)
    for word in rest:
        option, is_named, value = word.partition("=")
        if not is_named:
            option, value = "rate", word
        if option not in COMMON_OPTIONS and option not in kind.options:
            known = ", ".join((*COMMON_OPTIONS, *kind.options))
            raise _wrong(f"{name} has no option {option!r}; it has {known}")
        fault = structs.replace(fault, **{_field(option): _value(name, option, value)})
    return fault


def _field(option: str) -> str:
    return "as_" if option == "as" else option


def _value(kind: str, option: str, value: str) -> float | int | str:
    forms = _FORMS.get((kind, option))
    if forms and value not in forms:
        raise _wrong(f"{option} of {kind} is one of {', '.join(forms)}")
    try:
        match option:
            case "rate":
                return _share(kind, float(value))
            case "s" | "retry":
                return _positive(option, float(value))
            case "times" | "after":
                return int(_positive(option, int(value)))
            case _:
                return value
    except ValueError:
        raise _wrong(f"{value!r} is no {option}; write {kind}:{option}=NUMBER, for example 429:0.1") from None


def _share(kind: str, value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise _wrong(f"the share of {kind} must be between 0 and 1")
    return value


def _positive(option: str, value: float) -> float:
    if not 0 <= value <= 1e6:  # noqa: PLR2004 - longer than any test runs; refuses infinity and NaN
        raise _wrong(f"{option} must be between 0 and 1000000")
    return value


def _wrong(sentence: str) -> BadInput:
    return BadInput.of("faults", sentence)

"""Obey the simple orders that test suites give: say exactly this, count, repeat, add up, remember a name.

Rules are tried in order; the first that fits gives the whole answer. What fits none is answered in prose elsewhere.
"""

import re
from collections.abc import Callable, Sequence

from tidemill.simulator.ask import Ask

_READ_CHARS = 4000  # an order stands early or not at all; long material is not searched
_MOST_WORDS = 20_000

_MAYBE = re.compile(
    r"\b(?:reply|respond|answer|say|output|return|write|print|count|repeat|echo|what|calculate|compute|generate|give)\b"
    r"|[只仅]|重复|数到|我叫|写",
    re.IGNORECASE,
)
_QUOTES = "\"'“”‘’「」`"
_SAYS = r"(?:reply|respond|answer|say|output|return|write|print)"
_FILLER = r"(?:(?:the|this|one|single|following|exact|word|words|text|string|phrase|token|number|sentence)\s+)*"
_THE_WORD = r"(?:the|this)\s+(?:one\s+|single\s+)?(?:word|text|phrase|string)"
_EXACT = re.compile(
    rf"\b{_SAYS}\s+(?:back\s+)?(?:to me\s+)?(?:with\s+)?(?:(?:exactly|only|just|precisely|nothing but)\s+)*{_FILLER}"
    rf"(?:exactly|only|word|words|text|string|phrase|nothing but|just)?\s*[:：]?\s*"
    rf"(?:[“\"'「`](?P<quoted>[^{_QUOTES}\n]+)[”\"'」`])",
    re.IGNORECASE,
)
_BARE = re.compile(
    rf"\b{_SAYS}\s+(?:back\s+)?(?:to me\s+)?(?:with\s+)?(?:"
    rf"(?:exactly|only|just|precisely|nothing but)[:：]?\s+{_FILLER}|{_THE_WORD}[:：]?\s+"
    rf"|exactly[:：]\s*)(?P<bare>[^\n]+)",
    re.IGNORECASE,
)
_ZH_EXACT = re.compile(rf"[只仅](?:需要?|要)?(?:回复|回答|输出|说)[:：]?\s*[{_QUOTES}]?(?P<bare>[^{_QUOTES}\n。]+)")
_TAIL = re.compile(
    r"(?:[.!,;]?\s*(?:and|with)?\s*(?:nothing (?:else|more)|no (?:other|extra|additional)\b.*|no punctuation))?"
    r"[.!]?\s*$",
    re.IGNORECASE,
)
_REPEAT = re.compile(r"\b(?:repeat(?: after me| this| exactly)*|echo)\s*[:：]\s*(.+)|重复[:：]\s*(.+)", re.IGNORECASE)
_COUNT = re.compile(
    r"\bcount\s+(?:from\s+)?(?:(\d{1,5})\s+)?(?:up\s+)?to\s+(\d{1,5})|从?(\d{1,5})?数到(\d{1,5})", re.IGNORECASE
)
_LINES = re.compile(r"\bline|每行|一行", re.IGNORECASE)
_WORDS = re.compile(
    r"\b(?:write|say|give|generate|output)\D{0,24}?(\d{1,5})\s+words|写\D{0,6}?(\d{1,5})\s*个?字", re.IGNORECASE
)
_SUM = re.compile(
    r"\b(?:what(?:'s| is)|calculate|compute)\s+(-?\d{1,9})\s*(\+|-|\*|×|x|plus|minus|times)\s*(-?\d{1,9})",
    re.IGNORECASE,
)
_ASKS_NAME = re.compile(r"what(?:'s| is) my name|what my name is|我叫什么", re.IGNORECASE)
_TOLD_NAME = re.compile(r"\bmy name is\s+([\w-]+)|我叫([\u3400-\u9fff]{2,4}|\w+)", re.IGNORECASE)
_ONLY_NAME = re.compile(r"\b(?:only|just|nothing but)\s+(?:the|my|your|that)?\s*name|只[^\n]{0,4}名字", re.IGNORECASE)
_FIRST_WORDS = ("tide", "river", "stone", "light", "field", "harbour", "mill", "wheel")


def obey(ask: Ask) -> str | None:
    """Return the answer that the last user turn (else the system prompt) orders, None when it orders none we know."""
    prompt = ask.prompt[:_READ_CHARS]
    if _MAYBE.search(prompt):
        for rule in _RULES:
            if (answer := rule(prompt, ask)) is not None:
                return answer
    if len(ask.turns) == 1:
        return None
    system = "\n".join(turn.text for turn in ask.turns if turn.role == "system")[:_READ_CHARS]
    return exactly(system) if system and _MAYBE.search(system) else None


def exactly(text: str) -> str | None:
    """Return what the text orders to be said word for word, None when it orders nothing of the kind."""
    if match := _EXACT.search(text):
        return match["quoted"]
    if match := _BARE.search(text) or _ZH_EXACT.search(text):
        said = _TAIL.sub("", match["bare"]).strip().strip(_QUOTES)
        return said or None
    return None


def _exact(prompt: str, _ask: Ask) -> str | None:
    return exactly(prompt)


def _repeated(prompt: str, _ask: Ask) -> str | None:
    match = _REPEAT.search(prompt)
    return _given(match.groups()).strip().strip(_QUOTES) if match else None


def _counted(prompt: str, _ask: Ask) -> str | None:
    match = _COUNT.search(prompt)
    if not match:
        return None
    low, high = match[1] or match[3] or "1", match[2] or match[4]
    joint = "\n" if _LINES.search(prompt) else ", "
    return joint.join(str(number) for number in range(int(low), int(high) + 1))


def _long(prompt: str, _ask: Ask) -> str | None:
    match = _WORDS.search(prompt)
    if not match:
        return None
    if match[2]:
        return "潮" * min(int(match[2]), _MOST_WORDS)
    count = min(int(match[1]), _MOST_WORDS)
    return " ".join(_FIRST_WORDS[at % len(_FIRST_WORDS)] for at in range(count))


def _sum(prompt: str, _ask: Ask) -> str | None:
    match = _SUM.search(prompt)
    if not match:
        return None
    left, right = int(match[1]), int(match[3])
    match match[2].lower():
        case "+" | "plus":
            return str(left + right)
        case "-" | "minus":
            return str(left - right)
        case _:
            return str(left * right)


def _name(prompt: str, ask: Ask) -> str | None:
    if not _ASKS_NAME.search(prompt):
        return None
    told = (
        match for turn in reversed(ask.turns) if (match := _TOLD_NAME.search(turn.text)) and turn.role != "assistant"
    )
    match = next((found for found in told if not _ASKS_NAME.search(found.string[found.start() :])), None)
    if match is None:
        return None
    name = _given(match.groups())
    return name if _ONLY_NAME.search(prompt) else f"Your name is {name}."


def _given(groups: Sequence[str | None]) -> str:
    return next(group for group in groups if group is not None)


_RULES: tuple[Callable[[str, Ask], str | None], ...] = (_name, _exact, _repeated, _counted, _long, _sum)

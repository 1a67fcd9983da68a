"""Rows in the shapes that fine-tuning tools read: a conversation, from which each format takes what it holds.

A row is mapped by its fields, whatever its task type is called: messages; instruction and output; question and answer;
text and label; text and entities. Other rows have no sensible form as a conversation and are refused by name.

Sources: Alpaca and ShareGPT as in LLaMA-Factory's data format; OpenAI's chat format for supervised fine-tuning.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

Shape = Literal["alpaca", "sharegpt", "openai"]

_CLASSIFY = ("判断下面文本的类别，只回答类别名称。", "Name the category of the following text, and nothing else.")
_ENTITIES = (
    "抽取下面文本中的实体，以 JSON 数组回答，每项含 type、value、start、end。",
    "Extract the entities of the following text as a JSON array of objects with type, value, start and end.",
)
_SPEAKERS = {"user": "human", "assistant": "gpt", "system": "system"}


class Turn(Struct, frozen=True):
    """One message."""

    role: str
    content: str


class Conversation(Struct, frozen=True):
    """Messages; for one exchange also the task apart from its material, which Alpaca keeps in two fields."""

    turns: list[Turn]
    instruction: str = ""
    material: str = ""


def conversation(row: Mapping[str, Any]) -> Conversation | None:
    """Return a row as a conversation, None when it has no sensible form as one."""
    if isinstance(messages := row.get("messages"), list):
        return _of_messages(messages)  # pyright: ignore[reportUnknownArgumentType] - JSON
    for fields, make in _EXCHANGES.items():
        if all(field in row for field in fields):
            instruction, material, answer = make(row)
            asked = f"{instruction}\n\n{material}" if material else instruction
            return Conversation([Turn("user", asked), Turn("assistant", answer)], instruction, material)
    return None


def shaped(talk: Conversation, shape: Shape) -> dict[str, Any]:
    """Return a conversation as one record of a format."""
    if shape == "openai":
        return {"messages": [{"role": turn.role, "content": turn.content} for turn in talk.turns]}
    if shape == "sharegpt":
        system = "\n".join(turn.content for turn in talk.turns if turn.role == "system")
        spoken = [
            {"from": _SPEAKERS.get(turn.role, turn.role), "value": turn.content}
            for turn in talk.turns
            if turn.role != "system"
        ]
        return {"conversations": spoken, **({"system": system} if system else {})}
    return _alpaca(talk)


def _alpaca(talk: Conversation) -> dict[str, Any]:
    system = "\n".join(turn.content for turn in talk.turns if turn.role == "system")
    spoken = [turn for turn in talk.turns if turn.role != "system"]
    asked, answered = spoken[-2].content, spoken[-1].content
    earlier = [
        [question.content, answer.content] for question, answer in zip(spoken[:-2:2], spoken[1:-2:2], strict=False)
    ]
    return {
        "instruction": talk.instruction or asked,
        "input": talk.material,
        "output": answered,
        **({"system": system} if system else {}),
        **({"history": earlier} if earlier else {}),
    }


def _of_messages(messages: list[Any]) -> Conversation | None:
    try:
        turns = msgspec.convert(messages, list[Turn])
    except msgspec.ValidationError:
        return None
    spoken = [turn.role for turn in turns if turn.role != "system"]
    if len(spoken) < 2 or spoken[-1] != "assistant":  # noqa: PLR2004 - a question and an answer
        return None
    return Conversation(turns)


def _in_chinese(text: str) -> bool:
    letters = [character for character in text if character.isalpha()]
    han = sum("\u3400" <= character <= "\u9fff" for character in letters)
    return han * 10 >= len(letters) * 3 and han > 0


def _said(row: Mapping[str, Any], field: str) -> str:
    value = row.get(field)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _about_text(sentences: tuple[str, str], answer: str) -> Callable[[Mapping[str, Any]], tuple[str, str, str]]:
    def make(row: Mapping[str, Any]) -> tuple[str, str, str]:
        text = _said(row, "text")
        return sentences[0] if _in_chinese(text) else sentences[1], text, _said(row, answer)

    return make


_EXCHANGES: dict[tuple[str, ...], Callable[[Mapping[str, Any]], tuple[str, str, str]]] = {
    ("instruction", "output"): lambda row: (
        _said(row, "instruction"),
        _said(row, "input") if row.get("input") else "",
        _said(row, "output"),
    ),
    ("question", "answer"): lambda row: (_said(row, "question"), "", _said(row, "answer")),
    ("text", "label"): _about_text(_CLASSIFY, "label"),
    ("text", "entities"): _about_text(_ENTITIES, "entities"),
}

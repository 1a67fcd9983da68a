"""Make up believable sentences in zh and en from a seeded source of chance.

Parts are drawn from wide lists and joined, so that hundreds of rows stay clear of near-duplicate limits.
"""

import random
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from pathlib import Path

import msgspec

from tidemill.kernel.lang import Lang

_WORDS = Path(__file__).parent / "words"


@cache
def word_lists(lang: Lang) -> Mapping[str, list[str]]:
    """Return the word lists of a language, read once."""
    return msgspec.json.decode((_WORDS / f"{lang}.json").read_bytes(), type=dict[str, list[str]])


class Voice:
    """One seeded speaker. The same seed says the same things in the same order."""

    def __init__(self, lang: Lang, seed: str) -> None:
        self.lang: Lang = lang
        self._seed = seed
        self._words = word_lists(lang)

    @cached_property
    def dice(self) -> random.Random:
        """The source of chance; seeding it is what costs most of a short answer."""
        return random.Random(self._seed)  # noqa: S311 - repeatable content, no secret

    def pick(self, kind: str) -> str:
        """Draw one entry of a word list."""
        return self.dice.choice(self._words[kind])

    def several(self, kind: str, count: int) -> list[str]:
        """Draw ``count`` different entries of a word list."""
        return self.dice.sample(self._words[kind], min(count, len(self._words[kind])))

    def topic(self, direction: str) -> str:
        """Return the direction, or a topic of our own where none is given."""
        return direction or self.pick("topics")

    def act(self, topic: str) -> str:
        """Return a predicate that contains ``topic`` word for word."""
        return self.pick("acts").replace("{topic}", topic)

    def passage(self, topic: str, target_chars: int = 60) -> str:
        """Return prose about ``topic`` of about ``target_chars`` characters, never shorter than one clause."""
        return self.story(self.pick("people"), topic, target_chars)

    def story(self, who: str, topic: str, target_chars: int = 60) -> str:
        """Return prose in which ``who`` does something about ``topic``; grows by clauses up to the target."""
        zh = self.lang == "zh"
        when, where = self.pick("times"), self.pick("places")
        if target_chars < (14 if zh else 45):
            act, detail = self.act(topic), self.pick("details")
            forms = (
                [f"{when}，{who}{act}", f"{who}在{where}{act}", f"{who}{act}，{detail}"]
                if zh
                else [f"{when}, {who} {act}", f"{who} in {where} {act}", f"{who} {act}, and {detail}"]
            )
            text = self.dice.choice(forms)
        else:
            text = f"{when}，{who}在{where}{self.act(topic)}" if zh else f"{when}, {who} in {where} {self.act(topic)}"
        clauses: list[Callable[[], str]] = [lambda: self.pick("details"), lambda: self.pick("ends")]
        for clause in clauses:
            if len(text) < 0.8 * target_chars:
                text += ("，" if zh else ", and ") + clause()
        text += "。" if zh else "."
        extra = self.several("tips", 6) + self.several("details", 6)
        while len(text) < 0.8 * target_chars and extra:
            text += self._sentence(extra.pop(0))
        return text

    def question(self, topic: str) -> str:
        """Return a question that names ``topic``."""
        who, ask = self.pick("people"), self.pick("asks")
        if self.lang == "zh":
            lead = self.dice.choice(
                [
                    f"{who}想了解{topic}，",
                    f"关于{topic}，",
                    f"办理{topic}的时候，",
                    f"说到{topic}，",
                    f"就{topic}而言，",
                ]
            )
            return f"{lead}{ask}？"
        lead = self.dice.choice(
            [f"About {topic}, ", f"When it comes to {topic}, ", f"{who} wonders about {topic}: ", f"On {topic}, "]
        )
        return f"{lead}{ask}?"

    def answer(self, topic: str, fact: str = "") -> str:
        """Return an answer on ``topic``; ``fact`` is taken over into it word for word."""
        tips, more = self.several("tips", 2), self.pick("details")
        if self.lang == "zh":
            core = fact.rstrip("。！？；，,.") or f"{topic}可以由{self.pick('orgs')}受理，{self.pick('details')}"
            return f"{core}。{tips[0]}，{tips[1]}。有时{more}。"
        core = fact.rstrip(".!?;,") or f"{_upper(topic)} is handled by {self.pick('orgs')}, and {self.pick('details')}"
        return f"{_upper(core)}.{self._sentence(tips[0])}{self._sentence(tips[1])} At times {more}."

    def feeling(self, polarity: str) -> str:
        """Return a judging phrase: ``good``, ``bad`` or ``flat``."""
        return self.pick(polarity)

    def _sentence(self, clause: str) -> str:
        return f"{clause}。" if self.lang == "zh" else f" {_upper(clause)}."


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]

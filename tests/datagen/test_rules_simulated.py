"""Rows of the simulated provider pass every type's rules: what the journeys and the bench build on."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tidemill.datagen.judge import final_score, judge_format, judge_messages, parse_judgement
from tidemill.datagen.novelty import NoveltyIndex, text_of
from tidemill.datagen.parse import parse_output
from tidemill.datagen.prompts import Draw, generation_messages, response_format
from tidemill.datagen.rules import detect_language, length_profile, rule_score
from tidemill.datagen.task_types import TaskType, load_types
from tidemill.kernel.lang import Lang
from tidemill.simulator.answers import reply_to

TYPES = load_types()
EXAMPLES = Path(__file__).parents[2] / "examples"
SHIPPED = sorted(path.name for path in EXAMPLES.iterdir() if path.suffix in {".jsonl", ".csv"})
DIRECTIONS: dict[Lang, list[str]] = {"zh": ["信用卡年费", "贷款利率"], "en": ["annual card fee", "loan rates"]}


def _rows(name: str) -> list[dict[str, Any]]:
    with (EXAMPLES / name).open(encoding="utf-8", newline="") as file:
        if name.endswith(".csv"):
            return list(csv.DictReader(file))
        return [json.loads(line) for line in file]


def _ask(messages: list[dict[str, Any]], form: dict[str, Any] | None, seed: int | None, low_share: float = 0.0) -> str:
    body = {"model": "m", "messages": messages, "seed": seed, **({"response_format": form} if form else {})}
    return reply_to(body, seed=0, low_share=low_share, fault=None).text


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_samples_make_accepted_rows_that_follow_the_direction(name: str) -> None:
    task, lang = name.split(".", maxsplit=1)[0], name.split(".")[1]
    t = TYPES[task]
    samples = _rows(name)
    assert 8 <= len(samples) <= 12
    language = detect_language(samples)
    assert language == lang
    profile = length_profile(samples)
    index = NoveltyIndex("near")
    for number, sample in enumerate(samples * 6):
        direction = DIRECTIONS[language][number % 2]
        draw = Draw(direction, "", "", "", 0.8, number)
        prompt = generation_messages(t, language, draw, sample, profile=profile)
        parsed = parse_output(t, _ask(prompt, response_format(t), number), "stop")
        assert parsed.output is not None, parsed.problems
        assert not parsed.repaired
        text = text_of(parsed.output)
        verdict = rule_score(
            t, language, parsed.output, sample, direction=direction, lengths=profile, novelty=index.check(text)
        )
        assert verdict.failed_gates == [], verdict.reasons
        assert verdict.checks["direction"] == 1.0
        judged = parse_judgement(
            t, _ask(judge_messages(t, language, sample, parsed.output, direction), judge_format(t), None)
        )
        assert judged is not None
        assert final_score(judged.model_score, verdict.score) >= 8, verdict
        index.add(text, number)


@pytest.mark.parametrize("t", TYPES.values(), ids=TYPES.keys())
@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("guided", [True, False])
def test_every_type_gets_rows_that_pass_its_gates(t: TaskType, lang: Lang, *, guided: bool) -> None:
    sample = t.example[lang]["input"]
    profile = length_profile([sample])
    index = NoveltyIndex("exact")
    for seed in range(40):
        draw = Draw(DIRECTIONS[lang][0], "", "", "", 0.8, seed)
        prompt = generation_messages(t, lang, draw, sample, profile=profile)
        parsed = parse_output(t, _ask(prompt, response_format(t) if guided else None, seed), "stop")
        assert parsed.output is not None, parsed.problems
        novelty = index.check(text_of(parsed.output))
        verdict = rule_score(t, lang, parsed.output, sample, direction=draw.direction, lengths=profile, novelty=novelty)
        assert verdict.failed_gates == [], verdict.reasons
        assert verdict.score >= 6.5
        index.add(text_of(parsed.output), seed)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_judge_without_guided_decoding_still_scores_and_the_low_share_is_met(lang: Lang) -> None:
    t = TYPES["qa_pairs"]
    scores: list[float] = []
    for number in range(300):
        row = {"question": f"q{number}", "answer": "a", "evidence": ""}
        judged = parse_judgement(t, _ask(judge_messages(t, lang, {}, row, None), None, None, low_share=0.2))
        assert judged is not None
        scores.append(judged.model_score)
    assert 30 < sum(score < 6 for score in scores) < 90

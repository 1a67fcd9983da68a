"""Write training rows of the known kinds, as a good model would: on the direction, in the language, none alike."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tidemill.simulator.asked import Asked
from tidemill.simulator.voice import Voice

Row = dict[str, Any]

_KIND_OF_ENTITY: tuple[tuple[str, str], ...] = (
    ("人|person|people|name|customer", "people"),
    ("机构|组织|公司|银行|org|company|bank|institution", "orgs"),
    ("地|城市|loc|place|city|region", "places"),
    ("时间|日期|time|date|when", "times"),
    ("金额|价格|费用|money|amount|price|fee", "amounts"),
    ("产品|商品|product|item|device", "products"),
)
_SENTENCE = re.compile(r"[^。！？!?.\n]{6,}[。！？!?.]?")
_USUAL_TYPES: Mapping[str, tuple[str, ...]] = {
    "zh": ("人名", "地名", "机构", "时间"),
    "en": ("person", "location", "organization", "time"),
}


def write_row(asked: Asked, voice: Voice) -> Row | None:
    """Return a row for the asked task, or None when the task is none of ours."""
    writer = _WRITERS.get(asked.task or "")
    return writer(asked, voice) if writer else None


def _length(asked: Asked, usual: int) -> int:
    """Return about the length of the material's longest line, so that rows look like their samples."""
    longest = max((len(line) for line in asked.material.splitlines()), default=0)
    return min(longest, 400) if longest else usual


def _entities(asked: Asked, voice: Voice) -> Row:
    types = asked.types or _USUAL_TYPES[asked.lang]
    zh = asked.lang == "zh"
    values: dict[str, str] = {}
    for name in types[:6]:
        kind = next((kind for words, kind in _KIND_OF_ENTITY if re.search(words, name.lower())), "topics")
        value = voice.pick(kind)
        if not any(value in other or other in value for other in values.values()):
            values[name] = value
    who = next((v for n, v in values.items() if re.search("人|person|people|name|customer", n.lower())), "")
    topic = voice.topic(asked.direction)
    text = voice.story(who or ("一位客户" if zh else "A customer"), topic, _length(asked, 50 if zh else 140))
    missing = [(name, value) for name, value in values.items() if value not in text]
    for name, value in missing:
        lead = voice.dice.choice(
            ["另外提到的", "其中的", "登记的", "材料里写的"] if zh else ["the noted", "the listed"]
        )
        text += f"{lead}{name}是{value}。" if zh else f" {lead.capitalize()} {name} was {value}."
    return {"text": text, "entities": [{"type": name, "value": value} for name, value in values.items()]}


def _qa(asked: Asked, voice: Voice) -> Row:
    passage = max(asked.material.splitlines(), key=len, default="")
    sentences = [match.group().strip() for match in _SENTENCE.finditer(passage)]
    evidence = voice.dice.choice(sentences) if sentences else ""
    topic = voice.topic(asked.direction)
    return {"question": voice.question(topic), "answer": voice.answer(topic, evidence), "evidence": evidence}


def _labelled(asked: Asked, voice: Voice) -> Row:
    label = asked.label or (voice.dice.choice(asked.labels) if asked.labels else "")
    text = voice.passage(voice.topic(asked.direction), _length(asked, 40 if asked.lang == "zh" else 110))
    return {"text": text, "label": label or ("咨询" if asked.lang == "zh" else "inquiry")}


def _dialogue(asked: Asked, voice: Voice) -> Row:
    topic = voice.topic(asked.direction)
    asks = voice.several("asks", 4)
    turns = [{"user": voice.question(topic), "assistant": voice.answer(topic)}]
    zh = asked.lang == "zh"
    for ask in asks[: voice.dice.randint(1, 3)]:
        said = voice.pick("details")
        user = f"明白了，不过{said}，{ask}？" if zh else f"I see, but {said}; {ask}?"
        turns.append({"user": user, "assistant": voice.answer(topic)})
    return {"turns": turns, "messages": _messages(turns)}


def _messages(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{"role": role, "content": turn[role]} for turn in turns for role in ("user", "assistant")]


def _intent(asked: Asked, voice: Voice) -> Row:
    zh = asked.lang == "zh"
    topic = voice.topic(asked.direction)
    when, where = voice.pick("times"), voice.pick("places")
    intent = asked.label or (voice.dice.choice(asked.labels) if asked.labels else ("咨询办理" if zh else "ask_process"))
    ask = voice.pick("asks")
    said = voice.pick("details")
    text = (
        f"{when}我在{where}办{topic}，{said}，{ask}？"
        if zh
        else f"{when} I tried {topic} in {where}, but {said}; {ask}?"
    )
    slots = [{"name": "时间" if zh else "time", "value": when}, {"name": "地点" if zh else "place", "value": where}]
    return {"utterance": text, "intent": intent, "slots": slots}


def _sentiment(asked: Asked, voice: Voice) -> Row:
    zh = asked.lang == "zh"
    polarity = asked.label if asked.label in _FEELINGS else voice.dice.choice(list(_FEELINGS))
    aspect = voice.topic(asked.direction)
    feeling = voice.feeling(_FEELINGS[polarity])
    story = voice.passage(aspect, _length(asked, 40 if zh else 110))
    text = f"{story}整体来看，{aspect}{feeling}。" if zh else f"{story} All in all, {aspect} was {feeling}."
    return {"text": text, "polarity": polarity, "aspects": [{"aspect": aspect, "polarity": polarity}]}


_FEELINGS: Mapping[str, str] = {"positive": "good", "negative": "bad", "neutral": "flat"}


def _summary(asked: Asked, voice: Voice) -> Row:
    topic = voice.topic(asked.direction)
    target = max(_length(asked, 0), 160 if asked.lang == "zh" else 420)
    who, end = voice.pick("people"), voice.pick("ends")
    document = voice.story(who, topic, target)
    document += f"对{who}来说，{end}。" if asked.lang == "zh" else f" For {who}, {end}."
    summary = f"{who}处理{topic}，{end}。" if asked.lang == "zh" else f"{who} dealt with {topic}; {end}."
    return {"document": document, "summary": summary}


def _translation(asked: Asked, voice: Voice) -> Row:
    other = Voice("en" if asked.lang == "zh" else "zh", f"translation:{voice.dice.random()}")
    source = voice.passage(voice.topic(asked.direction), 40 if asked.lang == "zh" else 110)
    target = other.passage(other.pick("topics"), 110 if asked.lang == "zh" else 40)
    return {"source": source, "target": target}


def _paraphrase(asked: Asked, voice: Voice) -> Row:
    zh = asked.lang == "zh"
    topic, who, end = voice.topic(asked.direction), voice.pick("people"), voice.pick("ends")
    act = voice.act(topic)
    detail, other = voice.several("details", 2)
    if zh:
        return {
            "text": f"{who}{act}，{detail}，{end}。",
            "positive": f"{end}，因为{who}在{topic}这件事上遇到的情况是：{detail}。",
            "negative": f"{voice.pick('people')}并没有{voice.act(topic)}，{other}。",
        }
    return {
        "text": f"{who} {act}; {detail}, and {end}.",
        "positive": f"In the matter of {topic}, {end}, for {who} had found that {detail}.",
        "negative": f"{voice.pick('people')} never {voice.act(topic)}; {other}.",
    }


def _instruction(asked: Asked, voice: Voice) -> Row:
    zh = asked.lang == "zh"
    topic = voice.topic(asked.direction)
    count = voice.dice.randint(2, 4)
    tips = voice.several("tips", count)
    given = voice.passage(topic, 40 if zh else 110)
    verb = voice.dice.choice(["给出", "列出", "整理", "归纳"] if zh else ["Give", "List", "Collect", "Name"])
    instruction = (
        f"阅读下面的情况，围绕{topic}{verb}{count}条建议，每条一行。"
        if zh
        else f"Read the case below. {verb} {count} pieces of advice on {topic}, one on each line."
    )
    lines = [f"{n}. {tip}" for n, tip in enumerate(tips, 1)]
    constraints = [{"kind": "lines", "value": str(count)}]
    return {"instruction": instruction, "input": given, "output": "\n".join(lines), "constraints": constraints}


def _preference(asked: Asked, voice: Voice) -> Row:
    topic = voice.topic(asked.direction)
    poor = voice.pick("flat")
    rejected = (
        f"{topic}的事不好说，{poor}，自己看着办吧。" if asked.lang == "zh" else f"Hard to say; {topic} is {poor}."
    )
    return {"prompt": voice.question(topic), "chosen": voice.answer(topic), "rejected": rejected}


def _sql(asked: Asked, voice: Voice) -> Row:
    zh = asked.lang == "zh"
    table, column, number = voice.dice.choice(
        [("orders", "city", "amount"), ("visits", "branch", "minutes"), ("claims", "product", "payout")]
    )
    name = {"city": "places", "branch": "orgs", "product": "products"}[column]
    value, floor, topic = voice.pick(name), voice.dice.randint(2, 900), voice.topic(asked.direction)
    kind, words = voice.dice.choice([("SUM", "总和 total"), ("AVG", "平均值 average"), ("MAX", "最大值 highest")])
    word = words.split()[0 if zh else 1]
    schema = f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {column} TEXT, topic TEXT, {number} REAL, created_at TEXT)"
    question = (
        f"{voice.pick('details')}，所以想知道{value}涉及{topic}且{number}大于{floor}的记录，{number}的{word}是多少？"
        if zh
        else f"Given that {voice.pick('details')}, what is the {word} {number} of {value} on {topic} above {floor}?"
    )
    quoted = [part.replace("'", "''") for part in (value, topic)]
    where = f"WHERE {column} = '{quoted[0]}' AND topic = '{quoted[1]}' AND {number} > {floor}"
    return {
        "question": question,
        "schema": schema,
        "sql": " ".join(["SELECT", f"{kind}({number})", f"FROM {table}", where]),
    }


def _calls(asked: Asked, voice: Voice) -> Row:
    zh = asked.lang == "zh"
    topic, city, count = voice.topic(asked.direction), voice.pick("places"), voice.dice.randint(1, 30)
    parameters = {
        "type": "object",
        "properties": {"topic": {"type": "string"}, "city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["topic", "city"],
    }
    described = "查询某个城市近期的办理情况" if zh else "Look up recent cases in a city"
    query = (
        f"{voice.pick('details')}，帮我查一下{city}最近{count}天{topic}的情况，{voice.pick('asks')}？"
        if zh
        else f"Since {voice.pick('details')}, please look up {topic} in {city} for {count} days; {voice.pick('asks')}?"
    )
    arguments = {"topic": topic, "city": city, "days": count}
    tool = {"name": "find_cases", "description": described, "parameters": _json(parameters)}
    return {"query": query, "tools": [tool], "calls": [{"name": "find_cases", "arguments": _json(arguments)}]}


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


_WRITERS: Mapping[str, Callable[[Asked, Voice], Row]] = {
    "entity_extraction": _entities,
    "qa_pairs": _qa,
    "text_classification": _labelled,
    "multi_turn_dialogue": _dialogue,
    "intent_classification": _intent,
    "sentiment": _sentiment,
    "summarization": _summary,
    "translation": _translation,
    "paraphrase": _paraphrase,
    "instruction_following": _instruction,
    "preference_pairs": _preference,
    "nl2sql": _sql,
    "function_calling": _calls,
}

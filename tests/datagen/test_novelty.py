from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.datagen.novelty import NoveltyIndex, jaccard, normalized, text_of

ZH = "上周三上午，陈晓雯在杭州西湖区详细询问了信用卡年费的办理条件，工作人员当场核对了三份材料，最后顺利拿到了回执。"
EN = (
    "Last Wednesday morning Emily Carter in Bristol asked about the annual card fee and the clerk checked three papers."
)
OTHERS = [
    "The museum opens at nine and closes when the last visitor has left the garden.",
    "冬天的早晨，湖面结了一层薄冰，几只野鸭在岸边走来走去。",
    "Our team shipped the release late at night because the tests kept failing on one machine.",
]

texts = st.text(max_size=300)


@given(text=texts, mode=st.sampled_from(["exact", "near"]))
def test_a_text_is_an_exact_duplicate_of_itself_once_added(text: str, mode: Any) -> None:
    index = NoveltyIndex(mode)
    assert not index.check(text).exact_duplicate
    index.add(text, 1)
    again = index.check(text)
    assert again.exact_duplicate == bool(normalized(text))
    if again.exact_duplicate:
        assert again.max_jaccard == 1.0
        assert not index.check(text, own=1).exact_duplicate


@settings(max_examples=50)
@given(rows=st.lists(st.text(min_size=1, max_size=80), max_size=12, unique=True), probe=texts, data=st.data())
def test_what_is_found_does_not_depend_on_the_order_of_adding(rows: list[str], probe: str, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(rows))
    one, other = NoveltyIndex("near"), NoveltyIndex("near")
    for row in rows:
        one.add(row, row)
    for row in shuffled:
        other.add(row, row)
    first, second = one.check(probe), other.check(probe)
    assert first.exact_duplicate == second.exact_duplicate
    assert first.max_jaccard == second.max_jaccard


@given(one=texts, other=texts)
def test_likeness_is_a_share_and_works_both_ways(one: str, other: str) -> None:
    assert 0.0 <= jaccard(one, other) <= 1.0
    assert jaccard(one, other) == jaccard(other, one)
    assert jaccard(one, one) == (1.0 if normalized(one) else 0.0)


def test_near_duplicates_are_found_in_both_languages_and_strangers_are_not() -> None:
    index = NoveltyIndex("near")
    for key, text in enumerate([ZH, EN, *OTHERS]):
        index.add(text, key)
    zh = index.check(ZH.replace("三份", "两份"))
    en = index.check(EN.replace("three papers", "four papers"))
    assert not zh.exact_duplicate
    assert zh.max_jaccard > 0.85
    assert zh.nearest[0] == ZH
    assert en.max_jaccard > 0.8
    assert en.nearest[0] == EN
    assert index.check("完全无关的一句话，说的是明天的菜单与天气。").max_jaccard < 0.2


def test_spaces_case_width_and_punctuation_make_no_difference() -> None:
    index = NoveltyIndex("exact")
    index.add("Annual fee: \uff21\uff22\uff23，年费 \uff11\uff12 元。", 1)
    assert index.check("annual  FEE abc 年费12元").exact_duplicate


def test_modes_say_what_they_measure() -> None:
    off, exact = NoveltyIndex("off"), NoveltyIndex("exact")
    for index in (off, exact):
        index.add(EN, 1)
    assert not off.check(EN).exact_duplicate
    assert not off.check(EN).measured
    nearly = exact.check(EN + " indeed")
    assert not nearly.exact_duplicate
    assert not nearly.measured
    assert nearly.max_jaccard == 0.0


def test_an_estimate_stays_close_to_the_true_share() -> None:
    words = [f"word{number:04d}" for number in range(400)]
    one, other = " ".join(words[:300]), " ".join(words[100:])
    assert abs(jaccard(one, other) - 0.5) < 0.12


def test_memory_is_bounded_and_the_oldest_sketches_go() -> None:
    index = NoveltyIndex("near", capacity=2)
    for key, text in enumerate(OTHERS):
        index.add(text, key)
    assert len(index) == 2
    assert index.check(OTHERS[0] + " Always.").max_jaccard < 0.3
    assert index.check(OTHERS[0]).exact_duplicate


def test_the_text_of_a_row_is_its_prose_said_once() -> None:
    row = {
        "text": "刘敏到招商银行咨询年费。",
        "entities": [{"type": "人名", "value": "刘敏", "start": 0, "end": 2}],
    }
    assert text_of(row) == "刘敏到招商银行咨询年费。"
    dialogue = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
    assert text_of(dialogue) == "Hi\nHello"
    assert (
        text_of({"question": "q?", "schema": "CREATE TABLE t (a)", "sql": "SELECT a FROM t"}) == "q?\nSELECT a FROM t"
    )

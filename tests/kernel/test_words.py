"""The shared words: ids, languages, cursors, back-off, errors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.kernel.errors import BadInput, Conflict, TidemillError
from tidemill.kernel.ids import short_id, uuid7
from tidemill.kernel.lang import from_accept_language
from tidemill.kernel.pages import PageRequest, decode_cursor, encode_cursor
from tidemill.kernel.retry import full_jitter


def test_uuid7_is_well_formed_ordered_and_unique() -> None:
    made = [uuid7() for _ in range(2000)]
    assert len(set(made)) == len(made)
    for text in made:
        groups = text.split("-")
        assert [len(group) for group in groups] == [8, 4, 4, 4, 12]
        assert groups[2][0] == "7"
        assert groups[3][0] in "89ab"
    assert made[0][:8] <= made[-1][:8]


def test_short_id_has_the_length_asked_for() -> None:
    assert [len(short_id(n)) for n in (1, 4, 7)] == [1, 4, 7]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, "zh"),
        ("", "zh"),
        ("en-US,en;q=0.9", "en"),
        ("fr, en;q=0.3, zh;q=0.2", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en;q=0, zh;q=0.1", "zh"),
        ("en;q=abc", "zh"),
        ("de", "zh"),
    ],
)
def test_language_choice(header: str | None, expected: str) -> None:
    assert from_accept_language(header, "zh") == expected


@given(st.lists(st.one_of(st.integers(-(2**53), 2**53), st.text(), st.none(), st.booleans()), min_size=1, max_size=4))
def test_cursors_round_trip(parts: list[object]) -> None:
    assert list(decode_cursor(encode_cursor(*parts), len(parts))) == parts


@given(st.text(max_size=60))
def test_any_text_is_a_cursor_or_bad_input(text: str) -> None:
    try:
        parts = decode_cursor(text, 2)
    except BadInput as error:
        named = error.fields[0].field
    else:
        named = "cursor" if len(parts) == 2 else "wrong count"
    assert named == "cursor"


@pytest.mark.parametrize(("page", "size", "field"), [(0, 20, "page"), (1, 0, "page_size"), (1, 201, "page_size")])
def test_pages_out_of_range_are_named(page: int, size: int, field: str) -> None:
    with pytest.raises(BadInput) as caught:
        PageRequest.checked(page, size)
    assert caught.value.fields[0].field == field


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_back_off_stays_within_its_cap(attempt: int, chance: float) -> None:
    assert 0 <= full_jitter(attempt, 2, 300, lambda: chance) <= 300


def test_an_error_speaks_both_languages_and_leaves_unknown_blanks() -> None:
    class Named(Conflict):
        zh = "{name} 已存在"
        en = "{name} exists, {other}"

    error = Named(name="x")
    assert (error.message("zh"), error.message("en")) == ("x 已存在", "x exists, {other}")
    assert isinstance(error, TidemillError)

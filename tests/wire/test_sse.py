"""Events come whole however the network cut them, and not a byte is changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.wire.sse import EventTooLargeError, Splitter, data_of, event_of

LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
LINES = st.sampled_from(
    [b"data: {}", b"data:x", b": comment", b"event: ping", b"id: 1", b"data", "data: 你好".encode()]
)


@st.composite
def events(draw: st.DrawFn) -> bytes:
    end = draw(LINE_ENDS)
    lines = draw(st.lists(LINES, min_size=1, max_size=4))
    return b"".join(line + end for line in lines) + end


@given(st.lists(events(), max_size=8), st.data())
def test_any_cut_gives_the_same_events(written: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(written)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    splitter = Splitter()
    found: list[bytes] = []
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        found += splitter.feed(whole[start:end])
    assert b"".join(found) + splitter.rest() == whole
    at_once = Splitter()
    assert found == at_once.feed(whole)
    assert splitter.rest() == at_once.rest()
    if all(b"\r" not in event for event in written):
        assert found == written


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: {}\n\n", b"{}"),
        (b"data:{}\r\n\r\n", b"{}"),
        (b"event: x\ndata: a\ndata: b\n\n", b"a\nb"),
        (b"data\n\n", b""),
        (b": ping\n\n", None),
        (b"retry: 5\n\n", None),
        (b"\n\n", None),
        (b"database: x\n\n", None),
    ],
)
def test_the_data_of_an_event(event: bytes, data: bytes | None) -> None:
    assert data_of(event) == data


def test_an_event_made_is_an_event_read() -> None:
    assert data_of(event_of(b'{"a":1}')) == b'{"a":1}'


def test_an_endless_event_is_given_up() -> None:
    splitter = Splitter(max_event_bytes=100)
    splitter.feed(b"data: " + b"x" * 90)
    with pytest.raises(EventTooLargeError):
        splitter.feed(b"x" * 10)

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.platform.secrets import Keyring, SealBroken, SecretBox

OLD, NEW = b"o" * 32, b"n" * 32


def box(*keys: bytes) -> SecretBox:
    return SecretBox(Keyring(signing=(b"s" * 32,), data=keys or (OLD,), pepper=keys or (OLD,)))


@given(st.text(), st.text())
def test_opens_what_it_sealed_where_it_sealed_it(text: str, place: str) -> None:
    one = box()
    assert one.open(one.seal(text, bound_to=place), bound_to=place) == text


def test_a_sealed_text_does_not_open_in_another_row() -> None:
    one = box()
    with pytest.raises(SealBroken):
        one.open(one.seal("sk-upstream", bound_to="channel_key:7"), bound_to="channel_key:8")


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_notices_every_altered_byte(position: int, change: int) -> None:
    one = box()
    form, name, packed = one.seal("a secret", bound_to="here").split(".")
    body = bytearray(base64.urlsafe_b64decode(packed))
    body[position % len(body)] ^= change
    altered = f"{form}.{name}.{base64.urlsafe_b64encode(bytes(body)).decode()}"
    with pytest.raises(SealBroken):
        one.open(altered, bound_to="here")


def test_the_same_text_never_looks_the_same_twice() -> None:
    one = box()
    assert one.seal("x", bound_to="y") != one.seal("x", bound_to="y")


def test_a_sealed_text_does_not_show_its_content() -> None:
    sealed = box().seal("sk-live-123456", bound_to="y")
    assert sealed.isascii()
    assert "sk-live" not in sealed


def test_an_older_key_still_opens_and_asks_to_be_replaced() -> None:
    sealed = box(OLD).seal("x", bound_to="y")
    rotated = box(NEW, OLD)
    assert rotated.open(sealed, bound_to="y") == "x"
    assert rotated.needs_resealing(sealed)
    assert not rotated.needs_resealing(rotated.seal("x", bound_to="y"))


@pytest.mark.parametrize("text", ["", "plain", "tm1.x", "tm1.deadbeef.AAAA", "tm9.a.b.c", "tm1.deadbeef.%%%"])
def test_refuses_what_is_no_sealed_text(text: str) -> None:
    with pytest.raises(SealBroken):
        box().open(text, bound_to="y")


def test_a_text_sealed_by_a_lost_key_says_so() -> None:
    with pytest.raises(SealBroken, match="unknown key"):
        box(NEW).open(box(OLD).seal("x", bound_to="y"), bound_to="y")


def test_a_hash_is_stable_and_depends_on_the_pepper() -> None:
    assert box().hmac_hash("sk-tm-1") == box().hmac_hash("sk-tm-1")
    assert box().hmac_hash("sk-tm-1") != box(NEW).hmac_hash("sk-tm-1")
    assert box().hmac_hash("sk-tm-1") != box().hmac_hash("sk-tm-2")


def test_a_hash_made_under_an_older_pepper_is_still_found() -> None:
    stored = box(OLD).hmac_hash("sk-tm-1")
    assert stored in box(NEW, OLD).hmac_hashes("sk-tm-1")
    assert box(NEW, OLD).hmac_hash("sk-tm-1") != stored

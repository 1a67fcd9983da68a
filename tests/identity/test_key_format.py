from hypothesis import assume, given
from hypothesis import strategies as st

from tidemill.identity import key_format
from tidemill.identity.key_format import ALPHABET, KEY_LENGTH, PREFIX, is_well_formed, new_key, with_checksum

bodies = st.text(ALPHABET, min_size=30, max_size=30).map(lambda tail: PREFIX + tail)


@given(bodies)
def test_a_key_with_its_checksum_is_well_formed(body: str) -> None:
    key = with_checksum(body)
    assert len(key) == KEY_LENGTH
    assert is_well_formed(key)


@given(bodies, st.integers(min_value=len(PREFIX), max_value=KEY_LENGTH - 1), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_noticed_wherever_it_stands(body: str, position: int, wrong: str) -> None:
    key = with_checksum(body)
    assume(key[position] != wrong)
    assert not is_well_formed(key[:position] + wrong + key[position + 1 :])


@given(bodies, st.integers(min_value=len(PREFIX), max_value=KEY_LENGTH - 2))
def test_two_neighbours_changed_round_are_noticed(body: str, position: int) -> None:
    key = with_checksum(body)
    assume(key[position] != key[position + 1])
    swapped = key[:position] + key[position + 1] + key[position] + key[position + 2 :]
    assert not is_well_formed(swapped)


@given(st.text(max_size=60))
def test_any_other_text_is_not_well_formed(text: str) -> None:
    assert not is_well_formed(text)
    assert not is_well_formed(PREFIX + text + "\n")


def test_keys_differ() -> None:
    keys = {new_key() for _ in range(200)}
    assert len(keys) == 200
    assert all(is_well_formed(key) for key in keys)


def test_checksum_is_crc32_in_base62_so_that_scanners_can_recompute_it() -> None:
    # CRC-32 (0x58ECBF3A) of the first 36 characters, worked out apart from the code under test.
    assert with_checksum(PREFIX + "0" * 30)[-6:] == "1cxu3u"


def test_what_is_shown_of_a_key_is_not_enough_to_use_it() -> None:
    key = new_key()
    shown = key_format.masked(key)
    assert shown.startswith(key[:10])
    assert shown.endswith(key[-4:])
    assert len(shown) == 15
    assert key_format.masked("hunter2 is my password") == "hunt…"

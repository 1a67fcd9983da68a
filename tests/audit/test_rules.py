from hypothesis import given
from hypothesis import strategies as st

from tidemill.audit.rules import MASK, MAX_TEXT, masked, storable

plain = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20))


def test_masks_secrets_by_name_at_any_depth() -> None:
    told = masked(
        {
            "name": "k",
            "Password": "p1",
            "before": {"api_key": "p2", "keys": ["p3"], "list": [{"client-secret": "p4"}, {"ok": "yes"}]},
            "access_token": "p5",
            "max_tokens": 5,
            "has_password": True,
            "password_hash": None,
        }
    )
    assert told == {
        "name": "k",
        "Password": MASK,
        "before": {"api_key": MASK, "keys": MASK, "list": [{"client-secret": MASK}, {"ok": "yes"}]},
        "access_token": MASK,
        "max_tokens": 5,
        "has_password": True,
        "password_hash": None,
    }


def test_long_texts_are_cut() -> None:
    assert len(masked({"note": "x" * 10_000})["note"]) == MAX_TEXT + 1


@given(st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner)))
def test_a_secret_never_survives_whatever_surrounds_it(value: object) -> None:
    assert "s3cr3t" not in str(masked({"around": value, "deep": [{"upstream_api_key": "s3cr3t"}]}))


@given(st.text(max_size=300), st.integers(min_value=0, max_value=100))
def test_what_is_stored_fits_and_holds_no_nul(text: str, limit: int) -> None:
    kept = storable(text, limit)
    assert len(kept) <= limit
    assert "\x00" not in kept

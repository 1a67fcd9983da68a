"""Count tokens by a rule of thumb, the same for every simulated provider."""

_CHARS_PER_TOKEN = 4  # Latin text; a Chinese character counts as one token


def count_tokens(text: str) -> int:
    """Estimate tokens; never 0 for text that is not empty."""
    latin = len(text) if text.isascii() else sum(char < "\u2e80" for char in text)
    return len(text) - latin + -(-latin // _CHARS_PER_TOKEN)


def first_tokens(text: str, limit: int) -> str:
    """Return the longest beginning of ``text`` that ``limit`` tokens pay for; all of it when it fits."""
    if len(text) <= limit:  # no character costs more than one token
        return text
    spent = 0.0
    for at, char in enumerate(text):
        spent += 0.25 if char < "\u2e80" else 1.0
        if spent > limit:
            return text[:at]
    return text

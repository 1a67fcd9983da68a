"""What a setting says about itself; the reference and ``.env.example`` are generated from it."""

from msgspec import Struct


class Doc(Struct, frozen=True):
    """One sentence in each language. A ``secret`` is masked wherever settings are shown and may come from a file."""

    zh: str
    en: str
    secret: bool = False

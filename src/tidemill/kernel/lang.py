"""The two languages of the product and how a caller's choice is read."""

from typing import Literal

Lang = Literal["zh", "en"]
LANGS: tuple[Lang, ...] = ("zh", "en")


def from_accept_language(header: str | None, default: Lang) -> Lang:
    """Pick zh or en from an ``Accept-Language`` header (RFC 9110 §12.5.4), else ``default``.

    A malformed weight counts as 0; languages that we do not speak are passed over.
    """
    best: tuple[float, Lang] | None = None
    for part in (header or "").split(","):
        tag, _, parameter = part.strip().partition(";")
        primary = tag.strip().lower().split("-")[0]
        if primary not in LANGS:
            continue
        weight = _weight(parameter)
        if weight > 0 and (best is None or weight > best[0]):
            best = (weight, "zh" if primary == "zh" else "en")
    return best[1] if best else default


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0

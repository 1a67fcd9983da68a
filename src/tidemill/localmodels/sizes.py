"""Sizes as people read them."""

_STEP = 1000
_UNITS = ("B", "KB", "MB", "GB", "TB")


def readable(size_bytes: int) -> str:
    """Return ``size_bytes`` as text in decimal units: ``98 MB``, ``4.2 GB``."""
    value, unit = float(size_bytes), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value /= _STEP
        unit += 1
    number = f"{value:.1f}" if unit >= _UNITS.index("GB") else f"{value:.0f}"
    return f"{number.removesuffix('.0')} {_UNITS[unit]}"

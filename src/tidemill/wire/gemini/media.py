"""Addresses in Gemini's exchanges: which of them Google keeps, and which it fetches by itself."""

from urllib.parse import urlsplit

_FILES = "generativelanguage.googleapis.com"
_VIDEOS = frozenset({"youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be"})


def is_stored(address: str) -> bool:
    """Tell whether an address names a file that was uploaded to Google; to others it means nothing."""
    return address.startswith(("gs://", "files/")) or _host(address) == _FILES


def is_fetched(address: str) -> bool:
    """Tell whether Gemini fetches an address by itself; what any other points at must be sent along."""
    return is_stored(address) or _host(address) in _VIDEOS


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""

"""Typed settings: one model, five sources, and for every value where it came from."""

from tidemill.platform.settings.load import Loaded, load
from tidemill.platform.settings.model import Settings

__all__ = ["Loaded", "Settings", "load"]

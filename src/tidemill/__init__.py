"""tidemill: a self-hosted AI platform in one program."""

__version__ = "0.1.0"

"""Keys of services: sealed into the database, opened only into the relay's memory."""

from collections.abc import Sequence
from typing import Any

from tidemill.kernel import clock
from tidemill.kernel.ids import uuid7
from tidemill.platform.db import Row
from tidemill.platform.secrets import SealBroken, SecretBox
from tidemill.platform.telemetry import get_logger
from tidemill.relay.snapshot import ChannelKey

_log = get_logger("tidemill.relay.vault")
_SHOWN = 4
_TOO_SHORT_TO_SHOW = 8


class Vault:
    """Seals and opens keys, each bound to the place where it is kept."""

    def __init__(self, box: SecretBox) -> None:
        self._box = box

    def key_rows(self, channel_id: int, keys: Sequence[str]) -> list[dict[str, Any]]:
        """Return the rows that keep ``keys`` for a channel."""
        rows: list[dict[str, Any]] = []
        for position, key in enumerate(keys):
            identifier = uuid7()
            rows.append(
                {
                    "id": identifier,
                    "channel_id": channel_id,
                    "position": position,
                    "sealed": self._box.seal(key, bound_to=f"channel_key:{identifier}"),
                    "last4": last4(key),
                    "status": "active",
                    "created_at": clock.now(),
                }
            )
        return rows

    def open_keys(self, rows: Sequence[Row]) -> list[ChannelKey] | None:
        """Return the active keys of a channel; None, with a line in the log, when one cannot be opened."""
        return self._open([row for row in rows if row["status"] == "active"])

    def texts(self, rows: Sequence[Row]) -> list[str] | None:
        """Return every key of a channel, disabled ones too, to compare with; None when one cannot be opened."""
        try:
            return [self._box.open(row["sealed"], bound_to=f"channel_key:{row['id']}") for row in rows]
        except SealBroken:
            return None

    def open_key(self, row: Row) -> ChannelKey | None:
        """Return one key, active or not; None, with a line in the log, when it cannot be opened."""
        opened = self._open([row])
        return None if opened is None else opened[0]

    def _open(self, rows: Sequence[Row]) -> list[ChannelKey] | None:
        try:
            return [
                ChannelKey(row["id"], self._box.open(row["sealed"], bound_to=f"channel_key:{row['id']}"), row["last4"])
                for row in rows
            ]
        except SealBroken as error:
            _log.error("channel.key_unreadable", channel_id=rows[0]["channel_id"], error=str(error))
            return None

    def seal_config(self, config_id: int, key: str) -> str:
        """Return the text that keeps a model configuration's key."""
        return self._box.seal(key, bound_to=f"model_config:{config_id}")

    def open_config(self, config_id: int, sealed: str | None) -> str | None:
        """Return a model configuration's key, None where it has none or it cannot be opened."""
        if not sealed:
            return None
        try:
            return self._box.open(sealed, bound_to=f"model_config:{config_id}")
        except SealBroken as error:
            _log.error("model_config.key_unreadable", config_id=config_id, error=str(error))
            return None


def last4(key: str) -> str:
    """Return what of a key may be shown; nothing of one so short that it would tell too much."""
    return key[-_SHOWN:] if len(key) >= _TOO_SHORT_TO_SHOW else ""

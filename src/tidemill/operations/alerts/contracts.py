"""The words of alerts."""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from tidemill.kernel.lang import Lang

AlertKind = Literal["channel_down", "key_disabled", "balance_low", "test"]
Severity = Literal["warning", "critical"]
# An acknowledged alert is still open: somebody knows of it.
AlertStatus = Literal["open", "acknowledged", "recovered"]
# What a message tells of an alert.
AlertEvent = Literal["raised", "recovered", "test"]
Way = Literal["webhook", "mail"]


class Words(Struct, frozen=True):
    """One text in each language."""

    zh: str
    en: str

    def of(self, lang: Lang) -> str:
        """Return it in ``lang``."""
        return self.zh if lang == "zh" else self.en


class AlertWish(Struct, frozen=True, kw_only=True):
    """Something that is wrong.

    Alerts with one ``dedup_key`` (at most 200 characters) are one while they are open. ``title`` has at most 300
    characters; ``text`` says what to do. ``details`` is for programs and holds no secrets.
    """

    kind: AlertKind
    severity: Severity
    subject_type: str
    subject_id: str
    dedup_key: str
    title: Words
    text: Words
    details: dict[str, Any] = {}


class AlertView(Struct, frozen=True, kw_only=True):
    """An alert in the caller's language.

    ``count`` is how often it was seen since it was raised; ``sent_at`` when the first message about it went out (null:
    none did, or no way is set up).
    """

    id: str
    kind: AlertKind
    severity: Severity
    status: AlertStatus
    subject_type: str
    subject_id: str
    title: str
    text: str
    details: dict[str, Any]
    raised_at: datetime
    last_seen_at: datetime
    count: int
    sent_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: int | None
    recovered_at: datetime | None


class AlertFilter(Struct, frozen=True, kw_only=True):
    """Which alerts; None: any. ``status`` ``active`` means open or acknowledged."""

    status: AlertStatus | Literal["active"] | None = None
    kind: AlertKind | None = None


class Delivery(Struct, frozen=True):
    """How a test message went by one way; ``ok`` null: this way is not set up. ``error`` says what to do."""

    way: Way
    ok: bool | None
    error: str | None = None
    latency_ms: float | None = None


class DeliveryTest(Struct, frozen=True):
    """How a test message went by every way."""

    ways: list[Delivery]

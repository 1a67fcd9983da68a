"""How an alert reads in a message: a headline and a paragraph, in the language of its view."""

from collections.abc import Mapping

from tidemill.kernel.lang import Lang
from tidemill.operations.alerts.contracts import AlertEvent
from tidemill.operations.alerts.ports import Message

_HEADS: Mapping[AlertEvent, Mapping[Lang, str]] = {
    "raised": {"zh": "告警", "en": "Alert"},
    "recovered": {"zh": "已恢复", "en": "Recovered"},
    "test": {"zh": "测试", "en": "Test"},
}
_SINCE: Mapping[Lang, str] = {"zh": "开始：{raised}", "en": "Since {raised}"}
_SPAN: Mapping[Lang, str] = {"zh": "开始：{raised}，恢复：{over}", "en": "From {raised} to {over}"}


def headline(message: Message) -> str:
    """Return one line."""
    return f"[Tidemill] {_HEADS[message.event][message.lang]}: {message.alert.title}"


def paragraph(message: Message) -> str:
    """Return what to do and since when; of what is over only when it was."""
    alert, lang = message.alert, message.lang
    raised = f"{alert.raised_at:%Y-%m-%d %H:%M:%S} UTC"
    if message.event == "recovered" and alert.recovered_at is not None:
        return _SPAN[lang].format(raised=raised, over=f"{alert.recovered_at:%Y-%m-%d %H:%M:%S} UTC")
    return f"{alert.text}\n{_SINCE[lang].format(raised=raised)}"

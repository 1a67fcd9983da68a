"""What alerts about channels say, in both languages: what is wrong, and what to do."""

from collections.abc import Mapping
from typing import Any

from tidemill.operations.facade import AlertWish, Words
from tidemill.relay.shifts import Shift, ShiftKind

MAX_REASON = 500
_WHY: Mapping[ShiftKind, Words] = {
    "key_refused": Words("服务拒绝了该密钥", "the service refuses it"),
    "key_broke": Words("余额或额度已用尽", "no balance or quota is left on it"),
}
_TO_DO: Mapping[ShiftKind, Words] = {
    "key_refused": Words(
        "请在渠道中更换密钥；系统也会定期重试，服务重新接受后自动恢复。",
        "Replace the key in the channel. It is tried again from time to time and used again once it is taken.",
    ),
    "key_broke": Words(
        "请为该账户充值；系统会定期重试，恢复后自动启用。",
        "Top the account up. The key is tried again from time to time and used again once it is taken.",
    ),
}


def storable(text: str) -> str:
    """Return what a service said as every database takes it, and not more than a history wants."""
    return text[:MAX_REASON].encode("utf-8", "replace").decode().replace("\x00", " ")


def down_key(channel_id: int, model: str | None) -> str:
    """Return what alerts of a channel, or of one of its models, are known by."""
    return f"channel_down:{channel_id}" if model is None else f"channel_down:{channel_id}:{model}"[:200]


def disabled_key(key_id: str) -> str:
    """Return what the alert of a key is known by."""
    return f"key_disabled:{key_id}"


def low_key(channel_id: int) -> str:
    """Return what the alert of a balance is known by."""
    return f"balance_low:{channel_id}"


def channel_down(shift: Shift, model: str | None) -> AlertWish:
    """Say that a channel (``model`` None), or a model on it, does not answer."""
    details: dict[str, Any] = {"channel": shift.channel, "model": model, "reason": shift.reason}
    why = shift.reason or "-"
    if model is None:
        title = Words(f"渠道 {shift.channel} 不可用", f"Channel {shift.channel} is down")
    else:
        title = Words(
            f"渠道 {shift.channel} 的模型 {model} 不可用", f"Model {model} on channel {shift.channel} is down"
        )
    return AlertWish(
        kind="channel_down",
        severity="critical" if model is None else "warning",
        subject_type="channel",
        subject_id=str(shift.channel_id),
        dedup_key=down_key(shift.channel_id, model),
        title=title,
        text=Words(
            f"原因：{why}。请检查该服务；恢复前请求会转往其他渠道。",
            f"Reason: {why}. Look at the service; until it is back, calls go to other channels.",
        ),
        details=details,
    )


def key_disabled(shift: Shift, *, last: bool) -> AlertWish:
    """Say that a key is used no longer; ``last``: the channel has no other."""
    name, kind = shift.key_last4 or "?", shift.kind
    tail = Words("渠道已无可用密钥，已自动停用。", "The channel has no other and is out of service.")
    to_do = _TO_DO[kind]
    return AlertWish(
        kind="key_disabled",
        severity="critical" if last else "warning",
        subject_type="channel",
        subject_id=str(shift.channel_id),
        dedup_key=disabled_key(shift.key_id or ""),
        title=Words(
            f"渠道 {shift.channel} 的密钥 …{name} 已停用：{_WHY[kind].zh}",
            f"Key …{name} of channel {shift.channel} is disabled: {_WHY[kind].en}",
        ),
        text=Words(
            f"{tail.zh if last else ''}{to_do.zh}",
            f"{tail.en + ' ' if last else ''}{to_do.en}",
        ),
        details={"channel": shift.channel, "last4": shift.key_last4, "reason": shift.reason, "channel_disabled": last},
    )


def balance_low(channel_id: int, channel: str, balance: str, currency: str, floor: str) -> AlertWish:
    """Say that little money is left."""
    return AlertWish(
        kind="balance_low",
        severity="warning",
        subject_type="channel",
        subject_id=str(channel_id),
        dedup_key=low_key(channel_id),
        title=Words(
            f"渠道 {channel} 余额不足：{balance} {currency}", f"Channel {channel} has {balance} {currency} left"
        ),
        text=Words(
            f"已低于设定的 {floor}。请充值，或调整该渠道的 balance_floor。",
            f"That is under its floor of {floor}. Top it up, or change the channel's balance_floor.",
        ),
        details={"channel": channel, "balance": balance, "currency": currency, "floor": floor},
    )

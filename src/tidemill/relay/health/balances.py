"""Providers that tell what money is left, as data: where they are asked, and where amount and currency stand.

Sources, read in November 2026: DeepSeek api-docs.deepseek.com/zh-cn/api/get-user-balance (a list by currency, amounts
as text); Moonshot platform.kimi.ai/docs/api/balance (US dollars there, yuan on api.moonshot.cn); SiliconFlow
docs.siliconflow.cn/cn/api-reference/userinfo/get-user-info (``totalBalance``; yuan, US dollars on
api.siliconflow.com); OpenRouter openrouter.ai/docs/api/api-reference/credits/get-credits (bought less used; it wants a
management key, so ordinary keys are answered 401 or 403 there and nothing is learnt).
"""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

_YUAN, _DOLLAR = "CNY", "USD"
_MOST_DIGITS = 18
_CENTS = Decimal("0.000001")


class Balance(Struct, frozen=True):
    """What is left: an amount in ``currency`` (ISO 4217)."""

    amount: Decimal
    currency: str


class BalanceCall(Struct, frozen=True):
    """How one provider is asked. ``path`` follows the channel's root, less ``/v1`` where ``above_version``."""

    path: str
    read: Callable[[Any, str], Balance | None]
    above_version: bool = False

    def url(self, root: str) -> str:
        """Return where to ask."""
        return (root.removesuffix("/v1") if self.above_version else root) + self.path


def _deepseek(answer: Any, host: str) -> Balance | None:
    del host
    known = [Balance(_amount(one["total_balance"]), str(one["currency"])) for one in answer["balance_infos"]]
    # An account may hold both currencies; the one that has money is the one that is used.
    return max(known, key=lambda balance: balance.amount, default=None)


def _moonshot(answer: Any, host: str) -> Balance | None:
    return Balance(_amount(answer["data"]["available_balance"]), _by_host(host, ".cn"))


def _siliconflow(answer: Any, host: str) -> Balance | None:
    return Balance(_amount(answer["data"]["totalBalance"]), _DOLLAR if host.endswith(".com") else _YUAN)


def _openrouter(answer: Any, host: str) -> Balance | None:
    del host
    data = answer["data"]
    return Balance(_amount(data["total_credits"]) - _amount(data["total_usage"]), _DOLLAR)


BALANCE_CALLS: Mapping[str, BalanceCall] = {
    "deepseek": BalanceCall("/user/balance", _deepseek, above_version=True),
    "moonshot": BalanceCall("/users/me/balance", _moonshot),
    "siliconflow": BalanceCall("/user/info", _siliconflow),
    "openrouter": BalanceCall("/credits", _openrouter),
}


def read_balance(provider: str, root: str, data: bytes) -> Balance | None:
    """Read a provider's answer; None when it says nothing that can be understood."""
    host = (urlsplit(root).hostname or "").lower()
    try:
        return BALANCE_CALLS[provider].read(msgspec.json.decode(data), host)
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError, InvalidOperation):
        return None


def told(amount: Decimal) -> str:
    """Return an amount as it is stored and shown: plain decimals, six places at most."""
    text = f"{amount.quantize(_CENTS):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _amount(value: Any) -> Decimal:
    amount = Decimal(str(value))
    if not amount.is_finite() or amount.adjusted() >= _MOST_DIGITS:
        raise ValueError(value)
    return amount


def _by_host(host: str, yuan: str) -> str:
    return _YUAN if host.endswith(yuan) else _DOLLAR

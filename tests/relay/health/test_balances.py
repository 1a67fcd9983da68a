"""Balances as each provider tells them, kept on the channel, and an alert while they are low."""

from decimal import Decimal
from typing import Any

import pytest

from tests.relay.health.conftest import Start, Ward, key_of
from tests.relay.rig import ADMIN
from tests.relay.upstream import Request, Script, Wire, drops, refuses
from tidemill.relay.contracts import ChannelChange
from tidemill.relay.health.balances import BALANCE_CALLS, Balance, read_balance, told

DEEPSEEK = {
    "is_available": True,
    "balance_infos": [
        {"currency": "USD", "total_balance": "0.00", "granted_balance": "0.00", "topped_up_balance": "0.00"},
        {"currency": "CNY", "total_balance": "110.50", "granted_balance": "10.00", "topped_up_balance": "100.50"},
    ],
}
MOONSHOT = {"code": 0, "data": {"available_balance": 49.58894, "voucher_balance": 46.58, "cash_balance": 3.0}}
SILICONFLOW = {"code": 20000, "data": {"balance": "0.88", "chargeBalance": "88.00", "totalBalance": "88.88"}}
OPENROUTER = {"data": {"total_credits": 100.5, "total_usage": 25.75}}


def answering(body: Any, *paths: str) -> Script:
    """Answer ``body`` on ``paths``; anything else is not there."""

    async def script(request: Request, wire: Wire) -> None:
        await wire.json(body, 200 if request.path in paths else 404)

    return script


@pytest.mark.parametrize(
    ("provider", "path", "body", "amount", "currency"),
    [
        ("deepseek", "/user/balance", DEEPSEEK, "110.5", "CNY"),
        ("moonshot", "/v1/users/me/balance", MOONSHOT, "49.58894", "USD"),
        ("siliconflow", "/v1/user/info", SILICONFLOW, "88.88", "CNY"),
        ("openrouter", "/v1/credits", OPENROUTER, "74.75", "USD"),
    ],
)
async def test_each_provider_is_asked_where_it_tells(
    ward: Ward, services: Start, provider: str, path: str, body: Any, amount: str, currency: str
) -> None:
    service = await services(answering(body, path))
    channel = await ward.rig.channel(service, provider=provider)
    assert await ward.health.accounts.look() == 1
    assert [request.path for request in service.seen] == [path]
    assert key_of(service.seen[0]) == "sk-upstream-secret"
    view = await ward.channel(channel.id)
    assert (view.balance, view.balance_currency) == (amount, currency)
    assert view.balance_at is not None


def test_the_currency_of_some_follows_their_address() -> None:
    def currency(provider: str, root: str, body: bytes) -> str:
        found = read_balance(provider, root, body)
        assert found is not None
        return found.currency

    moonshot = b'{"data":{"available_balance":1}}'
    assert currency("moonshot", "https://api.moonshot.cn/v1", moonshot) == "CNY"
    assert currency("moonshot", "https://api.moonshot.ai/v1", moonshot) == "USD"
    siliconflow = b'{"data":{"totalBalance":"1"}}'
    assert currency("siliconflow", "https://api.siliconflow.cn/v1", siliconflow) == "CNY"
    assert currency("siliconflow", "https://api.siliconflow.com/v1", siliconflow) == "USD"


@pytest.mark.parametrize("provider", sorted(BALANCE_CALLS))
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"data":null,"balance_infos":[]}',
        b'{"data":[],"balance_infos":{}}',
        b'{"balance_infos":[{"currency":"CNY","total_balance":"NaN"}]}',
        b'{"data":{"available_balance":"x","totalBalance":"1e400","total_credits":true,"total_usage":0}}',
    ],
)
def test_nonsense_is_nothing(provider: str, data: bytes) -> None:
    assert read_balance(provider, "https://example.com/v1", data) is None


@pytest.mark.parametrize(
    ("amount", "text"), [("1.500000", "1.5"), ("100", "100"), ("0.0000001", "0"), ("-3.10", "-3.1"), ("1E+3", "1000")]
)
def test_amounts_are_plain_decimals(amount: str, text: str) -> None:
    assert told(Decimal(amount)) == text


async def test_a_low_balance_alerts_once_and_its_rise_ends_it(ward: Ward, services: Start) -> None:
    body: dict[str, Any] = {"data": {"available_balance": 4.5}}
    service = await services(answering(body, "/v1/users/me/balance"))
    channel = await ward.rig.channel(service, provider="moonshot", balance_floor="5")
    for _ in range(3):
        await ward.health.accounts.look()
    [alert] = await ward.open_alerts()
    assert (alert.kind, alert.count) == ("balance_low", 3)
    assert alert.details == {"channel": "one", "balance": "4.5", "currency": "USD", "floor": "5"}
    body["data"]["available_balance"] = 5
    await ward.health.accounts.look()
    assert await ward.open_alerts() == []
    events = await ward.events(channel.id)
    assert [(event.kind, event.reason) for event in events] == [
        ("balance_low", "4.5 USD < 5"),
        ("balance_ok", "5 USD"),
    ]


async def test_an_alert_ends_with_its_floor(ward: Ward, services: Start) -> None:
    body = {"data": {"available_balance": 1}}
    service = await services(answering(body, "/v1/users/me/balance"))
    channel = await ward.rig.channel(service, provider="moonshot", balance_floor="5")
    await ward.health.accounts.look()
    await ward.rig.context.channels.change(ADMIN, channel.id, ChannelChange(balance_floor=None), None)
    assert await ward.health.settling.work() == 1


async def test_the_account_that_will_run_dry_first_counts(ward: Ward, services: Start) -> None:
    async def script(request: Request, wire: Wire) -> None:
        left = {"sk-number-one": 9.0, "sk-number-two": 2.0}[key_of(request)]
        await wire.json({"data": {"available_balance": left}})

    channel = await ward.rig.channel(
        await services(script), provider="moonshot", keys=["sk-number-one", "sk-number-two"]
    )
    await ward.health.accounts.look()
    assert (await ward.channel(channel.id)).balance == "2"


@pytest.mark.parametrize("script", [drops, refuses(401), refuses(500)])
async def test_what_is_not_told_changes_nothing(ward: Ward, services: Start, script: Script) -> None:
    channel = await ward.rig.channel(await services(script), provider="moonshot", balance_floor="5")
    plain = await services(script)
    await ward.rig.channel(plain, name="no such call", provider="openai")
    assert await ward.health.accounts.look() == 0
    view = await ward.channel(channel.id)
    assert (view.balance, view.balance_at, view.keys[0].status) == (None, None, "active")
    assert plain.seen == []
    assert await ward.open_alerts() == []


def test_a_balance_is_told_apart_from_none() -> None:
    assert read_balance(
        "openrouter", "https://openrouter.ai/api/v1", b'{"data":{"total_credits":1,"total_usage":1}}'
    ) == (Balance(Decimal(0), "USD"))

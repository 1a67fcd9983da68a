"""The pure decisions: who is chosen, when a breaker opens, what a minute holds, where an address leads."""

from email.utils import format_datetime

import pytest

from tidemill.kernel import clock
from tidemill.kernel.errors import BadInput
from tidemill.platform.http import address_allowed, check_address
from tidemill.relay.breaker import Breaker
from tidemill.relay.config_rows import addresses
from tidemill.relay.errors import UpstreamBusy, UpstreamFailed, UpstreamRefused
from tidemill.relay.rules import failure_of, is_safe_to_retry, kind_of, retry_after_s
from tidemill.relay.snapshot import Channel, build, root_of
from tidemill.wire.openai_errors import UpstreamComplaint


def test_a_breaker_opens_pauses_longer_and_closes_on_success() -> None:
    breaker = Breaker(threshold=2, base_s=5, max_s=12)
    assert not breaker.fail(0, "a")
    assert breaker.fail(0, "b")
    assert (breaker.state(4.9), breaker.admits(4.9), breaker.reason) == ("open", False, "b")
    now = 0.0
    for pause in (5, 10, 12, 12):
        assert breaker.pause_left_s(now) == pause
        now += pause
        assert breaker.state(now) == "half_open"
        breaker.enter()
        assert not breaker.admits(now), "one probe at a time"
        assert breaker.fail(now, "c")
    breaker.enter()
    assert breaker.succeed(now)
    assert breaker.state(now) == "closed"
    assert not breaker.fail(now, "d"), "the count begins anew"


def test_a_probe_that_tells_nothing_lets_another_try() -> None:
    breaker = Breaker(threshold=1)
    breaker.fail(0, "a")
    breaker.enter()
    breaker.forget()
    assert breaker.admits(5)


def test_success_between_failures_keeps_a_breaker_closed() -> None:
    breaker = Breaker(threshold=2)
    for _ in range(10):
        assert not breaker.fail(0, "a")
        assert not breaker.succeed(0)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, None, "client"),
        (404, None, "client"),
        (413, None, "client"),
        (401, None, "auth"),
        (402, None, "balance"),
        (403, None, "auth"),
        (403, "insufficient_quota", "balance"),
        (403, "content_policy_violation", "client"),
        (429, None, "rate"),
        (429, "insufficient_quota", "balance"),
        (408, None, "timeout"),
        (504, None, "timeout"),
        (500, None, "server"),
        (529, None, "server"),
        (302, None, "server"),
    ],
)
def test_what_a_status_means(status: int, code: str | None, kind: str) -> None:
    assert kind_of(status, code) == kind


def test_failures_keep_what_the_client_needs() -> None:
    busy = failure_of(429, UpstreamComplaint("later"), {"retry-after": "3"})
    assert isinstance(busy, UpstreamBusy)
    assert (busy.retry_after_s, busy.answer_status, is_safe_to_retry(busy)) == (3.0, 429, True)
    refused = failure_of(413, UpstreamComplaint("big", code="x"), {})
    assert isinstance(refused, UpstreamRefused)
    assert (refused.answer_status, is_safe_to_retry(refused)) == (413, False)
    bad_key = failure_of(401, UpstreamComplaint("your key sk-123 is wrong"), {})
    assert (bad_key.answer_status, "sk-123" in bad_key.detail) == (502, False)
    assert failure_of(500, UpstreamComplaint(""), {}).detail == "HTTP 500"
    assert UpstreamFailed(kind="transport").answer_status == 502


def test_when_an_upstream_says_to_come_back() -> None:
    soon = format_datetime(clock.now(), usegmt=True)
    assert retry_after_s({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert retry_after_s({"retry-after": "1e9"}) == 600
    assert retry_after_s({"retry-after": soon}) == 0
    for nonsense in ("soon", "nan", ""):
        assert retry_after_s({"retry-after": nonsense}) is None
    assert retry_after_s({"retry-after": "-5"}) == 0
    assert retry_after_s({}) is None


@pytest.mark.parametrize(
    ("address", "root"),
    [
        ("http://h:1", "http://h:1/v1"),
        ("http://h:1/", "http://h:1/v1"),
        ("http://h:1/v1", "http://h:1/v1"),
        ("http://h:1/v1/", "http://h:1/v1"),
        ("https://h/api/paas/v4", "https://h/api/paas/v4"),
        ("https://h/v1/chat/completions", "https://h/v1"),
        ("https://h/v1beta/openai", "https://h/v1beta/openai/v1"),
    ],
)
def test_where_endpoints_are_appended(address: str, root: str) -> None:
    assert root_of(address) == root


def test_port_ranges() -> None:
    assert addresses("http://h:6466-6468/v1") == [f"http://h:{port}/v1" for port in (6466, 6467, 6468)]
    assert addresses("http://h:6466") == ["http://h:6466"]
    assert addresses("http://[::1]:1-2") == ["http://[::1]:1", "http://[::1]:2"]
    assert addresses("http://a-1.example/v1-2") == ["http://a-1.example/v1-2"]


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://2852039166/",
        "http://0xa9.0xfe.0xa9.0xfe/",
        "http://0.0.0.0/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://100.100.100.200/",
        "http://[fd00:ec2::254]/",
        "http://metadata.google.internal./",
        "file:///etc/passwd",
        "http://",
        "http://h:0/",
        "http://h:99999/",
        "http://u@h/",
        "http://h/?q=1",
        "http://h/a b",
        "http://h/\n",
    ],
)
def test_addresses_that_nobody_may_set(address: str) -> None:
    with pytest.raises(BadInput):
        check_address(address, allow_private=True)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1",
        "http://127.1",
        "http://10.0.0.1",
        "http://[::1]",
        "http://localhost",
        "http://x.internal",
        "http://box",
    ],
)
def test_private_addresses_are_for_administrators(address: str) -> None:
    check_address(address, allow_private=True)
    with pytest.raises(BadInput):
        check_address(address, allow_private=False)


def test_what_a_name_resolves_to_is_judged_again() -> None:
    assert address_allowed("93.184.216.34", allow_private=False)
    assert not address_allowed("10.0.0.1", allow_private=False)
    assert not address_allowed("100.64.0.1", allow_private=False)
    assert not address_allowed("169.254.169.254", allow_private=True)
    check_address("https://api.openai.com/v1", allow_private=False)


def test_a_snapshot_orders_tiers_and_hides_what_takes_no_traffic() -> None:
    channels = [
        Channel(id=1, name="a", provider="openai", root="x", models={"m": "m"}, priority=1),
        Channel(id=2, name="b", provider="openai", root="x", models={"m": "m", "n": "n"}, priority=5),
        Channel(id=3, name="c", provider="openai", root="x", models={"z": "z"}, weight=0),
    ]
    snapshot = build(channels, [])
    assert [[channel.id for channel in tier] for tier in snapshot.tiers["m"]] == [[2], [1]]
    assert snapshot.callable_names("default") == ["m", "n"]
    assert set(snapshot.channels) == {1, 2, 3}

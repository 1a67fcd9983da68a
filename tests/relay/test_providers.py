"""Presets: where each provider is, what it speaks, and what a channel need not say."""

import pytest

from tests.relay.rig import ADMIN, Rig
from tidemill.kernel.errors import BadInput
from tidemill.platform.http import check_address
from tidemill.relay.contracts import ChannelWish
from tidemill.relay.providers import PROVIDERS, provider_of
from tidemill.wire.canonical_parts import Dialect


@pytest.mark.parametrize(
    ("name", "address", "root"),
    [
        ("openai", "http://h:1", "http://h:1/v1"),
        ("openai", "http://h:1/v1/chat/completions", "http://h:1/v1"),
        ("nobody-knows", "http://h:1/v3/", "http://h:1/v3"),
        ("anthropic", "http://h:1/", "http://h:1/v1"),
        ("anthropic", "http://h:1/v1/messages", "http://h:1/v1"),
        ("gemini", "http://h:1", "http://h:1/v1beta"),
        ("gemini", "http://h:1/v1beta", "http://h:1/v1beta"),
        ("zhipu", "https://open.bigmodel.cn/api/paas/v4/", "https://open.bigmodel.cn/api/paas/v4"),
        ("azure", "https://x.openai.azure.com", "https://x.openai.azure.com/openai"),
        ("cohere", "https://api.cohere.com", "https://api.cohere.com/v2"),
    ],
)
def test_addresses_may_end_with_or_without_a_version(name: str, address: str, root: str) -> None:
    assert provider_of(name).root_of(address) == root


def test_every_preset_has_a_scene_and_an_address_that_may_be_called() -> None:
    for name, preset in PROVIDERS.items():
        assert preset.name == name
        assert preset.scenes
        if preset.base_url is not None:
            check_address(preset.base_url, allow_private=True)
            assert preset.root_of(preset.base_url) == preset.base_url


def test_models_differ_in_what_they_take() -> None:
    assert provider_of("openai").target_for("o3-mini").token_field == "max_completion_tokens"
    assert not provider_of("openai").target_for("gpt-5").takes_sampling
    assert provider_of("openai").target_for("gpt-4o").token_field == "max_tokens"
    assert provider_of("anthropic").target_for("claude-sonnet-4-5").thinking == "budget"
    assert provider_of("anthropic").target_for("claude-opus-4-7").thinking == "adaptive"
    assert not provider_of("anthropic").target_for("claude-opus-4-7").takes_sampling
    assert provider_of("gemini").target_for("gemini-3-pro").thinking == "level"
    assert provider_of("gemini").target_for("gemini-2.5-flash").thinking == "budget"


def test_an_unknown_name_is_an_openai_compatible_service() -> None:
    assert provider_of("my-own").dialect is Dialect.OPENAI_CHAT
    assert provider_of("my-own").scenes == PROVIDERS["openai"].scenes


async def test_a_known_provider_needs_no_address(rig: Rig) -> None:
    wish = ChannelWish(name="d", provider="deepseek", models=["deepseek-chat"], keys=["sk-1"])
    assert (await rig.context.channels.create(ADMIN, wish, None)).base_url == "https://api.deepseek.com/v1"
    for provider in ("azure", "my-own"):
        with pytest.raises(BadInput) as refused:
            await rig.context.channels.create(ADMIN, ChannelWish(name="x", provider=provider, models=["m"]), None)
        assert refused.value.fields[0].field == "base_url"

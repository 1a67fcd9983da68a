"""Channels as a file: exported, imported with a look first, and as the source of truth that the server follows."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.relay.conftest import Start
from tests.relay.rig import ADMIN, Rig, relay_rig
from tests.relay.test_administration import ALICE, CHANNELS, CONFIGS, Http, http
from tests.relay.upstream import DEADLINE_S
from tidemill.kernel.errors import BadInput
from tidemill.platform.db import Database
from tidemill.relay.channels_file import ChannelsFile
from tidemill.relay.channels_yaml import parse, parse_with_references
from tidemill.relay.contracts import ChannelChange, ChannelView
from tidemill.relay.errors import ChannelsFileWrong

__all__ = ["http"]


async def views(rig: Rig) -> dict[str, ChannelView]:
    return {view.name: view for view in await rig.context.channels.all(ADMIN)}


async def test_an_import_tells_first_and_then_does_what_it_told(http: Http, services: Start) -> None:
    url = (await services()).url
    for name in ("a", "b"):
        await http.rig.channel(url, name, rpm=9, tags=["x"])
    await http("POST", CONFIGS, {"name": "cfg", "api_url": "http://127.0.0.1:9", "model_path": "p"})
    exported = await http("GET", CHANNELS + "/export")
    assert exported.headers["content-type"] == "text/yaml; charset=utf-8"
    tree = yaml.safe_load(exported.text)
    assert [entry["name"] for entry in tree["channels"]] == ["a", "b"]
    assert "keys" not in exported.text
    assert (await http("GET", CHANNELS + "/export?format=json")).json() == tree
    tree["channels"][0].update(rpm=10, keys=["sk-another-key"])
    tree["channels"].append({**tree["channels"][1], "name": "c"})
    expected = {
        "created": ["c"],
        "changed": ["a"],
        "unchanged": ["b"],
        "differences": [
            {
                "name": "a",
                "fields": [
                    {"field": "rpm", "before": 9, "after": 10},
                    {"field": "keys", "before": 1, "after": 1},
                ],
            }
        ],
    }
    told = await http("POST", CHANNELS + "/import?dry_run=true", tree)
    assert told.json() == {**expected, "dry_run": True}
    assert (await views(http.rig)).keys() == {"a", "b", "cfg"}
    done = await http("POST", CHANNELS + "/import", tree)
    assert done.json() == {**expected, "dry_run": False}
    found = await views(http.rig)
    assert (found["a"].rpm, found["a"].keys[0].last4, found["b"].keys[0].last4) == (10, "-key", "cret")
    again = await http("POST", CHANNELS + "/import", tree)
    assert (again.json()["created"], again.json()["changed"]) == ([], [])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"channels: [", "not a file of channels"),
        (b"\xff\xfe", "not a file of channels"),
        (b"- a", "Expected `object`"),
        (b"channels: [{name: a, wieght: 2}]", "wieght"),
        (b"channels: [{name: a}, {name: ' a '}]", "base_url"),
        (b"channels: [{base_url: 'http://x'}]", "channels[0].name"),
        (b"a: &a [1]\nchannels: *a", "aliases"),
    ],
)
async def test_a_file_that_is_wrong_says_where(http: Http, content: bytes, words: str) -> None:
    answer = await http.raw("POST", CHANNELS + "/import", content)
    assert answer.status_code == 400
    assert words in answer.text
    assert await views(http.rig) == {}


async def test_an_import_is_all_or_nothing(http: Http) -> None:
    good = {"name": "good", "base_url": "http://127.0.0.1:9", "models": ["m"]}
    answer = await http("POST", CHANNELS + "/import", {"channels": [good, {**good, "name": "bad", "weight": -1}]})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "weight")
    twice = await http("POST", CHANNELS + "/import", {"channels": [good, good]})
    assert twice.json()["errors"][0]["field"] == "channels[1].name"
    assert await views(http.rig) == {}
    http.actor = ALICE
    assert (await http("POST", CHANNELS + "/import", {"channels": [good]})).status_code == 403


def test_variables_stand_for_keys_addresses_and_headers() -> None:
    content = b"""
channels:
  - name: a
    base_url: "https://${HOST}/v1"
    models: ["${HOST}"]
    keys: ["${KEY}", "plain"]
    header_overrides: {x-team: "team ${TEAM_1}"}
"""
    (found,) = parse_with_references(content, {"HOST": "api.example.com", "KEY": "sk-1", "TEAM_1": "7"})
    assert (found.base_url, found.keys, found.header_overrides, found.models) == (
        "https://api.example.com/v1",
        ["sk-1", "plain"],
        {"x-team": "team 7"},
        ["${HOST}"],
    )
    with pytest.raises(BadInput, match="KEY is not set"):
        parse_with_references(content, {"HOST": "x"})
    assert parse(content)[0].base_url == "https://${HOST}/v1"


def write(path: Path, *channels: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump({"channels": list(channels)}), encoding="utf-8")


async def test_the_file_is_the_source_of_truth(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "channels.yaml"
    one = {"name": "one", "base_url": "http://127.0.0.1:9", "models": ["m"], "keys": ["sk-from-the-file"]}
    two = {"name": "two", "base_url": "http://127.0.0.1:9", "models": ["m"], "weight": 3}
    write(path, one, two)
    async with relay_rig(database, channels_file=str(path)) as rig:
        file = ChannelsFile(path, rig.context.imports)
        found = await views(rig)
        assert [(view.read_only, view.weight) for view in found.values()] == [(True, 1), (True, 3)]
        assert (await file.take()).unchanged == ["one", "two"]
        assert await file.look() is None
        # What an entry no longer says is the default again; what the file no longer names is disabled.
        write(path, {"name": "two", "base_url": "http://127.0.0.1:9", "models": ["m"]})
        report = await file.look()
        assert report is not None
        assert report.changed == ["two", "one"]
        found = await views(rig)
        assert (found["two"].weight, found["one"].status) == (1, "disabled")
        assert found["one"].status_reason == "no longer in the file of channels"
        write(path, one, {**two, "weight": 4})
        await file.look()
        found = await views(rig)
        assert (found["one"].status, found["one"].status_reason, found["one"].keys[0].last4) == (
            "enabled",
            None,
            "file",
        )


async def test_a_running_server_follows_the_file(
    memory_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.relay.channels_file.CHECK_S", 0.01)
    path = tmp_path / "channels.yaml"
    entry = {"name": "one", "base_url": "http://127.0.0.1:9", "models": ["m"]}
    write(path, entry)
    async with relay_rig(memory_database, channels_file=str(path)) as rig:
        write(path, {**entry, "models": ["a model with another name"]})
        async with asyncio.timeout(DEADLINE_S):
            while "a model with another name" not in rig.context.board.snapshot.tiers:
                await asyncio.sleep(0.01)


async def test_a_broken_file_changes_nothing(memory_database: Database, tmp_path: Path) -> None:
    path = tmp_path / "channels.yaml"
    write(path, {"name": "one", "base_url": "http://127.0.0.1:9", "models": ["m"]})
    async with relay_rig(memory_database, channels_file=str(path)) as rig:
        file = ChannelsFile(path, rig.context.imports)
        path.write_text("channels: [{name: one, base_url: 'http://x', models: [m], keys: ['${NO_SUCH_VARIABLE}']}]")
        with pytest.raises(ChannelsFileWrong, match="NO_SUCH_VARIABLE"):
            await file.take()
        assert await file.look() is None
        path.unlink()
        assert await file.look() is None
        with pytest.raises(ChannelsFileWrong, match="No such file"):
            await file.take()
        assert (await views(rig))["one"].base_url == "http://127.0.0.1:9"


async def test_a_server_does_not_start_on_a_file_that_it_cannot_use(memory_database: Database, tmp_path: Path) -> None:
    with pytest.raises(ChannelsFileWrong):
        async with relay_rig(memory_database, channels_file=str(tmp_path / "missing.yaml")):
            pass


async def test_what_the_file_owns_cannot_be_changed_elsewhere(http: Http, tmp_path: Path) -> None:
    path = tmp_path / "channels.yaml"
    write(path, {"name": "one", "base_url": "http://127.0.0.1:9", "models": ["m"]})
    await ChannelsFile(path, http.rig.context.imports).take()
    view = (await views(http.rig))["one"]
    one = f"{CHANNELS}/{view.id}"
    for method, to, body in (
        ("PATCH", one, {"weight": 2}),
        ("POST", one + "/disable", None),
        ("DELETE", one, None),
        ("POST", CHANNELS + "/import", {"channels": [{"name": "one", "weight": 2}]}),
    ):
        answer = await http(method, to, body)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:tidemill:channel_managed_elsewhere")
    marked = await http("POST", CHANNELS, {"name": "x", "base_url": "http://x", "models": ["m"], "tags": view.tags})
    assert (marked.status_code, marked.json()["errors"][0]["field"]) == (400, "tags")
    # Its export can be imported elsewhere.
    assert (await http("GET", CHANNELS + "/export?format=json")).json()["channels"][0]["tags"] == []


async def test_health_outlasts_the_file(memory_database: Database, tmp_path: Path) -> None:
    path = tmp_path / "channels.yaml"
    write(path, {"name": "one", "base_url": "http://127.0.0.1:9", "models": ["m"]})
    async with relay_rig(memory_database, channels_file=str(path)) as rig:
        view = (await views(rig))["one"]
        async with memory_database.write() as w:
            await rig.context.channels.alter(
                w, ADMIN, view.id, ChannelChange(status="auto_disabled"), None, from_file=True
            )
        assert (await ChannelsFile(path, rig.context.imports).take()).unchanged == ["one"]
        assert (await views(rig))["one"].status == "auto_disabled"


async def test_keys_are_enabled_and_disabled_one_by_one(http: Http, services: Start) -> None:
    made = await http.rig.channel(await services(), keys=["sk-number-one", "sk-number-two"])
    first = made.keys[0].id
    path = f"{CHANNELS}/{made.id}/keys/{first}"
    off = await http("POST", path + "/disable")
    assert [key["status"] for key in off.json()["keys"]] == ["disabled", "active"]
    assert [key.last4 for key in http.rig.context.board.snapshot.channels[made.id].keys] == ["-two"]
    on = await http("POST", path + "/enable")
    assert [key["status"] for key in on.json()["keys"]] == ["active", "active"]
    assert len(http.rig.context.board.snapshot.channels[made.id].keys) == 2
    for missing in (f"{CHANNELS}/{made.id}/keys/none/enable", f"{CHANNELS}/99/keys/{first}/enable"):
        assert (await http("POST", missing)).status_code == 404

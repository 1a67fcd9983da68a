"""A server that shares its cache and its events by Redis, and goes on when that is away."""

import json
import time
import urllib.request
from typing import Any

from tests.fixtures.processes import LOOPBACK_ONLY, Server, ServerFactory
from tests.fixtures.valkey import StartValkey

DEADLINE_S = 20.0


def readiness(server: Server) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(server.base_url + "/readyz")  # noqa: S310 - loopback
    with LOOPBACK_ONLY.open(request, timeout=30) as answer:
        return answer.status, json.loads(answer.read())


def wait_for_cache(server: Server, *, ok: bool) -> dict[str, Any]:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        status, said = readiness(server)
        assert status == 200
        assert said["ready"] is True
        if said["parts"]["cache"]["ok"] is ok:
            return said["parts"]["cache"]
        time.sleep(0.05)
    raise AssertionError(f"the cache was never reported as ok={ok}")


def test_readiness_reports_the_cache_and_does_not_depend_on_it(
    make_server: ServerFactory, start_valkey: StartValkey
) -> None:
    valkey = start_valkey(password="not-to-be-shown")
    server = make_server({"TIDEMILL_CACHE__URL": valkey.url}).start()
    assert wait_for_cache(server, ok=True)["latency_ms"] >= 0
    valkey.kill()
    assert wait_for_cache(server, ok=False)["error"] == "Away"
    valkey.restart()
    wait_for_cache(server, ok=True)
    assert server.child is not None
    assert server.stop() == 0
    assert any("cache" in line for line in server.child.log)
    assert not any("not-to-be-shown" in line for line in server.child.log)


def test_an_unknown_cache_is_refused_before_the_server_is_ready(make_server: ServerFactory) -> None:
    server = make_server({"TIDEMILL_CACHE__URL": "memcached://localhost"})
    done = server.run("serve")
    assert done.returncode != 0
    assert "cache.url" in done.stdout + done.stderr

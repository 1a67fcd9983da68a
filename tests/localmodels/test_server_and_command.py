"""The whole way: a real server, its command line, and what kill -9 leaves."""

import json
from pathlib import Path

import pytest

from tests.fixtures.processes import Server, ServerFactory
from tests.localmodels import gguf_files
from tests.localmodels.conftest import is_alive, make_fake_binary
from tests.localmodels.waiting import wait_until_gone


@pytest.fixture
def server(make_server: ServerFactory, tmp_path: Path) -> Server:
    made = make_server({"TIDEMILL_LOCAL_MODELS__SERVER_BINARY": str(make_fake_binary(tmp_path))})
    gguf_files.write(made.data_dir / "models" / "one.gguf")
    return made.start()


def test_the_command_line_starts_and_stops_on_the_running_server(server: Server) -> None:
    started = server.run("models", "start", "one")
    assert (started.returncode, started.stdout) == (0, "one: running\n"), started.stderr
    (shown,) = json.loads(server.run("models", "list", "--json").stdout)["models"]
    assert shown["status"] == "running"
    assert server.local_ports[0] <= shown["port"] <= server.local_ports[1]
    (over_http,) = server.get("/api/v1/models/", server.sign_in())["models"]
    assert (over_http["pid"], over_http["pinned"]) == (shown["pid"], True)
    unknown = server.run("models", "start", "nobody")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "There is no local model named nobody" in unknown.stderr
    stopped = server.run("models", "stop", "one", "--json")
    assert (stopped.returncode, json.loads(stopped.stdout)["status"]) == (0, "available")


def test_kill_9_of_the_server_leaves_no_model_and_a_restart_is_clean(server: Server) -> None:
    token = server.sign_in()
    pid = server.post("/api/v1/models/one/start?wait=true", {}, token)["pid"]
    server.kill()
    wait_until_gone(pid, within_s=3.0)
    said = server.run("models", "start", "one")
    assert said.returncode == 1
    assert "No server is running on this data directory; start one with tidemill serve." in said.stderr
    server.start()
    again = server.post("/api/v1/models/one/start?wait=true", {}, server.sign_in())
    assert again["status"] == "running"
    assert server.stop() == 0
    assert not is_alive(again["pid"])

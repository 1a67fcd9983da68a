"""The surfaces of a running server, asked as their callers ask."""

import json
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from msgspec import Struct

from tests.fixtures.ports import free_port
from tests.fixtures.processes import LOOPBACK_ONLY, TIDEMILL, Child, Server, ServerFactory


class Answer(Struct):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    factory = ServerFactory(tmp_path_factory.mktemp("surfaces"))
    yield factory({"TIDEMILL_CORS__ORIGINS": "http://front.example"}).start()
    factory.close()


def ask(server: Server, path: str, method: str = "GET", body: Any = None, **headers: str) -> Answer:
    data = None if body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if data is not None:
        named.setdefault("content-type", "application/json")
    request = urllib.request.Request(server.base_url + path, data=data, headers=named, method=method)  # noqa: S310 - loopback
    try:
        with LOOPBACK_ONLY.open(request, timeout=30) as answer:
            return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())


@pytest.mark.parametrize("path", ["/health", "/healthz", "/livez", "/startupz", "/readyz", "/readyz/"])
def test_operators_are_answered(running: Server, path: str) -> None:
    answer = ask(running, path)
    assert answer.status == 200
    if path.startswith("/readyz"):
        assert answer.json["ready"] is True
        assert {"database", "objects"} <= set(answer.json["parts"])
        assert all(part["ok"] and part["latency_ms"] >= 0 for part in answer.json["parts"].values())


def test_figures_are_open_to_loopback(running: Server) -> None:
    answer = ask(running, "/metrics")
    assert answer.status == 200
    names = {line.split("{")[0].split(" ")[0] for line in answer.body.decode().splitlines() if not line.startswith("#")}
    assert "tidemill_http_requests_total" in names
    assert all(name.startswith("tidemill_") for name in names)


def test_the_openapi_document_is_served_and_is_the_printed_one(running: Server) -> None:
    served = ask(running, "/openapi.json").json
    printed = json.loads(running.run("openapi").stdout)
    assert served["openapi"].startswith("3.1")
    assert served["paths"] == printed["paths"]


def test_the_reference_is_one_plain_page(running: Server, make_server: ServerFactory) -> None:
    page = ask(running, "/docs")
    text = page.body.decode()
    assert page.headers["content-type"].startswith("text/html")
    assert "<script" not in text
    assert "http" not in page.headers["content-security-policy"]
    for path in ask(running, "/openapi.json").json["paths"]:
        assert path.replace("&", "&amp;") in text
    production = {"TIDEMILL_SERVER__PRODUCTION_MODE": "true"}
    refused = make_server(production).run("serve")
    assert refused.returncode == 1
    assert "auth.secret_key" in refused.stderr
    hidden = make_server({**production, "TIDEMILL_AUTH__SECRET_KEY": "k7Qp2-a-configured-signing-key-v9Zt"}).start()
    assert ask(hidden, "/docs").status == 404


@pytest.mark.parametrize("path", ["/api/me", "/api/me/", "/api/tasks"])
def test_no_credential_on_the_envelope_surface(running: Server, path: str) -> None:
    answer = ask(running, path)
    assert (answer.status, answer.json["code"], answer.json["message"]) == (401, 401, "未认证")
    assert isinstance(answer.json["detail"], str)
    assert ask(running, path, authorization="Bearer x.y.z").json["message"] == "Token 无效"
    assert ask(running, path, accept_language="en").json["message"].startswith("Not signed in")


def test_no_credential_on_the_rest_surface(running: Server) -> None:
    answer = ask(running, "/api/v1/keys/")
    assert (answer.status, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.json["type"] == "urn:tidemill:unauthenticated"
    assert answer.json["request_id"] == answer.headers["x-request-id"]


def test_unknown_paths_and_methods(running: Server) -> None:
    assert ask(running, "/api/nothing").json["code"] == 404
    assert ask(running, "/api/v1/nothing").json["type"] == "urn:tidemill:not_found"
    assert ask(running, "/api/login").status == 405
    assert ask(running, "/assets/nothing.js").status == 404
    assert ask(running, "/", "POST", {}).status == 405


def test_a_wrong_body_names_its_fields(running: Server) -> None:
    answer = ask(running, "/api/login", "POST", {"username": "admin"})
    assert (answer.status, answer.json["code"]) == (400, 400)
    assert [error["field"] for error in answer.json["errors"]] == ["password"]
    answer = ask(running, "/api/v1/auth/login", "POST", {"username": "a", "password": "b", "pasword": "c"})
    assert answer.status == 400
    assert [error["field"] for error in answer.json["errors"]] == ["pasword"]
    broken = urllib.request.Request(  # noqa: S310 - loopback
        running.base_url + "/api/login", data=b"{", headers={"content-type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught, LOOPBACK_ONLY.open(broken, timeout=30):
        pass
    assert caught.value.code == 400
    caught.value.close()


def test_fields_nobody_reads_are_named_in_a_header(running: Server) -> None:
    body = {"username": "admin", "password": "wrong-password", "remember": True, "captcha": "x"}
    answer = ask(running, "/api/login", "POST", body)
    assert (answer.status, answer.json["code"]) == (401, 1003)
    assert answer.headers["x-ignored-fields"] == "captcha, remember"


def test_every_answer_has_a_request_id_and_keeps_a_given_one(running: Server) -> None:
    assert ask(running, "/health", x_request_id="trace-42").headers["x-request-id"] == "trace-42"
    made = {ask(running, "/health").headers["x-request-id"] for _ in range(3)}
    assert len(made) == 3
    assert ask(running, "/health", x_request_id="x" * 500).headers["x-request-id"] != "x" * 500


def test_security_headers_and_policy(running: Server) -> None:
    page = ask(running, "/")
    assert (page.status, page.headers["x-content-type-options"], page.headers["x-frame-options"]) == (
        200,
        "nosniff",
        "DENY",
    )
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-cache"
    assert ask(running, "/tasks/some-page").body == page.body
    assert ask(running, "/", "HEAD").body == b""


def test_cross_origin_rules(running: Server) -> None:
    allowed = ask(running, "/health", origin="http://front.example")
    assert allowed.headers["access-control-allow-origin"] == "http://front.example"
    assert allowed.headers["access-control-allow-credentials"] == "true"
    assert "access-control-allow-origin" not in ask(running, "/health", origin="http://evil.example").headers
    preflight = ask(
        running,
        "/api/login",
        "OPTIONS",
        origin="http://front.example",
        access_control_request_method="POST",
        access_control_request_headers="authorization, x-y",
    )
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-methods"] == "POST"
    assert preflight.headers["access-control-allow-headers"] == "authorization, x-y"


def test_a_second_server_on_the_same_data_is_refused(running: Server) -> None:
    second = running.run("serve", "--port", str(free_port()))
    assert second.returncode == 1
    assert "already runs on this data directory" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_taken_port_is_refused_in_one_sentence(running: Server, make_server: ServerFactory) -> None:
    other = make_server()
    refused = other.run("serve", "--port", str(running.port))
    assert refused.returncode == 1
    assert "Cannot listen on that address" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_sigterm_ends_it_in_order(make_server: ServerFactory) -> None:
    server = make_server().start()
    assert server.stop() == 0
    server.start()
    assert ask(server, "/readyz").status == 200


def test_sigint_ends_it_in_order(make_server: ServerFactory) -> None:
    server = make_server().start()
    assert server.child is not None
    server.child.process.send_signal(signal.SIGINT)
    assert server.child.process.wait(40) == 0


def test_settings_on_the_command_line(make_server: ServerFactory) -> None:
    server = make_server({"TIDEMILL_LOG__LEVEL": "warning"})
    checked = server.run("config", "check", "--json")
    found = json.loads(checked.stdout)
    assert found["log.level"] == {"value": "warning", "source": "environment TIDEMILL_LOG__LEVEL"}
    assert found["admin.password"]["value"] == "***"
    bad = make_server({"TIDEMILL_SERVER__PORT": "many"}).run("config", "check")
    assert bad.returncode == 1
    assert "server.port" in bad.stderr


def test_migrations_on_the_command_line(make_server: ServerFactory) -> None:
    server = make_server()
    assert json.loads(server.run("db", "current", "--json").stdout)["revision"] is None
    up = json.loads(server.run("db", "upgrade", "--json").stdout)
    assert up["changed"]
    assert up["revision"] == up["head"]
    down = json.loads(server.run("db", "downgrade", "base", "--json").stdout)
    assert down["revision"] is None


def test_wrong_usage_is_exit_code_2() -> None:
    for arguments in (["nonsense"], ["serve", "--port", "x"], ["db", "downgrade"]):
        done = subprocess.run([TIDEMILL, *arguments], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 2


def test_init_writes_a_settings_file_that_serves(make_server: ServerFactory) -> None:
    server = make_server()
    made = server.run("init", "mine.yaml")
    assert made.returncode == 0
    assert server.run("config", "check", "--config", "mine.yaml").returncode == 0
    again = server.run("init", "mine.yaml")
    assert again.returncode == 1
    assert "exists already" in again.stderr


def test_it_is_alive_before_it_is_ready(make_server: ServerFactory) -> None:
    server = make_server()
    server.child = Child([TIDEMILL, "serve"], server.data_dir.parent, server.environment)
    seen: list[tuple[int, int]] = []
    while not seen or seen[-1] != (200, 200):
        try:
            seen.append((ask(server, "/healthz").status, ask(server, "/startupz").status))
        except (urllib.error.URLError, ConnectionError):
            assert server.child.process.poll() is None
    assert seen[0] == (200, 503)
    assert set(seen) == {(200, 503), (200, 200)}


def test_a_signal_during_the_start_ends_it_in_order(make_server: ServerFactory) -> None:
    server = make_server()
    server.child = Child([TIDEMILL, "serve"], server.data_dir.parent, server.environment)
    alive = False
    while not alive:
        try:
            alive = ask(server, "/healthz").status == 200
        except (urllib.error.URLError, ConnectionError):
            assert server.child.process.poll() is None
    assert server.stop() == 0


def test_a_start_that_cannot_be_ends_with_its_sentence(make_server: ServerFactory) -> None:
    refused = make_server({"TIDEMILL_ADMIN__PASSWORD": "short"}).run("serve")
    assert refused.returncode == 1
    assert "admin.password" in refused.stderr
    assert "is ready" not in refused.stdout

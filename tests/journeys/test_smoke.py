"""``scripts/smoke.sh`` calls every operation of the OpenAPI document, and each answers as it should."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.processes import ADMIN_PASSWORD, Server, Simulator

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^  (?:ok|FAIL) +([A-Z]+) +(\S+)", re.MULTILINE)
METHODS = {"get", "post", "put", "patch", "delete"}


def operations(document: dict[str, dict[str, dict[str, object]]]) -> set[tuple[str, str]]:
    return {
        (method.upper(), path) for path, found in document["paths"].items() for method in found if method in METHODS
    }


@pytest.mark.timeout(400)
def test_every_operation_is_called_and_answers(server: Server, simulator: Simulator) -> None:
    environment = {
        **os.environ,
        "TIDEMILL_URL": server.base_url,
        "TIDEMILL_PASSWORD": ADMIN_PASSWORD,
        "SIMULATOR_URL": simulator.base_url,
    }
    done = subprocess.run(
        [ROOT / "scripts" / "smoke.sh"], env=environment, capture_output=True, text=True, check=False, timeout=380
    )
    assert done.returncode == 0, done.stdout + done.stderr
    called = {(method, path.split("?")[0].rstrip("/") or "/") for method, path in LINE.findall(done.stdout)}
    document = server.get("/openapi.json")
    missing = {
        (method, path)
        for method, path in operations(document)
        if not any(
            method == used and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", path), where) for used, where in called
        )
    }
    assert missing == set()

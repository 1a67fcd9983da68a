"""Settings: sources in order, provenance, errors that name the field, earlier names."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tidemill.kernel.errors import BadInput
from tidemill.platform.settings import load
from tidemill.platform.settings.fields import all_fields
from tidemill.platform.settings.legacy import ENVIRONMENT, FILE, JOINED_ENVIRONMENT, JOINED_FILE
from tidemill.platform.settings.reference import dotenv, markdown, settings_file


def test_sources_override_each_other_in_order(tmp_path: Path) -> None:
    (tmp_path / "tidemill.yaml").write_text("server: {host: file, port: 1, drain_s: 1.5}\nlog: {level: error}\n")
    (tmp_path / ".env").write_text("TIDEMILL_SERVER__HOST=dotenv\nTIDEMILL_SERVER__PORT=2\n")
    loaded = load(
        {"server.host": "command"},
        environ={"TIDEMILL_SERVER__PORT": "3", "TIDEMILL_SERVER__HOST": "environment"},
        folder=tmp_path,
    )
    assert (loaded.settings.server.host, loaded.settings.server.port) == ("command", 3)
    assert (loaded.settings.server.drain_s, loaded.settings.log.level) == (1.5, "error")
    assert loaded.sources["server.host"] == "command line"
    assert loaded.sources["server.port"] == "environment TIDEMILL_SERVER__PORT"
    assert loaded.sources["server.drain_s"] == str(tmp_path / "tidemill.yaml")
    assert loaded.sources["database.url"] == "default"


def test_addresses_derive_from_the_data_directory(tmp_path: Path) -> None:
    settings = load({"server.data_dir": tmp_path}, environ={}, folder=tmp_path).settings
    assert settings.database_url == f"sqlite:///{tmp_path}/tidemill.db"
    assert settings.objects_url == f"file://{tmp_path}/objects"
    assert settings.models_dir == tmp_path / "models"


@pytest.mark.parametrize(
    ("environ", "field"),
    [
        ({"TIDEMILL_SERVER__PORT": "many"}, "server.port"),
        ({"TIDEMILL_SERVER__PROT": "1"}, "TIDEMILL_SERVER__PROT"),
        ({"TIDEMILL_LOG__LEVEL": "loud"}, "log.level"),
        ({"TIDEMILL_AUTH__SECRET_KEY_FILE": "/does/not/exist"}, "TIDEMILL_AUTH__SECRET_KEY_FILE"),
    ],
)
def test_a_bad_value_is_named(environ: Mapping[str, str], field: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        load(environ=environ, folder=tmp_path)
    assert [problem.field for problem in caught.value.fields] == [field]


@pytest.mark.parametrize("text", ["server: {hots: x}", "nonsense: 1", "- a list", "server: [", "\xff"])
def test_a_bad_file_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "tidemill.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInput):
        load(environ={}, folder=tmp_path)


def test_a_missing_named_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a file"):
        load(environ={"TIDEMILL_CONFIG": str(tmp_path / "none.yaml")}, folder=tmp_path)


def test_secrets_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a-long-secret-from-a-file-0123456789\n")
    loaded = load(environ={"TIDEMILL_AUTH__SECRET_KEY_FILE": str(tmp_path / "key")}, folder=tmp_path)
    assert loaded.settings.auth.secret_key == "a-long-secret-from-a-file-0123456789"


def test_lists_by_comma_or_json(tmp_path: Path) -> None:
    for text in ("a, b", '["a", "b"]'):
        loaded = load(environ={"TIDEMILL_CORS__ORIGINS": text}, folder=tmp_path)
        assert loaded.settings.cors.origins == ("a", "b")


EARLIER = {
    "HOST": ("0.0.0.0", "server.host", "0.0.0.0"),
    "PORT": ("9000", "server.port", 9000),
    "DATABASE_URL": ("./database/app.db", "database.url", "sqlite:///./database/app.db"),
    "LOG_LEVEL": ("INFO", "log.level", "info"),
}


def value_of(path: str, environ: Mapping[str, str], folder: Path) -> object:
    loaded = load(environ=environ, folder=folder)
    assert len(loaded.warnings) >= 1
    group, name = path.split(".")
    return getattr(getattr(loaded.settings, group), name)


def test_every_earlier_variable_works(tmp_path: Path) -> None:
    assert set(EARLIER) == set(ENVIRONMENT)
    for name, (text, path, expected) in EARLIER.items():
        assert value_of(path, {name: text}, tmp_path) == expected
    redis = {"REDIS_HOST": "r", "REDIS_PORT": "7000", "REDIS_PASSWORD": "p"}
    assert value_of("cache.url", redis, tmp_path) == "redis://:p@r:7000/0"
    chroma = {"CHROMA_HOST": "c", "CHROMA_PORT": "8001"}
    assert value_of("vectors.url", chroma, tmp_path) == "chroma://c:8001"
    driver = {"DATABASE_DRIVER": "postgres", "DATABASE_URL": "u:p@h/db"}
    assert value_of("database.url", driver, tmp_path) == "postgresql://u:p@h/db"
    assert set(redis) | set(chroma) | {"DATABASE_DRIVER"} == set(JOINED_ENVIRONMENT)


def test_ours_win_over_earlier_variables(tmp_path: Path) -> None:
    loaded = load(environ={"PORT": "1", "TIDEMILL_SERVER__PORT": "2"}, folder=tmp_path)
    assert loaded.settings.server.port == 2


def test_the_earlier_config_file_works(tmp_path: Path) -> None:
    tree = {
        "server": {"host": "0.0.0.0", "port": 8080, "production_mode": False},
        "database": {"path": "./database/app.db"},
        "redis": {
            "host": "h",
            "port": 6379,
            "db": 2,
            "password": None,
            "max_wait_time": 200,
            "default_max_concurrency": 9,
        },
        "jwt": {"secret_key": "a-long-secret-of-the-earlier-file-42", "algorithm": "HS256", "expire_minutes": 60},
        "admin": {"username": "root", "password": "some password"},
        "cors": {"origins": ["http://x"], "allow_credentials": True, "allow_methods": ["*"], "allow_headers": ["*"]},
    }
    (tmp_path / "tidemill.yaml").write_text(yaml.safe_dump(tree))
    loaded = load(environ={}, folder=tmp_path)
    settings = loaded.settings
    assert settings.database_url == "sqlite:///./database/app.db"
    assert settings.cache.url == "redis://h:6379/2"
    assert (settings.gateway.max_wait_s, settings.gateway.default_max_concurrent) == (200, 9)
    assert (settings.auth.secret_key, settings.auth.expire_minutes) == ("a-long-secret-of-the-earlier-file-42", 60)
    assert (settings.admin.username, settings.cors.origins) == ("root", ("http://x",))
    earlier = set(FILE) | {"redis.host"}
    assert {warning.split(" ")[0] for warning in loaded.warnings} == earlier
    assert set(JOINED_FILE) <= {f"redis.{name}" for name in tree["redis"]}


def test_every_setting_has_both_languages_and_reaches_the_reference() -> None:
    for field in all_fields().values():
        assert field.doc.zh
        assert field.doc.en
        for lang in ("zh", "en"):
            assert f"`{field.env}`" in markdown(lang)
        assert f"#{field.env}=" in dotenv()


def test_the_written_settings_file_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "tidemill.yaml"
    path.write_text(settings_file({"auth.secret_key": "s" * 20 + "ecret-enough-0123456789"}))
    loaded = load(environ={}, config=path, folder=tmp_path)
    assert loaded.settings.auth.secret_key == "s" * 20 + "ecret-enough-0123456789"
    path.write_text(path.read_text().replace("# server:", "server:").replace("  # port: 8080", "  port: 9999"))
    assert load(environ={}, config=path, folder=tmp_path).settings.server.port == 9999

"""Names of the earlier systems, still accepted. Ours win; each one used is a warning."""

from collections.abc import Mapping
from typing import Any

# Environment name -> our setting. REDIS_* and CHROMA_* are parts of one address and are joined below.
ENVIRONMENT: Mapping[str, str] = {
    "HOST": "server.host",
    "PORT": "server.port",
    "DATABASE_URL": "database.url",
    "LOG_LEVEL": "log.level",
}
JOINED_ENVIRONMENT: Mapping[str, str] = {
    "DATABASE_DRIVER": "database.url",
    "REDIS_HOST": "cache.url",
    "REDIS_PORT": "cache.url",
    "REDIS_PASSWORD": "cache.url",
    "CHROMA_HOST": "vectors.url",
    "CHROMA_PORT": "vectors.url",
}
# Key of the earlier config.yaml -> our setting.
FILE: Mapping[str, str] = {
    "database.path": "database.url",
    "jwt.secret_key": "auth.secret_key",
    "jwt.expire_minutes": "auth.expire_minutes",
    "redis.max_wait_time": "gateway.max_wait_s",
    "redis.default_max_concurrency": "gateway.default_max_concurrent",
}
JOINED_FILE: Mapping[str, str] = {
    "redis.host": "cache.url",
    "redis.port": "cache.url",
    "redis.db": "cache.url",
    "redis.password": "cache.url",
}
# Accepted and without effect: HS256 is the only algorithm there is.
IGNORED_FILE = frozenset({"jwt.algorithm"})


def from_environment(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    """Translate the earlier systems' variables: our path -> (value, the name it came from)."""
    found: dict[str, tuple[Any, str]] = {}
    for name, path in ENVIRONMENT.items():
        if environ.get(name):
            found[path] = (environ[name], name)
    if "log.level" in found:
        found["log.level"] = (found["log.level"][0].lower(), "LOG_LEVEL")
    if "database.url" in found:
        driver = environ.get("DATABASE_DRIVER", "")
        found["database.url"] = (database_url(found["database.url"][0], driver), "DATABASE_URL")
    if environ.get("REDIS_HOST"):
        address = redis_url(environ["REDIS_HOST"], environ.get("REDIS_PORT"), environ.get("REDIS_PASSWORD"), None)
        found["cache.url"] = (address, "REDIS_HOST")
    if environ.get("CHROMA_HOST"):
        found["vectors.url"] = (
            f"chroma://{environ['CHROMA_HOST']}:{environ.get('CHROMA_PORT') or 8000}",
            "CHROMA_HOST",
        )
    return found


def from_file(flat: Mapping[str, Any]) -> tuple[dict[str, tuple[Any, str]], set[str]]:
    """Translate the earlier config.yaml: our path -> (value, its key), and the keys that were understood."""
    found: dict[str, tuple[Any, str]] = {}
    understood = {key for key in flat if key in FILE or key in JOINED_FILE or key in IGNORED_FILE}
    for key, path in FILE.items():
        if flat.get(key) is not None:
            value = database_url(str(flat[key]), "") if path == "database.url" else flat[key]
            found[path] = (value, key)
    if flat.get("redis.host"):
        address = redis_url(
            flat["redis.host"], flat.get("redis.port"), flat.get("redis.password"), flat.get("redis.db")
        )
        found["cache.url"] = (address, "redis.host")
    return found, understood


def database_url(value: str, driver: str) -> str:
    """Turn a bare path into a SQLite URL; a URL stays as it is."""
    if "://" in value:
        return value
    if driver.lower() in ("postgres", "postgresql"):
        return f"postgresql://{value}"
    return f"sqlite:///{value}"


def redis_url(host: str, port: Any, password: str | None, database: Any) -> str:
    """Join the parts of a Redis address."""
    secret = f":{password}@" if password else ""
    return f"redis://{secret}{host}:{port or 6379}/{database or 0}"

from sqlalchemy import Connection, inspect, text

from tidemill.audit.tables import audit_log
from tidemill.identity.tables import api_keys, revoked_sessions, users
from tidemill.platform.db import migrate

OURS = (users, revoked_sessions, api_keys, audit_log)


def seen(connection: Connection) -> dict[str, dict[str, bool]]:
    """Return table -> column -> whether it takes NULL."""
    found = inspect(connection)
    return {
        name: {column["name"]: column["nullable"] for column in found.get_columns(name)}
        for name in found.get_table_names()
        if name != "alembic_version"
    }


def leftovers(connection: Connection) -> list[str]:
    """Return triggers and functions of ours."""
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if connection.dialect.name == "sqlite"
        else "SELECT proname FROM pg_proc WHERE proname LIKE 'audit%'"
    )
    return list(connection.execute(text(query)).scalars())


def test_goes_up_down_and_up_again_and_agrees_with_the_tables(empty_database_url: str) -> None:
    url = empty_database_url
    migrate.upgrade(url, "0001")
    first = migrate._run_sync(url, seen)  # pyright: ignore[reportPrivateUsage]
    for table in OURS:
        assert first[table.name] == {column.name: bool(column.nullable) for column in table.columns}
    assert list(first["users"])[:7] == [
        "id",
        "username",
        "password_hash",
        "is_active",
        "is_admin",
        "created_at",
        "updated_at",
    ]
    assert list(first["change_seq"]) == ["topic", "seq"]
    assert list(first["server_state"]) == ["key", "value", "updated_at"]
    migrate.downgrade(url, "base")
    assert migrate._run_sync(url, seen) == {}  # pyright: ignore[reportPrivateUsage]
    assert migrate._run_sync(url, leftovers) == []  # pyright: ignore[reportPrivateUsage]
    migrate.upgrade(url, "0001")
    assert migrate._run_sync(url, seen) == first  # pyright: ignore[reportPrivateUsage]
    assert migrate._run_sync(url, leftovers) != []  # pyright: ignore[reportPrivateUsage]

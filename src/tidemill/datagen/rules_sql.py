"""Does a query run? It is planned on an empty SQLite database that holds the row's own schema, and nothing else."""

import sqlite3
from collections.abc import Callable

from tidemill.datagen.rules_context import RowContext
from tidemill.kernel.errors import FieldProblem

_STEPS = 10_000  # virtual-machine steps, far more than planning one query takes
_LONGEST_CHARS = 20_000
_BUILDING = frozenset(
    {
        sqlite3.SQLITE_CREATE_TABLE,
        sqlite3.SQLITE_CREATE_INDEX,
        sqlite3.SQLITE_CREATE_VIEW,
        sqlite3.SQLITE_INSERT,
        sqlite3.SQLITE_UPDATE,
        sqlite3.SQLITE_DELETE,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_REINDEX,
    }
)
_ASKING = frozenset({sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_BARRED = frozenset({"load_extension", "writefile", "readfile", "edit", "randomblob", "zeroblob"})


def sql_runs(row: RowContext) -> list[FieldProblem]:
    """Check that the schema builds and the query is one SELECT that fits it; nothing outside memory is reached."""
    schema, query = row.text("schema"), row.text("sql").strip().rstrip(";")
    if len(schema) + len(query) > _LONGEST_CHARS:
        return [row.problem("sql", "SQL 过长", "the SQL is too long")]
    connection = sqlite3.connect(":memory:")
    try:
        connection.set_progress_handler(_halt, _STEPS)
        connection.set_authorizer(_only(_BUILDING))
        try:
            connection.executescript(schema)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as problem:
            return [row.problem("schema", f"建表语句无法执行：{problem}", f"the schema does not build: {problem}")]
        connection.set_authorizer(_only(_ASKING))
        try:
            connection.execute(f"EXPLAIN {query}")  # planned, not run
        except (sqlite3.Error, sqlite3.Warning, ValueError) as problem:
            return [row.problem("sql", f"查询与表结构不符：{problem}", f"the query does not fit the schema: {problem}")]
    finally:
        connection.close()
    return []


def _only(actions: frozenset[int]) -> Callable[[int, str | None, str | None, str | None, str | None], int]:
    def allowed(
        action: int, _first: str | None, second: str | None, _database: str | None, _trigger: str | None
    ) -> int:
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _BARRED:
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK if action in actions else sqlite3.SQLITE_DENY

    return allowed


def _halt() -> int:
    return 1

"""Which carrier of tickets a queue address names."""

from urllib.parse import urlsplit

from tidemill.kernel.errors import BadInput
from tidemill.platform.jobs.database_transport import DatabaseTransport
from tidemill.platform.jobs.transport import Transport

_SETTING = "queue.url"


def open_transport(queue_url: str, database_url: str, *, prefix: str = "tidemill") -> Transport:
    """Return this process's end of what carries tickets; brokers' clients are loaded only when they are named.

    Raises BadInput naming ``queue.url`` for an address of no known kind, and for a PostgreSQL that is not the database:
    jobs are rows of the transaction that causes them.
    """
    scheme = urlsplit(queue_url).scheme
    match scheme:
        case "local":
            return DatabaseTransport("local")
        case "postgresql" | "postgres":
            if _place(queue_url) != _place(database_url):
                raise BadInput.of(_SETTING, "names another PostgreSQL than database.url; jobs live in the database")
            return DatabaseTransport("postgresql")
        case "amqp" | "amqps":
            from tidemill.platform.jobs.rabbitmq import RabbitMqTransport  # noqa: PLC0415 - loaded on first use

            return RabbitMqTransport(queue_url, prefix=prefix)
        case "redis" | "rediss":
            from tidemill.platform.jobs.redis import RedisTransport  # noqa: PLC0415 - loaded on first use

            return RedisTransport(queue_url, prefix=prefix)
        case _:
            raise BadInput.of(_SETTING, "must begin with local://, postgresql://, amqp:// or redis://")


def _place(url: str) -> tuple[str | None, int, str]:
    parts = urlsplit(url)
    return (parts.hostname, parts.port or 5432, parts.path)

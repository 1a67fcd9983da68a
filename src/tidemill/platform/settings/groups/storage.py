"""Settings of the backends: database, cache, queue, objects, vectors."""

from typing import Annotated, Literal

from msgspec import Struct

from tidemill.platform.settings.doc import Doc


class DatabaseSettings(Struct, frozen=True, kw_only=True):
    """Which database, and how careful."""

    url: Annotated[
        str | None,
        Doc(
            zh="sqlite:///相对路径、sqlite:////绝对路径或 postgresql://…；缺省为 {data_dir}/tidemill.db",
            en="sqlite:///relative, sqlite:////absolute or postgresql://…; unset: {data_dir}/tidemill.db.",
            secret=True,
        ),
    ] = None
    pool_size: Annotated[int, Doc(zh="PostgreSQL 连接池大小", en="Size of the PostgreSQL connection pool.")] = 10
    synchronous: Annotated[
        Literal["FULL", "NORMAL"],
        Doc(
            zh="SQLite 落盘策略：FULL 断电不丢，NORMAL 仅保证进程被杀不丢",
            en="SQLite: FULL survives a power cut, NORMAL only a killed process.",
        ),
    ] = "FULL"


class CacheSettings(Struct, frozen=True, kw_only=True):
    """Where what instances share for a short time is kept."""

    url: Annotated[
        str,
        Doc(
            zh="缓存地址：memory://（仅本进程）或 redis://[用户:密码@]主机[:端口][/库]（TLS 用 rediss://）；"
            "用 Redis 时事件也经它传递",
            en="Cache: memory:// (this process alone) or redis://[user:password@]host[:port][/database], rediss:// "
            "with TLS; with Redis events travel by it too.",
            secret=True,
        ),
    ] = "memory://"


class QueueSettings(Struct, frozen=True, kw_only=True):
    """How jobs travel to workers."""

    url: Annotated[
        str,
        Doc(
            zh="任务队列地址：local://（即数据库）、postgresql://（须与 database.url 相同）、amqp:// 或 redis://",
            en="Job transport: local:// (the database), postgresql:// (the same as database.url), amqp:// or redis://.",
            secret=True,
        ),
    ] = "local://"
    prefix: Annotated[
        str,
        Doc(
            zh="在 RabbitMQ、Redis 中所用名称的前缀；多套系统共用一个服务时各取一个",
            en="Begins every name in RabbitMQ and Redis; installations that share a server take one each.",
        ),
    ] = "tidemill"
    lease_s: Annotated[
        float,
        Doc(
            zh="工作进程多少秒没有心跳后，其任务由其他进程接手；所有进程须一致",
            en="Seconds without a worker's heartbeat after which others take its jobs; the same in every process.",
        ),
    ] = 30.0


class ObjectSettings(Struct, frozen=True, kw_only=True):
    """Where files are kept."""

    url: Annotated[
        str | None,
        Doc(
            zh="file:///目录 或 s3://桶/前缀；缺省为 {data_dir}/objects",
            en="file:///folder or s3://bucket/prefix; unset: {data_dir}/objects.",
        ),
    ] = None
    s3_endpoint: Annotated[str | None, Doc(zh="S3 兼容服务地址", en="Address of an S3-compatible service.")] = None
    s3_region: Annotated[str, Doc(zh="S3 区域", en="S3 region.")] = "us-east-1"
    s3_access_key: Annotated[str | None, Doc(zh="S3 访问密钥", en="S3 access key.", secret=True)] = None
    s3_secret_key: Annotated[str | None, Doc(zh="S3 私有密钥", en="S3 secret key.", secret=True)] = None


class VectorSettings(Struct, frozen=True, kw_only=True):
    """Where embeddings are kept."""

    url: Annotated[str, Doc(zh="向量库地址：embedded://", en="Vector store: embedded://.", secret=True)] = "embedded://"

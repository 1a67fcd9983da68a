"""Settings of the gateway."""

from typing import Annotated, Literal

from tidemill.platform.settings.doc import Doc
from tidemill.platform.settings.groups.answers import AnswerSettings


class GatewaySettings(AnswerSettings, frozen=True, kw_only=True):
    """How calls travel to model services."""

    allow_private_upstreams: Annotated[
        bool,
        Doc(
            zh="管理员可使用内网地址作为上游", en="Administrators may name loopback and private addresses as upstreams."
        ),
    ] = True
    http_client: Annotated[
        Literal["http1", "aiohttp"],
        Doc(
            zh="调用上游所用的 HTTP 客户端：http1 为内置连接池，aiohttp 为备选",
            en="HTTP client for calls to upstreams: http1 is the built-in pool, aiohttp the alternative.",
        ),
    ] = "http1"
    max_wait_s: Annotated[
        float,
        Doc(
            zh="/api/model-call 与数据生成等待空位的最长秒数",
            en="Longest wait of /api/model-call and of generation for a slot, seconds.",
        ),
    ] = 300.0
    relay_wait_s: Annotated[
        float, Doc(zh="/v1 请求等待空位的最长秒数", en="Longest wait of a /v1 call for a slot, seconds.")
    ] = 10.0
    max_waiting: Annotated[
        int,
        Doc(
            zh="同时等待空位的请求总数上限，超过即 429",
            en="Calls that may wait for a slot at once in this process; past it: 429.",
        ),
    ] = 2000
    default_max_concurrent: Annotated[
        int, Doc(zh="渠道默认并发上限", en="Calls at once on a channel that sets no limit of its own.")
    ] = 16
    caller_rpm: Annotated[
        int,
        Doc(
            zh="每个密钥（或登录用户）每分钟请求上限；0 表示不限",
            en="Calls a minute of one key (or signed-in user); 0: no limit.",
        ),
    ] = 0
    caller_tpm: Annotated[
        int,
        Doc(
            zh="每个密钥（或登录用户）每分钟 token 上限；0 表示不限",
            en="Tokens a minute of one key (or signed-in user); 0: no limit.",
        ),
    ] = 0
    caller_max_concurrent: Annotated[
        int,
        Doc(
            zh="每个密钥（或登录用户）并发上限；0 表示不限",
            en="Calls at once of one key (or signed-in user); 0: no limit.",
        ),
    ] = 0
    max_body_bytes: Annotated[int, Doc(zh="/v1 请求体上限（字节）", en="Largest /v1 request body, bytes.")] = (
        32 * 1024 * 1024
    )
    max_answer_bytes: Annotated[
        int, Doc(zh="非流式回答上限（字节）", en="Largest plain answer taken from an upstream, bytes.")
    ] = 64 * 1024 * 1024
    body_timeout_s: Annotated[
        float, Doc(zh="接收请求体的时限（秒）", en="Seconds a client may take to send its body.")
    ] = 60.0
    connect_timeout_s: Annotated[
        float, Doc(zh="连接上游的时限（秒）", en="Seconds to open a connection to an upstream.")
    ] = 10.0
    first_token_timeout_s: Annotated[
        float,
        Doc(
            zh="流式调用等待首个内容的时限（秒），不超过渠道的 timeout_s",
            en="Seconds a stream may take to its first content; never more than the channel's timeout_s.",
        ),
    ] = 300.0
    idle_timeout_s: Annotated[
        float, Doc(zh="流式调用两次数据之间的时限（秒）", en="Seconds a stream may be silent after it began.")
    ] = 120.0
    heartbeat_s: Annotated[
        float, Doc(zh="流中保活注释的间隔（秒）", en="Seconds of silence after which a keep-alive comment is sent.")
    ] = 15.0
    retries: Annotated[
        int,
        Doc(
            zh="一次 /v1 调用失败后最多再试几次（先换渠道）",
            en="How many more tries a failed /v1 call may take, other channels first.",
        ),
    ] = 2
    breaker_failures: Annotated[
        int, Doc(zh="连续失败多少次后断开渠道", en="Failures in a row that open a channel's breaker.")
    ] = 5
    breaker_pause_s: Annotated[
        float, Doc(zh="首次断开的时长（秒），之后逐次加倍", en="First pause of an open breaker, seconds; it doubles.")
    ] = 5.0
    breaker_max_pause_s: Annotated[
        float, Doc(zh="断开时长的上限（秒）", en="Longest pause of an open breaker, seconds.")
    ] = 60.0
    probe_interval_s: Annotated[
        float,
        Doc(
            zh="渠道健康探测的间隔（秒）；0 表示不探测",
            en="Seconds between two health probes of a channel; 0: none are made.",
        ),
    ] = 60.0
    key_retest_s: Annotated[
        float,
        Doc(
            zh="停用的渠道密钥多久后再试一次（秒）；0 表示不再试",
            en="Seconds after which a disabled key of a channel is tried again; 0: never.",
        ),
    ] = 1800.0
    channels_file: Annotated[
        str,
        Doc(
            zh="渠道文件（YAML）的路径：作为渠道的唯一来源，启动时及文件变化时载入，其中的渠道在控制台与接口中只读；"
            "空：不使用",
            en="Path of a YAML file that is the source of truth for channels: taken in at the start and when it "
            "changes; its channels are read-only elsewhere. Empty: none.",
        ),
    ] = ""
    journal_flush_s: Annotated[
        float,
        Doc(zh="用量日志写入数据库的间隔（秒）", en="Seconds between batches from the usage journal to the database."),
    ] = 0.5
    journal_fsync: Annotated[
        Literal["never", "always"],
        Doc(
            zh="always：每条用量落盘（断电不丢）；never：进程被杀不丢，断电最多丢一个批次间隔",
            en="always: each event reaches the disk; never: a killed process loses none, a power cut one interval.",
        ),
    ] = "never"

"""Settings of the answers that the gateway keeps, and of streams that break or are left."""

from typing import Annotated, Literal

from msgspec import Struct

from tidemill.platform.settings.doc import Doc


class AnswerSettings(Struct, frozen=True, kw_only=True):
    """What is kept of answers, and for how long."""

    response_cache: Annotated[
        Literal["off", "opt-in", "on"],
        Doc(
            zh="响应缓存：off 关闭；opt-in 仅请求头 x-gateway-cache: on 的调用使用；on 所有 /v1 调用使用"
            "（x-gateway-cache: off 可退出，refresh 可重新生成）",
            en="Kept answers: off; opt-in: for calls that send x-gateway-cache: on; on: for every /v1 call, unless it "
            "sends x-gateway-cache: off (refresh makes the answer anew).",
        ),
    ] = "off"
    response_cache_ttl_s: Annotated[
        float, Doc(zh="响应缓存的有效期（秒）", en="Seconds for which a kept answer is given.")
    ] = 3600.0
    response_cache_max_bytes: Annotated[
        int, Doc(zh="可缓存的单个回答上限（字节）", en="Largest answer that is kept, bytes.")
    ] = 1024 * 1024
    response_cache_shared: Annotated[
        bool,
        Doc(
            zh="不同用户共用缓存的回答；否则每个用户只得到自己的",
            en="One user's kept answer serves the others too; else each gets only its own.",
        ),
    ] = False
    embedding_cache: Annotated[
        bool,
        Doc(
            zh="缓存 /v1/embeddings 的向量：只有未知的输入才发往上游；所有用户共用",
            en="Keep the vectors of /v1/embeddings: only inputs not known yet go to a service; all users share them.",
        ),
    ] = False
    embedding_cache_ttl_s: Annotated[
        float, Doc(zh="缓存向量的有效期（秒）", en="Seconds for which a kept vector is used.")
    ] = 7 * 86400.0
    cache_memory_bytes: Annotated[
        int,
        Doc(
            zh="未用 Redis 时，本进程内缓存的回答与向量的总量上限（字节）",
            en="Without Redis: bytes of answers and vectors that one process keeps at most, the least used go first.",
        ),
    ] = 128 * 1024 * 1024
    drain_s: Annotated[
        float,
        Doc(
            zh="客户端中途离开后，继续读取上游流以获知用量的最长秒数；0 表示立即取消上游调用；本地模型总是立即取消",
            en="Seconds for which a stream whose client has left is read on for its usage; 0: the call is cancelled at "
            "once. Local models always are.",
        ),
    ] = 0.0
    max_drains: Annotated[
        int,
        Doc(
            zh="同时继续读取的此类流的上限；超出的立即取消",
            en="Streams read on like that at once; others are cancelled.",
        ),
    ] = 32
    continue_streams: Annotated[
        bool,
        Doc(
            zh="中途断开的文本流由其他渠道接着已输出的内容继续（请求头 x-gateway-continue: on|off 可逐次指定）",
            en="A text stream that breaks goes on from another channel with the text so far as its beginning; a call "
            "may say x-gateway-continue: on or off itself.",
        ),
    ] = False

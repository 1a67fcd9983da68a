"""Settings of the llama-server processes that this program runs itself."""

from typing import Annotated, Literal

from msgspec import Struct, field

from tidemill.platform.settings.doc import Doc

CacheType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]
Balance = Literal["least_connections", "round_robin", "weighted"]


class LocalModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One declared model; it adds to, or changes, what the models folder shows under the same name."""

    path: Annotated[
        str,
        Doc(
            zh="GGUF 文件路径；留空表示模型目录中同名的文件",
            en="Path of the GGUF file; empty: the file of that name in the models folder.",
        ),
    ] = ""
    description: Annotated[str, Doc(zh="显示用的说明", en="What people see beside the name.")] = ""
    context: Annotated[
        int, Doc(zh="每个请求的上下文（token）；0 表示默认", en="Tokens one request may use; 0: default.")
    ] = 0
    slots: Annotated[int, Doc(zh="每个实例的并发数；0 表示默认", en="Requests at once per instance; 0: default.")] = 0
    replicas: Annotated[int, Doc(zh="实例个数", en="How many instances to run.")] = 1
    balance: Annotated[Balance, Doc(zh="实例间的均衡方式", en="How requests are spread over the instances.")] = (
        "least_connections"
    )
    weights: Annotated[
        tuple[int, ...],
        Doc(zh="weighted 方式下各实例的权重，缺省为 1", en="Weight of each instance for weighted; absent: 1."),
    ] = ()
    gpu_layers: Annotated[
        int | None,
        Doc(zh="放入 GPU 的层数；留空由 llama-server 决定", en="Layers on the GPU; empty: llama-server decides."),
    ] = None
    threads: Annotated[int, Doc(zh="CPU 线程数；0 表示按核数分配", en="CPU threads; 0: a share of the cores.")] = 0
    idle_timeout_s: Annotated[
        float | None,
        Doc(zh="空闲多少秒后卸载；0 表示不卸载，留空为默认", en="Unload after idle seconds; 0: never, empty: default."),
    ] = None
    embeddings: Annotated[bool, Doc(zh="同时提供向量接口", en="Answer embeddings as well.")] = True
    cache_type_k: Annotated[CacheType, Doc(zh="KV 缓存中 K 的类型", en="Type of K in the KV cache.")] = "f16"
    cache_type_v: Annotated[CacheType, Doc(zh="KV 缓存中 V 的类型", en="Type of V in the KV cache.")] = "f16"
    extra_args: Annotated[
        tuple[str, ...], Doc(zh="追加给 llama-server 的参数", en="Further arguments for llama-server.")
    ] = ()
    autostart: Annotated[bool, Doc(zh="随服务器启动", en="Start with the server.")] = False


class LocalModels(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The supervisor of local models."""

    enabled: Annotated[bool, Doc(zh="是否启用本地模型", en="Whether local models are run at all.")] = True
    folder: Annotated[
        str, Doc(zh="模型目录；留空为 {data_dir}/models", en="The models folder; empty: {data_dir}/models.")
    ] = ""
    scan_interval_s: Annotated[
        float, Doc(zh="扫描模型目录的间隔（秒）", en="Seconds between looks into the folder.")
    ] = 2.0
    server_binary: Annotated[
        str,
        Doc(
            zh="llama-server 的路径；留空依次查找 PATH 与 tidemill[local]",
            en="Path of llama-server; empty: PATH, then tidemill[local].",
        ),
    ] = ""
    port_min: Annotated[int, Doc(zh="端口范围的起点；0 表示任意空闲端口", en="First port; 0: any free port.")] = 8081
    port_max: Annotated[int, Doc(zh="端口范围的终点", en="Last port.")] = 8085
    context: Annotated[int, Doc(zh="每个请求的默认上下文（token）", en="Tokens one request may use by default.")] = 4096
    slots: Annotated[int, Doc(zh="每个实例的默认并发数", en="Requests at once per instance by default.")] = 4
    idle_timeout_s: Annotated[
        float,
        Doc(
            zh="按需启动的模型空闲多少秒后卸载；0 表示不卸载",
            en="Idle seconds before an on-demand model unloads; 0: never.",
        ),
    ] = 300.0
    load_timeout_s: Annotated[float, Doc(zh="加载的最短时限（秒）", en="Least seconds that loading may take.")] = 60.0
    stop_grace_s: Annotated[
        float, Doc(zh="停止前等待进行中请求的秒数", en="Seconds a stop waits for requests in flight.")
    ] = 30.0
    health_interval_s: Annotated[float, Doc(zh="健康检查间隔（秒）", en="Seconds between health checks.")] = 5.0
    queue_limit: Annotated[int, Doc(zh="每个模型最多等待的请求数", en="Requests that may wait per model.")] = 64
    queue_timeout_s: Annotated[float, Doc(zh="请求最长等待秒数", en="Seconds a request may wait.")] = 60.0
    eviction_patience_s: Annotated[
        float,
        Doc(
            zh="等待中的模型超过此秒数后，占用端口的按需模型让位",
            en="Seconds another model waits before a busy on-demand model must make room.",
        ),
    ] = 5.0
    memory_reserve_mb: Annotated[
        int | None,
        Doc(
            zh="为系统保留的内存（MB）；留空为 1024 与 10% 的较大者",
            en="MB left to the system; empty: the larger of 1024 and 10 %.",
        ),
    ] = None
    memory_check: Annotated[
        bool, Doc(zh="启动前估算内存是否足够", en="Refuse a start whose memory estimate does not fit.")
    ] = True
    log_max_mb: Annotated[
        int, Doc(zh="每个日志文件的上限（MB）", en="MB a log file may grow to before it rotates.")
    ] = 5
    models: Annotated[dict[str, LocalModel], Doc(zh="声明的模型，按名称", en="Declared models by name.")] = field(
        default_factory=dict[str, LocalModel]
    )

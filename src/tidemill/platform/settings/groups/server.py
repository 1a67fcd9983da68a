"""Settings of the listening server and of where data lives."""

from pathlib import Path
from typing import Annotated

from msgspec import Struct

from tidemill.platform.settings.doc import Doc


class ServerSettings(Struct, frozen=True, kw_only=True):
    """Where the server listens and keeps its data."""

    host: Annotated[str, Doc(zh="监听地址", en="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Doc(zh="监听端口；0 表示任选空闲端口", en="Port to listen on; 0 takes any free one.")] = 8080
    data_dir: Annotated[Path, Doc(zh="数据目录", en="Folder that holds everything the product keeps.")] = Path("data")
    roles: Annotated[
        tuple[str, ...],
        Doc(zh="本进程承担的角色：api、worker、scheduler", en="Roles of this process: api, worker, scheduler."),
    ] = ("api", "worker", "scheduler")
    health_port: Annotated[
        int | None,
        Doc(
            zh="不含 api 角色的进程在此端口应答 /healthz、/readyz、/startupz 与 /metrics；缺省则不监听",
            en="Port on which a process without the api role answers /healthz, /readyz, /startupz and /metrics.",
        ),
    ] = None
    public_url: Annotated[
        str | None,
        Doc(zh="对外地址，用于回调和链接", en="Address under which others reach us, for callbacks and links."),
    ] = None
    production_mode: Annotated[
        bool,
        Doc(zh="生产模式：隐藏 /docs 与错误堆栈", en="Production mode: hides /docs and error traces."),
    ] = False
    drain_s: Annotated[
        float, Doc(zh="停止时等待在途工作的秒数", en="Seconds to wait for work in flight when stopping.")
    ] = 20.0
    trusted_proxies: Annotated[
        tuple[str, ...],
        Doc(
            zh="可信反向代理的地址（其 X-Forwarded-For 才被采信）",
            en="Addresses of reverse proxies whose X-Forwarded-For is believed.",
        ),
    ] = ()

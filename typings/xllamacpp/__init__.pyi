"""The part of xllamacpp that Patchwright uses; the wheel is compiled and ships no types."""

from enum import IntEnum
from typing import TypedDict

class ggml_backend_dev_type(IntEnum):
    GGML_BACKEND_DEVICE_TYPE_CPU = ...
    GGML_BACKEND_DEVICE_TYPE_GPU = ...

class Device(TypedDict):
    type: ggml_backend_dev_type

def get_device_info() -> list[Device]: ...

class ggml_type(IntEnum):
    GGML_TYPE_F16 = ...
    GGML_TYPE_Q8_0 = ...

class llama_flash_attn_type(IntEnum):
    LLAMA_FLASH_ATTN_TYPE_AUTO = ...
    LLAMA_FLASH_ATTN_TYPE_DISABLED = ...
    LLAMA_FLASH_ATTN_TYPE_ENABLED = ...

class common_speculative_type(IntEnum):
    COMMON_SPECULATIVE_TYPE_NONE = ...
    COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE = ...

class CommonParamsModel:
    path: str

class CpuParams:
    n_threads: int

class CommonParamsSpeculativeNgramMap:
    size_n: int
    size_m: int

class CommonParamsSpeculative:
    types: list[common_speculative_type]
    ngram_simple: CommonParamsSpeculativeNgramMap

class CommonAdapterLoraInfo:
    path: str
    scale: float
    def __init__(self, path: str = ..., scale: float = ...) -> None: ...

class CommonParams:
    model: CommonParamsModel
    model_alias: set[str]
    hostnames: list[str]
    port: int
    api_keys: list[str]
    cors_origins: str
    cors_credentials: bool
    ui: bool
    n_ctx: int
    n_parallel: int
    kv_unified: bool
    n_batch: int
    n_ubatch: int
    cache_type_k: ggml_type
    cache_type_v: ggml_type
    cache_ram_mib: int
    cpuparams: CpuParams
    cpuparams_batch: CpuParams
    flash_attn_type: llama_flash_attn_type
    fit_params: bool
    no_extra_bufts: bool
    speculative: CommonParamsSpeculative
    lora_adapters: list[CommonAdapterLoraInfo]
    lora_init_without_apply: bool
    def __init__(self) -> None: ...

class Server:
    """Starts on construction (RuntimeError when it can't) and stops when it is deleted."""

    listening_address: str
    def __init__(self, params: CommonParams) -> None: ...

"""llama.cpp's server, in the process that watches it."""

import http.client
import json
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from patchwright.engines.launch import LlamaCppLaunch
from patchwright.models.memory import GUESSED_TOKENS, batch_tokens

if TYPE_CHECKING:
    from xllamacpp import CommonParams

SPIN_COUNT = "1000"
"""How often a thread looks before it sleeps, when it waits for the others. With OpenMP's own 300,000, one other
process that computes took two thirds of the decoding speed on two cores; with this half, and alone none is lost."""

ANSWER_S = 2.0
FIRST_ANSWER_S = 15.0
CLOSE_S = 1
"""llama.cpp ends between two batches, and a long prompt would keep it for half a minute."""

Activity: TypeAlias = list[tuple[int, bool]]
"""For each slot: the number of its last task, and whether it is at work."""


@contextmanager
def llama_cpp_server(launch: LlamaCppLaunch) -> "Generator[LlamaCppServer]":
    """The server, loaded. Raises OSError when it does not answer, and what llama.cpp raises."""
    # A load that never ends is ended by the kernel: no Python runs before llama.cpp gives the thread back.
    signal.setitimer(signal.ITIMER_REAL, launch.start_timeout_s)
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    import xllamacpp  # only after the fork, which does not copy the threads that it may start

    server = xllamacpp.Server(server_params(launch))
    try:
        watched = LlamaCppServer(launch, server.listening_address)
        signal.setitimer(signal.ITIMER_REAL, 0)
        yield watched
    finally:
        signal.alarm(CLOSE_S)
    del server  # the only way to close it: left to the interpreter's exit, it hangs


class LlamaCppServer:
    """What its slots do. It shares the process of whoever asks, so it lives."""

    def __init__(self, launch: LlamaCppLaunch, url: str) -> None:
        self.url = url
        self._key = launch.api_key
        slots = self._slots(timeout_s=FIRST_ANSWER_S)
        self.context_tokens: int = slots[0]["n_ctx"]
        self._activity = _activity(slots)

    def was_used(self) -> bool:
        try:
            activity = _activity(self._slots(timeout_s=ANSWER_S))
        except TimeoutError:
            return True  # in the middle of a batch
        before, self._activity = self._activity, activity
        return activity != before or any(working for _, working in activity)

    def lives(self) -> bool:
        return True

    def _slots(self, timeout_s: float) -> list[dict[str, Any]]:
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.netloc, timeout=timeout_s)
        try:
            headers = {"Authorization": f"Bearer {self._key.get_secret_value()}"}
            connection.request("GET", "/slots", headers=headers)
            return json.load(connection.getresponse())
        finally:
            connection.close()


def server_params(launch: LlamaCppLaunch) -> "CommonParams":
    """The launch in llama.cpp's own terms: on loopback, for who has the key, closed to web pages."""
    from xllamacpp import (
        CommonAdapterLoraInfo,
        CommonParams,
        common_speculative_type,
        get_device_info,
        ggml_backend_dev_type,
        ggml_type,
    )

    params = CommonParams()
    params.model.path = str(launch.path)
    params.model_alias = {launch.model}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [launch.api_key.get_secret_value()]
    params.cors_origins = ""
    params.cors_credentials = False
    params.ui = False
    params.fit_params = False
    params.n_ctx = launch.context_tokens
    params.kv_unified = True  # the slots share one cache: alone, each has all of it
    params.n_parallel = launch.slots
    cpu = ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
    if all(device["type"] == cpu for device in get_device_info()):  # a GPU reads fast, and only large pieces so
        params.n_batch = params.n_ubatch = batch_tokens(launch.slots)
    params.cache_type_k = params.cache_type_v = ggml_type[f"GGML_TYPE_{launch.kv_type.upper()}"]
    params.cache_ram_mib = launch.cache_ram_mib
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = launch.threads
    params.no_extra_bufts = not launch.repack
    # Without the scale of 0 a request that asks for no adapter would get all of them.
    params.lora_adapters = [CommonAdapterLoraInfo(str(adapter.path), 0.0) for adapter in launch.adapters]
    params.lora_init_without_apply = True
    if launch.ngram_speculation:
        params.speculative.types = [common_speculative_type.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
        params.speculative.ngram_simple.size_m = GUESSED_TOKENS
    return params


def _activity(slots: list[dict[str, Any]]) -> Activity:
    return [(slot.get("id_task", -1), slot["is_processing"]) for slot in slots]

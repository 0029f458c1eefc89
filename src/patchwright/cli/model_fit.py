"""`patchwright model fit`: the memory plans of a model, and whether the embedded engine would start it."""

from rich.console import Console
from rich.table import Table

from patchwright.cli.model_views import WHOLE_LINES, gigabytes
from patchwright.engines.llama_cpp_settings import CONTEXT_TOKENS, MEMORY_SHARE
from patchwright.errors import ConfigError
from patchwright.models.gguf_file import GgufInfo
from patchwright.models.memory import KvType, MemoryPlan, largest_context, plan_memory
from patchwright.schema.record import Record

KV_TYPES: tuple[KvType, ...] = ("f16", "q8_0")


class KvFit(Record):
    """The plan with one KV type."""

    kv_type: KvType
    plan: MemoryPlan
    total_bytes: int
    fits: bool
    largest_context_tokens: int
    """The longest window that fits; 0 when none does."""


class ModelFit(Record):
    """Whether a model fits. An engine may take `budget_bytes` of `memory_bytes`."""

    model: str
    parameters: int
    quantisation: str
    context_tokens: int
    slots: int
    memory_bytes: int
    budget_bytes: int
    kv: tuple[KvFit, ...]


def fitting(name: str, info: GgufInfo, context_tokens: int | None, memory_bytes: int, slots: int) -> ModelFit:
    """Raises ConfigError when the model has no window of that length."""
    wanted = context_tokens or min(CONTEXT_TOKENS, info.context_tokens)
    if wanted > info.context_tokens:
        raise ConfigError(f"{name} has a window of {info.context_tokens} tokens, not {wanted}")
    budget_bytes = int(memory_bytes * MEMORY_SHARE)
    return ModelFit(
        model=name,
        parameters=info.parameters,
        quantisation=info.quantisation,
        context_tokens=wanted,
        slots=slots,
        memory_bytes=memory_bytes,
        budget_bytes=budget_bytes,
        kv=tuple(_kv_fit(info, wanted, budget_bytes, slots, kv_type) for kv_type in KV_TYPES),
    )


def print_fitting(fit: ModelFit) -> None:
    window = f"{fit.context_tokens:,} tokens" + (f" for {fit.slots} slots" if fit.slots > 1 else "")
    print(f"{fit.model}: {fit.parameters / 1e9:.1f} billion parameters in {fit.quantisation}, {window}")
    table = Table("memory", *(f"KV cache in {kv.kv_type}" for kv in fit.kv), box=None)
    table.add_row("weights", *(gigabytes(kv.plan.weights_bytes) for kv in fit.kv))
    table.add_row("KV cache", *(gigabytes(kv.plan.kv_bytes) for kv in fit.kv))
    table.add_row("scratch", *(gigabytes(kv.plan.compute_bytes) for kv in fit.kv))
    table.add_row("engine itself", *(gigabytes(kv.plan.overhead_bytes) for kv in fit.kv))
    table.add_row("total", *(gigabytes(kv.total_bytes) for kv in fit.kv))
    table.add_row("fits", *("yes" if kv.fits else "no" for kv in fit.kv))
    table.add_row("longest window", *(f"{kv.largest_context_tokens:,} tokens" for kv in fit.kv))
    Console(width=WHOLE_LINES).print(table)
    print(f"of {gigabytes(fit.memory_bytes)}, an engine may take {gigabytes(fit.budget_bytes)}")


def _kv_fit(info: GgufInfo, context_tokens: int, budget_bytes: int, slots: int, kv_type: KvType) -> KvFit:
    plan = plan_memory(info, context_tokens, kv_type, slots)
    return KvFit(
        kv_type=kv_type,
        plan=plan,
        total_bytes=plan.total_bytes,
        fits=plan.total_bytes <= budget_bytes,
        largest_context_tokens=largest_context(info, budget_bytes, kv_type, slots),
    )

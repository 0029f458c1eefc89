"""Settings, composed from the components' own: the config file, then the environment, then flags."""

import os
import tomllib
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from patchwright.agent.limits import Limits
from patchwright.engines.base import EngineName
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.openvino import OpenVinoSettings
from patchwright.engines.transformers import TransformersSettings
from patchwright.engines.vllm import VllmSettings
from patchwright.errors import ConfigError
from patchwright.sandbox.settings import SandboxSettings
from patchwright.serving.settings import ServeSettings

CONFIG_FILE_VARIABLE = "PATCHWRIGHT_CONFIG"


class Settings(BaseSettings):
    """What a user can set once. In the environment: PATCHWRIGHT_ and the field's name in capitals,
    with two underscores before the name of an inner field."""

    model_config = SettingsConfigDict(env_prefix="PATCHWRIGHT_", env_nested_delimiter="__", extra="forbid", frozen=True)

    model: str = "qwen2.5-coder-1.5b"
    """The model that `run` uses: a name from `patchwright model list`, a .gguf file, a directory of weights, or
    hf:owner/repo/file; with `base_url`, the endpoint's own name for it."""

    base_url: str | None = None
    """An OpenAI-compatible endpoint to use instead of an engine of ours."""

    api_key_env: str | None = None
    """The name of the variable that holds the endpoint's key."""

    data_dir: Path = Field(default_factory=lambda: platformdirs.user_data_path("patchwright"))
    """Models and other large files."""

    state_dir: Path = Field(default_factory=lambda: platformdirs.user_state_path("patchwright"))
    """Sessions, snapshots, and what is known of running engines."""

    engine: EngineName = "llama.cpp"
    """What runs the model: llama.cpp, vllm, transformers or openvino. All but llama.cpp are installed first."""

    llama_cpp: LlamaCppSettings = LlamaCppSettings()
    """The embedded engine."""

    vllm: VllmSettings = VllmSettings()
    """vLLM, for weights in Mistral's or Hugging Face's format."""

    transformers: TransformersSettings = TransformersSettings()
    """`transformers serve`, for weights in Hugging Face's format."""

    openvino: OpenVinoSettings = OpenVinoSettings()
    """OpenVINO GenAI, for GGUF files on a CPU."""

    sandbox: SandboxSettings = SandboxSettings()
    """Where commands run. Their PATH is the user's own, unless one is set here."""

    serve: ServeSettings = ServeSettings()
    """The gateway."""

    limits: Limits = Limits()
    """How far a run may go."""

    hf_token: SecretStr | None = Field(default=None, validation_alias="HF_TOKEN")
    """Token for gated files on Hugging Face; from HF_TOKEN, as Hugging Face's own tools read it."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=config_file())


def config_file() -> Path:
    """Where the config file is looked for; it need not exist."""
    if named := os.environ.get(CONFIG_FILE_VARIABLE):
        return Path(named)
    return platformdirs.user_config_path("patchwright") / "config.toml"


def load_settings(**flags: Any) -> Settings:
    """Settings with `flags` on top; a flag that is None was not given.

    Raises ConfigError that names the file or the field.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return _with_own_path(Settings(**given))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        hint = f"look in {config_file()} and at variables that start with PATCHWRIGHT_"
        raise ConfigError(f"setting {where}: {problem['msg'].lower()}", hint=hint) from None
    except (tomllib.TOMLDecodeError, SettingsError, UnicodeDecodeError) as error:
        raise ConfigError(f"{config_file()}: {error}") from None


def _with_own_path(settings: Settings) -> Settings:
    if "path" in settings.sandbox.model_fields_set:
        return settings
    sandbox = settings.sandbox.model_copy(update={"path": os.environ.get("PATH", os.defpath)})
    return settings.model_copy(update={"sandbox": sandbox})

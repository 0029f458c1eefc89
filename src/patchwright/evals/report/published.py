"""Results that others published, from the file beside this one."""

import tomllib
from importlib.resources import files

from patchwright.evals.report.report import PublishedTable


def published() -> PublishedTable:
    text = files("patchwright.evals.report").joinpath("published.toml").read_text(encoding="utf-8")
    return PublishedTable.model_validate(tomllib.loads(text))

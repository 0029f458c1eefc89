"""Rows of the SWE-bench family as they are published, as instances.

Known: SWE-bench (Verified, Lite, full), Multilingual, SWE-Gym, SWE-rebench, SWE-smith. They share most columns;
where they don't, this module says what is what. Columns that nobody here reads are dropped.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import cast

from pydantic import TypeAdapter, ValidationError

from patchwright.errors import BenchmarkError, RecordError
from patchwright.evals.eval_script import made_eval_script
from patchwright.evals.recipes import recipe_of
from patchwright.evals.reversal import reversed_patch
from patchwright.evals.smith import SMITH, profiled
from patchwright.evals.uv import EXTRA_HINT
from patchwright.schema.instance import InstallConfig, Instance

Row = Mapping[str, object]

FILE_KINDS = (".jsonl", ".json", ".parquet")
_CACHES = {
    "HF_HUB_CACHE": "hub",
    "HUGGINGFACE_HUB_CACHE": "hub",
    "HF_DATASETS_CACHE": "datasets",
    "HF_XET_CACHE": "xet",
}
"""The variables that name caches of Hugging Face's libraries, and where these are in HF_HOME by default."""
_DATASET = re.compile(r"[\w.-]+/[\w.-]+(@[\w.-]+)?")
_COLUMNS = {"docker_image": "image", "image_name": "image", "meta_image": "image"}
"""Other names for our fields, used where ours is not there."""
_LISTS = ("FAIL_TO_PASS", "PASS_TO_PASS")
_FIELDS = {field.alias or name for name, field in Instance.model_fields.items()}
_INSTALL_LISTS = ("pip_packages", "pre_install", "install", "test_cmd", "reqs_path")
_INSTALL_FIELDS = set(InstallConfig.model_fields)
_JSON_ROW = TypeAdapter(dict[str, object])
_NAMES = TypeAdapter(tuple[str, ...])


def read_rows(source: str) -> tuple[Instance, ...]:
    """Rows of a local .jsonl, .json or .parquet file, or of a dataset on Hugging Face (owner/name, or
    owner/name@split where the split is not "test").

    Raises RecordError that names the file, the line (or the row) and the column; BenchmarkError where the dataset
    cannot be fetched.
    """
    path = Path(source)
    rows = _file_rows(path) if path.suffix in FILE_KINDS or path.exists() else _hub_rows(source)
    instances = profiled(_instance(row, where) for where, row in rows)
    if not instances:
        raise RecordError(f"{source} has no rows")
    seen: set[str] = set()
    for instance in instances:
        if instance.instance_id in seen:
            raise RecordError(f"{source}: {instance.instance_id} is there twice")
        seen.add(instance.instance_id)
    return instances


def kept_rows(source: str) -> tuple[Path, ...]:
    """Where on this machine the rows lie with their solutions: the file, or the caches of Hugging Face's libraries."""
    if (file := Path(source)).is_file():
        return (file.resolve(),)
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface"))
    places = (Path(os.environ.get(variable) or home / name).expanduser() for variable, name in _CACHES.items())
    return tuple({place.resolve() for place in places if place.is_dir()})


def rows_hash(instances: Iterable[Instance]) -> str:
    """The same for the same instances in the same order, wherever they were read from."""
    digest = sha256()
    for instance in instances:
        digest.update(json.dumps(instance.model_dump()).encode() + b"\n")
    return digest.hexdigest()


def _file_rows(path: Path) -> Iterator[tuple[str, Row]]:
    if not path.is_file():
        raise RecordError(
            f"{path}: {'not a file' if path.exists() else 'no such file'}",
            hint="rows are read from .jsonl, .json or .parquet, or by owner/name; exercises by NAME:DIRECTORY",
        )
    match path.suffix:
        case ".parquet":
            yield from _parquet_rows(path)
        case ".json":
            yield from _json_rows(path)
        case ".jsonl":
            yield from _jsonl_rows(path)
        case _:
            raise RecordError(f"{path} is none of {', '.join(FILE_KINDS)}")


def _jsonl_rows(path: Path) -> Iterator[tuple[str, Row]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                where = f"{path}:{number}"
                yield where, _parsed(line, where)


def _parsed(line: bytes, where: str) -> Row:
    try:
        return _JSON_ROW.validate_json(line)
    except ValidationError as error:
        raise RecordError(f"{where}: {error.errors(include_url=False)[0]['msg'].lower()}") from None


def _json_rows(path: Path) -> Iterator[tuple[str, Row]]:
    try:
        rows = TypeAdapter(list[dict[str, object]]).validate_json(path.read_bytes())
    except ValidationError as error:
        raise RecordError(f"{path}: {error.errors(include_url=False)[0]['msg'].lower()}") from None
    yield from ((f"{path}, row {number}", row) for number, row in enumerate(rows, start=1))


def _parquet_rows(path: Path) -> Iterator[tuple[str, Row]]:
    try:
        rows: Iterable[Row] = import_module("pyarrow.parquet").read_table(path).to_pylist()
    except ImportError:
        raise BenchmarkError("pyarrow is not installed, and parquet is read with it", hint=EXTRA_HINT) from None
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise RecordError(f"{path}: {str(error).splitlines()[0].lower()}") from None
    yield from ((f"{path}, row {number}", row) for number, row in enumerate(rows, start=1))


def _hub_rows(source: str) -> Iterator[tuple[str, Row]]:
    if not _DATASET.fullmatch(source):
        raise RecordError(
            f"{source}: no such file, and no name of a dataset", hint="such as SWE-bench/SWE-bench_Verified"
        )
    name, _, split = source.partition("@")
    try:
        rows: Iterable[Row] = import_module("datasets").load_dataset(name, split=split or "test")
    except ImportError:
        raise BenchmarkError("datasets is not installed, and Hugging Face is read with it", hint=EXTRA_HINT) from None
    except Exception as error:  # connection, authorisation, an unknown name or split: of many libraries' own kinds
        raise BenchmarkError(
            f"{source} cannot be fetched from Hugging Face: {_first_line(error)}",
            hint="without a network, name a local .jsonl, .json or .parquet file; @SPLIT picks a split",
        ) from None
    yield from ((f"{source}, row {number}", row) for number, row in enumerate(rows, start=1))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _instance(row: Row, where: str) -> Instance:
    columns = {name: value for name, value in row.items() if name in _FIELDS and value is not None}
    for other, ours in _COLUMNS.items():
        if ours not in columns and row.get(other):
            columns[ours] = row[other]
    for name in _LISTS:
        if isinstance(listed := columns.get(name), str):
            columns[name] = _names(listed, f"{where}: {name}")
    if not columns.get("FAIL_TO_PASS"):
        word = "names no test, so any patch would resolve it" if "FAIL_TO_PASS" in columns else "column is missing"
        raise RecordError(f"{where}: FAIL_TO_PASS: {word}")
    if install := _install_columns(row.get("install_config"), where):
        columns["install_config"] = {name: value for name, value in install.items() if name in _INSTALL_FIELDS}
        columns.setdefault("log_parser", install.get("log_parser") or "")
    if match := SMITH.fullmatch(str(row.get("repo", ""))):
        columns.setdefault("base_commit", match["commit"])
        columns.setdefault("problem_statement", "")
        columns.pop("image", None)  # it holds the repository without the bug
        if "patch" in columns:
            columns["patch"] = _gold_of_smith(str(columns["patch"]), where)
    return _with_eval_script(_validated(columns, where))


def _validated(columns: Mapping[str, object], where: str) -> Instance:
    try:
        return Instance.model_validate(columns)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        column = ".".join(str(part) for part in problem["loc"])
        word = "column is missing" if problem["type"] == "missing" else problem["msg"].lower()
        raise RecordError(f"{where}: {column}: {word}") from None


def _names(listed: str, where: str) -> tuple[str, ...]:
    try:
        return _NAMES.validate_json(listed)
    except ValidationError:
        raise RecordError(f"{where}: not a JSON list of names") from None


def _install_columns(value: object, where: str) -> dict[str, object]:
    """SWE-rebench's: lists may be strings and the other way round, and requirements may be files."""
    if not value:
        return {}
    if isinstance(value, str):
        value = _parsed(value.encode(), f"{where}: install_config")
    if not isinstance(value, Mapping):
        raise RecordError(f"{where}: install_config: not an object")
    install = {name: each for name, each in cast("Row", value).items() if each is not None}
    lists = {name: _strings(install.get(name), f"{where}: install_config.{name}") for name in _INSTALL_LISTS}
    install["pre_install"] = lists["pre_install"]
    install["pip_packages"] = (*(f"-r {file}" for file in lists["reqs_path"]), *lists["pip_packages"])
    for name in ("install", "test_cmd"):
        install[name] = " && ".join(lists[name])
    if "python" in install:
        install["python"] = str(install["python"])
    return install


def _strings(value: object, where: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,) if value.strip() else ()
    try:
        return _NAMES.validate_python(value or ())
    except ValidationError:
        raise RecordError(f"{where}: neither a string nor a list of them") from None


def _gold_of_smith(patch: str, where: str) -> str:
    """SWE-smith's `patch` brings the bug in."""
    try:
        return reversed_patch(patch)
    except ValueError as error:
        raise RecordError(f"{where}: patch: {error}") from None


def _with_eval_script(instance: Instance) -> Instance:
    if instance.eval_script:
        return instance
    if instance.install_config is not None and instance.install_config.test_cmd:
        command, log_parser = instance.install_config.test_cmd, "parse_log_pytest"
    elif recipe := recipe_of(instance):
        command, log_parser = recipe.test_command(instance.test_patch), recipe.log_parser
    else:
        return instance
    script = made_eval_script(instance.base_commit, instance.test_patch, command)
    return instance.model_copy(update={"eval_script": script, "log_parser": instance.log_parser or log_parser})

"""One problem of a benchmark, and a prediction for it, in SWE-bench's format."""

from typing import Literal

from pydantic import Field

from patchwright.schema.record import Record, Seconds


class InstallConfig(Record):
    """How the environment of an instance is made, with SWE-rebench's names for it."""

    python: str
    """Its version: "3.9"."""
    pre_install: tuple[str, ...] = ()
    """Shell commands run in the tree before anything is installed."""
    pip_packages: tuple[str, ...] = ()
    """Requirements, pinned where that matters."""
    install: str = ""
    """The shell command that installs the project itself, run in the tree; empty where nothing is to be installed."""
    test_cmd: str = ""


class Instance(Record):
    """A row in SWE-bench's format. `patch` is the gold patch and `test_patch` brings the tests that show it."""

    instance_id: str
    repo: str
    """owner/name; for what comes from a package index, pypi/name."""
    base_commit: str
    problem_statement: str
    patch: str
    test_patch: str = ""
    fail_to_pass: tuple[str, ...] = Field(default=(), alias="FAIL_TO_PASS")
    pass_to_pass: tuple[str, ...] = Field(default=(), alias="PASS_TO_PASS")
    version: str = ""
    environment_setup_commit: str = ""
    hints_text: str = ""
    created_at: str = ""
    difficulty: str = ""
    image: str = ""
    """The official Docker image."""
    eval_script: str = ""
    """The official script: brings the tests into /testbed and runs them between the markers of the log."""
    log_parser: str = ""
    """The name of swebench's parser for the log."""
    eval_type: Literal["pass_and_fail", "fail_only"] = "pass_and_fail"
    install_config: InstallConfig | None = None


class Prediction(Record):
    """What a run made of an instance, in SWE-bench's format. An empty patch counts as not resolved."""

    model_config = {"protected_namespaces": ()}

    instance_id: str
    model_name_or_path: str
    model_patch: str


class Grade(Record):
    """What grading a prediction showed."""

    instance_id: str
    resolved: bool
    fail_to_pass: tuple[str, ...] = ()
    """Of the tests in FAIL_TO_PASS, those that passed."""
    pass_to_pass_broken: tuple[str, ...] = ()
    """Of the tests in PASS_TO_PASS, those that did not."""
    problem: str = ""
    """Why there is no test result: the patch does not apply, the tests ran out of time, the log says nothing."""
    duration_s: Seconds = 0.0

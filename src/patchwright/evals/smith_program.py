"""What swesmith's profiles say of instances of SWE-smith: JSON lists, of rows on stdin, and on stdout of profiles or of
why there is none.

A program of its own: whoever imports the profiles imports docker and ghapi, and reads a .env file.
"""

import json
import sys
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

_FORMER_CONSTANTS = {"DOCKER_USER": "root", "DOCKER_WORKDIR": "/testbed", "KEY_INSTANCE_ID": "instance_id"}
"""swesmith 0.0.9 imports from swebench what swebench 5 has no more."""


def main() -> None:
    rows = json.load(sys.stdin)
    known = registry()
    print(json.dumps([_answer(row, known) for row in rows]))


def registry() -> Any:
    """swesmith's profiles by repository. Raises ImportError."""
    import_module("swesmith")  # where there is none, the error names it and not what it needs
    constants = import_module("swebench.harness.constants")
    for name, value in _FORMER_CONSTANTS.items():
        setattr(constants, name, value)
    former = ModuleType("swebench.harness.dockerfiles")
    vars(former)["get_dockerfile_env"] = None  # images are built with it
    sys.modules[former.__name__] = former
    return import_module("swesmith.profiles").registry


def _answer(row: Mapping[str, Any], known: Any) -> dict[str, object] | str:
    if row["repo"] not in known:
        return "swesmith has no profile of it"
    profile: Any = known.get(row["repo"])
    if not isinstance(profile, import_module("swesmith.profiles.python").PythonProfile):
        return "it is in another language than Python"
    instance = {**row, "instance_id": f"{profile.repo_name}.any"}
    command, _ = profile.get_test_cmd(instance)
    return {
        "commit": profile.commit,
        "python": profile.python_version,
        "install_cmds": profile.install_cmds,
        "test_cmd": command,
        "test_files": sorted({file for files in profile.get_test_files(instance) for file in files}),
    }


if __name__ == "__main__":
    main()

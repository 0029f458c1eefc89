"""Issues: what a user would write who has run into a fault, and knows nothing of its cause."""

from collections.abc import Sequence
from importlib.resources import files
from string import Template

from patchwright.evals.forge.showing import Shown
from patchwright.evals.forge.trial import Printed

_TEMPLATE = Template(files("patchwright.evals.forge").joinpath("issue.md").read_text(encoding="utf-8"))


def issue_of(package: str, version: str, shown: Sequence[Shown]) -> str:
    """The text: the program, what it does, and what it should do; two programs where there are two faults."""
    return "\n".join(_part(package, version, each) for each in shown)


def _part(package: str, version: str, shown: Shown) -> str:
    return _TEMPLATE.substitute(
        title=_title(package, shown),
        package=package,
        version=version,
        program=shown.program.strip(),
        seen=_told(shown.broken, "It prints", "It fails with", "prints nothing"),
        wanted=_told(shown.right, "It should print", "It should fail with", "should print nothing"),
    )


def _title(package: str, shown: Shown) -> str:
    broken, right = (each.error.partition(":")[0].rpartition(".")[2] for each in (shown.broken, shown.right))
    if broken and not right:
        return f"{package} raises {broken} where it should not"
    if broken:
        return f"{package} raises {broken} instead of {right}"
    return f"{package} does not raise {right}" if right else f"{package} gives a wrong result"


def _told(run: Printed, prints: str, fails: str, nothing: str) -> str:
    if not run.output and not run.error:
        return f"It {nothing}."
    parts = [f"{prints}\n\n```\n{run.output.strip()}\n```"] if run.output.strip() else []
    if run.error:
        parts.append(f"{'and then ' + fails[0].lower() + fails[1:] if parts else fails}\n\n```\n{run.error}\n```")
    return "\n\n".join(parts)

"""Outcomes: what variations of the issue's program come to with a candidate."""

import json
from contextlib import suppress
from importlib.resources import files
from string import Template

from patchwright.repo.testing.program import ran
from patchwright.resolve.variations import variations
from patchwright.sandbox.base import Sandbox
from patchwright.schema.resolution import Reproduction

VARIATION_S = 1.0
MOST_ENDLESS = 4
"""After so many that do not end, the others are not tried: a search in what is not sorted may never end."""
ENDLESS, NOT_TRIED = "does not end", "not tried"
ALL_S = 15.0
CHARS = 200
"""Of a longer outcome, its beginning and a hash."""

_MARK = "patchwright-outcome "
_PROGRAM = Template(files("patchwright.resolve").joinpath("outcomes_program.txt").read_text(encoding="utf-8"))


async def outcomes(reproduction: Reproduction, sandbox: Sandbox) -> tuple[str, ...]:
    """For each variation what it prints, and the exception it ends with; nothing where that tells nothing.

    They run one after the other in one process, with one seed for hashes and random numbers, so that two trees that
    do the same come to the same. Raises SandboxError.
    """
    programs = variations(reproduction.program)
    if not programs:
        return ()
    script = _PROGRAM.substitute(
        programs=repr(programs),
        limit_s=VARIATION_S,
        most_endless=MOST_ENDLESS,
        endless=repr(ENDLESS),
        not_tried=repr(NOT_TRIED),
        chars=CHARS,
        mark=_MARK,
    )
    result = await ran(script, f"PYTHONHASHSEED=0 {reproduction.command}", sandbox, timeout_s=ALL_S)
    lines = [line.removeprefix(_MARK) for line in result.output.splitlines() if line.startswith(_MARK)]
    with suppress(ValueError):
        found = tuple(json.loads(line) for line in lines)
        ended = [each for each in found if not each.endswith((ENDLESS, NOT_TRIED))]
        return found if ended and len(found) == len(programs) else ()
    return ()

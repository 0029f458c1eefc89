"""What the commands of `patchwright eval` take alike."""

LONGEST_S = 1e7
"""For a limit of time, a third of a year: one without an end could not be written down."""


def names_of(listed: str) -> tuple[str, ...]:
    """What stands between the commas."""
    return tuple(filter(None, map(str.strip, listed.split(","))))

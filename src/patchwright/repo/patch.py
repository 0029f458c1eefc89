"""The text of a patch, out of the bytes that git writes."""

import re

from patchwright.errors import RepositoryError

_FILE = re.compile(rb"^(?=diff --git )", re.MULTILINE)
_HEADING = re.compile(rb"^(@@ -[0-9,]+ \+[0-9,]+ @@)[^\n]*$", re.MULTILINE)


def decode(patch: bytes) -> str | None:
    """The patch as text; None when a file in it is not UTF-8.

    A line that heads a hunk is cut at 80 bytes by git, maybe within a character. It says nothing that
    applying the patch needs, so then it goes.
    """
    for candidate in (patch, _HEADING.sub(rb"\1", patch)):
        try:
            return candidate.decode()
        except UnicodeDecodeError:
            continue
    return None


def merge(readable: bytes, binary: bytes) -> str:
    """One patch out of two of the same changes: readable where that is UTF-8, else in git's binary form."""
    pairs = zip(_FILE.split(readable), _FILE.split(binary), strict=True)
    return "".join(_either(*pair) for pair in pairs)


def _either(readable: bytes, binary: bytes) -> str:
    for form in (readable, binary):
        if (text := decode(form)) is not None:
            return text
    name = readable.partition(b"\n")[0].decode("utf-8", "replace")
    raise RepositoryError(f"{name}: a symlink to a name that is not UTF-8 cannot be written down in a patch")

"""An instance of the forge as a row, and the rows of a file that more are added to."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from patchwright.errors import RecordError
from patchwright.evals.reversal import reversed_patch
from patchwright.evals.rows import read_rows
from patchwright.evals.smith import is_smith
from patchwright.schema.instance import Instance
from patchwright.schema.record import is_torn

_BEGINNING = b'{"instance_id":'
"""Every row begins so."""


def row_of(instance: Instance) -> str:
    """A line of JSON. Under SWE-smith's name for a repository, `patch` brings the bug in, as it does there."""
    if is_smith(instance):
        instance = instance.model_copy(update={"patch": reversed_patch(instance.patch)})
    return instance.model_dump_json(by_alias=True, exclude_defaults=True)


def read_again(path: Path) -> tuple[Instance, ...]:
    """The rows of a file that more are to be added to; none where it is empty.

    What a kill left of the last row is cut off; a row that lacks its line feed alone gets it. Raises RecordError, and
    leaves the file as it is, where it holds anything else.
    """
    text = path.read_bytes()
    last = text[text.rfind(b"\n") + 1 :]
    whole = text.removesuffix(last) if is_torn(last, _BEGINNING) else text
    rows = _rows_of(whole, path) if whole else ()
    if whole != text:
        os.truncate(path, len(whole))
    elif last:
        with path.open("ab") as file:
            file.write(b"\n")
    return rows


def _rows_of(text: bytes, path: Path) -> tuple[Instance, ...]:
    """Rows of the text, which are looked at before `path` is written to; problems name `path` all the same."""
    with TemporaryDirectory(prefix="patchwright-") as directory:
        copy = Path(directory, path.name)
        copy.write_bytes(text)
        try:
            return read_rows(str(copy))
        except RecordError as error:
            hint = "rows can be added to rows alone: name another file with --out"
            raise RecordError(str(error).replace(str(copy), str(path)), hint=hint) from None

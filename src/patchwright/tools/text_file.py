"""A text file as the editor works on it: its text with plain line ends, and what it takes to write the rest back."""

import codecs
import os.path
import re
from dataclasses import dataclass, replace

from patchwright.errors import ToolError

_BOMS = (
    # UTF-32 first: its little-endian mark starts with UTF-16's.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SNIFFED_BYTES = 8000
"""Git's measure: a file with a NUL in its first 8000 bytes is binary."""
_COOKIE = re.compile(r"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", re.ASCII)
"""PEP 263; the same comment declares the encoding of Ruby, Perl and shell files to their editors."""
_BREAK = re.compile(r"\r?\n")
_NOT_TEXT = re.compile(r"[\x00-\x07\x0e-\x1a\x1c-\x1f]")


@dataclass(frozen=True)
class TextFile:
    """`text` has `\\n` for each line break; `breaks` are the real ones, in order. Whatever isn't edited stays."""

    text: str
    breaks: tuple[str, ...] = ()
    encoding: str = "utf-8"
    bom: bytes = b""

    @property
    def lines(self) -> list[str]:
        """Its lines, numbered as grep and compilers do: only \\n ends one. A final one does not start another."""
        return self.text.removesuffix("\n").split("\n") if self.text else []

    def replaced(self, start: int, end: int, new: str) -> "TextFile":
        """With `text[start:end]` replaced. New line breaks are like the one before them."""
        old, new = self.text[start:end], new.replace("\r\n", "\n")
        # Breaks that old and new share stay what they are, also in a file that mixes them.
        prefix = len(os.path.commonprefix([old, new]))
        suffix = len(os.path.commonprefix([old[prefix:][::-1], new[prefix:][::-1]]))
        before = self.text.count("\n", 0, start + prefix)
        gone = old.count("\n", prefix, len(old) - suffix)
        added = new.count("\n", prefix, len(new) - suffix)
        breaks = (*self.breaks[:before], *(self._break_near(before),) * added, *self.breaks[before + gone :])
        text = self.text[:start] + new + self.text[end:]
        return replace(self, text=text, breaks=breaks, encoding=self._encoding_of(text))

    def to_bytes(self) -> bytes:
        """Raises ToolError when the file's encoding lacks a character."""
        parts = self.text.split("\n")
        raw = "".join(part + line_break for part, line_break in zip(parts, (*self.breaks, ""), strict=True))
        try:
            return self.bom + raw.encode(self.encoding)
        except UnicodeEncodeError as error:
            character = raw[error.start]
            raise ToolError(
                f"the file is in {self.encoding}, which has no {character!r} (U+{ord(character):04X}); "
                "write it as an escape sequence"
            ) from None

    def _break_near(self, index: int) -> str:
        if not self.breaks:
            return "\n"
        return self.breaks[max(0, index - 1)]

    def _encoding_of(self, text: str) -> str:
        """An edit of the declaration changes the encoding, so that the file stays what it says it is."""
        if self.bom or _declared(text) == _declared(self.text):
            return self.encoding
        return _declared(text) or "utf-8"


def parse(data: bytes) -> TextFile:
    """Raises ToolError when `data` isn't text. `parse(data).to_bytes()` is `data`, whatever it is."""
    bom, encoding = next(((bom, name) for bom, name in _BOMS if data.startswith(bom)), (b"", ""))
    if encoding:
        raw = _decoded(data[len(bom) :], encoding)
    else:
        encoding, raw = _guessed(data)
    if raw is None:
        raise ToolError(f"it is a binary file of {len(data):,} bytes, not text; inspect it with a command")
    return TextFile(text=_BREAK.sub("\n", raw), breaks=tuple(_BREAK.findall(raw)), encoding=encoding, bom=bom)


def new_file(text: str) -> TextFile:
    """A file that is written just as it is given."""
    return TextFile(
        text=_BREAK.sub("\n", text), breaks=tuple(_BREAK.findall(text)), encoding=_declared(text) or "utf-8"
    )


def _guessed(data: bytes) -> tuple[str, str | None]:
    if b"\0" in data[:_SNIFFED_BYTES]:
        return "", None
    for encoding in (_declared(data[:1000].decode("latin-1")), "utf-8"):
        raw = _decoded(data, encoding) if encoding else None
        if encoding and raw is not None:
            return encoding, raw
    raw = data.decode("latin-1")
    return "latin-1", None if _NOT_TEXT.search(raw) else raw


def _decoded(data: bytes, encoding: str) -> str | None:
    """None when the bytes are not in this encoding, or would come back as others."""
    try:
        raw = data.decode(encoding)
        return raw if raw.encode(encoding) == data else None
    except UnicodeError:
        return None


def _declared(text: str) -> str | None:
    for line in text.split("\n", 2)[:2]:
        if cookie := _COOKIE.match(line):
            return _codec(cookie[1])
        if line.strip() and not line.lstrip().startswith("#"):
            return None
    return None


def _codec(name: str) -> str | None:
    try:
        # Some codecs (rot13, zip) are not for text: encoding refuses those.
        "".encode(name)
        return codecs.lookup(name).name
    except (LookupError, UnicodeError, ValueError):
        return None

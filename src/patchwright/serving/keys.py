"""API keys of the gateway: made, listed, revoked; kept as hashes, so that the file lets nobody in.

A key is 256 random bits, which no dictionary holds: one round of SHA-256 hides it as well as a slow hash would.
"""

import hashlib
import os
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from patchwright.errors import ConfigError
from patchwright.lock import locked
from patchwright.schema.record import Record

NOBODY = "anybody"
"""The owner of requests where no key is asked for."""
PREFIX = "pw-"


class Key(Record):
    """One key, without what opens anything."""

    name: str
    sha256: str
    """Of the key's text, in hexadecimal digits."""
    created_s: float
    """Seconds since the epoch."""


class _File(Record):
    version: Literal[1] = 1
    keys: tuple[Key, ...] = ()


class KeyStore:
    """The keys in one file, which several processes may use: a running gateway sees what is made and revoked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at: tuple[int, int] | None = None
        self._keys: tuple[Key, ...] = ()

    def keys(self) -> tuple[Key, ...]:
        """In order of creation. Raises ConfigError when the file is damaged."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return ()
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if stamp != self._read_at:
            self._keys, self._read_at = self._parsed(), stamp
        return self._keys

    def exist(self) -> bool:
        """Whether a key was ever made."""
        return self._path.exists()

    def named(self, secret: str) -> str | None:
        """The name of the key; None when it is none."""
        digest = _digest(secret)
        return next((key.name for key in self.keys() if secrets.compare_digest(key.sha256, digest)), None)

    def create(self, name: str) -> str:
        """The new key: shown once, and kept nowhere. Raises ConfigError when the name is taken, or none."""
        if not name.strip() or not name.isprintable():
            raise ConfigError("a key needs a name", hint="`patchwright keys create NAME`")
        if name == NOBODY:
            raise ConfigError(f"{name} is what who has no key is called", hint="take another name")
        secret = PREFIX + secrets.token_urlsafe(32)
        with self._locked():
            keys = self.keys()
            if any(key.name == name for key in keys):
                raise ConfigError(f"there is a key named {name}", hint=f"`patchwright keys revoke {name}` first")
            self._write((*keys, Key(name=name, sha256=_digest(secret), created_s=time.time())))
        return secret

    def revoke(self, name: str) -> None:
        """From the next request on. Raises ConfigError when there is none of this name."""
        with self._locked():
            keys = self.keys()
            left = tuple(key for key in keys if key.name != name)
            if left == keys:
                raise ConfigError(f"there is no key named {name}", hint="`patchwright keys list` shows them")
            self._write(left)

    def _parsed(self) -> tuple[Key, ...]:
        try:
            return _File.model_validate_json(self._path.read_bytes()).keys
        except (ValidationError, OSError):
            raise ConfigError(
                f"{self._path}: not a file of keys that this version reads", hint="remove it, and make the keys anew"
            ) from None

    def _write(self, keys: tuple[Key, ...]) -> None:
        """Appears whole, under its name, for the owner's eyes only."""
        draft = self._path.with_suffix(".new")
        with open(draft, "w", encoding="utf-8", opener=_for_owner) as file:
            file.write(_File(keys=keys).model_dump_json(indent=1))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)

    @contextmanager
    def _locked(self) -> Generator[None]:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self._path.with_suffix(".lock")):
            yield


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)

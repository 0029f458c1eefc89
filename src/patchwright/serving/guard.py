"""Who may ask: keys, and the Host and Origin that a web page cannot choose.

A page in the user's browser can send requests to loopback, under its own Origin, and under a Host of its own when its
name is made to point here (DNS rebinding). Programs send no Origin.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from patchwright.errors import ConfigError
from patchwright.serving.keys import NOBODY, KeyStore
from patchwright.serving.problems import FORBIDDEN, NO_KEY, UNAVAILABLE, Problem

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Guard:
    """Checks a request's headers.

    hosts: the names that the server may be called by; empty: any. required: whether a key is asked for also when none
    was ever made. Once one was, it stays so, also after the last one was revoked.
    """

    def __init__(
        self, keys: KeyStore, hosts: Collection[str], origins: Collection[str] = (), *, required: bool = False
    ) -> None:
        self._keys = keys
        self._required = required
        self._hosts = frozenset(map(_plain, hosts))
        self.origins = sorted({origin.rstrip("/") for origin in origins})

    def check_place(self, headers: Headers) -> None:
        """Raises Problem when the request comes from a page that has no business here."""
        host = _host_of(f"//{headers.get('host', '')}")
        if self._hosts and host not in self._hosts:
            raise Problem(FORBIDDEN, f"this server is not known as {host or 'nothing'}; name it with --allow-host")
        origin = headers.get("origin")
        if origin and origin not in self.origins and not self._is_own(origin, headers.get("host", "")):
            raise Problem(FORBIDDEN, f"pages of {origin} may not use this server; --allow-origin lets them")

    def owner(self, headers: Headers) -> str:
        """The name of the request's key. Raises Problem when one is asked for and it is none."""
        try:
            return self._owner(headers)
        except ConfigError as error:
            raise Problem(UNAVAILABLE, f"the server's keys cannot be read: {error}") from None

    def _is_own(self, origin: str, host: str) -> bool:
        """Whether it is the server's own page. Under a name that may be anybody's, no page is."""
        return bool(self._hosts) and origin in (f"http://{host}", f"https://{host}")

    def _owner(self, headers: Headers) -> str:
        self._required = self._required or self._keys.exist()
        if not self._required:
            return NOBODY
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            secret = headers.get("x-api-key", "")
        name = self._keys.named(secret.strip()) if secret else None
        if name is None:
            raise Problem(NO_KEY, "the key is not one of this server's" if secret else "this server asks for a key")
        return name


def _plain(name: str) -> str:
    """A name as `urlsplit` gives it: in small letters, without a port."""
    return _host_of(f"//[{name}]" if name.count(":") > 1 and not name.startswith("[") else f"//{name}")


def _host_of(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""

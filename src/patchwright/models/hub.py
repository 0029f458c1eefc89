"""Hugging Face as a source: what the server promises of a file, and its bytes, resumed where they broke off.

A file in large storage answers with its SHA-256 as `x-linked-etag` and its length as `x-linked-size`, beside a redirect
to where the bytes are: the same headers that `huggingface_hub.file_download` reads.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import PurePosixPath
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from patchwright.models.catalogue import HubFile, HubRepo
from patchwright.models.partial import Partial
from patchwright.models.progress import OnBytes
from patchwright.models.source import Promise, SourceFailed

HUB_URL = "https://huggingface.co"
CONNECT_TIMEOUT_S = 4.0
"""Short, so that the next source is tried soon where the network is closed."""
READ_TIMEOUT_S = 30.0
ATTEMPTS = 8


class Hub:
    """A client of one Hugging Face server. `token` opens gated repositories."""

    def __init__(self, token: str | None = None, base_url: str = HUB_URL) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = {"Accept-Encoding": "identity"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def describe(self, file: HubFile | HubRepo) -> str:
        return f"{self._base_url}/{file.repo}"

    def promise(self, file: HubFile) -> Promise:
        """The file's length and SHA-256 in the server's own words. Raises SourceFailed."""
        with self._client() as client:
            headers = _promising(client.head(self._url(file), follow_redirects=True)).headers
        size = headers.get("x-linked-size") or headers.get("content-length")
        etag = (headers.get("x-linked-etag") or headers.get("etag") or "").removeprefix("W/").strip('"')
        sha256 = etag if re.fullmatch("[0-9a-f]{64}", etag) else None
        return Promise(int(size) if size else None, sha256, etag or None)

    def fetch(self, file: HubFile, partial: Partial, size_bytes: int | None, on_bytes: OnBytes) -> None:
        """Appends what is missing to `partial`, going on after a broken connection. Raises SourceFailed."""
        import stamina

        attempts = stamina.retry_context(
            on=_may_pass, attempts=ATTEMPTS, timeout=None, wait_initial=0.2, wait_max=10.0, wait_jitter=0.2
        )
        with self._client() as client:
            for attempt in attempts:
                with attempt:
                    if partial.size_bytes != size_bytes:
                        _append(client, self._url(file), partial, on_bytes)

    def files(self, repo: HubRepo) -> tuple[tuple[HubFile, Promise], ...]:
        """The weights, configuration and tokenizer of a repository. Raises SourceFailed."""
        with self._client() as client:
            url = f"{self._base_url}/api/models/{repo.repo}/tree/{quote(repo.revision, safe='')}"
            response = client.get(url, params={"recursive": "true"}, follow_redirects=True).raise_for_status()
        try:
            listed = _TREE.validate_json(response.content)
        except ValidationError:
            raise SourceFailed("the server's list of files is not as expected") from None
        if outside := [row.path for row in listed if ".." in PurePosixPath("/", row.path).parts or row.path[:1] == "/"]:
            raise SourceFailed(f"the server lists a file outside the repository: {outside[0]}")
        return tuple(
            (HubFile(repo=repo.repo, path=row.path, revision=repo.revision), row.promise) for row in _needed(listed)
        )

    @contextmanager
    def _client(self) -> Generator[httpx.Client]:
        timeout = httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        try:
            with httpx.Client(headers=self._headers, timeout=timeout) as client:
                yield client
        except httpx.HTTPStatusError as error:
            raise SourceFailed(_refusal(error.response.status_code)) from None
        except httpx.HTTPError as error:
            raise SourceFailed(f"cannot be reached: {(str(error) or type(error).__name__).lower()}") from None

    def _url(self, file: HubFile) -> str:
        return f"{self._base_url}/{file.repo}/resolve/{quote(file.revision, safe='')}/{quote(file.path)}"


class _LargeFile(BaseModel):
    oid: str
    size: int


class _Row(BaseModel):
    """A row of `GET /api/models/{repo}/tree/{revision}`."""

    type: str
    path: str
    size: int = 0
    oid: str
    lfs: _LargeFile | None = None

    @property
    def promise(self) -> Promise:
        if self.lfs:
            return Promise(self.lfs.size, self.lfs.oid, self.lfs.oid)
        return Promise(self.size, None, self.oid)


_TREE = TypeAdapter(list[_Row])
_NEEDED = (".safetensors", ".json", ".jinja", ".model", ".txt")


def _needed(rows: list[_Row]) -> list[_Row]:
    files = [row for row in rows if row.type == "file" and row.path.endswith(_NEEDED)]
    if not any(re.fullmatch(r"model-\d+-of-\d+\.safetensors", row.path) for row in files):
        return files
    # Mistral's repositories hold the weights twice: in shards, and in one file for its own tools.
    return [row for row in files if not row.path.startswith("consolidated")]


def _promising(response: httpx.Response) -> httpx.Response:
    """The answer that says what the file is. The storage behind it may refuse a HEAD request."""
    for answer in response.history:
        if "x-linked-etag" in answer.headers:
            return answer
    return response.raise_for_status()


def _append(client: httpx.Client, url: str, partial: Partial, on_bytes: OnBytes) -> None:
    start = partial.size_bytes
    headers = {"Range": f"bytes={start}-"} if start else {}
    with client.stream("GET", url, headers=headers, follow_redirects=True) as response:
        response.raise_for_status()
        if not response.headers.get("content-range", "").startswith(f"bytes {start}-"):
            partial.truncate(0)  # the server sends the file from its start
        for size in partial.append(response.iter_raw()):
            on_bytes(size)


def _may_pass(error: Exception) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code == 429 or error.response.is_server_error
    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)


def _refusal(status: int) -> str:
    match status:
        case 401 | 403:
            return f"access refused ({status}): accept the model's licence on its page, and set HF_TOKEN"
        case 404:
            return "there is no such file or repository (404)"
        case _:
            return f"the server answered with status {status}"

"""A Ray cluster by the REST API of its dashboard, which Ray's own `serve deploy` uses: no Ray is needed here.

https://docs.ray.io/en/latest/serve/api/index.html#serve-rest-api, of Ray 2.60.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TypeVar

import httpx
from pydantic import BaseModel, SecretStr, ValidationError

from patchwright.engines.recipe import RAY_SERVE
from patchwright.errors import EngineError

ANSWER_S = 60.0
"""For one answer: the first one to a config starts Ray Serve."""
POLL_S = 1.0
SAID_CHARS = 2000
"""As much as is shown of what Ray says about a failure: the end of it, since the cause comes last."""

_APPLICATIONS = "/api/serve/applications/"
_M = TypeVar("_M", bound=BaseModel)


class Deployment(BaseModel):
    """A part of an application: the model's replicas, or what stands before them."""

    status: str
    message: str = ""


class Application(BaseModel):
    """As Ray describes one."""

    status: str
    message: str = ""
    deployments: dict[str, Deployment] = {}

    def said(self) -> str:
        """How far it is, and what holds it up."""
        parts = [self.message, *(each.message for each in self.deployments.values())]
        return ": ".join([self.status.lower().replace("_", " "), *(part.strip() for part in parts if part)])


class _Details(BaseModel):
    applications: dict[str, Application] = {}


class _Version(BaseModel):
    ray_version: str


class RayDashboard:
    """The dashboard of one cluster, such as http://127.0.0.1:8265."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._address = str(client.base_url).rstrip("/")

    @classmethod
    @asynccontextmanager
    async def at(cls, address: str, token: SecretStr | None = None) -> "AsyncGenerator[RayDashboard]":
        """`token`: of a cluster that asks for one."""
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=ANSWER_S) as client:
            yield cls(client)

    async def version(self) -> str:
        """Ray's. Raises EngineError when no cluster answers."""
        return self._parsed(await self._asked("GET", "/api/ray/version"), _Version).ray_version

    async def applications(self) -> Mapping[str, Application]:
        """By name. Raises EngineError."""
        return self._parsed(await self._asked("GET", _APPLICATIONS), _Details).applications

    async def deploy(self, config: Mapping[str, object]) -> None:
        """Makes the cluster serve what the config says, and nothing else. Raises EngineError when it refuses."""
        await self._asked("PUT", _APPLICATIONS, config)

    async def running(self, name: str, timeout_s: float, on_change: Callable[[str], None]) -> None:
        """Waits until the application answers. Raises EngineError when it fails, or takes longer."""
        deadline_s = time.monotonic() + timeout_s
        said = ""
        while True:
            application = (await self.applications()).get(name, Application(status="NOT_STARTED"))
            if application.status == "RUNNING":
                return
            if application.status == "DEPLOY_FAILED":
                raise EngineError(f"the cluster cannot serve it: {application.said()[-SAID_CHARS:]}", hint=_LOOK)
            if application.said() != said:
                said = application.said()
                on_change(said[:SAID_CHARS])
            if time.monotonic() > deadline_s:
                raise EngineError(f"not ready after {timeout_s:.0f} s: {said}", hint=f"it goes on; {_LOOK}")
            await asyncio.sleep(POLL_S)

    async def _asked(self, method: str, path: str, body: Mapping[str, object] | None = None) -> httpx.Response:
        try:
            response = await self._client.request(method, path, json=body)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise EngineError(
                f"no Ray cluster answers at {self._address}: {str(error).lower() or 'timed out'}",
                hint="`ray start --head` starts one; --cluster-address names its dashboard",
            ) from error
        if response.is_success:
            return response
        raise self._refused(response)

    def _refused(self, response: httpx.Response) -> EngineError:
        match response.status_code:
            case HTTPStatus.UNAUTHORIZED:
                hint = "`ray get-auth-token` on its head machine prints it; RAY_AUTH_TOKEN is where it is looked for"
                return EngineError(f"the cluster at {self._address} asks for a token", hint=hint)
            case HTTPStatus.FORBIDDEN:
                return EngineError(
                    f"the cluster at {self._address} refuses the token", hint="is it that of RAY_AUTH_TOKEN?"
                )
            case HTTPStatus.NOT_IMPLEMENTED:
                hint = f"on its machines: `pip install '{RAY_SERVE}'`"
                return EngineError(f"the cluster at {self._address} has no Ray Serve", hint=hint)
            case HTTPStatus.NOT_FOUND:
                return self._stranger()
            case status:
                said = response.text.strip()[-SAID_CHARS:]
                return EngineError(f"the cluster at {self._address} answers {status}: {said}")

    def _parsed(self, response: httpx.Response, model: type[_M]) -> _M:
        try:
            return model.model_validate_json(response.content)
        except ValidationError:
            raise self._stranger() from None

    def _stranger(self) -> EngineError:
        hint = "its port is 8265 unless `ray start` was told another"
        return EngineError(f"what answers at {self._address} is no dashboard of Ray's", hint=hint)


_LOOK = "`serve status` on a machine of the cluster, and its dashboard, show more"

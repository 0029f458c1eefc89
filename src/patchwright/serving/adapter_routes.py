"""The routes of adapters."""

from fastapi import APIRouter
from pydantic import Field

from patchwright.engines.adapters import NAME
from patchwright.schema.messages import Json
from patchwright.serving.adapters import Adapters
from patchwright.serving.body import Part
from patchwright.serving.intake import Owner


class AdapterBody(Part):
    """An adapter to load. `path`: below the server's directory of adapters."""

    name: str = Field(pattern=NAME)
    path: str = Field(min_length=1, max_length=4096)


def adapter_routes(adapters: Adapters) -> APIRouter:
    routes = APIRouter(prefix="/v1/adapters", tags=["adapters"])

    @routes.get("")
    async def listed(owner: Owner) -> Json:
        """The adapters that are loaded, and those that could be."""
        return {"object": "list", "data": adapters.listed()}

    @routes.post("", status_code=201)
    async def load(body: AdapterBody, owner: Owner) -> Json:
        """Load an adapter: a model of its own from then on. Requests that run come to their end first."""
        return await adapters.load(body.name, body.path, owner)

    @routes.delete("/{name}")
    async def unload(name: str, owner: Owner) -> Json:
        """Unload an adapter."""
        await adapters.unload(name, owner)
        return {"name": name, "deleted": True}

    return routes

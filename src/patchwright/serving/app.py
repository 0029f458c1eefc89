"""The gateway's routes, as an ASGI application. The protocol is OpenAI's:
https://platform.openai.com/docs/api-reference"""

from collections.abc import AsyncGenerator

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from patchwright import __version__
from patchwright.schema.messages import Json
from patchwright.serving.adapter_routes import adapter_routes
from patchwright.serving.adapters import Adapters
from patchwright.serving.body import ChatBody, TextBody
from patchwright.serving.chunks import Completion, TextCompletion
from patchwright.serving.completion_wording import CompletionWording
from patchwright.serving.gateway import Gateway
from patchwright.serving.guard import Guard
from patchwright.serving.intake import Intake, Owner, refusal
from patchwright.serving.problems import INVALID, UNAVAILABLE, Kind, Problem
from patchwright.serving.replies import ClientGone, Wording, streamed, whole
from patchwright.serving.responses_body import ResponsesBody
from patchwright.serving.responses_chat import chat_of
from patchwright.serving.responses_wording import ResponsesWording, to_its_limit


def gateway_app(gateway: Gateway, guard: Guard, adapters: Adapters | None = None) -> FastAPI:
    """Serves `gateway` to those whom `guard` lets in. `adapters`: without, there are no routes for them."""
    app = FastAPI(
        title="Patchwright", version=__version__, description="One endpoint for every agent and every engine."
    )
    app.include_router(_open_routes(gateway))
    app.include_router(_model_routes(gateway))
    if adapters:
        app.include_router(adapter_routes(adapters), responses=_errors(400, 401, 403, 404, 429, 502, 503))
    app.add_exception_handler(Problem, _refused)
    app.add_exception_handler(ClientGone, _gone)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_middleware(Intake, guard=guard, metrics=gateway.metrics, most_bytes=gateway.limits.body_bytes)
    if guard.origins:
        app.add_middleware(CORSMiddleware, allow_origins=guard.origins, allow_methods=["*"], allow_headers=["*"])
    return app


def _open_routes(gateway: Gateway) -> APIRouter:
    """Without a key: for who watches the server."""
    routes = APIRouter(tags=["health"])

    @routes.get("/health")
    async def health() -> Json:
        """Whether the gateway runs."""
        return {"status": "ok"}

    @routes.get("/ready", responses=_errors(503))
    async def ready() -> Json:
        """Whether the engine answers."""
        if not await gateway.upstream.ready():
            raise Problem(UNAVAILABLE, "the engine does not answer", retry_after_s=1)
        return {"status": "ready"}

    @routes.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Counts, for Prometheus."""
        return Response(gateway.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return routes


def _model_routes(gateway: Gateway) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["model"], responses=_errors(401, 403))

    @routes.get("/models")
    async def models(owner: Owner) -> Json:
        return {"object": "list", "data": [_model(gateway, name) for name in gateway.names]}

    @routes.get("/models/{name:path}", responses=_errors(404))
    async def model(name: str, owner: Owner) -> Json:
        gateway.check_model(name or "(without a name)")
        return _model(gateway, name)

    @routes.post("/chat/completions", responses=_errors(400, 404, 413, 429, 502, 503))
    async def chat(body: ChatBody, request: Request, owner: Owner) -> Response:
        """An answer to a conversation: text, or calls of tools whose arguments are always a JSON object."""
        model = body.model or gateway.upstream.model
        wording = CompletionWording("chatcmpl", "chat.completion", model, Completion(), usage=body.wants_usage)
        return await reply(request, bool(body.stream), gateway.chat(body, owner), wording)

    @routes.post("/responses", responses=_errors(400, 404, 413, 429, 502, 503))
    async def responses(body: ResponsesBody, request: Request, owner: Owner) -> Response:
        """The same in the words of OpenAI's Responses API. Nothing is kept: each request brings the conversation."""
        chunks = to_its_limit(gateway.chat(chat_of(body), owner))
        wording = ResponsesWording(body, body.model or gateway.upstream.model)
        return await reply(request, bool(body.stream), chunks, wording)

    @routes.post("/completions", responses=_errors(400, 404, 413, 429, 502, 503))
    async def text(body: TextBody, request: Request, owner: Owner) -> Response:
        """How a text goes on."""
        model = body.model or gateway.upstream.model
        wording = CompletionWording("cmpl", "text_completion", model, TextCompletion(), usage=body.wants_usage)
        return await reply(request, bool(body.stream), gateway.text(body, owner), wording)

    async def reply(request: Request, stream: bool, chunks: AsyncGenerator[Json], wording: Wording) -> Response:
        if stream:
            return await streamed(request, chunks, wording, patience_s=gateway.limits.patience_s)
        return await whole(request, chunks, wording)

    return routes


def _model(gateway: Gateway, name: str) -> Json:
    """OpenAI's fields, and the window and an adapter's base under vLLM's names for them, which agents know."""
    upstream = gateway.upstream
    model = {"id": name, "object": "model", "created": 0, "owned_by": "patchwright"}
    if name != upstream.model:
        model |= {"parent": upstream.model}
    return model if upstream.context_tokens is None else model | {"max_model_len": upstream.context_tokens}


class _ErrorFacts(BaseModel):
    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(BaseModel):
    """An error in OpenAI's shape."""

    error: _ErrorFacts


def _errors(*statuses: int) -> dict[int | str, Json]:
    """With a default, without which FastAPI describes 422, which nobody gets."""
    return {status: {"model": ErrorBody, "description": ErrorBody.__doc__} for status in (*statuses, "default")}


async def _refused(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return refusal(problem)


async def _gone(_request: Request, _error: Exception) -> Response:
    """Nobody reads it; the status, which is nginx's, is for the counts."""
    return Response(status_code=499)


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    param = ".".join(str(part) for part in first["loc"][1:])
    message = f"{param}: {first['msg'].lower()}" if param else first["msg"].lower()
    return refusal(Problem(INVALID, message, param=param or None))


async def _no_route(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = Kind(error.status_code, "invalid_request_error", str(error.detail).lower().replace(" ", "_"))
    return JSONResponse(Problem(kind, str(error.detail)).body(), error.status_code, error.headers)

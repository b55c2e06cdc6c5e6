"""Routes of the nnInteractive protocol, which lets 3D Slicer, napari and others drive the server's sessions.

A web application of its own, on a port of its own, since viewers ask for a server's address alone. Requests that wait,
for a mask or for another request of the same viewer, wait in threads; heartbeats and whatever else needs no thread are
answered meanwhile.
"""

import contextlib
import hmac
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import anyio
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from lesionclick.errors import LesionClickError
from lesionclick.server.cases import CaseLibrary
from lesionclick.server.handle import SessionHandle
from lesionclick.server.nninteractive_capabilities import capabilities
from lesionclick.server.nninteractive_frames import unpack
from lesionclick.server.nninteractive_leases import LeaseLimits, Leases
from lesionclick.server.nninteractive_messages import (
    ImageMessage,
    InitialSegmentationMessage,
    PointMessage,
    ScribbleMessage,
    TargetBufferMessage,
    prediction_answer,
    read_body,
    read_json,
    read_meta,
)
from lesionclick.server.nninteractive_viewer import NOTED, WAIT_SECONDS, PromptError, Viewer
from lesionclick.server.problems import ServerError

logger = logging.getLogger(__name__)

LEASE_HEADER = "X-Lease-Token"

MAX_ARRAY_BYTES = 1 << 30
"""Of a volume or mask, packed and unpacked; 1000 slices of 512 x 512 voxels in single precision are fewer."""

UNSUPPORTED = "a {} has no counterpart among clicks: place points, or draw a scribble"

THREADS = 32
"""Requests that wait at a time; further ones wait for one of these, and the page's routes have threads of their own."""

Given = TypeVar("Given")

NO_KEY_NEEDED = "/healthz"


def make_app(
    cases: CaseLibrary,
    open_session: Callable[[str], SessionHandle],
    license_text: str,
    *,
    key: str | None = None,
    limits: LeaseLimits = LeaseLimits(),  # noqa: B008  (it is frozen)
    wait_seconds: float = WAIT_SECONDS,
) -> FastAPI:
    """The web application.

    Args:
        cases: those that viewers may show.
        open_session: gives the session of a case, and begins to compute its mask.
        license_text: what model this is and what it may be used for; viewers show it.
        key: what clients must know; None for nothing.
        limits: how many viewers, and for how long.
        wait_seconds: how long a viewer waits for a mask before it gets the mask so far.
    """
    ending = threading.Event()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.threads = anyio.CapacityLimiter(THREADS)
        app.state.bodies = anyio.CapacityLimiter(limits.most)
        yield
        ending.set()

    title = "LesionClick for nnInteractive's viewers"
    app = FastAPI(title=title, docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    leases = Leases(limits, lambda: Viewer(cases, open_session, wait_seconds, ending))
    _add_guards(app, key)
    _add_lease_routes(app, leases, license_text)
    _add_viewer_routes(app, leases)
    _add_prompt_routes(app, leases)
    return app


def _add_guards(app: FastAPI, key: str | None) -> None:
    """Who is let in, and what becomes of errors: sentences, in the log, too, since viewers do not show them."""

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        if "origin" in request.headers:
            return _refuse(request, 403, "this is no address for web pages")
        if key is not None and request.url.path != NO_KEY_NEEDED:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not given:
                return _refuse(request, 401, "Missing bearer token")
            if not hmac.compare_digest(given.encode(), key.encode()):
                return _refuse(request, 401, "Invalid bearer token")
        return await call_next(request)

    @app.exception_handler(LesionClickError)
    async def refuse(request: Request, error: LesionClickError) -> Response:
        return _refuse(request, error.status if isinstance(error, ServerError) else ServerError.status, str(error))

    @app.exception_handler(Exception)
    async def fail(request: Request, error: Exception) -> Response:
        return _refuse(request, 500, f"the server has failed: {type(error).__name__}")


def _refuse(request: Request, status: int, sentence: str) -> Response:
    logger.warning("%s is refused (%d): %s", request.url.path, status, sentence)
    headers = {"Retry-After": "10"} if status == 503 else {}
    return JSONResponse({"detail": sentence}, status, headers)


def _token(request: Request) -> str | None:
    return request.headers.get(LEASE_HEADER)


def _add_lease_routes(app: FastAPI, leases: Leases[Viewer], license_text: str) -> None:
    """What is answered at once, whatever is computed."""

    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        return {"ok": True}

    @app.post("/claim")
    async def claim() -> dict[str, Any]:
        lease = leases.claim()
        logger.info("a viewer has connected, %d of %d", len(leases), leases.limits.most)
        return {
            "lease_token": lease.token,
            "idle_timeout_seconds": leases.limits.idle_seconds,
            "liveness_timeout_seconds": leases.limits.silent_seconds,
            "max_sessions": leases.limits.most,
        }

    @app.get("/capabilities")
    async def tell_capabilities() -> dict[str, Any]:
        return capabilities(license_text)

    @app.post("/heartbeat")
    async def heartbeat(request: Request) -> dict[str, Any]:
        return {"remaining_seconds": leases.remaining_seconds(_token(request), heard=True)}

    @app.get("/lease_status")
    async def lease_status(request: Request) -> dict[str, Any]:
        remaining = leases.remaining_seconds(_token(request))
        return {"remaining_seconds": remaining, "idle_timeout_seconds": leases.limits.idle_seconds}

    @app.post("/release")
    async def release(request: Request) -> dict[str, Any]:
        leases.release(_token(request))
        return {"released": True}


def _add_viewer_routes(app: FastAPI, leases: Leases[Viewer]) -> None:
    """What a viewer shows."""

    @app.post("/set_image")
    async def set_image(request: Request) -> dict[str, Any]:
        spacing = read_meta(request, ImageMessage).image_properties.spacing
        async with _body(leases, request) as body:

            def show() -> tuple[int, ...]:
                with leases.at_work(_token(request)) as viewer:
                    volume = unpack(body, MAX_ARRAY_BYTES)
                    viewer.set_image(volume, spacing)
                    return volume.shape

            return {"original_image_shape": await _in_thread(request, show)}

    @app.post("/set_target_buffer")
    async def set_target_buffer(request: Request) -> dict[str, Any]:
        message = await read_json(request, TargetBufferMessage)
        await _do(leases, request, lambda viewer: viewer.set_target_buffer(message.shape, message.dtype))
        return {}

    @app.post("/set_do_autozoom")
    async def set_do_autozoom(request: Request) -> dict[str, Any]:
        leases.remaining_seconds(_token(request), heard=True)  # there is no zoom: the network sees the whole body
        return {}

    @app.post("/reset_interactions")
    async def reset_interactions(request: Request) -> dict[str, Any]:
        await _do(leases, request, Viewer.reset)
        return {}


def _add_prompt_routes(app: FastAPI, leases: Leases[Viewer]) -> None:
    """What a reader does."""

    @app.post("/add_point_interaction")
    async def add_point(request: Request) -> Response:
        message = await read_json(request, PointMessage)
        return await _prompt(
            leases, request, lambda viewer: viewer.add_point(message.coordinates, message.label), message.run_prediction
        )

    @app.post("/add_scribble_interaction")
    async def add_scribble(request: Request) -> Response:
        message = read_meta(request, ScribbleMessage)
        async with _body(leases, request) as body:

            def add(viewer: Viewer) -> None:
                viewer.add_scribble(unpack(body, MAX_ARRAY_BYTES), message.interaction_bbox, message.label)

            return await _prompt(leases, request, add, message.run_prediction)

    @app.post("/add_initial_seg_interaction")
    async def add_initial_segmentation(request: Request) -> Response:
        message = read_meta(request, InitialSegmentationMessage)
        async with _body(leases, request) as body:

            def start(viewer: Viewer) -> None:
                viewer.start_from(unpack(body, MAX_ARRAY_BYTES))

            return await _prompt(leases, request, start, message.run_prediction)

    @app.post("/predict")
    async def predict(request: Request) -> Response:
        return await _prompt(leases, request, lambda viewer: None, True)

    @app.post("/undo")
    async def undo(request: Request) -> Response:
        return await _prompt(leases, request, Viewer.undo, True)

    @app.post("/add_bbox_interaction")
    async def add_box(request: Request) -> Response:
        leases.remaining_seconds(_token(request), heard=True)
        raise PromptError(UNSUPPORTED.format("box"))

    @app.post("/add_lasso_interaction")
    async def add_lasso(request: Request) -> Response:
        leases.remaining_seconds(_token(request), heard=True)
        raise PromptError(UNSUPPORTED.format("lasso"))


@contextlib.asynccontextmanager
async def _body(leases: Leases[Viewer], request: Request) -> AsyncIterator[bytes]:
    """A packed array, of which as many are in memory at a time as there can be viewers."""
    leases.remaining_seconds(_token(request), heard=True)  # nothing is read for nobody
    async with request.app.state.bodies:
        yield await read_body(request, MAX_ARRAY_BYTES)


async def _do(leases: Leases[Viewer], request: Request, action: Callable[[Viewer], object]) -> object:
    """Does something for a viewer, in a thread, when its turn has come."""

    def act() -> object:
        with leases.at_work(_token(request)) as viewer:
            return action(viewer)

    return await _in_thread(request, act)


async def _prompt(
    leases: Leases[Viewer], request: Request, action: Callable[[Viewer], bool | None], predicts: bool
) -> Response:
    """Does something that changes the mask, and answers how; an action that gives False has changed nothing."""

    def act() -> Response:
        with leases.at_work(_token(request)) as viewer:
            done = action(viewer)
            return prediction_answer(viewer.predict() if predicts and done is not False else NOTED)

    return await _in_thread(request, act)


async def _in_thread(request: Request, act: Callable[[], Given]) -> Given:
    return await anyio.to_thread.run_sync(act, limiter=request.app.state.threads)

"""Application: all routes of the server, and what becomes of problems."""

import contextlib
import json
import logging
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException

import lesionclick
from lesionclick.errors import CaseError, LesionClickError
from lesionclick.server.cases import CaseLibrary
from lesionclick.server.lesions import LesionMeasurer
from lesionclick.server.page_files import add_page
from lesionclick.server.problems import ServerError
from lesionclick.server.routes_cases import cases_router
from lesionclick.server.routes_results import results_router
from lesionclick.server.routes_sessions import sessions_router
from lesionclick.server.schemas import HealthOut, ModelOut, ProblemOut
from lesionclick.server.security import Access, Guard
from lesionclick.server.sessions import Sessions
from lesionclick.server.settings import ModelIdentity, ServerSettings
from lesionclick.server.streams import Streams
from lesionclick.server.turns import Turns

logger = logging.getLogger(__name__)


def create_app(
    sessions: Sessions,
    cases: CaseLibrary,
    model: ModelIdentity,
    settings: ServerSettings,
    access: Access,
    page: Path | None = None,
    streams: Streams | None = None,
) -> FastAPI:
    """The server's application.

    Args:
        sessions: must be started and stopped by the caller.
        cases: on offer.
        model: what computes.
        settings: the server's.
        access: who is let in.
        page: the folder of the page that readers see; None for the API alone.
        streams: ended by the caller when the server is to end; None where nobody ends them.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        """Files that are sent wait in the data folder, not in one of the system, until they are looked at."""
        before, tempfile.tempdir = tempfile.tempdir, str(settings.temporary)
        settings.temporary.mkdir(parents=True, exist_ok=True)
        yield
        tempfile.tempdir = before

    app: FastAPI = FastAPIOffline(
        title="LesionClick",
        description='Promptable lesion segmentation in whole-body PET/CT. Errors are {"detail": "one sentence"}.',
        version=lesionclick.__version__,
        redoc_url=None,
        lifespan=lifespan,
        responses={status: {"model": ProblemOut} for status in (401, 403, 404, 413, 422)},
    )

    @app.get("/api/health", tags=["server"])
    def health() -> HealthOut:
        """Answers as long as the server runs; needs no key."""
        return HealthOut()

    @app.get("/api/model", tags=["server"])
    def get_model() -> ModelOut:
        """What computes the masks."""
        return ModelOut(
            name=model.name,
            description=model.description,
            warning=model.description or None,
            networks=model.networks,
            fingerprint=model.fingerprint,
            version=lesionclick.__version__,
            max_upload_bytes=settings.max_upload,
        )

    turns = Turns()
    app.include_router(cases_router(cases, sessions, turns))
    app.include_router(sessions_router(sessions, streams or Streams()))
    app.include_router(results_router(sessions, LesionMeasurer(sessions), turns))
    add_page(app, page)
    add_problems(app)
    app.add_middleware(Guard, access=access)
    return app


def add_problems(app: FastAPI) -> None:
    """Makes every error an answer {"detail": "one sentence"} with a fitting status."""

    @app.exception_handler(LesionClickError)
    def of_user(_: Request, error: LesionClickError) -> JSONResponse:
        status = error.status if isinstance(error, ServerError) else 422 if isinstance(error, CaseError) else 500
        return JSONResponse({"detail": str(error)}, status)

    @app.exception_handler(HTTPException)
    def of_http(_: Request, error: HTTPException) -> JSONResponse:
        sentences = {404: "there is nothing at this address", 405: "this address does not take such requests"}
        is_plain = error.detail in ("Not Found", "Method Not Allowed")
        detail = sentences[error.status_code] if is_plain else error.detail
        return JSONResponse({"detail": detail}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    def of_schema(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        given = first.get("input")
        text = "" if given is None or isinstance(given, dict | list) else f", not {json.dumps(given, default=str)[:60]}"
        return JSONResponse({"detail": f"{place}: {first['msg']}{text}"}, 422)

    @app.exception_handler(Exception)
    def of_nobody(_: Request, error: Exception) -> JSONResponse:
        sentence = "memory ran out" if isinstance(error, MemoryError) else "something unexpected went wrong"
        return JSONResponse({"detail": f"{sentence}, the server's log says more"}, 500)

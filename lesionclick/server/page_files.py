"""Page that readers see, served as the files that it was built into."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope


class PageFiles(StaticFiles):
    """Files of a page; those with a digest in their names never change, and the others are asked for anew."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file, or the page itself for a folder."""
        response = await super().get_response(path, scope)
        is_fixed = path.startswith("assets/")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if is_fixed else "no-cache"
        return response


def add_page(app: FastAPI, folder: Path | None) -> None:
    """Serves a page at /, after all routes that were added before; without a folder, a line that says what there is."""
    if folder is not None:
        app.mount("/", PageFiles(directory=folder, html=True), name="page")
        return

    @app.get("/", include_in_schema=False)
    def no_page() -> PlainTextResponse:
        return PlainTextResponse("LesionClick: this server has no page; its API is described at /docs.\n")

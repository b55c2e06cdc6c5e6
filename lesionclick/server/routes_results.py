"""Routes of results: the mask so far, its lesions, the clicks, and the saved session."""

import shutil
import tempfile
from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from lesionclick.case.clicks import write_clicks
from lesionclick.case.images import write_mask
from lesionclick.server.downloads import download
from lesionclick.server.handle import SessionHandle
from lesionclick.server.lesions import LesionMeasurer
from lesionclick.server.names import file_name
from lesionclick.server.problems import UnknownError
from lesionclick.server.progress import MaskSoFar
from lesionclick.server.schemas import LesionsOut, MaskOut
from lesionclick.server.sessions import Sessions
from lesionclick.server.turns import Turns


def results_router(sessions: Sessions, measurer: LesionMeasurer, turns: Turns) -> APIRouter:
    """The routes below /api/sessions that give files and figures."""
    router = APIRouter(prefix="/api/sessions", tags=["results"])

    def kept_as(handle: SessionHandle, name: str) -> dict[str, str]:
        """The header by which a browser keeps a file, with the case in its name."""
        return {"Content-Disposition": f'attachment; filename="{file_name(sessions.case_name(handle), name)}"'}

    def mask(handle: SessionHandle, ending: str, media_type: str) -> FileResponse:
        so_far, geometry = _require_mask(handle), handle.geometry
        headers = {**_headers(so_far), **kept_as(handle, f"mask{ending}")}
        return download(ending, lambda path: write_mask(so_far.mask_zyx, geometry, path), media_type, headers)

    @router.get("/{session}/mask.nii.gz", response_class=FileResponse, dependencies=[turns.taken])
    def get_mask_nifti(session: str) -> FileResponse:
        """The mask so far as NIfTI: uint8, 0 and 1, on the case's grid."""
        return mask(sessions.get(session), ".nii.gz", "application/gzip")

    @router.get("/{session}/mask.mha", response_class=FileResponse, dependencies=[turns.taken])
    def get_mask_meta(session: str) -> FileResponse:
        """The mask so far as MetaImage, likewise."""
        return mask(sessions.get(session), ".mha", "application/octet-stream")

    @router.get("/{session}/lesions", dependencies=[turns.taken])
    def get_lesions(session: str) -> LesionsOut:
        """The lesions of the mask so far, largest first, with volume and uptake."""
        handle = sessions.get(session)
        so_far = _require_mask(handle)
        lesions, total = measurer.rows(handle, so_far)
        return LesionsOut(mask=MaskOut.of(so_far), lesions=lesions, total=total)

    @router.get("/{session}/lesions.csv", response_class=Response, dependencies=[turns.taken])
    def get_lesions_csv(session: str) -> Response:
        """The same as `lesionclick segment` writes it, a line a lesion."""
        handle = sessions.get(session)
        so_far = _require_mask(handle)
        return Response(
            measurer.csv(handle, so_far),
            media_type="text/csv; charset=utf-8",
            headers={**_headers(so_far), **kept_as(handle, "lesions.csv")},
        )

    @router.get("/{session}/clicks.json", response_class=Response)
    def get_clicks(session: str) -> Response:
        """The clicks in the challenge's format."""
        handle = sessions.get(session)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "lesion-clicks.json"
            write_clicks(handle.clicks, path)
            content = path.read_bytes()
        headers = {"Cache-Control": "no-store", **kept_as(handle, path.name)}
        return Response(content, media_type="application/json", headers=headers)

    @router.get("/{session}/session.zip", response_class=FileResponse, dependencies=[turns.taken])
    def get_saved(session: str) -> FileResponse:
        """The session with its images, clicks and their history, for `lesionclick.Session.restore` once unpacked."""
        handle = sessions.get(session)

        def write(path: Path) -> None:
            with tempfile.TemporaryDirectory() as folder:
                sessions.save(handle, Path(folder))
                shutil.make_archive(str(path.with_suffix("")), "zip", folder)

        headers = {"Cache-Control": "no-store", **kept_as(handle, "session.zip")}
        return download(".zip", write, "application/zip", headers)

    return router


def _require_mask(handle: SessionHandle) -> MaskSoFar:
    if handle.mask is None:
        raise UnknownError(f"there is no mask yet: {handle.progress.error or handle.progress.text}")
    return handle.mask


def _headers(mask: MaskSoFar) -> dict[str, str]:
    return {
        "X-Mask-Version": str(mask.version),
        "X-Mask-Final": "true" if mask.final else "false",
        "X-Mask-Revision": str(mask.revision),
        "Cache-Control": "no-store",
    }

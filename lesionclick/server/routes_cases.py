"""Routes of cases: the list, uploads, and images for the page."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response, UploadFile

from lesionclick.case.case import Case
from lesionclick.case.clicks import Click
from lesionclick.case.markups import read_click_files
from lesionclick.errors import CaseError
from lesionclick.server.cases import CaseLibrary, read_upload
from lesionclick.server.downloads import download, write_ct, write_pet
from lesionclick.server.names import new_id
from lesionclick.server.problems import ServerError
from lesionclick.server.records import CaseRecord, require_few
from lesionclick.server.schemas import CaseDetailOut, CaseOut, SessionOut
from lesionclick.server.sessions import Sessions
from lesionclick.server.turns import Turns
from lesionclick.server.uploads import store_clicks, store_image

MAX_NAME = 100
"""Characters of a case's name."""


def cases_router(cases: CaseLibrary, sessions: Sessions, turns: Turns) -> APIRouter:
    """The routes below /api/cases."""
    router = APIRouter(prefix="/api/cases", tags=["cases"])

    @router.get("")
    def list_cases() -> list[CaseOut]:
        """The cases that the server was given, and those that were uploaded."""
        return [CaseOut.of(record) for record in cases.records()]

    @router.post("", status_code=201, dependencies=[turns.taken])
    def upload_case(
        ct: UploadFile, pet: UploadFile, clicks: UploadFile | None = None, name: Annotated[str, Form()] = ""
    ) -> CaseOut:
        """Adds a case: CT (HU) and PET (SUV) as .nii.gz, .nii, .mha or .nrrd, and clicks to begin with, if any.

        The two may lie on different grids: the case then has the PET's.
        """
        return CaseOut.of(_add_upload(cases, ct, pet, clicks, name or _stem(ct.filename or "")))

    @router.get("/{case}", dependencies=[turns.taken])
    def get_case(case: str) -> CaseDetailOut:
        """A case with its grid."""
        record = cases.record(case)
        return CaseDetailOut.with_grid(record, cases.geometry(case))

    @router.delete("/{case}", status_code=204)
    def remove_case(case: str) -> Response:
        """Removes an uploaded case with its files, its session and its clicks."""
        sessions.remove_case(case)
        return Response(status_code=204)

    @router.get("/{case}/ct.nii.gz", response_class=Response, dependencies=[turns.taken])
    def get_ct(case: str, request: Request) -> Response:
        """The CT on the case's grid: int16, HU."""
        return _image(cases, case, request, "ct", write_ct)

    @router.get("/{case}/pet.nii.gz", response_class=Response, dependencies=[turns.taken])
    def get_pet(case: str, request: Request) -> Response:
        """The PET on the case's grid: float32, SUV."""
        return _image(cases, case, request, "pet", write_pet)

    @router.post("/{case}/session")
    def open_session(case: str) -> SessionOut:
        """Opens the case's session, or finds it; its mask is computed from now on, at first the automatic one."""
        return SessionOut.of(sessions.open(case))

    return router


def _add_upload(
    cases: CaseLibrary, ct: UploadFile, pet: UploadFile, clicks: UploadFile | None, name: str
) -> CaseRecord:
    case_id = new_id()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / case_id
        folder.mkdir()
        for kind, upload in (("ct", ct), ("pet", pet)):
            store_image(upload.file, upload.filename or "", folder, kind)
        case = read_upload(folder)
        start_clicks: tuple[Click, ...] = ()
        if clicks is not None:
            path = store_clicks(clicks.file, clicks.filename or "", Path(temporary))
            try:
                start_clicks = read_click_files([path], case.geometry)
            except CaseError as error:
                raise CaseError(str(error).replace(str(path), "the file of clicks")) from error
        require_few(start_clicks)
        kept = cases.folder / case_id
        shutil.move(folder, kept)
    try:
        return cases.add_upload(case_id, _printable(name)[:MAX_NAME] or "case", start_clicks)
    except ServerError:
        shutil.rmtree(kept, ignore_errors=True)
        raise


def _image(
    cases: CaseLibrary, case_id: str, request: Request, kind: str, write: Callable[[Case, Path], None]
) -> Response:
    """An image; a browser that has it already is told so, by the digest of the case's images."""
    case = cases.read(case_id)
    tag = f'"{kind}-{cases.record(case_id).digest}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return download(".nii.gz", lambda path: write(case, path), "application/gzip", headers)


def _stem(filename: str) -> str:
    """A file's name without folders and endings."""
    return filename.replace("\\", "/").rpartition("/")[2].partition(".")[0]


def _printable(name: str) -> str:
    return "".join(each for each in name if each.isprintable()).strip()

"""Cases that the server offers: those it was started with, and those that were uploaded; read when they are needed."""

import hashlib
import shutil
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path

from lesionclick.case.case import CT_FOLDER, Case
from lesionclick.case.clicks import Click
from lesionclick.case.geometry import Geometry
from lesionclick.dicom.study import StudyChoices, name_study, open_files, open_study
from lesionclick.errors import CaseError
from lesionclick.server.problems import UnknownError
from lesionclick.server.records import CaseRecord
from lesionclick.server.store import Store


class CaseLibrary:
    """The cases of a server; any thread may ask for one.

    A case that a session holds is not read again, nor is the one that was asked for last.

    Attributes:
        folder: holds a folder for each upload, named by its id.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        """Offers what was uploaded before; folders of uploads that the store does not know are removed."""
        self._store = store
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._offered = {record.id for record in store.cases() if record.source is None}
        for path in folder.iterdir():
            if path.name not in self._offered:
                shutil.rmtree(path, ignore_errors=True)
        self._lock = threading.Lock()
        self._reading: dict[str, threading.Lock] = {}
        self._read: weakref.WeakValueDictionary[str, Case] = weakref.WeakValueDictionary()
        self._last: Case | None = None
        self._geometries: dict[str, Geometry] = {}

    def add_study(self, path: Path, *, with_clicks: bool = False) -> CaseRecord:
        """Offers a study, or offers it again: then it keeps its id and its session.

        Args:
            path: whatever `open_study` reads.
            with_clicks: whether a new session of it begins with the clicks that lie beside the images.

        Raises:
            CaseError: there is no study.
        """
        path = path.resolve()
        clicks: tuple[Click, ...] = ()
        if with_clicks:
            opened = open_study(path)
            name, clicks = opened.case.name, opened.case.clicks
        else:
            name = name_study(path)
        record = self._store.add_case(name, source=path, start_clicks=clicks)
        self._offered.add(record.id)
        return record

    def add_upload(self, case_id: str, name: str, start_clicks: Sequence[Click]) -> CaseRecord:
        """Offers an upload whose files lie in its folder by now."""
        record = self._store.add_case(name, start_clicks=start_clicks, case_id=case_id)
        self._offered.add(record.id)
        return record

    def records(self) -> list[CaseRecord]:
        """The cases on offer, in the order in which they were added."""
        return [record for record in self._store.cases() if record.id in self._offered]

    def record(self, case_id: str) -> CaseRecord:
        """A case on offer.

        Raises:
            UnknownError: there is none of that id.
        """
        record = self._store.case(case_id)
        if case_id not in self._offered:
            raise UnknownError(f"the case {record.name} was not given to this server, start it with {record.source}")
        return record

    def read(self, case_id: str) -> Case:
        """The images of a case, without clicks.

        Raises:
            UnknownError: there is no such case.
            CaseError: it cannot be read, or is not what it was when its clicks were made.
        """
        self.record(case_id)
        with self._reading_of(case_id):
            record = self.record(case_id)  # it may have been removed meanwhile
            case = self._read.get(case_id)
            if case is None:
                case = self._open(record)
                self._check_digest(record, case)
                self._read[case_id] = self._last = case
                self._geometries[case_id] = case.geometry
            return case

    def geometry(self, case_id: str) -> Geometry:
        """The grid of a case; see `read`."""
        known = self._geometries.get(case_id)
        return self.read(case_id).geometry if known is None else known

    def remove_upload(self, case_id: str) -> None:
        """Removes an upload with its files and its session in the store."""
        self._store.remove_case(case_id)
        self._offered.discard(case_id)
        with self._reading_of(case_id):  # whoever reads it now would keep it afterwards
            case = self._read.pop(case_id, None)
            if self._last is case:
                self._last = None
            self._geometries.pop(case_id, None)
        with self._lock:
            self._reading.pop(case_id, None)
        shutil.rmtree(self.folder / case_id, ignore_errors=True)

    def _reading_of(self, case_id: str) -> threading.Lock:
        """Held by whoever reads a case, so that it is read once for all."""
        with self._lock:
            return self._reading.setdefault(case_id, threading.Lock())

    def _open(self, record: CaseRecord) -> Case:
        if record.source is not None:
            case = open_study(record.source, StudyChoices(takes_clicks=False)).case
        else:
            case = read_upload(self.folder / record.id)
        return Case(record.name, case.ct_zyx, case.pet_zyx, case.geometry)

    def _check_digest(self, record: CaseRecord, case: Case) -> None:
        digest = digest_of(case)
        if digest == record.digest:
            return
        if record.digest is not None and record.session_id is not None:
            session = self._store.session(record.session_id)
            if session.clicks or session.can_undo or session.can_redo:
                raise CaseError(
                    f"{record.name}: its images have changed since its clicks were made; remove its session to start "
                    "anew"
                )
        self._store.set_digest(record.id, digest)


def read_upload(folder: Path) -> Case:
    """The case of an upload's folder, whose files are named ct and pet with the ending of their format.

    Raises:
        CaseError: a file is damaged, or the two do not belong together; the sentence names them "the CT" and "the PET".
    """
    ct, pet = (next(iter(sorted(folder.glob(f"{kind}.*"))), folder / kind) for kind in ("ct", "pet"))
    try:
        return open_files(ct, pet).case
    except CaseError as error:
        raise CaseError(str(error).replace(str(ct), "the CT").replace(str(pet), "the PET")) from error


def digest_of(case: Case) -> str:
    """What tells a case's images and their grid from others."""
    digest = hashlib.blake2b(repr(case.geometry).encode(), digest_size=16)
    for image_zyx in (case.ct_zyx, case.pet_zyx):
        digest.update(image_zyx.data)
    return digest.hexdigest()


def studies_in(path: Path) -> list[Path]:
    """The cases of a folder of several in Grand Challenge layout; else the path itself, which is a study's."""
    if not path.is_dir() or (path / CT_FOLDER).is_dir():
        return [path]
    return sorted(child for child in path.iterdir() if (child / CT_FOLDER).is_dir()) or [path]

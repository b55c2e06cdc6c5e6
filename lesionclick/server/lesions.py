"""Lesions of a session's mask, measured once a mask however many ask."""

import tempfile
import threading
import weakref
from pathlib import Path

import numpy as np

from lesionclick.report.lesion_files import write_csv
from lesionclick.report.measurements import LesionTable, measure_lesions
from lesionclick.server.handle import SessionHandle
from lesionclick.server.progress import MaskSoFar
from lesionclick.server.schemas import LesionOut, TotalOut
from lesionclick.server.sessions import Sessions

Place = tuple[int, int, int]


class LesionMeasurer:
    """Measures the masks of sessions; any thread may call it."""

    def __init__(self, sessions: Sessions) -> None:
        """Nothing is measured yet."""
        self._sessions = sessions
        self._lock = threading.Lock()
        self._tables: weakref.WeakKeyDictionary[MaskSoFar, tuple[LesionTable, list[Place]]]
        self._tables = weakref.WeakKeyDictionary()

    def rows(self, handle: SessionHandle, mask: MaskSoFar) -> tuple[list[LesionOut], TotalOut]:
        """The lesions, largest first, and all of them together."""
        table, places = self._measure(handle, mask)
        lesions = [
            LesionOut(
                number=lesion.number,
                volume_ml=lesion.volume_ml,
                suv_max=lesion.suv_max,
                suv_mean=lesion.suv_mean,
                suv_peak=lesion.suv_peak,
                tlg_ml=lesion.tlg,
                axial_diameter_mm=lesion.axial_diameter_mm,
                x=x,
                y=y,
                z=z,
            )
            for lesion, (x, y, z) in zip(table.lesions, places, strict=True)
        ]
        total = TotalOut(
            volume_ml=table.total_volume_ml, tlg_ml=table.total_tlg, dmax_mm=table.dmax_mm, count=len(lesions)
        )
        return lesions, total

    def csv(self, handle: SessionHandle, mask: MaskSoFar) -> bytes:
        """The lesions as `lesionclick segment` writes them."""
        table, _ = self._measure(handle, mask)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "lesions.csv"
            write_csv(table, path)
            return path.read_bytes()

    def _measure(self, handle: SessionHandle, mask: MaskSoFar) -> tuple[LesionTable, list[Place]]:
        with self._lock:
            found = self._tables.get(mask)
            if found is None:
                case = self._sessions.case(handle)
                table = measure_lesions(mask.mask_zyx, case.pet_zyx, case.geometry)
                found = self._tables[mask] = without_voxels(table), hottest_voxels(table, case.pet_zyx)
            return found


def without_voxels(table: LesionTable) -> LesionTable:
    """The table without the image of numbers, which has four bytes a voxel."""
    return LesionTable(table.lesions, np.zeros((0, 0, 0), np.uint32), table.liver)


def hottest_voxels(table: LesionTable, pet_zyx: np.ndarray) -> list[Place]:
    """x, y, z of each lesion's hottest voxel, in the order of the table; the first of equal ones."""
    voxels = np.argwhere(table.numbers_zyx)
    numbers = table.numbers_zyx[tuple(voxels.T)]
    order = np.lexsort((-pet_zyx[tuple(voxels.T)], numbers))
    _, first = np.unique(numbers[order], return_index=True)
    return [(int(x), int(y), int(z)) for z, y, x in voxels[order[first]]]

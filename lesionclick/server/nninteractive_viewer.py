"""Viewer: what the server keeps, and does, for one program that is connected by the nnInteractive protocol.

The viewer's prompts are changes of the case's session, the same that the page shows; its target buffer is kept here as
well, so that an answer brings only the box in which the mask has changed.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lesionclick.case.clicks import Click, Label
from lesionclick.server.cases import CaseLibrary
from lesionclick.server.handle import SessionHandle
from lesionclick.server.nninteractive_matching import Orientation, find_case
from lesionclick.server.problems import ServerError
from lesionclick.server.progress import MaskSoFar

logger = logging.getLogger(__name__)

WAIT_SECONDS = 50.0  # for a mask; viewers give up after 60

LOOK_SECONDS = 0.5  # between two looks at whether the server ends

MAX_SCRIBBLE_VOXELS = 2000  # each becomes a click

Box = list[list[int]]
"""[[first, end], ...] for each axis of the viewer, the end not included."""


class PromptError(ServerError):
    """A viewer's request that has no sense for this image, or comes too early."""

    status = 400


@dataclass(frozen=True, eq=False)
class Change:
    """What a prediction has changed in the viewer's target buffer.

    Attributes:
        ran: whether there is a prediction at all, or the prompt was only noted.
        box: where it has changed something; None for nowhere.
        part: the target buffer inside of the box.
    """

    ran: bool
    box: Box | None = None
    part: np.ndarray | None = None


NOTED = Change(ran=False)


@dataclass(eq=False)
class _Opened:
    handle: SessionHandle
    orientation: Orientation
    prompts: int = 0  # made since the last reset, which `undo` can take back
    has_begun: bool = False  # whether this viewer has prompted or seen a mask since it showed its image


class Viewer:
    """One viewer; its requests come one at a time.

    Attributes:
        wait_seconds: how long a prediction may take before the mask so far is given.
    """

    def __init__(
        self,
        cases: CaseLibrary,
        open_session: Callable[[str], SessionHandle],
        wait_seconds: float = WAIT_SECONDS,
        ending: threading.Event | None = None,
    ) -> None:
        """A viewer that has shown nothing yet.

        Args:
            cases: those that it may show.
            open_session: gives the session of a case, and begins to compute its mask.
            wait_seconds: how long a prediction may take before the mask so far is given.
            ending: set when the server ends, so that nothing waits any longer.
        """
        self._cases = cases
        self._open_session = open_session
        self.wait_seconds = wait_seconds
        self._ending = ending or threading.Event()
        self._opened: _Opened | None = None
        self._buffer: np.ndarray | None = None

    def set_image(self, volume: np.ndarray, spacing: Sequence[float] | None) -> None:
        """Opens the session of the case that a volume shows; its mask is computed from now on.

        Args:
            volume: (channels, ...) as the viewer has it.
            spacing: of its three axes, mm; None for unknown.

        Raises:
            MatchError: it is, as far as can be told, no image of just one case.
            CaseError: a case cannot be read.
        """
        self._opened = self._buffer = None
        record, match = find_case(volume, spacing, self._cases)
        logger.info("a viewer shows %s of %s, axes %s", " and ".join(match.images), record.name, match.orientation)
        self._opened = _Opened(self._open_session(record.id), match.orientation)

    def set_target_buffer(self, shape: Sequence[int], number_format: str) -> None:
        """Begins a target buffer of zeros, as the viewer has one.

        Raises:
            PromptError: it is not as large as the image, or holds no integers.
        """
        expected = self._require_opened().orientation.shape
        if tuple(shape) != expected:
            raise PromptError(f"the target buffer has the shape {list(shape)}, the image {list(expected)}")
        try:
            chosen = np.dtype(number_format)
        except (TypeError, ValueError, SyntaxError):
            chosen = np.dtype(object)
        if chosen.kind not in "bui":
            raise PromptError(f"the target buffer is of {number_format[:40]!r}, expected integers or bool")
        self._buffer = np.zeros(expected, chosen)

    def reset(self) -> None:
        """Forgets all clicks and the starting mask, in one change that readers at the page can undo.

        Viewers reset before their first prompt, too; then nothing is forgotten, so that a reader goes on from what the
        page or another viewer has.
        """
        opened = self._require_opened()
        forgotten = len(opened.handle.clicks)
        if opened.has_begun and opened.handle.start_from(None):
            logger.info("a viewer begins anew: %d clicks are gone, undo in the page brings them back", forgotten)
        opened.prompts, opened.has_begun = 0, False
        if self._buffer is not None:
            self._buffer[...] = 0

    def add_point(self, coordinates: Sequence[float], label: Label) -> None:
        """Clicks at the voxel that is nearest to a point in the viewer's order of axes.

        Raises:
            PromptError: it lies outside of the image.
        """
        shape = self._require_opened().orientation.shape
        if len(coordinates) != 3 or not all(map(math.isfinite, coordinates)):
            raise PromptError(f"the point has the coordinates {list(coordinates)}, expected three numbers")
        voxel = np.round(np.asarray(coordinates, np.float64))
        if (voxel < 0).any() or (voxel >= shape).any():
            raise PromptError(f"the point {list(coordinates)} lies outside of the image of {list(shape)} voxels")
        self._add_voxels(voxel[None].astype(np.int64), label)

    def add_scribble(self, mask: np.ndarray, box: Sequence[Sequence[int]] | None, label: Label) -> None:
        """Clicks at each voxel of a scribble, in one change.

        Args:
            mask: not 0 at the scribble's voxels, of the image's size or the box's.
            box: where in the image the mask lies; None for all of it.
            label: of the clicks.

        Raises:
            PromptError: it has no voxels or too many, or does not lie inside of the image.
        """
        shape = self._require_opened().orientation.shape
        first = [0, 0, 0]
        if box is not None:
            if len(box) != 3 or any(len(each) != 2 or not 0 <= each[0] < each[1] for each in box):
                raise PromptError(f"the scribble's box is {box}, expected three times its first voxel and its end")
            first = [int(each[0]) for each in box]
            if any(each[1] > size for each, size in zip(box, shape, strict=True)):
                raise PromptError(f"the scribble's box {box} reaches out of the image of {list(shape)} voxels")
        expected = shape if box is None else tuple(int(end - start) for start, end in box)
        if mask.shape != expected:
            raise PromptError(f"the scribble has the shape {list(mask.shape)}, expected {list(expected)}")
        voxels = np.argwhere(mask) + first
        if not 0 < len(voxels) <= MAX_SCRIBBLE_VOXELS:
            raise PromptError(
                f"the scribble has {len(voxels)} voxels, expected 1 to {MAX_SCRIBBLE_VOXELS}: draw thinner"
            )
        self._add_voxels(voxels, label)

    def start_from(self, mask: np.ndarray) -> None:
        """Forgets all clicks and makes an earlier mask the one that clicks change only where they reach.

        Raises:
            PromptError: it is not as large as the image.
        """
        opened = self._require_opened()
        if mask.shape != opened.orientation.shape:
            raise PromptError(
                f"the initial segmentation has the shape {list(mask.shape)}, the image {list(opened.orientation.shape)}"
            )
        opened.handle.start_from(np.ascontiguousarray(opened.orientation.to_case(mask) != 0, dtype=np.uint8))
        opened.prompts, opened.has_begun = 0, True
        if self._buffer is not None:
            self._buffer[...] = mask

    def undo(self) -> bool:
        """Takes the last change of the session back; False where this viewer has prompted nothing since it began."""
        opened = self._require_opened()
        if opened.prompts == 0 or not opened.handle.undo():
            return False
        opened.prompts -= 1
        return True

    def predict(self) -> Change:
        """Waits for the mask of all clicks, the automatic one where there are none, and says where it has changed.

        After `wait_seconds` the mask so far is given, and said so in the log.
        """
        opened = self._require_opened()
        if self._buffer is None:
            raise PromptError("there is no target buffer yet: send set_target_buffer first")
        opened.has_begun = True
        mask = self._wait_for_mask(opened.handle)
        if mask is None:
            mask = opened.handle.mask
            logger.warning(
                "the mask was not ready after %.0f s: the viewer gets %s, and the rest with its next prompt",
                self.wait_seconds,
                "nothing yet" if mask is None else "the mask so far",
            )
            if mask is None:
                return Change(ran=True)
        seen = opened.orientation.to_viewer(mask.mask_zyx)
        box = _box_of(self._buffer != seen)
        if box is None:
            return Change(ran=True)
        place = tuple(slice(start, end) for start, end in box)
        self._buffer[place] = seen[place]
        return Change(True, box, self._buffer[place])

    def _wait_for_mask(self, handle: SessionHandle) -> MaskSoFar | None:
        """The final mask of the present clicks; None where it takes too long."""
        revision, deadline = handle.record.revision, time.monotonic() + self.wait_seconds
        while not self._ending.is_set():
            left = deadline - time.monotonic()
            mask = handle.wait_for_mask(max(0.0, min(left, LOOK_SECONDS)), revision)
            if mask is not None or left <= 0:
                return mask
        raise ServerError("the server is ending; clicks are kept")

    def _add_voxels(self, voxels: np.ndarray, label: Label) -> None:
        opened = self._require_opened()
        voxels_zyx = opened.orientation.voxels_to_case(voxels).tolist()
        opened.handle.add_clicks([Click(x, y, z, label) for z, y, x in voxels_zyx])
        opened.prompts, opened.has_begun = opened.prompts + 1, True

    def _require_opened(self) -> _Opened:
        if self._opened is None:
            raise PromptError("there is no image yet: send set_image first")
        return self._opened


def _box_of(marked: np.ndarray) -> Box | None:
    """The smallest box around all that is marked."""
    box = []
    for axis in range(marked.ndim):
        others = tuple(other for other in range(marked.ndim) if other != axis)
        found = np.flatnonzero(marked.any(axis=others))
        if not len(found):
            return None
        box.append([int(found[0]), int(found[-1]) + 1])
    return box

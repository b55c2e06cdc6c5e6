"""Progress of a session: what is done for it, and the mask that there is meanwhile."""

import math
import zlib
from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class Stage(StrEnum):
    """What is done for a session."""

    opening = "opening"
    waiting = "waiting"
    computing = "computing"
    done = "done"
    failed = "failed"


@dataclass(frozen=True)
class Progress:
    """How far the mask is.

    Attributes:
        stage: what is done.
        text: the same in words.
        done: passes made.
        total: passes that this computation takes; 0 as long as it is not known.
        error: why it failed, in a sentence.
    """

    stage: Stage
    text: str
    done: int = 0
    total: int = 0
    error: str | None = None


@dataclass(frozen=True, eq=False)
class MaskSoFar:
    """The latest mask of a session.

    Attributes:
        version: larger than that of any mask of this session before, over restarts of the server, too.
        revision: of the clicks that it shows.
        final: whether all networks have seen these clicks.
        shape_zyx: of the case's grid.
        packed: see `pack_mask`.
    """

    version: int
    revision: int
    final: bool
    shape_zyx: tuple[int, ...]
    packed: bytes

    @property
    def mask_zyx(self) -> np.ndarray:
        """uint8 on the case's grid, 0 and 1; a new array each time."""
        bits = np.frombuffer(zlib.decompress(self.packed), np.uint8)
        return np.unpackbits(bits, count=math.prod(self.shape_zyx)).reshape(self.shape_zyx)


def pack_mask(mask_zyx: np.ndarray) -> bytes:
    """A mask of 0 and 1, eight voxels a byte and compressed, since masks of all sessions stay in memory."""
    return zlib.compress(np.packbits(mask_zyx).data, 1)

"""Tile files: what tiles gave, a file each, so that a restored session need not compute it again."""

import hashlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lesionclick.files import replacing
from lesionclick.inference.passes import Pass
from lesionclick.inference.tile_cache import TileKey
from lesionclick.inference.tile_sums import TileSum
from lesionclick.inference.tiles import TileStart

logger = logging.getLogger(__name__)

DIGEST_BYTES = 16

VOXEL = np.dtype("<f4")


class TileFiles:
    """The sums of tiles in a folder; each file holds one, float32, and a digest of these bytes behind them.

    A file's name tells whose sum it is, of which tile, clicks and passes; so what has a name already is not written.
    """

    def __init__(self, folder: Path, maker: str) -> None:
        """Files of what one maker computed.

        Args:
            folder: where they lie.
            maker: a digest of all that decides, beside input and settings, what the networks give.
        """
        self._folder = folder
        self._maker = maker

    def write(self, key: TileKey, tile_sum: TileSum) -> dict[str, Any]:
        """Writes a sum where it is missing.

        Args:
            key: which tile, with which clicks.
            tile_sum: in host memory.

        Returns:
            All that `read_all` has to know of it, for JSON.

        Raises:
            CaseError: the file cannot be written.
        """
        start, clicks = key
        peak = float(tile_sum.peak)
        about = {
            "start": list(start),
            "clicks": clicks.hex(),
            "peak": peak if math.isfinite(peak) else None,
            "passes": [[each.network, each.mirrorings, each.weight, each.everywhere] for each in tile_sum.passes],
        }
        name = self._name(about)
        if not (self._folder / name).is_file():
            voxels = tile_sum.total.contiguous().numpy().astype(VOXEL, copy=False)
            with replacing(self._folder / name) as temporary, temporary.open("wb") as file:
                file.write(voxels.data)
                file.write(_digest(voxels.data))
        return {"file": name, **about}

    def read_all(self, entries: Sequence[Mapping[str, Any]], patch: Sequence[int]) -> list[tuple[TileKey, TileSum]]:
        """Reads sums; one whose file is missing or damaged is left out, with a warning.

        Args:
            entries: as `write` gave them.
            patch: the tiles' size, voxels.

        Raises:
            KeyError, TypeError, ValueError: entries are not as `write` gave them.
        """
        found = []
        for entry in entries:
            about = {name: entry[name] for name in ("start", "clicks", "peak", "passes")}
            if entry["file"] != self._name(about):
                raise ValueError(f"{json.dumps(entry['file'])} is not the file of its tile")
            total = self._read(self._folder / entry["file"], patch)
            if total is not None:
                found.append(((TileStart(*entry["start"]), bytes.fromhex(entry["clicks"])), _to_sum(entry, total)))
        if len(found) < len(entries):
            logger.warning(
                "%s: %d of %d files of tiles are missing or damaged, they are computed again",
                *(self._folder, len(entries) - len(found), len(entries)),
            )
        return found

    def _name(self, about: Mapping[str, Any]) -> str:
        text = json.dumps([self._maker, about], sort_keys=True)
        return f"tile-{hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).hexdigest()}.bin"

    def _read(self, path: Path, patch: Sequence[int]) -> torch.Tensor | None:
        try:
            content = path.read_bytes()
        except OSError:
            return None
        voxels, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
        if len(voxels) != math.prod(patch) * VOXEL.itemsize or _digest(voxels) != digest:
            return None
        return torch.from_numpy(np.frombuffer(voxels, VOXEL).astype(np.float32).reshape(tuple(patch)))


def _to_sum(entry: Mapping[str, Any], total: torch.Tensor) -> TileSum:
    tile_sum = TileSum(torch.device("cpu"), ())
    tile_sum.total = total
    tile_sum.peak = torch.tensor(-torch.inf if entry["peak"] is None else entry["peak"])
    for network, mirrorings, weight, everywhere in entry["passes"]:
        tile_sum.passes += (Pass(network, tuple(tuple(axes) for axes in mirrorings), weight, everywhere),)
        tile_sum.weight += weight
    return tile_sum


def _digest(content: Any) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()

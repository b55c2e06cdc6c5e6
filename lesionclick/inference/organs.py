"""Organs: one pass of one network over the tiles, blended as lesions are.

Organs depend on the images and hardly on clicks, so they are no part of what a session computes anew with each click,
nor of its cache. Who wants them pays for one more forward pass a tile.
"""

from collections.abc import Sequence

import numpy as np
import torch

from lesionclick.case.organs import ORGAN_CLASSES
from lesionclick.errors import ModelError
from lesionclick.inference.executor import ORGAN_NETWORK, Executor
from lesionclick.inference.tile_inputs import TileInputs
from lesionclick.inference.tile_sums import OUTSIDE_LOGIT
from lesionclick.inference.tiles import Tile
from lesionclick.log import Progress


@torch.inference_mode()
def predict_organ_logits(executor: Executor, inputs: TileInputs, tiles: Sequence[Tile]) -> np.ndarray:
    """See `Ensemble.predict_organs`. The sums of all classes are kept in host memory."""
    fold = executor.model.organ_fold
    grid = inputs.grid
    total = torch.zeros((ORGAN_CLASSES, *grid.padded_shape))
    importance = grid.importance.to(executor.engine.device)
    with Progress("organs", len(tiles), "forward passes") as progress:
        for tile in tiles:
            weighted = _compute(executor, inputs.batch([(tile, ())])) * importance
            total[(slice(None), *tile)] += weighted.cpu()
            progress.update(1)
    if not bool(torch.isfinite(total).all()):
        raise ModelError(f"{fold.path}: its network gives values that are not finite")
    seen = inputs.images.importance(tiles)
    total.div_(seen.clamp(min=torch.finfo(seen.dtype).tiny))
    total[1:].masked_fill_(seen == 0, OUTSIDE_LOGIT)
    classes_last = total.movedim(0, -1)  # `crop` cuts the first axes; neither copies
    cropped: np.ndarray = grid.crop(classes_last).movedim(-1, 0).numpy()
    return cropped


def _compute(executor: Executor, batch: torch.Tensor) -> torch.Tensor:
    """Logits of a single tile, (classes, *patch)."""
    while True:
        network = executor.networks.get(ORGAN_NETWORK)
        try:
            return executor.compute(network, batch)[0]
        except torch.cuda.OutOfMemoryError:
            executor.free_memory(ORGAN_NETWORK)
            torch.cuda.empty_cache()

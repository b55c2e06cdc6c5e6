"""Corrective clicks: a training sample's clicks come from the errors of the network that is trained.

Clicks that are drawn from the truth alone fall mostly where the network is right already. A reader clicks where it is
wrong, and so do these.
"""

import numpy as np
import torch
from torch import nn

from lesionclick.case.clicks import Click
from lesionclick.model.encoding import Encoding
from lesionclick.simulation.corrections import corrective_click
from lesionclick_training.augmentation.intensities import PET_CHANNEL, Intensities
from lesionclick_training.data.nnunet_layout import UNKNOWN

MAX_ROUNDS = 3

IMAGE_CHANNELS = 2  # CT and PET; behind them tumor and background clicks


def with_corrective_clicks(
    network: nn.Module,
    data: torch.Tensor,
    lesion: torch.Tensor,
    encoding: Encoding,
    share: float,
    generator: np.random.Generator,
    pet: Intensities | None = None,
) -> torch.Tensor:
    """A batch of which some samples have clicks in the errors of a network in place of their own.

    For each of them a number of rounds is drawn, 1 to `MAX_ROUNDS` alike. The network begins without clicks; each round
    predicts with all clicks so far and adds one, on the deepest voxel of the largest error. Where there is no error no
    click is added. So a sample has as many clicks as rounds, or fewer.

    Args:
        network: gives logits of lesions, finest first, in evaluation; run in evaluation and without gradients.
        data: (batch, 4, z, y, x) on the network's device; stays.
        lesion: (batch, z, y, x), 1 lesion, 0 none, `UNKNOWN` where nobody knows, which is no error.
        encoding: how clicks look.
        share: of the samples, each drawn for itself.
        generator: what every random choice comes from.
        pet: how the PET is normalized; an encoding that shows uptake needs it.
    """
    chosen = np.flatnonzero(generator.random(len(data)) < share)
    if not chosen.size:
        return data
    data = data.clone()
    data[chosen, IMAGE_CHANNELS:] = 0
    rounds = generator.integers(1, MAX_ROUNDS, size=len(data), endpoint=True)
    labels = lesion.cpu().numpy()
    clicks: dict[int, tuple[Click, ...]] = {int(sample): () for sample in chosen}
    for step in range(MAX_ROUNDS):
        open_samples = [sample for sample in clicks if rounds[sample] > step]
        if not open_samples:
            break
        masks = _predict(network, data[open_samples])
        for sample, mask in zip(open_samples, masks, strict=True):
            mask[labels[sample] == UNKNOWN] = False
            correction = corrective_click(mask, labels[sample] == 1)
            clicks[sample] = tuple(dict.fromkeys((*clicks[sample], *correction)))
            if not correction:
                rounds[sample] = 0
            suv = None if pet is None else pet.to_physical(data[sample, PET_CHANNEL].cpu().numpy())
            data[sample, IMAGE_CHANNELS:] = _encode(clicks[sample], mask.shape, encoding, suv).to(data.device)
    return data


def _predict(network: nn.Module, data: torch.Tensor) -> np.ndarray:
    """Masks of a batch, bool (batch, z, y, x)."""
    is_training = network.training
    network.eval()
    try:
        with torch.no_grad(), torch.autocast(data.device.type, enabled=data.device.type == "cuda"):
            logits = network(data)[0]
    finally:
        network.train(is_training)
    mask: np.ndarray = (logits[:, 1] > logits[:, 0]).cpu().numpy()
    return mask


def _encode(
    clicks: tuple[Click, ...], shape: tuple[int, ...], encoding: Encoding, suv_zyx: np.ndarray | None
) -> torch.Tensor:
    """The two channels of clicks, (2, z, y, x)."""
    maps = []
    for label in ("tumor", "background"):
        points = [(click.z, click.y, click.x) for click in clicks if click.label == label]
        maps.append(encoding.encode(np.array(points, dtype=np.int64).reshape(-1, 3), shape, suv_zyx))
    return torch.from_numpy(np.stack(maps))

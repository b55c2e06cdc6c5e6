"""Teacher: an ensemble that tells a network in training, the student, what lesions it sees in the same patch.

So one network comes to say about what ten say together, at a tenth of their passes (distillation, arXiv 1503.02531).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from lesionclick.errors import ModelError
from lesionclick.files import short_json
from lesionclick.inference.backend import Network
from lesionclick.inference.engine import Engine
from lesionclick.model.encoding import Encoding
from lesionclick.model.files import PLANS_FILE, PROMPT_FILE
from lesionclick.model.folder import ModelFolder
from lesionclick.model.plans import decisive_part, find_difference
from lesionclick_training.nnunet.network_sizes import CONFIGURATION


def read_teacher(folder: Path, plans: Mapping[str, Any], encoding: Encoding | None) -> ModelFolder:
    """A teacher's model folder, packed or not, that sees what its student sees.

    Args:
        folder: of the ensemble.
        plans: all of the student's plans file.
        encoding: how clicks are shown to the student; None to show none.

    Raises:
        ModelError: the folder is missing or broken, or its networks take other inputs than the student.
    """
    model = ModelFolder.read(folder)
    channels = 2 if encoding is None else 4  # CT and PET; clicks on tumors, and on background
    if model.channels != channels:
        raise ModelError(
            f"{folder}: its networks read {model.channels} channels, expected {channels} as the network to train"
        )
    comparisons = [(PLANS_FILE, dict(model.plans), decisive_part(plans, CONFIGURATION))]
    if encoding is not None:
        comparisons.append((PROMPT_FILE, model.encoding.to_json(), encoding.to_json()))
    for file, taught, trained in comparisons:
        found = find_difference(trained, taught)
        if found:
            name, expected, differing = found
            raise ModelError(
                f"{folder / file}: {name} is {short_json(differing)}, expected {short_json(expected)} as for the"
                " network to train"
            )
    return model


class Teacher:
    """The networks of an ensemble in memory, as inference computes them but without mirroring."""

    def __init__(self, networks: Sequence[Network]) -> None:
        """Takes networks that are ready to compute on the device of the student's batches."""
        self._networks = networks

    @classmethod
    def load(cls, folder: Path, plans: Mapping[str, Any], encoding: Encoding | None, device: torch.device) -> Self:
        """Reads the networks of a folder; on a CPU they compute in bfloat16 where it can, on a GPU in float16.

        Args:
            folder: see `read_teacher`.
            plans: likewise.
            encoding: likewise.
            device: that of the student.

        Raises:
            ModelError: see `read_teacher`.
        """
        model = read_teacher(folder, plans, encoding)
        bfloat16 = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
        engine = Engine.choose(str(device), "torch", "bfloat16" if bfloat16 else "auto")
        return cls([engine.prepare(model.load(fold), model.channels, model.patch) for fold in model.folds])

    @torch.no_grad()
    def lesion_probability(self, data: torch.Tensor) -> torch.Tensor:
        """The ensemble's probability of a lesion, which is that of the mean of its networks' logits.

        Args:
            data: the student's input, (batch, channels, z, y, x).

        Returns:
            float32 (batch, 1, z, y, x).
        """
        outputs = [network(data) for network in self._networks]
        return torch.stack([output[:, 1:2] - output[:, :1] for output in outputs]).mean(0).sigmoid()

    def append_to(self, targets: Sequence[torch.Tensor], data: torch.Tensor) -> list[torch.Tensor]:
        """Targets of deep supervision with the teacher's probability as their last channel, as `TaughtLoss` takes them.

        Args:
            targets: stored segmentations, finest first, (batch, channels, z, y, x) each.
            data: the student's input, of the finest size.

        Returns:
            float32; coarse voxels have the mean probability of the fine ones in them.
        """
        probability = self.lesion_probability(data)
        coarse = [nn.functional.interpolate(probability, target.shape[2:], mode="area") for target in targets]
        return [torch.cat([target.float(), each], dim=1) for target, each in zip(targets, coarse, strict=True)]

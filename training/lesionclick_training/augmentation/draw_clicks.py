"""Drawing of clicks in a training patch, the last step of augmentation: two more channels of its image."""

from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import ImageOnlyTransform

from lesionclick.model.encoding import EDTEncoding, Encoding
from lesionclick.simulation.official_clicks import challenge_background_clicks, challenge_tumor_clicks
from lesionclick_training.augmentation.choices import ClickCounts
from lesionclick_training.augmentation.custom_clicks import custom_background_clicks, custom_tumor_clicks
from lesionclick_training.augmentation.intensities import PET_CHANNEL, Intensities
from lesionclick_training.augmentation.scribbles import background_scribbles, tumor_scribbles

OFFSET = 3  # voxels an axis by which a click in training is moved at most (arXiv 2508.21680)

MAX_CLICKS = 10  # of a label in a training sample (arXiv 2508.21680)

PUBLISHED_ENCODING = EDTEncoding(radius=2)

CUSTOM_PROBABILITY = 0.2
"""Share of the samples whose clicks follow the custom scheme, where a variant mixes it in (arXiv 2508.21680)."""


class DrawClicks(ImageOnlyTransform):  # type: ignore[misc]  # a library without types
    """Appends the maps of foreground and background clicks to a patch.

    It stands after all augmentation of the image, so that clicks are as sharp as in use, and before the labels -1
    (outside of the image) become 0 and before the segmentation is downsampled for deep supervision.

    Takes an image of shape (2, z, y, x), CT and normalized PET, and a segmentation of shape (any, z, y, x) with the
    lesions in channel 0: 1 lesion, 0 none, -1 outside of the image, `UNKNOWN` where nobody knows. Gives an image of
    shape (4, z, y, x); the segmentation stays.

    Uptake is the normalized and augmented PET as it is. The challenge's scheme goes by its order alone; the custom
    scheme by its values above 0, which is the mean of lesions rather than no uptake (arXiv 2508.21680). What lies
    outside of the image or may be a lesion gets no click, and counts in no percentile. Random choices come from
    numpy's global state, which nnU-Net seeds in each worker (torch's it leaves the same in all).
    """

    def __init__(
        self,
        encoding: Encoding = PUBLISHED_ENCODING,
        custom_probability: float = CUSTOM_PROBABILITY,
        max_clicks: int = MAX_CLICKS,
        *,
        offset: int = OFFSET,
        counts: ClickCounts = ClickCounts.published,
        dropout: float = 0.0,
        scribbles: float = 0.0,
        pet: Intensities | None = None,
    ) -> None:
        """How clicks look and where they fall; the defaults are those of arXiv 2508.21680.

        Args:
            encoding: how clicks look.
            custom_probability: share of the patches whose clicks the custom scheme places.
            max_clicks: the most clicks of a label.
            offset: the most voxels an axis that a click is moved by.
            counts: how often there are how many of a label.
            dropout: share of the patches that show no click of either label, whether they have lesions or not.
            scribbles: share of the patches, of those that show any, in which as many lines take the place of clicks.
            pet: how the PET is normalized; an encoding that shows uptake needs it.
        """
        super().__init__()
        self.encoding = encoding
        self.custom_probability = custom_probability
        self.max_clicks = max_clicks
        self.offset = offset
        self.counts = counts
        self.dropout = dropout
        self.scribbles = scribbles
        self.pet = pet

    def get_parameters(self, **data_dict: Any) -> dict[str, np.ndarray]:
        """Draws clicks: `tumor` and `background`, int64 arrays of shape (clicks, 3), z, y, x in the patch."""
        generator = np.random.default_rng(np.random.randint(2**32, size=4, dtype=np.uint32))
        if self.dropout and generator.random() < self.dropout:
            none = np.zeros((0, 3), dtype=np.int64)
            return {"tumor": none, "background": none}
        tumor_count = draw_count(generator, self.max_clicks, self.counts)
        background_count = draw_count(generator, self.max_clicks, self.counts)
        labels = data_dict["segmentation"][0].numpy()
        lesion, healthy = labels > 0, labels == 0
        pet = data_dict["image"][1].numpy()
        if self.scribbles and generator.random() < self.scribbles:
            return {
                "tumor": tumor_scribbles(lesion, tumor_count, generator),
                "background": background_scribbles(pet, healthy, background_count, generator),
            }
        if generator.random() < self.custom_probability:
            return {
                "tumor": custom_tumor_clicks(lesion, tumor_count, generator, self.offset),
                "background": custom_background_clicks(pet, healthy, background_count, generator),
            }
        return {
            "tumor": challenge_tumor_clicks(lesion, tumor_count, generator, self.offset),
            "background": challenge_background_clicks(pet, healthy, background_count, generator, self.offset),
        }

    def _apply_to_image(self, img: torch.Tensor, **params: np.ndarray) -> torch.Tensor:
        suv = None if self.pet is None else self.pet.to_physical(img[PET_CHANNEL].numpy())
        maps = [self.encoding.encode(params[label], img.shape[1:], suv) for label in ("tumor", "background")]
        return torch.cat([img, *(torch.from_numpy(encoded)[None] for encoded in maps)])


def draw_count(
    generator: np.random.Generator, max_clicks: int = MAX_CLICKS, counts: ClickCounts = ClickCounts.published
) -> int:
    """How many clicks of one label a training sample gets.

    Returns:
        k of 0 to `max_clicks`, with a probability proportional to log(max_clicks + 2 - k) as in arXiv 2508.21680, or
        each alike.
    """
    if counts == ClickCounts.uniform:
        return int(generator.integers(max_clicks, endpoint=True))
    weights = np.log(max_clicks + 2.0 - np.arange(max_clicks + 1))
    return int(generator.choice(max_clicks + 1, p=weights / weights.sum()))

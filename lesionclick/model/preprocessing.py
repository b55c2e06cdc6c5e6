"""From the image's grid to the network's and back: transpose, crop, normalize, resample, as nnU-Net does it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from nnunetv2.preprocessing.normalization import default_normalization_schemes
from nnunetv2.preprocessing.normalization.default_normalization_schemes import CTNormalization, ImageNormalization
from scipy import ndimage

from lesionclick.model.grid import NetworkGrid, require_grid
from lesionclick.model.plans import intensities_of
from lesionclick.model.resampling import NNUNET_FUNCTION, resample
from lesionclick.model.schema import read_intensities, read_order_of_axes, read_resampling, read_spacing

PET_CHANNEL = 1  # behind the CT


@dataclass(frozen=True)
class Preprocessing:
    """What a plans file says of the way from an image to a network's input and back.

    Attributes:
        transpose: the image's axis (of z, y, x) behind each of the network's axes.
        spacing: of the network's grid, mm, in the order of its axes.
        normalizations: one nnU-Net normalization a channel.
        image_resampling: keyword arguments of nnU-Net's default resampling for images.
        logit_resampling: the same for the network's output.
    """

    transpose: tuple[int, ...]
    spacing: tuple[float, ...]
    normalizations: tuple[ImageNormalization, ...]
    image_resampling: Mapping[str, Any]
    logit_resampling: Mapping[str, Any]

    @classmethod
    def from_plans(cls, plans: Mapping[str, Any], configuration: Mapping[str, Any]) -> "Preprocessing":
        """Reads the part of an nnU-Net plans file that concerns preprocessing.

        Args:
            plans: the whole file.
            configuration: the one to use, as `plans.read_configuration` gives it.

        Raises:
            KeyError, TypeError, ValueError: the plans lack something or ask for what is not supported.
        """
        for key in ("resampling_fn_data", "resampling_fn_probabilities"):
            if configuration[key] != NNUNET_FUNCTION:
                raise ValueError(f"{key} is {configuration[key]!r}, supported is {NNUNET_FUNCTION}")
        transpose = read_order_of_axes(plans["transpose_forward"], "transpose_forward")
        backward = list(read_order_of_axes(plans["transpose_backward"], "transpose_backward"))
        if backward != [transpose.index(axis) for axis in range(3)]:
            raise ValueError(
                f"transpose_backward is {backward}, which does not undo transpose_forward {list(transpose)}"
            )
        spacing = read_spacing(configuration)
        schemes, masked = configuration["normalization_schemes"], configuration["use_mask_for_norm"]
        if len(schemes) == 4 and list(schemes[2:]) == ["NoNormalization"] * 2:  # of clicks that are listed as channels
            schemes, masked = schemes[:2], masked[:2]
        if len(schemes) != 2:
            raise ValueError(
                f"normalization_schemes is {list(schemes)}, expected one for CT and one for PET, and none or two of"
                " NoNormalization for clicks"
            )
        intensities = intensities_of(plans)
        normalizations = []
        for channel, (scheme, mask) in enumerate(zip(schemes, masked, strict=True)):
            found = getattr(default_normalization_schemes, scheme, None) if isinstance(scheme, str) else None
            if not (isinstance(found, type) and issubclass(found, ImageNormalization)):
                raise ValueError(f"normalization scheme {scheme!r} is not one of nnU-Net's")
            if not isinstance(mask, bool):
                raise ValueError(f"use_mask_for_norm is {list(masked)}, expected true or false for each channel")
            properties = intensities[str(channel)]
            if found is CTNormalization:
                properties = read_intensities(properties, channel)
            normalizations.append(found(use_mask_for_norm=mask, intensityproperties=properties))
        return cls(
            transpose=transpose,
            spacing=spacing,
            normalizations=tuple(normalizations),
            **{
                name: read_resampling(configuration[f"{function}_kwargs"], f"{function}_kwargs")
                for name, function in (
                    ("image_resampling", "resampling_fn_data"),
                    ("logit_resampling", "resampling_fn_probabilities"),
                )
            },
        )

    @property
    def spacing_zyx(self) -> tuple[float, ...]:
        """The spacing of the network's grid in the order of the image's axes, mm."""
        return tuple(self.spacing[self.transpose.index(axis)] for axis in range(3))

    def to_network(self, image: np.ndarray, spacing_zyx: Sequence[float]) -> tuple[np.ndarray, NetworkGrid]:
        """Transposes, crops to non-zero, normalizes and resamples.

        Args:
            image: float32 of shape (channel, z, y, x), CT in HU and PET in SUV; left as it is.
            spacing_zyx: its spacing, mm.

        Returns:
            float32 array of shape (channel, *grid.shape) and the grid it is on.
        """
        order = self.transpose
        transposed = image.transpose(0, *(axis + 1 for axis in order))
        nonzero = (transposed != 0).any(axis=0)
        box = _bounding_box(nonzero)
        cropped = transposed[:, *box]
        outside = None
        if any(normalization.use_mask_for_norm for normalization in self.normalizations):
            outside = ndimage.binary_fill_holes(nonzero[box]).astype(np.int8) - 1  # -1 outside, as nnU-Net has it
        image_spacing = tuple(float(spacing_zyx[axis]) for axis in order)
        sizes = zip(cropped.shape[1:], image_spacing, self.spacing, strict=True)
        grid = NetworkGrid(
            transpose=order,
            image_shape=image.shape[1:],
            crop_start=tuple(side.start for side in box),
            cropped_shape=cropped.shape[1:],
            shape=tuple(max(1, round(old / new * size)) for size, old, new in sizes),
            image_spacing=image_spacing,
            spacing=self.spacing,
        )
        require_grid(grid)
        result = np.empty((len(self.normalizations), *grid.shape), dtype=np.float32)
        for channel, normalization in enumerate(self.normalizations):
            # a copy, since nnU-Net computes in place and the caller's image stays as it is
            normalized = normalization.run(cropped[channel].astype(np.float32, copy=True), outside)
            result[channel] = resample(normalized, grid.shape, image_spacing, self.spacing, self.image_resampling)
        return result, grid

    def require_suv(self) -> None:
        """Checks that `to_suv` can say what a normalized PET was.

        Raises:
            ValueError: the PET is normalized by what is different in each image.
        """
        normalization = self.normalizations[PET_CHANNEL]
        if not isinstance(normalization, CTNormalization):
            raise ValueError(
                f"normalization scheme {type(normalization).__name__} of the PET, expected CTNormalization,"
                " since clicks show uptake"
            )

    def to_suv(self, pet: np.ndarray) -> np.ndarray:
        """SUV of the PET as `to_network` normalized it, clipped as it was there; float32. See `require_suv`."""
        numbers = self.normalizations[PET_CHANNEL].intensityproperties
        suv: np.ndarray = pet * np.float32(numbers["std"]) + np.float32(numbers["mean"])
        return suv

    def to_image(self, logit: np.ndarray, grid: NetworkGrid) -> np.ndarray:
        """The way back: resamples a network's output to the cropped box and puts the box back into the image.

        Args:
            logit: float32 of shape grid.shape.
            grid: as `to_network` returned it.

        Returns:
            float32 array of shape grid.image_shape (z, y, x), minus infinity where the image was cropped away.
        """
        resampled = resample(logit, grid.cropped_shape, grid.spacing, grid.image_spacing, self.logit_resampling)
        result = np.full(grid.image_shape, -np.inf, dtype=np.float32)
        box = tuple(slice(start, start + size) for start, size in zip(grid.crop_start, grid.cropped_shape, strict=True))
        result.transpose(grid.transpose)[box] = resampled
        return result


def _bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box round what is true; everything where nothing is."""
    found: list[tuple[slice, ...]] = ndimage.find_objects(mask.view(np.uint8))
    return found[0] if found else tuple(slice(0, size) for size in mask.shape)

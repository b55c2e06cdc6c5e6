"""Network plan: the residual U-Net of a plans file, read within bounds before anything of it is built."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from lesionclick.model.bounds import (
    AXES,
    MAX_STAGES,
    listed,
    mapping,
    per_stage,
    per_stage_and_axis,
    short,
    whole_number,
)

MAX_FEATURES, MAX_KERNEL, MAX_STRIDE, MAX_BLOCKS = 4096, 15, 8, 64
"""Of a network: the published one has 320 features, kernels of 3, strides of 2 and 6 blocks."""

MAX_PATCH = 1024
"""Voxels along an axis."""

MAX_ACTIVATIONS = 1 << 30
"""Numbers in the largest feature map of a patch, which is several times in memory; the published network's has 2^28."""

_CLASSES = {
    "conv_op": ("Conv3d",),
    "norm_op": ("InstanceNorm3d",),
    "dropout_op": ("Dropout", "Dropout3d", "AlphaDropout"),
    "nonlin": ("LeakyReLU", "ReLU", "PReLU", "ELU", "GELU", "SiLU", "Mish", "SELU", "CELU"),
}
"""Of torch.nn, by the argument of the network that they are given as."""

_OPTIONS = ("norm_op_kwargs", "dropout_op_kwargs", "nonlin_kwargs")

_ARGUMENTS = {
    *("n_stages", "features_per_stage", "kernel_sizes", "strides", "n_blocks_per_stage", "n_conv_per_stage_decoder"),
    *("conv_bias", "stem_channels", "bottleneck_channels", "block"),
    *_CLASSES,
    *_OPTIONS,
}


@dataclass(frozen=True)
class NetworkPlan:
    """A residual U-Net, as far as its size goes.

    Attributes:
        features: of each stage of the encoder.
        kernels: of each stage, three sizes.
        strides: of each stage, three steps.
        blocks: residual blocks of each stage of the encoder.
        decoder_convolutions: of each stage of the decoder, which has one less.
    """

    features: tuple[int, ...]
    kernels: tuple[tuple[int, ...], ...]
    strides: tuple[tuple[int, ...], ...]
    blocks: tuple[int, ...]
    decoder_convolutions: tuple[int, ...]

    @classmethod
    def read(cls, architecture: Mapping[str, Any]) -> "NetworkPlan":
        """Reads the entry "architecture" of a plans file's configuration, all arguments of the network included."""
        arguments = mapping(architecture["arch_kwargs"], "arch_kwargs")
        unknown = sorted(str(key) for key in arguments.keys() - _ARGUMENTS)
        if unknown:
            raise ValueError(f"arch_kwargs has the entry {unknown[0]!r}, which no network has")
        imports = listed(architecture["_kw_requires_import"], "_kw_requires_import", most=len(_CLASSES))
        if not set(map(str, imports)) <= _CLASSES.keys():
            raise ValueError(f"_kw_requires_import is {imports}, expected some of {', '.join(_CLASSES)}")
        for key, classes in _CLASSES.items():
            _require_class(arguments.get(key), key, classes)
        for key in _OPTIONS:
            _require_options(arguments.get(key), key)
        if type(arguments["conv_bias"]) is not bool:
            raise ValueError(f"conv_bias is {arguments['conv_bias']!r}, expected true or false")
        if arguments.get("block") is not None:
            raise ValueError(f"block is {short(arguments['block'])}, expected none, which means residual blocks")
        stages = whole_number(arguments["n_stages"], "n_stages", 2, MAX_STAGES)
        for key, count in (("stem_channels", 1), ("bottleneck_channels", stages)):
            if arguments.get(key) is not None:
                per_stage(arguments[key], key, count, 1, MAX_FEATURES)
        return cls(
            features=per_stage(arguments["features_per_stage"], "features_per_stage", stages, 1, MAX_FEATURES),
            kernels=per_stage_and_axis(arguments["kernel_sizes"], "kernel_sizes", stages, MAX_KERNEL),
            strides=per_stage_and_axis(arguments["strides"], "strides", stages, MAX_STRIDE),
            blocks=per_stage(arguments["n_blocks_per_stage"], "n_blocks_per_stage", stages, 1, MAX_BLOCKS),
            decoder_convolutions=per_stage(
                arguments["n_conv_per_stage_decoder"], "n_conv_per_stage_decoder", stages - 1, 1, MAX_BLOCKS
            ),
        )

    @property
    def total_stride(self) -> tuple[int, ...]:
        """The factor, along each axis, by which the coarsest feature map is smaller than the input."""
        return tuple(math.prod(steps) for steps in zip(*self.strides, strict=True))

    def read_patch(self, configuration: Mapping[str, Any]) -> tuple[int, ...]:
        """Size of the sliding window, voxels; each pooling of the network divides it without a rest."""
        sizes = listed(configuration["patch_size"], "patch_size", most=AXES)
        patch = tuple(whole_number(size, "patch_size", 1, MAX_PATCH) for size in sizes)
        if len(patch) != AXES or any(size % step for size, step in zip(patch, self.total_stride, strict=True)):
            raise ValueError(
                f"patch_size {list(patch)} is not three multiples of the strides' product {self.total_stride}"
            )
        activations = math.prod(patch) * self.features[0]
        if activations > MAX_ACTIVATIONS:
            raise ValueError(
                f"patch_size {list(patch)} with {self.features[0]} features makes {activations:,} numbers a feature"
                f" map, expected at most {MAX_ACTIVATIONS:,}"
            )
        return patch


def _require_class(value: Any, key: str, classes: Sequence[str]) -> None:
    if value is None and key in ("dropout_op", "norm_op", "nonlin"):
        return
    named = isinstance(value, str) and re.fullmatch(r"torch\.nn\.(\w+\.)*(\w+)", value, re.ASCII)
    if not named or named[2] not in classes:
        raise ValueError(
            f"{key} is {short(value)}, which is not a class of torch.nn that it can be: {', '.join(classes)}"
        )


def _require_options(value: Any, key: str) -> None:
    for name, option in (mapping(value, key) if value is not None else {}).items():
        if not isinstance(name, str) or not (option is None or isinstance(option, bool | Real)):
            raise ValueError(f"{key} has the entry {short(name)}: {short(option)}, expected numbers or true or false")
        if isinstance(option, Real) and not math.isfinite(option):
            raise ValueError(f"{key}.{name} is {option}, expected a finite number")
        if name == "track_running_stats" and option:
            raise ValueError(f"{key}.{name} is {option}, supported are networks that keep no statistics")

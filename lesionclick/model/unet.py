"""The residual U-Net that a plans file describes: built without values, then given those of a weights file."""

from collections.abc import Mapping
from typing import Any

import torch
from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet
from torch import nn

from lesionclick.model.network_plan import NetworkPlan

CLASSES = 2  # background, lesion

LESION_HEADS, ORGAN_HEADS = "decoder.seg_layers.", "decoder.organ_seg_layers."
"""What names of the last convolutions begin with, one a resolution: those for lesions and, beside them, for organs."""

STEM_KERNEL = "encoder.stem.convs.0.conv.weight"
"""Name of the first convolution's kernel, of shape (features, input channels, z, y, x)."""


def build_network(architecture: Mapping[str, Any], channels: int, classes: int = CLASSES) -> ResidualEncoderUNet:
    """Builds the network for inference: one output at full resolution, no heads for deep supervision.

    Its parameters are on the `meta` device, without values, until `set_weights` gives them some.

    Args:
        architecture: the entry "architecture" of a plans file's configuration.
        channels: input channels, 4 (CT, PET, tumor clicks, background clicks) or 2 (CT, PET).
        classes: of its output, 2 for lesions; for organs the head at `organ_head_name` takes the lesion head's place.

    Returns:
        A module from float (batch, channels, z, y, x) to logits (batch, classes, z, y, x).

    Raises:
        KeyError, TypeError, ValueError: the plans lack something or ask for what is not supported.
    """
    expected = f"{ResidualEncoderUNet.__module__}.{ResidualEncoderUNet.__name__}"
    if architecture["network_class_name"] != expected:
        raise ValueError(f"network_class_name is {architecture['network_class_name']!r}, supported is {expected}")
    NetworkPlan.read(architecture)  # nothing is built that is beyond its bounds
    arguments = dict(architecture["arch_kwargs"])
    for key in architecture["_kw_requires_import"]:
        if arguments[key] is not None:
            arguments[key] = _torch_class(arguments[key])
    with torch.device("meta"):
        network = ResidualEncoderUNet(input_channels=channels, num_classes=classes, deep_supervision=False, **arguments)
    heads = network.decoder.seg_layers
    for index in range(len(heads) - 1):
        heads[index] = nn.Identity()  # a head for deep supervision, which only training needs
    return network.eval().requires_grad_(False)


def _torch_class(name: str) -> type[nn.Module]:
    """A module class of torch.nn by its dotted name; nothing else can be named by a plans file."""
    found = getattr(nn, name.rpartition(".")[2], None) if name.startswith("torch.nn.") else None
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ValueError(f"{name!r} is not a class of torch.nn")
    return found


def parameter_shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Name and shape of every parameter, each once, although the network's modules share some under other names."""
    return {name: tuple(parameter.shape) for name, parameter in network.named_parameters()}


def organ_head_name(name: str) -> str:
    """Where a file keeps the parameter `name` of a network for organs: all but the head is that of the lesions'."""
    return ORGAN_HEADS + name.removeprefix(LESION_HEADS) if name.startswith(LESION_HEADS) else name


def set_weights(network: nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    """Gives a network its values, which it keeps without copying, in all places that share a parameter.

    Args:
        network: as `build_network` made it.
        weights: one tensor for each name of `parameter_shapes`, of that shape.
    """
    replacements: dict[int, nn.Parameter] = {}
    for name, parameter in network.named_parameters():
        replacements[id(parameter)] = nn.Parameter(weights[name], requires_grad=False)
    for module in network.modules():
        for key, parameter in module.named_parameters(recurse=False):
            setattr(module, key, replacements.get(id(parameter), parameter))

"""Plans of nnU-Net 2.1 to 2.8, old style and new: the configuration in use, and what of it decides a prediction."""

import math
import warnings
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from lesionclick.model.bounds import AXES, MAX_STAGES, listed, per_stage, per_stage_and_axis, whole_number

NETWORK_CLASS = "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"
"""Where dynamic-network-architectures keeps the residual U-Net."""

FORMER_NETWORK_CLASS = "dynamic_network_architectures.architectures.residual_unet.ResidualEncoderUNet"
"""Where older plans, and those that nnU-Net converts, say that it is."""

TOLERANCE = 1e-6
"""Numbers that differ by less, relatively, are one number that was rounded."""

MAX_PARENTS = 20
"""That a configuration inherits from, one from the other."""

_DECISIVE = (
    "patch_size",
    "spacing",
    "normalization_schemes",
    "use_mask_for_norm",
    "resampling_fn_data",
    "resampling_fn_data_kwargs",
    "resampling_fn_probabilities",
    "resampling_fn_probabilities_kwargs",
)

_INTENSITIES = ("mean", "std", "percentile_00_5", "percentile_99_5")


def read_configuration(plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A configuration of a plans file with what it inherits, in the style of nnU-Net 2.8.

    As in nnU-Net an entry of a configuration replaces the whole entry of that name in the one that it inherits from,
    and the converted architecture of old plans is what nnU-Net itself makes of it.

    Args:
        plans: the whole file.
        name: of the configuration.

    Raises:
        LookupError, TypeError, ValueError, AttributeError, RuntimeError: the plans lack something, inherit in a circle
            or ask for a network that is not supported.
    """
    configurations = plans["configurations"]
    chain = [name]
    while "inherits_from" in configurations[chain[-1]]:
        parent = configurations[chain[-1]]["inherits_from"]
        if parent in chain:
            raise ValueError(f"configurations inherit in a circle: {', '.join([*chain, parent])}")
        if parent not in configurations:
            raise ValueError(f"configuration {chain[-1]!r} inherits from {parent!r}, which is missing")
        chain.append(parent)
        if len(chain) > MAX_PARENTS:
            raise ValueError(f"configuration {name!r} inherits from more than {MAX_PARENTS} others")
    configuration: dict[str, Any] = {}
    for each in reversed(chain):
        configuration.update(configurations[each])
    if "architecture" not in configuration:
        configuration = _from_old_style(configuration)
    architecture = configuration["architecture"]
    if architecture["network_class_name"] == FORMER_NETWORK_CLASS:
        configuration["architecture"] = {**architecture, "network_class_name": NETWORK_CLASS}
    return configuration


def _from_old_style(configuration: dict[str, Any]) -> dict[str, Any]:
    """The configuration of plans of nnU-Net 2.1 to 2.3 as nnU-Net converts it; it had one key for each number."""
    if "UNet_class_name" not in configuration:
        raise KeyError("architecture")
    if configuration["UNet_class_name"] != "ResidualEncoderUNet":
        raise ValueError(f"UNet_class_name is {configuration['UNet_class_name']!r}, supported is ResidualEncoderUNet")
    patch = listed(configuration["patch_size"], "patch_size", most=AXES)
    if len(patch) != AXES:
        raise ValueError(f"patch_size is {patch}, expected three sizes")
    stages = listed(configuration["n_conv_per_stage_encoder"], "n_conv_per_stage_encoder", most=MAX_STAGES)
    per_stage(configuration["n_conv_per_stage_decoder"], "n_conv_per_stage_decoder", len(stages) - 1, 1, 1 << 20)
    for key in ("UNet_base_num_features", "unet_max_num_features"):
        whole_number(configuration[key], key, 1, 1 << 20)
    for key in ("pool_op_kernel_sizes", "conv_kernel_sizes"):
        per_stage_and_axis(configuration[key], key, len(stages), 1 << 20)
    # imports most of nnU-Net, and is seldom needed
    from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the plans are old, which is why they are converted
        converted: dict[str, Any] = ConfigurationManager(configuration).configuration
    return converted


def intensities_of(plans: Mapping[str, Any]) -> Mapping[str, Any]:
    """The intensities of lesions in each channel, by which images are normalized; KeyError where there are none."""
    former = "foreground_intensity_properties_by_modality"  # nnU-Net's name for it before 2.0
    key = "foreground_intensity_properties_per_channel"
    intensities: Mapping[str, Any] = plans[former if key not in plans and former in plans else key]
    return intensities


def decisive_part(plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """All of a plans file that decides a prediction, as JSON, alike for plans that mean the same.

    Names, batch size, medians and other configurations are left out, and so are intensities that no normalization uses.

    Args:
        plans: the whole file.
        name: of the configuration in use.

    Raises:
        LookupError, TypeError, ValueError, AttributeError, RuntimeError: see `read_configuration`.
    """
    configuration = read_configuration(plans, name)
    architecture = configuration["architecture"]
    arguments = dict(architecture["arch_kwargs"])
    for key in architecture["_kw_requires_import"]:
        if arguments.get(key) is not None:
            arguments[key] = arguments[key].rpartition(".")[2]  # one class has several paths in torch.nn
    intensities = {}
    for channel, scheme in enumerate(configuration["normalization_schemes"]):
        if scheme == "CTNormalization":  # the only one of nnU-Net's that looks at them
            intensities[str(channel)] = {key: intensities_of(plans)[str(channel)][key] for key in _INTENSITIES}
    part: dict[str, Any] = _as_json(
        {
            **{key: plans[key] for key in ("transpose_forward", "transpose_backward")},
            **{key: configuration[key] for key in _DECISIVE},
            "network_class_name": architecture["network_class_name"],
            "arch_kwargs": {key: value for key, value in arguments.items() if value not in (None, {})},
            "foreground_intensity_properties_per_channel": intensities,
        }
    )
    return part


def _as_json(value: Any) -> Any:
    """A value of plain Python types, as JSON has them; plans in a checkpoint may hold tuples and numpy's numbers."""
    match value:
        case Mapping():
            return {str(key): _as_json(each) for key, each in value.items()}
        case list() | tuple():
            return [_as_json(each) for each in value]
        case None | bool() | str():
            return value
        case Integral():
            return int(value)
        case Real():
            return float(value)
    raise TypeError(f"{type(value).__name__} is not a type that plans hold")


def find_difference(first: Any, second: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """The first entry in which two decisive parts differ, by its dotted name, with both values; None where they agree.

    Numbers agree within `TOLERANCE`. An entry that one of the two lacks is None there.
    """
    if isinstance(first, dict) and isinstance(second, dict):
        for key in [*first, *(key for key in second if key not in first)]:
            found = find_difference(first.get(key), second.get(key), f"{name}.{key}" if name else key)
            if found:
                return found
        return None
    return None if _agree(first, second) else (name, first, second)


def _agree(first: Any, second: Any) -> bool:
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_agree, first, second))
    if isinstance(first, int | float) and isinstance(second, int | float):
        return math.isclose(first, second, rel_tol=TOLERANCE, abs_tol=1e-9)
    return bool(first == second)

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers_model import output_of_noise
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

from lesionclick.model.folder import ModelFolder
from lesionclick.model.unet import build_network, parameter_shapes
from lesionclick.testing import make_plans

ARCHITECTURE = make_plans()["configurations"]["3d_fullres"]["architecture"]


def test_network_is_nnunets_with_its_weights(model_folder: Path) -> None:
    theirs = get_network_from_plans(
        ARCHITECTURE["network_class_name"],
        ARCHITECTURE["arch_kwargs"],
        ARCHITECTURE["_kw_requires_import"],
        4,
        2,
        deep_supervision=False,
    ).eval()
    checkpoint = torch.load(model_folder / "fold_1" / "checkpoint_final.pth", weights_only=False)
    theirs.load_state_dict(checkpoint["network_weights"], strict=False)
    model = ModelFolder.read(model_folder)
    ours = model.load(model.folds[1])
    torch.testing.assert_close(output_of_noise(ours, 4, (16,) * 3), output_of_noise(theirs, 4, (16,) * 3))


@pytest.mark.parametrize("channels", [2, 4])
def test_each_parameter_is_listed_once(channels: int) -> None:
    network = build_network(ARCHITECTURE, channels)
    shapes = parameter_shapes(network)
    assert len(shapes) == len(list(network.parameters()))
    assert shapes["encoder.stem.convs.0.conv.weight"] == (4, channels, 3, 3, 3)
    assert not any("organ" in name for name in shapes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network_class_name": "os.system"}, "network_class_name is 'os.system'"),
        ({"arch_kwargs": {**ARCHITECTURE["arch_kwargs"], "nonlin": "os.system"}}, "is not a class of torch.nn"),
        ({"arch_kwargs": {**ARCHITECTURE["arch_kwargs"], "nonlin": "torch.nn.init"}}, "is not a class of torch.nn"),
    ],
)
def test_a_plans_file_names_classes_of_torch_alone(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_network({**ARCHITECTURE, **change}, 4)

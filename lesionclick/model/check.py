"""Checks of a model folder: every byte verified, what the folder is in words, and a fingerprint of its predictions."""

import hashlib
import json
from collections.abc import Iterable

from lesionclick.case.organs import ORGANS
from lesionclick.model.checksums import sha256_of
from lesionclick.model.files import PLANS_FILE
from lesionclick.model.folder import ModelFolder
from lesionclick.model.weights import Fold, WeightsFile, require_finite


def verify(model: ModelFolder) -> None:
    """Reads every byte of a model folder's weights, which `ModelFolder.read` leaves on disk where it can.

    Raises:
        ModelError: a checkpoint's checksums do not fit its bytes, or a weight is not finite.
    """
    for fold in model.folds:
        model.load(fold)
        for name, parameter in model.organ_head(fold).items():
            require_finite(fold.path, name, parameter)


def fingerprint(model: ModelFolder) -> str:
    """A sha256 sum of all that decides what a model predicts: its plans, its encoding and the weights of its folds."""
    sums = [sha256_of(model.path / PLANS_FILE), json.dumps(model.encoding.to_json())]
    sums += [f"{fold.name} {sha256_of(fold.path)}" for fold in model.folds]
    return hashlib.sha256("\n".join(sums).encode()).hexdigest()


def describe(model: ModelFolder) -> str:
    """What a model folder is, a line for each property, as `lesionclick check` prints it."""
    mirrorings = sorted({fold.mirror_axes for fold in model.folds})
    encoding = ", ".join(f"{key} {value}" for key, value in model.encoding.to_json().items())
    takes_clicks = model.channels == 4
    properties = {
        "model": str(model.path),
        "description": model.description or "none",
        "folds": ", ".join(fold.name for fold in model.folds),
        "parameters": f"{model.parameters:,} a network",
        "patch": f"{' x '.join(map(str, model.patch))} voxels",
        "spacing": f"{' x '.join(f'{value:g}' for value in model.preprocessing.spacing)} mm",
        "channels": "CT, PET, tumor clicks, background clicks" if takes_clicks else "CT, PET (takes no clicks)",
        "clicks": encoding if takes_clicks else "none",
        "organs": ", ".join(ORGANS) if any(fold.has_organ_head for fold in model.folds) else "none (no organ heads)",
        "mirroring": "; ".join(f"axes {', '.join(map(str, axes))}" if axes else "none" for axes in mirrorings),
        "trainer": ", ".join(sorted({fold.trainer for fold in model.folds})),
        "storage": _describe_storage(model.folds),
    }
    return "\n".join(f"{name:12} {value}" for name, value in properties.items())


def _describe_storage(folds: Iterable[Fold]) -> str:
    number_formats = set()
    for fold in folds:
        weights = WeightsFile(fold.path)
        number_formats |= {str(weights[name].dtype).removeprefix("torch.") for name in weights.names()}
    file_names = sorted({fold.path.name for fold in folds})
    size = sum(fold.path.stat().st_size for fold in folds)
    return f"{', '.join(file_names)} ({', '.join(sorted(number_formats))}), {size / 1e6:.1f} MB"

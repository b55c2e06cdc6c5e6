"""Capabilities: what the server tells viewers of the nnInteractive protocol about itself and its model."""

from typing import Any

import lesionclick
from lesionclick.server.settings import ModelIdentity


def license_text(model: ModelIdentity) -> str:
    """What viewers show as the model's license: what it is, and what it must not be used for."""
    description = model.description.strip().rstrip(".")
    networks = f"{model.networks} network{'' if model.networks == 1 else 's'}"
    parts = [
        f"LesionClick {lesionclick.__version__} (Apache-2.0) marks lesions in whole-body PET/CT, not single objects.",
        f"Model {model.name}, {networks}, SHA-256 {model.fingerprint[:12]}.",
        f"{description[:1].upper()}{description[1:]}." if description else "",
        "Not a medical device: for research only, not for diagnosis or treatment.",
    ]
    return " ".join(part for part in parts if part)


def capabilities(license_text: str) -> dict[str, Any]:
    """What the server tells a viewer about itself."""
    channels = {kind: [2, 3] for kind in ("points", "bbox", "scribble", "lasso")}  # behind CT and PET; nobody uses it
    return {
        "supported_interactions": {
            "points": True,
            "scribble": True,
            "bbox2d": False,
            "bbox3d": False,
            "lasso": False,
        },
        "channel_mapping": {"prev_seg": -1, **channels},
        "num_interaction_channels": 2,
        "supports_initial_label": True,
        "supports_zero_shot_label_refinement": False,
        "preferred_scribble_thickness": [1, 1, 1],
        "interaction_decay": None,
        "inference_session_version": f"LesionClick {lesionclick.__version__}",
        "license": license_text,
        "supports_undo": True,
        "do_autozoom": False,
        "patch_size": None,
    }

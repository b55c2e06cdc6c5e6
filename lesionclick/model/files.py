"""Names of the files in a model folder; docs/models.md says what each of them holds."""

import re

DATASET_FILE = "dataset.json"

PLANS_FILE = "plans.json"

PROMPT_FILE = "prompt.json"

CHECKPOINT_FILE = "checkpoint_final.pth"
"""Weights of one fold as nnU-Net v2 trains them."""

PACKED_FILE = "weights.safetensors"
"""Weights of one fold as `lesionclick pack` writes them."""

CHECKSUMS_FILE = "SHA256SUMS"


def fold_folder(name: int | str) -> str:
    """The folder of a fold, "fold_0" for the name 0 and "fold_all" for the name "all"."""
    return f"fold_{name}"


def fold_name(folder: str) -> str | None:
    """The name of the fold that a folder of this name holds, a number or "all"; None for any other folder."""
    found = re.fullmatch(r"fold_(0|[1-9][0-9]{0,3}|all)", folder)
    return found[1] if found else None


def is_misnamed_fold(folder: str) -> bool:
    """Whether a folder's name looks like a fold's whose number is written in another way, as fold_00 or fold_-1 is."""
    return fold_name(folder) is None and bool(re.fullmatch(r"(?i)fold[_ -]*(-?\d+|all)", folder))

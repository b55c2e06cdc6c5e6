"""Stock nnU-Net on a case in container layout, as `benchmarks.engine` runs it.

    python -m benchmarks.processes.stock CASE MODEL MASK.mha cpu|cuda [--no-mirroring]

Click maps go to `nnUNetPredictor` as image channels; nnU-Net's own code does the rest. Threads are set as nnU-Net's
command line sets them, unless OMP_NUM_THREADS does. Prints one line of JSON: seconds a stage and of the whole run, and
peak memory.
"""

import json
import multiprocessing
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from benchmarks.launch import STARTED_VARIABLE
from lesionclick.case.case import CLICKS_FILE, CT_FOLDER, PET_FOLDER, only_file
from lesionclick.case.clicks import read_clicks
from lesionclick.model.encoding import EDTEncoding, Encoding, encoding_from_json
from lesionclick.model.files import PROMPT_FILE


def run(case: Path, model: Path, mask: Path, device: str, mirroring: bool, started: float) -> dict[str, float]:
    """Predicts a case and writes its mask.

    Args:
        case: in container layout.
        model: an nnU-Net folder whose dataset lists the click maps as channels, if the network sees any.
        mask: the file to write.
        device: "cpu" or "cuda".
        mirroring: whether the networks also see mirrored tiles.
        started: when the process started, on time.monotonic.

    Returns:
        Seconds by stage, those since `started` as "total", and GB as "memory" and "gpu memory".
    """
    ends = {"import": time.monotonic()}
    predictor = nnUNetPredictor(
        0.5, True, mirroring, perform_everything_on_device=True, device=torch.device(device), allow_tqdm=False
    )
    folds = tuple(sorted(path.name.removeprefix("fold_") for path in model.glob("fold_*")))
    predictor.initialize_from_trained_model_folder(str(model), folds)
    ends["load"] = time.monotonic()

    files = [str(only_file(case / folder)) for folder in (CT_FOLDER, PET_FOLDER)]
    image, properties = SimpleITKIO().read_images(files)
    if len(predictor.dataset_json["channel_names"]) == 4:
        image = np.concatenate([image, _click_maps(case, model, image[1])])
    predict = predictor.predict_logits_from_preprocessed_data

    def timed(data: torch.Tensor) -> Any:
        ends["preprocessing"] = time.monotonic()
        logits = predict(data)
        ends["network"] = time.monotonic()
        return logits

    predictor.predict_logits_from_preprocessed_data = timed
    SimpleITKIO().write_seg(predictor.predict_single_npy_array(image, properties), str(mask), properties)
    ends["export"] = time.monotonic()
    return {
        **{stage: end - before for (stage, end), before in zip(ends.items(), [started, *ends.values()], strict=False)},
        "total": time.monotonic() - started,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        "gpu memory": torch.cuda.max_memory_reserved() / 1e9 if device == "cuda" else 0.0,
    }


def _click_maps(case: Path, model: Path, suv_zyx: np.ndarray) -> np.ndarray:
    """The maps of tumor and background clicks on the image's grid, (2, z, y, x)."""
    prompt = model / PROMPT_FILE
    encoding: Encoding = EDTEncoding()
    if prompt.exists():
        encoding = encoding_from_json(json.loads(prompt.read_text()), prompt)
    clicks = read_clicks(case / CLICKS_FILE, suv_zyx.shape)
    maps = []
    for label in ("tumor", "background"):
        points = [(click.z, click.y, click.x) for click in clicks if click.label == label]
        maps.append(encoding.encode(np.array(points, dtype=np.int64).reshape(-1, 3), suv_zyx.shape, suv_zyx))
    return np.stack(maps)


if __name__ == "__main__":
    case, model, mask, device, *options = sys.argv[1:]
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(multiprocessing.cpu_count() if device == "cpu" else 1)
    started = float(os.environ.get(STARTED_VARIABLE) or time.monotonic())
    print(json.dumps(run(Path(case), Path(model), Path(mask), device, "--no-mirroring" not in options, started)))

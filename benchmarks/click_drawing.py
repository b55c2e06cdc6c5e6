"""Click drawing: the transform `DrawClicks` on one patch, against one sample's share of a training step.

    python -m benchmarks.click_drawing [--rounds N] [--size full|small]

The patch has 192^3 voxels of 3 x 2 x 2 mm: a patient's trunk with smooth, noisy uptake, five hot organs and 20 lesions
of 4 to 40 mm. Drawing is timed on one thread, as in nnU-Net's background workers, at the default settings.

The training step is that of the published network (102.4 M parameters, patch 192^3). On a CPU it is estimated, since it
takes minutes: one forward pass of one 96^3 patch, in inference mode with bf16 autocast and all threads, times 8 for the
voxels, times 3 for forward and backward together. Where there is a CUDA device, a whole step (forward, backward, SGD;
batch 2, bf16 autocast, median of 5) is measured on it instead. Organ heads and losses are left out in both, which makes
the step seem shorter than it is. Besides, the table tells the wall time that drawing adds to a GPU's step of 0.5 and
1 s if nnU-Net's 12 workers, which it spreads over, did nothing but wait otherwise.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet
from scipy import ndimage
from torch import nn

from benchmarks.sizes import SIZES
from lesionclick.testing import make_plans
from lesionclick_training.augmentation.draw_clicks import DrawClicks

SPACING = np.array((3.0, 2.0, 2.0))  # mm
LESIONS, DIAMETERS = 20, (4.0, 40.0)  # mm
ORGAN_DIAMETERS = (60.0, 120.0)
BATCH = 2
FORWARD_AND_BACKWARD = 3  # times a forward pass
WORKERS = 12  # nnU-Net's default
GPU_STEPS = (0.5, 1.0)  # seconds


def make_patch(shape: Sequence[int], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A normalized patch: float32 image (CT and PET) and int16 segmentation (lesions and organs), each (2, z, y, x)."""
    generator = np.random.default_rng(seed)
    texture = ndimage.gaussian_filter(generator.normal(size=shape).astype(np.float32), 2)
    places_mm = [(np.arange(size) - size / 2) * step for size, step in zip(shape, SPACING, strict=True)]
    _, y, x = np.meshgrid(*places_mm, indexing="ij", sparse=True)
    trunk = np.broadcast_to((y / 110) ** 2 + (x / 160) ** 2 < 1, shape)
    suv = np.where(trunk, 1 + 4 * texture, 0.05)
    lesion, organs = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for diameter in np.geomspace(*ORGAN_DIAMETERS, 5):
        organs |= _ball(shape, generator, diameter)
    for diameter in np.geomspace(*DIAMETERS, LESIONS):
        lesion |= _ball(shape, generator, diameter)
    suv = ndimage.gaussian_filter(suv + 8 * organs + 6 * lesion, 1) + 2 * texture
    pet = (np.clip(suv, 1.0433, 51.2112) - 7.0638) / 7.9604  # CTNormalization with the published intensities
    image = torch.from_numpy(np.stack([texture, pet]).astype(np.float32))
    return image, torch.from_numpy(np.stack([lesion, organs]).astype(np.int16))


def _ball(shape: Sequence[int], generator: np.random.Generator, diameter: float) -> np.ndarray:
    """A ball of a diameter in mm somewhere in the trunk: bool of the patch's shape, at least one voxel."""
    center = generator.uniform(0.25, 0.75, 3) * shape
    axes = np.ogrid[tuple(slice(0, edge) for edge in shape)]
    distance = sum(((axis - middle) * step) ** 2 for axis, middle, step in zip(axes, center, SPACING, strict=True))
    return np.asarray(distance <= max((diameter / 2) ** 2, distance.min()))


def draw_milliseconds(shape: Sequence[int], rounds: int) -> list[float]:
    """Milliseconds of each of so many draws on one thread, in a patch of a shape."""
    image, segmentation = make_patch(shape)
    draw = DrawClicks()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    np.random.seed(0)
    draw(image=image, segmentation=segmentation)
    milliseconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        draw(image=image, segmentation=segmentation)
        milliseconds.append(1e3 * (time.perf_counter() - start))
    torch.set_num_threads(threads)
    return milliseconds


def step_seconds_cpu(size: dict[str, Any]) -> float:
    """One sample's share of a training step on this CPU, estimated as the module's text says."""
    edges = [edge // 2 for edge in size["patch"]]
    patch = torch.zeros(1, 4, *edges)
    network = _make_network(size).eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        seconds = _median_seconds(lambda: network(patch), 1)
    return seconds * FORWARD_AND_BACKWARD * float(np.prod(size["patch"]) / np.prod(edges))


def step_seconds_cuda(size: dict[str, Any]) -> float:
    """One sample's share of a training step on the CUDA device, measured."""
    patches = torch.zeros(BATCH, 4, *size["patch"], device="cuda")
    network = _make_network(size).cuda()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.99, nesterov=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16):
            loss = sum(output.float().square().mean() for output in network(patches))
        loss.backward()
        optimizer.step()
        torch.cuda.synchronize()

    return _median_seconds(step, 5) / BATCH


def _make_network(size: dict[str, Any]) -> nn.Module:
    plans = make_plans(**size)
    arguments = dict(plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"])
    arguments.update(conv_op=nn.Conv3d, norm_op=nn.InstanceNorm3d, nonlin=nn.LeakyReLU)
    network: nn.Module = ResidualEncoderUNet(input_channels=4, num_classes=2, deep_supervision=True, **arguments)
    return network


def _median_seconds(run: Callable[[], object], repeats: int) -> float:
    run()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a Markdown table of one row."""
    parser = argparse.ArgumentParser(prog="benchmarks.click_drawing", description="what drawing clicks costs")
    parser.add_argument("--rounds", type=int, default=40, help="draws; default: 40")
    parser.add_argument("--size", choices=list(SIZES), default="full", help="of patch and network; default: published")
    options = parser.parse_args(arguments)
    size = SIZES[options.size]
    milliseconds = draw_milliseconds(size["patch"], options.rounds)
    drawing = statistics.median(milliseconds)
    on_gpu = torch.cuda.is_available()
    step = step_seconds_cuda(size) if on_gpu else step_seconds_cpu(size)
    added = " and ".join(
        f"{100 * BATCH * drawing / 1e3 / WORKERS / seconds:.1f} % of {seconds} s" for seconds in GPU_STEPS
    )
    patch = " x ".join(map(str, size["patch"]))
    print(f"| patch {patch} | drawing, ms (range) | training step, s | drawing's share | spread over 12 workers |")
    print("| --- " * 5 + "|")
    print(
        f"| {'CUDA, measured' if on_gpu else 'CPU, estimated'} | {drawing:.0f} ({min(milliseconds):.0f} to "
        f"{max(milliseconds):.0f}) | {step:.2f} | {drawing / 1e3 / step:.2%} | {added} |"
    )


if __name__ == "__main__":
    main()

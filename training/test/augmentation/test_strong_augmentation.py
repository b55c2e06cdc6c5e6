from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from lesionclick_training.augmentation.ct_noise import CTNoise
from lesionclick_training.augmentation.intensities import Intensities, IntensityTransform
from lesionclick_training.augmentation.strong import strong_transforms
from lesionclick_training.augmentation.uptake_blur import BlurUptake
from lesionclick_training.augmentation.uptake_gamma import UptakeGamma
from lesionclick_training.augmentation.uptake_noise import UptakeNoise
from lesionclick_training.augmentation.uptake_scale import ScaleUptake

PET = Intensities(mean=7.0, std=8.0, lower=0.0, upper=50.0)

CT = Intensities(mean=40.0, std=60.0, lower=-900.0, upper=900.0)

SHAPE = (24, 26, 28)


def make_image(suv: float = 4.0, hu: float = 30.0) -> torch.Tensor:
    """A normalized image of one SUV and one HU."""
    ct, pet = (np.full(SHAPE, value, dtype=np.float32) for value in (hu, suv))
    return torch.from_numpy(np.stack([CT.normalize(ct), PET.normalize(pet)]))


def apply(transform: IntensityTransform, image: torch.Tensor, **params: Any) -> np.ndarray:
    """What a transform makes of an image with given parameters, in HU and SUV; the other channel must stay."""
    before = image.clone()
    done = transform.apply({"image": image}, **params)["image"]
    assert done.dtype == torch.float32
    assert torch.equal(image, before)
    other = 1 - transform.channel
    assert torch.equal(done[other], before[other])
    return np.stack([CT.to_physical(done[0].numpy()), PET.to_physical(done[1].numpy())])


def test_intensities_are_those_of_the_plans() -> None:
    plans = {"mean": 7.0, "std": 8.0, "percentile_00_5": 0.0, "percentile_99_5": 50.0, "median": 5.0}
    assert Intensities.from_plans(plans) == PET
    suv = np.array([-1, 0, 7, 50, 60], dtype=np.float32)
    np.testing.assert_allclose(PET.to_physical(PET.normalize(suv.copy())), [0, 0, 7, 50, 50], atol=1e-5)


def test_uptake_is_scaled_around_no_uptake() -> None:
    np.random.seed(0)
    transform = ScaleUptake(PET)
    factors = [transform.get_parameters(image=make_image())["factor"] for _ in range(2000)]
    assert 0.6 <= min(factors) < 0.61
    assert 1.58 < max(factors) <= 1.6
    assert abs(np.mean(np.log(factors)) - np.mean(np.log([0.6, 1.6]))) < 0.02
    for suv, scaled in ((0, 0), (4, 6), (48, 50)):  # the last is clipped as preprocessing does
        np.testing.assert_allclose(apply(transform, make_image(suv), factor=1.5)[1], scaled, atol=1e-5)


def test_gamma_keeps_none_and_the_mean() -> None:
    transform = UptakeGamma(PET)
    for suv, changed in ((0, 0), (7, 7), (7 / 4, 7 / 2), (28, 14)):
        np.testing.assert_allclose(apply(transform, make_image(suv), gamma=0.5)[1], changed, rtol=1e-4, atol=1e-5)
    np.random.seed(0)
    gammas = [transform.get_parameters(image=make_image())["gamma"] for _ in range(1000)]
    assert 0.75 <= min(gammas) < 0.8 < 1.3 < max(gammas) <= 1.35


def test_blur_spreads_uptake_and_keeps_its_sum() -> None:
    image = make_image(0)
    image[1, 12, 13, 14] = float(PET.normalize(np.array([40], dtype=np.float32))[0])
    blurred = apply(BlurUptake(PET), image, sigma=1.0)[1]
    expected = np.zeros(SHAPE)
    expected[12, 13, 14] = 40
    np.testing.assert_allclose(blurred, ndimage.gaussian_filter(expected, 1.0, truncate=3), atol=1e-4)
    assert blurred.sum() == pytest.approx(40, rel=1e-3)


def test_noise_grows_with_the_root_of_uptake_and_is_correlated() -> None:
    np.random.seed(0)
    transform = UptakeNoise(PET, amplitudes=(0.2, 0.2), sigmas=(0.8, 0.8))
    deviations = []
    for suv in (4.0, 16.0):
        image = make_image(suv)
        noise = apply(transform, image, **transform.get_parameters(image=image))[1] - suv
        deviations.append(noise.std())
        assert abs(noise.mean()) < 0.1
        neighbors = np.corrcoef(noise[1:].ravel(), noise[:-1].ravel())[0, 1]
        assert neighbors == pytest.approx(np.exp(-1 / (4 * 0.8**2)), abs=0.06)  # of white noise behind a Gaussian
    assert deviations == pytest.approx([0.2 * 2, 0.2 * 4], rel=0.05)
    image = make_image(0)
    np.testing.assert_allclose(apply(transform, image, **transform.get_parameters(image=image))[1], 0, atol=1e-5)


def test_ct_noise_is_white_and_shifts_all() -> None:
    np.random.seed(0)
    transform = CTNoise(CT, amplitudes=(20, 20))
    image = make_image()
    params = transform.get_parameters(image=image)
    noise = apply(transform, image, **params)[0] - 30
    assert abs(params["shift"]) <= 15
    assert noise.mean() == pytest.approx(params["shift"], abs=0.5)
    assert noise.std() == pytest.approx(20, rel=0.03)
    assert abs(np.corrcoef(noise[1:].ravel(), noise[:-1].ravel())[0, 1]) < 0.03


def test_same_seed_same_image() -> None:
    properties = {
        str(channel): {"mean": each.mean, "std": each.std, "percentile_00_5": each.lower, "percentile_99_5": each.upper}
        for channel, each in enumerate((CT, PET))
    }
    transforms = strong_transforms(properties)

    def draw(seed: int) -> torch.Tensor:
        np.random.seed(seed)
        torch.manual_seed(seed)
        data = {"image": make_image()}
        for transform in transforms * 3:
            data = transform(**data)
        return data["image"]

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))

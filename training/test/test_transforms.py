from typing import Any

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import DownsampleSegForDSTransform
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTansform
from scipy import ndimage, stats

from lesionclick.model.encoding import EDTEncoding, Encoding, GaussianEncoding
from lesionclick_training.augmentation import draw_clicks as click_drawing
from lesionclick_training.augmentation.draw_clicks import DrawClicks
from lesionclick_training.augmentation.misalignment import PETCTMisalignment

SHAPE = (20, 22, 24)
SIGNIFICANCE = 0.001  # the seeds are fixed, so a test that passes once passes always


def make_patch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """CT and PET, both normalised, and lesions and organs; the lesion holds 10 clicks and more."""
    generator = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(generator.normal(size=(2, *SHAPE)), (0, 1, 1, 1))
    segmentation = np.zeros((2, *SHAPE), dtype=np.int16)
    segmentation[0, 5:11, 6:12, 7:13] = 1
    segmentation[1, 12:, 12:, 12:] = 3
    return torch.from_numpy(image.astype(np.float32)), torch.from_numpy(segmentation)


@pytest.mark.parametrize("encoding", [EDTEncoding(2), EDTEncoding(4), GaussianEncoding(1.0)])
def test_clicks_become_two_more_channels(encoding: Encoding) -> None:
    image, segmentation = make_patch()
    transform = DrawClicks(encoding)
    np.random.seed(1)
    parameters = transform.get_parameters(image=image, segmentation=segmentation)
    done = transform.apply({"image": image, "segmentation": segmentation}, **parameters)
    assert done["image"].dtype == torch.float32
    assert torch.equal(done["image"][:2], make_patch()[0])
    assert torch.equal(done["segmentation"], make_patch()[1])
    assert len(parameters["tumor"]) > 0
    assert len(parameters["background"]) > 0
    np.testing.assert_array_equal(done["image"][2], encoding.encode(parameters["tumor"], SHAPE))
    np.testing.assert_array_equal(done["image"][3], encoding.encode(parameters["background"], SHAPE))


def test_same_seed_same_channels() -> None:
    image, segmentation = make_patch()

    def draw(seed: int) -> torch.Tensor:
        np.random.seed(seed)
        return DrawClicks()(image=image, segmentation=segmentation)["image"]

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_default_is_the_published_encoding() -> None:
    assert DrawClicks().encoding == EDTEncoding(2)


def test_numbers_of_both_labels_are_as_described_and_independent() -> None:
    image, segmentation = make_patch()
    transform = DrawClicks(custom_probability=1)  # whose background never runs dry
    np.random.seed(0)
    drawn = [transform.get_parameters(image=image, segmentation=segmentation) for _ in range(1500)]
    numbers = np.array([(len(each["tumor"]), len(each["background"])) for each in drawn])
    weights = np.log(12 - np.arange(11))
    for label in range(2):
        counts = np.bincount(numbers[:, label], minlength=11)
        assert stats.chisquare(counts, len(drawn) * weights / weights.sum()).pvalue > SIGNIFICANCE
    together = np.histogram2d(numbers[:, 0], numbers[:, 1], bins=np.array([0, 1, 4, 7, 11]))[0]
    assert stats.chi2_contingency(together).pvalue > SIGNIFICANCE


def test_tumor_clicks_stay_without_background_clicks(monkeypatch: pytest.MonkeyPatch) -> None:
    image, segmentation = make_patch()
    counts = iter((4, 0) * 20)
    monkeypatch.setattr(click_drawing, "draw_count", lambda generator, most: next(counts))
    for _ in range(20):
        drawn = DrawClicks()(image=image, segmentation=segmentation)["image"]
        assert drawn[2].max() == 1
        assert (drawn[2] == 1).sum() == 4
        assert drawn[3].max() == 0


@pytest.mark.parametrize("probability", [0.0, 0.2, 1.0])
def test_schemes_are_mixed(monkeypatch: pytest.MonkeyPatch, probability: float) -> None:
    image, segmentation = make_patch()
    called: list[str] = []
    offsets = {"challenge_tumor_clicks": 3, "custom_tumor_clicks": 3, "challenge_background_clicks": 4}

    def spy_on(name: str) -> None:
        def record(*arguments: Any) -> np.ndarray:
            called.append(name)
            if name in offsets:
                assert arguments[offsets[name]] == 3
            return np.zeros((0, 3), dtype=np.int64)

        monkeypatch.setattr(click_drawing, name, record)

    for name in (*offsets, "custom_background_clicks"):
        spy_on(name)
    transform = DrawClicks(custom_probability=probability)
    np.random.seed(0)
    for _ in range(2000):
        transform.get_parameters(image=image, segmentation=segmentation)
    schemes = list(zip(called[::2], called[1::2], strict=True))
    custom = schemes.count(("custom_tumor_clicks", "custom_background_clicks"))
    assert custom + schemes.count(("challenge_tumor_clicks", "challenge_background_clicks")) == 2000
    assert stats.binomtest(custom, 2000, probability).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("custom_probability", [0, 1])
def test_no_click_outside_of_the_image(custom_probability: float) -> None:
    image, segmentation = make_patch()
    image[1] -= 5
    image[:, 14:] = 0  # nnU-Net's padding, hotter than all of this patient
    segmentation[:, 14:] = -1
    lesion = segmentation[0].numpy() == 1
    transform = DrawClicks(custom_probability=custom_probability)
    np.random.seed(0)
    total = 0
    for _ in range(100):
        clicks = transform.get_parameters(image=image, segmentation=segmentation)
        assert lesion[tuple(clicks["tumor"].T)].all()
        assert not lesion[tuple(clicks["background"].T)].any()
        assert (clicks["background"][:, 0] < 14).all()
        total += len(clicks["background"])
    assert total > 200


@pytest.mark.parametrize("custom_probability", [0, 1])
def test_scale_and_level_of_the_pet_do_not_matter(custom_probability: float) -> None:
    image, segmentation = make_patch()
    image = (image * 64).round()  # so that scaling is exact
    transform = DrawClicks(custom_probability=custom_probability)

    def draw(pet_scale: float, pet_level: float) -> list[list[int]]:
        np.random.seed(4)
        changed = torch.stack([image[0], image[1] * pet_scale + pet_level])
        draws = [transform.get_parameters(image=changed, segmentation=segmentation)["background"] for _ in range(10)]
        return np.concatenate(draws).tolist()

    assert draw(1, 0) == draw(0.5, -16) == draw(4, 256)


def test_patches_without_anything() -> None:
    for label in (0, -1):
        for custom_probability in (0, 1):
            image, segmentation = torch.zeros(2, *SHAPE), torch.full((2, *SHAPE), label, dtype=torch.int16)
            drawn = DrawClicks(custom_probability=custom_probability)(image=image, segmentation=segmentation)
            assert torch.equal(drawn["image"], torch.zeros(4, *SHAPE))


def test_place_among_the_transforms_of_nnunet() -> None:
    image, segmentation = make_patch()
    scales = [[1.0] * 3, [0.5] * 3]
    chain = ComposeTransforms([DrawClicks(), RemoveLabelTansform(-1, 0), DownsampleSegForDSTransform(scales)])
    done = chain(image=torch.flip(image, [1]), segmentation=torch.flip(segmentation, [1]))
    assert done["image"].shape == (4, *SHAPE)
    assert [part.shape for part in done["segmentation"]] == [(2, *SHAPE), (2, 10, 11, 12)]


def draw_misalignments(transform: PETCTMisalignment, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Angles in degrees of each draw (NaN for none), and shifts in voxels."""
    image = torch.zeros(2, *SHAPE)
    angles, shifts = [], []
    for _ in range(count):
        parameters = transform.get_parameters(image=image)
        rotation = parameters["affine"]
        angles.append(np.full(3, np.nan) if rotation is None else _plane_angles(rotation))
        shifts.append(np.array(parameters["center_location_in_pixels"]) - np.array(SHAPE) / 2)
    return np.array(angles), np.array(shifts)


def _plane_angles(rotation: np.ndarray) -> np.ndarray:
    """Angles about the axes z, y, x of a matrix that turns about z first, then y, then x."""
    about_y = np.arcsin(-rotation[2, 0])
    about_z = np.arctan2(rotation[2, 1], rotation[2, 2])
    about_x = np.arctan2(rotation[1, 0], rotation[0, 0])
    return np.rad2deg([about_z, about_y, about_x])


def test_misalignment_is_as_rare_and_as_small_as_described() -> None:
    np.random.seed(0)
    angles, shifts = draw_misalignments(PETCTMisalignment(), 6000)
    rotated = ~np.isnan(angles[:, 0])
    shifted = shifts.any(axis=1)
    assert stats.binomtest(int(rotated.sum()), 6000, 0.1).pvalue > SIGNIFICANCE
    assert stats.binomtest(int(shifted.sum()), 6000, 0.1 * 24 / 25).pvalue > SIGNIFICANCE  # one shift of 25 is none
    assert stats.binomtest(int((rotated & shifted).sum()), 6000, 0.01 * 24 / 25).pvalue > SIGNIFICANCE
    for plane in range(3):
        assert stats.kstest(angles[rotated, plane], stats.uniform(-5, 10).cdf).pvalue > SIGNIFICANCE
    assert not shifts[:, 0].any()
    _, shifts = draw_misalignments(PETCTMisalignment(p_shift=1), 2000)
    for axis in (1, 2):
        values, counts = np.unique(shifts[:, axis], return_counts=True)
        assert values.tolist() == [-2, -1, 0, 1, 2]
        assert stats.chisquare(counts).pvalue > SIGNIFICANCE


def apply_misalignment(image: torch.Tensor, shift: tuple[int, int, int], rotation: np.ndarray | None) -> torch.Tensor:
    centre = [size / 2 + step for size, step in zip(image.shape[1:], shift, strict=True)]
    data = {"image": image}
    PETCTMisalignment().apply(data, affine=rotation, elastic_offsets=None, center_location_in_pixels=centre)
    return data["image"]


def test_a_known_shift_moves_a_known_voxel() -> None:
    image = torch.zeros(2, *SHAPE)
    image[:, 5, 6, 7] = 1
    moved = apply_misalignment(image, (0, 2, -1), None)
    assert torch.argwhere(moved[0]).tolist() == [[5, 4, 8]]
    assert torch.argwhere(moved[1]).tolist() == [[5, 6, 7]]
    assert torch.argwhere(image[0]).tolist() == [[5, 6, 7]]  # the input stays


def test_a_known_rotation_moves_a_known_place() -> None:
    angle = np.deg2rad(5)
    rotation = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    image = torch.zeros(2, 9, 61, 61)
    image[0, 4, 30, 55] = 1  # 25 voxels from the centre along x
    image[0, 4, 30, 30] = 1  # the centre itself
    for shift in (0, 2):
        turned = apply_misalignment(image, (0, shift, 0), rotation)[0].numpy().astype(np.float64)
        assert turned[4, 30 - shift, 30] == pytest.approx(1)
        turned[4, :, 25:36] = 0
        expected = (4, 30 + 25 * np.sin(angle) - shift, 30 + 25 * np.cos(angle))
        assert ndimage.center_of_mass(turned) == pytest.approx(expected, abs=0.3)


def test_misalignment_brings_no_edge() -> None:
    for seed in range(5):
        np.random.seed(seed)
        flat = PETCTMisalignment(p_rotation=1, p_shift=1)(image=torch.full((2, *SHAPE), -2.5))["image"]
        assert torch.allclose(flat, torch.tensor(-2.5))
    slope = torch.arange(24.0).expand(2, *SHAPE)
    assert apply_misalignment(slope, (0, 0, 2), None)[0, 3, 3, -4:].tolist() == [22, 23, 23, 23]
    assert apply_misalignment(slope, (0, 0, -2), None)[0, 3, 3, :4].tolist() == [0, 0, 0, 1]


def test_only_the_ct_is_misaligned() -> None:
    image, segmentation = make_patch()
    np.random.seed(0)
    done = PETCTMisalignment(p_rotation=1, p_shift=1)(image=image, segmentation=segmentation)
    assert not torch.allclose(done["image"][0], image[0])
    assert torch.equal(done["image"][1], image[1])
    assert torch.equal(done["segmentation"], segmentation)
    assert torch.equal(image, make_patch()[0])


def test_misalignment_can_be_replayed() -> None:
    image, _ = make_patch()
    transform = PETCTMisalignment(p_rotation=1, p_shift=1)
    np.random.seed(0)
    parameters = transform.get_parameters(image=image)
    first, second = (transform.apply({"image": image}, **parameters)["image"] for _ in range(2))
    np.random.seed(0)
    assert torch.equal(first, second)
    assert torch.equal(first, transform(image=image)["image"])


def test_no_misalignment_gives_back_the_image() -> None:
    image, _ = make_patch()
    assert PETCTMisalignment(p_rotation=0, p_shift=0)(image=image)["image"] is image

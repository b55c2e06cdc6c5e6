from typing import Any

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import DownsampleSegForDSTransform
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTransform
from helpers_patch import PATCH_SHAPE, make_patch
from scipy import stats

from lesionclick.model.encoding import EDTEncoding, Encoding, GaussianEncoding, UptakeEncoding
from lesionclick_training.augmentation import draw_clicks
from lesionclick_training.augmentation.choices import ClickCounts
from lesionclick_training.augmentation.draw_clicks import DrawClicks, draw_count
from lesionclick_training.augmentation.intensities import Intensities
from lesionclick_training.data.nnunet_layout import UNKNOWN

SIGNIFICANCE = 0.001  # the seeds are fixed, so a test that passes once passes always


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
    np.testing.assert_array_equal(done["image"][2], encoding.encode(parameters["tumor"], PATCH_SHAPE))
    np.testing.assert_array_equal(done["image"][3], encoding.encode(parameters["background"], PATCH_SHAPE))


def test_clicks_that_show_uptake_show_it_in_suv() -> None:
    image, segmentation = make_patch()
    pet = Intensities(mean=4.0, std=3.0, lower=0.0, upper=30.0)
    encoding = UptakeEncoding(6)
    transform = DrawClicks(encoding, pet=pet)
    np.random.seed(1)
    parameters = transform.get_parameters(image=image, segmentation=segmentation)
    done = transform.apply({"image": image, "segmentation": segmentation}, **parameters)["image"].numpy()
    suv = 3 * image[1].numpy() + 4
    for channel, label in ((2, "tumor"), (3, "background")):
        assert len(parameters[label]) > 0
        expected = encoding.encode(parameters[label], PATCH_SHAPE, suv)
        np.testing.assert_allclose(done[channel], expected, rtol=0, atol=1e-6)


def test_same_seed_same_channels() -> None:
    image, segmentation = make_patch()

    def draw(seed: int) -> torch.Tensor:
        np.random.seed(seed)
        channels: torch.Tensor = DrawClicks()(image=image, segmentation=segmentation)["image"]
        return channels

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


@pytest.mark.parametrize("max_clicks", [0, 1, 3, 10])
def test_the_number_of_clicks_is_distributed_as_described(max_clicks: int) -> None:
    generator = np.random.default_rng(0)
    counts = np.bincount([draw_count(generator, max_clicks) for _ in range(20000)], minlength=max_clicks + 1)
    weights = np.log(np.arange(max_clicks + 2, 1, -1))
    assert len(counts) == max_clicks + 1
    if max_clicks:
        assert stats.chisquare(counts, 20000 * weights / weights.sum()).pvalue > SIGNIFICANCE


def test_all_numbers_of_clicks_can_be_alike() -> None:
    generator = np.random.default_rng(0)
    drawn = [draw_count(generator, 10, ClickCounts.uniform) for _ in range(20000)]
    assert stats.chisquare(np.bincount(drawn, minlength=11)).pvalue > SIGNIFICANCE
    image, segmentation = make_patch()
    transform = DrawClicks(custom_probability=1, counts=ClickCounts.uniform)
    np.random.seed(0)
    counts = [len(transform.get_parameters(image=image, segmentation=segmentation)["tumor"]) for _ in range(1500)]
    assert stats.chisquare(np.bincount(counts, minlength=11)).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("custom_probability", [0, 1])
def test_a_share_of_the_patches_shows_no_click_of_either_label(
    monkeypatch: pytest.MonkeyPatch, custom_probability: int
) -> None:
    image, segmentation = make_patch()
    monkeypatch.setattr(draw_clicks, "draw_count", lambda *_: 3)
    transform = DrawClicks(custom_probability=custom_probability, dropout=0.3)
    np.random.seed(0)
    drawn = [transform.get_parameters(image=image, segmentation=segmentation) for _ in range(1000)]
    counts = [(len(each["tumor"]) > 0, len(each["background"]) > 0) for each in drawn]
    assert counts.count((False, False)) + counts.count((True, True)) == 1000
    assert stats.binomtest(counts.count((False, False)), 1000, 0.3).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("offset", [0, 1, 3])
def test_a_click_is_moved_as_far_as_asked(monkeypatch: pytest.MonkeyPatch, offset: int) -> None:
    image, segmentation = make_patch()
    segmentation[0, 4:13, 5:14, 6:15] = 1  # 9 voxels a side: the middle is deepest, and gets the first click
    monkeypatch.setattr(draw_clicks, "draw_count", lambda *_: 1)
    transform = DrawClicks(custom_probability=0, offset=offset)
    np.random.seed(0)
    clicks = [transform.get_parameters(image=image, segmentation=segmentation)["tumor"][0] for _ in range(50)]
    assert np.abs(np.array(clicks) - [8, 9, 10]).max() == offset


def test_tumor_clicks_stay_without_background_clicks(monkeypatch: pytest.MonkeyPatch) -> None:
    image, segmentation = make_patch()
    counts = iter((4, 0) * 20)
    monkeypatch.setattr(draw_clicks, "draw_count", lambda *_: next(counts))
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
                assert arguments[offsets[name]] == 3  # the published offset
            return np.zeros((0, 3), dtype=np.int64)

        monkeypatch.setattr(draw_clicks, name, record)

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
@pytest.mark.parametrize("label", [-1, UNKNOWN])
def test_no_click_outside_of_the_image_nor_where_nobody_knows(custom_probability: float, label: int) -> None:
    image, segmentation = make_patch()
    image[:, 14:] = 10  # hotter than all else, so that a percentile over it would leave nothing to click
    image[1, 13, 5, 5] = 9
    segmentation[:, 14:] = label
    lesions, healthy = (segmentation[0].numpy() == value for value in (1, 0))
    transform = DrawClicks(custom_probability=custom_probability)
    np.random.seed(0)
    total = 0
    for _ in range(100):
        clicks = transform.get_parameters(image=image, segmentation=segmentation)
        assert lesions[tuple(clicks["tumor"].T)].all()
        assert healthy[tuple(clicks["background"].T)].all()
        total += len(clicks["background"])
    assert total > 200


@pytest.mark.parametrize("label", [-1, UNKNOWN])
def test_no_click_in_a_patch_of_which_nothing_is_known(label: int) -> None:
    image, segmentation = make_patch()
    for custom_probability in (0, 1):
        drawn = DrawClicks(custom_probability=custom_probability)(
            image=image, segmentation=torch.full_like(segmentation, label)
        )
        assert not drawn["image"][2:].any()


def test_scale_and_level_of_the_pet_do_not_matter_to_the_challenges_scheme() -> None:
    image, segmentation = make_patch()
    image = (image * 64).round()  # so that scaling is exact
    transform = DrawClicks(custom_probability=0)

    def draw(pet_scale: float, pet_level: float) -> np.ndarray:
        np.random.seed(4)
        changed = torch.stack([image[0], image[1] * pet_scale + pet_level])
        draws = [transform.get_parameters(image=changed, segmentation=segmentation)["background"] for _ in range(10)]
        return np.concatenate(draws)

    np.testing.assert_array_equal(draw(1, 0), draw(0.5, -16))
    np.testing.assert_array_equal(draw(1, 0), draw(4, 256))


def test_custom_background_clicks_are_drawn_in_proportion_to_the_normalized_pet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image, segmentation = make_patch()
    image[1] = -1
    image[1, 2, 2, 2:8] = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    monkeypatch.setattr(draw_clicks, "draw_count", lambda *_: 1)
    transform = DrawClicks(custom_probability=1)
    np.random.seed(0)
    drawn = [transform.get_parameters(image=image, segmentation=segmentation)["background"][0] for _ in range(2000)]
    counts = np.bincount(np.array(drawn)[:, 2] - 2, minlength=6)
    assert counts[0] == 0
    assert stats.chisquare(counts[1:], 2000 * np.arange(1, 6) / 15).pvalue > SIGNIFICANCE


def test_patches_without_anything() -> None:
    for label in (0, -1):
        for custom_probability in (0, 1):
            image, segmentation = torch.zeros(2, *PATCH_SHAPE), torch.full((2, *PATCH_SHAPE), label, dtype=torch.int16)
            drawn = DrawClicks(custom_probability=custom_probability)(image=image, segmentation=segmentation)
            assert torch.equal(drawn["image"], torch.zeros(4, *PATCH_SHAPE))


def test_place_among_the_transforms_of_nnunet() -> None:
    image, segmentation = make_patch()
    scales = [[1.0] * 3, [0.5] * 3]
    chain = ComposeTransforms([DrawClicks(), RemoveLabelTransform(-1, 0), DownsampleSegForDSTransform(scales)])
    done = chain(image=torch.flip(image, [1]), segmentation=torch.flip(segmentation, [1]))
    assert done["image"].shape == (4, *PATCH_SHAPE)
    assert [part.shape for part in done["segmentation"]] == [(2, *PATCH_SHAPE), (2, 10, 11, 12)]

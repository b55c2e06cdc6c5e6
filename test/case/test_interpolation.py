import numpy as np
import pytest
import SimpleITK as sitk
from conftest import image_from

from lesionclick.case import interpolation
from lesionclick.case.geometry import Geometry
from lesionclick.case.interpolation import OUTSIDE, resample_ct_cubic

STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
FLIPPED = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
TILTED = (0.96, -0.28, 0.0, 0.28, 0.96, 0.0, 0.0, 0.0, 1.0)


def make_ct(direction: tuple[float, ...] = STRAIGHT, shape_zyx: tuple[int, ...] = (40, 30, 34)) -> sitk.Image:
    hu = np.random.default_rng(0).uniform(-1000, 1000, shape_zyx).astype(np.float32)
    return image_from(hu, (1.0, 1.1, 2.0), (-17, -15, 0), direction)


def by_simpleitk(ct: sitk.Image, geometry: Geometry) -> np.ndarray:
    image = sitk.Resample(
        ct,
        geometry.size,
        sitk.Transform(),
        sitk.sitkBSpline,
        geometry.origin,
        geometry.spacing,
        geometry.direction,
        OUTSIDE,
    )
    return np.where(sitk.GetArrayFromImage(image) == OUTSIDE, OUTSIDE, sitk.GetArrayFromImage(image).clip(-1024, 1e9))


@pytest.mark.parametrize(
    ("ct_direction", "pet_direction", "origin"),
    [
        (STRAIGHT, STRAIGHT, (-20.3, -14.2, 3.3)),
        (STRAIGHT, FLIPPED, (15.3, -14.2, 77.0)),
        (TILTED, TILTED, (-8.3, -18.2, -3.1)),
        (STRAIGHT, TILTED, (-8.3, -12.2, -3.1)),
    ],
)
def test_every_place_has_the_value_that_simpleitk_gives(
    monkeypatch: pytest.MonkeyPatch,
    ct_direction: tuple[float, ...],
    pet_direction: tuple[float, ...],
    origin: tuple[float, ...],
) -> None:
    monkeypatch.setattr(interpolation, "SLAB_SLICES", 7)
    ct = make_ct(ct_direction)
    geometry = Geometry((12, 11, 40), (2.3, 3.1, 2.1), origin, pet_direction)
    found, expected = resample_ct_cubic(ct, geometry), by_simpleitk(ct, geometry)
    assert np.array_equal(found == OUTSIDE, expected == OUTSIDE)
    inside = expected != OUTSIDE
    assert 0.3 < inside.mean() < 1
    highest = float(sitk.GetArrayViewFromImage(ct).max())
    assert found.dtype == np.float32
    assert np.abs(found[inside] - expected[inside].clip(max=highest)).max() < 0.02


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_ct_of_few_slices_has_mirrors_at_both_ends(size: int) -> None:
    ct = make_ct(shape_zyx=(size, 30, 34))
    geometry = Geometry((12, 11, 9), (2.3, 2.1, size * 2 / 9), (-16.0, -14.0, -0.9), STRAIGHT)
    found, expected = resample_ct_cubic(ct, geometry), by_simpleitk(ct, geometry)
    highest = float(sitk.GetArrayViewFromImage(ct).max())
    if size > 2:  # SimpleITK folds once, which of one or two slices is not enough
        assert np.abs(found - expected.clip(max=highest)).max() < 0.02
    assert np.isfinite(found).all()


def test_nothing_is_inside_of_a_ct_elsewhere() -> None:
    for direction in (STRAIGHT, TILTED):
        geometry = Geometry((4, 4, 9), (3.0, 3.0, 2.0), (-10.0, -10.0, 900.0), direction)
        assert (resample_ct_cubic(make_ct(), geometry) == OUTSIDE).all()

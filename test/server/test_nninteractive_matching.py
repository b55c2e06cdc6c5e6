"""Matching: a volume in any order and direction and unit is found again; what is not certain is refused."""

import itertools

import numpy as np
import pytest

from lesionclick.server.nninteractive_matching import MatchError, Orientation, axis_orders, match_volume

SPACING = (3.0, 2.0, 2.0)
CUBE = (12, 12, 12)


def images(shape_zyx: tuple[int, ...] = (10, 12, 14), seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    ct = generator.uniform(-1000, 1000, shape_zyx).astype(np.float32)
    return {"CT": ct, "PET": generator.gamma(1, 2, shape_zyx).astype(np.float32)}


ORIENTATIONS = [
    (axes, flipped)
    for axes in itertools.permutations(range(3))
    for flipped in itertools.product((False, True), repeat=3)
]


@pytest.mark.parametrize(("axes", "flipped"), ORIENTATIONS)
def test_every_order_and_direction_of_axes_is_found_though_a_cube_says_nothing_by_its_size(
    axes: tuple[int, ...], flipped: tuple[bool, ...]
) -> None:
    held = images(CUBE)
    expected = Orientation(axes, flipped, CUBE)
    match = match_volume(expected.to_viewer(held["PET"])[None], None, held, SPACING)
    assert match.images == ("PET",)
    assert match.orientation == expected


@pytest.mark.parametrize(("axes", "flipped"), ORIENTATIONS)
def test_arrays_and_voxels_come_back(axes: tuple[int, ...], flipped: tuple[bool, ...]) -> None:
    held = images()["CT"]
    orientation = Orientation(axes, flipped, held.shape)
    sent = orientation.to_viewer(held)
    assert sent.shape == orientation.shape
    np.testing.assert_array_equal(orientation.to_case(sent), held)
    voxels = np.argwhere(np.ones(sent.shape, bool))
    np.testing.assert_array_equal(held[tuple(orientation.voxels_to_case(voxels).T)], sent[tuple(voxels.T)])


def test_becquerels_and_rounded_hounsfield_units_are_the_same_image() -> None:
    held = images()
    becquerels = held["PET"] * 4321.7
    assert match_volume(becquerels[None], SPACING, held, SPACING).images == ("PET",)
    assert match_volume(held["CT"].astype(np.int16)[None], SPACING, held, SPACING).images == ("CT",)


def test_two_channels_are_taken_in_either_order() -> None:
    held = images()
    for names in (("CT", "PET"), ("PET", "CT")):
        sent = np.stack([held[name][:, ::-1] for name in names])
        match = match_volume(sent, SPACING, held, SPACING)
        assert match.images == names
        assert match.orientation.flipped == (False, True, False)
    with pytest.raises(MatchError, match="none of the case's images"):
        match_volume(np.stack([held["CT"], held["CT"]]), SPACING, held, SPACING)
    with pytest.raises(MatchError, match="none of the case's images"):
        match_volume(np.stack([held["CT"], held["PET"][::-1]]), SPACING, held, SPACING)


def test_another_image_of_the_same_grid_is_refused() -> None:
    with pytest.raises(MatchError, match=r"none of the case's images \(CT and PET\)"):
        match_volume(images(seed=1)["CT"][None], SPACING, images(), SPACING)
    with pytest.raises(MatchError, match="none of the case's images"):
        match_volume(np.zeros((1, 10, 12, 14)), SPACING, images(), SPACING)
    with pytest.raises(MatchError, match="none of the case's images"):
        match_volume(np.full((1, 10, 12, 14), np.nan), SPACING, images(), SPACING)
    with pytest.raises(MatchError, match="none of the case's images"):
        match_volume(-images()["CT"][None], SPACING, images(), SPACING)


def test_an_image_that_looks_alike_from_two_sides_is_refused_and_noise_decides() -> None:
    held = images()
    mirrored = {name: image + image[:, :, ::-1] for name, image in held.items()}
    with pytest.raises(MatchError, match="looks alike in 2 orientations"):
        match_volume(mirrored["PET"][None], SPACING, mirrored, SPACING)
    nearly = {name: image + 0.01 * held[name] for name, image in mirrored.items()}
    match = match_volume(nearly["PET"][None, :, :, ::-1], SPACING, nearly, SPACING)
    assert match.orientation.flipped == (False, False, True)


def test_size_and_spacing_must_fit() -> None:
    with pytest.raises(MatchError, match=r"10 x 12 x 15 voxels, the case 10 x 12 x 14 \(z, y, x\)"):
        match_volume(np.ones((1, 10, 12, 15)), None, images(), SPACING)
    with pytest.raises(MatchError, match="4 x 2 x 2 mm, the case's 3 x 2 x 2 mm"):
        match_volume(images()["CT"][None], (4.0, 2.0, 2.0), images(), SPACING)
    for shape in ((10, 12, 14), (3, 10, 12, 14)):
        with pytest.raises(MatchError, match="expected 1 or 2 channels"):
            match_volume(np.ones(shape), None, images(), SPACING)
    for spacing in ((1.0, 2.0), (0.0, 1.0, 1.0), (float("nan"), 1.0, 1.0)):
        with pytest.raises(MatchError, match="expected three numbers above 0"):
            match_volume(images()["CT"][None], spacing, images(), SPACING)


def test_spacing_decides_between_orders_of_axes_where_it_is_known() -> None:
    assert axis_orders(CUBE, None, CUBE, SPACING) == list(itertools.permutations(range(3)))
    assert axis_orders(CUBE, (1.0, 1.0, 1.0), CUBE, SPACING) == list(itertools.permutations(range(3)))
    assert axis_orders(CUBE, (2.0, 2.0, 3.0), CUBE, SPACING) == [(1, 2, 0), (2, 1, 0)]
    assert axis_orders(CUBE, (-2.001, 3.0, 2.0), CUBE, SPACING) == [(1, 0, 2), (2, 0, 1)]


def test_a_large_volume_is_decided_by_a_sample() -> None:
    held = images((40, 50, 60))
    match = match_volume(held["CT"].transpose(2, 1, 0)[None, ::-1], None, held, SPACING)
    assert match.orientation == Orientation((2, 1, 0), (True, False, False), (40, 50, 60))


def test_a_single_slice_has_no_direction_across() -> None:
    held = images((1, 12, 14))
    assert match_volume(held["CT"][None], None, held, SPACING).orientation.flipped == (False, False, False)

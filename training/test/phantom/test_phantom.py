import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from lesionclick_training.data import nnunet_layout
from lesionclick_training.phantom.phantom import Phantom, make_phantom
from lesionclick_training.phantom.population import LogNormal, Tracer
from lesionclick_training.phantom.populations import BASE, MORE
from lesionclick_training.phantom.uptake import Uptake

COARSE = (8.0, 8.0, 8.0)
ORGAN = {name: number for number, name in enumerate(nnunet_layout.ORGANS, start=1)}
EVERYWHERE = np.ones((3, 3, 3))


@pytest.fixture(scope="module")
def phantoms() -> dict[Tracer, Phantom]:
    return {"FDG": make_phantom(3, "FDG", population=BASE), "PSMA": make_phantom(13, "PSMA", population=BASE)}


def centroid(phantom: Phantom, organ: str) -> np.ndarray:
    """Of an organ, in mm (z, y, x)."""
    middle: np.ndarray = np.argwhere(phantom.organ_zyx == ORGAN[organ]).mean(axis=0) * phantom.spacing_zyx
    return middle


def mean_suv(phantom: Phantom, organ: str) -> float:
    return float(phantom.pet_zyx[phantom.organ_zyx == ORGAN[organ]].mean())


def test_a_seed_gives_the_same_bits_and_another_seed_another_patient() -> None:
    first, again, other = (make_phantom(seed, spacing_zyx=COARSE, population=BASE) for seed in (5, 5, 6))
    for name in ("ct_zyx", "pet_zyx", "lesion_zyx", "organ_zyx"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert first.tracer == again.tracer
    assert first.ct_zyx.shape != other.ct_zyx.shape


def test_types_and_shapes(phantoms: dict[Tracer, Phantom]) -> None:
    for phantom in phantoms.values():
        assert phantom.ct_zyx.dtype == phantom.pet_zyx.dtype == np.float32
        assert phantom.lesion_zyx.dtype == phantom.organ_zyx.dtype == np.uint8
        shapes = {v.shape for v in (phantom.ct_zyx, phantom.pet_zyx, phantom.lesion_zyx, phantom.organ_zyx)}
        assert len(shapes) == 1
        assert np.isfinite(phantom.pet_zyx).all()
        assert phantom.pet_zyx.min() >= 0
        assert -1024 <= phantom.ct_zyx.min() < -950
        assert set(np.unique(phantom.lesion_zyx)) == {0, 1}


def test_the_tracer_is_drawn_with_the_populations_probability() -> None:
    never, always = (dataclasses.replace(BASE, psma_probability=p) for p in (0.0, 1.0))
    voxel = (20.0, 20.0, 20.0)
    assert {make_phantom(seed, spacing_zyx=voxel, population=never).tracer for seed in range(3)} == {"FDG"}
    assert {make_phantom(seed, spacing_zyx=voxel, population=always).tracer for seed in range(3)} == {"PSMA"}


def test_the_same_patient_lies_on_every_grid() -> None:
    coarse, fine = (make_phantom(1, "FDG", spacing, population=BASE) for spacing in (COARSE, (6.0, 5.0, 4.0)))

    def volume(phantom: Phantom, mask: np.ndarray) -> float:
        return float(mask.sum() * np.prod(phantom.spacing_zyx))

    for organ in ("liver", "lungs", "brain", "heart", "spleen", "urinary bladder"):
        one, two = (volume(p, p.organ_zyx == ORGAN[organ]) for p in (coarse, fine))
        assert one == pytest.approx(two, rel=0.08), organ
    assert volume(coarse, coarse.lesion_zyx) == pytest.approx(volume(fine, fine.lesion_zyx), rel=0.1)
    assert mean_suv(coarse, "liver") == pytest.approx(mean_suv(fine, "liver"), rel=0.05)


def test_a_given_shape_is_filled_from_the_middle_of_the_patient() -> None:
    phantom = make_phantom(2, spacing_zyx=COARSE, shape_zyx=(24, 20, 22), population=BASE)
    assert phantom.ct_zyx.shape == (24, 20, 22)
    assert (phantom.ct_zyx > -300).mean() > 0.5
    assert not np.isin(ORGAN["brain"], phantom.organ_zyx)


def test_tissues_have_their_hounsfield_units(phantoms: dict[Tracer, Phantom]) -> None:
    for phantom in phantoms.values():
        ct = phantom.ct_zyx
        assert -900 < np.median(ct[phantom.organ_zyx == ORGAN["lungs"]]) < -750
        assert 40 < np.median(ct[phantom.organ_zyx == ORGAN["liver"]]) < 130
        assert 15 < np.median(ct[phantom.organ_zyx == ORGAN["brain"]]) < 60
        assert (ct > 400).mean() > 0.002
        assert ((ct > -130) & (ct < -70)).mean() > 0.02


def test_organs_sit_where_they_belong(phantoms: dict[Tracer, Phantom]) -> None:
    for phantom in phantoms.values():
        levels = ["brain", "glands", "lungs", "heart", "liver", "kidneys", "urinary bladder"]
        heights = [centroid(phantom, organ)[0] for organ in levels]
        assert heights == sorted(heights, reverse=True)
        middle = centroid(phantom, "lungs")[2]
        assert centroid(phantom, "liver")[2] < middle - 20
        assert centroid(phantom, "spleen")[2] > middle + 60
        assert centroid(phantom, "stomach")[2] > middle
        assert centroid(phantom, "heart")[2] > middle
        assert centroid(phantom, "heart")[1] < centroid(phantom, "kidneys")[1]


def test_organ_volumes_are_those_of_adults() -> None:
    ranges = {
        "spleen": (40, 420), "kidneys": (180, 520), "liver": (1000, 3200), "urinary bladder": (30, 400),
        "lungs": (2500, 8500), "brain": (750, 1600), "heart": (280, 950), "stomach": (90, 700),
        "prostate": (5, 90), "glands": (15, 110),
    }  # fmt: skip
    for seed in range(4):
        phantom = make_phantom(seed, "PSMA", COARSE, population=MORE)
        for organ, (low, high) in ranges.items():
            ml = (phantom.organ_zyx == ORGAN[organ]).sum() * 0.512
            assert low < ml < high, (seed, organ, ml)


def test_only_men_have_a_prostate() -> None:
    women = dataclasses.replace(BASE, female_probability=1.0)
    assert not (make_phantom(0, "FDG", COARSE, population=women).organ_zyx == ORGAN["prostate"]).any()
    assert (make_phantom(0, "PSMA", COARSE, population=women).organ_zyx == ORGAN["prostate"]).any()


def test_each_tracer_has_its_physiological_uptake(phantoms: dict[Tracer, Phantom]) -> None:
    fdg, psma = phantoms["FDG"], phantoms["PSMA"]
    assert mean_suv(fdg, "brain") > 2 * mean_suv(fdg, "liver") > 2 * 1.3
    assert mean_suv(fdg, "lungs") < 1
    assert mean_suv(psma, "brain") < 0.5
    assert mean_suv(psma, "kidneys") > 3 * mean_suv(psma, "liver") > 3 * 2
    assert mean_suv(psma, "glands") > mean_suv(psma, "liver")
    for phantom in phantoms.values():
        assert phantom.pet_zyx[phantom.ct_zyx < -950].mean() < 0.2


def test_uptake_differs_between_patients() -> None:
    hearts = [Uptake(np.random.default_rng(seed), "FDG").of("myocardium") for seed in range(40)]
    livers = [Uptake(np.random.default_rng(seed), "FDG").of("liver") for seed in range(40)]
    assert max(hearts) > 4 * min(hearts)
    assert 1.2 < min(livers) < max(livers) < 3.8


def test_arms_lie_above_the_head_or_beside_the_body() -> None:
    def overhead(probability: float) -> float:
        """Share of the planes above the brain that body fills."""
        population = dataclasses.replace(BASE, arms_up_probability=probability)
        phantom = make_phantom(4, "PSMA", COARSE, population=population)
        top = np.flatnonzero((phantom.organ_zyx == ORGAN["brain"]).any(axis=(1, 2))).max() + 4
        return float((phantom.ct_zyx[top:] > -200).mean())

    assert overhead(1.0) > 0.02
    assert overhead(0.0) < 0.001


def test_lesions_of_the_label_do_not_merge_and_none_is_lost() -> None:
    population = dataclasses.replace(
        BASE,
        lesion_free_probability=0.0,
        lesion_count=LogNormal(12, 0, 12, 12),
        diameter_mm=LogNormal(6, 0.4, 4, 12),
        decoy_count=LogNormal(0, 0, 0, 0),
    )
    found = [ndimage.label(make_phantom(s, "FDG", population=population).lesion_zyx, EVERYWHERE)[1] for s in range(2)]
    assert found == [12, 12]


def test_decoys_show_in_the_pet_and_not_in_the_label() -> None:
    without = dataclasses.replace(BASE, lesion_free_probability=1.0, decoy_count=LogNormal(0, 0, 0, 0))
    with_decoys = dataclasses.replace(without, decoy_count=LogNormal(5, 0, 5, 5), weak_probability=0.0)
    plain, decoyed = (make_phantom(8, "FDG", COARSE, population=p) for p in (without, with_decoys))
    assert not decoyed.lesion_zyx.any()
    hotter = ndimage.label(decoyed.pet_zyx - plain.pet_zyx > 1.0, EVERYWHERE)[1]
    assert 3 <= hotter <= 8
    assert (plain.organ_zyx == decoyed.organ_zyx).all()


def test_most_lesions_stand_out_of_their_surroundings() -> None:
    ratios = []
    for seed in range(4):
        phantom = make_phantom(seed, population=dataclasses.replace(BASE, decoy_count=LogNormal(0, 0, 0, 0)))
        lesions, count = ndimage.label(phantom.lesion_zyx, EVERYWHERE)
        for index in range(1, count + 1):
            inside = lesions == index
            near = ndimage.binary_dilation(inside, EVERYWHERE, iterations=1)
            ring = ndimage.binary_dilation(near, EVERYWHERE, iterations=2) & ~near & (lesions == 0)
            ratios.append(phantom.pet_zyx[inside].mean() / np.median(phantom.pet_zyx[ring]))
    assert len(ratios) > 8
    assert np.mean(np.array(ratios) > 1.5) > 0.8
    assert np.median(ratios) > 2.5

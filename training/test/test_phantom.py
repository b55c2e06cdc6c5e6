import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from lesionclick.case.case import Case
from lesionclick.case.clicks import Click
from lesionclick_training.data import nnunet_layout
from lesionclick_training.phantom.anatomy import Anatomy, build_anatomy
from lesionclick_training.phantom.figure import figure
from lesionclick_training.phantom.files import write_container_case, write_nnunet_case
from lesionclick_training.phantom.foci import Focus, draw_foci
from lesionclick_training.phantom.patient import draw_patient
from lesionclick_training.phantom.phantom import Phantom, make_phantom
from lesionclick_training.phantom.population import BASE, MORE, LogNormal, Tracer
from lesionclick_training.phantom.scanner import move_planes as move_planes
from lesionclick_training.phantom.scanner import paint_focus as paint_focus
from lesionclick_training.phantom.shapes import Grid, Waves, capsule, ellipsoid, union
from lesionclick_training.phantom.uptake import Uptake

COARSE = (8.0, 8.0, 8.0)
ORGAN = {name: number for number, name in enumerate(nnunet_layout.ORGANS, start=1)}
EVERYWHERE = np.ones((3, 3, 3))


@pytest.fixture(scope="module")
def phantoms() -> dict[Tracer, Phantom]:
    return {"FDG": make_phantom(3, "FDG"), "PSMA": make_phantom(13, "PSMA")}


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return build_anatomy(np.random.default_rng(0), draw_patient(np.random.default_rng(0), "PSMA", BASE))


@pytest.fixture(scope="module")
def cases(anatomy: Anatomy) -> list[list[Focus]]:
    return [draw_foci(np.random.default_rng(seed), anatomy, "PSMA", BASE) for seed in range(100)]


def centroid(phantom: Phantom, organ: str) -> np.ndarray:
    """Of an organ, in mm (z, y, x)."""
    return np.argwhere(phantom.organ_zyx == ORGAN[organ]).mean(axis=0) * phantom.spacing_zyx


def mean_suv(phantom: Phantom, organ: str) -> float:
    return float(phantom.pet_zyx[phantom.organ_zyx == ORGAN[organ]].mean())


def test_a_seed_gives_the_same_bits_and_another_seed_another_patient() -> None:
    first, again, other = (make_phantom(seed, spacing_zyx=COARSE) for seed in (5, 5, 6))
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
    coarse, fine = make_phantom(1, "FDG", (8.0, 8.0, 8.0)), make_phantom(1, "FDG", (6.0, 5.0, 4.0))

    def volume(phantom: Phantom, mask: np.ndarray) -> float:
        return float(mask.sum() * np.prod(phantom.spacing_zyx))

    for organ in ("liver", "lungs", "brain", "heart", "spleen", "urinary bladder"):
        one, two = (volume(p, p.organ_zyx == ORGAN[organ]) for p in (coarse, fine))
        assert one == pytest.approx(two, rel=0.08), organ
    assert volume(coarse, coarse.lesion_zyx) == pytest.approx(volume(fine, fine.lesion_zyx), rel=0.1)
    assert mean_suv(coarse, "liver") == pytest.approx(mean_suv(fine, "liver"), rel=0.05)


def test_a_given_shape_is_filled_from_the_middle_of_the_patient() -> None:
    phantom = make_phantom(2, spacing_zyx=COARSE, shape_zyx=(24, 20, 22))
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


def test_breathing_moves_the_liver_of_the_pet_against_the_ct() -> None:
    def dome(shift: float) -> float:
        """Mean level of the liver's uptake, mm."""
        population = dataclasses.replace(
            BASE, breathing_shift_mm=(shift, shift), lesion_free_probability=1.0, decoy_count=LogNormal(0, 0, 0, 0)
        )
        phantom = make_phantom(4, "PSMA", COARSE, population=population)
        right = phantom.pet_zyx[:, :, : phantom.pet_zyx.shape[2] // 2] > 3
        above = np.argwhere(phantom.organ_zyx == ORGAN["liver"])[:, 0].mean()
        return float(np.argwhere(right[int(above) :])[:, 0].mean() * 8)

    assert 2 < dome(24.0) - dome(0.0) < 24


def test_planes_move_up_and_blend() -> None:
    volume = np.zeros((6, 1, 1), dtype=np.float32)
    volume[2] = 4
    np.testing.assert_allclose(move_planes(volume, [np.full(6, 1.0)]).ravel(), [0, 0, 0, 4, 0, 0])
    np.testing.assert_allclose(move_planes(volume, [np.full(6, 0.5)]).ravel(), [0, 0, 2, 2, 0, 0])
    mean = move_planes(volume, [np.full(6, -1.0), np.full(6, 1.0)])
    np.testing.assert_allclose(mean.ravel(), [0, 2, 0, 2, 0, 0])


def test_lesions_are_counted_and_sized_as_the_population_says(cases: list[list[Focus]]) -> None:
    counts = [sum(focus.lesion for focus in foci) for foci in cases]
    assert max(counts) <= 20
    assert 0.05 < np.mean(np.array(counts) == 0) < 0.24
    assert 3 <= np.median(counts) <= 5
    radii = np.array([focus.radius for foci in cases for focus in foci if focus.lesion])
    assert radii.min() >= 2
    assert radii.max() <= 20
    assert 12 < np.median(radii) < 15


def test_some_of_what_looks_like_a_lesion_is_none(cases: list[list[Focus]]) -> None:
    lesions, decoys = (
        np.array([focus.radius for foci in cases for focus in foci if focus.lesion == lesion])
        for lesion in (True, False)
    )
    assert 0.2 < len(decoys) / (len(lesions) + len(decoys)) < 0.45
    assert decoys.min() >= 3
    assert decoys.max() <= 14
    assert 5.5 < np.median(decoys) < 8


@pytest.mark.parametrize("tracer", ["FDG", "PSMA"])
def test_foci_lie_in_the_body_and_apart(anatomy: Anatomy, tracer: Tracer) -> None:
    scale = np.array(anatomy.patient.scale_zyx)
    outside = 0
    total = 0
    for seed in range(12):
        foci = draw_foci(np.random.default_rng(seed), anatomy, tracer, MORE)
        for index, focus in enumerate(foci):
            total += 1
            z, y, x = (focus.centre / scale)[:, None]
            outside += anatomy.body.distance(z, y, x).item() > 0
            for other in foci[:index]:
                assert np.linalg.norm(focus.centre - other.centre) > focus.radius + other.radius + 8
    assert outside == 0
    assert total > 40


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


def test_a_lesion_smaller_than_a_voxel_keeps_one_and_a_decoy_none() -> None:
    grid = Grid((9, 9, 9), (10.0, 10.0, 10.0), (0.0, 0.0, 0.0))
    centre = np.array((43.0, 36.0, 55.0))
    for lesion in (True, False):
        focus = Focus(
            lesion, centre, 2.0, ellipsoid(centre, (2, 2, 2)), None, 8.0, 1.8, Waves(np.random.default_rng(0), 9, 0.1)
        )
        label, suv = np.zeros(grid.shape_zyx, dtype=np.uint8), np.ones(grid.shape_zyx, dtype=np.float32)
        paint_focus(suv, label, focus, 0.0, grid)
        assert list(map(tuple, np.argwhere(label))) == ([(4, 4, 6)] if lesion else [])


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


def test_more_noise_is_more_noise() -> None:
    def roughness(noise: float) -> float:
        population = dataclasses.replace(BASE, pet_noise=LogNormal(noise, 0, 0, 1), lesion_free_probability=1.0)
        phantom = make_phantom(4, "PSMA", population=population)
        core = ndimage.binary_erosion(phantom.organ_zyx == ORGAN["liver"], iterations=4)
        values = phantom.pet_zyx[core]
        return float(values.std() / values.mean())

    assert 1.6 < roughness(0.2) / roughness(0.08) < 2.6


def test_nnunet_case(tmp_path: Path, phantoms: dict[Tracer, Phantom]) -> None:
    phantom = phantoms["FDG"]
    write_nnunet_case(phantom, tmp_path, "case")
    ct, pet = (sitk.ReadImage(str(tmp_path / "imagesTr" / f"case_000{i}.nii.gz")) for i in (0, 1))
    label = sitk.ReadImage(str(tmp_path / "labelsTr" / "case.nii.gz"))
    assert ct.GetSpacing() == pet.GetSpacing() == phantom.spacing_zyx[::-1]
    np.testing.assert_allclose(sitk.GetArrayFromImage(ct), phantom.ct_zyx, atol=0.51)
    np.testing.assert_allclose(sitk.GetArrayFromImage(pet), phantom.pet_zyx, rtol=1e-3, atol=1 / 256)
    stored = sitk.GetArrayFromImage(label)
    np.testing.assert_array_equal(stored, nnunet_layout.stack_label(phantom.lesion_zyx, phantom.organ_zyx))


def test_container_case(tmp_path: Path, phantoms: dict[Tracer, Phantom]) -> None:
    phantom, folder = phantoms["PSMA"], tmp_path / "psma"
    z, y, x = (int(i) for i in np.argwhere(phantom.lesion_zyx)[0])
    clicks = (Click(x, y, z, "tumor"), Click(1, 2, 3, "background"))
    write_container_case(phantom, folder, clicks)
    case = Case.read(folder)
    assert case.clicks == clicks
    np.testing.assert_allclose(case.ct_zyx, phantom.ct_zyx, atol=0.51)
    np.testing.assert_allclose(case.pet_zyx, phantom.pet_zyx, rtol=1e-3, atol=1 / 256)
    truth = sitk.ReadImage(str(folder / "truth.mha"))
    assert truth.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_array_equal(sitk.GetArrayFromImage(truth), phantom.lesion_zyx)
    assert sum(path.stat().st_size for path in folder.rglob("*.mha")) < 4e6


def test_figure(tmp_path: Path, phantoms: dict[Tracer, Phantom]) -> None:
    for tracer, phantom in phantoms.items():
        figure(phantom, tmp_path / f"{tracer}.png")
        pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"{tracer}.png")))[..., :3]
        assert pixels.shape[1] > 1000
        corner = pixels[:4, :4]
        assert (corner == 255).all()
        assert pixels.std() > 50


def test_a_case_at_4_mm_takes_less_than_10_seconds() -> None:
    start = time.process_time()
    make_phantom(0, spacing_zyx=(4.0, 4.0, 4.0))
    assert time.process_time() - start < 10


def test_ellipsoids_and_capsules_give_signed_distances() -> None:
    z, y, x = np.random.default_rng(0).uniform(-30, 30, size=(3, 200)).astype(np.float32)
    radius = np.sqrt(z**2 + y**2 + x**2)
    np.testing.assert_allclose(ellipsoid((0, 0, 0), (9, 9, 9)).distance(z, y, x), radius - 9, atol=1e-3)
    np.testing.assert_allclose(capsule((0, 0, 0), (0, 0, 0), 4).distance(z, y, x), radius - 4, atol=1e-3)
    long = capsule((-50, 0, 0), (50, 0, 0), 4)
    np.testing.assert_allclose(long.distance(z, y, x), np.hypot(y, x) - 4, atol=1e-3)
    both = union([long, ellipsoid((0, 0, 0), (9, 9, 9))]).distance(z, y, x)
    np.testing.assert_allclose(both, np.minimum(np.hypot(y, x) - 4, radius - 9), atol=1e-3)
    moved = long.moved((0, 3, 0))
    np.testing.assert_allclose(moved.distance(z, y, x), np.hypot(y - 3, x) - 4, atol=1e-3)
    np.testing.assert_allclose(moved.low, (-54, -1, -4))


def test_waves_are_the_same_on_axes_and_at_points() -> None:
    waves = Waves(np.random.default_rng(3), 20.0, 2.0)
    grid = Grid((5, 6, 7), (9.0, 8.0, 7.0), (-20.0, 3.0, 100.0))
    z, y, x = grid.points()
    field = waves(z, y, x)
    index = np.indices(grid.shape_zyx).reshape(3, -1).T
    listed = (index * grid.spacing_zyx + grid.origin_zyx).astype(np.float32)
    np.testing.assert_allclose(field.ravel(), waves(*listed.T), atol=1e-3)
    assert np.abs(field).max() <= waves.bound
    spread = waves(*np.random.default_rng(0).uniform(-500, 500, size=(3, 5000)).astype(np.float32)).std()
    assert spread == pytest.approx(2.0, rel=0.1)

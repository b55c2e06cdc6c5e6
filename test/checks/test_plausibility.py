"""Each way to spoil a case raises its own warning and no other; plausible cases raise none."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT

from lesionclick.case.case import TRUTH_FILE, Case
from lesionclick.case.clicks import Click, Label
from lesionclick.case.geometry import Geometry
from lesionclick.case.images import read_mask
from lesionclick.checks.plausibility import run_checks
from lesionclick.simulation.official_clicks import simulate_official

MODEL_SPACING = (3.0, 2.0364, 2.0364)
REAL = ROOT.parent / "shared" / "real"
SHIFT_MM = 100.0


def read_sample(name: str) -> tuple[Case, np.ndarray]:
    folder = ROOT / "test" / "cases" / name
    case = Case.read(folder)
    return case, read_mask(folder / TRUTH_FILE, case.geometry)


@pytest.fixture(scope="module")
def psma() -> tuple[Case, np.ndarray]:
    return read_sample("psma")


def names_of(case: Case, mask_zyx: np.ndarray | None = None) -> list[str]:
    return [warning.name for warning in run_checks(case, mask_zyx, MODEL_SPACING)]


def with_ct(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Case], Case]:
    return lambda case: replace(case, ct_zyx=change(case.ct_zyx).astype(np.float32))


def with_pet(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Case], Case]:
    return lambda case: replace(case, pet_zyx=change(case.pet_zyx).astype(np.float32))


def moved(axis: int, sign: int) -> Callable[[Case], Case]:
    def spoil(case: Case) -> Case:
        steps = sign * round(SHIFT_MM / case.geometry.spacing_zyx[axis])
        return replace(case, pet_zyx=np.roll(case.pet_zyx, steps, axis))

    return spoil


def with_spacing(factor: float) -> Callable[[Case], Case]:
    def spoil(case: Case) -> Case:
        spacing = tuple(factor * each for each in case.geometry.spacing)
        return replace(case, geometry=replace(case.geometry, spacing=spacing))

    return spoil


def random_tumor_clicks(case: Case) -> Case:
    points = np.random.default_rng(0).integers(0, case.geometry.size, (5000, 3)).tolist()
    return replace(case, clicks=tuple(Click(x, y, z, "tumor") for x, y, z in points))


def clicks_in_wrong_order(case: Case) -> Case:
    last = [size - 1 for size in case.geometry.size]
    points = [(min(c.z, last[0]), min(c.y, last[1]), min(c.x, last[2]), c.label) for c in case.clicks]
    return replace(case, clicks=tuple(Click(*point) for point in points))


def clicks_mirrored(case: Case) -> Case:
    return replace(case, clicks=tuple(replace(each, x=case.geometry.size[0] - 1 - each.x) for each in case.clicks))


def with_labels_swapped(case: Case) -> Case:
    other: dict[Label, Label] = {"tumor": "background", "background": "tumor"}
    return replace(case, clicks=tuple(replace(click, label=other[click.label]) for click in case.clicks))


def specks(mask: np.ndarray) -> np.ndarray:
    scattered = np.zeros_like(mask)
    scattered[::4, ::4, ::4] = 1
    return scattered


def half_the_body(case: Case) -> np.ndarray:
    mask = (case.ct_zyx > -300).astype(np.uint8)
    mask[: len(mask) // 2] = 0
    return mask


TOLD_BY_CHANCE = ("clicks as z, y, x", "clicks mirrored")
"""Where such clicks fall, docs/checks.md says how often."""

SPOILED: dict[str, tuple[str, Callable[[Case], Case]]] = {
    "CT and PET swapped": ("swapped", lambda case: replace(case, ct_zyx=case.pet_zyx, pet_zyx=case.ct_zyx)),
    "CT twice": ("ct-twice", lambda case: replace(case, pet_zyx=case.ct_zyx)),
    "PET twice": ("pet-twice", lambda case: replace(case, ct_zyx=case.pet_zyx)),
    "PET x 5000": ("pet-units", with_pet(lambda pet: pet * 5000)),
    "PET in raw integers": ("pet-units", with_pet(lambda pet: np.round(pet / pet.max() * 32767))),
    "PET x 5": ("suv-high", with_pet(lambda pet: pet * 5)),
    "PET x 0.1": ("suv-low", with_pet(lambda pet: pet * 0.1)),
    "PET from 0 to 1": ("pet-scaled", with_pet(lambda pet: pet / pet.max())),
    "PET with its sign flipped": ("pet-negative", with_pet(lambda pet: -pet)),
    "PET constant": ("pet-constant", with_pet(lambda pet: np.full_like(pet, 2))),
    "CT + 1024": ("ct-offset", with_ct(lambda ct: ct + 1024)),
    "CT of air": ("ct-empty", with_ct(lambda ct: np.full_like(ct, -1000))),
    "CT wrapped": ("ct-wrapped", with_ct(lambda ct: np.where(ct < 0, ct + 65536, ct))),
    "CT with noise": ("ct-noise", with_ct(lambda ct: ct + np.random.default_rng(0).normal(0, 3000, ct.shape))),
    "CT in a window": ("ct-no-air", with_ct(lambda ct: np.clip(ct, -160, 240))),
    "CT from 0 to 1": ("ct-no-air", with_ct(lambda ct: (ct - ct.min()) / np.ptp(ct))),
    "PET head-feet": ("flip-head-feet", with_pet(lambda pet: pet[::-1])),
    "PET front-back": ("flip-front-back", with_pet(lambda pet: pet[:, ::-1])),
    "PET left-right": ("flip-left-right", with_pet(lambda pet: pet[..., ::-1])),
    **{f"PET moved along {'zyx'[axis]} {sign}": ("moved", moved(axis, sign)) for axis in range(3) for sign in (-1, 1)},
    "spacing x 0.1": ("spacing", with_spacing(0.1)),
    "random tumor clicks": ("clicks-in-air", random_tumor_clicks),
    "clicks as z, y, x": ("clicks-in-air", clicks_in_wrong_order),
    "clicks mirrored": ("clicks-without-uptake", clicks_mirrored),
}


@pytest.mark.parametrize("way", SPOILED)
def test_one_fault_raises_its_warning_alone(way: str, psma: tuple[Case, np.ndarray]) -> None:
    expected, spoil = SPOILED[way]
    assert names_of(spoil(psma[0])) == [expected]


@pytest.mark.parametrize("name", ["fdg", "psma", "no-lesions"])
def test_samples_raise_nothing(name: str) -> None:
    assert names_of(*read_sample(name)) == []


def make_phantom(population: str, tracer: str, shape: tuple[int, int, int] | None = None) -> tuple[Case, np.ndarray]:
    """A phantom on voxels of 7 mm with official clicks, and its lesions; a part of a patient where a shape is given."""
    phantoms = pytest.importorskip("lesionclick_training.phantom.phantom", reason="phantoms come with training")
    from lesionclick_training.phantom.population_names import PopulationName
    from lesionclick_training.phantom.populations import POPULATIONS

    drawn = POPULATIONS[PopulationName(population)]
    phantom = phantoms.make_phantom(7, tracer, (7.0, 7.0, 7.0), shape, population=drawn)
    size = phantom.ct_zyx.shape[::-1]
    geometry = Geometry(size, (7.0,) * 3, (0.0,) * 3, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    clicks = tuple(simulate_official(phantom.pet_zyx, phantom.lesion_zyx))
    return Case("phantom", phantom.ct_zyx, phantom.pet_zyx, geometry, clicks), phantom.lesion_zyx


@pytest.mark.parametrize("tracer", ["FDG", "PSMA"])
@pytest.mark.parametrize("population", ["realistic", "base"])
def test_parts_of_phantoms_raise_nothing_and_a_flip_does(population: str, tracer: str) -> None:
    case, mask = make_phantom(population, tracer, (64, 56, 72))
    assert names_of(case, mask) == []
    assert names_of(SPOILED["PET head-feet"][1](case)) == ["flip-head-feet"]
    assert names_of(SPOILED["PET left-right"][1](case)) == ["flip-left-right"]


@pytest.mark.parametrize("tracer", ["FDG", "PSMA"])
@pytest.mark.parametrize("population", ["realistic", "base"])
def test_whole_phantoms_raise_nothing_and_each_fault_its_warning_alone(population: str, tracer: str) -> None:
    case, mask = make_phantom(population, tracer)
    assert {click.label for click in case.clicks} == {"tumor", "background"}
    assert run_checks(case, mask, MODEL_SPACING, model_takes_clicks=True) == []
    found = {way: names_of(spoil(case)) for way, (_, spoil) in SPOILED.items() if way not in TOLD_BY_CHANCE}
    assert found == {way: [SPOILED[way][0]] for way in found}
    unclicked = replace(case, clicks=())
    assert [each.name for each in run_checks(unclicked, mask, MODEL_SPACING, model_takes_clicks=True)] == ["no-clicks"]
    assert names_of(unclicked, specks(mask)) == ["mask-scattered"]
    assert names_of(unclicked, half_the_body(case)) == ["mask-large"]
    assert names_of(with_labels_swapped(case), mask) == ["clicks-against-mask"]


@pytest.mark.skipif(not REAL.is_dir(), reason="the real cases do not lie beside the repository")
def test_real_crops_raise_nothing() -> None:
    folders = sorted(path for path in REAL.iterdir() if path.is_dir())
    for folder in folders:
        ct, pet = (next((folder / "images" / modality).iterdir()) for modality in ("ct", "pet"))
        case = Case.read_files(folder.name, ct, pet, None)
        mask = read_mask(folder / TRUTH_FILE, case.geometry)
        case = replace(case, clicks=tuple(simulate_official(case.pet_zyx, mask)))
        assert names_of(case, mask) == [], folder.name


def test_a_warning_names_its_figure(psma: tuple[Case, np.ndarray]) -> None:
    (warning,) = run_checks(SPOILED["PET x 5"][1](psma[0]))
    mean = warning.figures["body_mean"]
    assert 3 < mean < 8
    assert f"SUV {mean:.3g}" in warning.sentence
    assert warning.to_json()["figures"]["body_mean"] == pytest.approx(mean, rel=1e-3)


def test_a_flip_is_named_by_the_world_and_not_by_the_array(psma: tuple[Case, np.ndarray]) -> None:
    """A sagittal series has left and right along z of its array, and the head along y."""
    case = psma[0]
    ct, pet = (image.transpose(2, 0, 1) for image in (case.ct_zyx, case.pet_zyx[::-1]))
    x, y, z = case.geometry.spacing
    direction = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    geometry = replace(case.geometry, size=ct.shape[::-1], spacing=(y, z, x), direction=direction)
    assert "flip-head-feet" in names_of(replace(case, ct_zyx=ct, pet_zyx=pet, geometry=geometry, clicks=()))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda case, mask: half_the_body(case), ["mask-large"]),
        (lambda case, mask: specks(mask), ["mask-scattered"]),
        (lambda case, mask: np.zeros_like(mask), []),
    ],
)
def test_masks(
    make: Callable[[Case, np.ndarray], np.ndarray], expected: Sequence[str], psma: tuple[Case, np.ndarray]
) -> None:
    case = replace(psma[0], clicks=())
    assert names_of(case, make(case, psma[1])) == expected


def test_labels_that_were_swapped_show_against_the_mask_alone(psma: tuple[Case, np.ndarray]) -> None:
    case, mask = psma
    assert {click.label for click in case.clicks} == {"tumor", "background"}
    swapped = with_labels_swapped(case)
    assert names_of(swapped) == []  # where tumors are, and where other uptake, is what nobody knows before
    assert names_of(swapped, mask) == ["clicks-against-mask"]


def test_clicks_are_missed_where_the_model_expects_them(psma: tuple[Case, np.ndarray]) -> None:
    without = replace(psma[0], clicks=())
    assert [each.name for each in run_checks(without, model_takes_clicks=True)] == ["no-clicks"]
    assert run_checks(without) == []
    assert run_checks(psma[0], model_takes_clicks=True) == []


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 4), (1, 200, 200), (300, 2, 2)])
@pytest.mark.parametrize("values", ["random", "constant", "negative"])
def test_odd_images_raise_no_error(shape: tuple[int, int, int], values: str) -> None:
    generator = np.random.default_rng(0)
    low, high = {"random": (-1000, 1000), "constant": (0, 1e-9), "negative": (-3000, -2000)}[values]
    ct, pet = (generator.uniform(low, high, shape).astype(np.float32) for _ in range(2))
    identity = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    geometry = Geometry(shape[::-1], (2.0, 2.0, 3.0), (0.0, 0.0, 0.0), identity)
    case = Case("odd", ct, pet, geometry, (Click(0, 0, 0, "tumor"), Click(0, 0, 0, "background")))
    for warning in run_checks(case, np.ones(shape, np.uint8), MODEL_SPACING):
        assert all(np.isfinite(figure) for figure in warning.figures.values())
        assert warning.sentence

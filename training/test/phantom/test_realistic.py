import dataclasses

import numpy as np
import pytest

from lesionclick_training.phantom import reality
from lesionclick_training.phantom.anatomy import Anatomy, build_anatomy
from lesionclick_training.phantom.disease import draw_disease
from lesionclick_training.phantom.field_of_view import draw_grid
from lesionclick_training.phantom.foci import Focus
from lesionclick_training.phantom.measurements import (
    Measurement,
    click_shares,
    measure,
    organ_quantiles,
    organ_quartiles_mm,
)
from lesionclick_training.phantom.patient import draw_patient
from lesionclick_training.phantom.phantom import make_phantom
from lesionclick_training.phantom.population import Population, Tracer
from lesionclick_training.phantom.populations import BASE, FIELDS, MORE, REALISTIC, REALISTIC_MORE

TRACERS: tuple[Tracer, ...] = ("FDG", "PSMA")
SPACING = (6.0, 6.0, 6.0)


@pytest.fixture(scope="module")
def measured() -> dict[Tracer, list[Measurement]]:
    return {
        tracer: [measure(make_phantom(seed, tracer, SPACING, population=REALISTIC)) for seed in range(12)]
        for tracer in TRACERS
    }


@pytest.fixture(scope="module")
def anatomies() -> dict[Tracer, Anatomy]:
    built = {}
    for tracer in TRACERS:
        patient = draw_patient(np.random.default_rng(0), tracer, REALISTIC)
        built[tracer] = build_anatomy(np.random.default_rng(0), patient)
    return built


@pytest.fixture(scope="module")
def foci(anatomies: dict[Tracer, Anatomy]) -> dict[Tracer, list[list[Focus]]]:
    assert REALISTIC.diseases is not None
    return {
        tracer: [
            draw_disease(
                np.random.default_rng(seed), anatomies[tracer], tracer, REALISTIC.diseases[tracer], (650.0, 1700.0)
            )[1]
            for seed in range(60)
        ]
        for tracer in TRACERS
    }


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("organ", [organ for organ in reality.ORGAN_ML["FDG"] if organ != "prostate"])
def test_an_organs_median_volume_lies_within_the_real_quartiles(
    measured: dict[Tracer, list[Measurement]], tracer: Tracer, organ: str
) -> None:
    if organ == "brain" and tracer == "PSMA":
        assert all(each.organ_ml.get("brain", 0) < 700 for each in measured[tracer])  # cut off by the field of view
        return
    _, low, _, high, _ = reality.ORGAN_ML[tracer][organ]
    median = organ_quantiles(measured[tracer], organ)[2]
    assert 0.9 * low <= median <= 1.1 * high  # a tenth for what a dozen patients leave to chance


@pytest.mark.parametrize("tracer", TRACERS)
def test_mens_prostates_are_as_large_as_real_ones(tracer: Tracer) -> None:
    volumes = []
    for seed in range(50):
        patient = draw_patient(np.random.default_rng(seed), tracer, REALISTIC)
        if not patient.female:
            (prostate,) = build_anatomy(np.random.default_rng(seed), patient).named("prostate")
            half_axes = (prostate.high - prostate.low) / 2 * patient.scale_zyx
            volumes.append(4 / 3000 * np.pi * half_axes.prod())
    _, low, _, high, _ = reality.ORGAN_ML[tracer]["prostate"]
    assert low <= np.median(volumes) <= high


@pytest.mark.parametrize("tracer", TRACERS)
def test_organs_lie_where_those_of_real_patients_lie(measured: dict[Tracer, list[Measurement]], tracer: Tracer) -> None:
    for organ, real in reality.ORGAN_POSITION_MM[tracer].items():
        mine = organ_quartiles_mm(measured[tracer], organ)
        assert np.all(np.abs(mine[:, 1] - np.array(real)[:, 1]) < 30), organ


@pytest.mark.parametrize("tracer", TRACERS)
def test_background_clicks_fall_where_the_official_ones_do(
    measured: dict[Tracer, list[Measurement]], tracer: Tracer
) -> None:
    shares = click_shares(measured[tracer])
    for organ in ("liver", "other", "heart", "kidneys", "spleen", "glands"):
        assert shares.get(organ, 0.0) == pytest.approx(reality.BACKGROUND_CLICKS[tracer][organ], abs=0.25), organ


@pytest.mark.parametrize("tracer", TRACERS)
def test_scans_are_as_long_and_wide_as_real_ones(anatomies: dict[Tracer, Anatomy], tracer: Tracer) -> None:
    grids = [draw_grid(np.random.default_rng(s), anatomies[tracer], FIELDS[tracer], None) for s in range(200)]
    lengths = np.array([grid.shape_zyx[0] * grid.spacing_zyx[0] for grid in grids])
    real = reality.LENGTH_MM[tracer]
    assert real[1] <= np.median(lengths) <= real[3]
    assert lengths.max() > 1500 if tracer == "FDG" else lengths.max() < 1200
    assert {round(grid.shape_zyx[2] * grid.spacing_zyx[2]) for grid in grids} <= {684, 700, 815}
    assert {round(grid.spacing_zyx[2], 2) for grid in grids} == ({2.04} if tracer == "FDG" else {2.73, 4.07})


@pytest.mark.parametrize("tracer", TRACERS)
def test_lesion_free_shares_counts_and_volumes(foci: dict[Tracer, list[list[Focus]]], tracer: Tracer) -> None:
    counts = np.array([sum(focus.lesion for focus in case) for case in foci[tracer]])
    assert np.mean(counts == 0) == pytest.approx(reality.LESION_FREE[tracer], abs=0.1)
    assert 3 <= np.median(counts[counts > 0]) <= 12
    assert (counts == 1).any()
    volumes = [4 / 3000 * np.pi * f.radius**3 for case in foci[tracer] for f in case if f.lesion]
    assert 0.8 < np.median(volumes) < 2.2
    assert max(volumes) > 50 * np.median(volumes)
    if tracer == "PSMA":
        assert counts.max() > 50


@pytest.mark.parametrize("tracer", TRACERS)
def test_benign_foci_are_sized_like_lesions(foci: dict[Tracer, list[list[Focus]]], tracer: Tracer) -> None:
    lesions, benign = (
        np.percentile([f.radius for case in foci[tracer] for f in case if f.lesion == lesion], (25, 75))
        for lesion in (True, False)
    )
    assert benign[0] < lesions[1]
    assert lesions[0] < benign[1]


def test_some_patients_have_one_mass_of_a_hundred_ml_or_more(foci: dict[Tracer, list[list[Focus]]]) -> None:
    largest = [max((f.radius for f in case if f.lesion), default=0.0) for case in foci["FDG"]]
    assert 2 <= sum(radius > 28.8 for radius in largest) <= 20


def test_the_body_has_room_for_a_mass(anatomies: dict[Tracer, Anatomy]) -> None:
    assert REALISTIC.diseases is not None
    disease = dataclasses.replace(REALISTIC.diseases["FDG"], lesion_free=0.0, mass=1.0)
    for seed in range(5):
        grown, foci = draw_disease(np.random.default_rng(seed), anatomies["FDG"], "FDG", disease, (650.0, 1700.0))
        mass = max((f for f in foci if f.lesion), key=lambda f: f.radius)
        points = np.random.default_rng(0).uniform(mass.solid.low, mass.solid.high, size=(500, 3))
        points = points[mass.solid.distance(*points.T) < -1]
        inside = grown.body.distance(*(points / anatomies["FDG"].patient.scale_zyx).T) < 0
        assert inside.mean() > 0.97


def test_a_seed_gives_the_same_bits() -> None:
    first, again = (make_phantom(5, spacing_zyx=(12.0, 12.0, 12.0), population=REALISTIC_MORE) for _ in range(2))
    for name in ("ct_zyx", "pet_zyx", "lesion_zyx", "organ_zyx"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


def test_air_beyond_the_patient_is_empty() -> None:
    phantom = make_phantom(1, "PSMA", (10.0, 10.0, 10.0), population=REALISTIC)
    assert phantom.ct_zyx[:, :4].max() == -1024
    assert phantom.pet_zyx[:, :4].max() == 0


@pytest.mark.parametrize(
    ("population", "organ_voxels", "lesion_voxels", "suv"),
    [(BASE, 15606, 151, 0.2158507), (MORE, 16033, 182, 0.20284742)],
)
def test_the_first_populations_stay_what_they_were(
    population: Population, organ_voxels: int, lesion_voxels: int, suv: float
) -> None:
    phantom = make_phantom(3, spacing_zyx=(8.0, 8.0, 8.0), population=population)
    assert int((phantom.organ_zyx > 0).sum()) == pytest.approx(organ_voxels, abs=3)
    assert int(phantom.lesion_zyx.sum()) == pytest.approx(lesion_voxels, abs=2)
    assert float(phantom.pet_zyx.mean()) == pytest.approx(suv, rel=1e-4)

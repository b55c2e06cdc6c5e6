import numpy as np
import pytest

from lesionclick_training.phantom.anatomy import Anatomy, build_anatomy
from lesionclick_training.phantom.foci import Focus, draw_foci
from lesionclick_training.phantom.patient import draw_patient
from lesionclick_training.phantom.population import Tracer
from lesionclick_training.phantom.populations import BASE, MORE


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return build_anatomy(np.random.default_rng(0), draw_patient(np.random.default_rng(0), "PSMA", BASE))


@pytest.fixture(scope="module")
def cases(anatomy: Anatomy) -> list[list[Focus]]:
    return [draw_foci(np.random.default_rng(seed), anatomy, "PSMA", BASE) for seed in range(100)]


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
            z, y, x = (focus.center / scale)[:, None]
            outside += anatomy.body.distance(z, y, x).item() > 0
            for other in foci[:index]:
                assert np.linalg.norm(focus.center - other.center) > focus.radius + other.radius + 8
    assert outside == 0
    assert total > 40

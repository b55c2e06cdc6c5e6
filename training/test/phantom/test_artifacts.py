import numpy as np

from lesionclick_training.phantom.anatomy import build_anatomy
from lesionclick_training.phantom.artifacts import Metal, draw_metal, metal_in_ct, metal_in_pet
from lesionclick_training.phantom.patient import draw_patient
from lesionclick_training.phantom.population import Artifacts
from lesionclick_training.phantom.populations import REALISTIC
from lesionclick_training.phantom.shapes import Grid, ellipsoid

GRID = Grid((7, 61, 61), (4.0, 4.0, 4.0), (-12.0, -120.0, -120.0))
BALL = Metal(ellipsoid((0, 0, 0), (12, 12, 12)), 400.0, 40.0, np.array((0.3, 1.0, 2.0, 3.0)))


def test_metal_is_bright_in_the_ct_and_throws_bright_and_dark_streaks() -> None:
    ct = np.full(GRID.shape_zyx, 40.0, dtype=np.float32)
    metal_in_ct(ct, [BALL], GRID)
    assert ct[3, 30, 30] > 3000
    around = ct[3, 30:, :][np.hypot(*np.meshgrid(np.arange(-30, 31), np.arange(31))) > 6]
    assert around.max() > 80
    assert around.min() < 0
    assert abs(ct[3, 2, 2] - 40) < abs(ct[3, 30, 38] - 40) + 40


def test_metal_raises_the_corrected_pet_beside_it() -> None:
    pet = np.ones(GRID.shape_zyx, dtype=np.float32)
    metal_in_pet(pet, [BALL], GRID)
    assert pet[3, 30, 34] > 1.15
    assert abs(pet[3, 1, 1] - 1) < 0.1
    assert pet.min() > 0.7


def test_each_kind_of_metal_is_drawn_where_its_probability_says() -> None:
    patient = draw_patient(np.random.default_rng(0), "FDG", REALISTIC)
    anatomy = build_anatomy(np.random.default_rng(0), patient)
    nothing = Artifacts(dental=0, hip=0, knee=0, spine=0, pacemaker=0)
    assert draw_metal(np.random.default_rng(0), anatomy, nothing) == []
    everything = draw_metal(np.random.default_rng(0), anatomy, Artifacts(1, 1, 1, 1, 1))
    heights = {round(float((m.solid.low + m.solid.high)[0] / 2 / patient.scale_zyx[0]), -2) for m in everything}
    assert {500, 900, 1000, 1400, 1500} <= heights

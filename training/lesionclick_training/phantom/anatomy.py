"""Anatomy: the whole body of a phantom, in the standard frame of `patient`."""

from dataclasses import dataclass

import numpy as np

from lesionclick_training.phantom import abdomen, chest, head_and_neck, skeleton, vessels
from lesionclick_training.phantom.patient import (
    MUSCLE_HU,
    SIDES,
    Patient,
    Structure,
    arm_joints,
    body_cavity,
    breasts,
    fat_thickness,
    lean_body,
)
from lesionclick_training.phantom.shapes import Solid, Waves, union


@dataclass(frozen=True)
class Anatomy:
    """A patient's body.

    Attributes:
        patient: what it was built from.
        body: all of it up to the skin.
        structures: what is inside, in the order of painting; what none covers is fat.
        landmarks: points (n, 3) along "ureter" and "bowel", and of each "joint".
        arms: the joints of the right and of the left arm, see `patient.arm_joints`.
    """

    patient: Patient
    body: Solid
    structures: tuple[Structure, ...]
    landmarks: dict[str, np.ndarray]
    arms: tuple[np.ndarray, ...]

    def named(self, *names: str) -> list[Solid]:
        """The solids of the structures of these names."""
        return [solid for structure in self.structures if structure.name in names for solid in structure.solids]


def build_anatomy(rng: np.random.Generator, patient: Patient) -> Anatomy:
    """Models a patient's body; `rng` draws the size and place of organs."""
    arms = arm_joints(rng, patient)
    lean, cavity, chest_glands = lean_body(patient, arms), body_cavity(patient), breasts(patient)
    diaphragm = chest.diaphragm_surface(rng, patient)
    bowel, bowel_line = abdomen.bowel(rng, patient)
    kidneys, ureters = abdomen.kidneys(rng, patient)
    structures = (
        *_muscles(rng, lean, chest_glands),
        Structure("fat", [cavity], -98.0),
        *head_and_neck.face_and_neck(rng, patient),
        *head_and_neck.skull_and_brain(rng, patient),
        *chest.mediastinum(cavity),
        *chest.lungs(rng, patient, cavity, diaphragm),
        *chest.heart(rng, patient),
        *abdomen.upper_abdomen(rng, patient, cavity, diaphragm),
        *bowel,
        *kidneys,
        *abdomen.pelvic_organs(rng, patient),
        *vessels.great_vessels(patient),
        *abdomen.psoas_muscles(),
        *skeleton.spine(),
        *skeleton.rib_cage(cavity),
        *skeleton.pelvis(cavity),
        *skeleton.limb_bones(arms, legs=patient.legs),
    )
    landmarks = {"ureter": ureters, "bowel": bowel_line, "joint": _joints(arms)}
    return Anatomy(patient, _up_to_skin(patient, lean, chest_glands), structures, landmarks, tuple(arms))


def _up_to_skin(patient: Patient, lean: Solid, chest_glands: tuple[Solid, ...]) -> Solid:
    """Lean body, fat and breasts, flat where the back lies on the table."""
    fat = fat_thickness(patient)
    room = 1.4 * patient.fat + 3.0

    def distance(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return lean.distance(z, y, x) - fat(z, y, x)

    covered = Solid(lean.low - room, lean.high + room, distance)
    return union([covered, *chest_glands], rounding=20).where(lambda z, y, x: y - patient.back)


def _muscles(rng: np.random.Generator, lean: Solid, chest_glands: tuple[Solid, ...]) -> list[Structure]:
    """Muscle with thin sheets of fat, which run along the body; and the glandular tissue of breasts."""
    sheets = Waves(rng, 60.0, 1.0)

    def glandular(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return 6 * sheets(z, y, x) + 3

    def near_sheet(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        distance: np.ndarray = 8 * np.abs(sheets(0.3 * z, y, x)) - 1.2
        return distance

    return [
        Structure("breast", [breast.grown(-12).where(glandular) for breast in chest_glands], 15.0),
        Structure("muscle", [lean], MUSCLE_HU),
        Structure("fat", [lean.grown(-8).where(near_sheet)], -50.0),
    ]


def _joints(arms: list[np.ndarray]) -> np.ndarray:
    """Shoulders, hips, and the joints of collarbone and sacrum: shape (8, 3)."""
    points = [tuple(joints[0]) for joints in arms]
    for side in SIDES:
        points += [(895, -5, side * 88), (1408, -48, side * 24), (985, 62, side * 42)]
    return np.array(points, dtype=np.float64)

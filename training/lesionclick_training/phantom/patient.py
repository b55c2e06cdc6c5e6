"""Patient of a phantom: what makes one differ from another, and the outline of the body.

Everything of the body is modeled in the frame of a patient of 1720 mm, in mm: z from the soles up, y from the middle
of the chest toward the back, x from the middle toward the patient's left. A patient differs by a scale along each
axis, by fat, and by the position of the arms. Levels and sizes are of adults and are chosen so that neighbors meet as
they do in a CT.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lesionclick_training.phantom.population import Population, Tracer, draw
from lesionclick_training.phantom.shapes import Distance, Solid, Triple, capsule, ellipsoid, stack, union

STANDARD_HEIGHT = 1720.0

AIR_HU, FAT_HU, MUSCLE_HU = -1000.0, -100.0, 52.0

LOWEST_Z, HIGHEST_Z = 650.0, 1765.0
"""What a scan covers in the standard frame: mid thigh to the air above the vertex."""

RIGHT, LEFT = -1, 1

SIDES = (RIGHT, LEFT)
"""The sign of x on either side."""


@dataclass(frozen=True)
class Structure:
    """A part of the body: where it is, its Hounsfield units, and the organ class it belongs to (0: none).

    `name` is what its uptake is listed under. Later structures cover earlier ones.
    """

    name: str
    solids: Sequence[Solid]
    hu: float
    organ: int = 0


@dataclass(frozen=True)
class Patient:
    """What makes one patient differ from the standard.

    Attributes:
        female: sex.
        scale_zyx: size along each axis over the standard's.
        fat: under the skin of the belly, mm of the standard frame.
        visceral: how far fat inside pushes the belly forward, mm of the standard frame.
        arms_up: above the head, else beside the body.
        contrast_agent: whether the CT has it in vessels and organs.
        sizes: of organs, linear, over the standard's; 1 where an organ is not named.
        organs_up: how far diaphragm, heart and upper abdomen lie above the standard level, mm.
        lung_margin: how far the lungs stay off the wall of the chest, mm.
        brain_down: how far the base of the brain lies below the standard level, mm.
        legs: whether the body goes on below the middle of the thighs.
        bend: levels, and how far to the back the body lies there, mm.
    """

    female: bool
    scale_zyx: Triple
    fat: float
    visceral: float
    arms_up: bool
    contrast_agent: bool
    sizes: Mapping[str, float] = field(default_factory=dict)
    organs_up: float = 0.0
    lung_margin: float = 0.0
    brain_down: float = 0.0
    legs: bool = False
    bend: tuple[tuple[float, float], ...] = ()

    def size(self, organ: str) -> float:
        """The linear size of an organ over the standard's."""
        return self.sizes.get(organ, 1.0)

    @property
    def back(self) -> float:
        """Level in y of the plane that the back is pressed flat on."""
        return 104.0 + 0.6 * self.fat

    def enhanced(self, plain_hu: float, with_agent_hu: float) -> float:
        """The HU of a tissue in this patient's CT."""
        return with_agent_hu if self.contrast_agent else plain_hu


def draw_patient(rng: np.random.Generator, tracer: Tracer, population: Population) -> Patient:
    """Draws a patient; women are 6 % shorter than men on average and carry more fat under the skin, less inside."""
    female = bool(rng.random() < population.female_probability) and tracer == "FDG"
    height = draw(rng, population.height_mm) * (0.96 if female else 1.02)
    frame = draw(rng, population.frame) * (0.97 if female else 1.0)
    tall = height / STANDARD_HEIGHT
    patient = Patient(
        female=female,
        scale_zyx=(tall, tall**0.6 * frame**0.7, tall**0.6 * frame),
        fat=draw(rng, population.fat_mm) * (1.2 if female else 1.0),
        visceral=draw(rng, population.visceral_mm) * (0.6 if female else 1.0),
        arms_up=bool(rng.random() < population.arms_up_probability),
        contrast_agent=bool(rng.random() < population.contrast_agent_probability),
    )
    body = population.body
    if body is None:
        return patient
    cushion = draw(rng, body.cushion_range)
    build = float(np.exp(rng.normal(0, body.build_spread)))
    return replace(
        patient,
        sizes={
            organ: float(size * np.exp(rng.normal(0, body.spread.get(organ, 0.07))))
            * (1 if organ == "bladder" else build)
            for organ, size in body.sizes[tracer].items()
        },
        organs_up=draw(rng, body.organs_up_mm),
        lung_margin=draw(rng, body.lung_margin_mm),
        brain_down=body.brain_down_mm,
        legs=True,
        bend=tuple((z, shift * cushion) for z, shift in body.cushion),
    )


def fat_thickness(patient: Patient) -> Distance:
    """The thickness in mm of the fat under the skin, as a function of points."""
    levels = [600, 760, 850, 920, 1000, 1080, 1180, 1280, 1380, 1430, 1480, 1540, 1600, 1720]
    share = [0.55, 0.75, 1.15, 1.2, 1.1, 1.0, 0.8, 0.65, 0.6, 0.5, 0.35, 0.2, 0.12, 0.1]
    if patient.female:
        share[:4] = [0.9, 1.1, 1.4, 1.35]

    def thickness(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        along = np.interp(z, levels, share).astype(np.float32) * patient.fat + 3
        on_arms = np.clip((np.abs(x) - 190 - patient.fat) / 30, 0, 1)
        above = np.clip((z - 1450) / 60, 0, 1) * np.clip((np.abs(x) - 80) / 30, 0, 1)
        millimeters: np.ndarray = along * (1 - 0.6 * on_arms) * (1 - 0.3 * above) + above * 2
        return millimeters

    return thickness


def lean_body(patient: Patient, arms: Sequence[np.ndarray]) -> Solid:
    """The body without the fat under the skin and without breasts; `arms` as `arm_joints` gives them."""
    belly = -0.8 * patient.visceral
    wide = 0.35 * patient.visceral
    hips, waist, chest = (6, -10, -8) if patient.female else (0, 0, 0)
    trunk = stack(
        [
            (790, 112 + hips, -58, 80),
            (825, 150 + hips, -76, 94),
            (850, 163 + hips, -84, 98),
            (895, 166 + hips, -88, 101),
            (960, 157 + hips + 0.3 * wide, -86 + 0.4 * belly, 100),
            (1030, 141 + waist + wide, -86 + belly, 94),
            (1100, 136 + waist + wide, -88 + belly, 92),
            (1180, 142 + chest + 0.5 * wide, -98 + 0.5 * belly, 98),
            (1250, 149 + chest, -103, 103),
            (1320, 150 + chest, -98, 105),
            (1375, 140 + chest, -82, 102),
            (1410, 112, -62, 93),
            (1438, 68, -46, 80),
            (1462, 51, -44, 68),
            (1500, 46, -45, 62),
            (1570, 46, -46, 66),
        ],
        power=2.5,
    )
    head = [
        ellipsoid((1638, 2, 0), (80, 91, 71)),
        ellipsoid((1562, -42, 0), (70, 52, 54)),
        ellipsoid((1500, -55, 0), (17, 26, 26)),
        ellipsoid((1588, -96, 0), (18, 12, 12)),
    ]
    limbs = []
    for joints in arms:
        shoulder, elbow, wrist, fingers = joints
        limbs += [
            capsule(shoulder, shoulder + 0.3 * (elbow - shoulder), 42, 41),
            capsule(shoulder + 0.3 * (elbow - shoulder), elbow, 41, 33),
            capsule(elbow, wrist, 34, 22),
            capsule(wrist, fingers, 26, 24),
        ]
    for side in SIDES:
        if patient.legs:
            limbs += [
                capsule((640, 0, side * 82), (480, 2, side * 78), 66, 52),
                capsule((475, 4, side * 78), (320, 14, side * 77), 50, 54),
                capsule((320, 14, side * 77), (90, 12, side * 74), 54, 32),
                capsule((45, 16, side * 74), (30, -130, side * 88), 34, 24),
            ]
        limbs += [
            capsule((850, 4, side * 86), (640, 0, side * 82), 80, 66),
            capsule((900, 52, side * 62), (850, 52, side * 66), 45),
        ]
    shoulders = [capsule((1432, 38, s * 50), (1400, 30, s * 135), 28, 34) for s in SIDES]
    return union([trunk, *head, *shoulders, *limbs], rounding=26)


def breasts(patient: Patient) -> tuple[Solid, ...]:
    """A woman's breasts as they lie on the chest; none of a man."""
    if not patient.female:
        return ()
    size = 0.8 * patient.fat
    return tuple(ellipsoid((1236, -96 - 0.5 * size, s * 78), (42 + size, 24 + size, 44 + size)) for s in SIDES)


def arm_joints(rng: np.random.Generator, patient: Patient) -> list[np.ndarray]:
    """Shoulder, elbow, wrist and fingertips of the right and of the left arm: two arrays of shape (4, 3)."""
    out = 1.25 * patient.fat + 0.35 * patient.visceral
    joints = []
    for side in SIDES:
        if patient.arms_up:
            line = [(1400, 25, 158), (1672, 10, 196 + 0.3 * out), (1835, 0, 70), (1900, 0, 0)]
        else:
            line = [(1385, 28, 172), (1095, 40, 196 + out), (860, 5, 204 + out), (770, -5, 196 + out)]
        joints.append(np.array([(z, y, side * x) for z, y, x in line]) + rng.normal(0, 5, size=(4, 3)))
    return joints


def body_cavity(patient: Patient) -> Solid:
    """The inside of ribs, belly wall and pelvis."""
    belly = -0.8 * patient.visceral
    wide = 0.35 * patient.visceral
    waist, chest = (-10, -8) if patient.female else (0, 0)
    return stack(
        [
            (826, 10, -8, 30),
            (838, 34, -34, 54),
            (860, 62, -62, 75),
            (900, 88, -70, 78),
            (960, 112 + 0.3 * wide, -72 + 0.4 * belly, 70),
            (1030, 118 + waist + wide, -72 + belly, 66),
            (1100, 122 + waist + wide, -76 + belly, 78),
            (1180, 129 + chest + 0.5 * wide, -86 + 0.5 * belly, 86),
            (1250, 131 + chest, -88, 90),
            (1320, 124 + chest, -76, 88),
            (1380, 104 + chest, -50, 80),
            (1415, 80, -24, 70),
            (1435, 52, -6, 58),
            (1448, 18, 12, 40),
        ],
        power=2.4,
    )

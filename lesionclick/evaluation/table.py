"""Table of scores: a row for each case and step, read from and written to CSV."""

import csv
import dataclasses
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lesionclick.errors import CaseError
from lesionclick.evaluation.metrics import auc
from lesionclick.files import describe_error, replacing

TABLE_FILE = Path("cases.csv")

RANK = "rank"
"""The score that autoPET V ranks by: half the mean Dice, half the mean DMM, each over the cases that define it."""

RANKED = ("dice", "detection_f1")

_VOLUMES = {"false_positive_ml": "FPvol, ml", "false_negative_ml": "FNvol, ml"}

_SCORES = {"dice": "Dice", **_VOLUMES, "detection_f1": "detection F1"}

SCORES = {
    "clicks": _SCORES,
    "round": _SCORES,
    "iteration": {"dice": "Dice", "detection_f1": "DMM", RANK: "mean of Dice and DMM", **_VOLUMES},
}
"""The scores that are summarized, for each thing that a step may count: their names here, and how tables name them."""

STEP_NAMES: dict[str, str] = {"clicks": "clicks a label", "round": "round", "iteration": "iteration"}
"""What a step counts: its column in the rows, and how tables name it."""

CLICK_CURVES = (tuple(range(11)), (0, 3, 7, 10))  # official autoPET/CT IV; arXiv 2508.21680


@dataclass(frozen=True)
class CaseScore:
    """What one case scored at one step; the fields are the columns of cases.csv.

    Attributes:
        case: its name.
        tracer: fdg, psma or unknown.
        step: number of clicks of each label, round of corrections, or iteration of autoPET V.
        source: where the clicks come from: official, simulated, corrective-clicks, autopetv or replay.
        tumor_points: how many tumor clicks the networks were shown.
        background_points: how many background clicks.
        dice: 0 to 1; NaN where the truth is empty, as everything that the truth does not define. At an iteration of
            autoPET V it is 1 there if the mask is empty, else 0.
        false_positive_ml: volume of predicted lesions that touch no true one.
        false_negative_ml: volume of true lesions that no predicted one touches.
        true_positives: true lesions found.
        false_positives: predicted lesions that match none.
        false_negatives: true lesions not found.
        detection_f1: 0 to 1; autoPET V calls it DMM.
    """

    case: str
    tracer: str
    step: int
    source: str
    tumor_points: int
    background_points: int
    dice: float
    false_positive_ml: float
    false_negative_ml: float
    true_positives: int
    false_positives: int
    false_negatives: int
    detection_f1: float


@dataclass(frozen=True)
class Table:
    """Scores of one evaluation.

    Attributes:
        step_name: what a step counts, a key of STEP_NAMES.
        rows: each case at each step; the steps of a case are together and ascending.
    """

    step_name: str
    rows: tuple[CaseScore, ...]

    @property
    def cases(self) -> tuple[str, ...]:
        """Names of the cases, in the order of the rows."""
        return tuple(dict.fromkeys(row.case for row in self.rows))

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps, ascending."""
        return tuple(sorted({row.step for row in self.rows}))

    def select(self, cases: Iterable[str]) -> "Table":
        """The rows of some cases, in the order of these, their steps ascending."""
        place = {case: index for index, case in enumerate(cases)}
        chosen = [row for row in self.rows if row.case in place]
        return Table(self.step_name, tuple(sorted(chosen, key=lambda row: (place[row.case], row.step))))

    def curves(self, score: str) -> np.ndarray:
        """One score of every case at every step: float64 of shape (cases, steps), NaN where not defined.

        The rank has a third axis, of its two halves.
        """
        if score == RANK:
            return np.stack([self.curves(half) for half in RANKED], axis=-1)
        values = [getattr(row, score) for row in self.rows]
        return np.array(values, dtype=np.float64).reshape(len(self.cases), len(self.steps))

    def areas(self, score: str) -> dict[str, np.ndarray]:
        """Areas under each case's curve of a score, by the name of the curve's steps; empty where there is no curve.

        Over clicks these are 0 to 10 and 0, 3, 7, 10, as far as evaluated; over rounds and iterations all of them.
        """
        if score == RANK:
            halves = [self.areas(half) for half in RANKED]
            return {name: np.stack([half[name] for half in halves], axis=-1) for name in halves[0]}
        steps, curves = self.steps, self.curves(score)
        wanted = CLICK_CURVES if self.step_name == "clicks" else (steps,)
        found = [curve for curve in wanted if len(curve) > 1 and set(curve) <= set(steps)]
        columns = {step_span(curve): [steps.index(step) for step in curve] for curve in found}
        return {name: np.array([auc(curve[chosen]) for curve in curves]) for name, chosen in columns.items()}

    def write(self, path: Path) -> None:
        """Writes the rows as .csv, whole or not at all.

        Raises:
            CaseError: the file cannot be written.
        """
        with replacing(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_columns(self.step_name))
            writer.writerows(dataclasses.astuple(row) for row in self.rows)

    @classmethod
    def read(cls, path: Path) -> "Table":
        """Reads what `write` wrote.

        Raises:
            CaseError: the file is missing or holds something else.
        """
        parse: list[Callable[[str], Any]] = list(typing.get_type_hints(CaseScore).values())  # str, int and float
        wrong = f"{path}: is not what `lesionclick evaluate` writes, expected its columns and every case at every step"
        try:
            with path.open(newline="") as file:
                header, *lines = csv.reader(file)
            (step_name,) = (name for name in STEP_NAMES if header == _columns(name))
            rows = tuple(CaseScore(*(one(text) for one, text in zip(parse, line, strict=True))) for line in lines)
        except FileNotFoundError:
            raise CaseError(f"{path}: the file is missing, expected what `lesionclick evaluate` writes") from None
        except OSError as error:
            raise CaseError(f"{path}: cannot be read: {describe_error(error)}") from error
        except (ValueError, csv.Error) as error:
            raise CaseError(wrong) from error
        table = cls(step_name, rows)
        if [(row.case, row.step) for row in rows] != [(case, step) for case in table.cases for step in table.steps]:
            raise CaseError(wrong)
        return table


def _columns(step_name: str) -> list[str]:
    """The columns of cases.csv: the fields of a score, with what a step counts in place of "step"."""
    return [step_name if field.name == "step" else field.name for field in dataclasses.fields(CaseScore)]


def step_span(steps: Sequence[int]) -> str:
    """Steps in words, such as "0-10", "0, 3, 7, 10" or "5"."""
    if len(steps) > 1 and list(steps) == list(range(steps[0], steps[-1] + 1)):
        return f"{steps[0]}-{steps[-1]}"
    return ", ".join(map(str, steps))

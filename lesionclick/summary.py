"""Rows of scores, and tables made from them: means with intervals, areas under curves, differences between runs."""

import csv
import dataclasses
import json
import math
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lesionclick.case import replacing
from lesionclick.errors import CaseError
from lesionclick.metrics import auc

ROWS_FILE = Path("cases.csv")
SUMMARY_JSON = Path("summary.json")
SUMMARY_MARKDOWN = Path("summary.md")

SCORES = {
    "dice": "Dice",
    "false_positive_ml": "FPvol, ml",
    "false_negative_ml": "FNvol, ml",
    "detection_f1": "detection F1",
}
"""What is summarized: columns of the rows, and how tables name them."""

STEP_NAMES = {"clicks": "clicks a label", "round": "round"}
"""What a step counts: its column in the rows, and how tables name it."""

CLICK_CURVES = (tuple(range(11)), (0, 3, 7, 10))  # official autoPET/CT IV; arXiv 2508.21680
RESAMPLES = 5000
SEED = 42


@dataclass(frozen=True)
class Row:
    """What one case scored at one step; the fields are the columns of cases.csv.

    Attributes:
        case: its name.
        tracer: fdg, psma or unknown.
        step: clicks a label, or round of corrections.
        source: where the clicks come from: official, simulated, corrective-clicks or scribbles.
        tumor_points: how many the networks were shown.
        background_points: likewise.
        dice: 0 to 1; NaN where the truth is empty, as all that the truth does not define.
        false_positive_ml: volume of predicted lesions that touch no true one.
        false_negative_ml: volume of true lesions that no predicted one touches.
        true_positives: true lesions found.
        false_positives: predicted lesions that match none.
        false_negatives: true lesions not found.
        detection_f1: 0 to 1.
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
    """Rows of one evaluation.

    Attributes:
        step_name: a key of STEP_NAMES.
        rows: each case at each step, the steps of a case together and ascending.
    """

    step_name: str
    rows: tuple[Row, ...]

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
        """One score of every case at every step: float64 of shape (cases, steps), NaN where not defined."""
        values = [getattr(row, score) for row in self.rows]
        return np.array(values, dtype=np.float64).reshape(len(self.cases), len(self.steps))

    def areas(self, score: str) -> dict[str, np.ndarray]:
        """Areas under each case's curve of a score, by the name of the curve's steps; empty where there is no curve.

        Over clicks these are 0 to 10 and 0, 3, 7, 10, as far as evaluated; over rounds all of them.
        """
        steps, curves = self.steps, self.curves(score)
        wanted = CLICK_CURVES if self.step_name == "clicks" else (steps,)
        found = [curve for curve in wanted if len(curve) > 1 and set(curve) <= set(steps)]
        columns = {_span(curve): [steps.index(step) for step in curve] for curve in found}
        return {name: np.array([auc(curve[chosen]) for curve in curves]) for name, chosen in columns.items()}

    def write(self, path: Path) -> None:
        """Writes the rows as .csv, whole or not at all.

        Raises:
            CaseError: the file cannot be written.
        """
        columns = [field.name for field in dataclasses.fields(Row)]
        with replacing(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self.step_name if column == "step" else column for column in columns)
            writer.writerows(dataclasses.astuple(row) for row in self.rows)

    @classmethod
    def read(cls, path: Path) -> "Table":
        """Reads what `write` wrote.

        Raises:
            CaseError: the file is missing or holds something else.
        """
        fields = dataclasses.fields(Row)
        parse: list[Callable[[str], Any]] = list(typing.get_type_hints(Row).values())  # str, int and float
        try:
            with path.open(newline="") as file:
                header, *lines = csv.reader(file)
            step_name = header[[field.name for field in fields].index("step")]
            rows = tuple(Row(*(one(text) for one, text in zip(parse, line, strict=True))) for line in lines)
        except FileNotFoundError:
            raise CaseError(f"{path}: the file is missing, expected what `lesionclick evaluate` writes") from None
        except (OSError, ValueError, IndexError) as error:
            raise CaseError(f"{path}: is not what `lesionclick evaluate` writes: {error}") from None
        table = cls(step_name, rows)
        if step_name not in STEP_NAMES or [(row.case, row.step) for row in rows] != [
            (case, step) for case in table.cases for step in table.steps
        ]:
            raise CaseError(f"{path}: is not what `lesionclick evaluate` writes, expected every case at every step")
        return table


def _span(steps: Sequence[int]) -> str:
    if list(steps) == list(range(steps[0], steps[-1] + 1)):
        return f"{steps[0]}-{steps[-1]}"
    return ", ".join(map(str, steps))


@dataclass(frozen=True)
class Estimate:
    """Cases summarized in a number; NaN where there are too few of them.

    Attributes:
        cases: for how many it is defined.
        mean: over them.
        median: over them.
        low: of the mean's 95 % interval (percentile bootstrap over cases); defined from 2 cases on.
        high: likewise.
    """

    cases: int
    mean: float
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Estimate":
        """Summarizes one value a case; NaN is left out."""
        from scipy.stats import bootstrap  # slow to import and only needed here

        defined = values[~np.isnan(values)]
        if not defined.size:
            return cls(0, math.nan, math.nan, math.nan, math.nan)
        low = high = math.nan
        if defined.size > 1:
            found = bootstrap((defined,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=SEED)
            low, high = map(float, found.confidence_interval)
        return cls(int(defined.size), float(defined.mean()), float(np.median(defined)), low, high)

    def to_json(self) -> dict[str, float | None]:
        """The numbers, to 6 digits behind the point, None for NaN."""
        numbers = dataclasses.asdict(self)
        return {name: None if math.isnan(number) else round(number, 6) for name, number in numbers.items()}

    def cell(self, score: str, sign: str = "") -> str:
        """Mean and interval of a score as tables show them; `sign` "+" shows that of positive numbers too."""
        if not self.cases:
            return "-"
        form = f"{sign}{number_format(score)}"
        interval = "" if math.isnan(self.low) else f" [{self.low:{form}}, {self.high:{form}}]"
        return f"{self.mean:{form}}{interval}"


Lines = dict[str, dict[str, Estimate]]
"""What a table of results has a line for, each step and each area, with an estimate a score."""


def number_format(score: str) -> str:
    """How tables show a score's numbers."""
    return ".2f" if score.endswith("_ml") else ".3f"


def groups(table: Table) -> dict[str, Table]:
    """The whole table as "all" and, where names tell tracers, a table for each tracer."""
    tracers = sorted({row.tracer for row in table.rows})
    found = {"all": table}
    if tracers != ["unknown"]:
        for tracer in tracers:
            found[tracer] = table.select(row.case for row in table.rows if row.tracer == tracer)
    return found


def lines_of(table: Table) -> dict[str, dict[str, np.ndarray]]:
    """Each step and each area, with each score's values, one a case."""
    lines: dict[str, dict[str, np.ndarray]] = {str(step): {} for step in table.steps}
    for score in SCORES:
        for step, values in zip(table.steps, table.curves(score).T, strict=True):
            lines[str(step)][score] = values
        for name, values in table.areas(score).items():
            lines.setdefault(f"AUC {name}", {})[score] = values
    return lines


def summarize(table: Table) -> dict[str, Lines]:
    """Estimates for all cases and each tracer; see `groups`."""
    return {
        group: {
            line: {score: Estimate.of(values) for score, values in scores.items()}
            for line, scores in lines_of(part).items()
        }
        for group, part in groups(table).items()
    }


def to_markdown(table: Table, summary: Mapping[str, Lines]) -> str:
    """Markdown: for all cases and each tracer a table of means, 95 % intervals and medians.

    Args:
        table: the rows.
        summary: their estimates, by `summarize`.
    """
    names = [STEP_NAMES[table.step_name], *SCORES.values()]
    parts = []
    for group, part in groups(table).items():
        parts += [f"## {group}: {len(part.cases)} cases", "", f"| {' | '.join(names)} |", "| --- " * len(names) + "|"]
        for line, estimates in summary[group].items():
            cells = [_with_median(score, estimate) for score, estimate in estimates.items()]
            parts.append(f"| {line} | {' | '.join(cells)} |")
        parts.append("")
    note = "Mean [95 % bootstrap interval over cases]; median. What an empty truth leaves undefined is left out."
    if table.areas("dice"):
        note += " AUC: trapezoid rule with unit steps between the points."
    return "\n".join([*parts, note]) + "\n"


def _with_median(score: str, estimate: Estimate) -> str:
    median = f"; {estimate.median:{number_format(score)}}" if estimate.cases else ""
    return f"{estimate.cell(score)}{median}"


def write_summary(table: Table, settings: Mapping[str, Any], failures: Mapping[str, str], out: Path) -> None:
    """Writes summary.json and summary.md into a folder.

    Args:
        table: all that was evaluated.
        settings: how; shown as they are.
        failures: cases that could not be evaluated, with the reason.
        out: the folder.

    Raises:
        CaseError: a file cannot be written.
    """
    summary = summarize(table)
    sizes = {group: len(part.cases) for group, part in groups(table).items()}
    content = {
        "settings": settings,
        "step": table.step_name,
        "failed": failures,
        "groups": {group: {"cases": sizes[group], "lines": _to_json(lines)} for group, lines in summary.items()},
    }
    with replacing(out / SUMMARY_JSON) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    text = f"# {settings['model']} on {settings['dataset']}\n\n{to_markdown(table, summary)}"
    if failures:
        listed = "".join(f"- {name}: {reason}\n" for name, reason in failures.items())
        text += f"\n## Not evaluated: {len(failures)} cases\n\n{listed}"
    with replacing(out / SUMMARY_MARKDOWN) as temporary:
        temporary.write_text(text)


def _to_json(lines: Lines) -> dict[str, Any]:
    return {
        line: {score: estimate.to_json() for score, estimate in estimates.items()} for line, estimates in lines.items()
    }


def compare(folders: Sequence[Path]) -> str:
    """Markdown: evaluations side by side over the cases common to all, with paired differences from the first.

    Args:
        folders: two or more that `lesionclick evaluate` wrote.

    Raises:
        CaseError: a folder holds no evaluation, the steps differ, or no case is common to all.
    """
    tables = [Table.read(folder / ROWS_FILE) for folder in folders]
    first = tables[0]
    for folder, table in zip(folders, tables, strict=True):
        if (table.step_name, table.steps) != (first.step_name, first.steps):
            found, expected = (f"{each.step_name} {_span(each.steps)}" for each in (table, first))
            raise CaseError(f"{folder}: has {found}, expected {expected} as in {folders[0]}")
    common = [case for case in first.cases if all(case in table.cases for table in tables)]
    if not common:
        raise CaseError(f"{', '.join(map(str, folders))}: have no case in common, expected evaluations of one dataset")
    return _comparison(_labels(folders), [table.select(common) for table in tables])


def _labels(folders: Sequence[Path]) -> list[str]:
    names = [folder.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def _comparison(labels: Sequence[str], runs: Sequence[Table]) -> str:
    parts = [f"# {', '.join(labels)}", "", f"{len(runs[0].cases)} cases common to all.", ""]
    lines = [lines_of(run) for run in runs]
    columns = [STEP_NAMES[runs[0].step_name], *labels, *(f"{label} - {labels[0]}" for label in labels[1:])]
    for score, title in SCORES.items():
        parts += [f"## {title}", "", f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
        for line in lines[0]:
            values = [each[line][score] for each in lines]
            cells = [Estimate.of(each).cell(score) for each in values]
            cells += [Estimate.of(each - values[0]).cell(score, sign="+") for each in values[1:]]
            parts.append(f"| {line} | {' | '.join(cells)} |")
        parts.append("")
    parts.append("Mean [95 % bootstrap interval over cases]; differences are case by case.")
    return "\n".join(parts) + "\n"

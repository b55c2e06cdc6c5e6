"""Report of an evaluation: the tables and figures of a folder of results, made from what it holds of each case."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lesionclick.case.dataset import Dataset
from lesionclick.evaluation.results import Results
from lesionclick.evaluation.summary import Summary
from lesionclick.evaluation.table import TABLE_FILE, Table
from lesionclick.files import replacing, write_json

SUMMARY_JSON, SUMMARY_MARKDOWN = Path("summary.json"), Path("summary.md")

CURVE_FILE, WORST_FILE = Path("curve.png"), Path("worst.png")

WORST_COUNT = 3


def write_report(results: Results, dataset: Dataset, failures: Mapping[str, str]) -> None:
    """Writes cases.csv, summary.json, summary.md, curve.png and worst.png from all complete cases.

    Args:
        results: holds at least one complete case.
        dataset: the cases, for their order in the tables and the images of the worst ones.
        failures: cases that could not be evaluated, with the reason.

    Raises:
        CaseError: a file cannot be written, or one that is needed is missing or damaged.
    """
    table = results.read_table(dataset.names)
    table.write(results.folder / TABLE_FILE)
    _write_summary(table, results.settings, failures, results.folder)
    _draw(table, results, dataset)


def _write_summary(table: Table, settings: Mapping[str, Any], failures: Mapping[str, str], folder: Path) -> None:
    summary = Summary.of(table)
    content = {
        "settings": settings,
        "step": table.step_name,
        "failed": failures,
        "groups": summary.to_json(),
    }
    write_json(content, folder / SUMMARY_JSON)
    text = f"# {settings['model']} on {settings['dataset']}\n\n{summary.to_markdown()}"
    if failures:
        listed = "".join(f"- {name}: {reason}\n" for name, reason in failures.items())
        text += f"\n## Not evaluated: {len(failures)} cases\n\n{listed}"
    with replacing(folder / SUMMARY_MARKDOWN) as temporary:
        temporary.write_text(text)


def _draw(table: Table, results: Results, dataset: Dataset) -> None:
    from lesionclick.evaluation import figures  # matplotlib is slow to import and only needed here

    figures.draw_curves(table, results.folder / CURVE_FILE)
    dice = dict(zip(table.cases, table.curves("dice")[:, -1].tolist(), strict=True))
    cases = []
    for name in worst_cases(table):
        labelled_case = dataset.read(name)
        mask_zyx, clicks = results.read_last_step(name, labelled_case.case.geometry)
        cases.append(figures.DrawnCase(labelled_case, mask_zyx, clicks, dice[name]))
    figures.draw_worst(cases, results.folder / WORST_FILE)


def worst_cases(table: Table) -> tuple[str, ...]:
    """The cases of least Dice at the last step, the worst first; those without true lesions come last, by FPvol."""
    last = [row for row in table.rows if row.step == table.steps[-1]]
    last.sort(key=lambda row: (math.inf if math.isnan(row.dice) else row.dice, -row.false_positive_ml, row.case))
    return tuple(row.case for row in last[:WORST_COUNT])

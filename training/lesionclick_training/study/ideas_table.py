"""Table of ideas as Markdown: what each scores on either kind of cases, and how it differs from the base."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lesionclick.evaluation.statistics import Estimate
from lesionclick.evaluation.table import CaseScore, Table
from lesionclick.files import replacing
from lesionclick_training.study.ideas import BASE, BASE_VARIANT, IDEA_NAMES, find_ideas
from lesionclick_training.study.pooling import Curves, difference, name_with_share, pool

NOTE = (
    "A case's scores are the mean over the networks that it is new to. Dice, from 0 to 1, is the mean over the cases "
    "with lesions. Differences from the base are case by case, with 95 % bootstrap intervals over cases. FPvol is the "
    "volume of predicted lesions that touch no true one, in ml. Of lesion-free cases there is the share with any "
    "false positive, and their FPvol. Two numbers with a stroke are those at the first and the last number of clicks."
)


def write_ideas(
    found: Mapping[str, Mapping[str, Sequence[Table]]],
    budget: str,
    networks: int,
    path: Path,
) -> None:
    """Writes the table: every idea, whatever came of it, for each kind of cases.

    Args:
        found: validations by the kind of cases in words and the row's name, one a seed and fold.
        budget: what each row was given, in a sentence.
        networks: how many networks a finished row has.
        path: a .md file.

    Raises:
        CaseError: the file cannot be written.
    """
    rows = list(dict.fromkeys([BASE, *IDEA_NAMES, *(name for tables in found.values() for name in tables)]))
    lines = ["# Ideas beyond the paper, each alone", "", budget, "", "| row | what is changed |", "| --- | --- |"]
    lines += [f"| {name} | {_describe(name)} |" for name in rows]
    for title, tables in found.items():
        lines += ["", f"## {title}", "", *_section(rows, tables, networks)]
    with replacing(path) as temporary:
        temporary.write_text("\n".join([*lines, "", NOTE]) + "\n")


def _describe(name: str) -> str:
    ideas = find_ideas(name)
    if not ideas:
        return f"nothing; the variant is {BASE_VARIANT}"
    words = "; ".join(idea.change for idea in ideas)
    return words if any(idea.is_trained for idea in ideas) else f"{words} (the base's networks)"


def _section(rows: Sequence[str], tables: Mapping[str, Sequence[Table]], networks: int) -> list[str]:
    """The lines of the table of one kind of cases."""
    if not tables:
        return ["Not run."]
    steps = next(iter(tables.values()))[0].steps
    first, last = steps[0], steps[-1]
    columns = [
        "row",
        *(f"Dice at {step}" for step in steps),
        f"difference at {first}",
        f"difference at {last}",
        "FPvol",
        "lesion-free with false positive",
        "FPvol there",
    ]
    base = pool(tables[BASE], _dice) if BASE in tables else {}
    cases = {row.case: np.isnan(row.dice) for each in tables.values() for table in each for row in table.rows}
    lines = [
        f"{len(cases)} cases, {sum(map(bool, cases.values()))} of them lesion-free.",
        "",
        f"| {' | '.join(columns)} |",
        "| --- " * len(columns) + "|",
    ]
    for name in rows:
        validations = tables.get(name, ())
        cells = _cells(validations, {} if name == BASE else base) if validations else ["not run"]
        cells += [""] * (len(columns) - 1 - len(cells))
        lines.append(f"| {name_with_share(name, len(validations), networks)} | {' | '.join(cells)} |")
    return lines


def _cells(validations: Sequence[Table], base: Curves) -> list[str]:
    dice = pool(validations, _dice)
    false_positives = pool(validations, lambda row: row.false_positive_ml)
    is_spoiled = pool(validations, lambda row: float(row.false_positive_ml > 0))
    free = [case for case, curve in dice.items() if np.isnan(curve).all()]
    means = [Estimate.of(values).mean for values in np.array(list(dice.values())).T]
    return [
        *("-" if np.isnan(mean) else f"{mean:.3f}" for mean in means),
        *(difference(dice, base, step).cell("dice", sign="+") for step in (0, -1)),
        _ends(false_positives, dice, ".2f"),
        _ends(is_spoiled, free, ".0%"),
        _ends(false_positives, free, ".2f"),
    ]


def _ends(curves: Curves, cases: Sequence[str] | Curves, form: str) -> str:
    """Means over some cases at the first and the last step."""
    if not cases:
        return "-"
    means = np.mean([curves[case] for case in cases], axis=0)
    return f"{means[0]:{form}} / {means[-1]:{form}}"


def _dice(row: CaseScore) -> float:
    return row.dice

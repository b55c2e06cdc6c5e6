"""Seen cases: those of a validation that a network was trained on, whose figures say nothing of new patients."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lesionclick.errors import CaseError
from lesionclick.evaluation.summary import Summary
from lesionclick.evaluation.table import Table
from lesionclick.model.files import fold_folder
from lesionclick.model.folder import ModelFolder
from lesionclick_training.nnunet.training_cases import TRAINING_CASES_FILE, read_training_cases

Seen = Mapping[str, frozenset[str] | None]


def find_seen_cases(model: ModelFolder, names: Sequence[str]) -> Seen:
    """For the name of each of a model's folds those of the named cases that its network was trained on.

    None stands for a network of which that is not recorded.

    Raises:
        ModelError: a record is damaged.
    """
    found: dict[str, frozenset[str] | None] = {}
    for fold in model.folds:
        cases = read_training_cases(model.path / fold_folder(fold.name))
        found[fold.name] = None if cases is None else frozenset(cases.intersection(names))
    return found


def require_new(folder: Path, names: Sequence[str]) -> None:
    """Raises CaseError where the network in a folder is known to be trained on one of the named cases.

    Args:
        folder: what its checkpoint lies in, with the record of `training_cases`, if there is one.
        names: of cases that it is to be validated on.
    """
    seen = sorted((read_training_cases(folder) or set()).intersection(names))
    if seen:
        raise CaseError(
            f"{folder / TRAINING_CASES_FILE}: the network was trained on {len(seen)} of the {len(names)} cases that it "
            f"is to be validated on, {seen[0]} for one; expected a network that has seen none of them"
        )


def describe_seen_cases(seen: Seen, table: Table) -> str:
    """What a validation says of new patients, in Markdown: a line for each network that is not wholly new to the cases.

    Where some cases are new to all networks, the summary of these follows.

    Args:
        seen: see `find_seen_cases`.
        table: scores of the cases.
    """
    lines = []
    for fold, cases in seen.items():
        record = f"{fold_folder(fold)}/{TRAINING_CASES_FILE}"
        if cases is None:
            lines.append(f"- It is not known what {fold_folder(fold)} was trained on: there is no {record}.")
        elif cases:
            lines.append(
                f"- {fold_folder(fold)} was trained on {len(cases)} of these {len(table.cases)} cases, which {record} "
                "names: their figures say nothing of new patients."
            )
    if not lines:
        return ""
    known = frozenset[str]().union(*(cases for cases in seen.values() if cases is not None))
    new = [case for case in table.cases if case not in known]
    text = "\n# What these figures say of new patients\n\n" + "\n".join(lines) + "\n"
    if known and new:
        text += f"\n# Cases that no network is known to be trained on\n\n{Summary.of(table.select(new)).to_markdown()}"
    return text

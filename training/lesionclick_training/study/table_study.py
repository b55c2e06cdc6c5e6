"""Study for the paper's table: its rows, each trained from the same network without clicks.

The paper's start from the same pretrained network.
"""

from collections.abc import Collection

from lesionclick.evaluation.table import Table
from lesionclick_training.study.paper_rows import PAPER_ROWS, PaperRow
from lesionclick_training.study.row_study import Row, RowStudy

START = "the same network without clicks"


def run_table(study: RowStudy, more_data: int, names: Collection[str]) -> dict[str, list[Table]]:
    """Trains and validates rows of the table.

    Args:
        study: what all rows have in common.
        more_data: number of a dataset with the same folds and more cases on their training side.
        names: the rows to train now, by their names in the table.

    Returns:
        The validations, one a seed and fold, of every row that has some, rows of earlier runs included.

    Raises:
        CaseError, ModelError: see `RowStudy.run`.
    """
    rows = {row.name: _make_row(row, study, more_data) for row in PAPER_ROWS}
    # rows that are alike, where both datasets are one, share their networks and scores
    study.run(list({rows[name].name: rows[name] for name in rows if name in names}.values()))
    found = study.read({row.name for row in rows.values()})
    return {name: found[row.name] for name, row in rows.items() if row.name in found}


def _make_row(row: PaperRow, study: RowStudy, more_data: int) -> Row:
    dataset = more_data if row.more_data else study.dataset
    name = f"{row.variant}_{dataset}"
    return Row(name, name, dataset, row.variant, study.size, study.training, study.inference)

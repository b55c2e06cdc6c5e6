import math
from pathlib import Path

from helpers_study import make_table

from lesionclick_training.study.ideas import IDEA_NAMES
from lesionclick_training.study.ideas_table import write_ideas

STEPS = (0, 1, 10)

FREE = (math.nan,) * 3


def test_the_table_has_every_idea_on_either_kind_of_cases(tmp_path: Path) -> None:
    base = make_table({"a": (0.4, 0.5, 0.6), "b": (0.2, 0.3, 0.4)}, STEPS)
    worse = make_table({"a": (0.3, 0.5, 0.7), "b": (0.1, 0.3, 0.5)}, STEPS, fp=(2, 2, 1))
    found = {
        "Cases of the folds: Dataset901_Real": {"base": [base, base], "offset-1": [worse]},
        "Held-out cases: Phantoms": {
            "base": [
                make_table({"p": (0.5, 0.5, 0.5), "q": FREE, "r": FREE}, STEPS, fp=(3, 0, 0)),
                make_table({"p": (0.7, 0.7, 0.7), "q": FREE}, STEPS),
            ],
            "offset-1+gate-5": [make_table({"p": (0.6, 0.6, 0.9), "q": FREE, "r": FREE}, STEPS)],
        },
    }
    path = tmp_path / "docs" / "study.md"
    write_ideas(found, "Each row: little.", 2, path)
    text = path.read_text()
    assert "\nEach row: little.\n" in text
    assert "| base | nothing; the variant is EDT2 |\n| offset-0 | clicks in training stay" in text
    assert "| floor | no components of a mean probability below 0.6 (the base's networks) |" in text
    assert (
        "| offset-1+gate-5 | clicks in training are moved by at most 1 voxel an axis; masks below 5 ml are empty "
        "without tumor clicks |"
    ) in text
    first, second = text.split("\n## ")[1:]
    assert first.startswith("Cases of the folds: Dataset901_Real\n\n2 cases, 0 of them lesion-free.\n")
    assert "| row | Dice at 0 | Dice at 1 | Dice at 10 | difference at 0 | difference at 10 | FPvol |" in first
    assert "| base | 0.300 | 0.400 | 0.500 | - | - | 0.00 / 0.00 | - | - |" in first
    assert (
        "| offset-1 (1 of 2 networks) | 0.200 | 0.400 | 0.600 | -0.100 [-0.100, -0.100] | +0.100 [+0.100, +0.100] | "
        "2.00 / 1.00 | - | - |"
    ) in first
    assert second.startswith("Held-out cases: Phantoms\n\n3 cases, 2 of them lesion-free.\n")
    # q has a false positive with one of two networks, r with its only one
    assert "| base | 0.600 | 0.600 | 0.600 | - | - | 2.00 / 0.00 | 75% / 0% | 2.25 / 0.00 |" in second
    assert "| +0.300 |" in second  # one case has no interval
    for section in (first, second):
        names = [line.split(" ")[1] for line in section.splitlines() if line.startswith("| ")]
        assert names[:3] == ["row", "---", "base"]
        assert names[3 : 3 + len(IDEA_NAMES)] == [*IDEA_NAMES]
    assert second.count("| not run | ") == len(IDEA_NAMES)
    assert "95 % bootstrap intervals over cases" in text


def test_cases_that_no_row_is_validated_on_yet(tmp_path: Path) -> None:
    write_ideas({"Held-out cases: Phantoms": {}}, "Each row: little.", 2, tmp_path / "study.md")
    assert "## Held-out cases: Phantoms\n\nNot run.\n" in (tmp_path / "study.md").read_text()

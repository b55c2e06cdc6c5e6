"""The command `lesionclick cohort`: exit codes, and one sentence for what cannot be."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers_cohort import write_cases

from lesionclick.cli.main import main

Refused = Callable[..., str]


def test_results_are_counted_and_a_failure_is_exit_code_1(
    tmp_path: Path, model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases, out = write_cases(tmp_path / "cases", 2), tmp_path / "out"
    (cases / "empty").mkdir()
    command = ["cohort", cases, "--out", out, "--model", model_folder, "--device", "cpu", "--backend", "torch"]
    for counts in ("2 done now, 0 before", "0 done now, 2 before"):
        with pytest.raises(SystemExit) as stopped:
            main([*map(str, command)])
        assert stopped.value.code == 1
        assert capsys.readouterr().out == f"{out}: 3 cases, {counts}, 1 failed\n"


def test_what_cannot_be_is_one_sentence_and_leaves_nothing(
    refused: Refused, tmp_path: Path, model_folder: Path
) -> None:
    cases, out = write_cases(tmp_path / "cases", 1), tmp_path / "out"
    good = ("cohort", cases, "--out", out, "--model", model_folder)
    assert refused("cohort", tmp_path / "none", *good[2:]).startswith(f"{tmp_path / 'none'}: is missing")
    assert refused(*good[:-1], cases) == f"{cases / 'plans.json'}: the file is missing"
    assert refused(*good, "--ray", "nowhere").startswith("'nowhere' is no address of a Ray cluster, expected local")
    assert refused(*good, "--ray", "127.0.0.1:1").startswith(
        "no Ray cluster answers at 127.0.0.1:1 (Connection refused)"
    )
    assert not out.exists()
    out.write_text("a file")
    assert refused(*good).endswith(f"cannot be written, {out} is not a writable folder")
    assert out.read_text() == "a file"


def test_device_that_does_not_exist_is_refused(refused: Refused, tmp_path: Path, model_folder: Path) -> None:
    cases = write_cases(tmp_path / "cases", 1)
    text = refused("cohort", cases, "--out", tmp_path / "out", "--model", model_folder, "--device", "gpu")
    assert text == "device 'gpu' is unknown, expected auto, cpu, cuda or cuda:N"

import re
from types import SimpleNamespace

import pytest

from lesionclick.errors import CaseError
from lesionclick_training.nnunet.repeated_cases import RepeatedCases, parse_repetition

DATASET = SimpleNamespace(identifiers=["base_1", "sts_1", "sts_2"], load_case=str.upper)


def test_cases_whose_names_begin_alike_count_several_times() -> None:
    repeated = RepeatedCases(DATASET, "sts", 3)
    assert sorted(repeated.identifiers) == ["base_1", *["sts_1"] * 3, *["sts_2"] * 3]
    assert repeated.load_case("sts_1") == "STS_1"


def test_to_repeat_no_case_is_a_mistake() -> None:
    with pytest.raises(CaseError, match="no case to train on has a name that begins with 'real'"):
        RepeatedCases(DATASET, "real", 3)


@pytest.mark.parametrize(("text", "expected"), [("sts=4", ("sts", 4)), ("sts_fdg=20", ("sts_fdg", 20))])
def test_a_repetition_is_read(text: str, expected: tuple[str, int]) -> None:
    assert parse_repetition(text) == expected


@pytest.mark.parametrize("text", ["", "sts", "sts=", "=4", "sts=0", "sts=-1", "sts=2.5", "a=b=2", "sts=100000"])
def test_another_text_is_no_repetition(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        parse_repetition(text)

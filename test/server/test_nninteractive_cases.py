"""A server of several cases: a viewer's volume says which of them it shows."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers_server import write_study

from lesionclick import Case
from lesionclick.errors import CaseError
from lesionclick.server.cases import CaseLibrary
from lesionclick.server.nninteractive_matching import MatchError, find_case
from lesionclick.server.store import Store


@pytest.fixture
def library(tmp_path: Path) -> Iterator[CaseLibrary]:
    store = Store(tmp_path / "store.sqlite")
    yield CaseLibrary(store, tmp_path / "cases")
    store.close()


def test_the_case_is_found_by_its_values_and_a_broken_one_beside_it_does_no_harm(
    library: CaseLibrary, tmp_path: Path
) -> None:
    studies = [write_study(tmp_path / name, seed) for seed, name in enumerate(("one", "two", "broken"))]
    for study in studies:
        library.add_study(study)
    (studies[2] / "images" / "pet" / "broken.mha").unlink()
    for study in studies[:2]:
        record, match = find_case(Case.read(study).pet_zyx[None], None, library)
        assert record.name == study.name
        assert match.images == ("PET",)
    other = Case.read(write_study(tmp_path / "other", 3))
    with pytest.raises(MatchError, match=r"none of the 3 cases; one: .* correlate .*; broken: .* expected exactly one"):
        find_case(other.ct_zyx[None], None, library)


def test_a_volume_that_two_cases_have_is_refused(library: CaseLibrary, tmp_path: Path) -> None:
    study = write_study(tmp_path / "one")
    shutil.copytree(study, tmp_path / "again")
    library.add_study(study)
    library.add_study(tmp_path / "again")
    with pytest.raises(MatchError, match="an image of 2 cases alike: one, one"):
        find_case(Case.read(study).ct_zyx[None], None, library)


def test_the_only_case_says_itself_why_it_cannot_be_shown(library: CaseLibrary, tmp_path: Path) -> None:
    study = write_study(tmp_path / "one")
    image = Case.read(study).ct_zyx
    library.add_study(study)
    (study / "images" / "pet" / "one.mha").rename(tmp_path / "one.mha")
    with pytest.raises(CaseError, match="expected exactly one"):
        find_case(image[None], None, library)
    (tmp_path / "one.mha").rename(study / "images" / "pet" / "one.mha")
    with pytest.raises(MatchError, match=r"^the volume has 19 x 22 x 24 voxels"):
        find_case(image[None, 1:], None, library)

import dataclasses
from typing import Any

import numpy as np
import pytest
from conftest import image_from

from lesionclick.case.geometry import Geometry, require_same_grid
from lesionclick.errors import CaseError

GEOMETRY = Geometry((22, 20, 18), (2.0364201, 2.0364201, 3.0), (0.0,) * 3, (1.0, 0, 0, 0, 1, 0, 0, 0, 1))

OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "size": ({"size": (23, 20, 18)}, "size is (22, 20, 18) in ct.mha and (23, 20, 18) in pet.mha"),
    "spacing": (
        {"spacing": (2.0364201, 2.0364201, 3.002)},
        "spacing is (2.03642, 2.03642, 3) in ct.mha and (2.03642, 2.03642, 3.002) in pet.mha",
    ),
    "origin": ({"origin": (0, 0.01, 0)}, "origin is (0, 0, 0) in ct.mha and (0, 0.01, 0) in pet.mha"),
    "direction": (
        {"direction": (-1, 0, 0, 0, -1, 0, 0, 0, 1)},
        "direction is (1, 0, 0, 0, 1, 0, 0, 0, 1) in ct.mha and (-1, 0, 0, 0, -1, 0, 0, 0, 1) in pet.mha",
    ),
}


@pytest.mark.parametrize(("change", "message"), OTHERS.values(), ids=OTHERS)
def test_another_grid_is_told_with_both_values(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CaseError) as error:
        require_same_grid(GEOMETRY, dataclasses.replace(GEOMETRY, **change), ("CT", "PET"), ("ct.mha", "pet.mha"))
    assert str(error.value) == f"CT and PET are on different grids: {message}"


def test_grids_equal_but_for_rounding_are_the_same() -> None:
    rounded = dataclasses.replace(GEOMETRY, origin=(0, 0.0005, 0))
    require_same_grid(GEOMETRY, rounded, ("CT", "PET"), ("ct.mha", "pet.mha"))


def test_geometry_of_an_image_in_both_orders() -> None:
    found = Geometry.of(image_from(np.zeros((18, 20, 22), np.float32)))
    assert found == GEOMETRY
    assert found.shape_zyx == (18, 20, 22)
    assert found.spacing_zyx == (3.0, 2.0364201, 2.0364201)

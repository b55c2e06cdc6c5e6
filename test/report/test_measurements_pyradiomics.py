"""Measurements beside PyRadiomics 3.0.1, as far as it has the same: recorded, and computed anew where it is installed.

It has no SUVpeak, which the digital phantom of IBSI covers in test_measurements.py.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from conftest import image_from
from scipy import ndimage
from scipy.spatial.distance import pdist

from lesionclick.case.geometry import Geometry
from lesionclick.report.measurements import measure_lesions

SPACINGS = [(2.0, 2.0, 2.0), (4.07, 4.07, 3.0), (1.5, 2.5, 5.0)]  # x, y, z; of a lesion each

RECORDED = {
    "shape_VoxelVolume": (16888.0, 41296.2957, 27862.5),
    "shape_Maximum2DDiameterSlice": (76.57675887630658, 92.98858962259833, 67.05594679072095),
    "firstorder_Mean": (5.904817620430835, 5.973056557412326, 5.729676984771986),
    "firstorder_Maximum": (29.469999313354492, 48.84000015258789, 25.760000228881836),
}


def make_lesion(index: int) -> tuple[np.ndarray, np.ndarray, Geometry]:
    """One irregular lesion: mask, PET and their grid."""
    generator = np.random.default_rng(index)
    shape = (20, 26, 30)
    noise = ndimage.gaussian_filter(generator.normal(size=shape), 2)
    labels, _ = ndimage.label(noise > np.quantile(noise, 0.8))
    largest = np.bincount(labels.ravel())[1:].argmax() + 1
    pet = np.round(generator.gamma(2, 3, shape), 2).astype(np.float32)
    identity = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    return (labels == largest).astype(np.uint8), pet, Geometry(shape[::-1], SPACINGS[index], (0.0, 0.0, 0.0), identity)


def diameter_between_slices(mask: np.ndarray, spacing: Sequence[float]) -> float:
    """The longest distance between centers of voxels of which only the slice above or the one below holds a lesion.

    A mesh has corners halfway between slices, too, and PyRadiomics takes those for a slice of their own: there it may
    find more, from a voxel in one slice to another in the next.
    """
    changes = (
        np.argwhere(above != below) * np.asarray(spacing[1::-1]) for below, above in itertools.pairwise(np.pad(mask, 1))
    )
    return max(float(pdist(each).max(initial=0)) for each in changes if len(each))


@pytest.mark.parametrize("index", range(len(SPACINGS)))
def test_what_pyradiomics_has_too_is_the_same(index: int) -> None:
    mask, pet, geometry = make_lesion(index)
    (lesion,) = measure_lesions(mask, pet, geometry).lesions
    recorded = {name: values[index] for name, values in RECORDED.items()}
    assert 1000 * lesion.volume_ml == pytest.approx(recorded["shape_VoxelVolume"])
    assert lesion.suv_mean == pytest.approx(recorded["firstorder_Mean"])
    assert lesion.suv_max == pytest.approx(recorded["firstorder_Maximum"])
    assert max(lesion.axial_diameter_mm, diameter_between_slices(mask, geometry.spacing)) == pytest.approx(
        recorded["shape_Maximum2DDiameterSlice"]
    )


@pytest.mark.parametrize("index", range(len(SPACINGS)))
def test_recorded_values_are_those_of_pyradiomics(index: int) -> None:
    radiomics = pytest.importorskip("radiomics.featureextractor", reason="PyRadiomics is not installed")
    mask, pet, geometry = make_lesion(index)
    found = radiomics.RadiomicsFeatureExtractor().execute(
        image_from(pet, geometry.spacing), image_from(mask, geometry.spacing)
    )
    for name, values in RECORDED.items():
        assert float(found[f"original_{name}"]) == pytest.approx(values[index])

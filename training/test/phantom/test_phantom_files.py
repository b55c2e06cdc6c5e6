from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from lesionclick.case.case import Case
from lesionclick.case.clicks import Click
from lesionclick_training.data import nnunet_layout
from lesionclick_training.phantom.files import write_container_case, write_nnunet_case
from lesionclick_training.phantom.phantom import Phantom, make_phantom
from lesionclick_training.phantom.populations import BASE


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(13, "PSMA", population=BASE)


def test_nnunet_case(tmp_path: Path, phantom: Phantom) -> None:
    write_nnunet_case(phantom, tmp_path, "case")
    ct, pet = (sitk.ReadImage(str(tmp_path / "imagesTr" / f"case_000{i}.nii.gz")) for i in (0, 1))
    label = sitk.ReadImage(str(tmp_path / "labelsTr" / "case.nii.gz"))
    assert ct.GetSpacing() == pet.GetSpacing() == phantom.spacing_zyx[::-1]
    np.testing.assert_allclose(sitk.GetArrayFromImage(ct), phantom.ct_zyx, atol=0.51)
    np.testing.assert_allclose(sitk.GetArrayFromImage(pet), phantom.pet_zyx, rtol=1e-3, atol=1 / 256)
    stored = sitk.GetArrayFromImage(label)
    np.testing.assert_array_equal(stored, nnunet_layout.stack_label(phantom.lesion_zyx, phantom.organ_zyx))


def test_container_case(tmp_path: Path, phantom: Phantom) -> None:
    folder = tmp_path / "psma"
    z, y, x = (int(i) for i in np.argwhere(phantom.lesion_zyx)[0])
    clicks = (Click(x, y, z, "tumor"), Click(1, 2, 3, "background"))
    write_container_case(phantom, folder, clicks)
    case = Case.read(folder)
    assert case.clicks == clicks
    np.testing.assert_allclose(case.ct_zyx, phantom.ct_zyx, atol=0.51)
    np.testing.assert_allclose(case.pet_zyx, phantom.pet_zyx, rtol=1e-3, atol=1 / 256)
    truth = sitk.ReadImage(str(folder / "truth.mha"))
    assert truth.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_array_equal(sitk.GetArrayFromImage(truth), phantom.lesion_zyx)
    assert sum(path.stat().st_size for path in folder.rglob("*.mha")) < 4e6

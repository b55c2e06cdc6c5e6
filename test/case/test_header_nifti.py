"""Headers of NIfTI files that lie or contradict themselves, and honest ones of other programs."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from helpers_images import ARRAY, NiftiChange, nifti, read_in_process

from lesionclick.case.images import read_image
from lesionclick.errors import CaseError

HOSTILE_NIFTI: dict[str, tuple[NiftiChange, str]] = {
    "fewer": (("h", 46, 5), "(100 bytes), but image.nii holds 120 bytes of voxels"),
    "more": (("h", 46, 7), "(140 bytes), but image.nii holds 120 bytes of voxels"),
    "negative": (("h", 46, -6), "its dim is [3, 4, 5, -6"),
    "axes": (("h", 40, 100), "its dim is [100, "),
    "two axes": (("h", 40, 2), "is 2D (4 x 5)"),
    "several": (("h", 40, 4), "image.nii: is 4D"),
    "type": (("h", 70, 1536), "its datatype is 1536, expected one of 2, 4, 8"),
    "colors": (("h", 70, 128), "its datatype is 128"),
    "bits": (("h", 72, 16), "its bitpix is 16, but its datatype 2 has 8 bits"),
    "spacing": (("f", 80, -2.0), "its pixdim has voxels of -2 x 2 x 3, expected positive"),
    "no spacing": (("f", 84, 0.0), "its pixdim has voxels of 2 x 0 x 3"),
    "NaN": (("f", 84, float("nan")), "its pixdim has voxels of 2 x nan x 3"),
    "thick": (("f", 88, 1000.0), "has voxels of 2 x 2 x 1000 mm, expected 0.1 to 50 mm"),
    "meters": (("B", 123, 1), "is in meters by its xyzt_units, expected mm"),
    "offset": (("f", 108, 1e30), "its vox_offset is 1e+30"),
    "offset into the header": (("f", 108, 0.0), "its vox_offset is 0, expected 352"),
    "quaternion": (("f", 256, 5.0), "its qform's quaternion is [5.0, 0.0, 0.0], which is no rotation"),
    "quaternion NaN": (("f", 260, float("nan")), "its qform holds NaN"),
    "origin": (("f", 268, 1e30), "its origin is"),
    "scale": (("f", 112, float("inf")), "its scl_slope is infinite"),
    "magic": (("4s", 344, b"ni1\0"), "where it names its kind"),
    "Analyze": (("4s", 344, b"\0" * 4), "is Analyze 7.5, which does not say where voxels lie in the world"),
}


def test_headers_of_nifti_that_lie_are_refused(tmp_path: Path) -> None:
    paths = []
    for number, (change, _) in enumerate(HOSTILE_NIFTI.values()):
        changes = [change, ("h", 48, 2)] if change == ("h", 40, 4) else [change]
        paths.append(tmp_path / str(number) / "image.nii")
        paths[-1].parent.mkdir()
        paths[-1].write_bytes(nifti(*changes))
    for (name, (_, message)), found in zip(HOSTILE_NIFTI.items(), read_in_process(paths), strict=True):
        assert message in found, name


def test_nifti_as_other_programs_write_it(tmp_path: Path) -> None:
    path, packed = tmp_path / "image.nii", tmp_path / "packed.nii.gz"
    series_of_one = nifti(("h", 40, 4))
    unset_scale = nifti(("f", 112, float("nan")), ("f", 116, float("nan")))
    extension = bytearray(nifti(("f", 108, 384.0))[:352])
    extension[348] = 1
    extension += struct.pack("<ii24s", 32, 6, b"a comment") + ARRAY.tobytes()
    for content in (nifti(), series_of_one, unset_scale, bytes(extension)):
        for each, stored in ((path, content), (packed, gzip.compress(content))):
            each.write_bytes(stored)
            np.testing.assert_array_equal(sitk.GetArrayFromImage(read_image(each)), ARRAY)
    members = gzip.compress(nifti()[:400]) + gzip.compress(nifti()[400:])  # as bgzip writes them
    for stored in (members, nifti()):  # the latter is not compressed at all
        packed.write_bytes(stored)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read_image(packed)), ARRAY)


def test_voxels_of_the_same_name_without_gz_are_not_taken(tmp_path: Path) -> None:
    """ITK reads image.nii where it is asked for image.nii.gz and both are there."""
    (tmp_path / "image.nii").write_bytes(nifti(voxels=0 * ARRAY))
    path = tmp_path / "image.nii.gz"
    path.write_bytes(gzip.compress(nifti()))
    with pytest.raises(CaseError, match=r"image\.nii\.gz: lies beside image\.nii, which SimpleITK reads in its place"):
        read_image(path)


def test_an_sform_that_contradicts_the_spacing_is_refused(tmp_path: Path) -> None:
    content = bytearray(nifti(("h", 254, 1)))
    struct.pack_into("<12f", content, 280, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0)
    path = tmp_path / "image.nii"
    path.write_bytes(content)
    assert read_image(path).GetSpacing() == (2, 2, 3)
    struct.pack_into("<f", content, 280 + 40, 6)
    path.write_bytes(content)
    with pytest.raises(CaseError, match=r"its sform has voxels of 2 x 2 x 6 mm, but its pixdim says 2 x 2 x 3 mm"):
        read_image(path)
    struct.pack_into("<h", content, 252, 0)
    struct.pack_into("<2f", content, 280 + 36, 0.1, 3)
    path.write_bytes(content)
    with pytest.raises(CaseError, match="ITK only supports orthonormal direction cosines"):
        read_image(path)

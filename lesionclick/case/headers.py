"""Headers of all formats: the gate that a file has to pass before any native code sees it."""

from pathlib import Path

from lesionclick.case.header_metaimage import read_metaimage
from lesionclick.case.header_nifti import read_nifti
from lesionclick.case.header_nrrd import read_nrrd
from lesionclick.case.image_header import ImageHeader, require_spacing
from lesionclick.errors import CaseError
from lesionclick.files import describe_error, require_no_lfs_pointer, require_regular

ENDINGS = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr", ".hdr", ".img.gz", ".img")
"""Of the formats that are read. Others do not say where voxels lie in the world, or nobody has checked them."""


def read_header(path: Path, allow_4d: bool = False) -> ImageHeader:
    """What the header of an image says, after everything in it was found to be as programs write it.

    Args:
        path: of the header.
        allow_4d: whether a file may also be 4D.

    Raises:
        CaseError: the file is no plain file, is in no format that is read, is no 3D image of numbers, names other
            files than one beside it, holds more or fewer voxels than its header says, or has voxels of an impossible
            size.
    """
    require_regular(path, CaseError, "an image")
    _require_name(path)
    ending = next((each for each in ENDINGS if path.name.lower().endswith(each)), None)
    try:
        require_no_lfs_pointer(path, CaseError, "the image itself (git lfs pull fetches it)")
        match ending:
            case ".mha" | ".mhd":
                header = read_metaimage(path)
            case ".nrrd" | ".nhdr":
                header = read_nrrd(path)
            case ".nii" | ".nii.gz" | ".hdr":
                header = read_nifti(path, allow_4d)
            case ".img" | ".img.gz":
                return read_header(path.with_name(path.name[: -len(ending)] + ".hdr"), allow_4d)
            case _:
                raise CaseError(
                    f"{path}: is in no format that says where voxels lie in the world, expected one of"
                    f" {', '.join(ENDINGS)}"
                )
        if header.data != path:
            require_regular(header.data, CaseError, f"the voxels of {path.name}")
            if header.data.is_symlink() and not path.is_symlink():
                raise CaseError(f"{header.data}: is a link, expected a file with the voxels of {path.name}")
        header.require_room_for_voxels()
    except OSError as error:
        raise CaseError(f"{path}: cannot be read: {describe_error(error)}") from error
    require_spacing(path, header.spacing, header.size)
    return header


def _require_name(path: Path) -> None:
    """Raises CaseError where native code could not open a file of this name."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = str(path).encode(errors="surrogateescape").decode(errors="backslashreplace")
        raise CaseError(f"{shown}: the file's name is not UTF-8, expected one that is") from None

import gzip
import io
import json
import os
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import body, click_file, image_from
from fastapi.testclient import TestClient
from helpers_server import SHAPE, client, load

from lesionclick import Ensemble
from lesionclick.server import uploads
from lesionclick.server.problems import TooLargeError
from lesionclick.server.security import Access

CT, PET = (image_from(image_zyx) for image_zyx in body(SHAPE))


@pytest.fixture(scope="module")
def ensemble(model_folder: Path) -> Ensemble:
    return load(model_folder)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def api(data: Path, ensemble: Ensemble) -> Iterator[TestClient]:
    with client(data, ensemble, start=False) as api:
        yield api


def packed(image: sitk.Image, ending: str, compressed: bool = True) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"image{ending}"
        sitk.WriteImage(image, str(path), useCompression=compressed)
        return path.read_bytes()


def upload(api: TestClient, ct: Any, pet: Any, data: Any = None, **more: Any) -> Any:
    """Each file is its bytes and its name."""
    files = {"ct": ct, "pet": pet, **more}
    return api.post("/api/cases", files={kind: (name, content) for kind, (content, name) in files.items()}, data=data)


def files_below(folder: Path) -> set[str]:
    paths = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {path for path in paths if not path.startswith("lesionclick.sqlite")}


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".mha", ".nrrd"])
def test_an_upload_becomes_a_case(api: TestClient, ending: str) -> None:
    answer = upload(api, (packed(CT, ending), f"CT{ending}"), (packed(PET, ending), f"PET{ending.upper()}"))
    assert answer.status_code == 201, answer.text
    case = answer.json()
    assert case == {"id": case["id"], "name": "CT", "session": None}
    assert api.get("/api/cases").json() == [case]
    assert api.get(f"/api/cases/{case['id']}").json()["shape_xyz"] == list(SHAPE[::-1])
    pet = sitk.GetArrayFromImage(sitk.ReadImage(write(api.get(f"/api/cases/{case['id']}/pet.nii.gz").content)))
    np.testing.assert_array_equal(pet, sitk.GetArrayFromImage(PET))


def write(content: bytes) -> str:
    handle, path = tempfile.mkstemp(".nii.gz")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    return path


def test_an_upload_outlives_the_server_and_can_be_removed(data: Path, ensemble: Ensemble) -> None:
    clicks = json.dumps(click_file(([1, 2, 3], "tumor"), ([4, 5, 6], "background"))).encode()
    with client(data, ensemble, start=False) as api:
        images = (packed(CT, ".mha"), "ct.mha"), (packed(PET, ".nii.gz"), "pet.nii.gz")
        case = upload(api, *images, {"name": "Patient A"}, clicks=(clicks, "c.json")).json()
    with client(data, ensemble, start=False) as api:
        assert api.get("/api/cases").json() == [case]
        assert case["name"] == "Patient A"
        state = api.post(f"/api/cases/{case['id']}/session").json()
        assert [(each["x"], each["label"]) for each in state["clicks"]] == [(1, "tumor"), (4, "background")]
        assert not state["can_undo"]
        assert files_below(data) == {f"cases/{case['id']}/ct.mha", f"cases/{case['id']}/pet.nii"}
        assert api.delete(f"/api/cases/{case['id']}").status_code == 204
        assert api.get("/api/cases").json() == []
        assert api.get(f"/api/sessions/{state['id']}").status_code == 404
        assert files_below(data) == set()


def test_names_from_outside_are_no_paths(api: TestClient, data: Path, tmp_path: Path) -> None:
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(data)}
    for name in (
        "../../../escaped.mha",
        "/etc/escaped.mha",
        "..\\..\\escaped.mha",
        "a\x00b.mha",
        ".mha",
        "x" * 5000 + ".mha",
    ):
        content = {"name": f"<b>{name}\n"}
        answer = upload(api, (packed(CT, ".mha"), name), (packed(PET, ".mha"), name), content)
        if answer.status_code != 201:  # some names are none that a form can have
            assert answer.status_code == 400
            continue
        case = answer.json()
        assert len(case["name"]) <= 100
        assert case["name"].isprintable()
        assert len(case["id"]) == 16
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(data)} == before
    assert {path.rpartition("/")[2] for path in files_below(data)} == {"ct.mha", "pet.mha"}


def mha(header: str, voxels: bytes = b"") -> bytes:
    return header.encode() + voxels


def mha_header(size: str = "24 22 20", *, kind: str = "MET_SHORT", data: str = "LOCAL", more: str = "") -> str:
    return (
        f"ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n{more}"
        f"ElementSpacing = 1 1 1\nDimSize = {size}\nElementType = {kind}\nElementDataFile = {data}\n"
    )


def nifti_zeros(shape_xyz: tuple[int, int, int], voxel_bytes: int) -> bytes:
    """A .nii.gz of int16 whose header claims one size, and whose voxels may have another."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *shape_xyz, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 4, 16)
    struct.pack_into("<8f", header, 76, 1, 1, 1, 1, 1, 1, 1, 1)
    struct.pack_into("<f", header, 108, 352)
    header[344:348] = b"n+1\0"
    return gzip.compress(bytes(header) + bytes(voxel_bytes), 1)


def far_away(image: sitk.Image) -> sitk.Image:
    moved = sitk.Image(image)
    moved.SetOrigin((5000, 5000, 5000))
    return moved


GOOD_CT, GOOD_PET = (packed(CT, ".mha"), "ct.mha"), (packed(PET, ".mha"), "pet.mha")

PACKED = "CompressedData = True\nCompressedDataSize = 0\n"

BAD = {
    "text": ((b"no image at all", "ct.nii"), 415, "the CT: is not an image that can be read"),
    "empty": ((b"", "ct.nii"), 415, "the CT: is not an image that can be read"),
    "no gzip": ((b"no gzip at all", "ct.nii.gz"), 422, "the CT: its gzip is damaged or cut short"),
    "cut gzip": ((packed(CT, ".nii.gz")[:-100], "ct.nii.gz"), 422, "the CT: its gzip is damaged or cut short"),
    "cut": ((packed(CT, ".mha")[:-100], "ct.mha"), 415, "the CT: its CompressedDataSize is "),
    "picture": ((b"\x89PNG", "ct.png"), 415, "the CT: its name does not end with one of .nii.gz, .nii, .mha, .nrrd"),
    "pair of files": ((b"x", "ct.mhd"), 415, "the CT: its name does not end with one of"),
    "plane": ((packed(CT[:, :, 3], ".mha"), "ct.mha"), 415, "the CT: is 2D"),
    "zeros": ((packed(image_from(np.zeros(SHAPE, np.int16)), ".mha"), "ct.mha"), 422, "the CT: every voxel is 0"),
    "other file": ((mha(mha_header(data="/etc/passwd")), "ct.mha"), 415, "the CT: its voxels are in '/etc/passwd'"),
    "other file first": (
        (mha("ElementDataFile = /etc/passwd\n" + mha_header()), "ct.mha"),
        415,
        "the CT: its header lacks NDims",
    ),
    "hidden other file": (
        (mha(mha_header(more="Comment = a\relementdatafile = /etc/passwd\n")), "ct.mha"),
        415,
        "the CT: is not an image that can be read, the line 'Comment = a",
    ),
    "list of files": ((mha(mha_header(data="LIST\n/etc/passwd")), "ct.mha"), 415, "the CT: its voxels are in 'LIST'"),
    "detached": (
        (b"NRRD0004\ntype: short\ndimension: 3\nsizes: 2 2 2\nencoding: raw\nData File: /etc/passwd\n\n", "ct.nrrd"),
        415,
        "the CT: its voxels are in '/etc/passwd' by its data file",
    ),
    "header of 2 GB": (
        (mha(mha_header("1024 1024 1024", more=PACKED)), "ct.mha"),
        413,
        "the CT: has 1024 x 1024 x 1024 voxels",
    ),
    "header of many bytes": (
        (mha(mha_header("1024 1024 1023", kind="MET_UCHAR", more=PACKED)), "ct.mha"),
        413,
        "the CT: has 1024 x 1024 x 1023 voxels",
    ),
    "header of terabytes": (
        (nifti_zeros((32767, 32767, 32767), 64), "ct.nii.gz"),
        415,
        "the CT: its header says 32767 x 32767",
    ),
    "elsewhere": ((packed(far_away(CT), ".mha"), "ct.mha"), 422, "the CT: covers 0% of the body in the PET the PET"),
}


@pytest.mark.parametrize(("file", "status", "sentence"), BAD.values(), ids=BAD)
def test_what_is_no_case_is_refused_and_leaves_nothing(
    api: TestClient, data: Path, file: tuple[bytes, str], status: int, sentence: str
) -> None:
    answer = upload(api, file, GOOD_PET)
    assert answer.json()["detail"].startswith(sentence)
    assert answer.status_code == status
    assert str(data) not in answer.text
    assert files_below(data) == set()
    assert api.get("/api/cases").json() == []
    answer = upload(api, GOOD_CT, GOOD_PET)  # the server goes on
    assert answer.status_code == 201


def test_what_unpacks_to_more_than_it_says_is_refused(
    api: TestClient, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_IMAGE_BYTES", 4 << 20)
    answer = upload(api, (nifti_zeros((24, 22, 20), 64 << 20), "ct.nii.gz"), GOOD_PET)
    assert answer.status_code == 413
    assert answer.json()["detail"] == "the CT: has more than 4 MB unpacked"
    assert files_below(data) == set()


def test_a_request_is_bounded_whether_or_not_it_says_its_size(data: Path, ensemble: Ensemble) -> None:
    with client(data, ensemble, start=False, access=Access(max_upload=100_000)) as api:
        assert upload(api, GOOD_CT, GOOD_PET).status_code == 201
        noise = np.random.default_rng(0).bytes(120_000)
        request = api.build_request("POST", "/api/cases", files={"ct": ("a.nii", noise), "pet": ("b.nii", b"")})
        body = request.read()
        kind = {"Content-Type": request.headers["content-type"]}
        for content in (body, iter([body[:50_000], body[50_000:]])):
            answer = api.post("/api/cases", content=content, headers=kind)
            assert answer.status_code == 413
            assert answer.json()["detail"].startswith("the request is too large, at most 0.0954 MB")
        assert len(files_below(data)) == 2


MANY_CLICKS = json.dumps(click_file(*[([1, 2, 3], "tumor")] * 20_001)).encode()
CLICK_OUTSIDE = json.dumps(click_file(([99, 0, 0], "tumor"))).encode()


@pytest.mark.parametrize(
    ("files", "status", "sentence"),
    [
        ({"ct": GOOD_CT}, 422, "pet: Field required"),
        (
            {"ct": GOOD_CT, "pet": GOOD_PET, "clicks": (MANY_CLICKS, "c.json")},
            422,
            "a session has at most 20000 clicks",
        ),
        ({"ct": GOOD_CT, "pet": GOOD_PET, "clicks": (b"{", "c.json")}, 422, "the file of clicks: not a JSON file"),
        (
            {
                "ct": GOOD_CT,
                "pet": GOOD_PET,
                "clicks": (json.dumps(click_file(([99, 0, 0], "tumor"))).encode(), "c.json"),
            },
            422,
            "the file of clicks: point 0 has x = 99, outside the image",
        ),
    ],
)
def test_incomplete_uploads_are_refused(
    api: TestClient, data: Path, files: dict[str, tuple[bytes, str]], status: int, sentence: str
) -> None:
    answer = api.post("/api/cases", files={kind: (name, content) for kind, (content, name) in files.items()})
    assert answer.status_code == status
    assert answer.json()["detail"].startswith(sentence)
    assert files_below(data) == set()


def test_forms_that_are_none_are_refused(api: TestClient) -> None:
    for content, kind in (
        (b"{}", "application/json"),
        (b"x", "multipart/form-data"),
        (b"x", "multipart/form-data; boundary=a"),
    ):
        answer = api.post("/api/cases", content=content, headers={"Content-Type": kind})
        assert answer.status_code in (400, 422)
        assert isinstance(answer.json()["detail"], str)


def test_the_uploads_of_a_killed_server_are_removed(data: Path, ensemble: Ensemble) -> None:
    for folder in (data / "cases" / "0123456789abcdef", data / "temporary" / "x"):
        folder.mkdir(parents=True)
        (folder / "ct.nii").write_bytes(b"half an image")
    with client(data, ensemble, start=False):
        assert not list((data / "cases").iterdir())


def test_a_copy_stops_where_a_stream_does_not() -> None:
    class Endless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return bytes(1 << 20)

    target = io.BytesIO()
    with pytest.raises(TooLargeError):
        uploads._copy(Endless(), target, 5 << 20, "the CT")
    assert len(target.getvalue()) == 5 << 20

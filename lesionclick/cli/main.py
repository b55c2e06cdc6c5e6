"""The command line `lesionclick`: its commands and what becomes of errors."""

import sys
from collections.abc import Sequence

import typer

from lesionclick import log
from lesionclick.cli.cohort import cohort_command
from lesionclick.cli.evaluate import compare_command, evaluate_command
from lesionclick.cli.model import check_command, pack_command
from lesionclick.cli.overview import overview_command
from lesionclick.cli.predict import predict_command
from lesionclick.cli.segment import segment_command
from lesionclick.cli.serve import serve_command
from lesionclick.errors import LesionClickError
from lesionclick.files import ending_on_signals

app = typer.Typer(
    help="Promptable lesion segmentation in whole-body PET/CT.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("predict")(predict_command)
app.command("segment")(segment_command)
app.command("serve")(serve_command)
app.command("cohort")(cohort_command)
app.command("overview")(overview_command)
app.command("evaluate")(evaluate_command)
app.command("compare")(compare_command)
app.command("pack")(pack_command)
app.command("check")(check_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `lesionclick`."""
    run(app, arguments)


def run(commands: typer.Typer, arguments: Sequence[str] | None = None) -> None:
    """Runs a command line; an error that the user can mend becomes one sentence on stderr and exit code 2."""
    log.to_stderr()
    try:
        with ending_on_signals():
            commands(arguments)
    except LesionClickError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)

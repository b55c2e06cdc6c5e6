"""Command line `lesionclick-train`: its commands."""

from collections.abc import Sequence

import typer

from lesionclick.cli.main import run
from lesionclick_training.cli.assemble import assemble_command
from lesionclick_training.cli.convert import convert_app
from lesionclick_training.cli.phantoms import phantoms_command
from lesionclick_training.cli.study import ideas_command, table_command, validate_command
from lesionclick_training.cli.train import preprocess_command, pretrained_command, train_command

app = typer.Typer(
    help="Trains the networks of LesionClick with nnU-Net.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(convert_app, name="convert")
app.command("phantoms")(phantoms_command)
app.command("preprocess")(preprocess_command)
app.command("train")(train_command)
app.command("pretrained")(pretrained_command)
app.command("assemble")(assemble_command)
app.command("validate")(validate_command)
app.command("table")(table_command)
app.command("ideas")(ideas_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `lesionclick-train`."""
    run(app, arguments)

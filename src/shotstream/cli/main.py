"""The ``shotstream`` command: its subcommands, and how errors are reported."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Annotated

import typer

from shotstream import __version__
from shotstream.cli import bench, eval, films, generate, models, story, studio, training
from shotstream.cli.console import any_encoding, drop_output, flush, put, say
from shotstream.core.errors import ShotStreamError

BAD_INPUT, UNEXPECTED, INTERRUPTED = 2, 1, 130
# Libraries that only an extra of the package brings.
EXTRAS = {"skia": "world", "matplotlib": "train", "scenedetect": "eval", "transformers": "eval"}
EXTRAS |= {"playwright": "bench"}
EXTRAS |= dict.fromkeys(("diffusers", "huggingface_hub", "ftfy", "accelerate"), "wan")
EXTRAS |= {"fastapi": "studio", "uvicorn": "studio", "websockets": "studio"}
EXTRAS |= {"prometheus_client": "studio", "httpx": "client", "ray": "ray"}

app = typer.Typer(
    name="shotstream",
    help="Direct a film shot by shot while it plays.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def shotstream(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Direct a film shot by shot while it plays."""
    if version:
        put(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        put(context.get_help())


app.command("generate")(generate.generate)
app.command("studio")(studio.studio)
app.command("replica", hidden=True)(studio.replica)
app.command("export")(films.export)
app.add_typer(films.app, name="films")
app.add_typer(story.app, name="story")
app.command("train")(training.train)
app.add_typer(training.app, name="data")
app.add_typer(eval.app, name="eval")
app.command("bench")(bench.bench)
app.command("gpu-check")(bench.gpu_check)
app.command("verify")(bench.verify)
app.add_typer(models.app, name="models")


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code. Whatever goes wrong is one line on standard error."""
    any_encoding()
    try:
        code = app(args=list(arguments), prog_name="shotstream", standalone_mode=False)
        flush()
    except typer.TyperException as fault:
        return _failed(f"{fault.format_message()} (--help shows how)", BAD_INPUT)
    except ShotStreamError as fault:
        return _failed(str(fault), BAD_INPUT)
    except BrokenPipeError:  # the reader of our output is gone: nothing is left to say to it
        drop_output()
        return UNEXPECTED
    except OSError as fault:  # a file where a folder should be, a folder that is closed to us
        return _surprised(fault) if fault.filename is None else _failed(_told(fault), BAD_INPUT)
    except Exception as fault:  # noqa: BLE001  the last line of defence
        return _surprised(fault)
    if code == INTERRUPTED:
        say("interrupted")
    return code if isinstance(code, int) else 0


def run() -> None:
    """The console script."""
    signal.signal(signal.SIGTERM, _end)
    sys.exit(main(sys.argv[1:]))


def _end(number: int, frame: FrameType | None) -> None:
    """Turn a signal to end into an exception, so that half-written files are cleaned up."""
    sys.exit(128 + number)


def _surprised(fault: Exception) -> int:
    """Report an unexpected error: a library that only an extra brings, or a bug."""
    if isinstance(fault, ModuleNotFoundError) and fault.name in EXTRAS:
        mend = f"pip install 'shotstream[{EXTRAS[fault.name]}]'"
        return _failed(f"this command needs {fault.name}, which is not installed; {mend}", BAD_INPUT)
    if os.environ.get("SHOTSTREAM_DEBUG"):
        raise fault
    return _failed(f"unexpected {type(fault).__name__}: {fault} (SHOTSTREAM_DEBUG=1 shows where)", UNEXPECTED)


def _told(fault: OSError) -> str:
    """The system's own words about a file or a folder."""
    return f"{os.fsdecode(fault.filename)}: {(fault.strerror or 'cannot be used').lower()}; name another, or mend it"


def _failed(said: str, code: int) -> int:
    say(f"error: {' '.join(said.split())}")
    return code

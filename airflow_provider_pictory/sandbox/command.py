"""The command ``pictory-sandbox``: options in, an address and a connection out, until it shall end."""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import shlex
import signal
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from airflow_provider_pictory import __version__
from airflow_provider_pictory.sandbox.bodies import complaints
from airflow_provider_pictory.sandbox.connection import connection_json
from airflow_provider_pictory.sandbox.faults import InvalidFaultError, read_faults
from airflow_provider_pictory.sandbox.faults.explaining import explain_faults
from airflow_provider_pictory.sandbox.faults.kinds import KINDS
from airflow_provider_pictory.sandbox.settings import KEY_PREFIX, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_PORT = 8765
_HELP_WIDTH = 80
_PACKAGES = ("aiohttp", "av", "PIL")

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a sandbox until SIGINT or SIGTERM.

    :param arguments: the command line without the command's name; the process's own without it.
    :return: the exit status.
    """
    settings = _settings(arguments)
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.INFO)
    try:
        asyncio.run(_serve(settings))
    except ModuleNotFoundError as error:
        if error.name not in _PACKAGES:
            raise
        return _complain(
            f"the package {error.name} is missing: install them all with "
            "pip install 'airflow-provider-pictory[sandbox]'"
        )
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        if error.errno == errno.EADDRINUSE:
            return _complain(f"{where} is taken: choose another --port, or 0 for any free one")
        return _complain(f"can't start at {where}: {error.strerror or error}")
    return 0


async def _serve(settings: Settings) -> None:
    # Only now, so that a missing package is a sentence and --help needs none.
    from airflow_provider_pictory.sandbox.server import serve

    end = asyncio.Event()
    for end_signal in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(end_signal, end.set)
    async with serve(settings) as server:
        key = "that key" if settings.api_key else f"any key that starts with {KEY_PREFIX}"
        connection = shlex.quote(connection_json(server.url, settings.usable_key))
        # Flushed, since whoever started us in the background waits for these lines.
        sys.stdout.write(
            f"Pictory sandbox at {server.url}: jobs take {settings.render_seconds:g} s, "
            f"{settings.credits:g} AI credits, {key}. Ctrl+C ends it.\n"
            f"export AIRFLOW_CONN_PICTORY_DEFAULT={connection}\n"
        )
        sys.stdout.flush()
        if settings.faults:
            kinds = ", ".join(fault.kind for fault in settings.faults)
            log.info("Going wrong on purpose: %s; --seed %d repeats it", kinds, server.control.seed())
        await end.wait()


def _settings(arguments: Sequence[str] | None) -> Settings:
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    if options.pop("list_faults", False):
        sys.stdout.write(f"{explain_faults()}\n")
        parser.exit()
    try:
        faults = read_faults(options.pop("faults", ()))
        return Settings(**{"port": DEFAULT_PORT, "faults": faults, **options})
    except InvalidFaultError as error:
        parser.error(f"argument --fault: {error} (--list-faults explains them)")
    except ValidationError as error:
        parser.error(f"argument --{next(iter(complaints(error).values())).replace('_', '-')}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pictory-sandbox",
        description="A local Pictory: the same API, made-up videos, no real credits.",
        epilog=textwrap.fill(f"faults: {', '.join(KINDS)}", _HELP_WIDTH, break_on_hyphens=False),
        # Leaves the list of faults as it is: argparse would break names at their dashes.
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    for name, field in Settings.model_fields.items():
        options = [f"--{name.replace('_', '-')}"]
        details: dict[str, Any] = {"metavar": "VALUE"}
        default = DEFAULT_PORT if name == "port" else field.default
        explanation = f"{field.description} (default: {default})" if default else field.description
        if name == "faults":
            options, details = ["--fault"], {"action": "append", "metavar": "KIND[:NAME=VALUE,...]"}
        elif field.annotation is bool:
            options, details = ["--no-sources", "--no-fetch-sources"], {"action": "store_false"}
            explanation = field.description
        parser.add_argument(*options, dest=name, help=explanation, **details)
    parser.add_argument("--list-faults", action="store_true", help="explain all faults and exit")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _complain(sentence: str) -> int:
    sys.stderr.write(f"pictory-sandbox: {sentence}.\n")
    return 1

"""The command ``pictory-sandbox``: options in, an address and a connection out, until it shall end."""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import math
import shlex
import signal
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory import __version__
from airflow_provider_pictory.sandbox.connection import connection_json
from airflow_provider_pictory.sandbox.faults import Fault, FaultKind, InvalidFaultError, parse_fault
from airflow_provider_pictory.sandbox.faults.explaining import explain_faults
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
    parser = argparse.ArgumentParser(
        prog="pictory-sandbox",
        description="A local Pictory: the same API, made-up videos, no real credits.",
        epilog=textwrap.fill(f"faults: {', '.join(FaultKind)}", _HELP_WIDTH, break_on_hyphens=False),
        formatter_class=_Help,
    )
    parser.add_argument("--host", default=Settings.host, help="the address to listen on")
    parser.add_argument("--port", type=_port, default=DEFAULT_PORT, help="0 takes a free one")
    parser.add_argument(
        "--render-seconds",
        type=_quantity,
        default=Settings.render_seconds,
        metavar="SECONDS",
        help="how long a job stays in progress",
    )
    parser.add_argument(
        "--credits", type=_quantity, default=Settings.credits, help="the AI credits of the account"
    )
    parser.add_argument(
        "--api-key",
        default=argparse.SUPPRESS,
        metavar="KEY",
        help=f"the only accepted key (default: any that starts with {KEY_PREFIX})",
    )
    parser.add_argument(
        "--no-sources",
        "--no-fetch-sources",
        action="store_false",
        dest="fetch_sources",
        default=argparse.SUPPRESS,
        help="don't fetch what videos start from; show their prompts alone",
    )
    parser.add_argument(
        "--fault",
        action="append",
        dest="faults",
        type=_fault,
        default=argparse.SUPPRESS,
        metavar="KIND[:NAME=VALUE,...]",
        help="what goes wrong, such as server-error:status=503,rate=0.1; can be repeated",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=argparse.SUPPRESS,
        help="makes the faults repeatable (default: a random one)",
    )
    parser.add_argument("--list-faults", action=_ListFaults, help="explain all faults and exit")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    options = vars(parser.parse_args(arguments))
    return Settings(**{**options, "faults": tuple(options.get("faults", ()))})


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, and leaves the list of faults as it is: argparse would break names at their dashes."""


class _ListFaults(argparse.Action):
    """Responses as ``--help`` does, since faults are more than fit there."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:  # noqa: A002
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *details: Any) -> None:
        """Explain and end."""
        sys.stdout.write(f"{explain_faults()}\n")
        parser.exit()


def _fault(text: str) -> Fault:
    try:
        return parse_fault(text)
    except InvalidFaultError as error:
        raise argparse.ArgumentTypeError(f"{error} (--list-faults explains them)") from None


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return port


def _quantity(text: str) -> float:
    quantity = float(text)
    if not 0 <= quantity < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 up")
    return quantity


def _complain(sentence: str) -> int:
    sys.stderr.write(f"pictory-sandbox: {sentence}.\n")
    return 1

"""
Check each assumption about Pictory that can be checked, and write a report that can be handed on.

The key is read from PICTORY_API_KEY, and another base URL than Pictory's from PICTORY_API_BASE_URL. What is
free comes first. ``--paid`` then makes one cheapest clip, after it has said what that costs.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.client.settings import DEFAULT_BASE_URL
from airflow_provider_pictory.exceptions import PictoryConfigurationError
from live_check.clip import cheapest_request
from live_check.findings import Outcome
from live_check.report import report, summary, table
from live_check.run import Options, Run
from live_check.service import settings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

DIFFERS, NOT_RUN, STOPPED = 1, 2, 130
SECONDS_TO_STOP = 5.0
# How fast Pictory is asked.
LIVE: dict[str, Any] = {"pause": 1.0, "interval": 10.0}


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the check.

    :param arguments: the command line without the command's name; the process's own without it.
    :return: 0 where all is as expected, 1 where something differs, 2 where nothing could be checked.
    """
    parser = argparse.ArgumentParser(prog="python -m live_check", description=__doc__)
    parser.add_argument("--paid", action="store_true", help="make one cheapest clip, which costs AI credits")
    parser.add_argument("--sandbox", action="store_true", help="against a sandbox of its own, without a key")
    parser.add_argument("--report", type=Path, help="where to write the report")
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        base_url = os.environ.get("PICTORY_API_BASE_URL", "").strip() or DEFAULT_BASE_URL
        key = os.environ.get("PICTORY_API_KEY", "").strip()
        options = Options(is_paid=given.paid, **LIVE)
        if given.sandbox:
            from live_check.with_sandbox import busy_sandbox

            base_url, key = stack.enter_context(busy_sandbox())
            options = Options(is_paid=given.paid, pause=0.0, interval=0.5)
        if not key:
            return _complain("set PICTORY_API_KEY to your API key, or SANDBOX=1 to see how it works")
        path = given.report or Path(f"live-check-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.md")
        try:
            return _check(base_url, key, options, path)
        except PictoryConfigurationError as error:
            return _complain(str(error))
        except KeyboardInterrupt:
            _say("The check was stopped. A clip that was submitted goes on and is paid for.")
            return STOPPED


def _check(base_url: str, key: str, options: Options, path: Path) -> int:
    settings = settings_of(base_url, key)
    price = f"{cheapest_request().estimated_credits:g} AI credits"
    if options.is_paid:
        seconds = SECONDS_TO_STOP if options.pause else 0.0
        _say(f"After what is free, one clip will be made for {price}. Ctrl-C within {seconds:g} s stops it.")
        time.sleep(seconds)
    else:
        _say(f"This run is free. PAID=1 would also make one clip, for {price}.")
    run = Run(settings, options, _say)
    rows = run.check().rows()
    _say(f"\n{table(rows)}\n\n{summary(rows)}")
    path.write_text(report(rows, settings.base_url, run.requests), encoding="utf-8")
    _say(f"The report, without key, prompts or queries of URLs, is in {path}")
    return DIFFERS if any(row.outcome is Outcome.DIFFERS for row in rows) else 0


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def _complain(sentence: str) -> int:
    sys.stderr.write(f"live_check: {sentence}\n")
    return NOT_RUN


if __name__ == "__main__":
    sys.exit(main())

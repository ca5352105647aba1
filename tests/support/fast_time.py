"""An event loop in which time passes as soon as nobody has anything to do, so that seconds take no time."""

from __future__ import annotations

import asyncio
import selectors


class FastLoop(asyncio.SelectorEventLoop):
    """Begins at zero; its sockets and threads are real, its timers are not waited for."""

    def __init__(self):
        super().__init__(_FastSelector(self))
        self.now = 0.0
        self.timers = 0

    def time(self):
        return self.now

    def call_at(self, when, callback, *arguments, context=None):
        self.timers += 1
        return super().call_at(when, callback, *arguments, context=context)


class _FastSelector(selectors.DefaultSelector):
    def __init__(self, loop):
        super().__init__()
        self._loop = loop

    def select(self, timeout=None):
        ready = super().select(0 if timeout is not None else None)
        if timeout and not ready:
            self._loop.now += timeout
        return ready


def run_fast(scenario):
    """Run a coroutine in such a loop."""
    with asyncio.Runner(loop_factory=FastLoop) as runner:
        return runner.run(scenario)

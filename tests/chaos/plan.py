"""The clips of the crash harness and what shall befall them: the table of points, and random kills."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field
from typing import Any

MODES = ("submit", "worker", "deferred")
RECOVERIES = ("clear", "retry")

POINTS = (
    "before-intent",
    "after-intent",
    "in-flight-lost",
    "in-flight-late",
    "in-flight-created",
    "after-response",
    "after-record",
    "after-xcom",
    "while-deferring",
    "while-resuming",
    "after-success",
    "response-dropped",
)
ONLY_DEFERRED = {"while-deferring", "while-resuming"}
# Here the gateway hurts the request, and nobody is killed by it.
MISHAPS = {"response-dropped", "cleared-in-flight"}
ON_A_MACHINE = ("in-flight-created", "after-response", "after-record", "while-deferring", "while-resuming")

# What the harness itself does, and the modes in which there is something to do it to.
EVENTS = {
    "cleared-in-flight": MODES,
    "cleared-running": ("worker",),
    "cleared-deferred": ("deferred",),
    "failed-running": ("worker",),
    "failed-deferred": ("deferred",),
    "triggerer-killed": ("submit", "deferred"),
}
LONGEST_PLAN = 3


@dataclass(frozen=True)
class Kill:
    """
    One kill, which happens the first time that a task of the clip comes to its point.

    :param point: where.
    :param first_try: not before this try.
    :param is_of_machine: whether the process that watches the task is killed too, so that Airflow hears of it
        by silence alone.
    """

    point: str
    first_try: int = 1
    is_of_machine: bool = False


@dataclass
class Clip:
    """
    Somebody wants one video.

    :param number: tells it from all others, also where the prompt doesn't.
    :param row: of the table that its outcome counts for.
    :param prompt: what the video shows.
    :param kills: what is planned for its task.
    """

    number: int
    row: str
    prompt: str
    kills: tuple[Kill, ...] = ()

    def mark(self, index: int) -> str:
        """Return the name of the file that says that a kill has happened."""
        return f"{self.number}.{index}.{self.kills[index].point}"


@dataclass
class Order:
    """
    One DAG run.

    :param mode: one of :data:`MODES`.
    :param recovery: whether somebody clears what failed, or Airflow tries again.
    :param clips: one, or several for a mapped task.
    :param event: one of :data:`EVENTS`, or nothing.
    :param is_mapped: whether the task is a mapped one.
    """

    mode: str
    recovery: str
    clips: list[Clip]
    event: str | None = None
    is_mapped: bool = False
    run_id: str = field(init=False)

    def __post_init__(self) -> None:
        self.run_id = f"run-{self.clips[0].number:03d}"

    @property
    def dag_id(self) -> str:
        """The DAG that is run."""
        return f"crashes_{self.mode}_{self.recovery}{'_mapped' if self.is_mapped else ''}"

    @property
    def conf(self) -> dict[str, Any]:
        """What the run is started with."""
        return {
            "clips": [
                {
                    "number": clip.number,
                    "prompt": clip.prompt,
                    "kills": [asdict(kill) for kill in clip.kills],
                }
                for clip in self.clips
            ]
        }

    def map_index(self, clip: Clip) -> int:
        """Return the map index of a clip's task instance."""
        return self.clips.index(clip) if self.is_mapped else -1


class Plan:
    """Numbers the clips and keeps their orders."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self._count = 0

    @property
    def clips(self) -> list[Clip]:
        """All clips of all orders."""
        return [clip for order in self.orders for clip in order.clips]

    def clip(self, row: str, kills: tuple[Kill, ...] = (), prompt: str | None = None) -> Clip:
        """Make a clip; without a prompt it gets one that no other has."""
        self._count += 1
        return Clip(self._count, row, prompt or f"A paper boat with the number {self._count}", kills)

    def at_point(self, point: str, mode: str, recovery: str, *, is_of_machine: bool = False) -> None:
        """Order one clip with one kill."""
        row = f"{point}, whole machine" if is_of_machine else point
        kill = Kill(point, is_of_machine=is_of_machine)
        self.orders.append(Order(mode, recovery, [self.clip(row, (kill,))]))

    def with_event(self, event: str, mode: str, recovery: str) -> None:
        """Order one clip to which the harness does something."""
        kills = (Kill(event),) if event in MISHAPS else ()
        self.orders.append(Order(mode, recovery, [self.clip(event, kills)], event))


def short_plan() -> Plan:
    """Choose what matters most: the kills around the POST, after the response, deferring, and the clears."""
    plan = Plan()
    for point, mode, recovery in (
        ("after-intent", "deferred", "retry"),
        ("in-flight-lost", "submit", "retry"),
        ("in-flight-lost", "worker", "clear"),
        ("in-flight-late", "deferred", "clear"),
        ("in-flight-created", "deferred", "retry"),
        ("after-response", "worker", "retry"),
        ("after-response", "deferred", "clear"),
        ("after-record", "submit", "retry"),
        ("while-deferring", "deferred", "retry"),
        ("while-resuming", "deferred", "clear"),
        ("response-dropped", "deferred", "clear"),
    ):
        plan.at_point(point, mode, recovery)
    plan.at_point("in-flight-created", "submit", "clear", is_of_machine=True)
    plan.with_event("cleared-running", "worker", "retry")
    plan.with_event("cleared-deferred", "deferred", "clear")
    return plan


def table_plan() -> Plan:
    """Choose each point in each mode where it exists, with a clear and with retries, and each event."""
    plan = Plan()
    # First, since what they do must meet a task while it waits, and those at the end are queued for minutes.
    for event, modes in EVENTS.items():
        for mode in modes:
            for recovery in RECOVERIES:
                plan.with_event(event, mode, recovery)
    for point in POINTS:
        for mode in ("deferred",) if point in ONLY_DEFERRED else MODES:
            for recovery in RECOVERIES:
                plan.at_point(point, mode, recovery)
    for point in ON_A_MACHINE:
        for recovery in RECOVERIES:
            plan.at_point(point, "deferred", recovery, is_of_machine=True)
    return plan


def add_random_clips(plan: Plan, count: int, seed: int) -> list[Order]:
    """
    Draw clips with up to three kills each at random points and tries.

    :param plan: what they are added to.
    :param count: how many clips at least.
    :param seed: draws the same again.
    :return: their orders alone.
    """
    chance = random.Random(seed)
    wanted = len(plan.clips) + count
    orders: list[Order] = []
    shared_prompt = 0
    while len(plan.clips) < wanted:
        mode = chance.choice(MODES)
        is_mapped = chance.random() < 0.15
        prompt = None
        if chance.random() < 0.12:
            shared_prompt += 1
            # Twins: two clips, or a mapped task's three, that nothing in Pictory's lists tells apart.
            prompt = f"A lighthouse that several people want, number {shared_prompt}"
        clips = [
            plan.clip("random" if prompt is None else "random, twins", _draw(chance, mode), prompt)
            for _ in range(3 if is_mapped else 2 if prompt else 1)
        ]
        groups = [clips] if is_mapped else [[clip] for clip in clips]
        orders += [Order(mode, chance.choice(RECOVERIES), group, None, is_mapped) for group in groups]
        plan.orders += orders[-len(groups) :]
    return orders


def _draw(chance: random.Random, mode: str) -> tuple[Kill, ...]:
    points = [point for point in POINTS if mode == "deferred" or point not in ONLY_DEFERRED]
    return tuple(
        Kill(
            chance.choice(points),
            first_try=chance.choice((1, 1, 1, 2)),
            is_of_machine=chance.random() < 0.2,
        )
        for _ in range(chance.choice(range(LONGEST_PLAN + 1)))
    )

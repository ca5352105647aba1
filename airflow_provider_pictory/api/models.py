"""The video models of Pictory's AI Studio, what each can make and what a second of it costs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class VideoModel(StrEnum):
    """A model that Pictory generates videos with (source: Pictory's "Generate Video" page)."""

    VEO_3_1 = "veo3.1"
    VEO_3_1_FAST = "veo3.1_fast"
    PIXVERSE_5_5 = "pixverse5.5"


DEFAULT_MODEL = VideoModel.PIXVERSE_5_5


@dataclass(frozen=True)
class ModelLimits:
    """
    What one model accepts and costs.

    :param aspect_ratios: the accepted aspect ratios; the first is the model's default.
    :param durations: the accepted durations in seconds; the first is the model's default.
    :param credits_per_second: AI credits that a second of video costs.
    :param reference_image_duration: the duration in seconds that the model makes whenever reference images
        are given, whatever was asked for, or ``None`` where it keeps to what was asked. Documented for a
        sister endpoint of Pictory's only, so it is a guess here.
    """

    aspect_ratios: tuple[str, ...]
    durations: tuple[int, ...]
    credits_per_second: float
    reference_image_duration: int | None = None


MODEL_LIMITS: dict[VideoModel, ModelLimits] = {
    VideoModel.VEO_3_1: ModelLimits(("16:9", "9:16"), (4, 6, 8), 20, reference_image_duration=8),
    VideoModel.VEO_3_1_FAST: ModelLimits(("16:9", "9:16"), (4, 6, 8), 10, reference_image_duration=8),
    VideoModel.PIXVERSE_5_5: ModelLimits(("16:9", "9:16", "1:1", "3:4", "4:3"), (5, 8, 10), 1.6),
}

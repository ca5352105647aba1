"""The models are the documented ones, and can what the documentation says."""

from __future__ import annotations

import pytest

from airflow_provider_pictory.api import MODEL_LIMITS, VideoModel
from airflow_provider_pictory.api.models import DEFAULT_MODEL

VEO_RATIOS = ("16:9", "9:16")
DOCUMENTED = {
    "veo3.1": (VEO_RATIOS, (4, 6, 8), 20),
    "veo3.1_fast": (VEO_RATIOS, (4, 6, 8), 10),
    "pixverse5.5": (("16:9", "9:16", "1:1", "3:4", "4:3"), (5, 8, 10), 1.6),
}


def test_there_are_exactly_the_three_documented_models():
    assert {str(model) for model in VideoModel} == set(DOCUMENTED)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_each_model_has_the_documented_ratios_durations_and_price(name):
    limits = MODEL_LIMITS[VideoModel(name)]

    assert (limits.aspect_ratios, limits.durations, limits.credits_per_second) == DOCUMENTED[name]


def test_every_model_has_limits():
    assert set(MODEL_LIMITS) == set(VideoModel)


def test_the_default_is_pictorys_default():
    assert DEFAULT_MODEL == "pixverse5.5"


def test_only_the_veo_models_are_expected_to_fix_the_duration_when_reference_images_are_given():
    fixed = {model.value: limits.reference_image_duration for model, limits in MODEL_LIMITS.items()}

    assert fixed == {"veo3.1": 8, "veo3.1_fast": 8, "pixverse5.5": None}

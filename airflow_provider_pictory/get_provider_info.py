"""The provider info that Airflow reads at every start, so this module imports nothing."""

from __future__ import annotations

from typing import Any

UI_FIELD_BEHAVIOUR: dict[str, Any] = {
    # The port stays visible: without it, Airflow 3.3's Test button doesn't recognise the stored connection.
    "hidden-fields": ["schema", "login"],
    "relabeling": {"password": "API key", "host": "Base URL"},
    "placeholders": {
        "password": "pictai_...",
        "host": "https://api.pictory.ai",
        "port": "443 (Airflow 3.3's Test button needs it)",
    },
}


def get_provider_info() -> dict[str, Any]:
    """Describe the provider in the form of Airflow's provider info schema."""
    integration = "Pictory"
    return {
        "package-name": "airflow-provider-pictory",
        "name": integration,
        "description": "Generate videos from prompts with `Pictory <https://pictory.ai/>`__.",
        "integrations": [
            {
                "integration-name": integration,
                "external-doc-url": "https://docs.pictory.ai/",
                "tags": ["service"],
            }
        ],
        "operators": [
            {
                "integration-name": integration,
                "python-modules": [
                    "airflow_provider_pictory.operators.batch",
                    "airflow_provider_pictory.operators.pictory",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": integration,
                "python-modules": ["airflow_provider_pictory.sensors.pictory"],
            }
        ],
        "hooks": [
            {"integration-name": integration, "python-modules": ["airflow_provider_pictory.hooks.pictory"]}
        ],
        "triggers": [
            {
                "integration-name": integration,
                "python-modules": [
                    "airflow_provider_pictory.triggers.batch",
                    "airflow_provider_pictory.triggers.pictory",
                    "airflow_provider_pictory.triggers.without_worker",
                ],
            }
        ],
        "task-decorators": [
            {
                "name": "pictory_video",
                "class-name": "airflow_provider_pictory.decorators.pictory.pictory_video_task",
            },
            {
                "name": "pictory_videos",
                "class-name": "airflow_provider_pictory.decorators.batch.pictory_videos_task",
            },
        ],
        "extra-links": [
            "airflow_provider_pictory.links.pictory.PlayVideoLink",
            "airflow_provider_pictory.links.pictory.PictoryDashboardLink",
        ],
        "transfers": [
            {
                "source-integration-name": integration,
                "target-integration-name": integration,
                "python-module": "airflow_provider_pictory.transfers.pictory_to_object_storage",
            }
        ],
        "connection-types": [
            {
                "connection-type": "pictory",
                "hook-class-name": "airflow_provider_pictory.hooks.pictory.PictoryHook",
                "hook-name": "Pictory",
                "ui-field-behaviour": UI_FIELD_BEHAVIOUR,
                "conn-fields": {
                    "timeout": {
                        "label": "Timeout",
                        "description": "Seconds that one call to Pictory may take; 30 when empty.",
                        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 86400},
                    }
                },
            }
        ],
    }

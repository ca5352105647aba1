"""Apache Airflow provider for Pictory: text prompts become videos, submitted once and awaited for free."""

__version__ = "1.0.0rc1"

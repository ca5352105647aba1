"""How a call to Pictory is made, over the API's description in :mod:`airflow_provider_pictory.api`."""

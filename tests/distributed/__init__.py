"""A distributed Airflow under kills; ``make distributed`` runs it."""

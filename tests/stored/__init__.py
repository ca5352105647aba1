"""What each version stores in Airflow's database, kept so that later ones go on with it."""

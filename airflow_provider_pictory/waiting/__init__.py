"""How a job is awaited until it has ended, on a worker or in the triggerer."""

"""At most one paid POST for each video: what a task has submitted outlives its tries."""

"""Many videos in one task: what is submitted next, what became of each, and the manifest of all."""

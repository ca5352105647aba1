"""Property tests here have no time limit for a single example, since slow machines exist."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

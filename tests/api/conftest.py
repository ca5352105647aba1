"""Property tests here have no time limit for a single example, since slow machines exist, and few of them."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None, max_examples=40)
settings.load_profile("unhurried")

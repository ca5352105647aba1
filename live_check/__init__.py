"""Check what the package assumes about Pictory against the live service: ``make live-check``."""

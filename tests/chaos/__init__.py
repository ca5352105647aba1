"""Runs of minutes through bad weather, for ``make chaos``; no tests that pytest collects."""

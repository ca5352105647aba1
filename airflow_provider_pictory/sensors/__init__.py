"""Sensors that wait for what was paid for."""

"""Operators that spend AI credits."""

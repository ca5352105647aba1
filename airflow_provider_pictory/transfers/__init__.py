"""Transfers between Pictory and other places."""

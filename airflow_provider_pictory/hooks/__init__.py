"""Connections to Pictory."""

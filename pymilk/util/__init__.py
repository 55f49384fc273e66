"""Helpers under the paths that existing scripts import them from."""

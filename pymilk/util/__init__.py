"""Helpers under the paths that existing scripts import them from."""

__all__: list[str] = []

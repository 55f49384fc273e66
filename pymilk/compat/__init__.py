"""Interfaces of other libraries, for scripts that were written for those."""

__all__: list[str] = []

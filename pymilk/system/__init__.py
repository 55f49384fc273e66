"""The operating system: processes, files, locks, threads. Import its rooms by name."""

__all__: list[str] = []

"""The commands of the command line, one file each."""

__all__: list[str] = []

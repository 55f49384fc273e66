"""Compiled rooms below the heart (`pymilk._core`): memory, headers, stream files. None imports the heart."""

__all__: list[str] = []

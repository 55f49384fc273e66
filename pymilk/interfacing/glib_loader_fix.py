"""Empty: in other builds this loads a C library before others do. pymilk has none to load."""

__all__: list[str] = []

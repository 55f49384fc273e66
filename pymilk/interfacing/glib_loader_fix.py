"""Empty: in other builds this loads a C library before others do. pymilk has none to load."""

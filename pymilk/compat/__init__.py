"""Interfaces of other libraries, for scripts that were written for those."""

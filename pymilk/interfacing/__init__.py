"""Import paths that existing scripts use. Nothing in here has behaviour of its own."""

__all__: list[str] = []

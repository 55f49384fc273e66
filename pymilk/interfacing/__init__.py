"""Import paths that existing scripts use. Nothing in here has behaviour of its own."""

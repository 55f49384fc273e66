"""The protocol of streams: how frames are published and received. Declarations for compiled modules only."""

__all__: list[str] = []

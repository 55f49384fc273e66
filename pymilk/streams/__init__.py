"""What belongs to single streams: keywords, directory, waiting. Import its rooms by name."""

__all__: list[str] = []

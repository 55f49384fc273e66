"""The protocol of streams: how frames are published and received. Inline declarations for the compiled modules."""

"""Compiled rooms below the heart (`pymilk._core`): memory, headers, stream files. Nothing here imports the heart."""

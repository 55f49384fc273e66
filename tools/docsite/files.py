"""Folders of generated files."""

from __future__ import annotations

from pathlib import Path

__all__ = ["write_all"]


def write_all(folder: Path, texts: dict[str, str]) -> None:
    """Make a folder hold these files and none else; those that would not change keep their time.

    Parameters
    ----------
    folder : Path
        Made if it is missing. Other files in it are deleted.
    texts : dict
        Names of files and what is in them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)

"""Links between files of the repository, as links between pages of the site."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Links"]

#: A link or picture of Markdown, or the start of a block of code.
LINK = re.compile(r"(?P<fence>^```.*?^```)|(?P<words>\]\()(?P<target>[^)\s]+)\)", re.M | re.S)


@dataclass(frozen=True)
class Links:
    """Where links lead.

    Parameters
    ----------
    root, pages : Path
        The repository, and its folder of pages.
    url : str
        The repository's home on the network: files that are no pages are shown there.
    whole_files : dict
        Files of the repository that are pages: names of pages, with paths from `root`.
    """

    root: Path
    pages: Path
    url: str
    whole_files: dict[str, str]

    def relinked(self, text: str, folder: Path, page_folder: Path) -> str:
        """Return a text of `folder` as it is shown on a page in `page_folder`; blocks of code stay."""

        def link(found: re.Match[str]) -> str:
            if found["fence"]:
                return found[0]
            return f"]({self._target(found['target'], folder, page_folder)})"

        return LINK.sub(link, text)

    def _target(self, target: str, folder: Path, page_folder: Path) -> str:
        if "://" in target or target.startswith(("#", "mailto:")):
            return target
        name, mark, anchor = target.partition("#")
        path = Path(os.path.normpath(folder / name))
        relative = path.relative_to(self.root).as_posix()
        for page, whole in self.whole_files.items():
            if relative == whole:
                path = self.pages / f"{page}.md"
        if path.is_dir() and (path / "README.md").exists():
            path /= "README.md"
        if path.is_file() and path.is_relative_to(self.pages):
            return f"{os.path.relpath(path, page_folder)}{mark}{anchor}"
        return f"{self.url}/blob/main/{relative}{mark}{anchor}"

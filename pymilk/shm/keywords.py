"""Methods of `SHM` for keywords, and for facts about the camera that are stored in keywords."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._core import Stream
from ..arguments import check_mapping
from ..streams.camera import crop_window, exposure_time, frame_rate, reads_per_frame
from ..streams.keywords import TABLE, Keywords

__all__ = ["KeywordCalls"]


class KeywordCalls:
    """Base class of `SHM`: keywords of its stream."""

    if TYPE_CHECKING:  # SHM has these
        FNAME: str
        shape: tuple[int, ...]

        def _live(self) -> Stream: ...

    # -- keywords ------------------------------------------------------------------------------

    @property
    def keywords(self) -> Keywords:
        """The keywords as a live mapping."""
        return Keywords(self._live)

    def get_keywords(self, comments: bool = False, n_tries: int = 4) -> dict[str, Any]:
        """Return the keywords.

        Parameters
        ----------
        comments : bool, default False
            Values are ``(value, comment)``.
        n_tries : int
            No effect; accepted for existing calls. A table that changes while it is read is read again.

        Returns
        -------
        dict
            Name to value. The names are str that also answer ``kw["name"]``, ``kw["value"]`` and
            ``kw["comment"]``, so that both ways of reading them work.
        """
        found = self.keywords.named()
        if comments:
            return {name: (keyword.value, keyword.comment) for name, keyword in found.items()}
        return {name: keyword.value for name, keyword in found.items()}

    def set_keywords(self, kw_dict: dict[str, Any]) -> None:
        """Change and add keywords: ``{name: value}``, ``{name: (value,)}`` or ``{name: (value, comment)}``.

        The tables of old camera servers, ``{name: (value, comment, format, short)}``, are taken too: format
        and short name are left out. Others stay. A keyword without comment loses the one that it had, as
        existing scripts expect; a comment of None keeps it, and so do `update_keyword` and `keywords`. If one
        cannot be stored, none is, and `KeywordError` is raised; `StreamArgumentError` if that is no mapping.
        """
        check_mapping("kw_dict", kw_dict, TABLE, self.FNAME)
        self.keywords.merge(kw_dict, keep_comments=False, tables=True)

    def reset_keywords(self, kw_dict: dict[str, Any]) -> None:
        """Replace all keywords; argument as for `set_keywords`."""
        check_mapping("kw_dict", kw_dict, TABLE, self.FNAME)
        self.keywords.replace(kw_dict, tables=True)

    def update_keyword(self, name: str, value: Any, comment: str | None = None) -> None:
        """Change a keyword that exists; keeps its comment unless one is given.

        Raises
        ------
        KeywordNotFoundError, KeywordError
        """
        self._live().update_keyword(name, value, comment)

    def get_keyword(self, key: str, comment: bool = False, n_tries: int = 4) -> Any:
        """Return the value of a keyword, or ``(value, comment)``; unknown: `KeywordNotFoundError`.

        `n_tries` has no effect, as for `get_keywords`.
        """
        keywords = self.keywords
        return (keywords[key], keywords.comment(key)) if comment else keywords[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.set_keywords({key: value})

    def __delitem__(self, key: str) -> None:
        del self.keywords[key]

    # -- the camera ----------------------------------------------------------------------------

    def get_expt(self) -> float:
        """Return the exposure time in seconds: keyword EXPTIME, else tint, else 0.1234.

        Raises
        ------
        KeywordTypeError
            It is text.
        """
        return exposure_time(self.keywords)

    def get_fps(self) -> float:
        """Return the frame rate: keyword FRATE, else fps, else 0.0. Text: `KeywordTypeError`."""
        return frame_rate(self.keywords)

    def get_ndr(self) -> int:
        """Return the reads of a frame: keyword DET-NSMP, else NDR, else 1; no int: `KeywordTypeError`."""
        return reads_per_frame(self.keywords)

    def get_crop(self) -> tuple[int, int, int, int]:
        """Return the part of the detector that is read out: see `pymilk.streams.camera.crop_window`."""
        return crop_window(self.keywords, self.shape)

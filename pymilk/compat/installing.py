"""Give modules of this package the import names of the libraries that they stand in for."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from types import ModuleType

from ..errors import StreamArgumentError

__all__ = ["give_import_name"]


def give_import_name(
    name: str, submodules: Mapping[str, ModuleType], *, whole: ModuleType | None = None, instead: str
) -> None:
    """Make ``import name`` and ``import name.sub`` find modules of ours. A second call does nothing.

    Parameters
    ----------
    name : str
        A top-level import name.
    submodules : mapping of str to module
        What is imported as ``name.sub``, by ``sub``.
    whole : module, optional
        What is imported as ``name``: all of the library, which then may be installed, if nothing has imported
        it yet. Default: a package that holds nothing but the submodules.
    instead : str
        The import that works without this, for the message.

    Raises
    ------
    StreamArgumentError
        The real library is imported; or installed, and there is more in it than the submodules.
    """
    present = sys.modules.get(name)
    if all(sys.modules.get(f"{name}.{sub}") is module for sub, module in submodules.items()):
        return
    spec = importlib.util.find_spec(name) if present is None and whole is None else None
    if present is not None or spec is not None:
        where = getattr(present, "__file__", None) if spec is None else spec.origin
        raise StreamArgumentError(
            f"{name} itself is {'installed' if present is None else 'imported'} ({where}) and is not "
            f"replaced; write '{instead}'",
            argument=name,
            found=where,
        )
    if whole is None:
        origin = next(iter(submodules.values())).__file__
        whole = importlib.util.module_from_spec(ModuleSpec(name, None, origin=origin, is_package=True))
    for sub, module in submodules.items():
        setattr(whole, sub, module)
        sys.modules[f"{name}.{sub}"] = module
    sys.modules[name] = whole

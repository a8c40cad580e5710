"""Modules changed the moment they are imported, or now where they are already: so that order of import does not matter."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

Change = Callable[[Any], None]
"""Changes a module just imported; applied twice it changes once."""

_MARK: Final = "__phi_guard__"


def mark(function: Any) -> Any:
    """The function, known from now on for one of ours."""
    setattr(function, _MARK, True)
    return function


def is_ours(function: Any) -> bool:
    """Whether a function was put in another's place by us."""
    return bool(getattr(function, _MARK, False))


class ImportWatch:
    """Applies a change to each of the modules it is told, whenever that is imported. Goes first among the finders.

    Args:
        changes: what to do to each module, by its full name.
    """

    def __init__(self, changes: dict[str, Change]) -> None:
        self._changes = changes
        self.faults: dict[str, str] = {}
        """Class name of what a change raised, by module."""

    def install(self) -> None:
        """Change what is loaded, and watch for what is not; installing twice watches once."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        for name in self._changes:
            if (module := sys.modules.get(name)) is not None and not _is_being_loaded(module):
                self.apply(name, module)

    def apply(self, name: str, module: ModuleType) -> None:
        """Change one module. Never raises: an import must not fail for it."""
        try:
            self._changes[name](module)
            self.faults.pop(name, None)
        except Exception as fault:  # noqa: BLE001  # told by the door's state
            self.faults[name] = type(fault).__name__

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """What the other finders find, with our change after its loader; called by ``import``."""
        if name not in self._changes:
            return None
        for finder in tuple(sys.meta_path):
            if finder is self or (find := getattr(finder, "find_spec", None)) is None:
                continue
            if (spec := find(name, path, target)) is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader, self, name)
                return spec
        return None


class _Loader:
    """A module's own loader, and then the change."""

    def __init__(self, own: Any, watch: ImportWatch, name: str) -> None:
        self._own, self._watch, self._name = own, watch, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def create_module(self, spec: Any) -> Any:
        return self._own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._own
        if module.__spec__ is not None:
            module.__spec__.loader = self._own
        self._own.exec_module(module)
        self._watch.apply(self._name, module)


def _is_being_loaded(module: ModuleType) -> bool:
    return bool(getattr(module.__spec__, "_initializing", False))

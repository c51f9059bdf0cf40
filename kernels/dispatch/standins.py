"""Stand-ins for what an engine's dispatch imports, and the importer that supplies them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self


#: Stand-ins whose value decided something, in the order they were asked: each was false or 0.
TAKEN_AS_OFF: dict[str, None] = {}


class ReachedError(BaseException):
    """A kernel was called. No `except Exception` of an engine's takes it for a failure.

    Attributes:
        kernel: "module:function".
        arguments: positional ones by position, named ones by name.

    """

    def __init__(self, kernel: str, arguments: dict[str, object]) -> None:
        """Keep what was called and how."""
        super().__init__(kernel)
        self.kernel, self.arguments = kernel, arguments


class Base:
    """What a class derives from whose base class is a stand-in."""

    def __init__(self, *_: object, **__: object) -> None:
        """Take anything."""

    def __init_subclass__(cls, **_: object) -> None:
        """Take anything."""


class StandIn:
    """Something imported that is not there: false, 0, empty, a decorator, a base class."""

    def __init__(self, name: str) -> None:
        """Keep its full name."""
        self._name = name

    def __getattr__(self, name: str) -> StandIn:
        """Return a part of it, of the same kind; nothing that Python itself asks for."""
        if name.startswith("__"):
            raise AttributeError(name)
        return type(self)(f"{self._name}.{name}")

    def __call__(self, *arguments: object, **named: object) -> Any:  # noqa: ANN401 - anything
        """Return the function or class that it decorates, else another stand-in."""
        if len(arguments) == 1 and not named and isinstance(arguments[0], (FunctionType, type)):
            return arguments[0]
        return StandIn(f"{self._name}()")

    def __mro_entries__(self, _: tuple[object, ...]) -> tuple[type, ...]:
        """Stand for a base class."""
        return (Base,)

    def __getitem__(self, _: object) -> StandIn:
        """Return itself, as a generic type does."""
        return self

    def __or__(self, _: object) -> StandIn:
        """Return itself, as a type in a union does."""
        return self

    __ror__ = __or__

    def __iter__(self) -> Iterator[object]:
        """Hold nothing."""
        return iter(())

    def __radd__(self, other: object) -> object:
        """Count as 0 in a sum."""
        TAKEN_AS_OFF[self._name] = None
        return other

    __rsub__ = __radd__

    def __rand__(self, _: object) -> bool:
        """Count as false."""
        return bool(self)

    def __gt__(self, _: object) -> bool:
        """Count as 0 in a comparison with what is above 0."""
        return bool(self)

    __ge__ = __gt__

    def __bool__(self) -> bool:
        """Be false: no option of a server is on."""
        TAKEN_AS_OFF[self._name] = None
        return False

    def __enter__(self) -> Self:
        """Change nothing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Change nothing."""


class KernelStandIn(StandIn):
    """A part of a package of kernels: calling it is what is asked about."""

    def __call__(self, *arguments: object, **named: object) -> Any:  # noqa: ANN401 - as above
        """Decorate, or raise that it was reached."""
        if len(arguments) == 1 and not named and isinstance(arguments[0], (FunctionType, type)):
            return arguments[0]
        module, _, function = self._name.rpartition(".")
        given = {str(i): value for i, value in enumerate(arguments)} | named
        raise ReachedError(f"{module}:{function}", given)


class Importer(MetaPathFinder, Loader):
    """Imports an engine's few real modules from its folder and stand-ins for all the others."""

    def __init__(
        self,
        root: Path,
        engine: str,
        *,
        real: Sequence[str],
        kernels: Sequence[str],
        others: Sequence[str],
        held: Mapping[str, Mapping[str, object]],
    ) -> None:
        """Keep what is imported how.

        Args:
            root: the folder that the engine's package lies in.
            engine: the package's name.
            real: modules of the engine that are executed, and packages whose modules are.
            kernels: packages and modules whose functions are kernels.
            others: packages of which nothing is executed.
            held: attributes of stand-in modules, by module.

        """
        self._root, self._engine, self._real, self._held = root, engine, tuple(real), held
        self._kernels = tuple(kernels)
        self._tops = {engine, *others, *(name.partition(".")[0] for name in kernels)}

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return how a module is imported; None for a module that is not the engine's."""
        del path, target
        top = name.partition(".")[0]
        if top not in self._tops:
            return None
        if _inside(name, self._real) and (file := self._file(name)):
            return spec_from_file_location(name, file)
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return a stand-in module."""
        kind = KernelStandIn if _inside(spec.name, self._kernels) else StandIn
        return _StandInModule(spec.name, kind, self._held)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: a stand-in is complete."""

    def _file(self, name: str) -> Path | None:
        path = self._root.joinpath(*name.split("."))
        candidates = (path.with_suffix(".py"), path / "__init__.py")
        return next((one for one in candidates if one.is_file()), None)


class _StandInModule(ModuleType):
    """A module that has every attribute."""

    def __init__(
        self,
        name: str,
        kind: Callable[[str], StandIn],
        held: Mapping[str, Mapping[str, object]],
    ) -> None:
        super().__init__(name)
        self.__dict__.update(held.get(name, {}))
        self.__dict__["_kind"], self.__dict__["_held"] = kind, held

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - anything
        if name.startswith("__") and name != "__version__":
            raise AttributeError(name)
        full = f"{self.__name__}.{name}"
        if full in self.__dict__["_held"]:  # `from a import b` asks here before it imports a.b
            return importlib.import_module(full)
        return self.__dict__["_kind"](full)


def _inside(name: str, packages: Sequence[str]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in packages)

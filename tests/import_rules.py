"""Rules about imports, as functions of source text.

Nothing here imports the package: sources are read by `ast`. Each rule returns
the faults that it finds, as messages; `tests/test_layers.py` applies it to the
package, and to sources that break it.
"""

import ast
import functools
import pathlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

_ABOVE = (
    "benchmarks",
    "dice_tf_experiments",
    "examples",
    "experiments",
    "tests",
)


class Module(NamedTuple):
    """One module of a package.

    Attributes:
      name: dotted, `"dice_tf.games.matrix"`; of an `__init__.py` the name of
        its package.
      source: its text.
      is_package: whether it is an `__init__.py`.
    """

    name: str
    source: str
    is_package: bool = False

    @property
    def room(self) -> str:
        """The part below the top: `"games"`; `""` for the top itself."""
        return [*self.name.split("."), ""][1]

    @property
    def package(self) -> str:
        return self.name if self.is_package else self.name.rpartition(".")[0]


def read_package(folder: pathlib.Path) -> list[Module]:
    """Returns every module under `folder`, which is a top-level package."""
    modules = []
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        source = path.read_text(encoding="utf-8")
        modules.append(Module(name, source, is_package))
    return modules


def dotted(node: ast.AST) -> str:
    """Returns `"a.b.c"` for such an expression, and `""` for any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""


def import_base(module: Module, node: ast.ImportFrom) -> str:
    """Returns the dotted name after `from`, a relative one resolved."""
    if not node.level:
        return node.module or ""
    above = module.package.split(".")
    base = above[: len(above) - node.level + 1]
    return ".".join([*base, *filter(None, [node.module])])


def imported_modules(module: Module, known: Collection[str]) -> Iterator[str]:
    """Yields the dotted names that `module` imports, in functions too.

    `from a import b` imports `a.b` where that is a module of `known`, and `a`
    otherwise.
    """
    for node in ast.walk(ast.parse(module.source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = import_base(module, node)
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield whole if whole in known else base


def find_circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Returns the nodes along one circle of a directed graph, or `[]`."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node not in done:
            for target in sorted(graph.get(node, ())):
                if circle := visit(target, [*path, node]):
                    return circle
            done.add(node)
        return []

    for start in sorted(graph):
        if circle := visit(start, []):
            return circle
    return []


def _import_fault(module: Module, target: str, row_of: dict[str, int]) -> str:
    """Returns what is wrong with one import, or `""`."""
    top = module.name.split(".")[0]
    head, *rest = target.split(".")
    if head in _ABOVE:
        return f"{module.name} imports {target}: that stands above {top}."
    if head != top:
        return ""
    if not rest:
        return f"{module.name} imports {top} itself, which imports it."
    if not {module.room, rest[0]} <= row_of.keys():
        return ""  # Reported as being in no layer.
    row, target_row = row_of[module.room], row_of[rest[0]]
    if row >= target_row:
        return ""
    return (
        f"{module.name} (row {row}) imports {target} (row {target_row}): an "
        "import points to a lower row."
    )


def layer_faults(
    modules: Sequence[Module], layers: Sequence[Collection[str]]
) -> list[str]:
    """Checks a package's imports against its layers.

    Args:
      modules: those of one top-level package. Its own `__init__.py` stands
        above all rows.
      layers: from row 0 up, the modules and folders that a row holds.
    """
    row_of = {room: row for row, rooms in enumerate(layers) for room in rooms}
    known = {module.name for module in modules}
    below_top = [module for module in modules if module.room]
    faults = [
        f"{room!r} is in no layer: add it to its row of `LAYERS` in "
        "tests/test_layers.py."
        for room in sorted({m.room for m in below_top} - row_of.keys())
    ]
    between_modules: dict[str, set[str]] = {}
    between_rooms: dict[str, set[str]] = {}
    for module in below_top:
        for target in imported_modules(module, known):
            faults.append(_import_fault(module, target, row_of))
            if target in known:
                between_modules.setdefault(module.name, set()).add(target)
                room = Module(target, "").room
                if room not in ("", module.room):
                    between_rooms.setdefault(module.room, set()).add(room)
    for graph in (between_modules, between_rooms):
        if circle := find_circle(graph):
            faults.append(f"Imports in a circle: {' -> '.join(circle)}.")
    return [fault for fault in faults if fault]


def absolute_import_faults(module: Module) -> list[str]:
    """Checks that a package with two names is not imported by either.

    Args:
      module: one of `experiments`, which is installed under another name.
    """
    return [
        f"{module.name}: line {node.lineno}: an import of the package by its "
        "name, which is another one once it is installed."
        for node in ast.walk(ast.parse(module.source))
        for name in _absolute_names(node)
        if name.split(".")[0] in ("experiments", "dice_tf_experiments")
    ]


def _absolute_names(node: ast.AST) -> list[str]:
    """Returns the modules that a statement imports by their whole names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [node.module]
    return []


def rooms(modules: Sequence[Module]) -> set[str]:
    """Returns the modules and folders directly in a package."""
    return {module.room for module in modules if module.room}


def num_floors(modules: Sequence[Module]) -> int:
    """Returns the number of rooms on the longest chain of imports.

    Args:
      modules: those of one top-level package, without circles between rooms.
    """
    known = {module.name for module in modules}
    graph: dict[str, set[str]] = {room: set() for room in rooms(modules)}
    for module in modules:
        for target in imported_modules(module, known):
            room = Module(target, "").room
            if (
                module.room
                and target in known
                and room not in ("", module.room)
            ):
                graph[module.room].add(room)

    @functools.cache
    def height(room: str) -> int:
        return 1 + max(map(height, graph[room]), default=0)

    return max(map(height, graph), default=0)


def is_all(node: ast.stmt) -> bool:
    """Whether a statement is `__all__ = ...`, annotated or not."""
    if isinstance(node, ast.AnnAssign):
        return dotted(node.target) == "__all__"
    return isinstance(node, ast.Assign) and [
        dotted(target) for target in node.targets
    ] == ["__all__"]


def declared_names(source: str) -> set[str] | None:
    """Returns the names in `__all__`, or `None` for a module without one."""
    for node in ast.parse(source).body:
        if is_all(node):
            return set(ast.literal_eval(node.value))
    return None


def public_api(modules: Sequence[Module]) -> dict[str, set[str] | None]:
    """Returns the names of each public module, `None` meaning all of them.

    The top is public, and what is a module among the names of a public one.
    """
    sources = {module.name: module.source for module in modules}
    api = {}
    waiting = [modules[0].name.split(".")[0]]
    while waiting:
        name = waiting.pop()
        api[name] = declared_names(sources[name])
        inner = (f"{name}.{part}" for part in api[name] or ())
        waiting.extend(part for part in inner if part in sources)
    return api


def public_api_faults(
    module: Module, api: Mapping[str, Collection[str] | None]
) -> list[str]:
    """Checks that a module outside of a package keeps to its public API.

    Args:
      module: the user of the package.
      api: what `public_api` returns.
    """
    top = min(api, key=len)
    nodes = list(ast.walk(ast.parse(module.source)))
    used: list[tuple[int, str]] = []
    meaning: dict[str, str] = {}  # Of the local names that stand for the API.
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                used.append((node.lineno, alias.name))
                local = alias.asname or alias.name.split(".")[0]
                meaning[local] = alias.name if alias.asname else local
        elif isinstance(node, ast.ImportFrom):
            base = import_base(module, node)
            for alias in node.names:
                used.append((node.lineno, f"{base}.{alias.name}"))
                meaning[alias.asname or alias.name] = f"{base}.{alias.name}"
    for node in nodes:
        if isinstance(node, ast.Attribute):
            head, *rest = dotted(node).split(".")
            if head in meaning:
                used.append((node.lineno, ".".join([meaning[head], *rest])))
    faults = {
        f"{module.name}: line {line}: {hidden} is not public."
        for line, name in used
        if name.split(".")[0] == top and (hidden := _hidden_part(name, api))
    }
    return sorted(faults)


def _hidden_part(
    name: str, api: Mapping[str, Collection[str] | None]
) -> str | None:
    """Returns the first part of a dotted name that is not public, if any."""
    owner, *rest = name.split(".")
    for part in rest:
        names = api.get(owner)
        is_magic = part.startswith("__")
        is_listed = not part.startswith("_") if names is None else part in names
        if not (is_listed or is_magic):
            return f"{owner}.{part}"
        owner = f"{owner}.{part}"
    return None

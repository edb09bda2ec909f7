"""Rules about what a module holds, as functions of source text.

Each rule returns the faults that it finds, as messages; `tests/test_layers.py`
applies it to the package, and to sources that break it.
"""

import ast
from collections.abc import Collection, Iterator, Sequence

from tests.import_rules import (
    Module,
    dotted,
    import_base,
    imported_modules,
    is_all,
)

_GLOBAL_SEEDS = ("random.seed", "set_random_seed", "set_seed")
_ENVIRONMENT = ("os.environ", "os.getenv", "os.putenv")
_FLAGS = ("absl.app", "absl.flags")
_KEEPING = "__getattr__ = renamed_objects("
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _mentioned_names(module: Module) -> Iterator[tuple[int, str]]:
    """Yields the line and the dotted form of each name used or imported."""
    for node in ast.walk(ast.parse(module.source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                base = import_base(module, node)
                yield node.lineno, f"{base}.{alias.name}"
        elif isinstance(node, ast.Name | ast.Attribute):
            yield node.lineno, dotted(node)


def _ends_with(name: str, endings: Collection[str]) -> bool:
    return any(f".{name}".endswith(f".{ending}") for ending in endings)


def size_faults(
    module: Module, longest: int = 60, deepest: int = 2
) -> list[str]:
    """Checks that functions fit on a screen.

    Args:
      module: the module.
      longest: number of lines of a function, its docstring not counted.
      deepest: levels of functions inside of functions.
    """
    faults = []
    for node in ast.walk(ast.parse(module.source)):
        if not isinstance(node, _FUNCTIONS):
            continue
        num_lines = node.end_lineno - node.lineno + 1
        if ast.get_docstring(node) is not None:
            text = node.body[0]
            num_lines -= text.end_lineno - text.lineno + 1
        if num_lines > longest:
            faults.append(f"{node.name}: {num_lines} lines, over {longest}")
        if _levels_inside(node) > deepest:
            faults.append(f"{node.name}: functions deeper than {deepest}")
    return [f"{module.name}: {fault}." for fault in faults]


def _levels_inside(node: ast.AST) -> int:
    """Returns how many levels of functions a function or class holds."""
    return max(
        (
            _levels_inside(child) + isinstance(child, _FUNCTIONS)
            for child in ast.iter_child_nodes(node)
        ),
        default=0,
    )


def content_faults(module: Module) -> list[str]:
    """Checks for what no module of the library may hold."""
    faults = []
    for node in ast.walk(ast.parse(module.source)):
        if isinstance(node, ast.Assert):
            faults.append(f"line {node.lineno}: an assert")
    for line, name in _mentioned_names(module):
        if name == "print":
            faults.append(f"line {line}: a print")
        elif _ends_with(name, _GLOBAL_SEEDS):
            faults.append(f"line {line}: a global seed, {name}")
        elif _ends_with(name, _ENVIRONMENT):
            faults.append(f"line {line}: an environment variable, {name}")
        elif _ends_with(name, _FLAGS):
            faults.append(f"line {line}: flags, {name}")
    return [f"{module.name}: {fault}." for fault in faults]


def compilation_faults(module: Module, allowed: Collection[str]) -> list[str]:
    """Checks that `tf.function` is used in the rooms and modules that may."""
    if module.room in allowed or module.name in allowed:
        return []
    return [
        f"{module.name}: line {line}: a tf.function below the trainer."
        for line, name in _mentioned_names(module)
        if name in ("tf.function", "tensorflow.function")
    ]


def init_faults(module: Module) -> list[str]:
    """Checks that an `__init__.py` holds a docstring, imports and `__all__`.

    It may also keep earlier names, by `__getattr__ = renamed_objects(...)`.
    """
    tree = ast.parse(module.source)
    faults = []
    if ast.get_docstring(tree) is None:
        faults.append("no docstring")
    re_exports = any(isinstance(node, ast.ImportFrom) for node in tree.body)
    if re_exports and not any(is_all(node) for node in tree.body):
        faults.append("no __all__")
    for position, node in enumerate(tree.body):
        is_docstring = position == 0 and isinstance(node, ast.Expr)
        is_import = isinstance(node, ast.Import | ast.ImportFrom)
        keeps_names = ast.unparse(node).startswith(_KEEPING)
        if not (is_docstring or is_import or is_all(node) or keeps_names):
            faults.append(f"line {node.lineno}: code beside the imports")
    return [f"{module.name}/__init__.py: {fault}." for fault in faults]


def shared_name_faults(modules: Sequence[Module]) -> list[str]:
    """Checks that no module and function of one package share a name.

    With both, `package.name` means the one or the other by the order of the
    imports.
    """
    children: dict[str, dict[str, Module]] = {}
    for module in modules:
        owner, _, name = module.name.rpartition(".")
        children.setdefault(owner, {})[name] = module
    faults = []
    for named in children.values():
        for module in named.values():
            for name in sorted(_definitions(module) & named.keys()):
                faults.append(f"{module.name} defines {name}")
    for module in modules:
        named = children.get(module.name, {})
        for name, target in _bound_by_import(module):
            if name in named and target != f"{module.name}.{name}":
                faults.append(f"{module.name} imports {target} as {name}")
    return [f"{fault}, the name of a module beside it." for fault in faults]


def _definitions(module: Module) -> set[str]:
    kinds = (*_FUNCTIONS, ast.ClassDef)
    body = ast.parse(module.source).body
    return {node.name for node in body if isinstance(node, kinds)}


def _bound_by_import(module: Module) -> Iterator[tuple[str, str]]:
    """Yields each name that an `__init__.py` imports, and what it names."""
    if not module.is_package:
        return
    for node in ast.parse(module.source).body:
        if isinstance(node, ast.ImportFrom):
            base = import_base(module, node)
            for alias in node.names:
                yield alias.asname or alias.name, f"{base}.{alias.name}"


def variable_faults(
    module: Module, banned: Collection[str] = ("own",)
) -> list[str]:
    """Checks that variables are named for what they hold."""
    found = set()
    for node in ast.walk(ast.parse(module.source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add((node.lineno, node.id))
        elif isinstance(node, ast.arg):
            found.add((node.lineno, node.arg))
        elif isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            found.add((node.lineno, node.name))
    return [
        f"{module.name}: line {line}: a variable called {name}."
        for line, name in sorted(found)
        if name in banned
    ]


def private_faults(
    module: Module,
    private: Sequence[str] = ("tensorflow.python", "tf.python", "keras.src"),
) -> list[str]:
    """Checks that no private module of a library is imported or used."""
    return [
        f"{module.name}: line {line}: {name} is private."
        for line, name in _mentioned_names(module)
        if any(f"{name}.".startswith(f"{prefix}.") for prefix in private)
    ]


def library_faults(
    module: Module, library: str, homes: Collection[str] = ()
) -> list[str]:
    """Checks that a library is imported in its own modules only.

    Args:
      module: the module.
      library: the top-level name of the library.
      homes: dotted names of the modules that may import it.
    """
    return [
        f"{module.name}: imports {target}, which only {list(homes)} may."
        for target in imported_modules(module, ())
        if target.split(".")[0] == library and module.name not in homes
    ]


def literal_getattr_faults(
    module: Module,
    kinds: Collection[str] = ("objective", "learner", "trainer"),
) -> list[str]:
    """Checks that nothing looks for an attribute that a type should declare.

    Args:
      module: the module.
      kinds: last words of the names of what is not to be asked.
    """
    faults = []
    for node in ast.walk(ast.parse(module.source)):
        if not (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("getattr", "hasattr")
            and len(node.args) > 1
            and isinstance(node.args[1], ast.Constant)
        ):
            continue
        asked = ast.unparse(node.args[0])
        last = asked.rpartition(".")[2].rpartition("_")[2]
        if last in kinds:
            faults.append(
                f"{module.name}: line {node.lineno}: asks {asked} for "
                f"{node.args[1].value!r}, which its type should declare."
            )
    return faults


def file_name_faults(
    modules: Sequence[Module], allowed: Collection[str] = ()
) -> list[str]:
    """Checks that no two modules of a package have one file name.

    Args:
      modules: of the package.
      allowed: file names that may stand several times, since they hold the
        same idea for different things.
    """
    places: dict[str, list[str]] = {}
    for module in modules:
        if not module.is_package:
            name = module.name.rpartition(".")[2]
            places.setdefault(name, []).append(module.name)
    return [
        f"{' and '.join(sorted(names))} share a file name."
        for name, names in sorted(places.items())
        if len(names) > 1 and name not in allowed
    ]

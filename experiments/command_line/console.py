"""The command `dice-tf`, which lists the experiments and runs any of them.

It must answer at once, so that experiments are read here, and not imported.
"""

import ast
import difflib
import pathlib
import runpy
import sys

from .stopping import guard_streams

# The name under which `experiments/` is installed, together with the command.
INSTALLED = "dice_tf_experiments"
_FOLDER = pathlib.Path(__file__).resolve().parents[1]
_PACKAGE = __package__.partition(".")[0]
_UNKNOWN = 2


def started_by(module: str) -> list[str]:
    """Returns the words that start a module: `["dice-tf", "ipd"]`.

    Args:
      module: dotted name, such as `dice_tf_experiments.ipd`; another one than
        that of an installed experiment is started with `python -m`.
    """
    package, _, name = module.rpartition(".")
    if package == INSTALLED:
        return ["dice-tf", name]
    return ["python", "-m", module]


def summaries() -> dict[str, str]:
    """Returns the first line of the docstring of each experiment, by name."""
    found = {}
    for path in sorted(_FOLDER.glob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        if path.stem != "__main__" and _is_program(module):
            found[path.stem] = ast.get_docstring(module).splitlines()[0]
    return found


def _is_program(module: ast.Module) -> bool:
    """Whether a module ends with what it does when it is started."""
    last = module.body[-1]
    return (
        isinstance(last, ast.If)
        and ast.unparse(last.test) == "__name__ == '__main__'"
    )


def main() -> None:
    """Runs the experiment that the first argument names, or lists them all."""
    name, *arguments = sys.argv[1:] or ["--help"]
    found = summaries()
    if name in ("-h", "--help", "--helpshort", "--helpfull"):
        guard_streams()
        print(_listing(found))
        return
    if name not in found:
        print(f"Error: {_unknown(name, found)}", file=sys.stderr)
        sys.exit(_UNKNOWN)
    # As `python -m` does it: the experiment is the program of this process.
    sys.argv[1:] = arguments
    runpy.run_module(f"{_PACKAGE}.{name}", run_name="__main__", alter_sys=True)


def _listing(found: dict[str, str]) -> str:
    program = " ".join(_program())
    width = max(map(len, found))
    lines = [f"  {name:{width}}  {text}" for name, text in found.items()]
    return "\n".join(
        [
            "Experiments of dice_tf: flags in, files out.",
            "",
            f"  {program} EXPERIMENT --output_dir=FOLDER [flags]",
            f"  {program} EXPERIMENT --help",
            "",
            *lines,
        ]
    )


def _unknown(name: str, found: dict[str, str]) -> str:
    """Says that there is no experiment of this name, and which are similar."""
    near = difflib.get_close_matches(name.replace("-", "_"), found)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return (
        f"there is no experiment called {name!r}.{hint} "
        f"`{' '.join(_program())} --help` lists all of them."
    )


def _program() -> list[str]:
    """Returns the words that start this command itself."""
    return ["dice-tf"] if _PACKAGE == INSTALLED else ["python", "-m", _PACKAGE]

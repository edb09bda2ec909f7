"""Writes the tables of figures into the pages: `python -m docs.tables`.

A table of figures stands between the comments `<!-- table: NAME -->` and `<!--
end of table -->`. What it says is computed from the files of `docs/data`. With
`--check` nothing is written: the command names the tables that differ, and
those of figures that no comment names.
"""

import argparse
import pathlib
import re
import sys

from docs.table_contents import TABLES, Lines

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_MARKED = re.compile(
    r"^<!-- table: (?P<name>\w+) -->\n(?P<table>(?:(?!<!-- table: ).)*?)"
    r"^<!-- end of table -->$",
    re.S | re.M,
)
# A figure is a decimal fraction alone or with a deviation, a share such as `3
# of 20`, or a number with a unit. Numbers that were chosen can stand as code.
_FIGURE = re.compile(
    r"[-–]?\d[\d,]*(\.\d+($| ±)"
    r"| of \d|(\.\d+)? ?(ms|s|min|minutes|MiB|GiB|%)(?!\w))"
)


def pages() -> list[pathlib.Path]:
    """Returns the files that may hold tables of figures."""
    docs = sorted((_ROOT / "docs").rglob("*.md"))
    built = _ROOT / "docs/_build"
    found = [path for path in docs if built not in path.parents]
    return [_ROOT / "README.md", _ROOT / "CONTRIBUTING.md", *found]


def as_markdown(lines: Lines) -> str:
    """Returns a table, the first of its lines as the header."""
    header, *rows = (
        # An empty cell has one space.
        "|".join(["", *(f" {cell} " if cell else " " for cell in line), ""])
        for line in lines
    )
    return "\n".join([header, "|---" * len(lines[0]) + "|", *rows])


def written(text: str) -> str:
    """Returns a page with each of its tables computed again.

    Raises:
      ValueError: if the page names a table that is not known.
    """

    def table(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in TABLES:
            raise ValueError(
                f"There must be a table {name!r} in docs/table_contents.py. "
                f"There are: {', '.join(TABLES)}."
            )
        lines = as_markdown(TABLES[name]())
        return f"<!-- table: {name} -->\n\n{lines}\n\n<!-- end of table -->"

    return _MARKED.sub(table, text)


def differing_tables(text: str) -> list[str]:
    """Returns the names of the tables of a page that differ from the data."""
    pairs = zip(
        _MARKED.finditer(text), _MARKED.finditer(written(text)), strict=True
    )
    return [before["name"] for before, now in pairs if before[0] != now[0]]


def unnamed_figures(text: str) -> list[str]:
    """Returns the rows with figures of tables that no comment names."""
    return [
        line
        for line in _MARKED.sub("", text).splitlines()
        if line.startswith("|")
        and any(_FIGURE.match(cell.strip()) for cell in line.split("|"))
    ]


def main(arguments: list[str] | None = None) -> int:
    """Writes or checks all tables, and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing, say what differs"
    )
    is_check = parser.parse_args(arguments).check
    status = 0
    for path in pages():
        name, text = path.relative_to(_ROOT), path.read_text(encoding="utf-8")
        for line in unnamed_figures(text):
            print(f"{name}: no comment names the table of\n  {line}")
            status = 1
        for table in differing_tables(text):
            print(f"{name}: {table} {'differs' if is_check else 'is new'}")
            status = 1 if is_check else status
        if not is_check and written(text) != text:
            path.write_text(written(text), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())

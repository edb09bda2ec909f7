"""The tables of figures: each says what its data says."""

import pathlib
import re
import statistics

import pytest

from docs import collect, table_contents, tables
from experiments.comparisons.references import PRISONERS_DILEMMA

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in tables.pages()
}
NAMED = re.findall(r"^<!-- table: (\w+) -->$", "\n".join(PAGES.values()), re.M)
FILES = sorted(
    path.stem
    for path in collect.DATA.glob("*.csv")
    if path.name != collect.SOURCES
)


def sources() -> dict[str, dict[str, str]]:
    rows = collect.read_rows(collect.DATA / collect.SOURCES)
    return {row["file"]: row for row in rows}


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_tables_of_a_page_are_what_the_data_says(name: str) -> None:
    assert tables.differing_tables(PAGES[name]) == []
    assert tables.written(PAGES[name]) == PAGES[name]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_each_table_with_figures_has_a_name(name: str) -> None:
    assert tables.unnamed_figures(PAGES[name]) == []


def test_each_table_stands_on_one_page() -> None:
    assert sorted(NAMED) == sorted(table_contents.TABLES)


def test_a_line_holds_mean_deviation_and_share_of_its_runs() -> None:
    returns: dict[str, list[float]] = {}
    for row in collect.read_rows(collect.DATA / "mlp_two.csv"):
        value = float(row["lola_dice_2_lookaheads"])
        returns.setdefault(row["run"], []).append(value)
    joint = [statistics.mean(values) for values in returns.values()]
    spread = f"{statistics.mean(joint):.3f} ± {statistics.stdev(joint):.3f}"
    share = f"{sum(value >= -1.15 for value in joint)} of {len(joint)}"
    line = f"| `--policy=mlp`, two look-aheads | {spread} | {share} |\n"
    assert len(joint) == 20 and line in PAGES["docs/results.md"]


def test_a_figure_that_the_data_does_not_hold_is_found() -> None:
    page = PAGES["docs/results.md"]
    assert page.count("| 192 of 200 |") == 1
    changed = page.replace("| 192 of 200 |", "| 193 of 200 |")
    assert tables.differing_tables(changed) == ["published_settings"]
    assert tables.written(changed) == page


def test_data_that_changes_is_found(tmp_path, monkeypatch) -> None:
    for path in collect.DATA.glob("*.csv"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"))
    path = tmp_path / "mlp.csv"
    first, *others = collect.read_rows(path)
    first["lola_dice_1_lookahead"] = "-1.9"
    rows = [row.values() for row in (first, *others)]
    collect.write_rows(path, [first, *rows])
    monkeypatch.setattr(table_contents, "DATA", tmp_path)
    page = PAGES["docs/results.md"]
    assert tables.differing_tables(page) == ["networks"]


@pytest.mark.parametrize(
    ("cell", "is_figure"),
    [
        ("-1.046 ± 0.135", True),
        ("0.51 ms", True),
        ("-0.057", True),
        ("19 of 20", True),
        ("1,200 MiB", True),
        ("– / 0.15", False),
        ("64", False),
        ("0.15 or 0.19", False),
        ("1.5, 0.75 and 0.5", False),
        ("`0.75`", False),
        ("`tau` of about 0.95", False),
        ("2 machines", False),
    ],
)
def test_figures_without_a_name_are_found(cell: str, is_figure: bool) -> None:
    lines = [["method", "result"], ["ours", cell]]
    page = f"Text.\n\n{tables.as_markdown(lines)}\n"
    assert bool(tables.unnamed_figures(page)) == is_figure


def test_a_table_without_an_end_takes_no_other_with_it() -> None:
    page = PAGES["docs/results.md"]
    broken = page.replace("<!-- end of table -->\n", "", 1)
    assert tables.written(broken) == broken
    first = page[page.index("| method") :].splitlines()[2]
    assert first in tables.unnamed_figures(broken)


def test_a_table_that_is_not_known_is_refused() -> None:
    page = "<!-- table: nonsense -->\n<!-- end of table -->\n"
    with pytest.raises(ValueError, match="must be a table 'nonsense'"):
        tables.written(page)


def test_the_command_says_what_differs(tmp_path, monkeypatch, capsys) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- table: speed -->\n<!-- end of table -->\n\n| a |\n|---|\n"
        "| 1.5 |\n"
    )
    monkeypatch.setattr(tables, "_ROOT", tmp_path)
    monkeypatch.setattr(tables, "pages", lambda: [page])
    before = page.read_text()
    assert tables.main(["--check"]) == 1
    assert page.read_text() == before
    printed = capsys.readouterr().out
    assert "page.md: speed differs" in printed and "| 1.5 |" in printed
    page.write_text(before.replace("1.5", "some"))
    assert tables.main([]) == 0 and tables.main(["--check"]) == 0
    assert "| one look-ahead |" in page.read_text()


def test_each_file_says_what_made_it() -> None:
    assert sorted(sources()) == FILES
    for name, row in sources().items():
        # What no run has left says where it is from.
        if name in ("references", "published_runs"):
            assert row["note"] and not row["command"]
            continue
        assert row["commit"] or row["note"], name
        for key in ("command", "date", "machine", *collect.VERSIONS):
            assert row[key], (name, key)


def test_the_commands_are_commands_of_these_runs() -> None:
    sources_of_flags = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("experiments", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    )
    for name, row in sources().items():
        if not row["command"]:
            continue
        module = re.match(r"python -m ([\w.]+) ", row["command"])[1]
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file()
        flags = re.findall(r"--(\w+)=", row["command"])
        assert all(f'"{flag}"' in sources_of_flags for flag in flags)
        run = row["command"].rpartition("--output_dir=runs/")[2]
        assert name in (run, f"{run}_curves") or row["note"]


def test_the_entrants_of_the_league_have_a_command() -> None:
    entrants = re.findall(r"=runs/(\w+)", sources()["league"]["command"])
    assert len(entrants) == 5 and set(entrants) <= set(sources())


def test_the_data_is_small() -> None:
    paths = collect.DATA.iterdir()
    assert sum(path.stat().st_size for path in paths) < 300_000


def test_references_are_those_that_the_command_compares_with() -> None:
    rows = collect.read_rows(collect.DATA / "references.csv")
    found = {
        row["row"]: (float(row["value"]), row["std"])
        for row in rows
        if row["table"] == "exact"
    }
    assert all(row["source"] for row in rows)
    assert found.keys() == PRISONERS_DILEMMA.keys()
    for name, (mean, std) in found.items():
        expected = PRISONERS_DILEMMA[name]
        assert mean == expected.mean
        assert (float(std) if std else None) == expected.std

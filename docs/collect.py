"""Makes the data of the documentation's tables from finished runs.

  python -m docs.collect runs/figure runs/exact

writes `docs/data/figure.csv` and `docs/data/exact.csv`, and what made them into
`docs/data/sources.csv`. Runs of matrix games, of the Coin Game and its league,
and the times of `benchmarks.run` can be collected. `python -m docs.tables`
then writes the tables.
"""

import argparse
import collections
import csv
import datetime
import json
import math
import pathlib
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from experiments.results.curves import FINAL_ITERATIONS

DATA = pathlib.Path(__file__).resolve().parent / "data"
SOURCES = "sources.csv"
# What a row of `sources.csv` says. A note is for what no run can know.
VERSIONS = ("dice_tf", "tensorflow", "keras", "python")
COLUMNS = (
    *("file", "command", "seeds", "commit", "date", "machine"),
    *(*VERSIONS, "note"),
)
# Who plays in each league, those of the Coin Game's own matches first.
BOTS = ("always_cooperate", "always_defect", "random")

# The header, then the rows.
Rows = list[Sequence[Any]]


def read_rows(path: pathlib.Path) -> list[dict[str, str]]:
    """Returns the rows of a CSV file, by the names of its columns."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: pathlib.Path, rows: Iterable[Sequence[Any]]) -> None:
    """Writes a header and rows; numbers with six digits."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        for row in rows:
            lines.writerow(
                [f"{x:.6g}" if isinstance(x, float) else x for x in row]
            )


def final_returns(folder: pathlib.Path) -> Rows:
    """Returns what each player earns at the end of each run, by method.

    It is the mean over the last 10 iterations, as in `summary.json`.
    """
    last: dict[tuple, collections.deque] = {}
    players = 0
    with open(folder / "curves.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            returns = [row[x] for x in row if x.endswith("_return")]
            players = len(returns)
            for player, value in enumerate(returns):
                key = (row["method"], int(row["run"]), player)
                if key not in last:
                    last[key] = collections.deque(maxlen=FINAL_ITERATIONS)
                last[key].append(float(value))
    methods = list(dict.fromkeys(method for method, _, _ in last))
    runs = max(run for _, run, _ in last)
    rows: Rows = [["run", "player", *methods]]
    for run in range(1, runs + 1):
        for player in range(players):
            values = [last[method, run, player] for method in methods]
            means = [sum(value) / len(value) for value in values]
            rows.append([run, player, *means])
    return rows


def mean_curves(folder: pathlib.Path) -> Rows:
    """Returns the joint return of each iteration, mean over runs, by method."""
    found: dict[str, dict[int, list[float]]] = {}
    for row in read_rows(folder / "curves.csv"):
        returns = [float(row[x]) for x in row if x.endswith("_return")]
        curve = found.setdefault(row["method"], {})
        joint = sum(returns) / len(returns)
        curve.setdefault(int(row["iteration"]), []).append(joint)
    rows: Rows = [["iteration", *found]]
    for iteration in next(iter(found.values())):
        values = [curve[iteration] for curve in found.values()]
        means = [sum(value) / len(value) for value in values]
        rows.append([iteration, *means])
    return rows


def coin_rewards(folder: pathlib.Path) -> Rows:
    """Returns what each run of the Coin Game earns a step, and from whom."""
    (summary,) = _read_json(folder / "summary.json").values()
    matches = read_rows(folder / "cross_play.csv")
    bots = BOTS[:2]
    rows: Rows = [
        ["run", "own_coin_share", "self_play", "between_runs", *bots]
        + ["earned_by_always_defect"]
    ]
    in_self_play = zip(
        summary["final_own_coin_share_per_run"],
        summary["final_mean_reward_per_run"],
        strict=True,
    )
    for run, (share, reward) in enumerate(in_self_play, 1):
        met = [row for row in matches if row["row"] == f"run_{run}"]
        partners = [
            row
            for row in met
            if row["column"] not in bots and row["column"] != row["row"]
        ]
        rewards = [_mean(met, "reward", column=bot) for bot in bots]
        earned = _mean(met, "opponent_reward", column="always_defect")
        between = _mean(partners, "reward")
        rows.append([run, share, reward, between, *rewards, earned])
    return rows


def league_rewards(folder: pathlib.Path) -> Rows:
    """Returns what each run in a league earns a step, and from whom."""
    matches = read_rows(folder / "league.csv")
    rows: Rows = [
        ["kind", "run", "self_play", "between_runs", *BOTS]
        + ["earned_by_always_defect", "loss_to_best_response"]
    ]
    for entrant in read_rows(folder / "ratings.csv"):
        name, kind = entrant["name"], entrant["kind"]
        if kind in BOTS:
            continue
        met = [row for row in matches if row["row"] == name]
        partners = [
            row
            for row in met
            if row["column"].startswith(f"{kind}/") and row["column"] != name
        ]
        rows.append(
            [
                kind,
                int(name.rpartition("_")[2]),
                _mean(met, "reward", column=name),
                _mean(partners, "reward"),
                *(_mean(met, "reward", column=bot) for bot in BOTS),
                _mean(met, "opponent_reward", column="always_defect"),
                float(entrant["loss_to_best_response"]),
            ]
        )
    # The files list entrants by rating.
    return [rows[0], *sorted(rows[1:], key=lambda row: tuple(row[:2]))]


def times(folder: pathlib.Path) -> Rows:
    """Returns the milliseconds of an iteration, by case and program."""
    rows: Rows = [["case", "program", "median_ms", "min_ms", "max_ms"]]
    for entry in _read_json(folder / "benchmarks.json"):
        case, _, program = entry["name"].partition("/")
        names = ("median_seconds", "min_seconds", "max_seconds")
        values = [1000.0 * entry[name] for name in names]
        rows.append([case, program, *values])
    return rows


# What makes the data, by a file that the folder of such a run has.
_READERS: dict[str, Callable[[pathlib.Path], Rows]] = {
    "curves.csv": final_returns,
    "coins.csv": coin_rewards,
    "league.csv": league_rewards,
    "benchmarks.json": times,
}


def collect(folder: pathlib.Path, data: pathlib.Path = DATA) -> list[str]:
    """Writes the data of a finished run, and returns the names of the files.

    Raises:
      ValueError: if the folder does not hold a finished run of which tables
        are made.
    """
    found = [name for name in _READERS if (folder / name).is_file()]
    has_config = (folder / "config.json").is_file()
    if not found or not (has_config or found == ["benchmarks.json"]):
        raise ValueError(
            f"{str(folder)!r} must hold a finished run: config.json and one of "
            f"{', '.join(_READERS)}, or the last one alone."
        )
    files = {folder.name: _READERS[found[0]](folder)}
    if _is_beside_published(folder):
        files[f"{folder.name}_curves"] = mean_curves(folder)
    data.mkdir(parents=True, exist_ok=True)
    path = data / SOURCES
    sources = read_rows(path) if path.is_file() else []
    by_file = {row["file"]: row for row in sources}
    for name, rows in files.items():
        write_rows(data / f"{name}.csv", rows)
        by_file[name] = _source(folder) | {"file": name}
    ordered = [by_file[name] for name in sorted(by_file)]
    lines = [[row.get(name, "") for name in COLUMNS] for row in ordered]
    write_rows(path, [COLUMNS, *lines])
    return list(files)


def _is_beside_published(folder: pathlib.Path) -> bool:
    """Tells whether the run was compared with published curves."""
    path = folder / "summary.json"
    entries = _read_json(path).values() if path.is_file() else ()
    return any(isinstance(x, dict) and "published" in x for x in entries)


def _source(folder: pathlib.Path) -> dict[str, str]:
    """Returns what made the files of a run."""
    path = folder / "config.json"
    if not path.is_file():
        # Whoever took the times writes the rest into the file.
        command = f"python -m benchmarks.run --output_dir=runs/{folder.name}"
        return {"command": command}
    config = _read_json(path)
    arguments = [*config["arguments"], f"--output_dir=runs/{folder.name}"]
    changed = datetime.datetime.fromtimestamp(
        path.stat().st_mtime, datetime.UTC
    )
    return {
        "command": f"python -m {config['experiment']} {shlex.join(arguments)}",
        "seeds": _seeds(config),
        "commit": config["git_commit"] or "",
        "date": changed.date().isoformat(),
        "machine": config["device"],
        **{name: config["versions"][name] for name in VERSIONS},
    }


def _seeds(config: Mapping[str, Any]) -> str:
    flags = config["flags"]
    if isinstance(config["method"], list):
        flags = next(iter(flags.values()))
    if "num_seeds" not in flags:
        return ""
    first, number = flags["seed"], flags["num_seeds"]
    return f"{first} to {first + number - 1}"


def _mean(rows: Iterable[Mapping[str, str]], name: str, **chosen: str) -> float:
    """Returns the mean of a column, of the rows with the chosen values."""
    values = [
        float(row[name])
        for row in rows
        if all(row[key] == value for key, value in chosen.items())
    ]
    # A run that is alone meets nobody of its kind.
    return sum(values) / len(values) if values else math.nan


def _read_json(path: pathlib.Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def main(arguments: list[str] | None = None) -> int:
    """Collects the runs that are named, and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", nargs="+", help="the folder of a finished run")
    for run in parser.parse_args(arguments).run:
        try:
            names = collect(pathlib.Path(run))
        except ValueError as error:
            print(error, file=sys.stderr)
            return 1
        print(f"{run}: {', '.join(f'docs/data/{x}.csv' for x in names)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

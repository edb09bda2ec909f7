"""What stands in the tables of figures, computed from `docs/data`.

The first line of a table is its header. The names of runs and their settings
are written here; `sources.csv` has the commands that they stand for.
"""

from collections.abc import Callable, Mapping

import numpy as np

from docs.collect import DATA, read_rows
from experiments.comparisons.ends import count_ends
from experiments.comparisons.figure import PUBLISHED_NAMES
from experiments.results.curves import COOPERATIVE
from experiments.results.published import published_curves

Lines = list[list[str]]

_RETURN = "joint return, mean ± std over runs"
_COOPERATIVE = f"runs at least {COOPERATIVE}"
# The returns at the end of the released runs, with our names of the methods.
_PUBLISHED = "published_runs"
# What the tables of the Coin Game say of a run, by columns of the data.
_COIN_GAME = {
    "own_coin_share": "own-coin share in self-play",
    "self_play": "reward in self-play (always cooperating 0.347)",
    "between_runs": "reward against the other runs",
    "always_cooperate": "reward against a player who always cooperates",
    "always_defect": "reward against a player who always defects",
    "earned_by_always_defect": "what that player earns",
}


def figure() -> Lines:
    """Returns the table of the figure of the DiCE paper."""
    found, published = _final_returns("figure"), _final_returns(_PUBLISHED)
    labels = {
        "naive": ("`naive`", ""),
        "lola_surrogate": (
            "`lola_surrogate`: look-ahead on a first-order surrogate, the "
            "control",
            "1.5",
        ),
        "lola": ("`lola`: Taylor term", "1.5"),
        "lola_batch_4000": (
            "`lola_batch_4000`: rewards centred per round, 40 iterations",
            "1.5",
        ),
        "lola_dice_1_lookahead": ("`lola_dice_1_lookahead`", "1.5"),
        "lola_dice_2_lookaheads": ("`lola_dice_2_lookaheads`", "0.75"),
        "lola_dice_3_lookaheads": ("`lola_dice_3_lookaheads`", "0.5"),
        "lola_dice_1_lookahead_opponent_model": (
            "`lola_dice_1_lookahead_opponent_model`",
            "1.5",
        ),
    }
    lines = [["method", _RETURN, _COOPERATIVE, "inner rate"]]
    for method, (label, rate) in labels.items():
        joint = found[method].mean(axis=1)
        lines.append([label, _spread(joint), _cooperative(joint), rate])
    for method, name in (
        ("lola_dice_1_lookahead", "1 look-ahead"),
        ("lola_dice_2_lookaheads", "2 look-aheads"),
    ):
        joint = published[method].mean(axis=1)
        label = f"published LOLA-DiCE, {name} (Foerster et al. 2018, 5 runs)"
        lines.append([label, _spread(joint), "", ""])
    return lines


def biased_or_noisy() -> Lines:
    """Returns the table of LOLA-DiCE with biased and unbiased estimators."""
    settings = {
        "figure": "1|`bellman_values`, lambda 0.9, tau 0|64|1.5 / 3|200",
        "state_values": "1|`state_values`, unbiased|64|1.5 / 3|200",
        "leave_one_out": "1|`leave_one_out`, unbiased|64|1.5 / 3|200",
        "state_values_512": "1|`state_values`, unbiased|512|1.5 / 3|200",
        "state_values_5": "1|`state_values`, unbiased|64|5 / 0.3|200",
        "state_values_8": "1|`state_values`, unbiased|64|8 / 0.1|600",
        "state_values_two": "2|`state_values`, unbiased|64|2.5 / 0.05|1,000",
        "state_values_three": "3|`state_values`, unbiased|64|1.5 / 0.05|1,000",
    }
    header = (
        "look-aheads|baseline and estimator|batch|inner / outer rate|iterations"
    )
    lines = [[*header.split("|"), "joint return", _COOPERATIVE]]
    for name, cells in settings.items():
        found = _final_returns(name)
        # The figure has other methods, too.
        (method,) = found if len(found) == 1 else ("lola_dice_1_lookahead",)
        joint = found[method].mean(axis=1)
        lines.append([*cells.split("|"), _spread(joint), _cooperative(joint)])
    return lines


def networks() -> Lines:
    """Returns the table of networks in the space of outputs."""
    labels = {
        "mlp": "`--policy=mlp`, one look-ahead",
        "mlp_two": "`--policy=mlp`, two look-aheads",
        "gru": "`--policy=gru`, one look-ahead",
    }
    title = "`experiments.ipd --num_seeds=20`, in the space of outputs"
    lines = [[title, "joint return", _COOPERATIVE]]
    for name, label in labels.items():
        (returns,) = _final_returns(name).values()
        joint = returns.mean(axis=1)
        lines.append([label, _spread(joint), _cooperative(joint)])
    return lines


def published_settings() -> Lines:
    """Returns the table of the settings inferred for the published curves."""
    found, published = _final_returns("published"), _final_returns(_PUBLISHED)
    curves = read_rows(DATA / "published_curves.csv")
    bands = published_curves()
    rates = {
        "naive": "– / 0.15",
        "lola": "0.25 / 0.19",
        "lola_dice_1_lookahead": "0.25 / 0.19",
        "lola_dice_2_lookaheads": "0.2 / 0.15",
    }
    num_runs = [len(runs["naive"]) for runs in (found, published)]
    lines = [
        ["method", "inner / outer rate"]
        + [f"ours, {num_runs[0]} runs", f"published, {num_runs[1]} runs"]
        + ["iterations in or above the published 95 % band"]
    ]
    for method, rate in rates.items():
        curve = np.array([float(row[method]) for row in curves])
        low, _ = bands[PUBLISHED_NAMES[method]].band
        lines.append(
            [
                f"`{method}`",
                rate,
                _spread(found[method].mean(axis=1)),
                _spread(published[method].mean(axis=1)),
                f"{np.sum(curve >= low)} of {len(curve)}",
            ]
        )
    return lines


def exact_values() -> Lines:
    """Returns the table of learners on exact values."""
    found, references = _final_returns("exact"), _references("exact")
    details = {
        "naive": "",
        "look_ahead": "",
        "lola": ", as published",
        "lola_full_gradient": "",
        "lola_dice_1_lookahead": ", unrolled",
        "sos": " (a = 0.5, b = 0.1)",
        "consensus": " (weight 1)",
        "locally_stable": " (lambda 0.1)",
        "symplectic": " (alignment, epsilon 0.1)",
        "competitive": "",
        "extragradient": "",
    }
    lines = [["learner", "joint return", "reference"]]
    for method, detail in details.items():
        joint = found[method].mean(axis=1)
        lines.append(
            [f"`{method}`{detail}", _spread(joint), references[method]]
        )
    return lines


def mixed_look_aheads() -> Lines:
    """Returns how runs with many look-aheads end."""
    lines = [
        ["learner", "joint return", "cooperate", "defect", "extort", "else"]
    ]
    for method, returns in _final_returns("mixed").items():
        # One iteration, which holds the mean over the last ones.
        ends = count_ends(returns[np.newaxis])
        counts = [str(count) for count in ends.values()]
        lines.append([f"`{method}`", _spread(returns.mean(axis=1)), *counts])
    return lines


def games() -> Lines:
    """Returns the table of learners on exact values of other games."""
    names = ("stag_hunt", "chicken", "battle_of_the_sexes")
    found = {name: _final_returns(name) for name in names}
    methods = list(found[names[0]])
    lines = [["game", *(f"`{method}`" for method in methods)]]
    for name in names:
        cells = [_spread(found[name][x].mean(axis=1)) for x in methods]
        lines.append([name.replace("_", " "), *cells])
    return lines


def coin_game() -> Lines:
    """Returns the table of networks in the Coin Game."""
    pool, alone = _columns("coins_aa"), _columns("coins_alone")
    references = _references("coins")
    share = references["own_coin_share"]
    share += f", worst {references['own_coin_share_worst']}; "
    share += f"{references['own_coin_share_without_past_selves']} without "
    share += "past selves"
    references["own_coin_share"] = share
    # Of these the worst run without past selves is told, too.
    with_worst = ("own_coin_share", "always_defect")
    lines = [
        ["", "ours, mean", "worst run", "without past selves"]
        + ["LOQA's authors (Aghajohari et al. 2024)"]
    ]
    for name, label in _COIN_GAME.items():
        worst = f"{pool[name].min():.3f}"
        has_worst = name in (*with_worst, "self_play")
        without = f"{alone[name].mean():.3f}"
        if name in with_worst:
            without += f", worst {alone[name].min():.3f}"
        lines.append(
            [label, f"{pool[name].mean():.3f}", worst if has_worst else ""]
            + [without, references[name]]
        )
    return lines


def coin_game_with_memory() -> Lines:
    """Returns the table of networks with memory in the Coin Game."""
    found = _columns("coins_gru")
    runs = range(1, len(found["own_coin_share"]) + 1)
    lines = [["", *(f"run {run}" for run in runs)]]
    for name, label in _COIN_GAME.items():
        lines.append([label, *(f"{value:.3f}" for value in found[name])])
    return lines


def coin_league() -> Lines:
    """Returns the table of the league in the Coin Game."""
    kinds = {
        "alignment": "Advantage Alignment",
        "loqa": "LOQA",
        "alone": "Advantage Alignment without past selves",
        "table": "tabular LOLA-DiCE",
    }
    found = {kind: _columns("league", kind=kind) for kind in kinds}
    labels = {
        "self_play": "self-play",
        "between_runs": "against other runs of its kind",
        "always_cooperate": "against a player who always cooperates",
        "always_defect": "against a player who always defects",
        "difference": "more than that player earns",
        "random": "against a random player",
        "loss_to_best_response": "less against a best responder than in "
        "self-play",
    }
    header = [
        f"{label}, {len(found[kind]['self_play'])} runs"
        for kind, label in kinds.items()
    ]
    lines = [["", *header]]
    for name, label in labels.items():
        cells = []
        for columns in found.values():
            if name == "difference":
                earned = columns["earned_by_always_defect"]
                values = columns["always_defect"] - earned
                text = f"{values.mean():.3f}, worst {values.min():.3f}"
            else:
                text = f"{columns[name].mean():.3f}"
            cells.append(text)
        lines.append([label, *cells])
    return lines


def speed() -> Lines:
    """Returns the table of times beside those of JAX."""
    labels = {
        "batch_128": "one look-ahead",
        "lookaheads_2": "two look-aheads",
        "lookaheads_3": "three look-aheads (in a slow minute)",
        "batch_512": "one, batch 512",
        "batch_4096": "one, batch 4,096",
        "batch_16384": "one, batch 16,384",
        "batch_65536": "one, batch 65,536",
        "mlp_64": "one, networks of two layers of 64",
        "length_50": "one, T = 50",
        "length_500": "one, T = 500",
        "seeds_1": "one, one run of batch 64",
        "seeds_5": "one, 5 runs of batch 64 at once",
        "seeds_20": "one, 20 runs of batch 64 at once",
    }
    return _times("benchmarks", labels)


def speed_later() -> Lines:
    """Returns the table of times that were taken later."""
    labels = {
        "batch_128_per_call": "one look-ahead, one step a call",
        "gru_128": "policies and critics of 32 gated recurrent units, T = 50, "
        "batch 128",
        "gru_seeds_5": "the same, 5 runs of batch 64 at once",
        "alignment": "Advantage Alignment in the Coin Game, 512 episodes of 50 "
        "steps, one network of two layers of 64 for both seats",
        "alignment_seeds_10": "the same, 10 runs at once",
    }
    return _times("benchmarks_later", labels)


# By the name in the comment that stands before a table.
TABLES: dict[str, Callable[[], Lines]] = {
    "figure": figure,
    "biased_or_noisy": biased_or_noisy,
    "networks": networks,
    "published_settings": published_settings,
    "exact_values": exact_values,
    "mixed_look_aheads": mixed_look_aheads,
    "games": games,
    "coin_game": coin_game,
    "coin_game_with_memory": coin_game_with_memory,
    "coin_league": coin_league,
    "speed": speed,
    "speed_later": speed_later,
}


def _final_returns(name: str) -> dict[str, np.ndarray]:
    """Returns by method the returns at the end, `[num_runs, num_players]`."""
    rows = read_rows(DATA / f"{name}.csv")
    num_runs = len({row["run"] for row in rows})
    methods = [key for key in rows[0] if key not in ("run", "player")]
    return {
        method: np.reshape([float(row[method]) for row in rows], [num_runs, -1])
        for method in methods
    }


def _columns(name: str, **chosen: str) -> dict[str, np.ndarray]:
    """Returns the columns of numbers, of the rows with the chosen values."""
    rows = [
        row
        for row in read_rows(DATA / f"{name}.csv")
        if all(row[key] == value for key, value in chosen.items())
    ]
    return {
        key: np.array([float(row[key]) for row in rows])
        for key in rows[0]
        if key not in chosen
    }


def _references(table: str) -> dict[str, str]:
    """Returns by row of a table what others have found."""
    return {
        row["row"]: f"{row['value']} ± {row['std']}"
        if row["std"]
        else row["value"]
        for row in read_rows(DATA / "references.csv")
        if row["table"] == table
    }


def _times(name: str, labels: Mapping[str, str]) -> Lines:
    medians = {
        (row["case"], row["program"]): float(row["median_ms"])
        for row in read_rows(DATA / f"{name}.csv")
    }
    lines = [["", "ours", "JAX", "ratio"]]
    for case, label in labels.items():
        ours, jax = (medians[case, program] for program in ("ours", "jax"))
        cells = [f"{ours:.3g} ms", f"{jax:.3g} ms", f"{ours / jax:.2f}"]
        lines.append([label, *cells])
    return lines


def _spread(values: np.ndarray) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def _cooperative(joint: np.ndarray) -> str:
    return f"{np.sum(joint >= COOPERATIVE)} of {len(joint)}"

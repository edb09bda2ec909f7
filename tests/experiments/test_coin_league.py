"""The league of the Coin Game: exact matches, ratings, files and mistakes."""

import csv
import functools
import json
import pathlib
import re
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from experiments import coin_game, coin_league
from experiments.coins import (
    coin_settings,
    coin_training,
    league_play,
    league_settings,
    league_tables,
    ratings,
)
from experiments.results.outputs import OutputFolder
from tests.experiments.parsed_flags import run_command

pytestmark = pytest.mark.own_process

LENGTH = 5
ALIGNED = coin_settings.CoinSettings(
    **dict.fromkeys(coin_settings.CoinSettings._fields)
    | {
        "policy": "mlp",
        "learner": "advantage_alignment",
        "num_seeds": 2,
        "seed": 3,
        "num_iterations": 1,
        "batch_size": 1500,
        "episode_length": LENGTH,
        "discount": 0.96,
        "hidden_units": 4,
        "learning_rate": 0.1,
        "critic_learning_rate": 0.02,
        "entropy_coefficient": 0.0,
        "max_gradient_norm": 1.0,
        "tau": 0.9,
        "weight": 0.5,
        "past_selves": 0,
    }
)
# Its policies see where on the torus they stand, and one sits in each seat.
NAIVE = ALIGNED._replace(learner="naive", learning_rate=0.3)
TABLES = NAIVE._replace(
    policy="tabular",
    learner="lola_dice_1_lookahead",
    num_seeds=1,
    num_iterations=3,
    episode_length=LENGTH + 1,
    learning_rate=12.0,
    inner_learning_rate=25.0,
)
FILES = {
    "config.json",
    "flags.txt",
    "league.csv",
    "league.png",
    "ratings.csv",
    "summary.json",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> pathlib.Path:
    """A folder with runs of experiments.coin_game."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        build = functools.partial(
            coin_training.build_trainer, jit_compile=False
        )
        patch.setattr(coin_training, "build_trainer", build)
        for name, settings in (
            ("aligned", ALIGNED),
            ("naive", NAIVE),
            ("tables", TABLES),
        ):
            coin_game.run(settings, OutputFolder(folder / name))
    return folder


def _league(runs: pathlib.Path, out: pathlib.Path, *arguments: str) -> dict:
    entrants = ",".join(f"{runs}/{name}" for name in ("aligned", "naive"))
    run_command(
        coin_league.COMMAND,
        f"--output_dir={out}",
        f"--entrants={entrants},table={runs}/tables",
        f"--episode_length={LENGTH}",
        "--num_episodes=16",
        *arguments,
    )
    return json.loads((out / "summary.json").read_text())


def _rows(path: pathlib.Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_league_agrees_with_the_cross_play_of_its_runs(
    runs, tmp_path
) -> None:
    summary = _league(runs, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    found = {
        (row["row"], row["column"], row["row_seat"]): row
        for row in _rows(tmp_path / "league.csv")
    }
    # Five runs and three bots, in both seatings.
    assert len(found) == 2 * 8**2
    for (row, column, seat), entry in found.items():
        mirrored = found[column, row, str(1 - int(seat))]
        assert entry["reward"] == mirrored["opponent_reward"]
    for kind in ("aligned", "naive"):
        for sampled in _rows(runs / kind / "cross_play.csv"):
            column = sampled["column"]
            if column not in coin_settings.BOTS:
                column = f"{kind}/{column}"
            for name in ("reward", "opponent_reward", "own_coin_share"):
                exact = [
                    float(found[f"{kind}/{sampled['row']}", column, seat][name])
                    for seat in "01"
                ]
                # Means of 1500 episodes in each seating.
                assert np.mean(exact) == pytest.approx(
                    float(sampled[name]), abs=0.04
                )
    _check_ratings(tmp_path, summary)


def _check_ratings(out: pathlib.Path, summary: dict) -> None:
    """Compares the summary and the ratings with the matches."""
    rows = _rows(out / "ratings.csv")
    assert [row["name"] for row in rows] == [
        entry["name"] for entry in summary["ranking"]
    ]
    elo = [float(row["elo"]) for row in rows]
    assert elo == sorted(elo, reverse=True)
    assert np.mean(elo) == pytest.approx(1500.0, abs=0.01)
    for entry in summary["ranking"]:
        # Whoever is copied by its partner can be answered better, or as well.
        assert entry["gain_of_best_response"] > -1e-9
        assert entry["best_response_reward"] == pytest.approx(
            entry["self_play_reward"] + entry["gain_of_best_response"]
        )
    matches = _rows(out / "league.csv")

    def mean(name: str, row: str, *columns: str) -> float:
        return np.mean(
            [
                float(match[name])
                for match in matches
                if match["row"] != match["column"]
                and match["row"].startswith(row)
                and match["column"].startswith(columns)
            ]
        )

    kinds = summary["kinds"]
    assert [*kinds] == ["aligned", "naive", "table"]
    assert kinds["table"]["learner"] == "lola_dice_1_lookahead"
    assert kinds["table"]["between_runs"] is None
    for kind in ("aligned", "naive"):
        assert kinds[kind]["between_runs"] == pytest.approx(
            mean("reward", kind, kind), abs=1e-5
        )
        assert kinds[kind]["difference_to_always_defect"] == pytest.approx(
            mean("reward", kind, "always_defect")
            - mean("opponent_reward", kind, "always_defect"),
            abs=1e-5,
        )


def test_tables_of_tables_are_what_was_exported(runs) -> None:
    """As the table sees it: the memory is that of the states."""
    folder = runs / "tables" / "saved_model" / "run_1"
    sources = tuple(str(folder / f"player_{seat}") for seat in range(2))
    entrant = league_settings.CoinEntrant("t", "t", "t", sources)
    first, second = league_tables.tables_of(entrant)
    assert first.shape == second.shape == (1, 512, 4)
    assert np.abs(first - second).max() > 0.01
    rules = league_play.dynamics()
    seats = [
        league_play.in_seat(rules, table, seat)
        for seat, table in enumerate((first, second))
    ]
    exact, _ = league_play.play_exactly(rules, *seats, LENGTH + 1)
    measured = [
        row["reward"]
        for row in _rows(runs / "tables" / "cross_play.csv")
        if row["column"] == "run_1"
    ]
    assert exact.mean() == pytest.approx(float(measured[0]), abs=0.04)


@pytest.fixture(scope="module")
def rules() -> league_play.Dynamics:
    return league_play.dynamics()


def _random_table(num_cells: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.dirichlet(np.full(4, 0.5), size=[num_cells, 512])


@pytest.mark.parametrize("seat", [0, 1])
def test_best_responses_are_those_of_the_library(rules, seat: int) -> None:
    table = _random_table(1, seed=seat)
    found = league_play.best_response(
        rules, league_play.in_seat(rules, table, seat), seat, LENGTH
    )
    game = dice_tf.games.TabularCoinGame(LENGTH, dtype="float64")
    policies = [None, None]
    policies[seat] = dice_tf.policies.fixed_policy(game, seat, table[0])
    expected = dice_tf.evaluation.best_response(
        game, policies, 1 - seat, discount=1.0
    )
    assert found.response_reward == pytest.approx(expected.value, abs=1e-9)
    # Nobody answers better, and the player gets what is left to it.
    for stranger in range(3):
        tables = [_random_table(1, seed=7 + stranger)] * 2
        tables[seat] = table
        rewards, _ = league_play.play_exactly(
            rules,
            *(league_play.in_seat(rules, t, i) for i, t in enumerate(tables)),
            LENGTH,
        )
        assert rewards[1 - seat] < found.response_reward


@pytest.mark.parametrize("seat", [0, 1])
def test_cells_count_where_policies_see_them(rules, seat: int) -> None:
    """Against a slow best response, state by state, in two steps."""
    table = _random_table(9, seed=seat)
    found = league_play.best_response(
        rules, league_play.in_seat(rules, table, seat), seat, 2
    )
    values = np.zeros([2, 9, 512])
    cells = np.arange(9)
    row, column = np.divmod(cells, 3)
    to = [
        3 * row + (column + 1) % 3,
        3 * row + (column - 1) % 3,
        3 * ((row + 1) % 3) + column,
        3 * ((row - 1) % 3) + column,
    ]
    for _ in range(2):
        before, values = values, np.zeros_like(values)
        for cell in range(9):
            for state in range(512):
                place = (cell, state)
                if seat == 1:
                    away = rules.other[state]
                    place = (
                        3 * ((cell // 3 + away // 3) % 3)
                        + (cell % 3 + away % 3) % 3,
                        rules.seen[state],
                    )
                worth = np.zeros([2, 4])
                for action in range(4):
                    after = before[:, to[action][cell]]
                    here = rules.rewards[:, state, action]
                    here = here + after @ rules.transitions[state, action].T
                    if seat == 1:
                        worth[:, action] = here @ table[place]
                    else:
                        worth += table[place][action] * here
                best = np.argmax(worth[1 - seat])
                values[:, cell, state] = worth[:, best]
    expected = values.mean(axis=1) @ rules.initial / 2
    assert found.response_reward == pytest.approx(expected[1 - seat])


def test_cells_do_not_count_where_policies_do_not_see_them(rules) -> None:
    first, second = _random_table(1, 0), _random_table(1, 1)
    seats = [
        [
            league_play.in_seat(rules, np.tile(table, [count, 1, 1]), seat)
            for seat, table in enumerate((first, second))
        ]
        for count in (1, 9)
    ]
    # As seen from everywhere, one seat or both.
    for pair in (seats[1], [seats[0][0], seats[1][1]]):
        for found, expected in zip(
            league_play.play_exactly(rules, *pair, 3),
            league_play.play_exactly(rules, *seats[0], 3),
            strict=True,
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-10)
    for seat in range(2):
        small, large = (
            league_play.best_response(rules, tables[seat], seat, 3)
            for tables in seats
        )
        np.testing.assert_allclose(small, large, rtol=1e-10)


def test_the_share_of_wins_is_one_half_between_equals(rules) -> None:
    following = league_play.outcomes(rules)

    def share(first: np.ndarray, second: np.ndarray) -> float:
        return league_play.share_of_wins(
            rules,
            following,
            league_play.in_seat(rules, first, 0),
            league_play.in_seat(rules, second, 1),
            episode_length=20,
            num_episodes=4000,
            generator=np.random.default_rng(1),
        )

    random, defector = (
        league_tables.untrained_table(name)
        for name in ("random", coin_settings.BOTS[1])
    )
    assert share(random, random) == pytest.approx(0.5, abs=0.03)
    assert share(defector, random) > 0.95
    assert share(random, np.tile(defector, [9, 1, 1])) < 0.05


def test_ratings_are_those_of_known_odds() -> None:
    # Three to one are 400 log10(3) points.
    found = ratings.elo(np.array([[9.0, 3.0], [1.0, 9.0]]))
    np.testing.assert_allclose(found, [1595.4243, 1404.5757], atol=1e-3)
    strengths = np.array([1.0, 2.0, 5.0, 30.0])
    chances = strengths[:, np.newaxis] / (strengths[:, np.newaxis] + strengths)
    found = ratings.elo(64 * chances)
    np.testing.assert_allclose(
        np.diff(found), 400 * np.diff(np.log10(strengths)), rtol=1e-6
    )


def test_ratings_expect_as_many_wins_as_there_were() -> None:
    """Which is where the derivative of the likelihood is zero."""
    wins = np.random.default_rng(2).integers(1, 20, size=[6, 6]).astype(float)
    found = ratings.elo(wins)
    chances = 1 / (1 + 10 ** ((found - found[:, np.newaxis]) / 400))
    apart = ~np.eye(6, dtype=bool)
    expected = ((wins + wins.T) * chances * apart).sum(axis=1)
    np.testing.assert_allclose(expected, (wins * apart).sum(axis=1), rtol=1e-8)


def test_one_more_draw_keeps_ratings_finite() -> None:
    shares = np.array([[0.5, 1.0], [0.0, 0.5]])
    with pytest.raises(ValueError, match="won and lost something, or drawn"):
        ratings.elo(shares)
    found = ratings.elo(ratings.with_draws(shares, 10))
    assert found[0] - found[1] == pytest.approx(400 * np.log10(21))


def test_alpha_rank_says_what_is_missing(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "open_spiel", None)
    monkeypatch.setitem(sys.modules, "open_spiel.python.egt", None)
    found = ratings.alpha_rank(np.zeros([2, 2]))
    assert found.masses is None
    assert 'pip install "dice_tf[openspiel]"' in found.missing


def test_alpha_rank_prefers_who_prevails() -> None:
    pytest.importorskip("networkx")
    pytest.importorskip("open_spiel")
    circle = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    np.testing.assert_allclose(ratings.alpha_rank(circle).masses, 1 / 3)
    defection = np.array([[3.0, 0.0], [4.0, 1.0]])
    assert ratings.alpha_rank(defection).masses[1] > 0.95


def _find(*texts, length: int = LENGTH):
    return league_settings.find_runs([str(text) for text in texts], length)


def test_all_runs_of_a_folder_take_part(runs) -> None:
    found = _find(f"mine={runs}/naive", runs / "tables")
    assert [entrant.name for entrant in found] == [
        "mine/run_1",
        "mine/run_2",
        "tables/run_1",
    ]
    assert [len(entrant.sources) for entrant in found] == [2, 2, 2]
    assert len(_find(runs / "aligned")[0].sources) == 1


def _changed(folder: pathlib.Path, file: str, *words: str) -> None:
    path = folder / file
    path.write_text(path.read_text().replace(*words))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run: (run / "summary.json").unlink(), "no run has finished"),
        (lambda run: (run / "config.json").unlink(), "are not those of such"),
        (
            lambda run: _changed(run, "summary.json", "final_own_coin", "x"),
            "are not those of such a run",
        ),
        (
            lambda run: _changed(run, "config.json", '"mlp"', '"gru"'),
            "without memory, or tables.*--policy=gru",
        ),
        (
            lambda run: _changed(run, "config.json", f": {LENGTH},", ": 7,"),
            f"--episode_length={LENGTH}.*runs of --episode_length=7",
        ),
        (
            lambda run: shutil.rmtree(run / "saved_model"),
            "no policies in saved_model/run_<r>",
        ),
    ],
)
def test_runs_that_do_not_fit_are_refused(
    runs, tmp_path, change, message: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs / "aligned", run)
    _find(run)
    change(run)
    with pytest.raises(ValueError, match=message):
        _find(run)


def test_mistaken_names_are_refused(runs, tmp_path) -> None:
    for texts, message in (
        (["nowhere"], "--entrants must hold folders.*'nowhere'"),
        (["name="], "--entrants must hold folders.*'name='"),
        ([f"a={runs}/naive", f"a={runs}/aligned"], "'a', for more than one"),
        ([f"random={runs}/naive"], "'random', for more than one"),
        ([f"\udcff={runs}/naive"], r"names in UTF-8.*'\\udcff'"),
    ):
        with pytest.raises(ValueError, match=message):
            _find(*texts)
    with pytest.raises(SystemExit, match="--entrants must hold at least one"):
        run_command(coin_league.COMMAND, f"--output_dir={tmp_path}/out")


def test_policies_of_other_games_are_refused(tmp_path) -> None:
    for name, shape, memory, message in (
        ("probabilities", [4, 4, 4], None, "observations (4, 4, 4)"),
        ("probabilities", [5], None, "observations (5,)"),
        ("probabilities", [6, 3, 3], None, "must give finite probabilities"),
        ("step_probabilities", [4, 3, 3], 7, "a memory of its own"),
        ("act", [4, 3, 3], None, "the signatures ['act']"),
    ):
        specs = [tf.TensorSpec([None, *shape], name="observation")]
        if memory is not None:
            specs.append(tf.TensorSpec([None, memory], name="state"))
        function = tf.function(_without_numbers, input_signature=specs)
        # TensorFlow takes brackets in paths for patterns.
        path = str(tmp_path / "_".join([name, *map(str, shape)]))
        tf.saved_model.save(tf.Module(), path, {name: function})
        entrant = league_settings.CoinEntrant(name, name, name, (path,))
        with pytest.raises(ValueError, match=re.escape(message)):
            league_tables.tables_of(entrant)


def _without_numbers(
    observation: tf.Tensor, state: tf.Tensor | None = None
) -> dict[str, tf.Tensor]:
    shape = [tf.shape(observation)[0], 4]
    return {"probabilities": tf.fill(shape, float("nan"))}

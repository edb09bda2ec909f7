"""Compares the sampled LOLA-DiCE gradient with the exact one.

  python -m benchmarks.gradient_cosines --output_dir=runs/gradient_cosines

For three games, each also with the players swapped, for one and two
look-aheads, small and large inner rates, short and long episodes, and both
players: the cosine between the direction of one large batch and the one in
closed form, from logits drawn from N(0, 1). Ends with an error if a cosine is
too small. With an output folder, summary.json there holds every check.
"""

import itertools
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import app, flags

import dice_tf
from experiments.command_line.commands import held_folder
from experiments.results.outputs import SUMMARY, write_json

FLAGS = flags.FLAGS
flags.DEFINE_integer("batch_size", 65_536, "Episodes of each play.")
flags.DEFINE_integer("seed", 0, "Of the logits and of the play.", lower_bound=0)
flags.DEFINE_float("required", 0.998, "The smallest cosine that passes.")
flags.DEFINE_string("output_dir", None, "Folder of summary.json, if any.")
flags.DEFINE_bool("overwrite", False, "Whether to replace earlier results.")

DISCOUNT = 0.96
NUM_LOOKAHEADS = (1, 2)
INNER_LEARNING_RATES = (0.3, 5.0)
EPISODE_LENGTHS = (20, 150)
PAYOFFS = {
    "prisoners_dilemma": [[[-1, -3], [0, -2]], [[-1, 0], [-3, -2]]],
    "matching_pennies": [[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]],
    "asymmetric": [[[1, -2], [2.5, 0.3]], [[-1.5, 0.7], [0.2, 2]]],
}


class Setting(NamedTuple):
    """One line of the table, for both players.

    Attributes:
      game: key of `PAYOFFS`.
      swapped: whether the players sit in each other's seats.
      num_lookaheads: K.
      inner_learning_rate: of the opponent's imagined steps.
      episode_length: T.
    """

    game: str
    swapped: bool
    num_lookaheads: int
    inner_learning_rate: float
    episode_length: int


def directions(setting: Setting, logits: np.ndarray) -> tuple[Any, Any]:
    """Returns both players' sampled and exact directions, `[2, 5]` each."""
    payoffs = np.asarray(PAYOFFS[setting.game], np.float64)
    if setting.swapped:
        payoffs, logits = np.transpose(payoffs[::-1], [0, 2, 1]), logits[::-1]
    learner = dice_tf.learners.LOLADiCE(
        setting.num_lookaheads, setting.inner_learning_rate
    )
    results = []
    for dtype in ("float32", "float64"):
        game = dice_tf.games.iterated_matrix_game(
            payoffs, setting.episode_length, dtype=dtype
        )
        policies = [dice_tf.policies.tabular(game, i) for i in range(2)]
        params = [[table[:, np.newaxis].astype(dtype)] for table in logits]
        if dtype == "float32":
            objective = dice_tf.objectives.DiCEObjective(
                game, policies, DISCOUNT, FLAGS.batch_size
            )
        else:
            objective = dice_tf.objectives.ExactObjective(
                game, policies, DISCOUNT
            )
        results.append(_both_players(learner, objective, params))
    return tuple(results)


def _both_players(learner: Any, objective: Any, params: Any) -> np.ndarray:
    @tf.function
    def compute(seed: tf.Tensor) -> list[tf.Tensor]:
        return [
            learner.gradient(objective, params, player_id, seed)[0]
            for player_id in range(2)
        ]

    seed = dice_tf.seeds.make_seed(FLAGS.seed, 1)
    return np.array([np.ravel(direction) for direction in compute(seed)])


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))


def main(argv: Sequence[str]) -> None:
    if len(argv) > 1:
        sys.exit(f"Error: flags start with --. Received: {argv[1]!r}.")
    folder = held_folder("benchmarks.gradient_cosines")
    logits = np.random.default_rng(FLAGS.seed).normal(size=(2, 5))
    print("game               swapped  K  rate    T  cosine of players 0, 1")
    checks = []
    for values in itertools.product(
        PAYOFFS,
        (False, True),
        NUM_LOOKAHEADS,
        INNER_LEARNING_RATES,
        EPISODE_LENGTHS,
    ):
        setting = Setting(*values)
        found = [
            cosine(sampled, exact)
            for sampled, exact in zip(*directions(setting, logits), strict=True)
        ]
        checks += [
            {
                "name": f"{_name(setting)}_player_{player_id}",
                "measured": measured,
                "required": FLAGS.required,
                "passed": measured >= FLAGS.required,
            }
            for player_id, measured in enumerate(found)
        ]
        mark = "" if min(found) >= FLAGS.required else "  TOO SMALL"
        print(
            f"{setting.game:18} {'yes' if setting.swapped else 'no':7}  "
            f"{setting.num_lookaheads}  {setting.inner_learning_rate:4}  "
            f"{setting.episode_length:3}  {found[0]:.5f}  {found[1]:.5f}{mark}",
            flush=True,
        )
    if folder is not None:
        with folder.collect() as path:
            write_json(path / SUMMARY, {"checks": checks})
    failed = [check["name"] for check in checks if not check["passed"]]
    print(f"{len(checks) - len(failed)} of {len(checks)} passed.")
    if failed:
        sys.exit(1)


def _name(setting: Setting) -> str:
    return (
        f"{setting.game}{'_swapped' if setting.swapped else ''}"
        f"_{setting.num_lookaheads}_lookaheads"
        f"_rate_{setting.inner_learning_rate:g}_T_{setting.episode_length}"
    )


if __name__ == "__main__":
    app.run(main)

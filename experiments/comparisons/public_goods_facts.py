"""Whether shaping helps a public good, among shapers and among others.

All seats have tables, one look-ahead and plain SGD on discounted returns that
are not normalised. Rates were chosen on exact values, and on runs from seed
1000:

- With the discount 0.98 the end of an episode counts more than its beginning,
  and the stakes are about those of the prisoner's dilemma at 0.96.
- Among shapers real steps are large and become small. Small constant steps find
  cooperation, too, but often lose it again. Large steps need large batches:
  players that noise throws into mutual defection see nothing else any more.
- Among naive players real steps are small. Otherwise these settle on defection
  before they can be shaped. One shaper of three gains nothing, since nobody
  else would answer the others; two shapers make the third player contribute.
- Players start close to tossing a coin in every state. Players that start
  further apart often answer one another out of step.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from absl import flags

import dice_tf

from ..results.check_list import Check, above, at_most
from ..settings.defaults import Defaults
from ..settings.training_flags import NEARLY_EVEN
from ..settings.training_settings import (
    TrainingSettings,
    resolve_method,
)
from . import fact_measures as measures
from .fact_trainings import Record

_GAME = "public_goods"
_SHAPING = "lola_dice_1_lookahead"
_NAIVE = "naive"

# By number of players. A contribution returns half of itself to everyone, the
# contributor included, however many there are.
_MULTIPLIERS = {3: 1.5, 5: 2.5}
# The seats of the shapers, by line-up: each seat is in one of them.
_SHAPING_SEATS = {3: ((0, 1), (1, 2)), 5: ((0, 1, 2), (2, 3, 4))}


class _Recipe(NamedTuple):
    """How all players of a training learn, unless flags say otherwise."""

    defaults: Defaults
    batch_size: int
    num_iterations: int


_AMONG_SHAPERS = _Recipe(
    Defaults(
        inner_learning_rate=3.0, learning_rate=6.5, final_learning_rate=0.13
    ),
    batch_size=2000,
    num_iterations=40,
)
_AMONG_OTHERS = _Recipe(
    Defaults(inner_learning_rate=2.5, learning_rate=0.5),
    batch_size=64,
    num_iterations=60,
)
_DISCOUNT = 0.98


def public_goods(record: Record) -> list[Check]:
    """Three LOLA-DiCE players contribute to a pot, naive ones do not."""
    num_players = 3
    checks = []
    for method in (_SHAPING, _NAIVE):
        name = f"public goods, {method}"
        settings = _settings(
            record.values, [method] * num_players, _AMONG_SHAPERS
        )
        bounds = (
            measures.constant_return(
                reward, settings.discount, settings.episode_length
            )
            for reward in (0.0, _MULTIPLIERS[num_players] - 1.0)
        )
        shares = measures.cooperation(
            record.final_returns(name, settings), *bounds
        )
        print(
            f"  cooperation: mean {shares.mean():.3f}, from "
            f"{shares.min():.3f} to {shares.max():.3f}",
            flush=True,
        )
        if method == _NAIVE:
            name = f"{name}: cooperation, best run"
            checks.append(at_most(name, float(shares.max()), 0.1))
        else:
            checks.append(
                measures.enough_runs(f"{name}: cooperates", shares >= 0.9, 0.9)
            )
    return checks


def mixed_public_goods(record: Record) -> list[Check]:
    """LOLA-DiCE earns more among naive players than if all were naive."""
    checks = []
    for num_players, line_ups in _SHAPING_SEATS.items():
        checks += _mixed(record, num_players, line_ups)
    return checks


def _mixed(
    record: Record,
    num_players: int,
    line_ups: Sequence[Sequence[int]],
) -> list[Check]:
    """Compares line-ups with one in which all are naive."""

    def train(name: str, shaping: Sequence[int]) -> np.ndarray:
        learners = [
            _SHAPING if seat in shaping else _NAIVE
            for seat in range(num_players)
        ]
        settings = _settings(record.values, learners, _AMONG_OTHERS)
        finals = record.final_returns(name, settings)
        means = ", ".join(f"{mean:.3f}" for mean in finals.mean(axis=0))
        print(f"  mean returns {means}", flush=True)
        return finals

    text = f"public goods of {num_players}"
    naive = train(f"{text}, all naive", ())
    checks = []
    for seats in line_ups:
        name = f"{text}, shaping in seats {', '.join(map(str, seats))}"
        gain = measures.gain_in_errors(
            train(name, seats)[:, seats], naive[:, seats]
        )
        checks.append(
            above(f"{name}: their gain, in standard errors", gain, 2.0)
        )
    return checks


def _settings(
    values: flags.FlagValues, learners: Sequence[str], recipe: _Recipe
) -> TrainingSettings:
    """Returns settings of a game with as many players as learners."""
    num_players = len(learners)
    game = dice_tf.games.iterated_public_goods(
        1, num_players=num_players, multiplier=_MULTIPLIERS[num_players]
    )
    settings = resolve_method(
        values,
        "_vs_".join(learners),
        defaults=recipe.defaults,
        game=_GAME,
        payoffs=game.rewards[:, 0].tolist(),
    )
    chosen = {
        "batch_size": recipe.batch_size,
        "num_iterations": recipe.num_iterations,
        "initial_logits": NEARLY_EVEN,
    }
    return settings._replace(
        discount=_DISCOUNT,
        **{
            name: value
            for name, value in chosen.items()
            if not values[name].present
        },
    )

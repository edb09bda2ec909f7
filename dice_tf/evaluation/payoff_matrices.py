"""Cross-play: every policy of one seat against every policy of the other."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from dice_tf.checks import check_flag, check_model
from dice_tf.evaluation.pairings import check_two_players, play_pairs
from dice_tf.games.game import Game
from dice_tf.play.exact_values import OF_THE_GAME, EpisodeLength
from dice_tf.seeds import Seed

Groups = Mapping[str, Sequence[keras.Model]]


class CrossPlay(NamedTuple):
    """How every row policy does against every column policy.

    Arrays are NumPy float64 `[2, R, C]`: of the player in seat 0, the row,
    and of that in seat 1, the column. Returns are reported ones: `1 -
    discount` times the discounted sum of rewards, the mean reward per step at
    discount 1.

    Attributes:
      row_labels: for each row the name of its group, and its number there.
      column_labels: the same for columns.
      payoffs: mean returns, NaN where the probabilities of one of the two
        are NaN.
      standard_errors: of the payoffs: zeros where they are exact.
      cooperation_rates: share of action 0, NaN where actions are not a
        finite set.
    """

    row_labels: tuple[tuple[str, int], ...]
    column_labels: tuple[tuple[str, int], ...]
    payoffs: np.ndarray
    standard_errors: np.ndarray
    cooperation_rates: np.ndarray

    def group_means(self, without_partners: bool = False) -> np.ndarray:
        """Averages the payoffs over the pairs of each two groups.

        Args:
          without_partners: whether to leave out pairs of the same group and
            number, which trained together where groups hold runs.

        Returns:
          `[2, row groups, column groups]`, groups in the order given, NaN
          where no pair is left, or a payoff is NaN.
        """
        without_partners = check_flag("without_partners", without_partners)
        rows = list(dict.fromkeys(name for name, _ in self.row_labels))
        columns = list(dict.fromkeys(name for name, _ in self.column_labels))
        totals = np.zeros((2, len(rows), len(columns)))
        counts = np.zeros((len(rows), len(columns)))
        for (r, row), (c, column) in itertools.product(
            enumerate(self.row_labels), enumerate(self.column_labels)
        ):
            if not (without_partners and row == column):
                cell = rows.index(row[0]), columns.index(column[0])
                totals[:, *cell] += self.payoffs[:, r, c]
                counts[cell] += 1
        with np.errstate(invalid="ignore"):
            return totals / counts


def cross_play(
    game: Game,
    rows: Groups,
    columns: Groups,
    *,
    discount: float = 0.96,
    episode_length: EpisodeLength = OF_THE_GAME,
    batch_size: int | None = None,
    seed: Seed = (0, 0),
) -> CrossPlay:
    """Plays every row policy in seat 0 against every column policy in seat 1.

    Args:
      game: a game of two players.
      rows: by name of a group, such as an algorithm, the policies of seat 0,
        such as those of its runs.
      columns: the same for seat 1.
      discount: in [0, 1], below 1 with an infinite horizon.
      episode_length: number of steps, or `None` for an infinite horizon, of
        exact values. Default: that of the game.
      batch_size: number of episodes of each pair. Default: exact values in a
        `FiniteGame`, 1024 episodes in any other game.
      seed: int32 `[2]`, split over the pairs where they are sampled.

    Returns:
      A `CrossPlay` of R rows and C columns, group by group.

    Raises:
      TypeError: if the game is not a `Game`, the groups are not mappings of
        lists, or a policy is not a `keras.Model`.
      ValueError: if the game does not have two players, there are no policies,
        one does not fit its seat, or a number is outside of its range.

    Example:
      A trainer loads one run at a time, so that each is kept as a table.

      >>> seats = [[], []]
      >>> for run in range(trainer.num_seeds):
      ...     trainer.load_run(run)
      ...     for player_id, policy in enumerate(policies):
      ...         table = dice_tf.evaluation.action_probabilities(
      ...             game, policy, player_id
      ...         )
      ...         seats[player_id].append(
      ...             dice_tf.policies.fixed_policy(game, player_id, table)
      ...         )
      >>> result = dice_tf.evaluation.cross_play(
      ...     game,
      ...     {
      ...         "learned": seats[0],
      ...         "tit_for_tat": [dice_tf.policies.tit_for_tat(game, 0)],
      ...     },
      ...     {
      ...         "learned": seats[1],
      ...         "tit_for_tat": [dice_tf.policies.tit_for_tat(game, 1)],
      ...     },
      ... )
      >>> result.group_means(without_partners=True).shape
      (2, 2, 2)

    References:
      Hu et al. 2020 ("Other-Play" for Zero-Shot Coordination), for cross-play
      between independent runs.
    """
    check_two_players(game)
    row_labels, row_policies = _flatten("rows", rows)
    column_labels, column_policies = _flatten("columns", columns)
    shape = (2, len(row_labels), len(column_labels))
    matches = play_pairs(
        game,
        (row_policies, column_policies),
        discount=discount,
        episode_length=episode_length,
        batch_size=batch_size,
        seed=seed,
    )

    def stack(field: str) -> np.ndarray:
        values = [getattr(match, field) for match in matches]
        return np.array(values).T.reshape(shape)

    return CrossPlay(
        row_labels,
        column_labels,
        stack("mean"),
        stack("standard_error"),
        stack("cooperation_rates"),
    )


def _flatten(
    name: str, groups: Any
) -> tuple[tuple[tuple[str, int], ...], list[keras.Model]]:
    """Returns the labels and the policies of all groups."""
    if not isinstance(groups, Mapping) or not all(
        isinstance(group, (list, tuple)) for group in groups.values()
    ):
        raise TypeError(
            f"`{name}` must be a mapping from names to lists of policies. "
            f"Received: {name}={groups!r}."
        )
    labels = tuple(
        (group, number)
        for group, policies in groups.items()
        for number in range(len(policies))
    )
    if not labels:
        raise ValueError(f"`{name}` must hold a policy. Received: {groups!r}.")
    for group, policies in groups.items():
        for number, policy in enumerate(policies):
            check_model(f"{name}[{group!r}][{number}]", policy)
    return labels, list(itertools.chain.from_iterable(groups.values()))

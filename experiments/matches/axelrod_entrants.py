"""Policies as competitors of the strategies of the Axelrod library."""

import numpy as np

import dice_tf
from experiments.matches.axelrod_field import Competitor, field
from experiments.matches.axelrod_settings import Settings
from experiments.matches.entrants import Entrant
from experiments.matches.match_policies import build_policy


def competitors(settings: Settings) -> tuple[Competitor, ...]:
    """Returns the policies, and then the field.

    Raises:
      ValueError: if a policy does not play the iterated prisoner's dilemma
        with memory of one step, a strategy is unknown, or two have one name.
    """
    everyone = []
    for entrant in settings.entrants:
        everyone += _policies(entrant)
    everyone += field(settings.strategies)
    names = [own.name for own in everyone]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                "All who take part must have different names. Received "
                f"{name!r} twice: put names of your own in front of "
                "--entrants, NAME=PATH."
            )
    return tuple(everyone)


def _policies(entrant: Entrant) -> list[Competitor]:
    """Returns the policy of each seat, one where both are the same."""
    game = dice_tf.games.iterated_prisoners_dilemma()
    tables = []
    for player_id, source in enumerate(entrant.sources):
        policy = build_policy(source, game, player_id)
        table = dice_tf.evaluation.action_probabilities(game, policy, player_id)
        cooperation = np.clip(table[:, 0], 0.0, 1.0)
        tables.append(tuple(cooperation.tolist()))
    if tables[0] == tables[1]:
        return [Competitor(entrant.name, None, tables[0])]
    return [
        Competitor(f"{entrant.name} [{player_id}]", None, table)
        for player_id, table in enumerate(tables)
    ]

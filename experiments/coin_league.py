"""Lets policies of several runs of the Coin Game meet each other, and bots.

  python -m experiments.coin_league --output_dir=runs/league \\
    --entrants=runs/coins,runs/coins_loqa,tabular=runs/coins_lola

An entrant is what one run of experiments.coin_game has learned: --entrants
holds folders of finished commands, all runs of which take part, as one kind.
always_cooperate and always_defect, which take the shortest paths, and random
are always there. Policies must have no memory of their own: networks without
one (--policy=mlp), or tables (--policy=tabular), which remember who last took
whose coin. They have finitely many inputs, so that rewards and best responses
are exact. All are means over the steps of an episode of --episode_length steps,
not discounted.

The folder gets league.csv (reward a step and own-coin share of each entrant
against each, in both seatings), league.png, ratings.csv, summary.json and
config.json. A rating says who earns more than its opponent, not who earns much:

* elo fits all matches at once, as the maximum-likelihood estimate of the model
  of Bradley and Terry, with mean 1500. A match is an episode; whoever has
  earned more has won. Each pair plays --num_episodes in both seatings, and is
  given one more match, a draw.
* alpha_rank is the mass of the entrant in the stationary distribution of
  alpha-rank on the mean rewards. It needs the extra dice_tf[openspiel].
* best_response_reward is the most that anyone can earn against the entrant who
  knows it and the state. gain_of_best_response is how much that is more than
  the entrant's partner earns in self-play, and loss_to_best_response how much
  less the entrant earns then.

The summary also has means by kind of entrant: between its runs, against each of
the bots, and the difference to always_defect, the entrant's reward minus that
of the bot.
"""

# `python experiments/...` starts a file outside of its package.
__package__ = __package__ or "experiments"

from absl import flags

# Only imports that are cheap: --help and mistakes are answered at once.
from .coins.league_settings import LeagueSettings, resolve
from .command_line.commands import Command, user_errors
from .command_line.flag_parsers import define_seed, define_size
from .results.outputs import OutputFolder
from .settings.line_up import PROGRAMS
from .settings.training_flags import define_output_flags

# An episode is played step by step, and all are played at once.
_MOST_STEPS = 10**4
_MOST_EPISODES = 10**6


def define_flags() -> None:
    """Defines the flags."""
    define_output_flags()
    flags.DEFINE_list(
        "entrants",
        [],
        "Who takes part: folders of finished runs of experiments.coin_game, "
        "each with a name of yours in front if you like (NAME=PATH). "
        f"{PROGRAMS}",
    )
    define_size("episode_length", 50, "Steps of an episode.", most=_MOST_STEPS)
    define_size(
        "num_episodes",
        512,
        "Episodes that each pair plays in each seating, for the ratings.",
        most=_MOST_EPISODES,
    )
    define_seed("Seed of these episodes.")


def run(settings: LeagueSettings, folder: OutputFolder) -> None:
    """Plays the league, writes the files and prints the tables."""
    import keras

    from .coins.league_results import play, write_files

    bar = keras.utils.Progbar(None, unit_name="entrant")

    def show(done: int, total: int) -> None:
        bar.target = total
        bar.update(done)

    with user_errors():
        league = play(settings, show)
    print(f"\n{write_files(folder, settings, league)}")


COMMAND = Command(define_flags, resolve, run)

if __name__ == "__main__":
    COMMAND.start()

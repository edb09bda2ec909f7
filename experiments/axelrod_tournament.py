"""Enters policies into a tournament of the strategies of the Axelrod library.

  python -m experiments.axelrod_tournament --output_dir=runs/axelrod \\
    --entrants=runs/ipd
  python -m experiments.axelrod_tournament --output_dir=runs/small \\
    --entrants=win_stay_lose_shift,mine=runs/mixed/saved_model/player_1 \\
    --strategies=TitForTat,Grudger,Defector,Random

An entrant is a fixed policy, a SavedModel or a run of experiments.ipd, whose
two policies enter one by one. Everyone meets everyone in the prisoner's dilemma
of Axelrod's tournaments (3 for mutual cooperation, 1 for mutual defection, 5
and 0 if only one defects); a score is the mean payoff per turn against all
others. The folder gets tournament.csv (the ranking), pair_payoffs.csv,
payoffs.png, summary.json and config.json.
"""

# `python experiments/...` starts a file outside of its package.
__package__ = __package__ or "experiments"

import os

from absl import flags

# Only imports that are cheap: --help and mistakes are answered at once.
from .command_line.commands import Command, user_errors
from .command_line.flag_parsers import define_seed, define_size
from .matches.entrants import SYNTAX
from .matches.match_settings import AxelrodSettings, resolve_axelrod
from .results.outputs import OutputFolder
from .settings.line_up import PROGRAMS
from .settings.training_flags import define_output_flags

_MOST_PROCESSES = 1024


def define_flags() -> None:
    """Defines the flags."""
    define_output_flags()
    flags.DEFINE_list(
        "entrants",
        "tit_for_tat",
        f"Whose policies take part: {SYNTAX}. {PROGRAMS}",
    )
    flags.DEFINE_list(
        "strategies",
        "all",
        "Whom they meet: names of classes of the Axelrod library, or all that "
        "are fast and play by its rules.",
    )
    define_size("num_turns", 200, "Turns of a match.")
    define_size("num_repetitions", 5, "Matches of each pair.")
    define_seed("Seed of the matches.")
    define_size(
        "num_processes",
        os.cpu_count() or 1,
        "Processes that play.",
        most=_MOST_PROCESSES,
    )


def run(settings: AxelrodSettings, folder: OutputFolder) -> None:
    """Plays the tournament, writes the files and prints the ranking."""
    import keras

    from .matches.axelrod_play import play
    from .matches.axelrod_results import competitors, write_files

    with user_errors():
        everyone = competitors(settings)
    bar = keras.utils.Progbar(None, unit_name="pair", interval=1.0)

    def show(done: int, total: int) -> None:
        bar.target = total
        # If the output is not a terminal, each update is a line.
        if done == total or done % max(total // 100, 1) == 0:
            bar.update(done)

    with user_errors():
        outcome = play(everyone, settings, show)
    print(f"\n{write_files(folder, settings, outcome)}")


COMMAND = Command(
    define_flags, resolve_axelrod, run, libraries=("matplotlib", "axelrod")
)

if __name__ == "__main__":
    COMMAND.start()

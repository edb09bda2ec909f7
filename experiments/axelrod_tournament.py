"""Enters policies into a tournament of the strategies of the Axelrod library.

  python -m experiments.axelrod_tournament --output_dir=runs/axelrod \\
    --entrants=runs/ipd
  python -m experiments.axelrod_tournament --output_dir=runs/small \\
    --entrants=win_stay_lose_shift,mine=runs/mixed/saved_model/player_1 \\
    --strategies=TitForTat,Grudger,Defector,Random

An entrant is a fixed policy, a SavedModel or a run of experiments.ipd, whose
two policies enter one by one. Everyone meets everyone in the prisoner's dilemma
of Axelrod's tournaments (3 for mutual cooperation, 1 for mutual defection, 5
and 0 where one defects); a score is the mean payoff per turn against all
others. The folder gets tournament.csv (the ranking), pair_payoffs.csv,
payoffs.png, summary.json and config.json.
"""

import os
import sys
from collections.abc import Sequence

from absl import app, flags

# Only what is cheap to import: --help and mistakes are answered at once.
from experiments.command_line.flag_parsers import define, whole_number
from experiments.command_line.quiet_tensorflow import import_tensorflow
from experiments.command_line.requirements import require, require_matplotlib
from experiments.command_line.user_errors import user_errors
from experiments.matches.axelrod_settings import Settings, resolve
from experiments.matches.entrants import SYNTAX
from experiments.results.outputs import OutputFolder
from experiments.settings.common_flags import define_output_flags

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines the flags; other experiments have some of the same names."""
    define_output_flags()
    flags.DEFINE_list(
        "entrants", "tit_for_tat", f"Whose policies take part: {SYNTAX}."
    )
    flags.DEFINE_list(
        "strategies",
        "all",
        "Whom they meet: names of classes of the Axelrod library, or all that "
        "are fast and play by its rules.",
    )
    define("num_turns", "200", whole_number(1), "Turns of a match.")
    define("num_repetitions", "5", whole_number(1), "Matches of each pair.")
    define("seed", "0", whole_number(0, 2**31 - 1), "Seed of the matches.")
    define(
        "num_processes",
        str(os.cpu_count() or 1),
        whole_number(1),
        "Processes that play.",
    )


def main(argv: Sequence[str]) -> None:
    with user_errors():
        if len(argv) > 1:
            raise ValueError(f"Flags start with --. Received: {argv[1]!r}.")
        require_matplotlib()
        require("axelrod", "The strategies need", "axelrod")
        settings = resolve(FLAGS)
        folder = OutputFolder(FLAGS.output_dir, FLAGS.overwrite)
    try:
        run(settings, folder)
    except KeyboardInterrupt:
        sys.exit(f"\nInterrupted. Nothing was written to {folder.path}.")


def run(settings: Settings, folder: OutputFolder) -> None:
    """Plays the tournament, writes the files and prints the ranking."""
    import_tensorflow()
    import keras

    from experiments.matches.axelrod_entrants import competitors
    from experiments.matches.axelrod_files import write_files
    from experiments.matches.axelrod_play import play

    with user_errors():
        everyone = competitors(settings)
    bar = keras.utils.Progbar(None, unit_name="pair", interval=1.0)

    def show(done: int, total: int) -> None:
        bar.target = total
        # Not each of them: off a terminal every one would be a line.
        if done == total or done % max(total // 100, 1) == 0:
            bar.update(done)

    outcome = play(
        everyone,
        num_turns=settings.num_turns,
        num_repetitions=settings.num_repetitions,
        seed=settings.seed,
        num_processes=settings.num_processes,
        on_progress=show,
    )
    with user_errors():
        ranking = write_files(folder, settings, outcome)
    print(f"\n{ranking}\n\nFiles: {folder.path}")


if __name__ == "__main__":
    define_flags()
    app.run(main)

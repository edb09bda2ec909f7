"""Trains the players of an iterated matrix game, by default LOLA-DiCE against
LOLA-DiCE in the prisoner's dilemma, in several independent runs.

  python -m experiments.ipd --output_dir=runs/ipd
  python -m experiments.ipd --output_dir=runs/mixed --learner=lola_dice,naive
  python -m experiments.ipd --output_dir=runs/hunt --game=stag_hunt \\
    --num_lookaheads=2 --inner_learning_rate=1 --num_seeds=20
  python -m experiments.ipd --output_dir=runs/ipd --resume
  python -m experiments.ipd --output_dir=runs/large --batch_size=65536 \\
    --strategy=mirrored --num_seeds=1

The last continues a run that was interrupted, given its flags, as if nothing
had happened. A flag that may differ by player takes a comma list in seat
order; one value means all players. The folder gets curves.csv (the return of
every player, run and iteration), summary.json, config.json, pictures of the
learning curves and of the policies, and in saved_model/ the policies of the
median run, which can be opponents of a later run:
--learner=lola_dice,runs/ipd/saved_model/player_1.
"""

import sys
from collections.abc import Sequence

from absl import app, flags

# Only what is cheap to import: --help and mistakes are answered at once.
from experiments.command_line.quiet_tensorflow import import_tensorflow
from experiments.command_line.requirements import require_matplotlib
from experiments.command_line.user_errors import user_errors
from experiments.results.outputs import OutputFolder, finished, interrupted
from experiments.results.report import print_report
from experiments.settings import (
    player_flags,
    resume_flags,
    run_flags,
    seat_flags,
    strategy_flags,
)
from experiments.settings.line_up import LineUp, method_name
from experiments.settings.settings import Settings, resolve

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(run_flags)
flags.adopt_module_key_flags(resume_flags)
flags.adopt_module_key_flags(seat_flags)
flags.adopt_module_key_flags(player_flags)
flags.adopt_module_key_flags(strategy_flags)


def main(argv: Sequence[str]) -> None:
    with user_errors():
        if len(argv) > 1:
            raise ValueError(f"Flags start with --. Received: {argv[1]!r}.")
        require_matplotlib()
        settings = resolve(
            FLAGS, LineUp(tuple(FLAGS.learner), FLAGS.num_lookaheads)
        )._replace(
            strategy=FLAGS.strategy,
            jit_compile=FLAGS.jit_compile and FLAGS.strategy == "none",
        )
        folder = OutputFolder(FLAGS.output_dir, FLAGS.overwrite, FLAGS.resume)
    if folder.has_finished:
        print(finished(folder))
        return
    try:
        _run(settings, folder)
    except KeyboardInterrupt:
        sys.exit(interrupted(folder))


def _run(settings: Settings, folder: OutputFolder) -> None:
    import_tensorflow()
    from experiments.building.builders import build_trainer
    from experiments.building.checkpoints import CheckpointPlan
    from experiments.building.training import train

    method = method_name(
        settings.learner, settings.num_lookaheads, settings.batch_size
    )
    print(f"{method}: {settings.num_seeds} runs. Compiling takes a while.")
    with user_errors():
        trainer = build_trainer(settings)
    plan = CheckpointPlan(folder, FLAGS.checkpoint_every)
    training = train(trainer, settings, plan.of(method, settings))
    if not trainer.is_chief:
        print("Done. The first worker writes the results.")
        return
    # Matplotlib takes its time, too.
    from experiments.results.result_files import Result, write_results

    with user_errors():
        summary = write_results(
            folder, {method: Result(settings, trainer, training)}
        )
    print_report(summary, folder.path)


if __name__ == "__main__":
    app.run(main)

"""Trains a network to negotiate, in self-play, and draws what it proposes.

  python -m experiments.negotiation --output_dir=runs/negotiation
  python -m experiments.negotiation --learner=actor_critic \\
    --output_dir=runs/selfish
  python -m experiments.negotiation --output_dir=runs/negotiation --resume

In each round two players divide three items, of each of which one values 5 and
the other 1. Both propose at once how much of each they want. If each wants only
what it values more, both earn 0.5 a round; if both want everything, 0.3. To
want everything is best whatever the other does. One network sits in both seats.
It sees values and proposals of the round before. The last command continues a
run that was interrupted, given its flags, as if nothing had happened.

The folder gets curves.csv (the discounted return of every run and iteration in
self-play), curves.png, episode.png (the first rounds of an episode of the first
run), config.json and summary.json. The latter has mean rewards a round on fresh
episodes: of each policy with itself, with those of other runs, with a bot that
always cooperates, and with one that always wants everything.
"""

# `python experiments/...` starts a file outside of its package.
__package__ = __package__ or "experiments"

from absl import flags

# Only imports that are cheap: --help and mistakes are answered at once.
from .command_line.commands import Command
from .command_line.flag_parsers import (
    Number,
    OrNone,
    define,
    define_seed,
    define_size,
)
from .negotiations.negotiation_settings import (
    LEARNERS,
    PASTS,
    NegotiationSettings,
    resolve,
)
from .results.outputs import CURVES, OutputFolder, optional
from .settings.training_flags import (
    MOST_SEEDS,
    define_output_flags,
    define_resume_flags,
    define_tracking_flags,
)

# Rounds of the episode that is drawn.
_NUM_DRAWN = 20


def define_flags() -> None:
    """Defines the flags."""
    define_output_flags()
    define_resume_flags()
    define_tracking_flags()
    flags.DEFINE_enum("learner", LEARNERS[0], LEARNERS, "How both seats learn.")
    flags.DEFINE_enum(
        "past",
        PASTS[0],
        PASTS,
        "advantage_alignment: how earlier advantages count.",
    )
    define_size("num_seeds", 4, "Number of independent runs.", most=MOST_SEEDS)
    define_seed("Seed of the first run.")
    for name, default, text in (
        ("num_iterations", 600, "Number of updates."),
        ("batch_size", 128, "Episodes of each play."),
        ("episode_length", 50, "Rounds of an episode."),
        ("hidden_units", 64, "Width of both layers, also of the critic."),
    ):
        define_size(name, default, text)
    for name, default, parser, text in (
        (
            "weight",
            "10",
            Number(),
            "advantage_alignment: weight of what is good for the other player. "
            "Rewards are at most 1, and their products much less.",
        ),
        ("discount", "0.96", Number(0.0, 1.0), "Worth of a reward a round on."),
        ("tau", "0.95", Number(0.0, 1.0), "Decay of advantages, as in GAE."),
        ("learning_rate", "0.002", Number(), "Rate of Adam."),
        ("critic_learning_rate", "0.003", Number(), "The same of the critic."),
        (
            "entropy_coefficient",
            "0.01",
            Number(),
            "Weight of the entropy of proposals.",
        ),
        (
            "max_gradient_norm",
            "1",
            OrNone(Number(1e-12)),
            "Norm to which directions are clipped, in each run separately.",
        ),
    ):
        define(name, default, parser, text)


def run(settings: NegotiationSettings, folder: OutputFolder) -> None:
    """Trains, plays matches and writes the files."""
    from .negotiations import negotiation_plot, negotiation_training
    from .results.check_list import aligned
    from .results.curves import (
        print_failed,
        summarise,
        write_curves,
    )
    from .results.provenance import collect_results

    name = settings.learner
    trainer = negotiation_training.build_trainer(settings)
    print(
        f"{name}: {settings.num_seeds} runs. Compiling takes a while.",
        flush=True,
    )
    seconds = negotiation_training.train(trainer, settings, folder)
    matches = negotiation_training.play_matches(trainer, settings)
    curves = trainer.curves
    entry = summarise(curves, seconds, seconds / settings.num_iterations, False)
    print_failed(matches.self_play)
    rewards = matches.by_opponent()
    entry |= {key: values.tolist() for key, values in rewards.items()}
    entry["mean_proposals_per_run"] = matches.proposals.tolist()
    with collect_results(folder, {name: settings}, {name: entry}) as stage:
        write_curves(stage / CURVES, {name: curves})
        picture = stage / "curves.png"
        with optional(picture):
            negotiation_plot.plot_progress(
                picture,
                curves / negotiation_training.return_of_ones(settings),
                settings.discount,
                f"{name}: self-play in {settings.num_seeds} runs",
            )
        picture = stage / "episode.png"
        with optional(picture):
            negotiation_plot.plot_episode(
                picture, trainer.objective.game, matches.episode, _NUM_DRAWN
            )
    header = ["mean reward a round", *map(str, range(1, 1 + len(curves[0])))]
    table = [
        [key, *(f"{value:.3f}" for value in values)]
        for key, values in rewards.items()
    ]
    print(f"\n{aligned([header, *table])}")


COMMAND = Command(define_flags, resolve, run)

if __name__ == "__main__":
    COMMAND.start()

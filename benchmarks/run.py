"""Times training against other programs, and by size.

  python -m benchmarks.run --output_dir=runs/benchmarks

One process, programs in turns, a call that does not count before each that is
timed: ours through `Trainer.fit`, an ideal JAX program, PyTorch in the manner
of the public ports, and OpenSpiel's agents. The folder gets benchmarks.json, a
list of {name, settings, median_seconds, min_seconds, max_seconds,
ratio_to_jax}, all per iteration of both players, and a picture. Some sizes of
ours take turns with a smaller one, too, which gives two entries without a ratio
to JAX: seeds_20/beside_seeds_1 and seeds_20/seeds_1. Needs two idle cores,
`pip install "dice_tf[benchmarks]"` and 5 to 20 minutes. --only=batch_128 runs
what has that in its name.
"""

import gc
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from absl import app, flags

from benchmarks.timing import CALLS_PER_TURN, Timing, alternate
from experiments.command_line.commands import (
    held_folder,
    import_tensorflow,
    user_errors,
)
from experiments.results.outputs import write_json

FLAGS = flags.FLAGS
flags.DEFINE_string("output_dir", None, "Folder of the results.", required=True)
flags.DEFINE_bool("overwrite", False, "Whether to replace earlier results.")
flags.DEFINE_integer("turns", 15, "How many calls of each are timed.", 3)
flags.DEFINE_string("only", "", "Time only what has this in its name.")

# Below this the reference is not done, or the machine is busy.
REQUIRED_JAX_STEPS = 20e6


class Smaller(NamedTuple):
    """A size of ours that takes turns with a larger one.

    Attributes:
      name: of its case.
      required: what the larger may take at most, as a ratio to it.
    """

    name: str
    required: float


class Case(NamedTuple):
    """Programs of one size that are timed in turns.

    Attributes:
      name: of the case.
      size: as of the `Size` of the programs, what differs from its defaults.
      others: programs beside ours and the JAX reference.
      required: what ours may take at most, as a ratio to JAX.
      smaller: the case that ours takes turns with, too.
      has_reference: whether there is a JAX program of this size.
      programs: the module of the programs.
      num_calls: how many one after the other are timed as one. Ours wakes
        another thread for each, which is not what short calls are to measure.
    """

    name: str
    size: dict[str, Any]
    others: tuple[str, ...] = ()
    required: float | None = None
    smaller: Smaller | None = None
    has_reference: bool = True
    programs: str = "benchmarks.programs"
    num_calls: int = 1


def cases() -> list[Case]:
    """Returns all that is timed."""
    return [
        Case("batch_128", {}, ("torch_reference", "openspiel"), 1.0),
        Case(
            "batch_128_per_call", {"iterations": 1}, required=1.0, num_calls=10
        ),
        # An iteration grows no faster than the number of look-aheads.
        Case(
            "lookaheads_2",
            {"num_lookaheads": 2},
            required=1.0,
            smaller=Smaller("batch_128", 2.0),
        ),
        Case(
            "lookaheads_3",
            {"num_lookaheads": 3},
            required=1.0,
            smaller=Smaller("lookaheads_2", 1.5),
        ),
        Case("mlp_64", {"hidden_units": 64}, required=1.0),
        Case("mlp_16", {"hidden_units": 16}),
        Case("mlp_256", {"hidden_units": 256}),
        Case("seeds_1", {"batch_size": 64}),
        Case("seeds_5", {"batch_size": 64, "num_seeds": 5}),
        Case(
            "seeds_20",
            {"batch_size": 64, "num_seeds": 20},
            required=0.7,
            smaller=Smaller("seeds_1", 8.0),
        ),
        Case("batch_512", {"batch_size": 512}),
        Case("batch_4096", {"batch_size": 4096, "iterations": 2}, required=0.5),
        Case(
            "batch_16384", {"batch_size": 16384, "iterations": 1}, required=0.5
        ),
        # A step of an episode takes at most a fifth more, and in length_500.
        Case(
            "batch_65536",
            {"batch_size": 65536, "iterations": 1},
            smaller=Smaller("batch_4096", 1.2 * 16),
        ),
        Case("length_50", {"episode_length": 50}),
        Case(
            "length_500",
            {"episode_length": 500},
            smaller=Smaller("length_50", 1.2 * 10),
        ),
        *_recurrent_cases(),
        *_alignment_cases(),
    ]


def _recurrent_cases() -> list[Case]:
    return [
        Case("gru_128", _recurrent(), required=1.0),
        Case("gru_4096", _recurrent(batch_size=4096), required=1.0),
        Case("gru_seeds_1", _recurrent(batch_size=64)),
        Case(
            "gru_seeds_5",
            _recurrent(batch_size=64, num_seeds=5),
            required=0.9,
            smaller=Smaller("gru_seeds_1", 3.0),
        ),
        Case("gru_500", _recurrent(episode_length=500), has_reference=False),
        # It evaluates episodes without a loop over time.
        Case(
            "min_gru_500",
            _recurrent(recurrent="min_gru", episode_length=500),
            smaller=Smaller("gru_500", 1 / 3),
            has_reference=False,
        ),
    ]


def _alignment_cases() -> list[Case]:
    programs = "benchmarks.alignment_programs"
    return [
        Case("alignment", {}, required=1.0, programs=programs),
        Case(
            "alignment_seeds_10",
            {"num_seeds": 10, "iterations": 1},
            required=1.0,
            smaller=Smaller("alignment", 11.0),
            programs=programs,
        ),
    ]


def _recurrent(**size: Any) -> dict[str, Any]:
    return {"recurrent": "gru", "episode_length": 50, "iterations": 1} | size


def main(argv: Sequence[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown argument: {argv[1]!r}.")
    chosen = [case for case in cases() if FLAGS.only in case.name]
    with user_errors():
        if not chosen:
            raise ValueError(
                f"--only={FLAGS.only!r} names nothing. There are: "
                f"{', '.join(case.name for case in cases())}."
            )
    folder = held_folder("benchmarks.run")
    _import_pytorch()
    import_tensorflow()
    _verify_gradients()
    entries = []
    for case in chosen:
        entries += _time(case, FLAGS.turns)
        gc.collect()
    from benchmarks.plot import draw

    with folder.collect() as stage:
        write_json(stage / "benchmarks.json", entries)
        draw(entries, stage / "benchmarks.png")
    print(f"Results are in {folder.path}.")
    _warn_of_a_busy_machine(entries)


def _import_pytorch() -> None:
    # With what its optimisers import, Triton among it: Triton's LLVM aborts the
    # process if TensorFlow's was there first.
    import torch._dynamo  # noqa: F401


def _verify_gradients() -> None:
    """Stops if a program that is timed does not compute the gradient."""
    from benchmarks.verification import (
        alignment_cosines,
        cosines,
        recurrent_cosines,
    )

    for num_lookaheads in (1, 2):
        found = cosines(num_lookaheads) | recurrent_cosines(num_lookaheads)
        for name, cosine in found.items():
            _check_cosine(f"K = {num_lookaheads}, {name}", cosine, "the exact")
    for name, cosine in alignment_cosines().items():
        _check_cosine(f"Advantage Alignment, {name}", cosine, "JAX's")


def _check_cosine(name: str, cosine: float, other: str) -> None:
    from benchmarks.verification import REQUIRED_COSINE

    print(f"{name}: cosine {cosine:.5f}")
    if not cosine >= REQUIRED_COSINE:
        sys.exit(
            f"The gradient of {name} is wrong: cosine {cosine:.5f} with "
            f"{other} one, at least {REQUIRED_COSINE} required."
        )


def _time(case: Case, num_turns: int) -> list[dict[str, Any]]:
    programs = importlib.import_module(case.programs)
    size = programs.Size(**case.size)
    num_sets = 2 if case.smaller else 1
    num_iterations = size.iterations * case.num_calls
    call = programs.ours(
        size, CALLS_PER_TURN * num_turns * num_sets, case.num_calls
    )
    ours = (call, num_iterations)
    timed = {"ours": ours}
    if case.has_reference:
        call = _repeated(programs.jax_reference(size), case.num_calls)
        timed["jax"] = (call, num_iterations)
    timings = alternate(timed, num_turns)
    # Slow programs make one iteration a call, and less often than others.
    slow = {name: (getattr(programs, name)(size), 1) for name in case.others}
    timings.update(alternate(slow, 3))
    entries = [
        _entry(f"{case.name}/{name}", size, timing, timings.get("jax"))
        for name, timing in timings.items()
    ]
    if case.required is not None:
        _judge(timings["ours"], timings["jax"], "JAX", case.required)
    if case.smaller is not None:
        name, required = case.smaller
        sizes = {smaller.name: smaller.size for smaller in cases()}
        smaller = programs.Size(**sizes[name])
        call = programs.ours(smaller, CALLS_PER_TURN * num_turns)
        both = {"ours": ours, name: (call, smaller.iterations)}
        timings = alternate(both, num_turns)
        entries += [
            _entry(f"{case.name}/beside_{name}", size, timings["ours"], None),
            _entry(f"{case.name}/{name}", smaller, timings[name], None),
        ]
        _judge(timings["ours"], timings[name], name, required)
    return entries


def _repeated(call: Callable[[], None], num_calls: int) -> Callable[[], None]:
    """Returns a function that makes calls one after the other."""

    def calls() -> None:
        for _ in range(num_calls):
            call()

    return calls


def _entry(
    name: str, size: Any, timing: Timing, jax: Timing | None
) -> dict[str, Any]:
    """Returns and prints one line of the results."""
    ratio = jax and timing.median_seconds / jax.median_seconds
    print(
        f"{name:32s} {timing.median_seconds * 1e3:10.3f} ms "
        f"({timing.min_seconds * 1e3:.3f} to {timing.max_seconds * 1e3:.3f})"
        + (f", {ratio:8.2f} of JAX" if ratio else ""),
        flush=True,
    )
    return {
        "name": name,
        "settings": size._asdict(),
        **timing._asdict(),
        "ratio_to_jax": ratio,
    }


def _judge(ours: Timing, theirs: Timing, of: str, required: float) -> None:
    ratio = ours.median_seconds / theirs.median_seconds
    verdict = "holds" if ratio <= required else "MISSED"
    print(
        f"  {ratio:.2f} of {of}, at most {required:g} required: {verdict}",
        flush=True,
    )


def _warn_of_a_busy_machine(entries: Sequence[dict[str, Any]]) -> None:
    for entry in entries:
        if entry["name"] in ("batch_128/jax", "batch_4096/jax"):
            size = entry["settings"]
            plays = 2 * (size["num_lookaheads"] + 1)
            steps = plays * size["batch_size"] * size["episode_length"]
            speed = steps / entry["median_seconds"]
            print(f"{entry['name']}: {speed / 1e6:.1f} million steps a second.")
            if speed < REQUIRED_JAX_STEPS:
                print(
                    "That is less than the reference reaches on idle cores: "
                    "do not trust the ratios.",
                    file=sys.stderr,
                )


if __name__ == "__main__":
    app.run(main)

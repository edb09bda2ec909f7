"""How much `verify_estimators` samples: as in the papers, or very little."""

from typing import NamedTuple


class Sizes(NamedTuple):
    """Sizes of the three parts.

    Attributes:
      jit_compile: whether derivatives are compiled with XLA.
      dilemma_length: T of the prisoner's dilemma.
      num_chunks: parts of a sample of `true_and_estimated`.
      chunk_size: episodes in each; derivatives are averaged over the chunks,
        and leave-one-out is among the episodes of a chunk.
      num_seeds: draws of theta and of such a sample.
      num_thetas: draws of theta of `baseline_errors` and `batch_sizes`.
      baseline_batch_size: episodes per estimate of `baseline_errors`.
      baseline_repetitions: estimates per theta of `baseline_errors`.
      dilemma_batch_sizes: episodes per estimate of `batch_sizes`.
      batch_repetitions: estimates per theta of `batch_sizes`.
      process_length: T of the Markov decision processes.
      num_processes: number of processes, each with another theta.
      process_batch_sizes: episodes per estimate.
      process_repetitions: estimates per process.
    """

    jit_compile: bool
    dilemma_length: int
    num_chunks: int
    chunk_size: int
    num_seeds: int
    num_thetas: int
    baseline_batch_size: int
    baseline_repetitions: int
    dilemma_batch_sizes: tuple[int, ...]
    batch_repetitions: int
    process_length: int
    num_processes: int
    process_batch_sizes: tuple[int, ...]
    process_repetitions: int


FULL = Sizes(
    jit_compile=True,
    dilemma_length=150,
    num_chunks=50,
    chunk_size=2000,
    num_seeds=3,
    num_thetas=5,
    baseline_batch_size=128,
    baseline_repetitions=40,
    dilemma_batch_sizes=(8, 32, 128, 512, 2048),
    batch_repetitions=10,
    process_length=50,
    num_processes=5,
    process_batch_sizes=(64, 256, 1024, 4096),
    process_repetitions=5,
)

QUICK = Sizes(
    jit_compile=False,
    dilemma_length=10,
    num_chunks=2,
    chunk_size=8,
    num_seeds=2,
    num_thetas=2,
    baseline_batch_size=8,
    baseline_repetitions=2,
    dilemma_batch_sizes=(4, 8),
    batch_repetitions=2,
    process_length=5,
    num_processes=2,
    process_batch_sizes=(4, 8),
    process_repetitions=2,
)

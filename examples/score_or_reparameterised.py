"""Two gradients of one expectation: score function and reparameterised.

Of E[sin(x) + 2] with x ~ N(mu, 1), the first and the second derivative in mu,
with the standard deviation of one sample. The sample and the cost are the
same, and so are the means; what differs is the variance.
"""

import math

import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf

tfd = tfp.distributions

ESTIMATORS = {
    "score function": dict(reparameterized=[]),
    "with a baseline": dict(reparameterized=[], baselines=dict(x=2.5)),
    "reparameterised": dict(reparameterized=["x"]),
}


def derivatives(mu, **options):
    """Returns the first and second derivative at each sample."""
    with tf.GradientTape() as outer:
        outer.watch(mu)
        with tf.GradientTape() as inner:
            inner.watch(mu)
            graph = dice_tf.StochasticComputationGraph(
                nodes=dict(x=tfd.Normal(mu, 1.0)),
                costs=dict(cost=lambda x: tf.sin(x) + 2.0),
                **options,
            )
            objective = graph.objective(graph.sample((), seed=[0, 1]))
        first = inner.gradient(objective, mu)
    return first, outer.gradient(first, mu)


def main(mu=0.5, num_samples=100_000):
    factor = math.exp(-0.5)
    exact = [factor * math.cos(mu), -factor * math.sin(mu)]
    print(
        f"{'exact':16}" + "".join(f"{value:8.3f} +- 0.000" for value in exact)
    )
    found = {}
    for name, options in ESTIMATORS.items():
        each = derivatives(tf.fill([num_samples], mu), **options)
        found[name] = [
            (float(tf.reduce_mean(samples)), float(tf.math.reduce_std(samples)))
            for samples in each
        ]
        columns = (f"{mean:8.3f} +- {std:.3f}" for mean, std in found[name])
        print(f"{name:16}" + "".join(columns))
    return exact, found


if __name__ == "__main__":
    main()

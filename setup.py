"""Builds and installs dice_tf: `pip install -e ".[test]"`."""

import pathlib
import re

import setuptools

_ROOT = pathlib.Path(__file__).resolve().parent

# What `experiments/` is called when it is installed: the plain word would be a
# top-level name that other projects use, too.
_EXPERIMENTS = "dice_tf_experiments"
# Run-time integrations, one extra each; `all` is their union.
_INTEGRATIONS = {
    # Version 4.14 asks for PyTorch.
    "axelrod": ["axelrod>=4.13.1,<4.14"],
    "experiments": ["matplotlib>=3.10.8,<4"],
    # The client, and what it needs to log to a file of its own.
    "mlflow": ["alembic>=1.13,<2", "mlflow-skinny>=3,<4", "sqlalchemy>=2,<3"],
    "onnx": ["tf2onnx>=1.17,<2"],
    # Its alpha-rank imports networkx, and does not say so.
    "openspiel": ["networkx>=3.2,<4", "open_spiel>=2.0.2,<3"],
    "pettingzoo": ["pettingzoo>=1.27,<2"],
    "sweep": ["optuna>=4.3,<6"],
    "tensorboard": ["tensorboard>=2.18,<2.22"],
    "wandb": ["wandb>=0.19,<1"],
}
# Programs to measure against: JAX, PyTorch, and what OpenSpiel's agents import.
_BENCHMARKS = [
    "chex>=0.1.90",
    "distrax>=0.1.7",
    "dm-haiku>=0.0.16",
    # TensorFlow Probability 0.25 needs tables that JAX is about to drop.
    "jax>=0.4.30,<0.11",
    "optax>=0.2.4",
    "rlax>=0.1.8",
    "torch>=2.5",
    *_INTEGRATIONS["experiments"],
    *_INTEGRATIONS["openspiel"],
]
# The site: `python -m docs.build`. MathJax comes as a package, so that no page
# loads it from elsewhere.
_DOCS = [
    "django-static-mathjax>=3.2.2,<4",
    "furo>=2025.7.19",
    "myst-nb>=1.3,<2",
    "sphinx>=8.2,<10",
    "sphinx-copybutton>=0.5.2,<1",
    *_INTEGRATIONS["experiments"],
]
# Minor versions of mypy and ruff differ in what they say, so that one of each
# is fixed.
_TEST = [
    "ai-edge-litert>=2,<3",
    "hypothesis>=6.100,<7",
    "mypy>=2.4,<2.5",
    "onnxruntime>=1.20,<2",
    # Environments of PettingZoo that we did not write.
    "mpe2>=1.1.1,<2",
    "pytest>=8,<10",
    "pytest-xdist>=3.5,<4",
    "ruff>=0.17,<0.18",
    # Messages of TensorFlow Serving, which exports write without it.
    "tensorflow-serving-api>=2.18,<3",
    *_INTEGRATIONS["axelrod"],
    *_INTEGRATIONS["experiments"],
    *_INTEGRATIONS["mlflow"],
    *_INTEGRATIONS["onnx"],
    *_INTEGRATIONS["openspiel"],
    *_INTEGRATIONS["pettingzoo"],
    *_INTEGRATIONS["sweep"],
    *_INTEGRATIONS["tensorboard"],
    *_INTEGRATIONS["wandb"],
]


def _read(name):
    return (_ROOT / name).read_text(encoding="utf-8")


def _version():
    """Reads the version without importing the package and TensorFlow."""
    found = re.search(
        r'^__version__ = "(.+)"$', _read("dice_tf/version.py"), re.M
    )
    if found is None:
        raise ValueError("dice_tf/version.py has no line `__version__ = ...`.")
    return found.group(1)


def _requirements():
    lines = (line.strip() for line in _read("requirements.txt").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _packages(folder, name=None):
    """Returns the packages in a folder, which are installed below a name."""
    found = setuptools.find_packages(include=[folder, f"{folder}.*"])
    return [(name or folder) + part.removeprefix(folder) for part in found]


setuptools.setup(
    name="dice_tf",
    version=_version(),
    description="Opponent shaping (LOLA-DiCE) in TensorFlow and Keras.",
    long_description=_read("README.md"),
    long_description_content_type="text/markdown",
    author="The dice_tf Authors",
    license="Apache-2.0",
    license_files=["LICENSE"],
    packages=_packages("dice_tf") + _packages("experiments", _EXPERIMENTS),
    package_dir={_EXPERIMENTS: "experiments"},
    package_data={
        "dice_tf": ["py.typed"],
        "dice_tf.zoo": ["data/*/*"],
        f"{_EXPERIMENTS}.results": ["data/*"],
    },
    entry_points={
        "console_scripts": [f"dice-tf = {_EXPERIMENTS}.__main__:main"]
    },
    python_requires=">=3.11",
    install_requires=_requirements(),
    extras_require={
        **_INTEGRATIONS,
        "all": sorted(set(sum(_INTEGRATIONS.values(), []))),
        "benchmarks": _BENCHMARKS,
        "docs": _DOCS,
        "test": _TEST,
    },
    zip_safe=False,
    keywords=[
        "LOLA",
        "DiCE",
        "multi-agent reinforcement learning",
        "opponent shaping",
        "TensorFlow",
    ],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)

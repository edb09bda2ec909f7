"""`python -m dice_tf_experiments` is `dice-tf`; see `command_line/console.py`.

From a clone, `python -m experiments ipd` is `python -m experiments.ipd`.
"""

from .command_line.console import main

if __name__ == "__main__":
    main()

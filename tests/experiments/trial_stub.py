"""A stand-in for an experiment: it logs and ends as one does, at once.

`--rate` is what it logs, and its final return. A negative rate is logged from
the first epoch on, and never ends by itself; the rate 0 fails.
"""

import itertools
import json
import pathlib
import sys
import time

from experiments.results.folder_lock import locked
from experiments.results.run_record import RunRecord
from experiments.sweeps.search_space import Range

# A sweep of it.
RECORD = RunRecord("experiments.sweep", {"space": "any"}, "again")
SPACE = {"rate": Range(low=0.5, high=1.5)}

if __name__ == "__main__":
    options = dict(x[2:].split("=", 1) for x in sys.argv[1:] if "=" in x)
    folder = pathlib.Path(options["output_dir"])
    rate = float(options["rate"])
    with locked(folder, "a stand-in"):
        if (folder / "summary.json").exists():
            sys.exit()
        if rate == 0.0:
            sys.exit("Error: the rate is 0.")
        logs = folder / "logs" / "run"
        logs.mkdir(parents=True, exist_ok=True)
        with open(logs / "naive.csv", "w") as file:
            file.write("epoch,joint/return\n")
            for epoch in range(3) if rate > 0.0 else itertools.count():
                file.write(f"{epoch},{rate}\n")
                file.flush()
                time.sleep(0.3)
        entry = {"final_joint_return_per_run": [rate, rate + 2.0]}
        (folder / "summary.json").write_text(json.dumps({"naive": entry}))

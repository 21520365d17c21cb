"""The guide's page on clusters: its recipe for Dask gives what the same search gives without Dask; and workers' threads."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[1] / "tutorials" / "site" / "guide" / "cluster.md"
COMPARE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import recipe

def scores(search, *others):
    found = [search.cv_results_[f"split{k}_test_score"] for k in range(3)]
    return [search.best_params_, *(scores.tolist() for scores in (*found, *others))]

def threads():
    from multires_ref.base.threads import num_threads
    return num_threads()

if __name__ == "__main__":
    from dask.distributed import Client, LocalCluster
    from joblib import parallel_config
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client, parallel_config(backend="dask"):
        on_dask = scores(*recipe.search_and_scores())
        threads = list(client.run(threads).values())
    print(json.dumps([on_dask, scores(*recipe.search_and_scores()), threads]))
"""


def recipe() -> str:
    """The first Python code on the page."""
    return re.search(r"```python\n(.*?)```", GUIDE.read_text(), flags=re.S)[1]


@pytest.mark.slow
def test_the_search_on_two_workers_gives_the_scores_of_one_process(tmp_path):
    pytest.importorskip("distributed", reason="distributed is not installed")
    (tmp_path / "recipe.py").write_text(recipe())
    (tmp_path / "compare.py").write_text(COMPARE)
    environment = {name: value for name, value in os.environ.items() if not name.endswith("NUM_THREADS")}
    command = [sys.executable, "-W", "error", str(tmp_path / "compare.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    on_dask, here, threads = json.loads(done.stdout.splitlines()[-1])
    assert on_dask == here
    assert threads == [1, 1]
    command = [sys.executable, str(tmp_path / "recipe.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(on_dask[0]))


def test_the_commands_of_the_page_are_commands(capsys):
    """Every `multires-ref` line is accepted by the parser."""
    import shlex

    from multires_ref.cli import command_parser

    lines = [line for block in re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), flags=re.S) for line in block.splitlines()]
    found = [shlex.split(line.split("multires-ref ", 1)[1].replace("$RESUME", "")) for line in lines if "multires-ref " in line]
    assert len(found) >= 5
    for command, *rest in found:
        command_parser(command).parse_args(rest)

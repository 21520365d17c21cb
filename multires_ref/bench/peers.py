"""The estimators with their default settings beside MiniRocket, RDST and 1-nearest-neighbour with DTW, all from aeon.

Data: MNIST-1D (4,000 training series), and sets of the UCR and UEA archives that come with aeon, each with its own division into
training and test series. No setting is chosen for a data set. Every method learns once for each seed, which sets its random
numbers. The score is the accuracy, for regression the R^2; times include all that a method does with the series. A method that
refuses a data set is shown with what it says.

Every result is written to peers.json in --out as soon as there is one; the same command goes on where it was interrupted. The
table and peers.svg are made from that file.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..base.checks import check_int
from ..base.files import write_json
from ..base.tables import text_table
from .peers_data import DATA, load
from .timing import machine, machine_line, threads

Result = dict[str, Any]  # data, method, seed, and: score, fit_seconds, predict_seconds; or refused

PACKAGES = ("aeon", "mnist1d", "scikit-learn")


def networks(regression: bool, seed: int) -> Any:
    """Ours with its defaults: networks, and features beside them."""
    from ..estimators.classifier import MultiresClassifier
    from ..estimators.regressor import MultiresRegressor

    return (MultiresRegressor if regression else MultiresClassifier)(random_state=seed)


def features(regression: bool, seed: int) -> Any:
    """Ours without training: the features, standardised, and ridge regression, as in the features' docstring."""
    from sklearn.linear_model import RidgeClassifierCV, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from ..estimators.features import MultiresFeatures

    ridge = (RidgeCV if regression else RidgeClassifierCV)(alphas=np.logspace(-3, 3, 10))
    return make_pipeline(MultiresFeatures(random_state=seed), StandardScaler(), ridge)


def minirocket(regression: bool, seed: int) -> Any:
    """Dempster, Schmidt and Webb 2021."""
    from aeon.classification.convolution_based import MiniRocketClassifier
    from aeon.regression.convolution_based import MiniRocketRegressor

    return (MiniRocketRegressor if regression else MiniRocketClassifier)(random_state=seed)


def rdst(regression: bool, seed: int) -> Any:
    """Random dilated shapelets: Guillaume, Vrain and Elloumi 2022."""
    from aeon.classification.shapelet_based import RDSTClassifier
    from aeon.regression.shapelet_based import RDSTRegressor

    return (RDSTRegressor if regression else RDSTClassifier)(random_state=seed)


def nearest(regression: bool, seed: int) -> Any:
    """The nearest training series by dynamic time warping; nothing in it is random."""
    from aeon.classification.distance_based import KNeighborsTimeSeriesClassifier
    from aeon.regression.distance_based import KNeighborsTimeSeriesRegressor

    return (KNeighborsTimeSeriesRegressor if regression else KNeighborsTimeSeriesClassifier)(n_neighbors=1, distance="dtw")


METHODS: dict[str, Callable[[bool, int], Any]] = {
    "Multires estimator": networks,
    "MultiresFeatures + ridge": features,
    "MiniRocket": minirocket,
    "RDST": rdst,
    "1-NN DTW": nearest,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's arguments."""
    parser.add_argument(
        "--data", nargs="+", choices=DATA, default=list(DATA), metavar="NAME", help=f"data sets (default: {' '.join(DATA)})"
    )
    parser.add_argument("--seeds", type=int, default=5, help="how often every method learns (default: 5)")
    parser.add_argument("--threads", type=int, help="most threads for all methods (default: all that are allowed)")
    parser.add_argument(
        "--out", metavar="DIR", default="runs/peers", help="folder of peers.json and peers.svg (default: runs/peers)"
    )


def run(args: argparse.Namespace) -> int:
    """Measure what is not in the file yet, and print the tables; the command draws them."""
    check_int("--seeds", args.seeds, 1)
    require_aeon()
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    with threads(args.threads) as used:
        about = machine(used, PACKAGES)
        print(machine_line(about))
        report = {"machine": about, "results": known_results(out / "peers.json")}
        measure(report, args.data, args.seeds, out / "peers.json")
    print("\n".join(lines(report["results"])))
    return 0


def require_aeon() -> None:
    """Raise an ImportError with the pip command where aeon is not installed."""
    try:
        import aeon  # noqa: F401
    except ImportError:
        raise ImportError("bench peers needs aeon: pip install 'multires-ref[peers]'") from None


def known_results(path: Path) -> list[Result]:
    """What an earlier call has measured."""
    return json.loads(path.read_text())["results"] if path.exists() else []


def measure(report: dict[str, Any], names: list[str], seeds: int, path: Path) -> None:
    """Every method on every data set with every seed, but for what is in the report already; each result is written at once."""
    done = {(r["data"], r["method"], r["seed"]) for r in report["results"]}
    wanted = [(name, method, seed) for name in names for seed in range(seeds) for method in METHODS]
    for name, method, seed in wanted:
        if (name, method, seed) in done:
            continue
        warm_up(method, DATA[name].regression)
        result = one_result(METHODS[method](DATA[name].regression, seed), load(name), DATA[name].regression)
        report["results"].append({"data": name, "method": method, "seed": seed} | result)
        write_json(path, report)
        print(f"  {name}, {method}, seed {seed}: {said(result)}", flush=True)


_warm: set[tuple[str, bool]] = set()


def warm_up(method: str, regression: bool) -> None:
    """Let a method learn from a few series once in this process, so that compiling is not timed."""
    if (method, regression) not in _warm:
        _warm.add((method, regression))
        X, y = np.random.default_rng(0).standard_normal((12, 1, 32)), np.arange(12) % 2.0
        settings = {"max_epochs": 1} if method == "Multires estimator" else {}
        one_result(METHODS[method](regression, 0).set_params(**settings), (X, y, X, y), regression)


def one_result(estimator: Any, data: tuple[Any, np.ndarray, Any, np.ndarray], regression: bool) -> Result:
    """Fit, predict and score; or what the method says where it refuses the data."""
    from sklearn.metrics import accuracy_score, r2_score

    X, y, X_test, y_test = data
    began = time.perf_counter()
    try:
        estimator.fit(X, y)
    except (TypeError, ValueError) as error:
        return {"refused": str(error).strip().splitlines()[0][:200]}
    fitted = time.perf_counter()
    predicted = estimator.predict(X_test)
    ended = time.perf_counter()
    score = (r2_score if regression else accuracy_score)(y_test, predicted)
    return {"score": float(score), "fit_seconds": fitted - began, "predict_seconds": ended - fitted}


def said(result: Result) -> str:
    """One result in words."""
    if "refused" in result:
        return f"refused: {result['refused']}"
    return f"{result['score']:.4f}, fit {result['fit_seconds']:.1f} s, predict {result['predict_seconds']:.2f} s"


def of(results: list[Result], data: str, method: str, key: str) -> list[float]:
    """The values of one method on one data set, of all seeds."""
    return [r[key] for r in results if (r["data"], r["method"]) == (data, method) and key in r]


def lines(results: list[Result]) -> list[str]:
    """Two tables: mean scores over the seeds, and median seconds to fit and to predict.

    Examples
    --------
    >>> result = {"data": "GunPoint", "method": "MiniRocket", "seed": 0, "score": 0.99, "fit_seconds": 1, "predict_seconds": 2}
    >>> print("\\n".join(lines([result])))
    mean score over 1 seeds
                          MiniRocket
      GunPoint                  .990
      mean (accuracy, 1)        .990
    median seconds to fit + to predict
                MiniRocket
      GunPoint  1.0 + 2.00
    """
    names = [name for name in DATA if any(r["data"] == name for r in results)]
    methods = [method for method in METHODS if any(r["method"] == method for r in results)]
    scores = {(d, m): np.mean(v) for d in names for m in methods if (v := of(results, d, m, "score"))}
    rows = [[name, *(shown(scores.get((name, method))) for method in methods)] for name in names]
    for regression, word in ((False, "accuracy"), (True, "R^2")):
        kind = [name for name in names if DATA[name].regression == regression]
        common = [name for name in kind if all((name, method) in scores for method in methods)]
        if common:
            means = [np.mean([scores[name, method] for name in common]) for method in methods]
            rows.append([f"mean ({word}, {len(common)})", *map(shown, means)])
    seconds = [[name, *(seconds_of_two(results, name, method) for method in methods)] for name in names]
    seeds = len({r["seed"] for r in results})
    return [
        f"mean score over {seeds} seeds",
        text_table(["", *methods], rows, indent="  "),
        "median seconds to fit + to predict",
        text_table(["", *methods], seconds, indent="  "),
    ]


def shown(score: float | None) -> str:
    """A score with three digits; a method that refused has none."""
    return "refused" if score is None else f"{score:.3f}".replace("0.", ".", 1)


def seconds_of_two(results: list[Result], data: str, method: str) -> str:
    """Median seconds to fit and to predict."""
    fit, predict = (of(results, data, method, key) for key in ("fit_seconds", "predict_seconds"))
    return f"{np.median(fit):.1f} + {np.median(predict):.2f}" if fit else "refused"

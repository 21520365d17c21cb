"""A whole run: epochs of steps, validation, checkpoints, and the test score of the epoch that was best in validation.

Best is the best validation score; of equal scores, which a small validation part gives often, the one with the lower loss.

fit            start or resume, run the epochs, finish
run_epoch      steps over shuffled batches, a checkpoint now and then
one_step       `train_step` of `step.py`, and the explanation where the loss is not finite
finish_epoch   validation, the best epoch's model, a line in metrics.jsonl, a checkpoint
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from ..base.arrays import Array
from ..base.files import remove_stale, write_json
from ..base.lock import FolderLock
from ..base.pytrees import count_elements
from ..base.ranks import ALONE, Ranks, Share
from ..base.streams import say
from ..distributed.waiting import RankLost
from ..network import Model, NetworkConfig
from ..network.norms import NORMS
from .checkpoint import load_run, model_tensors, read_checkpoint, save_checkpoint
from .config import TrainingConfig, check_compatible
from .console import Progress, RunInterrupted, StopRequest
from .data import Split, batch_slices, cast, check_bucket, check_splits, epoch_order
from .device import batch_to_device, check_device, model_to_device, to_numpy
from .evaluate import evaluate
from .objectives import Objective, absent_classes
from .run_folder import (
    RanksDiffer,
    RunStopped,
    changes,
    check_free_for,
    check_same,
    holds_no_run,
    identity,
    make_folder,
    read_config,
    read_lines,
    read_result,
    settings_of,
    write_lines,
)
from .run_state import Job, RunState, check_best_file, checksum, new_run, run_from, save_run
from .step import NonFiniteLoss, all_finite, explain, first_bad_array, train_step

GPU_CHECK = 50  # steps between two looks at the loss on a GPU: a look makes the CPU wait for it


def fit(
    network: NetworkConfig,
    training: TrainingConfig,
    splits: dict[str, Split],
    objective: Objective,
    out: str | Path,
    *,
    resume: bool = False,
    device: str = "cpu",
    about: dict[str, Any] | None = None,
    quiet: bool = False,
    beside: dict[str, np.ndarray] | None = None,
    ranks: Ranks = ALONE,
) -> dict[str, Any]:
    """Train a network, keep everything in the folder `out`, and return what stands in its metrics.json.

    Parameters
    ----------
    network, training : the settings
    splits : {"train": Split, "val": Split, "test": Split}, NumPy arrays
    objective : Objective, from `get_objective`
    out : path
        The run folder; see `run_folder.py` for what it holds. It must be new or empty, unless `resume`.
    resume : bool
        Go on from last.safetensors. The result is bit for bit that of a run without a break, on one machine with the same
        packages.
    device : "cpu" or "gpu"
    about : dict
        Names to keep in config.json, such as {"task": "digits", "scale": "full"}.
    quiet : bool
        No progress bar.
    beside : dict
        Arrays by name that the checkpoints keep beside the model, such as the standardisation of its input.
    ranks : Ranks
        The processes that train together; all of them call this function with the same arguments. Each takes its share of every
        batch, and rank 0 alone reads and writes the folder.

    Returns
    -------
    metrics : dict
        test_<score>, test_loss, val_<score>, test_<further score>, best_epoch, epochs, steps, parameters, seconds.

    Raises
    ------
    NonFiniteLoss
        The loss became NaN or infinite; the message says in which epoch, step and layer. The last good checkpoint stands.
    RunInterrupted
        After Ctrl-C: the step in progress was finished and last.safetensors written.
    RunStopped
        A file of the run could not be written, for example because the disk is full. The last good checkpoint stands. Of several
        ranks only rank 0 raises it.
    RanksDiffer, RankLost
        The ranks' parameters are not the same any more; another rank has gone.
    FolderInUse
        Another process trains in the folder.
    FileExistsError, FileNotFoundError, ValueError, OSError
        A folder that is not empty, nothing to resume, a damaged or foreign checkpoint, settings that differ on resuming, data
        that do not fit the network, a folder that cannot be made.
    """
    check_device(device, ranks)
    check_compatible(network, training, objective.name, device)
    check_splits(network, splits, objective.name)
    check_bucket(splits, training.bucket)
    splits = {name: cast(split, training.dtype) for name, split in splits.items()}
    config = identity(network, training, splits, objective.name, device, about)
    check_same_data(ranks, config)
    job = Job(network, training, splits, objective, Path(out), device, config, beside or {}, ranks)
    with ExitStack() as stack:
        ranks.once(lambda: open_folder(job, resume, stack))
        run = resumed(job) if resume else started(job)
        over = resume and run.epoch == training.epochs
        result = ranks.once(lambda: read_result(job.out, objective.score_name)) if over else None
        return result or go_on(job, run, quiet or not ranks.first)


def open_folder(job: Job, resume: bool, stack: ExitStack) -> None:
    """Make the run's folder, or see that it holds a run to resume; lock it until `stack` is closed."""
    if resume:
        read_config(job.out)  # before anything is written there
    else:
        make_folder(job.out)
    stack.enter_context(FolderLock(job.out))
    remove_stale(job.out)


def check_same_data(ranks: Ranks, config: dict[str, Any]) -> None:
    """Raise a ValueError that names the setting unless all ranks have the same settings and data."""
    configs = ranks.gather_objects(config)
    for rank, other in enumerate(configs):
        if changed := changes(settings_of(configs[0]), settings_of(other)):
            raise ValueError(f"all ranks must train the same run; rank {rank} has other settings than rank 0: {changed}")


def go_on(job: Job, run: RunState, quiet: bool) -> dict[str, Any]:
    """All that is still to do of a run: its steps and its test score."""
    try:
        request, bar = StopRequest(job.ranks.first, job.ranks.check_alive), Progress(job.steps, run.step, quiet)
        # numbers that are not finite are looked for, and explained, in one_step
        with np.errstate(all="ignore"), request as stop, bar as progress:
            while run.epoch < job.training.epochs:
                run_epoch(job, run, stop, progress)
                finish_epoch(job, run, progress)
                if job.ranks.flags(stop.requested)[0] and run.epoch < job.training.epochs:
                    raise RunInterrupted(f"stopped after epoch {run.epoch} of {job.training.epochs}; {job.out} is saved")
        return finish(job, run)
    except RankLost as error:
        raise RankLost(f"{error}. {kept(job)}") from None
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise RunStopped(f"stopped in epoch {run.epoch + 1} after step {run.step} of {job.steps}: {what}. {kept(job)}") from error


def started(job: Job) -> RunState:
    """A fresh run in its folder, with a checkpoint from before its first step."""
    job.ranks.once(lambda: begin(job))
    run = new_run(job.network, job.training, job.device)
    save(job, run)
    return run


def begin(job: Job) -> None:
    """Write config.json, where no other run has been."""
    check_free_for(job.out, job.config)
    write_json(job.out / "config.json", job.config)


def resumed(job: Job) -> RunState:
    """The run in the folder, or a fresh one where that was stopped before its first checkpoint."""
    run = job.ranks.once(lambda: found(job))
    if run is None:
        return started(job)
    job.started -= run.seconds
    return run


def found(job: Job) -> RunState | None:
    """The run in the folder, if it is this one; epochs in metrics.jsonl that are later than its checkpoint are dropped."""
    if holds_no_run(job.out):
        check_same(job.out, settings_of(read_config(job.out)), settings_of(job.config))
        say(f"{job.out} has no checkpoint: the run starts from its beginning")
        return None
    path = job.out / "last.safetensors"
    tensors, metadata = read_checkpoint(path)
    check_same(job.out, settings_of(metadata), settings_of(job.config))
    run, lines = run_from(path, tensors, metadata, job), read_lines(job.out)
    if len(lines) < run.epoch:
        raise ValueError(
            f"{job.out / 'metrics.jsonl'} holds {len(lines)} epochs, and {path} has finished {run.epoch}: put the lines of the "
            "other epochs back"
        )
    check_best_file(job.out / "best.safetensors", run)
    if len(lines) > run.epoch:
        write_lines(job.out, lines[: run.epoch])
    return run


def run_epoch(job: Job, run: RunState, stop: StopRequest, progress: Progress) -> None:
    """The steps of one epoch that are still to do."""
    train, size = job.splits["train"], job.training.batch_size
    if run.order is None:
        run.order = epoch_order(train, size, run.rng, job.training.bucket)
    crop = job.training.bucket and NORMS[job.network.norm].per_step  # BatchNorm's statistics see the padding: it stays
    for part in list(batch_slices(len(train), size))[run.position :]:
        index = run.order[part]
        share = job.ranks.share(len(index))
        one_step(job, run, train.take(index[share.rows] if share else index, crop=crop), share, progress)
        due = job.ranks.first and time.monotonic() - job.saved > job.training.checkpoint_seconds
        asked, due = job.ranks.flags(stop.requested, due)
        if asked or due:
            save(job, run)
        if asked:
            raise RunInterrupted(f"stopped in epoch {run.epoch + 1} after step {run.step} of {job.steps}; {job.out} is saved")


def one_step(job: Job, run: RunState, batch: Split, share: Share | None, progress: Progress) -> None:
    """One training step, what it adds to the epoch's loss, and a stop with an explanation where the loss is not finite."""
    batch = batch_to_device(batch, job.device)
    before, lr = run.rng.bit_generator.state, job.lr(run.step)
    try:
        settings = job.objective, job.training, share
        with run.buffers:
            loss, run.norm_state = train_step(
                job.network, run.params, run.norm_state, run.optimizer_state, batch, lr, run.rng, *settings
            )
        run.position += 1
        add_loss(job, run, loss, batch, share)
        if job.device == "cpu" or run.position % GPU_CHECK == 0:
            look(run, lr, progress)
    except NonFiniteLoss as error:
        run.rng.bit_generator.state = before  # so that the explanation drops the same channels
        why = explain(job.network, run.params, run.norm_state, batch, run.rng, job.training.engine, share)
        where = f"in epoch {run.epoch + 1}, step {run.position + (job.device == 'cpu')} of {job.steps_per_epoch}"
        raise NonFiniteLoss(f"{error} {where}: {why}. {kept(job)}") from None
    progress.step()


def add_loss(job: Job, run: RunState, loss: Array, batch: Split, share: Share | None) -> None:
    """Count a batch's loss in the epoch's mean; on a GPU without waiting for it."""
    weight = job.objective.weight(batch.y)
    if share is not None:  # that of the whole batch
        weight = weight // len(batch) * share.size
    value = float(loss) if job.device == "cpu" else loss.astype("float64")
    run.loss_sum = run.loss_sum + value * (1 if job.objective.summed else weight)
    run.weight += weight


def look(run: RunState, lr: float, progress: Progress) -> None:
    """Show the epoch's mean loss so far; raise an error if it is not finite."""
    mean = float(run.loss_sum) / run.weight
    if not np.isfinite(mean):
        raise NonFiniteLoss(f"the mean loss is {mean}")
    progress.show(epoch=run.epoch + 1, loss=f"{mean:.4f}", lr=f"{lr:.2e}")


def kept(job: Job) -> str:
    """Where the last good checkpoint is."""
    return f"The last good checkpoint is kept: {job.out / 'last.safetensors'}"


def finish_epoch(job: Job, run: RunState, progress: Progress) -> None:
    """Validate; keep the model if it is the best so far; write the epoch's line; save."""
    mean = float(run.loss_sum) / run.weight
    run.epoch, run.position, run.order, run.loss_sum, run.weight = run.epoch + 1, 0, None, 0.0, 0
    check_finite(job, run)
    scores = validate(job, run)
    score, loss = scores[job.objective.score_name], scores["loss"]
    if job.objective.better(score, run.best_score) or (score == run.best_score and loss < run.best_loss):
        run.best_epoch, run.best_score, run.best_loss = run.epoch, score, loss
        if job.ranks.first:
            save_best(job, run)
    run.seconds = time.monotonic() - job.started
    line = {"epoch": run.epoch, "step": run.step, "lr": job.lr(run.step - 1), "train_loss": mean}
    line |= {f"val_{name}": value for name, value in scores.items()} | {"seconds": round(run.seconds, 3)}
    if job.ranks.first:
        write_lines(job.out, [*read_lines(job.out), line])
    save(job, run)
    progress.show(**{f"val_{job.objective.score_name}": f"{score:.4f}"})


def validate(job: Job, run: RunState) -> dict[str, float]:
    """Loss and score of the validation split."""
    model = Model(job.network, run.params, run.norm_state)
    try:
        return evaluate(model, job.splits["val"], job.objective, job.training.batch_size, job.training.engine, job.ranks)
    except NonFiniteLoss as error:
        raise NonFiniteLoss(f"in validation after epoch {run.epoch}: {error}. {kept(job)}") from None


def check_finite(job: Job, run: RunState) -> None:
    """Raise an error unless all parameters, statistics and moments are finite: others are never saved."""
    bad = first_bad_array({"params": run.params, "state": run.norm_state, "optimizer": {k: run.optimizer_state[k] for k in "mv"}})
    if bad is not None or not all_finite(np.asarray(float(run.loss_sum))):
        raise NonFiniteLoss(f"{bad or 'the loss'} is not finite after step {run.step} of {job.steps}. {kept(job)}")


def save(job: Job, run: RunState) -> None:
    """Write last.safetensors, after a look at whether all ranks have the same numbers."""
    check_finite(job, run)
    check_ranks_agree(job, run)
    run.seconds = time.monotonic() - job.started
    if job.ranks.first:
        save_run(job.out / "last.safetensors", run, job.config, job.beside)
    job.saved = time.monotonic()


def check_ranks_agree(job: Job, run: RunState) -> None:
    """Raise a RanksDiffer unless parameters, statistics, moments and generator are the same on all ranks, bit for bit."""
    if job.ranks.size == 1:
        return
    checksums = job.ranks.gather(np.array(checksum(run)))
    if others := np.flatnonzero(checksums != checksums[0]).tolist():
        which = f"{'rank' if len(others) == 1 else 'ranks'} {', '.join(map(str, others))}"
        raise RanksDiffer(f"{which} and rank 0 do not hold the same parameters after step {run.step} of {job.steps}. {kept(job)}")


def save_best(job: Job, run: RunState) -> None:
    """Write best.safetensors: the model alone, with the epoch and its validation score."""
    tensors = {name: to_numpy(array) for name, array in model_tensors(run.params, run.norm_state).items()}
    best = {"epoch": run.best_epoch, f"val_{job.objective.score_name}": run.best_score}
    save_checkpoint(job.out / "best.safetensors", tensors | job.beside, job.config | {"best": best})


def finish(job: Job, run: RunState) -> dict[str, Any]:
    """The test score of the best epoch, and metrics.json."""
    model = model_to_device(job.ranks.once(lambda: load_run(job.out)), job.device)
    scores = evaluate(model, job.splits["test"], job.objective, job.training.batch_size, job.training.engine, job.ranks)
    name = job.objective.score_name
    metrics = {f"test_{name}": scores[name], "test_loss": scores["loss"], f"val_{name}": run.best_score}
    metrics |= {f"test_{also}": scores[also] for also in job.objective.also}
    metrics |= {"best_epoch": run.best_epoch, "epochs": run.epoch, "steps": run.step}
    metrics |= {"parameters": count_elements(model.params), "seconds": round(time.monotonic() - job.started, 3)}
    if job.objective.name == "multilabel":
        metrics["test_left_out"] = absent_classes(job.splits["test"].y)  # labels without a ROC curve there
    if job.ranks.first:
        write_json(job.out / "metrics.json", metrics)
    return metrics

"""Ranks as the training sees them, with threads in the place of processes: shares, sums, and what mistakes would do."""

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import rank_cases
from rank_cases import TOLERANCE, in_threads, largest_difference, train

from multires_ref import NetworkConfig, init_params, init_state
from multires_ref.base.pytrees import flatten
from multires_ref.base.ranks import ALONE, Ranks, Share
from multires_ref.network import block, norms
from multires_ref.ops import batch_norm as bn
from multires_ref.training import loop, step
from multires_ref.training.data import Split
from multires_ref.training.objectives import Objective, get_objective
from multires_ref.training.run_folder import RanksDiffer
from multires_ref.training.step import loss_and_gradients


def share_of(rank, size, B):
    ranks = Ranks()
    ranks.rank, ranks.size = rank, size
    return Share(ranks, B)


@pytest.mark.parametrize(("B", "counts"), [(10, (3, 3, 2, 2)), (4, (1, 1, 1, 1)), (2, (1, 1, 0, 0))])
def test_shares_cover_the_batch(B, counts):
    shares = [share_of(rank, 4, B) for rank in range(4)]
    assert all(share.counts == counts for share in shares)
    rows = [np.arange(B)[share.rows] for share in shares if share.own]
    assert np.array_equal(np.concatenate(rows), np.arange(B))
    assert [share.rows for share in shares if not share.own] == [slice(0, 1)] * counts.count(0)
    assert sum(share.weight for share in shares) == 1


def test_alone_there_is_no_share_and_nothing_to_exchange():
    assert ALONE.share(5) is None
    assert ALONE.flags(True, False) == [True, False]
    assert ALONE.broadcast(3) == 3
    with pytest.raises(ZeroDivisionError):
        ALONE.once(lambda: 1 / 0)


def test_what_rank_0_does_once_all_get():
    calls = []

    def work(ranks):
        return ranks.once(lambda: calls.append(ranks.rank) or "done"), ranks.flags(ranks.rank == 2, False)

    assert in_threads(3, work) == [("done", [True, False])] * 3
    assert calls == [0]
    caught = in_threads(3, lambda ranks: caught_from(lambda: ranks.once(lambda: 1 / 0)))
    assert caught == ["ZeroDivisionError: division by zero"] * 3


def caught_from(call):
    try:
        return call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def gradients(share, config, batch, objective):
    params, state = init_params(config, np.random.default_rng(0), "float64"), init_state(config, "float64")
    own = batch if share is None else batch.take(np.arange(share.size)[share.rows])
    value, grads, state = loss_and_gradients(config, params, state, own, np.random.default_rng(1), objective, "tree", share)
    return flatten({"loss": value, "grads": grads, "state": state})


@pytest.mark.parametrize("norm", norms.NORMS)
@pytest.mark.parametrize(("ranks", "B"), [(2, 5), (3, 2), (4, 1)])
def test_loss_gradients_and_statistics_are_those_of_the_whole_batch(norm, ranks, B, rng):
    """With unequal shares, and with ranks that have no example."""
    config = NetworkConfig(2, 3, d_model=5, n_layers=2, max_length=9, norm=norm, dropout=0.3)
    batch, objective = Split(rng.standard_normal((B, 2, 9)), rng.integers(0, 3, B)), get_objective("classification")
    whole = gradients(None, config, batch, objective)
    for parts in in_threads(ranks, lambda ranks: gradients(ranks.share(B), config, batch, objective)):
        assert parts.keys() == whole.keys()
        for name in whole:
            np.testing.assert_allclose(parts[name], whole[name], rtol=1e-10, atol=1e-13, err_msg=name)


def test_the_compiled_batch_norm_and_the_definition_agree_on_a_share(rng):
    pytest.importorskip("numba")
    g, x, r = rng.standard_normal((3, 3, 4, 6))
    weight, bias = rng.standard_normal((2, 4))

    def work(function, ranks):
        share = ranks.share(2 if ranks.size == 3 else 6)
        rows = share.rows
        args = x[rows], r[rows], weight, bias, *bn.statistics_of_all_ranks(x[rows], r[rows], share), True, share
        return function(g[rows], *args)

    x, r, g = (np.concatenate([a, a]) for a in (x, r, g))
    for size in (2, 3):  # on 3 ranks one has no example
        one = in_threads(size, lambda ranks: work(bn.batch_norm_adjoint.definition, ranks))
        two = in_threads(size, lambda ranks: work(bn.batch_norm_adjoint, ranks))
        for a, b in zip(one, two, strict=True):
            for p, q in zip(a, b, strict=True):
                np.testing.assert_allclose(p, q, rtol=1e-12, atol=1e-14)


def compared(tmp_path, objective, norm, ranks=3, **options):
    """The largest difference of a run on one process and one on several."""
    train(objective, norm, tmp_path / "one", **options)
    in_threads(ranks, lambda r: train(objective, norm, tmp_path / "many", r, **options))
    return largest_difference(tmp_path / "one", tmp_path / "many", objective, norm)


@pytest.mark.parametrize(("objective", "norm"), [("classification", "batch"), ("density", "layer"), ("tagging", "rms")])
def test_a_run_on_three_ranks_is_the_run_on_one(objective, norm, tmp_path):
    assert compared(tmp_path, objective, norm, engine="tree") < TOLERANCE


def local_statistics(x, r, share):
    return bn.batch_statistics(x, r)


def local_sums(dweight, dbias, shape, share):
    return dweight, dbias, 1.0 / (shape[0] * shape[2])


def masks_by_rank(config, rng, x, share=None):
    return block_masks(config, rng, x, None)


block_masks = block.dropout_masks
MISTAKES = {
    "local statistics": lambda m: m.setattr(norms, "statistics_of_all_ranks", local_statistics),
    "local sums backwards": lambda m: m.setattr(bn, "batch_sums", local_sums),
    "an example that is not the rank's own": lambda m: m.setattr(bn, "of_own_examples", lambda ds, share: ds),
    "the mean of means": lambda m: m.setattr(Objective, "part", lambda self, share: 1 / share.ranks.size),
    "masks by rank": lambda m: m.setattr("multires_ref.network.model.dropout_masks", masks_by_rank),
    "clipping before the sum": lambda m: m.setattr(step, "value_and_gradients", clipped_first(step.value_and_gradients)),
}


def clipped_first(real):
    def value_and_gradients(*args):
        value, grads = real(*args)
        return value, step.clip_by_global_norm(grads, 0.5)

    return value_and_gradients


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_seen(mistake, tmp_path, monkeypatch):
    """The comparison above is no test that cannot fail: each of these makes it fail by far."""
    monkeypatch.setattr("multires_ref.ops.registry.SOURCES", {"numpy": ("numpy",)})
    for function in (bn.batch_norm, bn.batch_norm_adjoint):
        monkeypatch.setattr(function, "chosen", {})
    train("tagging", "batch", tmp_path / "one", engine="tree", epochs=1)
    MISTAKES[mistake](monkeypatch)
    try:
        in_threads(3, lambda ranks: train("tagging", "batch", tmp_path / "many", ranks, engine="tree", epochs=1))
    except RanksDiffer:  # statistics and masks that differ from rank to rank are found by the run itself
        assert mistake in ("local statistics", "masks by rank")
        return
    assert largest_difference(tmp_path / "one", tmp_path / "many", "tagging", "batch") > 1e6 * TOLERANCE


def test_sums_in_another_order_are_seen_by_the_checksum(tmp_path, monkeypatch):
    """Each rank adds in its own order: the parameters differ in their last bits, and the run stops."""

    def sum_from_own(self, array):
        parts = np.roll(self.gather(array), -self.rank, axis=0)
        return parts[0] + parts[1] + parts[2]

    monkeypatch.setattr(rank_cases.ThreadRanks, "sum", sum_from_own)
    with pytest.raises(RanksDiffer, match="and rank 0 do not hold the same parameters after step"):
        in_threads(3, lambda ranks: train("tagging", "batch", tmp_path / "run", ranks, engine="tree"))


def test_ranks_with_other_data_or_settings_are_refused(tmp_path, monkeypatch):
    real, here = rank_cases.splits, threading.local()

    def splits(objective):
        parts = real(objective)
        return parts | {"val": parts["test"]} if getattr(here, "odd", False) else parts

    def work(ranks):
        here.odd = ranks.rank == 1
        return train("tagging", "rms", tmp_path / "run", ranks, engine="tree")

    monkeypatch.setattr(rank_cases, "splits", splits)
    with pytest.raises(ValueError, match=r"rank 1 has other settings than rank 0: data\.val"):
        in_threads(2, work)
    assert not (tmp_path / "run").exists()


def test_a_run_begun_on_four_ranks_resumes_on_three(tmp_path, monkeypatch):
    train("classification", "batch", tmp_path / "one", engine="tree")
    real = loop.save_run

    def killed(path, run, *rest):
        real(path, run, *rest)
        if run.step == 9:
            raise MemoryError

    monkeypatch.setattr(loop, "save_run", killed)
    options = {"engine": "tree", "checkpoint_seconds": 0.0}
    with pytest.raises(MemoryError):
        in_threads(4, lambda ranks: train("classification", "batch", tmp_path / "many", ranks, **options))
    monkeypatch.setattr(loop, "save_run", real)
    in_threads(3, lambda ranks: train("classification", "batch", tmp_path / "many", ranks, resume=True, **options))
    assert largest_difference(tmp_path / "one", tmp_path / "many", "classification", "batch") < TOLERANCE


def test_evaluation_is_shared_and_its_result_is_the_same_bit_for_bit(rng, tmp_path):
    from multires_ref import Model
    from multires_ref.training import evaluate as module

    config = NetworkConfig(2, 3, d_model=5, n_layers=1, max_length=9)
    model, split = Model.init(config, rng, "float64"), Split(rng.standard_normal((23, 2, 9)), rng.integers(0, 3, 23))
    objective, seen = get_objective("classification"), []

    def counted(self, *args, **kwargs):
        seen.append(threading.get_ident())
        return Model.__call__(self, *args, **kwargs)

    class Counted(Model):
        __call__ = counted

    one = module.evaluate(model, split, objective, 4, "tree")
    counting = Counted(config, model.params, model.state)
    assert in_threads(3, lambda ranks: module.evaluate(counting, split, objective, 4, "tree", ranks)) == [one] * 3
    assert len(seen) == 6  # batches
    assert sorted(seen.count(thread) for thread in set(seen)) == [2, 2, 2]


class Done:
    """A request that is over, and MPI's function that tests requests."""

    def Test(self):
        return True

    @staticmethod
    def Testall(requests):
        return True


class Itself:
    """A communicator of one rank, which takes arrays of any kind, as CUDA-aware MPI does."""

    def copy(self, own, to):
        to[:] = own
        return Done()

    Ialltoall = Iallgather = copy


def test_buckets_on_a_gpu_stay_there_with_a_cuda_aware_mpi(monkeypatch):
    """With the stand-in for CuPy: nothing is copied to the host, and MPI reads only what the device has finished."""
    import fake_cupy

    from multires_ref.distributed.buckets import Buckets, plan_of

    with fake_cupy.installed(monkeypatch) as cupy:
        ranks = SimpleNamespace(size=1, direct=True, scattered=Itself(), gathered=Itself(), wait=lambda *r, **k: None)
        ranks.mpi = SimpleNamespace(Request=Done)
        params = {"a": cupy.asarray(np.ones((2, 3))), "b": cupy.asarray(np.ones(4))}
        buckets = Buckets(ranks, plan_of(params, 1, bucket=32), params).start()
        fake_cupy.log.clear()
        buckets.add("b", 2 * params["b"])
        result = buckets.result({"a": 3 * params["a"], "b": 2 * params["b"]})
        assert fake_cupy.log["sync"] == 4  # once before each of two messages of two buckets
        assert [type(result[name]).__name__ for name in "ab"] == ["ndarray"] * 2
        assert isinstance(result["a"], cupy.ndarray)
        assert np.array_equal(result["a"].get(), np.full((2, 3), 3.0))
        assert np.array_equal(result["b"].get(), np.full(4, 2.0))


def test_the_single_process_takes_the_same_path():
    """A share that is the whole batch gives the bits of no share at all."""
    config = replace(rank_cases.network("tagging", "layer"), dropout=0.3)
    batch, objective = rank_cases.splits("tagging")["train"], get_objective("tagging")
    one, whole = (gradients(share, config, batch, objective) for share in (None, Share(ALONE, len(batch))))
    assert all(np.array_equal(one[name], whole[name]) for name in one)

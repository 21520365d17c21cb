# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 9. Making it fast
#
# The layer of the paper (Shi, Wang and Fox, [arXiv 2305.01638](https://arxiv.org/abs/2305.01638)) can be computed in several ways that give the
# same numbers. The package calls them *engines*, and this notebook finds each of them from a simple thought: where does the time go, and what of it
# is needed? We count before we measure: counts hold on every machine.

# %%
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from multires_ref import equivalent_kernel, multires_conv, pyramid, wavelet_filters
from multires_ref.plots.style import show

# %% [markdown]
# ## Where the time goes
#
# Take the paper's image network: batches of 50, 256 channels, 1,024 steps. One array of that shape in float32 is 50 * 256 * 1024 * 4 bytes, 52
# million. The tree has J = 10 levels, each makes two arrays, and each of them from K = 2 shifted and scaled ones.
#
# A CPU multiplies faster than its memory delivers. To multiply an array by a number and write the result, it reads 52 MB and writes 52 MB, and
# does one multiplication per 8 bytes moved: it waits nearly all the time. So the thing to count is not multiplications. It is how
# often a whole array travels between memory and CPU.
#
# Call *a pass* reading a whole array once and writing a whole array once. In the plain NumPy tree a filter of two taps is: scale, shift, scale,
# add. That is about four passes, two a tap. Two filters a level and ten levels make J · 2 · 2 K = 80 passes, for a result that needs x read once
# and y written once: *one* pass.

# %%
B, D, L, K, J = 50, 256, 1024, 2, 10
array = B * D * L * 4
passes = J * 2 * (2 * K)
print(
    f"one array {array / 1e6:.0f} MB; plain tree {passes} passes, {2 * passes * array / 1e9:.0f} GB moved; needed {2 * array / 1e9:.1f} GB"
)
assert array == 52_428_800 and passes == 80

# %% [markdown]
# And in the whole network? Most multiplications are in the 1x1 maps, which are products of matrices: there each number that is loaded is used
# hundreds of times, so the CPU is busy and does not wait. The tree is a small part of the multiplications; what part of the *time* it is depends on
# how well its passes are avoided. `work_by_part` counts multiply-adds for one step of one sequence:

# %%
from multires_ref.network.account import work_by_part
from multires_ref.tasks import get_task

work = work_by_part(get_task("scifar10").network)
print(work, f"the tree's share: {100 * work['tree'] / sum(work.values()):.0f} %")
assert work["1x1 maps"] == 10 * 2 * 256 * 256

# %% [markdown]
# ## First thought: the details are not needed
#
# The output wants w_i b_i[n], and b_i is h1 over a_{i-1}. So scale the *filter* instead of the signal: q_i = w_i h1 is K numbers, made once, and
# b_i is never written down. The skip weight joins in for free: it is added to the first tap of the finest q.
#
# By hand, with h1 = (-1, 1), w for b_1 of 2 and a skip of 1: q_1 = (-2 + 1, 2) = (-1, 2). At x = (..., 3, 4): -1 * 4 + 2 * 3 = 2, and the long way:
# 2 * (3 - 4) + 1 * 4 = 2. (In the call below, `kept=(1,)` says that one detail of level 1 is kept; 7 is the weight of a_1.)

# %%
from multires_ref.engines.readout import fold

h1_levels = np.array([[[-1.0, 1.0]]])  # [J, D, K] with one level and one channel
q, w_a = fold(h1_levels, np.array([[7.0, 2.0]]), np.array([1.0]), kept=(1,))
print(q[0], w_a)
assert np.array_equal(q[0], [[-1.0, 2.0]]) and w_a == [7.0]
assert q[0][0] @ [4, 3] == 2 * (3 - 4) + 1 * 4

# %% [markdown]
# Write ⊛ᵢ for filtering with the dilation of level i, 2^(i-1). Then the layer is: a_0 = x; at each level y += q_i ⊛ᵢ a_{i-1} and a_i = h0 ⊛ᵢ
# a_{i-1}; at the end y += w_a a_J. Written with the function that we have had since the first notebook:

# %%
from multires_ref.tree import dilated_conv

rng = np.random.default_rng(0)
h0, h1 = wavelet_filters("haar")
w, w_skip = rng.standard_normal(6), 0.3  # a_5, b_5, ..., b_1
x = rng.standard_normal(200)
layer = {"h0": h0[None], "h1": h1[None], "w": w[None], "w_skip": np.array([w_skip])}
reference = multires_conv(x[None, None], **layer, engine="tree")[0, 0]


# %%
def folded(x, q, w_a):
    y, a = 0, x
    for i, q_i in enumerate(q):
        y, a = y + dilated_conv(a, q_i, 2**i), dilated_conv(a, h0, 2**i)
    return y + w_a * a


# %%
q = [w[5 - i] * h1 + (np.array([w_skip, 0.0]) if i == 0 else 0) for i in range(5)]
assert np.allclose(folded(x, q, w[0]), reference)

# %% [markdown]
# ## Second thought: one long filter, by FFT
#
# A layer is linear, causal and the same at all times, so it *is* one filter: its answer to a single 1 (notebook 4). That filter is as long as the
# sequence, and applying it directly would cost L multiplications a sample. But there is a way to convolve with long filters: a convolution of
# signals is a product of their spectra.
#
# The smallest case: (1, 2) convolved with (3, 4) is (3, 10, 8): 1*3, 1*4 + 2*3, 2*4. By FFT: transform both, multiply, transform back. There is
# one trap. The FFT thinks that signals go round in a circle, so with length 2 the last 8 comes round to the front: (11, 10). The cure is
# to put enough zeros behind.


# %%
def by_fft(a, b, n):
    return np.fft.irfft(np.fft.rfft(a, n) * np.fft.rfft(b, n), n)


print("round and round", by_fft([1, 2], [3, 4], 2).round(9), " with room", by_fft([1, 2], [3, 4], 3 + 1).round(9))
assert np.allclose(by_fft([1, 2], [3, 4], 2), [11, 10])
assert np.allclose(by_fft([1, 2], [3, 4], 4), [3, 10, 8, 0])

# %% [markdown]
# Our layer the same way: its kernel, 200 samples of it, and transforms with room for both. The gradient is a convolution as well (notebook 5), so
# it goes through the same door.

# %%
kernel = equivalent_kernel(**layer)[0]
long_way = by_fft(x, np.pad(kernel, (0, max(0, 200 - len(kernel))))[:200], 400)[:200]
assert np.allclose(long_way, reference)
assert np.allclose(multires_conv(x[None, None], **layer, engine="fft")[0, 0], reference)

# %% [markdown]
# The cost is that of the transforms, about L log L, *whatever* K and J and the size of the memory are. So this way is the better one, the longer
# filters or memories are, for example with the uniform memory, whose q_i have many taps. Against the plain tree with its eighty passes it wins
# already with two taps and the fading memory, as the chart below shows; against the next engine only with much longer ones.
#
# The price: an FFT mixes all samples with each other, so each output gets a rounding error of the size of the *loudest* sample. Where a signal
# has a peak and then is quiet, the quiet part suffers. Here, in float32, a peak of a million at the start:

# %% tags=["varies"]
loud = x.astype(np.float32)
loud[0] = 1e6
narrow = {name: a.astype(np.float32) for name, a in layer.items()}
exact = multires_conv(loud.astype(float)[None, None], **{name: a.astype(float) for name, a in narrow.items()}, engine="tree")
off = {e: abs(multires_conv(loud[None, None], **narrow, engine=e) - exact)[0, 0, 100:].max() for e in ("tree", "fft")}
print("error 100 samples after the peak:", {name: f"{error:.0e}" for name, error in off.items()})
assert off["tree"] < 1e-5 < off["fft"]

# %% [markdown]
# ## Third thought: stay in the cache
#
# A row, one channel of one example, is 1,024 numbers of 4 bytes: 4 KB. That fits many times over in a CPU's nearest cache, whose passes are far
# cheaper than those to memory. The plain tree does level 1 for *all* 12,800 rows, then level 2 for all of them, and each time everything has gone
# from the cache. Turn the loops inside out: for each row, *all* levels. Then x is read once and y written once, and the passes in between are in
# the cache. This is called *fusing*.
#
# One more turn makes it better still. Going from fine to coarse one must carry two things along: a, and the y summed up so far. Go from
# coarse to fine, as Horner evaluates a polynomial: 2 + 3 t + 5 t² = 2 + t (3 + t 5), one thing carried along.
#
# Why may the order be turned round? Two filters in a row may be exchanged, as two factors may. Look at two levels, written out:
#
# $$y = q_1 ⊛_1 x + q_2 ⊛_2 (h_0 ⊛_1 x) + w_a\, h_0 ⊛_2 (h_0 ⊛_1 x) = q_1 ⊛_1 x + h_0 ⊛_1 \bigl(q_2 ⊛_2 x + h_0 ⊛_2 (w_a\, x)\bigr)$$
#
# At the right, every filter of level 2 works on x itself, and h0 of level 1 comes last. In general
#
# $$r_{J+1} = w_a\, x, \qquad r_i = q_i ⊛_i x + h_0 ⊛_i r_{i+1}, \qquad y = r_1.$$


# %%
def horner(x, q, w_a):
    r = w_a * x
    for i in reversed(range(len(q))):
        r = dilated_conv(x, q[i], 2**i) + dilated_conv(r, h0, 2**i)
    return r


# %%
assert np.allclose(horner(x, q, w[0]), reference)

# %% [markdown]
# In Python this would be slow again: 12,800 rows, each with many small calls. The `fused` engine has the same loop compiled by Numba, with rows
# spread over the cores. (Numba is optional: `pip install numba`.) Long sequences, whose rows do not fit, are first cut into short ones, and short
# sequences share a row.
#
# All engines, both memories, forward and backward, are held to the same numbers by the tests. Here is a glance at it:

# %% tags=["varies"]
from multires_ref.bench.implementations import operator_arguments

engines = ["tree", "fft"] + (["fused"] if find_spec("numba") else [])
arguments, g = operator_arguments(B=4, D=8, L=512, K=2)
outputs = {name: multires_conv(*arguments, engine=name) for name in engines}
print({name: f"within {abs(outputs[name] - outputs['tree']).max():.0e} of the tree" for name in engines if name != "tree"})
for name in engines:
    assert np.allclose(outputs[name], outputs["tree"], atol=1e-4)

# %% [markdown]
# ## Memory, and its limit
#
# Training has to keep, between the forward and the backward pass, what the latter will need. Written with autograd's own operations, every a_i and
# b_i of every layer is kept: 2 J arrays, here 20 of 52 MB, and some more for their parts, for each of ten layers. The layer's own backward pass needs
# *x only*: it computes the a_i again, one filter a level, and keeps none of them for longer than it lasts. Measured, on a smaller array with J = 11:

# %%
import tracemalloc

from autograd.builtins import tuple as traced_tuple
from autograd.core import make_vjp

from multires_ref import multires_conv_traced


# %%
def kept_arrays(conv):
    arguments, _ = operator_arguments(B=4, D=16, L=2048, K=2)
    tracemalloc.start()
    backward, y = make_vjp(lambda five: conv(*five), traced_tuple(arguments))
    kept = tracemalloc.get_traced_memory()[0] / y.nbytes
    tracemalloc.stop()
    return kept


# %% tags=["varies"]
once, traced = kept_arrays(lambda *five: multires_conv(*five, engine="tree")), kept_arrays(multires_conv_traced)
print(f"kept beside x, in arrays of its size, y included: {once:.1f} with one backward pass, {traced:.1f} traced")
assert once < 1.1 and traced > 2 * 11

# %% [markdown]
# For a whole network the package counts it beforehand. A block keeps five arrays of the size of its input: the input x, the convolution's output,
# the two halves of the 1x1 map's output, and GLU's output (each is needed by the backward pass of what follows it). GELU's output is needed too,
# but the backward pass computes GELU again for its derivative, so it need not be kept. The paper's image network has ten blocks:

# %%
from multires_ref.network.account import training_memory

needed = training_memory(get_task("scifar10").network, batch_size=50)
print({part: f"{size / 2**20:,.0f} MiB" for part, size in needed.items()})
assert needed["stored for the backward pass"] == 10 * 5 * array
as_traced = 10 * (5 + 2 * J) * array  # and a_i, b_i of every level
print(f"with every level kept: {as_traced / 2**20:,.0f} MiB")

# %% [markdown]
# There is a limit to being fast, and it is worth knowing: no engine can be faster than reading x and writing y once, which is what copying an array
# does. How far an engine is from *copying* says how much there is still to gain, and it says so on every machine.
#
# ## A whole step
#
# A training step of the small digits network took 35 ms on one core, and a profile said where: 13 in the layer's loops, which for rows of 64 samples
# end when they have hardly begun, 9 in the 1x1 maps, of which the matrix products alone need 3, 6 in Python, and in all of these together 7 for memory
# that the operating system hands out and takes back with every array. Now short sequences share a row; GELU, the 1x1 map and GLU are one operation
# on a tile of many sequences, whose matrix products are larger and whose arrays stay in the cache; the steps of a run use the same memory again; and
# what need not be checked twice is checked once. On the same machine a step now takes 20 ms, of which 3 are matrix products and 4 Python
# (`multires-ref bench small` shows both, the latter as the time of a step with one example).
#
# ## The chart
#
# `multires-ref bench operator` measures all engines, PyTorch in four formulations where it is installed, and copying. Before anything is timed, all
# are checked to agree; they take turns; medians are reported. Below is a stored run, `data/bench.json`; the printed lines say on what and at which
# size. Blue circles are this package, grey squares PyTorch, orange diamonds copying. Each is a median, the line through it reaches from quartile to
# quartile, and the axis is logarithmic: a step to the next labelled number is a factor of ten. Your own machine will give other numbers: run it.

# %% tags=["varies"]
from multires_ref.bench.timing import machine_line
from multires_ref.plots.speed import plot_times

bench = json.loads(Path("data/bench.json").read_text())
print(machine_line(bench["machine"]), "\n", bench["operator"]["shape"])
assert bench["operator"]["agreement"] < 2e-4

# %%
both = bench["operator"]["forward and backward"]
assert both["fused"]["median"] < both["tree"]["median"] < both["PyTorch conv1d"]["median"]
show(plot_times(both, title="forward and backward"), "time of every engine and of PyTorch's formulations, forward and backward")

# %%
forward = {name: row for name, row in bench["operator"]["forward"].items() if name != "copying to a new array"}
assert forward["copying x once"]["median"] < forward["fused"]["median"]
show(plot_times(forward, title="forward"), "time of every engine, of PyTorch's formulations and of copying, forward")

# %% [markdown]
# "Copying x once" writes into an array that is there already: the limit. (The file has "copying to a new array" too, left out here. It was slower
# than some engines, because the operating system hands out fresh memory page by page; it measures that.) `PyTorch conv1d` is how the authors' code
# computes the layer, as dilated depthwise convolutions. In the stored run it is slower, on a CPU, than even our plain tree. `PyTorch compiled` is
# the tree under `torch.compile`, which fuses too.
#
# And which one does `engine="auto"` take? It counts the multiplications that a sample costs in the tree. The fading memory: J filters h0 and J
# filters q of K taps each, and one for w_a, 2 K J + 1 = 41. The uniform one with m = 500: K J = 20 for h0; the 499 details add two taps each to the
# filters q, 998; and one: 1,019. That is compared with where the transforms were measured to take as long as the *fused* engine: 15 (1 + 3 / B)
# log2(2 L) multiplications, fitted to measurements on one machine. Ask it:

# %% tags=["varies"]
from multires_ref.engines import explain_choice
from multires_ref.tree import kept_per_level

memories = {"fading": kept_per_level(10, 2), "uniform, m = 500": kept_per_level(10, 2, "uniform", 500)}
chosen = {name: explain_choice(np.zeros((50, 256, 1024), np.float32), 10, taps, 2) for name, taps in memories.items()}
print("\n".join(f"{name}: {engine}, {why}" for name, (engine, why) in chosen.items()))
print("15 (1 + 3 / B) log2(2 L) =", round(15 * (1 + 3 / 50) * np.log2(2 * 1024)))
assert chosen["uniform, m = 500"][0] == "fft"

# %% [markdown]
# ## On a GPU
#
# The same idea, one size larger: a row stays in the registers and the *shared memory* of one block of threads for all of its levels, so that x is
# read once from the GPU's memory and y is written once. `engines/gpu.py` and `engines/cuda/` have it; this notebook states no time for it, since it
# was written where there was no GPU.
#
# ## Summary
#
# - Count the passes over memory, not the multiplications: the plain tree makes eighty where one is needed.
# - **Fold** w into h1: the details are never written down.
# - **FFT**: the layer is one long filter; the cost does not depend on K, J or m; in float32 a loud sample blurs the quiet ones.
# - **Fuse**: all levels of one row while it is in the cache; Horner's scheme carries one array.
# - The backward pass stores x only, and computes the levels again.
# - The limit of all engines is copying the array once.
#
# ## Exercises
#
# **1** (easy). How many bytes is a batch of 32 sequences, 64 channels, 4,096 steps, in float64?
#
# **2** (easy). Evaluate 4 + 3 t + 2 t² + t³ at t = 2 by Horner's scheme.
#
# **3** (medium). Which length must the FFT have at least to convolve 1,000 samples with a kernel of 1,000, if the first 1,000 outputs are wanted,
# and which outputs are spoilt if it has only 1,500?
#
# **4** (medium). For the uniform memory with weights (2, 3) on b_1[n] and b_1[n-2] and h1 = (-1, 1): what is q_1?
#
# **5** (harder). The kernel's r_{J+1} = w_a x starts from x and not from a_J. Show that h0 applied J times, with all its dilations, is applied to
# it on the way, so that w_a a_J is in y.

# %% [markdown]
# <details><summary>Solutions</summary>
#
# **1.** 32 * 64 * 4096 * 8 = 67,108,864.
#
# **2.** 1; 1 * 2 + 2 = 4; 4 * 2 + 3 = 11; 11 * 2 + 4 = 26.
#
# **3.** The full convolution has 1,999 samples, 0 to 1,998. With a length of 1,999 none comes round. With 1,998 the last one comes round to 0 and
# spoils the first output, so 1,999 it must be. With 1,500 the samples 1,500 to 1,998 come round to 0 to 498: these outputs are spoilt, and 499 to
# 999 are right.
#
# **4.** q_1[2 t + k] = w[t] h1[k]: (-2, 2, -3, 3).
#
# **5.** Put all q_i = 0. Then y = r_1 = h0 ⊛₁ r_2 = h0 ⊛₁ (h0 ⊛₂ r_3) = ... = all of them applied to w_a x, which is w_a a_J.
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
assert np.zeros((32, 64, 4096)).nbytes == 67_108_864
assert np.polyval([1, 2, 3, 4], 2) == 26
a, b = rng.standard_normal((2, 1000))
right = np.convolve(a, b)[:1000]
wrong = ~np.isclose(by_fft(a, b, 1500)[:1000], right)
assert np.allclose(by_fft(a, b, 1999)[:1000], right) and not np.isclose(by_fft(a, b, 1998)[0], right[0])
assert not wrong[499:].any() and wrong[:499].mean() > 0.99
assert np.array_equal(fold(h1_levels, np.array([[0.0, 2.0, 3.0]]), np.zeros(1), kept=(2,))[0][0], [[-2, 2, -3, 3]])
only_a = horner(x, [np.zeros(2)] * 5, w[0])
assert np.allclose(only_a, w[0] * pyramid(x, h0, h1, 5)[-1][0])

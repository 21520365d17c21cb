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
# # 3. The multiscale memory
#
# The tree holds everything, and that is too much: at each time n as many numbers as there were samples. The layer keeps a handful of
# them, m numbers, called the **memory** z_n. Its output is a weighted sum of them, and of the newest sample. This is the whole **layer** of the paper
# (Shi, Wang and Fox, [arXiv 2305.01638](https://arxiv.org/abs/2305.01638)):
#
# $$y[n] = \sum_{r=0}^{m-1} w[r]\, z_n[r] + w_{\text{skip}}\, x[n]$$
#
# The weights w stand in the order of the memory: a_J first, then the details from coarse to fine, b_J, b_{J-1}, ..., b_1, and within a level the newest first.
# A layer learns h0, h1, w and w_skip, for each channel. So y can only use what z_n holds. Which numbers are kept? And what is left of the past in so few?
# This notebook answers with a pencil first, with linear algebra then, and at last with a heart beat.

# %%
import numpy as np
from ipywidgets import interact

from multires_ref import memory, memory_rows, wavelet_filters
from multires_ref.plots import ecg, new_figure, plot_forgetting, plot_lags, plot_recovered, show
from multires_ref.plots.gallery import memory_figure, recovered_figure, tree_figure

# %% [markdown]
# ## Four numbers for eight samples
#
# The eight numbers of the first notebook, 3 5 4 4 8 6 1 1, have all arrived; it is time n = 7. Suppose we may keep four numbers. The
# layer keeps the newest detail of every level, and the newest approximation of the coarsest:
#
# - a₃ = 32, the sum of all eight,
# - b₃ = 0, the older four minus the newer four (16 - 16),
# - b₂ = 12, of the newer four: the older two minus the newer two (14 - 2),
# - b₁ = 0, of the newer two: the older minus the newer (1 - 1).
#
# Now forget the samples, keep these four numbers, and work backwards:
#
# 1. The two halves sum to 32 and differ by 0: each sums to 16. So the older four were **4 each, on average**.
# 2. The newer four sum to 16, and their halves differ by 12: they are 14 and 2. So the two before the last were **7 each, on average**.
# 3. The newest two sum to 2 and differ by 0: they are **1 and 1**. Exactly.
#
# | n    | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |
# |------|---|---|---|---|---|---|---|---|
# | x[n] | 3 | 5 | 4 | 4 | 8 | 6 | 1 | 1 |
# | from the memory | 4 | 4 | 4 | 4 | 7 | 7 | 1 | 1 |
#
# This is the whole idea. **The near past is sharp, the far past is coarse**, each step back to twice the age is remembered at half the
# resolution, and four numbers reach back over eight samples, ten over 512.

# %%
x = np.array([3.0, 5.0, 4.0, 4.0, 8.0, 6.0, 1.0, 1.0])
h0, h1 = np.array([1.0, 1.0]), np.array([-1.0, 1.0])
z, rows = memory(x, h0, h1, depth=3)  # one column for each time
for row, value in zip(rows, z[:, 7], strict=True):
    print(row, value)
assert np.array_equal(z[:, 7], [32, 0, 12, 0])

# %% [markdown]
# ## The memory is a matrix
#
# All that happened is sums and differences. So at any time the memory is a matrix times the past, newest sample first:
#
# $$z_n = M\,p_n, \qquad p_n = (x[n], x[n-1], \ldots, x[n-R+1])$$
#
# with R the receptive field. And what M does is seen best by its rows, each of which is the impulse response of a coefficient:

# %%
from multires_ref.memories import forgetting_curve, last_samples_matrix, measured_forgetting, memory_matrix, past, recover_past

M, rows = memory_matrix(h0, h1, depth=3)
print(M.astype(int))
newest_first = past(x, n=7, length=8)
assert np.array_equal(M @ newest_first, z[:, 7])

# %% [markdown]
# ## Working backwards, in general
#
# M has four rows and eight columns: many pasts give the same memory. Which one did we find with the pencil? The *shortest*: among all p
# with M p = z the one with the smallest sum of squares. (A mean in every block: anything else in the block would only make it longer.)
# It is the **least-squares reconstruction**, and linear algebra finds it for any filters: p = pinv(M) z.

# %%
recovered = np.linalg.pinv(M) @ z[:, 7]
print(recovered[::-1].round(9))  # oldest first, as in the table
assert np.allclose(recovered[::-1], [4, 4, 4, 4, 7, 7, 1, 1])
assert np.allclose(recovered, recover_past(z[:, 7], M))

# %% [markdown]
# The reconstruction is a *projection*: doing it twice changes nothing, and what it leaves out is at right angles to what it keeps. So the
# energy of the past splits into what is still known and what is forgotten.

# %%
forgotten = newest_first - recovered
assert np.allclose(recover_past(M @ recovered, M), recovered)
assert np.isclose(newest_first @ newest_first, recovered @ recovered + forgotten @ forgotten)

# %% [markdown]
# ## Two ways to choose: TreeSelect
#
# The paper gives two rules for which coefficients to keep. They are called **TreeSelect**.
#
# - **fading** ("resolution fading"): the newest detail of every level, and a_J. That is m = J + 1 numbers; it is what we did.
# - **uniform** ("uniform over time"): m is given. Begin at the top with a_J and the newest b_J, and go down level by level, until m numbers are spent (the
#   last level is cut to what is left, newest first). From each level take the details that stand beside the approximations which the kept coefficients of
#   the level above were *made from*.
#
# How many are those? One coefficient is made from K of the level below, 2^i apart if that is level i. t of them, side by side, are made from
#
# $$t \;\to\; 2\,(t - 1) + K$$
#
# since each further one reaches two places further. With K = 2 that is 1, 2, 4, 8, ...; with K = 3 it is 1, 3, 7, 15, .... At level i they are 2^i samples apart: the
# newest, the one 2^i ago, 2 · 2^i ago, and so on.
#
# By hand for K = 3, J = 3 and m = 9: a₃ and b₃ are two numbers. Then level 2 gives three: b₂ now, 4 and 8 samples ago. That makes five. Level 1 would
# give seven; four are left: b₁ now, 2, 4 and 6 samples ago.

# %%
print([f"{row.kind}{row.level}, {row.lag} ago" for row in memory_rows(3, 3, "uniform", size=9)])
print("unused of m = 20:", [row.kind for row in memory_rows(3, 3, "uniform", size=20)].count("unused"))

# %% [markdown]
# (If m is larger than the whole tree, here 1 + 1 + 3 + 7 = 12, the numbers left over are **unused**: they are always 0, their weights do nothing, and the gradients of
# those weights are 0. The authors' code does the same.)
#
# Both rules outlined in the tree, with five numbers each:

# %%
show(tree_figure(), "the tree with the fading memory outlined, and with the uniform memory outlined")

# %% [markdown]
# And as what each number has seen. A bar is the part of the past that a coefficient depends on; the white marks are the coefficients of the level below that it
# is made from.

# %%
show(plot_lags(4, 2, "fading"), "receptive fields of the fading memory")

# %%
show(plot_lags(4, 2, "uniform", size=5), "receptive fields of the uniform memory")

# %% [markdown]
# With m = 4 the uniform memory of our eight numbers keeps a₃, b₃, and *two* details of level 2, the newest one and the one four samples
# older, in place of b₂ and b₁. By pencil: b₂[3] = 8 - 8 = 0, so the older four were 4 4 | 4 4 and the newer 7 7 | 1 1.
# Resolution two, everywhere.

# %%
M_uniform, rows = memory_matrix(h0, h1, 3, "uniform", size=4)
print([f"{row.kind}{row.level}, {row.lag} ago" for row in rows])
recovered = recover_past(M_uniform @ newest_first, M_uniform)
assert np.allclose(recovered[::-1], [4, 4, 4, 4, 7, 7, 1, 1])
assert len(memory_rows(3, 2)) == len(memory_rows(3, 2, "uniform", size=4)) == 4

# %% [markdown]
# (That both give the same table here is chance: the last two samples are equal. Exercise 1 has a signal where they differ.)
#
# ## A heart beat in ten numbers
#
# Now something real: an electrocardiogram of 1,024 samples, the Haar filters, nine levels. At every time n the fading memory has ten
# numbers. Here they all are, one column for each n, coarse at the top, each row divided by its own largest value.

# %%
show(memory_figure(), "an electrocardiogram and its memory over time")

# %% [markdown]
# A beat arrives and every level notices at once, since each keeps its *newest* coefficient. The fine levels have forgotten it a few
# samples later, b₆ after 64, b₉ after 512.
#
# Why then do the yellow stripes climb? b_i is the older half of its 2^i samples minus the newer half. While the beat is in the newer half, for 2^(i-1)
# samples, b_i is negative (blue); then it is in the older half for as long, and b_i is positive (yellow); then it is gone. So the change of sign comes
# at age 2^(i-1), one level after the other: the *sign* moves up the levels, and tells how old the beat is.
#
# (Two kinds of time axis are used in this notebook. Pictures of the signal run from the past at the left to the present at the right. Curves of forgetting
# count backwards from the present, which is at their left.)

# %%
heart, haar = ecg(), wavelet_filters("haar")
z, rows = memory(heart, *haar, depth=9)
pulse = np.zeros(1024)
pulse[100] = 1
alive = [int(np.flatnonzero(row).max()) - 100 + 1 for row in memory(pulse, *haar, depth=9)[0]]
print("samples until forgotten:", alive)
assert alive == [2**row.level for row in rows]

# %% [markdown]
# ## What can be recovered of the past
#
# We stop the clock at n = 860, just after the third beat, throw the recording away, keep ten numbers, and reconstruct the last 512
# samples by least squares. Three memories of **equal size**: fading, uniform, and the simplest one, the last ten samples themselves.

# %%
show(recovered_figure(), "the past recovered from the fading memory, the uniform memory and the last ten samples")

# %% [markdown]
# - **fading** (top): the newest samples exactly, the beat that just passed as a block of eight. The beat before is somewhere in the older half, which is
#   remembered as one mean of 256 samples: a flat line, a little above zero. Near sharp, far coarse.
# - **uniform** (middle): the beat 340 samples ago is there, as a hump of 64 samples, and the one just passed as one of 32.
# - **last ten samples** (bottom): perfect, and blind to everything else.
#
# Counted over the whole window, at this moment:

# %%
fading, uniform = memory_matrix(*haar, 9)[0], memory_matrix(*haar, 9, "uniform", size=10)[0]
memories = {"fading": fading, "uniform": uniform, "last 10 samples": last_samples_matrix(10, 512)}
p = past(heart, n=860, length=512)
for name, M in memories.items():
    share = np.cumsum(recover_past(M @ p, M) ** 2) / np.cumsum(p**2)
    print(f"{name:16} keeps {share[-1]:.0%} of the energy of 512 samples, {share[31]:.0%} of that of the newest 32")
    assert np.allclose(M @ recover_past(M @ p, M), M @ p)

# %% [markdown]
# Watch a beat grow old: in a running notebook the next cell has a knob for n; below it are three of its positions.

# %% tags=["varies"]
knob = interact(lambda n: show(plot_recovered(heart, n, fading)), n=(511, 1023, 4))

# %%
figure, axes = new_figure(9, 5.4, rows=3, sharex=True, sharey=True)
for (ax,), n in zip(axes, (852, 876, 940), strict=True):
    plot_recovered(heart, n, fading, ax, title=f"n = {n}: {n - 848} samples after the beat").set_xlabel("")
axes[-1, 0].set_xlabel("time before n (samples)")
figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
show(figure, "the past recovered 4, 28 and 92 samples after a beat, which grows coarser")

# %% [markdown]
# ## Forgetting, measured
#
# How well is x[n - t] still known, as it grows old? If the signal is white noise (every sample a surprise), the share of its variance that
# the reconstruction explains is the t-th diagonal entry of pinv(M) M. For our eight numbers: 1, 1 for the newest two, known exactly; 1/2 for
# the two whose mean is known; 1/4 for the four before.

# %%
M, _ = memory_matrix(h0, h1, depth=3)
print(forgetting_curve(M).round(9))
assert np.allclose(forgetting_curve(M), np.diag(np.linalg.pinv(M) @ M))
assert np.allclose(forgetting_curve(M), [1, 1, 1 / 2, 1 / 2, 1 / 4, 1 / 4, 1 / 4, 1 / 4])

# %% [markdown]
# Look at the sum: 1 + 1 + 1/2 + 1/2 + 4/4 = 4. It is the number of numbers kept, and that is a law: the trace of a projection is its rank.
# **A memory of m numbers has m samples' worth of knowledge; it can only choose where to spend it.** The last m samples spend all on the
# newest. Uniform spends it nearly evenly: here the older 384 samples are known in blocks of 64 (shares of 1/64), and the newest 128 in blocks of 32, because
# its last two numbers went there. Fading gives each octave of the past the same share, one sample's worth.

# %%
curves = {name: forgetting_curve(M) for name, M in memories.items()}
assert np.allclose([curve.sum() for curve in curves.values()], 10)
print(
    "uniform: newest 128 samples 1 /",
    (1 / curves["uniform"][:128]).round(6).max(),
    " older 1 /",
    (1 / curves["uniform"][128:]).round(6).min(),
)
octaves = [curves["fading"][2**e : 2 ** (e + 1)].sum() for e in range(9)]
assert np.allclose(octaves, 1)
show(plot_forgetting(curves), "forgetting curves of three memories for white noise")

# %% [markdown]
# Real signals are not white: neighbours are alike, and a mean tells much of each of them. On the electrocardiogram the same memories
# therefore know more than they must. Measured over all times, share of the energy of x[n - t] recovered:

# %%
measured = {name: measured_forgetting(heart, M) for name, M in memories.items()}
for name, curve in measured.items():
    print(f"{name:16}", *(f"t = {t}: {curve[t]:.2f}  " for t in (0, 5, 12, 24, 48, 100, 400)))
assert measured["fading"][24] > measured["uniform"][24] and measured["uniform"][400] > measured["fading"][400]
show(plot_forgetting(measured), "forgetting curves of three memories, measured on an electrocardiogram")

# %% [markdown]
# The share is 1 less the energy of the error over the energy of the samples, at that lag. So it is below 0 where the reconstruction is worse than
# answering "zero" would be: the mean of a block tells the wrong thing about a sample in it, for example just beside a beat.
#
# The dips stand at the edges of the blocks, where a mean says least about its outermost samples. Longer, smoother wavelets soften them.
#
# A trained layer chooses its own filters, and may spend its m samples' worth elsewhere: `multires-ref figures --run RUN` draws this curve
# for each layer of a trained network.
#
# ## Summary
#
# - The memory z_n is m coefficients of the tree: the newest of each level (**fading**), or the newest few, coarse levels first (**uniform**).
# - It is linear, z_n = M p_n, and the least-squares reconstruction pinv(M) z_n is what can be recovered from it: near sharp, far coarse.
# - Of each past sample a share is known, the diagonal of pinv(M) M, and the shares sum to m.
# - Fading gives every octave of the past one number; uniform gives every stretch of time nearly the same.
# - The layer's output is a weighted sum of the memory and the newest sample, y[n] = sum_r w[r] z_n[r] + w_skip x[n]. The next notebook listens to it.
#
# ## Exercises
#
# **1** (easy). x = (1, 1, 1, 1, 2, 2, 7, 3). Write down the fading memory at n = 7, and the past that it gives back. And the uniform
# one's with m = 4?
#
# **2** (easy). How many numbers has the fading memory of a sequence of a million samples, with two taps?
#
# **3** (medium). Show that for the fading Haar memory the forgetting curve at lag t is 1 / 2^floor(log2(t)) for t ≥ 1.
#
# **4** (medium). With random filters in place of Haar, do the shares still sum to m?
#
# **5** (harder). Uniform with m = 2^J and two taps: what does it remember?
#
# **6** (medium). Three taps, J = 4, uniform, m = 8: which coefficients are kept?

# %% [markdown]
# <details><summary>Solutions</summary>
#
# **1.** a₃ = 18, b₃ = 4 - 14 = -10, b₂ = 4 - 10 = -6, b₁ = 7 - 3 = 4. Given back: 1 1 1 1 2 2 7 3, all of it, since the older blocks are level.
# Uniform keeps b₂[3] = 0 in place of b₁ and gives back 1 1 1 1 2 2 5 5.
#
# **2.** J = 20, so m = 21.
#
# **3.** The block of lags 2^e to 2^(e+1) - 1 is 2^e samples long and only its mean is known. The mean explains a share 1 / 2^e of each.
#
# **4.** Yes, as long as the m rows of M are linearly independent: the trace of a projection is its rank, whatever the filters.
#
# **5.** Everything: a_J, b_J and all details below are as many numbers as samples, and nothing of the receptive field is lost.
#
# **6.** a₄, b₄ (two), then b₃ now, 8 and 16 samples ago (five), then three of level 2's seven: b₂ now, 4 and 8 ago.
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
x = np.array([1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 7.0, 3.0])
M, _ = memory_matrix(h0, h1, 3)
assert np.array_equal(M @ x[::-1], [18, -10, -6, 4]) and np.allclose(recover_past(M @ x[::-1], M)[::-1], x)
assert np.allclose(recover_past(M_uniform @ x[::-1], M_uniform)[::-1], [1, 1, 1, 1, 2, 2, 5, 5])
from multires_ref import depth_for, random_filters

assert depth_for(10**6, 2) + 1 == 21
t = np.arange(1, 512)
assert np.allclose(curves["fading"][1:], 1 / 2.0 ** np.floor(np.log2(t)))
r0, r1 = random_filters(np.random.default_rng(0), D=1, K=3, dtype="float64")
assert np.isclose(forgetting_curve(memory_matrix(r0[0], r1[0], 5)[0]).sum(), 6)
assert np.allclose(forgetting_curve(memory_matrix(*haar, 5, "uniform", 32)[0]), 1)
kept = [(row.level, row.kind, row.lag) for row in memory_rows(4, 3, "uniform", size=8)]
assert kept == [(4, "a", 0), (4, "b", 0), *((3, "b", lag) for lag in (0, 8, 16)), *((2, "b", lag) for lag in (0, 4, 8))]

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
# # 12. Other memories
#
# The wavelet tree of Shi, Wang and Fox ([arXiv 2305.01638](https://arxiv.org/abs/2305.01638)) keeps m numbers of the past (notebook 3). It is not
# the only way. Legendre polynomials, Fourier series and exponential averages keep m numbers too, and recurrent networks are built on them: the
# Legendre memory unit (Voelker, Kajić, Eliasmith, 2019) and HiPPO (Gu, Dao, Ermon, Rudra, Ré, 2020), from which the state-space models grew. All of
# them are linear, so the question of notebook 3 can be put to each on equal terms: **what do m numbers still know of the past?**
#
# We derive the Legendre memory for two numbers with a pencil, check the general formula by an integral, and then let all memories compete.

# %%
import numpy as np

from multires_ref import ExponentialAverages, FourierMemory, LegSMemory, LegTMemory, make_memory
from multires_ref.memories import forgetting_curve
from multires_ref.memories.legt import legt_system
from multires_ref.memories.polynomials import legendre_values
from multires_ref.memories.recurrence import zero_order_hold
from multires_ref.plots import new_figure, plot_forgetting_curves, show

# %% [markdown]
# ## Two numbers for a window, by hand
#
# The last four samples are 6, 4, 2, 0, newest first. Each is held for one unit of time, so the past is a staircase over the window
# 0 ≤ s ≤ θ = 4, where s says how long ago. We keep its best straight line, written with y = 2 s / θ - 1, which goes from -1 (now) to 1 (the end
# of the window):
#
# $$x(t - s) \approx z_0 + z_1\, y$$
#
# - z₀ is the mean: (6 + 4 + 2 + 0) / 4 = **3**.
# - z₁ is the tilt. Least squares over -1 ≤ y ≤ 1 gives three times the mean of x y. The mean of y over the four stairs is -3/4, -1/4, 1/4, 3/4, so
#   z₁ = 3 (-4.5 - 1 + 0.5 + 0) / 4 = **-3.75**: the past falls away from now.

# %%
newest_first, theta = np.array([6.0, 4.0, 2.0, 0.0]), 4
y = np.array([-0.75, -0.25, 0.25, 0.75])
z = np.array([newest_first.mean(), 3 * (newest_first * y).mean()])
print(z)
assert np.array_equal(z, [3, -3.75])

# %% [markdown]
# ## How the two numbers move
#
# Time goes on, and we want the new z from the old z and x alone, without the samples.
#
# The **mean** changes by what comes in and what goes out: θ dz₀/dt = x(t) - x(t - θ). But x(t - θ), the value that leaves the window, is gone;
# we kept only a line. So we ask the line. At the end of the window y = 1, and it says x(t - θ) ≈ z₀ + z₁. Hence
#
# $$\theta\,\dot z_0 = x - z_0 - z_1.$$
#
# The **tilt**: z₁ = (3/θ) ∫ x(t - s) y ds. Differentiate in t and integrate by parts. The newest value stands at y = -1, the leaving one at
# y = 1, and y itself rises by 2/θ, which brings the mean: θ dz₁/dt = 3 (-x(t) - x(t - θ) + 2 z₀). With the same answer for x(t - θ),
#
# $$\theta\,\dot z_1 = 3\,(z_0 - z_1 - x).$$
#
# As a matrix, θ dz/dt = F z + G x:

# %%
F, G = np.array([[-1.0, -1.0], [3.0, -3.0]]), np.array([1.0, -3.0])
assert all(np.array_equal(a, b) for a, b in zip(legt_system(2), (F, G), strict=True))
print("a constant stays what it is:", F @ [5.0, 0.0] + G * 5.0)

# %% [markdown]
# ## From a differential equation to a step
#
# The sample x[n] is held for one unit of time, so the equation can be solved exactly for that unit: z ← A z + B x[n], where A = exp(F/θ). This is
# the **zero-order hold**. `LegTMemory` does this for any m; `push` takes samples one after the other.

# %%
A, B = zero_order_hold(F / theta, G / theta)
z, x = np.zeros(2), np.repeat([0.0, 2.0, 4.0, 6.0], 4)
for sample in x:
    z = A @ z + B * sample
print(z.round(6), LegTMemory(2, horizon=4).push(x).round(6))
assert np.allclose(z, LegTMemory(2, horizon=4).push(x))

# %% [markdown]
# (The last four samples are all 6, but z₀ is not exactly 6: the line's answer about the leaving value was wrong while the stairs
# passed out of the window. More numbers make better answers.)
#
# ## Any m, checked by an integral
#
# With m polynomials the same two steps give F and G of any size: z_k = (2k + 1)/θ ∫ x(t - s) P_k(y) ds, and the leaving value is answered by
# Σ z_k. For a past that *is* a polynomial of degree below m the answer is exact. So F and G can be tested without trust: take such an x, compute
# z and dz/dt by quadrature, compare.

# %%
m, theta, t = 6, 3.0, 1.4
s, weights = np.polynomial.legendre.leggauss(20)
s, weights = theta * (s + 1) / 2, weights * theta / 2  # quadrature over the window
x = np.polynomial.Polynomial([1.0, -2.0, 0.5, 0.3, -0.1, 0.02])
project = (2 * np.arange(m) + 1)[:, None] / theta * legendre_values(m, 2 * s / theta - 1) * weights
z, dz = project @ x(t - s), project @ x.deriv()(t - s)
F, G = legt_system(m)
assert np.allclose(theta * dz, F @ z + G * x(t))

# %% [markdown]
# ## The matrix again
#
# At any time z = M p, with p the past: column t of M is AᵗB, what is left of a 1 that came t samples ago. If nothing were answered wrongly the rows
# would be Legendre polynomials over the window, and zero beyond it. Thin grey: those polynomials.

# %%
legt = LegTMemory(8, horizon=128)
M, ideal = legt.matrix(200), np.zeros((8, 200))
ideal[:, :128] = legt.basis(128).T * (2 * np.arange(8) + 1)[:, None] / 128
figure, axes = new_figure(9, 3.6, columns=2, rows=2, sharex=True)
for k, ax in enumerate(axes.flat):
    ax.plot(ideal[k], color="grey", lw=1, label="Legendre polynomial")
    ax.plot(M[k], color="C0", label="LegT's row")
    ax.set(title=f"row {k}", xlabel="samples back, t" if k > 1 else "", ylabel="weight" if k % 2 == 0 else "")
axes[0, 0].legend(loc="lower left")
show(figure, "four rows of LegT's matrix beside the Legendre polynomials")

# %% [markdown]
# The rows follow the polynomials and ring at the far end of the window, where the answers about the leaving value are made.
#
# ## The whole past: LegS
#
# HiPPO's LegS has no window. Its polynomials lie over everything since the first sample, and stretch as time goes on. So nothing leaves, and
# nothing has to be answered. Its first number you know already. It is the running mean, and the step is
#
# $$z_0 \leftarrow z_0 + \frac{x[n] - z_0}{n + 1}.$$
#
# For 4, 1, 7 by hand: 4, then 4 - 3/2 = 2.5, then 2.5 + 4.5/3 = 4. The matrix differs from step to step: LegS is *time-varying*.

# %%
legs = LegSMemory(3, horizon=1)  # the horizon plays no part
for sample in (4.0, 1.0, 7.0):
    print(legs.step(sample).round(3) + 0.0)
assert np.isclose(legs.z[0], 4)

# %% [markdown]
# ## Fourier, and exponential averages
#
# **Fourier** (FouT): the window's past as a constant, cosines and sines. The leaving value is answered otherwise: a Fourier series closes the
# window to a ring, and where its two ends meet it takes their mean, so x(t) + x(t - θ) ≈ 2 Σ z_k e_k(0).
#
# **Exponential averages**: m leaky means, each with its own time constant τ, z ← z e^(-1/τ) + (1 - e^(-1/τ)) x. With octaves for time constants they
# fade as the tree does.
#
# What does each keep of a constant?

# %%
for memory in (LegTMemory(5, 16), LegSMemory(5, 16), FourierMemory(5, 16), ExponentialAverages(5, 16)):
    print(f"{memory.title:21}", (memory.push(np.full(4000, 3.0)) + 0.0).round(3) + 0.0)

# %% [markdown]
# ## The law
#
# Notebook 3 had a law: the forgetting curve, the diagonal of pinv(M) M, sums to the rank of M, which is at most m. It holds for every matrix, so
# for every memory. They differ in *where* they spend it.

# %%
names = ["fading", "uniform", "averages", "legt", "fourier", "last"]
curves = {name: forgetting_curve(make_memory(name, 11, 512).matrix()) for name in names}
for name, curve in curves.items():
    print(f"{name:9} sums to {curve.sum():.6f}; known of x[n] {curve[0]:.3f}, of x[n-400] {curve[400]:.4f}")
    assert np.isclose(curve.sum(), 11)
show(plot_forgetting_curves(curves, longest=1024), "forgetting curves of six memories")

# %% [markdown]
# The tree's stairs and the averages fall like 1/t. The uniform tree, Fourier and LegT spread over the window; LegT keeps a little more of the newest.
# The averages still know something beyond the horizon, and pay for it within.
#
# ## Who wins where
#
# White noise is the worst case. For real pasts we stream a signal through each memory, recover the last samples from the m numbers alone, and
# measure the error. Least squares, pinv(M) z, is the same for all. A memory with polynomials of its own can also answer with those ("own").

# %%
from multires_ref import compare_memories
from multires_ref.memories.compare import memory_table, settings_table

records = compare_memories([32], 256)
print(memory_table(records))

# %%
print(memory_table(records, newest=True))

# %% [markdown]
# - **A smooth, band-limited past is Legendre's home ground.** LegT's own polynomials have a far smaller error there than anything else. They take
#   for granted that the past is smooth; least squares does not, and is worse here for it.
# - **The recent past of signals that are not smooth is the fading tree's** (ECG, 1/f noise, steps; second table). It keeps the newest few exactly,
#   and a jump costs it only the coefficients that see the jump. Among the newest m samples nothing can beat the last m samples themselves.
# - Over the whole horizon of the electrocardiogram, 1/f noise and steps, the uniform tree, LegT and Fourier are close to each other.
# - **The last m samples** know those perfectly, and nothing else.
# - **LegS** spreads its numbers over the whole past. The longer it runs, the less it knows of the newest.
#
# How each free parameter was set:

# %%
print(settings_table(records))

# %% [markdown]
# ## What it costs
#
# Two costs. *Operations* for each sample: the tree needs two short filters a level, LegT and Fourier a product with an m × m matrix. And what must
# be *stored* between two samples: LegT, Fourier and the averages are updated from their m numbers alone, while the tree's coefficients are
# updated from its rings, which hold about as many numbers as the tree sees samples (notebook 8). m counts what the *output* may look at.

# %%
for name in names:
    memory = make_memory(name, 32, 512)
    print(f"{memory.title:22} {memory.operations:6,} operations {memory.stored:6,} stored")

# %% [markdown]
# `multires-ref bench memories` measures the time of a step, and how far a recurrence has drifted from its matrix after a million steps.
#
# ## Summary
#
# - A linear memory is a matrix M over the past. Legendre, Fourier, averages and trees differ in its rows, and in how they are updated.
# - LegT answers "what leaves the window?" from its own polynomials; LegS lets nothing leave and stretches; Fourier closes the window to a ring.
# - The forgetting curve of every one of them sums to at most m.
# - Smooth pasts favour polynomials, recent jumps favour wavelets; no memory wins everywhere.
#
# ## Exercises
#
# **1** (easy). The last two samples are 1 and 5, newest first, and θ = 2. What are z₀ and z₁?
#
# **2** (easy). LegS has seen 2, 4, 9. What is its first number after each?
#
# **3** (medium). A wave makes five turns within the window. How many numbers does LegT need, so that its own polynomials are wrong by less than
# 5 % of the wave?
#
# **4** (medium). Why is the rank of many exponential averages below their number?
#
# **5** (harder). Write a memory of your own: two averages of every time constant, one of x and one of that average again. Does the law hold?

# %% [markdown]
# <details><summary>Solutions</summary>
#
# **1.** z₀ = 3. The mean of y over the stairs is -1/2 and 1/2, so z₁ = 3 (-0.5 + 2.5) / 2 = 3.
#
# **2.** 2, then 2 + 2/2 = 3, then 3 + 6/3 = 5.
#
# **3.** See the cell below. It is a little more than π numbers a turn, and some for the ends.
#
# **4.** Averages with neighbouring time constants are nearly equal: their rows of M are nearly parallel. What differs between them is
# soon lost in the rounding of float64.
#
# **5.** A `Recurrence` needs no more than A and B (below). The law holds, as for any matrix.
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
pair = np.array([1.0, 5.0])
assert pair.mean() == 3 and 3 * (pair * [-0.5, 0.5]).mean() == 3
means = [LegSMemory(2, 1).push(np.array([2.0, 4.0, 9.0])[: n + 1])[0] for n in range(3)]
assert np.allclose(means, [2, 3, 5])
wave = np.sin(2 * np.pi * 5 * np.arange(1500) / 256)
needed = next(
    m for m in range(1, 64) if compare_memories([m], 256, names=["legt"], signals={"wave": wave}, times=9)[1].error < 0.05
)
print("numbers for five turns:", needed)
assert 5 * np.pi < needed < 30
assert np.linalg.matrix_rank(ExponentialAverages(64, 512).matrix(4096)) < 64

from multires_ref.memories.recurrence import Recurrence


class Twice(Recurrence):
    name, title = "twice", "averages of averages"

    def system(self):
        a = np.repeat(np.exp(-1 / 2.0 ** np.arange(self.size // 2)), 2)
        A, B = np.diag(a), 1 - a
        for i in range(1, self.size, 2):  # the second averages the first
            A[i], B[i] = a[i] * np.eye(self.size)[i] + (1 - a[i]) * A[i - 1], (1 - a[i]) * B[i - 1]
        return A, B


M = Twice(8, 64).matrix()
assert np.isclose(forgetting_curve(M).sum(), np.linalg.matrix_rank(M)) and np.linalg.matrix_rank(M) == 8
assert np.allclose(M.sum(axis=1), 1)

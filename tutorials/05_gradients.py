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
# # 5. Gradients
#
# To train the layer we must know how its output changes with each of its numbers. There is one good thing to know about convolutions: the
# gradient of a convolution is made of convolutions. We find them by hand, check them by moving things a little, let autograd find them too,
# plant an error and catch it, and end with the backward pass of the paper's layer (Shi, Wang and Fox, [arXiv 2305.01638](https://arxiv.org/abs/2305.01638)), written
# out whole in NumPy: the tree run backwards, with nothing stored but x.

# %%
import numpy as np
from autograd import grad
from autograd.test_util import check_grads

from multires_ref import multires_conv, multires_conv_traced
from multires_ref.definition import multires_conv_loops
from multires_ref.ops.dilated_conv import delay, dilated_conv, dilated_correlate, dilated_taps
from multires_ref.plots import new_figure, plot_tree_backwards, show

# %% [markdown]
# ## By hand
#
# The smallest case: four samples, two taps, dilation 2.
#
# a = (1, 2, 3, 4), h = (1, 10), out[n] = h[0] a[n] + h[1] a[n-2] = (1, 2, 13, 24).
#
# Suppose somebody downstream tells us how much the loss changes with each output: g = (1, 0, 0, 2). We want to know how much it changes
# with each a[n] and each h[k]. Write the loss as far as we can see it, the sum of g[n] out[n]:
#
# $$g \cdot \text{out} = \sum_n g[n] \sum_k h[k]\; a[n - 2k] = 1 \cdot (h_0 a_0) + 2 \cdot (h_0 a_3 + h_1 a_1)$$
#
# Now read off. **With a**: a₀ appears with h₀ · 1 = 1; a₁ with 2 h₁ = 20; a₂ does not appear; a₃ with 2 h₀ = 2. **With h**: h₀ appears with
# 1 · a₀ + 2 · a₃ = 9; h₁ with 2 · a₁ = 4.
#
# So the gradient in a is (1, 20, 0, 2), and in h (9, 4). Look at the first more closely: a[n] went forward to out[n] with h[0], and to
# out[n + 2] with h[1]. So backwards comes
#
# $$\frac{\partial}{\partial a[n]} = \sum_k h[k]\; g[n + 2k]$$
#
# the same filter, looking **ahead** where it looked back. A delay has become an advance. And the gradient in h[k] is the product of g with a, k
# dilations late, summed over time.


# %%
def backward(g, a, h, s):
    ahead = [np.append(g[k * s :], np.zeros(k * s)) for k in range(len(h))]  # g[n + k s]
    da = sum(h[k] * ahead[k] for k in range(len(h)))
    dh = np.array([np.sum(ahead[k] * a) for k in range(len(h))])
    return da, dh


# %%
a, h, g = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 10.0]), np.array([1.0, 0.0, 0.0, 2.0])
da, dh = backward(g, a, h, 2)
print("da", da, " dh", dh)
assert np.array_equal(da, [1, 20, 0, 2]) and np.array_equal(dh, [9, 4])

# %% [markdown]
# In the package they are `dilated_correlate` and `dilated_taps` in `ops/dilated_conv.py`, for signals [batch, channel, time].

# %%
assert np.array_equal(dilated_correlate(g[None, None], h[None], 2)[0, 0], da)
assert np.array_equal(dilated_taps(g[None, None], a[None, None], 2, 2)[0], dh)

# %% [markdown]
# ## The adjoint
#
# There is a name for this. For a fixed filter the convolution is a matrix C, and g · (C a) = (Cᵀ g) · a for all a and g. The transposed matrix
# is called the **adjoint**, and it *is* the backward pass. Look at the two: rows of C reach back, rows of Cᵀ reach ahead.

# %%
C = np.stack([dilated_conv(column, h, 2) for column in np.eye(4)], axis=1)
print(C, "\n\n", C.T)
assert np.array_equal(C @ a, [1, 2, 13, 24]) and np.array_equal(C.T @ g, da)

# %% [markdown]
# The same for sixteen samples and dilation 4. Every diagonal is a tap: below the main diagonal it takes from the past, above it from the future.

# %%
big = np.stack([dilated_conv(column, np.array([1.0, 2.0, 3.0]), 4) for column in np.eye(16)], axis=1)
figure, ((left, right),) = new_figure(7, 3.6, columns=2)
for ax, matrix, title in ((left, big, "C: forward"), (right, big.T, "C transposed: backward")):
    image = ax.imshow(matrix, cmap="Greys")
    ax.set(title=title, xlabel="time n of what goes in", ylabel="time n of what comes out")
figure.colorbar(image, ax=[left, right], label="weight", ticks=[0, 1, 2, 3])
show(figure, "the matrix of a dilated convolution, its diagonals below the main one, and its transpose, above")

# %% [markdown]
# This gives the best test there is for a backward pass: no derivative, no small step, any size. Draw a and g at random, and the two numbers
# g · (C a) and (Cᵀ g) · a must agree to the last digits.

# %%
rng = np.random.default_rng(0)
a, g, h = rng.standard_normal((2, 3, 50)), rng.standard_normal((2, 3, 50)), rng.standard_normal((3, 4))
forward = np.sum(g * dilated_conv(a, h, 4))
assert np.isclose(forward, np.sum(dilated_correlate(g, h, 4) * a), rtol=1e-12)
assert np.isclose(forward, np.sum(dilated_taps(g, a, 4, 4) * h), rtol=1e-12)

# %% [markdown]
# The same number three ways: g · out is linear in each of g, a and h. Its gradient in g is conv(a, h), in a it is correlate(g, h), in h it is taps(g, a).
#
# And what are the gradients of *these* functions, as second derivatives ask? Take taps(g, a), the gradient in h, and let v (shaped as h) come back to it. Then
# v · taps(g, a) is again the same number, with v in the place of h: so its gradient in g is conv(a, v), and in a it is correlate(g, v). In the numbers from
# above, g = (1, 0, 0, 2), a = (1, 2, 3, 4) and v = (1, 0), so that we ask for h₀'s gradient alone, which is g · a: its gradient in g is a, and conv(a, (1, 0)) = a.
#
# | of | in its first argument | in its second |
# |---|---|---|
# | conv(a, h), when g comes back | correlate(g, h) | taps(g, a) |
# | correlate(g, h), when u comes back | conv(u, h) | taps(g, u) |
# | taps(g, a), when v comes back | conv(a, v) | correlate(g, v) |
#
# The three functions are closed under differentiation, so there are derivatives of any order.

# %%
u, v = (np.random.default_rng(1).standard_normal(shape) for shape in (a.shape, h.shape))
by_autograd = grad(lambda a: np.sum(v * dilated_taps(g, a, 4, 4)))(a)
print(
    "taps in a: largest difference from correlate(g, v) below 1e-12:",
    bool(abs(by_autograd - dilated_correlate(g, v, 4)).max() < 1e-12),
)
assert np.allclose(grad(lambda h: np.sum(u * dilated_correlate(g, h, 4)))(h), dilated_taps(g, u, 4, 4))

# %% [markdown]
# ## Move it a little
#
# The adjoint test knows that things are linear. The general test of any gradient is to move one number by a small ε both ways, and to look:
# (f(x + ε) - f(x - ε)) / 2ε. How small should ε be? Too large, and the curve bends between the two points; too small, and the two values agree in nearly all of
# their digits, so that their difference is rounding. In double precision the best is around 10⁻⁵ to 10⁻⁶, where some nine digits can be trusted *if* the numbers are of size 1
# or so. (Where f is a million and its slope 1, six of them are gone.)

# %%
loss = lambda h: np.sum(np.tanh(dilated_conv(a, h, 4)))  # noqa: E731
one_tap = np.zeros_like(h)
one_tap[1, 2] = 1
g_out = 1 - np.tanh(dilated_conv(a, h, 4)) ** 2  # the derivative of tanh
exact = dilated_taps(g_out, a, 4, 4)[1, 2]


def off(e):
    return abs((loss(h + e * one_tap) - loss(h - e * one_tap)) / (2 * e) / exact - 1)


# %% tags=["varies"]
for e in (1e-1, 1e-3, 1e-5, 1e-7, 1e-9, 1e-11, 1e-13):
    print(f"ε = {e:.0e}: relative error {off(e):.0e}")
assert off(1e-5) < 1e-7 < min(off(1e-1), off(1e-13))

# %% [markdown]
# ## The tape
#
# Nobody wants to do a whole network by hand. **autograd** does it: it runs the function with boxes in place of arrays, each box writes down what
# was done to it (the *tape*), and then the tape is played backwards, one adjoint after the other. A function that runs on such boxes is called *traced*. To be
# played, an operation must have registered its adjoints with autograd. Ours do so in `ops/`, in the file of each operation.
#
# Three words that autograd's documentation uses: a **primitive** is an operation that is written on the tape as one entry; what comes back from downstream, our g, is its
# **cotangent**; and the rule that turns the cotangent of an output into that of an input is a **vjp** (vector-Jacobian product): our Cᵀ g. `defvjp` registers such
# rules, one for each argument.

# %%
import autograd.numpy as anp

traced_loss = lambda h: anp.sum(anp.tanh(dilated_conv(a, h, 4)))  # noqa: E731
assert np.allclose(grad(traced_loss)(h), dilated_taps(g_out, a, 4, 4))
check_grads(traced_loss, modes=["rev"], order=2)(h)  # moves everything a little, for the second derivative too

# %% [markdown]
# ## A planted error
#
# A wrong gradient does not crash. The loss goes down all the same, only not so far, and weeks are lost. So let us make a mistake on purpose,
# the likeliest one: in the backward pass we look *back* (delay) where we should look ahead (advance).


# %%
def wrong_correlate(g, h, s):
    return sum(h[:, k, None] * delay(g, k * s) for k in range(h.shape[1]))  # delay should be advance


# %%
right, wrong = dilated_correlate(g, h, 4), wrong_correlate(g, h, 4)
print("sizes alike:", np.linalg.norm(right).round(1), np.linalg.norm(wrong).round(1))
print("adjoint test:", forward.round(3), np.sum(right * a).round(3), np.sum(wrong * a).round(3))
assert np.isclose(forward, np.sum(right * a)) and not np.isclose(forward, np.sum(wrong * a))

# %% [markdown]
# Shape, dtype and size are those of the right answer; the adjoint test sees through it at once. So does autograd's own checker, when the wrong
# rule is registered:

# %%
from autograd.extend import defvjp, primitive

wrong_conv = primitive(dilated_conv)
defvjp(wrong_conv, lambda ans, a, h, s: lambda g: wrong_correlate(g, h, s), None)  # a rule for a, none for h
try:
    check_grads(lambda a: anp.sum(anp.tanh(wrong_conv(a, h, 4))), modes=["rev"])(a)
    print("no error found")
except AssertionError as error:
    print("autograd says:", str(error).split(" with arg")[0])

# %% [markdown]
# ## The whole layer
#
# Through the whole tree the tape knows the way: each level is one more convolution. `multires_conv_traced` is the layer written so. Its five
# arrays, the signal, both filters, the weights and the skip, all get their gradients.

# %%
B, D, L, K, J = 2, 3, 64, 2, 6
x, cotangent = rng.standard_normal((B, D, L)), rng.standard_normal((B, D, L))
arrays = [x, *(rng.standard_normal(shape) for shape in ((D, K), (D, K), (D, J + 1), (D,)))]
tape_loss = lambda *arrays: anp.sum(cotangent * multires_conv_traced(*arrays))  # noqa: E731
by_tape = [grad(tape_loss, n)(*arrays) for n in range(5)]
assert [len(d) for d in by_tape] == [B, D, D, D, D]
check_grads(tape_loss, modes=["rev"])(*arrays)

# %% [markdown]
# One thing is new. The *same* filter h0 serves all levels, so a change of h0 is felt on every one of them. What arrives at h0 is the **sum** of
# what each level sends. Let us see it: give each level its own copy (the layer accepts filters [J, D, K], *untied*) and add up.

# %%
untied = [x, *(np.repeat(h[None], J, axis=0) for h in arrays[1:3]), *arrays[3:]]
per_level = grad(tape_loss, 1)(*untied)  # [J, D, K]
print("shares of the levels in one tap:", per_level[:, 0, 0].round(2))
assert np.allclose(per_level.sum(axis=0), by_tape[1])

# %% [markdown]
# ## The layer's own backward pass, by hand
#
# What does each level send? The smallest layer: one level, two samples. x = (1, 2), sum and fall, w = (1, 2) for (a₁, b₁), w_skip = 3. Forward: a₁ = (1, 3),
# b₁ = (-1, -1), y = a₁ + 2 b₁ + 3 x = (2, 7). Let g = (0, 1): the loss is y[1] = 7. Read off, as at the beginning, from
#
# $$y[1] = w_a\,(h_0[0]\,x_1 + h_0[1]\,x_0) + w_b\,(h_1[0]\,x_1 + h_1[1]\,x_0) + w_{\text{skip}}\,x_1$$
#
# - **w**: the numbers of the memory itself, (a₁[1], b₁[1]) = (3, -1). **w_skip**: x₁ = 2. In general Σ g[n] z_n[r] and Σ g[n] x[n].
# - **h0**: w_a (x₁, x₀) = (2, 1). **h1**: w_b (x₁, x₀) = (4, 2). That is: g comes to b₁ as w_b g, and then `taps` as always.
# - **x**: x₁ has 1 · 1 + 2 · (-1) + 3 = 2; x₀ has 1 · 1 + 2 · 1 = 3.
#
# For several levels the same formulas hold one level after the other. Write da_i for the gradient in a_i. Then
#
# | what | at level i |
# |---|---|
# | what comes to the detail b_i | w_i g; for a kept detail that is `lag` samples old, w g advanced by lag |
# | what level i adds to h1 | Σ_n (w_i g)[n] · a_{i-1}[n - k 2^(i-1)], that is, taps(w_i g, a_{i-1}) |
# | what level i adds to h0 | taps(da_i, a_{i-1}) |
# | what comes to a_{i-1} | correlate(da_i, h0) + correlate(w_i g, h1) |
#
# from the top, da_J = w_a g, down to da_0, which is the gradient in x once w_skip g has been added.
#
# ## Folding: no detail is needed
#
# A detail is h1 over the level below, and then it is multiplied by its weight. So multiply the *filter*: with q_i = w_i h1, K numbers made once,
#
# $$\sum_n g[n]\,w_i\,b_i[n] = \sum_n g[n] \sum_k q_i[k]\; a_{i-1}[n - k\,2^{i-1}]$$
#
# and b_i need never be written down. The skip weight is one more number on the first tap of q₁. If the memory keeps t details of a level, 2^i apart, the
# one that is r places old has its taps 2 r places further: q_i[2 r + k] += w_i[r] h1[k]. So both TreeSelects are the same few lines.
#
# Backwards, dq_i = taps(g, a_{i-1}) is one filter's gradient, and the chain rule takes it apart, by the same line read the other way:
#
# - dh1[k] += Σ_r w_i[r] dq_i[2 r + k],
# - dw_i[r] = Σ_k h1[k] dq_i[2 r + k],
# - dw_skip = dq₁[0].
#
# In the numbers from above: q₁ = (2 · (-1) + 3, 2 · 1) = (1, 2), and dq₁ = (g · x, Σ g[n] x[n-1]) = (2, 1). So dh1 = 2 (2, 1) = (4, 2), dw_b = -2 + 1 = -1,
# dw_skip = 2, as before.


# %%
def fold(h1, w_i):  # [D, K], [D, t] -> q_i [D, 2 (t - 1) + K]
    K, t = h1.shape[1], w_i.shape[1]
    q = np.zeros((len(h1), max(2 * (t - 1) + K, 1)))
    for k in range(K if t else 0):
        q[:, k : k + 2 * t - 1 : 2] += w_i * h1[:, k, None]
    return q


def unfold(dq, h1, w_i):  # what comes back to q_i -> what comes back to h1 and to w_i
    K, t = h1.shape[1], w_i.shape[1]
    dh1, dw_i = np.zeros_like(h1), np.zeros_like(w_i)
    for k in range(K if t else 0):
        dh1[:, k] = (w_i * dq[:, k : k + 2 * t - 1 : 2]).sum(axis=1)
        dw_i += h1[:, k, None] * dq[:, k : k + 2 * t - 1 : 2]
    return dh1, dw_i


# %% [markdown]
# Now the whole pass. `kept` says how many details each level keeps, fine to coarse: (1, 1, ..., 1) for the fading memory. Forward again first, for the approximations; then
# down from the top. Nothing but x came from the forward pass.


# %%
def backward_pass(g, x, h0, h1, w, w_skip, kept):
    J, K = len(kept), h0.shape[1]
    ends = np.cumsum([1, *kept[::-1]])  # w holds a_J, then b_J, ..., b_1
    of_level = [slice(ends[J - 1 - i], ends[J - i]) for i in range(J)]
    q = [fold(h1, w[:, part]) for part in of_level]
    q[0][:, 0] += w_skip
    a = [x]
    for i in range(J):  # the approximations, computed again: a[i] is a_i
        a.append(dilated_conv(a[i], h0, 2**i))
    dh0, dh1, dw = np.zeros_like(h0), np.zeros_like(h1), np.zeros_like(w)
    dw[:, 0] = np.sum(g * a[J], axis=(0, 2))
    da = w[:, :1] * g  # the gradient in a_J
    for i in reversed(range(J)):
        dq = dilated_taps(g, a[i], 2**i, q[i].shape[1])
        dh1_here, dw[:, of_level[i]] = unfold(dq, h1, w[:, of_level[i]])
        dh1 += dh1_here  # the same filters serve all levels: their gradients add up
        dh0 += dilated_taps(da, a[i], 2**i, K)
        da = dilated_correlate(da, h0, 2**i) + dilated_correlate(g, q[i], 2**i)
    return da, dh0, dh1, dw, dq[:, 0]  # the gradient in a_0 is that in x


# %%
small = [np.array(v, float) for v in ([[[1, 2]]], [[1, 1]], [[-1, 1]], [[1, 2]], [3])]
for name, d in zip(("x", "h0", "h1", "w", "w_skip"), backward_pass(np.array([[[0.0, 1.0]]]), *small, kept=(1,)), strict=True):
    print(f"{name:6}", d.ravel())

# %% [markdown]
# The numbers that we had by hand. And the big ones: against the tape, against the package, and against the oracle, the loops of the definition, each of whose numbers
# is moved a little.


# %%
def agreement(found, right):
    return max(float(abs(f - r).max() / abs(r).max()) for f, r in zip(found, right, strict=True))


ours = backward_pass(cotangent, *arrays, kept=(1,) * J)
package = [grad(lambda *five: anp.sum(cotangent * multires_conv(*five, engine="tree")), n)(*arrays) for n in range(5)]
print("agrees with the tape:", agreement(ours, by_tape) < 1e-12, "and with the package:", agreement(ours, package) < 1e-12)
assert agreement(ours, by_tape) < 1e-12 and agreement(ours, package) < 1e-12

# %%
short = [arrays[0][:1, :, :12], *(p[:, :n] for p, n in zip(arrays[1:4], (2, 2, 4), strict=True)), arrays[4]]  # 12 samples, J = 3
far = cotangent[:1, :, :12]


def oracle_slopes(arrays, g, **select):
    slopes = [np.zeros_like(p) for p in arrays]
    for p, slope in zip(arrays, slopes, strict=True):
        for place in np.ndindex(p.shape):
            value, ends = p[place], []
            for e in (1e-5, -1e-5):
                p[place] = value + e
                ends.append(np.sum(g * multires_conv_loops(*arrays, **select)))
            p[place], slope[place] = value, (ends[0] - ends[1]) / 2e-5
    return slopes


slopes = oracle_slopes([p.copy() for p in short], far)
print("agrees with the oracle:", agreement(backward_pass(far, *short, kept=(1, 1, 1)), slopes) < 1e-7)
assert agreement(backward_pass(far, *short, kept=(1, 1, 1)), slopes) < 1e-7

# %% [markdown]
# The uniform memory, of five numbers over three levels of two taps, a₃, b₃, two of level 2, and one of level 1's four:

# %%
uniform = [*short[:3], rng.standard_normal((3, 5)), short[4]]
slopes = oracle_slopes([p.copy() for p in uniform], far, tree_select="uniform", depth=3)
print("uniform, too:", agreement(backward_pass(far, *uniform, kept=(1, 2, 1)), slopes) < 1e-7)
assert agreement(backward_pass(far, *uniform, kept=(1, 2, 1)), slopes) < 1e-7

# %% [markdown]
# In the picture, what the gradient in one sample x[n] is collected from. It is the tree of notebook 2 seen in a mirror: where the tree reaches back from one
# output, the gradient reaches ahead from one sample.

# %%
show(
    plot_tree_backwards(3, 2),
    "the tree run backwards: the gradient in x[n] is collected from the gradients of the levels at later times",
)

# %% [markdown]
# ## A backward pass that stores no tree
#
# What does each way keep? The tape must keep what each operation will need: the approximation and the detail of every level, so some 2 J arrays as large as the input,
# and the gradients that run back through them. For ten levels this is what decides how large a batch fits in memory.
#
# Our pass keeps only x. The price is to compute the J approximations again, K multiplications a sample and level. The package's pass, in `engines/`, is this
# one, a few sequences at a time, so that even the approximations exist for a few of them only.

# %%
import tracemalloc


# %%
def peak_megabytes(layer, arrays):
    tracemalloc.start()
    grad(lambda five: anp.sum(layer(*five)))(tuple(arrays))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


# %% tags=["varies"]
large = [rng.standard_normal((16, 64, 1024)), *(rng.standard_normal(s) for s in ((64, 2), (64, 2), (64, 11), (64,)))]
tape, fused = (peak_megabytes(f, large) for f in (multires_conv_traced, lambda *a: multires_conv(*a, engine="tree")))
print(f"x itself {large[0].nbytes / 1e6:.0f} MB; at the peak with a tape {tape:.0f} MB, fused {fused:.0f} MB")
assert fused < tape / 4

# %% [markdown]
# ## Summary
#
# - The adjoint of a delay is an advance; the gradient of a dilated convolution in its signal is the same filter looking ahead, and in its taps
#   the correlation of what comes back with what went in.
# - g · (C a) = (Cᵀ g) · a tests a backward pass exactly. Finite differences test anything, to some nine digits. Both must be seen to fail.
# - A filter that serves all levels gets the sum of all levels' gradients: h1 from level i taps(w_i g, a_{i-1}), h0 taps(da_i, a_{i-1}).
# - Folding q_i = w_i h1 makes the details superfluous, forward and backward; dq_i is taken apart into what h1, w and w_skip get.
# - autograd's tape stores the tree; the fused backward pass recomputes it, and gives the same numbers.
#
# ## Exercises
#
# **1** (easy). a = (1, 0, 2), h = (3, 1), dilation 1, g = (1, 1, 1). Write down both gradients.
#
# **2** (easy). What is the gradient of y[n] = Σ w[r] z_n[r] + w_skip x[n] in w_skip?
#
# **3** (medium). The last sample x[L-1] influences only the last output. So what is the first thing to test about the gradient in x when g is
# zero everywhere but at time n?
#
# **4** (medium). Plant another error: forget that the filters are shared, and return the gradient of level 1 alone as that of h0. Would the adjoint test in x
# notice? What would?
#
# **5** (harder). The gradient of *what* in what is `dilated_conv`, if you begin from `dilated_taps(g, a)`?

# %% [markdown]
# <details><summary>Solutions</summary>
#
# **1.** out = (3, 1, 6). In a: h[0] g[n] + h[1] g[n+1] = (3 + 1, 3 + 1, 3) = (4, 4, 3). In h[0]: g · a = 1 + 0 + 2 = 3. In h[1]: g[1] a[0] + g[2] a[1] = 1 + 0 = 1.
#
# **2.** Σ g[n] x[n], over batch and time, for each channel.
#
# **3.** That it is zero after n. Causality backwards: an output owes nothing to later samples.
#
# **4.** In x no: the gradient in x does not come from the filters' gradient. And for h0 there is no adjoint test, since the output is not linear in h0: a_J holds the product of J
# taps. What notices is to move a tap a little, as `oracle_slopes` does. Of the tap whose shares are printed above, level 1's alone has not even the sign of the sum.
#
# **5.** taps is linear in g; its gradient in g, given what comes back for the taps (an array in the place of h), is the convolution of a with
# it. The circle closes.
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
da, dh = backward(np.ones(3), np.array([1.0, 0.0, 2.0]), np.array([3.0, 1.0]), 1)
assert np.array_equal(da, [4, 4, 3]) and np.array_equal(dh, [3, 1])
assert np.allclose(by_tape[4], np.sum(cotangent * x, axis=(0, 2)))
one_time = np.zeros_like(x)
one_time[..., 40] = 1
dx = grad(lambda x: anp.sum(one_time * multires_conv(x, *arrays[1:])))(x)
assert not dx[..., 41:].any() and dx[..., 40].all()
assert per_level[0, 0, 0] * by_tape[1][0, 0] < 0
gh = rng.standard_normal(h.shape)
assert np.allclose(grad(lambda g: anp.sum(gh * dilated_taps(g, a, 4, 4)))(g), dilated_conv(a, gh, 4))

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
# plant an error and catch it, and end with the layer's own backward pass, which stores no tree.

# %%
import numpy as np
from autograd import grad
from autograd.test_util import check_grads

from multires_ref import multires_conv, multires_conv_traced
from multires_ref.ops.dilated_conv import advance, delay, dilated_conv, dilated_correlate, dilated_taps

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
# This gives the best test there is for a backward pass: no derivative, no small step, any size. Draw a and g at random, and the two numbers
# g · (C a) and (Cᵀ g) · a must agree to the last digits.

# %%
rng = np.random.default_rng(0)
a, g, h = rng.standard_normal((2, 3, 50)), rng.standard_normal((2, 3, 50)), rng.standard_normal((3, 4))
forward = np.sum(g * dilated_conv(a, h, 4))
assert np.isclose(forward, np.sum(dilated_correlate(g, h, 4) * a), rtol=1e-12)
assert np.isclose(forward, np.sum(dilated_taps(g, a, 4, 4) * h), rtol=1e-12)

# %% [markdown]
# The same number three ways: g · out is linear in each of g, a and h, so its gradient in each is one of three functions, conv, correlate
# and taps, and *their* gradients are again these three. Derivatives of any order, for free.
#
# ## Move it a little
#
# The adjoint test knows that things are linear. The general test of any gradient is to move one number by a small ε both ways, and to look:
# (f(x + ε) - f(x - ε)) / 2ε. In double precision, with ε around 10⁻⁶, about nine digits can be trusted.

# %%
loss = lambda h: np.sum(np.tanh(dilated_conv(a, h, 4)))  # noqa: E731
step = np.zeros_like(h)
step[1, 2] = 1e-6
slope = (loss(h + step) - loss(h - step)) / 2e-6
g_out = 1 - np.tanh(dilated_conv(a, h, 4)) ** 2  # the derivative of tanh
assert np.isclose(slope, dilated_taps(g_out, a, 4, 4)[1, 2], rtol=1e-7)

# %% [markdown]
# ## The tape
#
# Nobody wants to do a whole network by hand. **autograd** does it: it runs the function with boxes in place of arrays, each box writes down what
# was done to it (the *tape*), and then the tape is played backwards, one adjoint after the other. To be played, an operation must have
# registered its adjoints with autograd. Ours do so in `ops/`, in the file of each operation.

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

# %%
caught = False
try:
    check_grads(lambda a: anp.sum(anp.tanh(wrong_conv(a, h, 4))), modes=["rev"])(a)
except AssertionError:
    caught = True

# %%
assert caught
one_step = advance(np.arange(5.0), 1), delay(np.arange(5.0), 1)
assert np.array_equal(one_step[0], [1, 2, 3, 4, 0]) and np.array_equal(one_step[1], [0, 0, 1, 2, 3])

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
# ## A backward pass that stores no tree
#
# The tape must keep what each operation will need: the approximation and the detail of every level, so some 2 J arrays as large as the input,
# and the gradients that run back through them. For ten levels this is what decides how large a batch fits in memory.
#
# But the tree is cheap to compute anew. The layer's real backward pass, in `engines/`, is one function for all five gradients: it keeps only x,
# recomputes the approximations level by level, a few sequences at a time, walks back from the coarsest, and forgets them. It needs no
# detail at all: what w asks of b_i, a short filter can ask of a_{i-1} directly (`engines/readout.py` has the two lines of algebra).

# %%
fused_loss = lambda *arrays: anp.sum(cotangent * multires_conv(*arrays, engine="tree"))  # noqa: E731
for n in range(5):
    assert np.allclose(grad(fused_loss, n)(*arrays), by_tape[n], rtol=1e-10, atol=1e-10)


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
# - A filter that serves all levels gets the sum of all levels' gradients.
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
# **4** (medium). Plant another error: forget that the filters are shared, and return the gradient of level 1 alone. Would the adjoint test in x
# notice? The one in h0?
#
# **5** (harder). The gradient of *what* in what is `dilated_conv`, if you begin from `dilated_taps(g, a)`?

# %% [markdown]
# <details><summary>Solutions</summary>
#
# **1.** out = (3, 1, 6). In a: h[0] g[n] + h[1] g[n+1] = (4, 4, 3). In h: (1 + 0 + 2, 0·1 + 1·1 ... ) = (3, 1): g · a = 3, and g[1] a[0] + g[2] a[1] = 1.
#
# **2.** Σ g[n] x[n], over batch and time, for each channel.
#
# **3.** That it is zero after n. Causality backwards: an output owes nothing to later samples.
#
# **4.** In x no: the gradient in x does not come from the filters' gradient. In h0 yes: the inner product with h0 comes out too small. (For the whole
# layer the output is not linear in h0, so there one moves h0 a little.)
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
assert not np.allclose(per_level[0], by_tape[1])
gh = rng.standard_normal(h.shape)
assert np.allclose(grad(lambda g: anp.sum(gh * dilated_taps(g, a, 4, 4)))(g), dilated_conv(a, gh, 4))

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
# # 7. Verify against PyTorch
#
# Two programs are said to compute the same network. How would you know? Comparing the final outputs tells you *that* something is wrong, and rarely
# what. In this notebook we load a checkpoint in the format of the PyTorch code of the paper's authors (Shi, Wang and Fox, [arXiv
# 2305.01638](https://arxiv.org/abs/2305.01638); [thjashin/multires-conv](https://github.com/thjashin/multires-conv)), compare layer by layer, find
# a mistake that somebody planted, make a table by which you can find your own, and learn to tell a mistake from rounding.
#
# No PyTorch is needed: its numbers were stored beforehand in `data/` (the README there says by which command). Where
# PyTorch is installed, two cells run it live and check that the stored numbers are still what it says.

# %%
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from multires_ref import load_model
from multires_ref.base.agreement import measure
from multires_ref.base.tables import text_table
from multires_ref.plots.style import show

# %% [markdown]
# ## When are two numbers the same?
#
# A float64 number has 53 binary digits. Numbers just above 1 are spaced 2^-52 = 2.2e-16, numbers just above 2 twice that. Every operation
# rounds to the nearest, so two correct programs that add in another order will differ in the last places:

# %%
print(0.1 + 0.2 == 0.3, abs((0.1 + 0.2) - 0.3))
ones = np.float32([1e8, 1.0, -1e8])
print("in this order", ones[0] + ones[1] + ones[2], " and in that", ones[0] + ones[2] + ones[1])
assert np.spacing(1.0) == 2**-52 and np.spacing(2.0) == 2**-51
assert ones[0] + ones[1] + ones[2] == 0 and ones[0] + ones[2] + ones[1] == 1

# %% [markdown]
# So we do not ask whether arrays are equal but how far they are apart, and in three ways:
#
# - *relative*: |a - b| / |b| over the whole array (Euclidean norms). The one number to look at. It is divided by b, the side that is taken to be
#   right: ours, in this whole notebook and in `compare`. (Divided by the other side, the same difference is another number.)
# - *largest*: the largest difference of all.
# - *ulp*: the largest difference, counted in spacings of the largest number ("units in the last place"). It says how many last digits
#   are in doubt, in a way that does not depend on float32 or float64.
#
# A worked case: b = (1, 2 + 2^-51), and a is the same with 2 for the second. The largest difference is one spacing at 2, so 1 ulp, and the
# relative error is 2^-51 / sqrt(1 + 4), about 2e-16.

# %% tags=["varies"]
error = measure(np.array([1.0, 2.0]), np.array([1.0, 2.0 + 2**-51]), tolerance=1e-12)
print(error)
assert error.ulp == 1 and error.largest == 2**-51 and error.passed
assert np.isclose(error.relative, 2**-51 / np.sqrt(5))

# %% [markdown]
# ## Load a checkpoint
#
# `data/authors.safetensors` holds the parameters of a small classifier by the names that the authors' code gives them. (Their own
# files end in .pth; `load_model` reads those too, if PyTorch is there.)

# %%
from safetensors.numpy import load_file

tensors = {name.removeprefix("module."): a for name, a in load_file("data/authors.safetensors").items()}
for name, array in tensors.items():
    if name.startswith(("encoder", "seq_layers.0", "output")):
        print(f"{name:24}", array.shape)

# %% [markdown]
# Three conventions stand between these arrays and ours:
#
# - their filters are stored *newest sample last* (PyTorch's conv1d weights the newest sample with the last tap); ours newest first;
# - their w packs the memory's weights and the skip weight in one array, the skip last;
# - neither the tree's depth nor the kind of its memory is in the file. We know that it is fading, and say so: m = J + 1 numbers, and w has
#   one more, so J = 7 - 2 = 5 here.

# %%
model = load_model("data/authors.safetensors", tree_select="fading")
conv = model.params["blocks"][0]["conv"]
assert model.config.J == tensors["seq_layers.0.w"].shape[1] - 2 == 5
assert np.array_equal(conv["h0"], tensors["seq_layers.0.h0"][:, 0, ::-1])
assert np.array_equal(conv["w"], tensors["seq_layers.0.w"][:, :-1])
assert np.array_equal(conv["w_skip"], tensors["seq_layers.0.w"][:, -1])

# %% [markdown]
# What if you forget to turn the taps round? Nothing breaks: the shapes fit, training would go on, the outputs look reasonable. That is
# why such a mistake lives long, and why it is the one that we shall plant.
#
# ## Layer by layer
#
# Every place in the network has one name, and this notebook uses no other. `blocks.1.conv` is the output of the multiresolution convolution in
# block 1, the *second* block, since blocks count from 0. Within a block the places are, in order, `conv`, `gelu`, `mix` (the 1x1 map), `glu` and
# `norm` (notebook 6 draws them; the norm here is a LayerNorm). Before the blocks there is `encoder`; behind them `pool`, the mean over time, and
# `decoder`, the output.
#
# Run our model and note what comes out of every layer, with a *hook*: a function that is shown each intermediate array by name.
# Then compare each with what PyTorch had in the same place, on the same input. In float64, first: there rounding is so small that any mistake
# stands out by ten orders of magnitude.

# %%
from multires_ref.diagnose.record import cast_model

stored = np.load("data/pytorch_layers.npz")
wide, x = cast_model(model, "float64"), stored["x"]
ours = {}
out = wide(x, hook=lambda name, array: ours.__setitem__(name, array))


# %%
def errors_against(which, tolerance, mine=ours):
    return {name: measure(stored[f"{which}/{name}"], mine[name], tolerance) for name in mine}


def table(errors):
    rows = [[name, f"{e.relative:.1e}", f"{e.ulp:.3g}", "ok" if e.passed else "DIFFERS"] for name, e in errors.items()]
    print(text_table(["layer", "relative", "ulp", "verdict"], rows))


# %% tags=["varies"]
agreement = errors_against("float64", tolerance=1e-12)
table(agreement)
assert all(error.passed for error in agreement.values())

# %% [markdown]
# Two programs that share no line of code agree in every layer to a few units in the last place. Where PyTorch is installed, let us see
# whether it still says what is stored:

# %% tags=["varies"]
if find_spec("torch"):
    from multires_ref.diagnose.verify import verify_pytorch

    print("live:", "all layers agree" if verify_pytorch(wide, x, dtypes=("float64",)).passed else "a layer differs")

# %% [markdown]
# ## A planted mistake
#
# A colleague has written the network again, in PyTorch. Their outputs are off by less than a hundredth of their size; they think that float32 is
# the reason. Their layers' outputs, computed in float64, are stored as "planted". Look at the output alone first, and then at the table.

# %% tags=["varies"]
suspicious = errors_against("planted", tolerance=1e-10)
print(f"at the output: relative error {suspicious['decoder'].relative:.4f}")
table(suspicious)
first = next(name for name, error in suspicious.items() if not error.passed)
assert first == "blocks.1.conv" and suspicious["decoder"].relative < 0.01

# %% [markdown]
# Read it from the top. Everything down to `blocks.0.norm` agrees to the last digits: so the encoder, block 0 and the input are right. The first
# place that differs is `blocks.1.conv`, and it is off by more than half of its size. Then the error *shrinks* on its way down: the residual sum
# carries the right numbers around the wrong ones, the norm and the mean over time smooth. That is why the output looked almost right, and why one
# should never judge a network by its output alone.
#
# In a picture, on a logarithmic axis: the sound network lies at the left, and the other one falls off it at one place.

# %%
from multires_ref.plots.errors import plot_layer_errors

falling = {
    "the sound network": [e.relative for e in agreement.values()],
    "the colleague's": [e.relative for e in suspicious.values()],
}
ax = plot_layer_errors(list(suspicious), falling, unit=2.0**-52)
ax.axhline(list(suspicious).index(first) - 0.5, color="#D55E00", lw=1)
ax.annotate(
    "the first place that differs", (1e-9, list(suspicious).index(first) - 0.6), ha="center", va="bottom", color="#D55E00"
)
show(
    ax,
    "relative error of each layer in float64: below blocks.1.conv the colleague's network jumps from 1e-16 to nearly 1, then shrinks",
)

# %% [markdown]
# Which mistake is it? We can try: build a usual mistake into *our* network and see whether we then get *their* numbers. If a mistake
# reproduces another program's wrong numbers to the last digits, it is the mistake.

# %% tags=["varies"]
from multires_ref.diagnose.mistakes import Mistakes, apply_with_mistakes

guesses = {"skip left out": {"skip": "missing"}, "filters swapped": {"filters": "swapped"}, "taps reversed": {"taps": "reversed"}}
for name, guess in guesses.items():
    mine = apply_with_mistakes(wide, x, None, Mistakes(**guess), blocks=[1])[first]
    error = measure(stored[f"planted/{first}"], mine, tolerance=1e-10)
    print(f"{name:16} {error.relative:.1e}")
assert error.passed

# %% [markdown]
# The taps of block 1 were stored in the opposite order.
#
# ## The table: mistake, typical error, what a click shows
#
# Three guesses, and the last one fitted. What if it had not? Two measurements narrow it down, and neither needs another program. The first is the
# *size* of the error. The second is a click (notebook 4): put a single 1 into one layer and look at what comes out. Below, each usual mistake is
# built into block 1 of our network; printed are the relative errors at `blocks.1.conv` (or at the first place that it reaches) and at the output.


# %%
TABLE = {
    "taps reversed": {"taps": "reversed"},
    "h0 and h1 swapped": {"filters": "swapped"},
    "no dilation": {"dilations": "none"},
    "dilations from 2": {"dilations": "from 2"},
    "dilations coarse first": {"dilations": "coarse first"},
    "one level too few": {"depth": "one less"},
    "one level too many": {"depth": "one more"},
    "w fine to coarse": {"weights": "fine to coarse"},
    "a_J's weight last": {"weights": "a_J last"},
    "skip weight first": {"skip": "first"},
    "skip left out": {"skip": "missing"},
    "padding on the right": {"padding": "right"},
    "wraps around": {"padding": "circular"},
    "GLU's halves swapped": {"glu": "first half gates"},
    "tanh for GELU": {"gelu": "tanh"},
    "eps of the norm 1e-3": {"eps": 1e-3},
}


def sizes(guess):
    mine = apply_with_mistakes(wide, x, None, Mistakes(**guess), blocks=[1])
    errors = {name: measure(mine[name], ours[name], 1e-12).relative for name in ours}
    place = next(name for name, error in errors.items() if error > 1e-12)
    return [place, f"{errors[place]:.1e}", f"{errors['decoder']:.1e}"]


# %% tags=["varies"]
print(
    text_table(
        ["mistake in block 1", "first place", "error there", "at the output"], [[name, *sizes(g)] for name, g in TABLE.items()]
    )
)

# %% [markdown]
# So sizes tell the *kind*: nearly everything in the convolution is an error of the size of the numbers themselves, one that could never be
# rounding; a formula that is nearly right (tanh, eps) is smaller by orders of magnitude, and first seen further down. They do not tell mistakes of
# one kind apart. A click does. A small layer, J = 3, with numbers that are easy to recognise: h0 = (2, 1), h1 = (-1, 1), w = (1, 10, 100, 1000) for
# a₃, b₃, b₂, b₁, and w_skip = 5. The click is at time 2 of 16. What comes out:

# %%
from multires_ref import NetworkConfig
from multires_ref.diagnose.mistakes import conv_with_mistakes

one = NetworkConfig(1, 1, 1, 1, kernel_size=2, max_length=8)
layer = {"h0": [[2.0, 1.0]], "h1": [[-1.0, 1.0]], "w": [[1.0, 10.0, 100.0, 1000.0]], "w_skip": [5.0]}
layer = {name: np.array(values) for name, values in layer.items()}
click = np.zeros((1, 1, 16))
click[..., 2] = 1


def answer(**guess):
    return conv_with_mistakes(one, layer, click, Mistakes(**guess))[0, 0]


print(f"{'time':23}" + "".join(f"{n:6}" for n in range(16)))
print(f"{'right':23}" + "".join(f"{v:6.0f}" for v in answer()))
for name, guess in TABLE.items():
    if name not in ("GLU's halves swapped", "tanh for GELU", "eps of the norm 1e-3"):
        print(f"{name:23}" + "".join(f"{v:6.0f}" for v in answer(**guess)))

# %% [markdown]
# How to read it, mistake by mistake:
#
# - **The first number that is not 0** stands at the click: nothing may come before it. *Padding on the right* answers before the click.
# - **The length** is the receptive field, 8. *No dilation* is shorter, *one level too few* half as long, *dilations from 2* and *one level too
#   many* twice as long. In *dilations from 2* every second number is 0.
# - **Where the large numbers stand** when the length is right: b₁'s belong at lags 0 and 1. With *dilations coarse first* they are at lags 0 and 4.
# - **Which lag carries the largest weight.** b₁ has 1000, at lags 0 and 1. With *w fine to coarse* the large weights stand on the coarse levels,
#   late; with *a_J's weight last* a₃ has taken the 1000, and the whole answer is large and of one sign.
# - **Symmetry.** *Taps reversed*: the numbers of each level in the opposite order, and the first sign is the other one. *h0 and h1 swapped*: signs
#   alternate in the tail, where the sum of low-pass filters should be smooth.
# - **The first number alone** changes with the skip: by w_skip if it is *left out*, otherwise if another weight was taken for it (*skip weight
#   first* also moves all other weights by one).
# - *Wraps around* shows nothing at all while the answer fits into the sequence: put the click near the end, and the answer comes out at the
#   beginning:

# %%
click[...] = 0
click[..., 13] = 1
print("right       ", answer().astype(int))
print("wraps around", answer(padding="circular").astype(int))

# %% [markdown]
# `compare(module, model, x)` does all this by itself for a PyTorch module of yours: it finds which of your layers is which of ours, runs both, and
# tries a list of usual mistakes, and pairs of them. Here is what it said about this one, stored, and checked again where PyTorch is installed. The
# first column has our names; the second has PyTorch's for the same places in the module. It compares in evaluation mode and in training mode, where
# dropout and BatchNorm would differ; here both are the same.

# %%
said = Path("data/compare.txt").read_text()
print(said)

# %% tags=["varies"]
if find_spec("torch"):
    from multires_ref import compare
    from multires_ref.authors.torch_model import to_torch

    module = to_torch(wide)
    for h in (module.seq_layers[1].h0, module.seq_layers[1].h1):
        h.data = h.data.flip(-1)
    print("live:", compare(module, wide, x).mistakes)

# %% [markdown]
# ## Float32 against float64
#
# Networks are trained in float32, 24 binary digits, spaced 2^-23 = 1.2e-7 near 1. Two correct float32 programs therefore differ, and the question
# becomes: which of them is nearer to the *truth*, which is what both would give without rounding? We take the float64 run for it; its own rounding
# is 2^29, half a billion, times smaller.

# %% tags=["varies"]
narrow = {}
out = model(x.astype(np.float32), hook=lambda name, array: narrow.__setitem__(name, array))
ours_off = [measure(narrow[name], ours[name], 1e-5).relative for name in ours]
theirs_off = [measure(stored[f"float32/{name}"], ours[name], 1e-5).relative for name in ours]
print("nearer to the truth: ours in", sum(a < b for a, b in zip(ours_off, theirs_off, strict=True)), "of", len(ours), "layers")
assert max(ours_off) < 1e-6 and max(theirs_off) < 1e-6

# %%
both = {"NumPy, float32": ours_off, "PyTorch, float32": theirs_off}
show(
    plot_layer_errors(list(ours), both, unit=2.0**-23),
    "relative error of each layer in float32 against float64, for both programs",
)

# %% [markdown]
# Both lie within a few spacings, one of them a little nearer in most layers. That is a matter of the order in which sums are taken, and of no
# consequence: this picture is what "the same" looks like, two clouds near the dashed line. A mistake looks like the picture further up: digits
# agree to the last place, and then, from one layer on, they do not.
#
# How small a mistake could hide in float32? GELU is c Φ(c), with the normal distribution function Φ. The tanh formula that is often used instead of
# the exact one differs from it by up to 4.7e-4 for the worst argument; for ours, which are small, by less. Beside rounding at 1e-7 that is plain to
# see:

# %% tags=["varies"]
tanh = apply_with_mistakes(wide, x, None, Mistakes(gelu="tanh"))
off = measure(tanh["blocks.0.gelu"], ours["blocks.0.gelu"], 1e-5)
print(f"relative {off.relative:.1e}, largest {off.largest:.1e}")
assert not off.passed and off.largest < 4.8e-4

# %% [markdown]
# ## Gradients, too
#
# A forward pass may be right and the backward pass wrong. `data/authors_gradients.npz` holds, for this network, the loss and the gradient of every
# parameter as the authors' own code computed them in float64. The checkpoint was rounded to float32, by up to 6e-8 of each parameter, so that much
# may differ and no more. (Counted in units of the last place of float64 that is a lot: the parameters themselves differ by 2^29 of them. So here
# the relative errors count.)

# %% tags=["varies"]
from multires_ref.diagnose.verify import verify_reference

report = verify_reference(wide, dict(np.load("data/authors_gradients.npz")), "float64", rounded=True)
rows = [row for section in report.sections for row in section.rows]
worst = max((row.forward or row.gradient).relative for row in rows)
print(f"{len(rows)} numbers and arrays compared, all agree: {report.passed}; the largest relative error is {worst:.0e}")
assert report.passed

# %% [markdown]
# ## Summary
#
# - "The same" means: within a few units in the last place, in *every layer*, not just at the output.
# - Compare in float64 first. There a mistake and rounding are ten orders of magnitude apart.
# - The **first** layer that differs is where to look. Later errors are echoes, and they may shrink.
# - A mistake is identified when, built into the right program, it gives the wrong program's numbers.
# - On the command line: `multires-ref verify CHECKPOINT`; for a module of your own: `multires_ref.compare`.
#
# ## Exercises
#
# **1** (easy). How many ulp is an error of 1e-6 in a float32 array whose largest number is 1? And in a float64 array?
#
# **2** (easy). In a table all layers agree down to `blocks.3.gelu`, and from `blocks.3.mix` on they differ. Which parameters do you look at?
#
# **3** (medium). Plant another mistake in our network: h0 and h1 swapped in the first block only. Which layer is the first that differs, and how
# large is the error at the output?
#
# **4** (medium). With *symmetric* filters, (c, c), the planted mistake would not show. Why? Which other mistakes can hide behind
# special numbers?
#
# **5** (harder). Somebody reports: "float64 agrees to 1e-15 in all layers, float32 differs by 3e-3 in a BatchNorm". What could be the cause?

# %% [markdown]
# <details><summary>Solutions</summary>
#
# **1.** 1e-6 / 2^-23 = 8.4 ulp; in float64 1e-6 / 2^-52 = 4.5e9.
#
# **2.** The weight and bias of that 1x1 map (and the order of its axes: a square weight may be transposed unnoticed; D -> 2D cannot).
#
# **3.** See below: `blocks.0.conv` is the first.
#
# **4.** A filter whose taps are equal is its own mirror image. Zero biases hide a missing bias, a zero skip weight hides a missing skip, equal
# lengths hide a mean over the padding, a freshly started BatchNorm (mean 0, variance 1) hides its statistics. So: verify with random numbers
# everywhere, or with a trained network.
#
# **5.** A variance computed as mean(x²) - mean(x)² in float32: where the mean is large beside the standard deviation, the digits cancel. Try it
# below.
# </details>

# %% jupyter={"source_hidden": true} tags=["solution", "varies"]
assert round(1e-6 / 2**-23, 1) == 8.4 and f"{1e-6 / 2**-52:.1e}" == "4.5e+09"
swapped = apply_with_mistakes(wide, x, None, Mistakes(filters="swapped"), blocks=[0])
off = {name: measure(swapped[name], ours[name], 1e-10) for name in ours}
print(f"at the output {off['decoder'].relative:.1e}")
assert next(name for name, error in off.items() if not error.passed) == "blocks.0.conv"

# %% jupyter={"source_hidden": true} tags=["solution", "varies"]
v = np.float32(100 + np.random.default_rng(0).standard_normal(10_000))
truth, careless = v.astype(float).var(), (v * v).mean() - v.mean() ** 2
print(f"careless: off by {abs(careless - truth) / truth:.1e}; v.var(): off by {abs(v.var() - truth) / truth:.1e}")
assert abs(v.var() - truth) < abs(careless - truth)
mirror = np.array([0.7, 0.7])
assert np.array_equal(mirror, mirror[::-1])

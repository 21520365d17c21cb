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
# # 6. Train a MultiresNet
#
# So far the filters and the weights were given: a wavelet's, or drawn at random. Now they are learned. We take a small task that needs no download,
# draw the network of the paper (Shi, Wang and Fox, [arXiv 2305.01638](https://arxiv.org/abs/2305.01638)) box by box, compute one of its blocks by
# hand, take one training step with our own hands, and then a whole run. Notebook 14 opens the trained network, and notebook 15 asks what it would
# be without this part or that.

# %%
import numpy as np

from multires_ref import Model, NetworkConfig
from multires_ref.plots.block import plot_block
from multires_ref.plots.sequences import plot_images, plot_reading
from multires_ref.plots.style import new_figure, show
from multires_ref.tasks import get_task
from multires_ref.tasks.task import LoadOptions

# %% [markdown]
# ## The task
#
# scikit-learn carries small images of handwritten digits, 8 x 8 pixels each. We read each image as text is read, row by row from
# the top, so that it becomes a sequence of 64 numbers. The pixel in row 2, column 5 arrives at time n = 8 * 2 + 5 = 21, and the
# pixel right below it eight steps later. What is *near* in the image may be far apart in time: that is why reading
# digits one pixel at a time is a memory task, and not only a toy.

# %%
task = get_task("digits")
splits = task.load(LoadOptions())
train, test = splits["train"], splits["test"]
print({name: split.x.shape for name, split in splits.items()})
image = train.x[0, 0].reshape(8, 8)
assert image[2, 5] == train.x[0, 0, 8 * 2 + 5]

# %%
figure, ((left, right),) = new_figure(9, 3.6, columns=2, width_ratios=[1, 2.2])
plot_reading(train.x[0, 0], left, title=f"a {train.y[0]}, and how it is read")
plot_images(train.x[1:22, 0], right, columns=7, title="more of them")
show(figure, "a digit with the path of reading, and twenty-one more digits")

# %% [markdown]
# ## The network
#
# A MultiresNet is an encoder, a stack of equal blocks, and a decoder. The **encoder** is a 1x1 map: at each time it turns the sample's `d_input`
# numbers into D channels. The **decoder** of a classifier takes the mean over time and maps it to one number for each class, its *logit*: the
# larger, the likelier. (exp of the logits, divided by their sum, are probabilities.)
#
# And a **block**? Here it is, left to right, with all its parameters:

# %%
show(
    plot_block(),
    "a block: multiresolution convolution, GELU, 1x1 map, GLU, residual sum and norm, with all parameters and their shapes",
)

# %% [markdown]
# - **multiresolution convolution**: the layer of notebooks 1 to 5, one in each channel. It looks along time and at no other channel.
# - **GELU** bends: v = c Φ(c), where Φ(c) is the share of a normal distribution below c. GELU(1) = 0.84, GELU(-1) = -0.16, GELU(0) = 0: large
#   numbers pass, very negative ones are stopped. Without something that is not linear, a stack of layers would be one linear filter.
# - **1x1 map** mixes the channels: u = W v + bias, a matrix [2 D, D] at each time, the same at all times. It looks at no other time.
# - **GLU**, the gate: the first D channels u₁ are values, the last D gates, r = u₁ σ(u₂) with σ(u) = 1 / (1 + e^-u), between 0 and 1. GLU(2, 0) = 2
#   · 1/2 = 1, and with all of u zero r is 0.
# - **second 1x1 map**: only networks for densities (notebook 16) have it, and it is called `mix2` there.
# - **residual sum**: x + r. What came in is carried around and added, so a block needs only to say what to *change*.
# - **norm**: LayerNorm takes, at each time, the mean of the D channels away and divides by their standard deviation; BatchNorm does the same for
#   each channel, over the batch and time in training, and with stored running values afterwards. Both then multiply by `weight` and add `bias`. It
#   comes *after* the sum ("post-norm").
#
# Channel dropout, after GELU and after GLU, sets whole channels to zero at random while training; here it is off.
#
# By hand for the smallest block, D = 1 and one sample: let c = 1. v = 0.84. With W = (2, 0), bias 0: u = (1.68, 0), r = 1.68 σ(0) = 0.84. With x =
# 3 the sum is 3.84. The same in six lines of NumPy, for a block of any size, against the package:

# %%
from scipy.special import erf, expit

small = NetworkConfig(1, 10, d_model=4, n_layers=1, max_length=16, norm="layer")
network, seen = Model.init(small, np.random.default_rng(0)), {}
network(np.random.default_rng(1).standard_normal((1, 1, 16)).astype("float32"), hook=seen.__setitem__)
block = network.params["blocks"][0]
x, c = (seen[name][0].astype(float) for name in ("encoder", "blocks.0.conv"))  # [D, L]

# %%
v = c * (1 + erf(c / np.sqrt(2))) / 2  # GELU: Φ by the error function
u = block["mix"]["weight"] @ v + block["mix"]["bias"][:, None]  # [2 D, L]
r = u[:4] * expit(u[4:])  # GLU; expit is σ
s = x + r
out = (s - s.mean(axis=0)) / np.sqrt(s.var(axis=0) + 1e-5) * block["norm"]["weight"][:, None] + block["norm"]["bias"][:, None]
print("the package has the same:", np.allclose(out, seen["blocks.0.norm"][0], atol=1e-5))
assert np.allclose(out, seen["blocks.0.norm"][0], atol=1e-5)

# %% [markdown]
# ## Count before you run
#
# With D = 16 channels, K = 2 taps and sequences of 64, the depth must be J = 6, because (2 - 1)(2^6 - 1) + 1 = 64. Then a layer holds, for each
# channel, two filters of 2 taps, m = 7 weights of the memory and one of the skip: 2 * 2 + 7 + 1 = 12 numbers, so 192 in all. The 1x1 map from 16 to
# 32 channels has 16 * 32 + 32 = 544. So most of the parameters are *not* in the part that this package is about.

# %%
from multires_ref.network.account import parameters_by_part

BASE = {"d_model": 16, "n_layers": 2, "kernel_size": 2, "dropout": 0.0, "epochs": 15}
BASE |= {"lr": 0.01, "batch_size": 50, "engine": "tree"}
config, training = task.settings(**BASE, seed=0)
parts = parameters_by_part(config)

# %%
print(parts, "in all", sum(parts.values()))
assert (config.J, config.m, config.receptive_field) == (6, 7, 64)
assert parts["filters h0, h1"] + parts["memory weights w"] + parts["skip weights"] == 2 * 192
assert parts["1x1 maps"] == 2 * 544

# %% [markdown]
# ## One step
#
# A training step is: run a batch forward, get the loss, run it backward, move every parameter a little. Before any training the
# network should know nothing, and a network that gives each of ten classes the same probability has a loss of ln 10 = 2.303.
# That is the first number to look at in any run: if it is far from it, something is wrong already.

# %%
from multires_ref import init_params, init_state
from multires_ref.training.data import Split
from multires_ref.training.objectives import get_objective
from multires_ref.training.optim import adam_init
from multires_ref.training.step import loss_and_gradients, train_step

# %% tags=["varies"]
rng = np.random.default_rng(0)
params, state = init_params(config, rng), init_state(config)
objective, batch = get_objective("classification"), Split(train.x[:50], train.y[:50])
loss, gradients, _ = loss_and_gradients(config, params, state, batch, rng, objective, training.engine)
print(f"the first loss is {loss:.3f}; ln 10 is {np.log(10):.3f}")
assert abs(loss - np.log(10)) < 0.7

# %% [markdown]
# Here is the whole step as it stands in the package. There is nothing else: the loop that we use below calls this function,
# and around it only keeps books.

# %%
import inspect

source = inspect.getsource(train_step)
print(source[: source.index('"""')] + "..." + source[source.rindex('"""') + 3 :])

# %% [markdown]
# What does the update do? Adam divides each gradient by a running estimate of its own size. At the first step that estimate is the
# gradient itself, so what is left is its *sign*: every parameter moves by the learning rate, up or down, whether its gradient
# was large or tiny. (AdamW also shrinks a parameter p by lr * decay * p, which is a hundredth of that or less here.)

# %%
before = params["blocks"][0]["conv"]["h0"].copy()
train_step(config, params, state, adam_init(params), batch, 0.01, rng, objective, training)
moved = params["blocks"][0]["conv"]["h0"] - before
print("the first taps moved by", moved[:3].astype(float).round(4).tolist())
assert np.allclose(abs(moved), 0.01, atol=2e-4)
assert np.array_equal(np.sign(moved), -np.sign(gradients["blocks"][0]["conv"]["h0"]))

# %% [markdown]
# ## A run
#
# A run is many such steps: shuffle, step through the batches, lower the learning rate along a cosine, look at the validation part
# after every epoch and keep the epoch that was best there. `fit` does this and keeps everything in a folder. (On the command line:
# `multires-ref train digits` does the same for a larger network.) It takes some ten seconds.

# %%
import tempfile

from multires_ref import load_model
from multires_ref.training.loop import fit

folder = tempfile.TemporaryDirectory()
metrics = fit(config, training, splits, objective, f"{folder.name}/run", quiet=True)
model = load_model(f"{folder.name}/run")

# %% tags=["varies"]
print({name: round(metrics[name], 3) for name in ("test_accuracy", "test_loss", "val_accuracy", "parameters")})
guesses = model(test.x).argmax(axis=1)
assert metrics["parameters"] == sum(parts.values())
assert np.isclose((guesses == test.y).mean(), metrics["test_accuracy"])
assert metrics["test_accuracy"] > 0.8

# %%
import json
from pathlib import Path

from multires_ref.plots.training import plot_curves

lines = [json.loads(line) for line in Path(f"{folder.name}/run/metrics.jsonl").read_text().splitlines()]
show(plot_curves(lines, "accuracy"), "loss and validation accuracy, epoch by epoch")

# %% [markdown]
# Where does it still fail? Always look: a list of failures says more than a percentage.

# %% tags=["varies"]
wrong = np.flatnonzero(guesses != test.y)[:8]
assert (guesses[wrong] != test.y[wrong]).all()
labels = [f"a {truth}, read as {said}" for truth, said in zip(test.y[wrong], guesses[wrong], strict=True)]
show(plot_images(test.x[wrong, 0], columns=8, labels=labels), "digits of the test part that the network got wrong")

# %% [markdown]
# ## Summary
#
# - A digit is a sequence of 64 pixels, and the pixel above is eight steps in the past. Depth 6 sees them all.
# - A block is: multiresolution convolution, GELU, 1x1 map, GLU, residual sum, norm. Only the first looks along time, only the 1x1 map across
#   channels.
# - Most parameters of a MultiresNet are in its 1x1 maps, not in its filters.
# - Before training the loss is near ln(number of classes); the first step of Adam moves every parameter by the learning rate.
#
# ## Exercises
#
# **1** (easy). How many parameters does one layer with D = 48, K = 2 and J = 6 have? How many, if its filters are untied?
#
# **2** (easy). A fresh network for 71 labels, each yes or no, is trained with binary cross-entropy. What should the first loss be near?
#
# **3** (easy). What is GLU of u = (4, -2, 0, 0), that is, with D = 2?
#
# **4** (medium). Read the image column by column instead of row by row. What changes for the network: its accuracy before training, its
# parameters, what it can learn?
#
# **5** (harder). Switch off the channel mixing of the trained network: make the gate's map zero in both blocks. Predict, then test: what is left of
# the accuracy?

# %% [markdown]
# <details><summary>Solutions</summary>
#
# **1.** 48 (2 * 2 + 7 + 1) = 576. Untied: 48 (6 * 2 * 2 + 7 + 1) = 1,536.
#
# **2.** ln 2 = 0.693, whatever the number of labels: each of them is a question with two answers.
#
# **3.** The values are (4, -2), the gates σ(0) = 1/2 each: (2, -1).
#
# **4.** Nothing in the network changes: it sees another sequence of the same length, and no parameter is tied to rows. Trained networks, though, are
# tied to the order they learned. Fed columns, ours is lost: see below.
#
# **5.** GLU of zeros is 0, so each block adds nothing, and what is left is encoder, norms, mean and decoder, none of which looks along time: the
# network can only see how dark the image is on average, and was not even trained for that. Expect a tenth, which is guessing.
# </details>

# %% jupyter={"source_hidden": true} tags=["solution", "varies"]
import copy

digits = NetworkConfig(1, 10, d_model=48, n_layers=1, max_length=64)
loose = NetworkConfig(1, 10, d_model=48, n_layers=1, max_length=64, tied=False)
for config_, expected in ((digits, 576), (loose, 1536)):
    counted = parameters_by_part(config_)
    assert sum(counted[name] for name in ("filters h0, h1", "memory weights w", "skip weights")) == expected
four = np.array([4.0, -2.0, 0.0, 0.0])
assert np.array_equal(four[:2] * expit(four[2:]), [2, -1])
columns = np.ascontiguousarray(test.x.reshape(-1, 8, 8).transpose(0, 2, 1).reshape(-1, 1, 64))
by_columns = (model(columns).argmax(axis=1) == test.y).mean()
unmixed = copy.deepcopy(model.params)
for part in unmixed["blocks"]:
    part["mix"]["weight"][:], part["mix"]["bias"][:] = 0, 0
left = (Model(config, unmixed, model.state)(test.x).argmax(axis=1) == test.y).mean()
print(f"read by columns {by_columns:.3f}, without mixing {left:.3f}")
assert by_columns < 0.5 and left < 0.5
folder.cleanup()

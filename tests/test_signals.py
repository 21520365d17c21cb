"""`read_signal`: the same numbers from .npy, .csv and .wav; files that hold no signal are refused with a line that names them."""

import os

import numpy as np
import pytest
from scipy.io import wavfile

from multires_ref import NetworkConfig
from multires_ref.base.signals import read_signal
from multires_ref.plots.signal import LONGEST, check_signal

X = np.array([[0.5, -1.0, 0.25, 0.0], [1.0, 0.0, -0.5, 0.125]])  # two channels of four steps, exact in every format


def written(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_npy(tmp_path, dtype):
    np.save(tmp_path / "two.npy", X.astype(dtype))
    np.save(tmp_path / "one.npy", X[0].astype(dtype))
    x, rate = read_signal(tmp_path / "two.npy", rate=250)
    assert (x.dtype, rate) == (np.float64, 250.0)
    np.testing.assert_array_equal(x, X)
    x, rate = read_signal(tmp_path / "one.npy")
    assert rate is None
    np.testing.assert_array_equal(x, X[:1])


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("head", ["", "left{0}right\n", '"a"{0}"b"\n'])
def test_csv(tmp_path, separator, head):
    lines = head.format(separator) + "".join(f"{a}{separator}{b}\n" for a, b in X.T)
    x, rate = read_signal(written(tmp_path / "two.csv", "\ufeff" + lines + "\n"))
    assert rate is None
    np.testing.assert_array_equal(x, X)


def test_csv_of_one_column(tmp_path):
    np.testing.assert_array_equal(read_signal(written(tmp_path / "one.csv", "3\n4\n5"))[0], [[3.0, 4.0, 5.0]])


@pytest.mark.parametrize(
    ("dtype", "scale", "shift"), [("float32", 1, 0), ("int16", 2**15, 0), ("int32", 2**31, 0), ("uint8", 128, 128)]
)
def test_wav(tmp_path, dtype, scale, shift):
    quiet = X / 2
    wavfile.write(tmp_path / "two.wav", 8000, (quiet * scale + shift).T.astype(dtype))
    wavfile.write(tmp_path / "one.wav", 8000, (quiet[0] * scale + shift).astype(dtype))
    x, rate = read_signal(tmp_path / "two.wav")
    assert rate == 8000.0
    np.testing.assert_array_equal(x, quiet)
    np.testing.assert_array_equal(read_signal(tmp_path / "one.wav", rate=8000)[0], quiet[:1])
    with pytest.raises(ValueError, match="rate must be 8000 samples a second, as .*one.wav says"):
        read_signal(tmp_path / "one.wav", rate=44100)


BAD_ARRAYS = {
    "no dimension": (np.float64(3.0), r"must hold an array \[L\] or \[channels, L\]; its shape is \(\)"),
    "three dimensions": (np.zeros((2, 3, 4)), r"its shape is \(2, 3, 4\)"),
    "empty": (np.zeros((2, 0)), r"is empty: its shape is \(2, 0\)"),
    "complex": (np.zeros(3, complex), "whole or floating-point numbers; it holds complex128"),
    "text": (np.array(["a"]), "it holds <U1"),
    "truth": (np.zeros(3, bool), "it holds bool"),
    "NaN": (np.array([[1.0, 2.0], [3.0, np.nan]]), "channel 1 holds nan at step 1"),
    "infinity": (np.array([1.0, -np.inf]), "channel 0 holds -inf at step 1"),
    "objects": (np.array([{}], dtype=object), "is truncated or is no .npy file of numbers"),
}


@pytest.mark.parametrize(("array", "message"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_arrays_that_are_no_signal(tmp_path, array, message):
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(ValueError, match=message) as error:
        read_signal(tmp_path / "x.npy")
    assert str(tmp_path / "x.npy") in str(error.value)


BAD_TEXTS = {
    "empty": ("", "is empty"),
    "names only": ("a,b\n", "is empty"),
    "ragged": ("1,2\n3\n", "line 2: 1 columns, but 2 above"),
    "a word": ("t,x\n1,2\n3,x4\n", "line 3: 'x4' is no number"),
    "words below": ("1,2\na,b\n", "line 2: 'a' is no number"),
    "a gap": ("1,2\n,4\n", "line 2: '' is no number"),
    "NaN": ("1,2\n3,nan\n", "channel 1 holds nan at step 1"),
}


@pytest.mark.parametrize(("text", "message"), BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_texts_that_are_no_signal(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as error:
        read_signal(written(tmp_path / "x.csv", text))
    assert str(tmp_path / "x.csv") in str(error.value)


def test_a_small_file_that_claims_much_is_refused(tmp_path):
    """A header of 10^12 numbers, and nothing after it: no memory is asked for."""
    with open(tmp_path / "x.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    with pytest.raises(ValueError, match="truncated"):
        read_signal(tmp_path / "x.npy")


@pytest.mark.parametrize("ending", [".npy", ".wav"])
def test_every_truncated_file_is_refused(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    np.save(path, X) if ending == ".npy" else wavfile.write(path, 8000, X.T.astype("float32"))
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="truncated"):
            read_signal(path)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.npy"):
        read_signal(tmp_path / "none.npy")
    with pytest.raises(ValueError, match="it is a folder"):
        read_signal(tmp_path)
    with pytest.raises(ValueError, match=r"must end in .npy, .csv, .wav; it ends in '.mp3'"):
        read_signal(written(tmp_path / "x.mp3", "x"))
    with pytest.raises(ValueError, match="rate must be a positive number"):
        read_signal(written(tmp_path / "x.csv", "1\n"), rate=-1)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.npy")
        with pytest.raises(ValueError, match="a pipe"):
            read_signal(tmp_path / "pipe.npy")


def test_a_signal_must_fit_the_network():
    config = NetworkConfig(3, 4, 8, 2, max_length=16)
    assert check_signal(np.ones((3, 5)), config, "x").shape == (3, 5)
    with pytest.raises(ValueError, match="x must have 3 channels, as this network; it has 1 channels of 5 samples$"):
        check_signal(np.ones((1, 5)), config, "x")
    with pytest.raises(ValueError, match="transposed"):
        check_signal(np.ones((5, 3)), config, "x")
    with pytest.raises(ValueError, match=f"at most {LONGEST:,} samples"):
        check_signal(np.broadcast_to(1.0, (3, LONGEST + 1)), config, "x")


def test_an_embedding_takes_tokens():
    config = NetworkConfig(18, 4, 8, 2, max_length=16, encoder="embedding")
    tokens = check_signal(np.array([[0.0, 17.0, 3.0]]), config, "x")
    assert (tokens.tolist(), tokens.dtype.kind) == ([0, 17, 3], "i")
    for wrong, message in (([[0.5, 1.0]], "whole numbers from 0 to 17"), ([[0.0, 18.0]], "between 0 and 17")):
        with pytest.raises(ValueError, match=message):
            check_signal(np.array(wrong), config, "x")


def test_sizes_endings_and_rates(tmp_path, monkeypatch):
    """An ending in capitals is taken; a file that is too large is not read; a rate must be finite."""
    from multires_ref.base import signals

    np.save(tmp_path / "x.npy", X)
    (tmp_path / "x.npy").rename(tmp_path / "X.NPY")
    x, rate = read_signal(tmp_path / "X.NPY", rate=0.5)
    assert rate == 0.5
    np.testing.assert_array_equal(x, X)
    for bad in (0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="rate must be a positive number of samples a second"):
            read_signal(tmp_path / "X.NPY", rate=bad)
    size = (tmp_path / "X.NPY").stat().st_size
    monkeypatch.setattr(signals, "LARGEST_FILE", size)
    read_signal(tmp_path / "X.NPY")
    monkeypatch.setattr(signals, "LARGEST_FILE", size - 1)
    with pytest.raises(ValueError, match=f"is too large: {size} bytes, at most {size - 1} are read"):
        read_signal(tmp_path / "X.NPY")


def test_how_many_numbers_are_not_finite(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[1.0, np.nan, np.inf], [0.0, 1.0, -np.inf]]))
    with pytest.raises(ValueError, match=r"channel 0 holds nan at step 1 \(3 such in all\)"):
        read_signal(tmp_path / "x.npy")
    np.save(tmp_path / "x.npy", np.arange(4, dtype="uint8"))  # whole numbers of a .npy file are taken as they are
    np.testing.assert_array_equal(read_signal(tmp_path / "x.npy")[0], [[0.0, 1.0, 2.0, 3.0]])


def test_wav_files_with_notes_and_without_a_rate(tmp_path):
    """A chunk beside the sound is passed over; a rate of 0 is refused."""
    wavfile.write(tmp_path / "x.wav", 8000, (X.T * 2**14).astype("int16"))
    data = bytearray((tmp_path / "x.wav").read_bytes())
    more = data + b"note" + (4).to_bytes(4, "little") + b"hear"
    more[4:8] = (len(more) - 8).to_bytes(4, "little")
    (tmp_path / "x.wav").write_bytes(more)
    x, rate = read_signal(tmp_path / "x.wav")
    assert rate == 8000.0
    np.testing.assert_array_equal(x, X / 2)
    data[24:32] = bytes(8)  # samples and bytes a second
    (tmp_path / "x.wav").write_bytes(data)
    with pytest.raises(ValueError, match="says that it has 0 samples a second"):
        read_signal(tmp_path / "x.wav")

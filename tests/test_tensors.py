"""Arrays by name in safetensors and .npz files: the same numbers come back, in every dtype; false claims are refused."""

import json
import zipfile

import numpy as np
import pytest
from test_files import safetensors_bytes

from multires_ref.base import tensors


def test_tensors_come_back_with_their_settings(tmp_path):
    """In whatever order they lie in memory."""
    arrays = {
        "a": np.arange(6.0).reshape(2, 3).T,
        "b": np.arange(8, dtype="int64")[::2],
        "c": np.float32(3),
        "d": np.zeros((0, 2)),
    }
    tensors.write_tensors(tmp_path / "x.safetensors", arrays, json.dumps({"n": 3}))
    read, noted = tensors.read_tensors(tmp_path / "x.safetensors")
    assert noted == {"n": 3}
    assert set(read) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == np.asarray(array).dtype
    assert tensors.tensor_dtypes(tmp_path / "x.safetensors") == {"a": "F64", "b": "I64", "c": "F32", "d": "F64"}


def test_bfloat16_is_the_upper_half_of_float32(tmp_path):
    """Beside other dtypes, and without PyTorch."""
    values = np.array([[1.0, -2.5, 3e38], [np.inf, 0.0, 1e-38]], "float32").view(np.uint32) & 0xFFFF0000
    half = (values >> 16).astype("<u2").tobytes()
    header = {
        "h": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]},
        "f": {"dtype": "F32", "shape": [1], "data_offsets": [12, 16]},
    }
    (tmp_path / "x.safetensors").write_bytes(safetensors_bytes(header, half + np.float32(7).tobytes()))
    read, noted = tensors.read_tensors(tmp_path / "x.safetensors")
    np.testing.assert_array_equal(read["h"], values.view(np.float32))
    assert (read["h"].dtype, read["f"].tolist(), noted) == (np.float32, [7.0], {})
    assert tensors.tensor_dtypes(tmp_path / "x.safetensors") == {"h": "BF16", "f": "F32"}


def test_an_npz_of_other_members_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.zeros(3))
    with zipfile.ZipFile(tmp_path / "x.npz", "a") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(ValueError, match=r"notes\.txt is not an array"):
        tensors.read_npz(tmp_path / "x.npz")


def test_an_npz_that_would_unpack_into_more_than_it_can_hold_is_refused(tmp_path, monkeypatch):
    """The archive's directory claims a size that no compression reaches."""
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros(3))
    data = bytearray((tmp_path / "x.npz").read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = (10**9).to_bytes(4, "little")
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(ValueError, match=r"x\.npy claims 1,000,000,000 bytes, packed into"):
        tensors.read_npz(tmp_path / "x.npz")

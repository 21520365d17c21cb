"""Layer, block, networks, streaming: pure functions of (config, params, state, batch); parameters are nested dicts of arrays."""

from .config import NetworkConfig
from .init import init_params, init_state, parameter_shapes
from .model import Model, apply

__all__ = ["Model", "NetworkConfig", "apply", "init_params", "init_state", "parameter_shapes"]

"""Linear layers with the authors' initialisation."""

import math

import torch
from torch import nn


def xavier(weight: nn.Parameter, fan_in: int) -> nn.Parameter:
    """Normal with variance 2 / (fan_in + fan_out), of a weight (n_in, n_out)."""
    nn.init.normal_(weight, 0.0, math.sqrt(2 / (fan_in + weight.shape[1])))
    return weight


def matrix(n_in: int, n_out: int, fan_in: int | None = None) -> nn.Parameter:
    """A weight (n_in, n_out) that is part of a layer with `fan_in` inputs in all."""
    return xavier(nn.Parameter(torch.empty(n_in, n_out)), fan_in or n_in)


def linear_layer(n_in: int, n_out: int, fan_in: int | None = None, bias: bool = True) -> nn.Linear:
    """A linear layer with biases near zero."""
    layer = nn.Linear(n_in, n_out, bias)
    nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / ((fan_in or n_in) + n_out)))
    if bias:
        nn.init.normal_(layer.bias, 0.0, 0.001)
    return layer

"""Covariance functions: how alike two points are, given their squared distance in each column.

Each takes squared distances by column, shape (n, m, d), and the columns' weights (inverse squared length scales, shape
(d,)), and returns the covariance, shape (n, m), with its derivative by each weighted squared distance, shape (n, m, d),
or (n, m, 1) where it is the same for all columns. All are 1 at distance zero.

Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, chapter 4; sums over single columns: Duvenaud,
Nickisch and Rasmussen, "Additive Gaussian Processes", 2011. Where a function is a sum over its columns, each
evaluation says something of every column, and short length scales can be afforded that a product could never fill.
"""

from __future__ import annotations

from collections.abc import Callable

from llm_optimize.proposers.arrays import Array, numpy

__all__ = ["Kernel", "additive", "rough", "smooth"]

Kernel = Callable[[Array, Array], tuple[Array, Array]]
"""See the module's docstring."""


def smooth(apart: Array, weights: Array) -> tuple[Array, Array]:
    """Return the squared exponential: endlessly differentiable."""
    kernel = numpy().exp(-0.5 * (apart @ weights))
    return kernel, -0.5 * kernel[:, :, None]


def rough(apart: Array, weights: Array) -> tuple[Array, Array]:
    """Return Matérn 5/2: twice differentiable."""
    np = numpy()
    root = np.sqrt(5.0 * (apart @ weights))
    falling = np.exp(-root)
    return (1.0 + root + root * root / 3.0) * falling, (-(5.0 / 6.0) * (1.0 + root) * falling)[:, :, None]


def additive(apart: Array, weights: Array) -> tuple[Array, Array]:
    """Return the mean of a squared exponential over each single column: a sum of functions of one column each."""
    columns = numpy().exp(-0.5 * apart * weights)
    return columns.mean(2), -0.5 / apart.shape[2] * columns

"""What OpenBLAS's threads crash on: large products and factors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import cho_solve

from bench.learn import openblas
from bench.learn.openblas import factor_in_place, gram


def test_the_factor_is_numpys_and_takes_the_matrix_place() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(40, 60))
    matrix = np.asfortranarray(root @ root.T)
    expected = np.linalg.cholesky(matrix)
    factor = factor_in_place(matrix)
    assert np.allclose(np.tril(factor), expected, rtol=1e-12, atol=1e-12)
    assert np.shares_memory(factor, matrix)


def test_an_indefinite_matrix_is_an_error() -> None:
    with pytest.raises(np.linalg.LinAlgError):
        factor_in_place(np.asfortranarray(np.diag([1.0, -1.0])))


def test_the_products_are_numpys_in_blocks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(1).normal(size=(50, 7)).astype(np.float32)
    expected = rows @ rows.T
    assert np.array_equal(gram(rows), expected)
    monkeypatch.setattr(openblas, "_SAFE_ROWS", 10)
    monkeypatch.setattr(openblas, "_BLOCK", 8)
    product = gram(rows)
    assert product.dtype == np.float32
    assert np.allclose(product, expected, rtol=1e-6, atol=1e-6)
    assert np.array_equal(product, product.T)


@pytest.mark.slow  # 3 GB
def test_products_of_many_rows_do_not_end_the_process() -> None:
    rows = np.random.default_rng(2).normal(size=(20_000, 512))
    product = gram(rows)
    assert np.allclose(
        product[[0, 7, 19_999], [19_999, 12_345, 0]],
        [rows[0] @ rows[-1], rows[7] @ rows[12_345], rows[-1] @ rows[0]],
    )


@pytest.mark.slow  # about a minute and 2 GB
def test_factors_of_many_rows_do_not_end_the_process() -> None:
    n = 16_000
    matrix = np.zeros((n, n), order="F")
    rows = np.arange(n)
    matrix[rows, rows] = 2.0
    for band in range(1, 8):
        matrix[rows[band:], rows[:-band]] = 0.1
    factor = factor_in_place(matrix)
    solved = cho_solve((factor, True), np.ones(n))
    product = 2 * solved
    for band in range(1, 8):
        product[band:] += 0.1 * solved[:-band]
        product[:-band] += 0.1 * solved[band:]
    assert np.abs(product - 1).max() < 1e-12

"""`official:NAME` on a made-up folder in RAF-ML's layout, and every way its file can be wrong."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin import dataset_class, method_class
from runs import records_of
from scipy.io import savemat
from scipy.sparse import csc_matrix

from bench.api import BenchError, FaceSet, Setting, UnavailableError
from bench.plugins import Registry
from bench.render.layouts import write_raf_ml
from bench.run.options import RunOptions
from bench.run.plan import Plan, make_plan
from bench.run.store import Store

Official = method_class("official:LBP")
RafML = dataset_class("raf-ml")
Synthetic = dataset_class("synthetic")
N = 40
VECTORS = np.random.default_rng(0).normal(size=(N, 9))


@pytest.fixture(scope="module")
def raf_ml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "RAF-ML"
    write_raf_ml(Synthetic(images=N).load(None), root)
    return root


@pytest.fixture
def root(raf_ml: Path, tmp_path: Path) -> Path:
    """Faces, labels in another order than the faces' names, and LBP."""
    root = shutil.copytree(raf_ml, tmp_path / "RAF-ML")
    listed = root / "EmoLabel" / "distribution.txt"
    listed.write_text("\n".join(reversed(listed.read_text().splitlines())) + "\n")
    (root / "Feature").mkdir()
    savemat(root / "Feature" / "LBP.mat", {"LBP": VECTORS}, do_compression=True)
    return root


def official(root: Path | None, member: str = "LBP") -> Any:
    one = Official(member=member)
    one.setting = Setting(root=root)
    return one


def faces_of(root: Path) -> FaceSet:
    loaded: FaceSet = RafML().load(root)
    return loaded


def test_rows_are_found_by_the_names_of_the_faces(root: Path) -> None:
    faces = faces_of(root)
    assert faces.ids[0] == f"{N:04d}.jpg"
    rows = np.random.default_rng(1).permutation(N)
    found = official(root).transform(faces.take(rows))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, VECTORS[rows].astype(np.float32))
    assert official(root).transform(faces.take(slice(0, 0))).shape == (0, 9)


def test_the_only_matrix_serves_whatever_its_name(root: Path) -> None:
    path = root / "Feature" / "DBM_CNN.mat"
    savemat(
        path, {"fea": VECTORS.astype(np.uint8), "about": "made up", "cells": np.zeros((2, 2, 2))}
    )
    found = official(root, "DBM_CNN").transform(faces_of(root))
    np.testing.assert_array_equal(found, VECTORS.astype(np.uint8).astype(np.float32))
    savemat(path, {"fea": VECTORS, "DBM_CNN": VECTORS + 1})
    found = official(root, "DBM_CNN").transform(faces_of(root))
    np.testing.assert_array_equal(found, (VECTORS + 1).astype(np.float32))


def test_the_files_hash_is_what_a_result_hangs_on(root: Path) -> None:
    path = root / "Feature" / "LBP.mat"
    assert official(root).weights_used() == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"LBP": VECTORS[:-1]},
            rf"LBP.mat has {N - 1} rows in LBP and .+ {N} lines: rows can only",
        ),
        ({"LBP": VECTORS.T}, f"LBP.mat has 9 rows in LBP and .+ {N} lines"),
        (
            {"a": VECTORS, "b": VECTORS},
            r"has no matrix LBP \(it holds a \(double\), b \(double\)\)",
        ),
        ({"LBP": np.zeros((N, 2, 2))}, r"has no matrix LBP \(it holds LBP \(double\)\)"),
        ({"LBP": csc_matrix(VECTORS)}, r"has no matrix LBP \(it holds LBP \(sparse\)\)"),
        ({"LBP": "text"}, r"has no matrix LBP \(it holds LBP \(char\)\)"),
        ({}, r"has no matrix LBP \(it holds nothing\)"),
    ],
)
def test_other_contents_are_refused_before_anything_runs(
    root: Path, content: dict[str, Any], message: str
) -> None:
    savemat(root / "Feature" / "LBP.mat", content)
    with pytest.raises(BenchError, match=message):
        official(root).weights_used()


def test_values_that_are_no_finite_numbers_are_refused(root: Path) -> None:
    wrong = VECTORS.copy()
    wrong[3, 2], wrong[5] = np.nan, np.inf
    savemat(root / "Feature" / "LBP.mat", {"LBP": wrong})
    with pytest.raises(
        BenchError, match=rf"2 rows of LBP are not finite, the first of {N - 3:04d}"
    ):
        official(root).transform(faces_of(root))
    savemat(root / "Feature" / "LBP.mat", {"LBP": VECTORS + 1j})
    with pytest.raises(BenchError, match="LBP is complex"):
        official(root).transform(faces_of(root))


def test_hdf5_files_have_to_be_converted(root: Path) -> None:
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + bytes(8) + b"\x00\x02IM"
    (root / "Feature" / "LBP.mat").write_bytes(
        header + bytes(384) + b"\x89HDF\r\n\x1a\n" + bytes(99)
    )
    with pytest.raises(
        BenchError, match=r"is a MATLAB 7.3 file \(HDF5\): in MATLAB, load it and sa"
    ):
        official(root).weights_used()


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kept", [0, 60, 150, -100])
def test_truncated_files_are_refused(root: Path, compressed: bool, kept: int) -> None:
    path = root / "Feature" / "LBP.mat"
    savemat(path, {"LBP": VECTORS}, do_compression=compressed)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BenchError, match=r"LBP.mat is damaged or no MATLAB file \(\w+\): copy it"):
        official(root).transform(faces_of(root))


def test_missing_files_and_other_datasets_are_told(root: Path, raf_ml: Path) -> None:
    with pytest.raises(UnavailableError, match=r"no Feature/LPB.mat \(in Feature: LBP\): "):
        official(root, "LPB").weights_used()
    with pytest.raises(
        UnavailableError, match=r"LBP.mat \(in Feature: none\): RAF-ML's archive ship"
    ):
        official(raf_ml).weights_used()
    with pytest.raises(
        UnavailableError, match="official:LBP reads the dataset's own folder: use it"
    ):
        official(None).weights_used()


@pytest.mark.parametrize("member", ["../LBP", "a/b", "LBP.mat", "."])
def test_a_name_never_leaves_the_folder(member: str) -> None:
    with pytest.raises(BenchError, match="is no name; "):
        Official(member=member)


def test_faces_of_another_dataset_are_refused(root: Path) -> None:
    faces = FaceSet(
        "toy", "multi", ("a",), np.array(["x"]), np.ones((1, 1), bool), features=VECTORS[:1]
    )
    with pytest.raises(BenchError, match=r"official:LBP: x of toy is not in EmoLabel/distribution"):
        official(root).transform(faces)


def plan(root: Path, methods: str, dataset: str = "raf-ml") -> Plan:
    return make_plan(Registry(), RunOptions(dataset, methods, root))


def test_a_run_uses_the_released_rows(root: Path, tmp_path: Path) -> None:
    """Vectors that are the labels make any classifier right; others do not."""
    labels = faces_of(root).labels.astype(float)
    savemat(root / "Feature" / "DBM_CNN.mat", {"DBM_CNN": labels})
    store = Store(tmp_path / "results")
    methods = "official:DBM_CNN+mlknn[k=3],official:LBP+mlknn[k=3],official:baseDCNN+mlknn[k=3]"
    planned = plan(root, methods)
    own, lbp, absent = records_of(planned, store)
    assert (own.status, lbp.status, absent.status) == ("ok", "ok", "skipped")
    assert absent.reason == (
        "the dataset's folder has no Feature/baseDCNN.mat (in Feature: DBM_CNN, LBP): RAF-ML's "
        "archive ships LBP, baseDCNN, DBM_CNN"
    )
    assert own.cell.features == "official:DBM_CNN"
    file = root / "Feature" / "DBM_CNN.mat"
    assert own.cell.weights == hashlib.sha256(file.read_bytes()).hexdigest()
    loss = own.criteria["hamming_loss"], lbp.criteria["hamming_loss"]
    assert loss[0] is not None
    assert loss[1] is not None
    assert loss[0] < loss[1]
    savemat(file, {"DBM_CNN": labels + 1})
    assert plan(root, methods).jobs[0].key != planned.jobs[0].key
    assert plan(root, methods).jobs[1].key == planned.jobs[1].key


def test_it_runs_only_when_named(root: Path) -> None:
    named = {job.cell.features for job in plan(root, "all+mlknn").jobs}
    assert {"lbp", "alexnet", "vgg16"} <= named
    assert not any(str(one).startswith(("official:", "timm:")) for one in named)

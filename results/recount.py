"""Recounts committed criteria from committed scores, with NumPy and scikit-learn alone.

python results/recount.py results/scores/fer-plus-ml TRUTH.csv

TRUTH.csv, from your own copy: bench data truth --dataset fer-plus-ml --root DIR --out TRUTH.csv
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import sklearn.metrics as metrics


def multi(truth, scores, labels):
    """The nine criteria; coverage is rank - 1, macro-AUC leaves out labels of one kind."""
    criteria = {}
    if labels is not None:
        criteria["hamming_loss"] = metrics.hamming_loss(truth, labels)
        for kind in ("micro", "macro"):
            criteria[f"{kind}_f1"] = metrics.f1_score(truth, labels, average=kind, zero_division=0)
    if scores is not None:
        rank = (scores[:, None, :] >= scores[:, :, None]).sum(axis=2)  # worst rank of equal scores
        criteria["coverage"] = np.maximum((rank * truth).max(axis=1) - 1, 0).mean()
        top = scores.argmax(axis=1)  # the first of equal scores
        criteria["one_error"] = 1 - truth[np.arange(len(truth)), top].mean()
        criteria["ranking_loss"] = metrics.label_ranking_loss(truth, scores)
        criteria["average_precision"] = metrics.label_ranking_average_precision_score(truth, scores)
        criteria["micro_auc"] = metrics.roc_auc_score(truth.ravel(), scores.ravel())
        mixed = truth.any(axis=0) & ~truth.all(axis=0)
        areas = [metrics.roc_auc_score(truth[:, j], scores[:, j]) for j in np.flatnonzero(mixed)]
        criteria["macro_auc"] = np.mean(areas)
    return criteria


def single(truth, scores, labels):
    """Accuracy, and the mean recall of the classes that the test part shows."""
    right, classes = scores.argmax(axis=1) == truth.argmax(axis=1), truth.argmax(axis=1)
    recalls = [right[classes == label].mean() for label in np.unique(classes)]
    return {"accuracy": right.mean(), "mean_recall": np.mean(recalls)}


folder, table = Path(sys.argv[1]), Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()
header, *lines = csv.reader(table)
truth_of = {line[0]: [cell == "1" for cell in line[1:]] for line in lines}
cells, count, bad = json.loads((folder / "index.json").read_text(encoding="utf-8")), 0, 0
for cell in cells:
    with np.load(folder / f"{cell['key']}.npz", allow_pickle=False) as file:
        predictions = [file.get(name) for name in ("scores", "labels")]
        truth = np.array([truth_of[image] for image in file["ids"]])
        assert header[1:] == list(file["label_names"]), "TRUTH.csv has other labels"
    for name, value in (multi if cell["kind"] == "multi" else single)(truth, *predictions).items():
        count += 1
        if abs(value - cell["criteria"][name]) > 1e-9:
            bad += 1
            print(f"{cell['key']} {cell['method']}: {name} {cell['criteria'][name]}, not {value}")
print(f"{len(cells)} cells, {count} numbers, {bad} differ")
sys.exit(1 if bad else 0)

"""TFE-JL's network by hand, its phases, its placebo, its branches, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods._deepid import IdentityBranch
from bench.methods._tfe import SmallResNet
from bench.methods.tfe_jl import FacenetBranch, Tandem
from builtin import configured, method_class
from identities import some_people
from networks import Killed, some_faces
from runs import records_of
from torch import nn

from bench.api import BenchError, FaceSet, InputError, Setting, UnavailableError
from bench.nn.checkpoints import CheckpointClock
from bench.nn.train import TrainingLoop
from bench.nn.updates import Updater
from bench.plugins import Registry
from bench.run.options import RunOptions
from bench.run.plan import make_plan
from bench.run.store import Store

METHODS = ("tfe-jl", "resnet18-tfe", "resnet12-tfe")
PEOPLE = "synthetic-people[images=40,identities=8]"


pytestmark = pytest.mark.usefixtures("float32")


def method(name: str = "tfe-jl", budget: str = "smoke", **params: Any) -> Any:
    people = {"people": some_people(persons=6, pictures=5)}
    return configured(name, budget, people if name in ("tfe-jl", "deepid") else None, **params)


def faces(n: int = 30, **more: Any) -> FaceSet:
    return some_faces(n, side=32, kind="single", **more)


def fitted(made: Any) -> Any:
    part = faces()
    made.fit(part.take(slice(0, 20)), np.random.default_rng(0), part.take(slice(20, 30)))
    return made


def state(model: nn.Module) -> dict[str, bytes]:
    return {name: t.detach().numpy().tobytes() for name, t in model.state_dict().items()}


def watched(made: Any) -> dict[str, dict[str, dict[str, bytes]]]:
    """Fit; the state of each branch before and after every phase."""
    seen: dict[str, dict[str, dict[str, bytes]]] = {}
    phase = made.phase

    def noted(name: str, *rest: Any, **more: Any) -> Any:
        for what in ("identity", "emotion"):
            seen.setdefault(name, {})[f"{what} before"] = state(getattr(made.model_, what))
        found = phase(name, *rest, **more)
        for what in ("identity", "emotion"):
            seen[name][f"{what} after"] = state(getattr(made.model_, what))
        return found

    made.phase = noted
    fitted(made)
    return seen


# -- the network ----------------------------------------------------------------------------------


def test_the_tandem_is_two_normed_features_and_one_layer() -> None:
    torch.manual_seed(0)
    model = Tandem(IdentityBranch(1, 32), 160, SmallResNet("resnet12", 3, 1, 32), 3).eval()
    for norm in (model.identity_norm, model.emotion_norm):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    images = torch.rand(4, 1, 32, 32)
    with torch.no_grad():
        out = model(images)
        parts = [
            (model.identity.embed(images), model.identity_norm),
            (model.emotion.embed(images), model.emotion_norm),
        ]
        rows = []
        for i in range(4):
            row: list[float] = []
            for values, norm in parts:
                mean, std = norm.running_mean, (norm.running_var + 1e-5).sqrt()
                for j in range(values.shape[1]):
                    scaled = (values[i, j] - mean[j]) / std[j]
                    row.append(float(scaled * norm.weight[j] + norm.bias[j]))
            rows.append(row)
    wanted = torch.tensor(rows)
    assert out.embedding.shape == (4, 224)
    torch.testing.assert_close(out.embedding, wanted, rtol=1e-4, atol=1e-5)
    logits = wanted @ model.output.weight.T + model.output.bias
    torch.testing.assert_close(out.logits, logits, rtol=1e-4, atol=1e-4)


def test_parameters_counted_by_hand() -> None:
    model = method(budget="paper").build(8, 1)
    branch = (16 * 20 + 20) + 7_240 + 21_660 + 19_280 + (1680 * 160 + 160)
    resnet = sum(p.numel() for p in SmallResNet("resnet18", 8, 1, 48).parameters())
    head = 2 * 160 + 2 * 64 + 224 * 8 + 8
    assert sum(p.numel() for p in model.parameters()) == branch + resnet + head


def test_schedules_are_the_papers() -> None:
    joint = method(budget="paper").recipe
    assert (joint.optimizer.lr, joint.batch, joint.epochs, joint.size) == (0.001, 128, 100, 48)
    assert joint.optimizer.momentum == 0.9
    assert joint.drop_last
    assert joint.schedule.factor(10_000, 99, 20_000) == 1
    for name, rate in (("resnet18-tfe", 0.1), ("resnet12-tfe", 0.16)):
        alone = method(name, budget="paper").recipe
        assert (alone.optimizer.lr, alone.batch, alone.epochs, alone.size) == (rate, 128, 200, 48)
        assert alone.flip
        assert alone.drop_last


@pytest.mark.parametrize(("expression", "rate"), [("resnet18", 0.1), ("resnet12", 0.16)])
def test_the_emotion_branch_learns_by_the_schedule_of_that_network_alone(
    expression: str, rate: float
) -> None:
    made, used = method(budget="paper", expression=expression), []
    made.labels_, made.phases_ = 3, []
    made.phase = lambda name, model, recipe, *rest: used.append((name, model, recipe))
    made._learn_identities = lambda *rest: used.append(("identity",))
    model = made.build(3, 1)
    made.learn(model, faces(), None, 0)
    assert [one[0] for one in used] == ["expression", "identity", "joint"]
    assert used[0][1] is model.emotion
    alone = method(f"{expression}-tfe", budget="paper").recipe
    assert used[0][2] == alone
    assert alone.optimizer.lr == rate
    assert used[2][1] is model
    assert used[2][2] == made.recipe


# -- phases ---------------------------------------------------------------------------------------


def test_the_joint_phase_starts_from_both_branches_and_moves_all() -> None:
    made = method()
    stages: list[Any] = []
    module = __import__(type(made).__module__, fromlist=["identity_stage"])
    original = module.identity_stage

    def noted(*args: Any) -> Any:
        stages.append(original(*args))
        stages.append(state(stages[0].branch))
        return stages[0]

    module.identity_stage = noted
    try:
        seen = watched(made)
    finally:
        module.identity_stage = original
    assert list(seen) == ["expression", "joint"]
    expression, joint = seen["expression"], seen["joint"]
    assert joint["identity before"] == stages[1]
    assert joint["emotion before"] == expression["emotion after"]
    assert expression["emotion before"] != expression["emotion after"]
    assert expression["identity before"] == expression["identity after"]
    for what in ("identity", "emotion"):
        before, after = joint[f"{what} before"], joint[f"{what} after"]
        moved = {name for name in before if before[name] != after[name]}
        # the head of the ResNet alone has no part in the joint network
        fixed = {f"standardise.{one}" for one in ("mean", "std")} | {"output.weight", "output.bias"}
        assert moved == set(before) - fixed
    assert any("identity stage on people (synthetic): 4 persons" in one for one in made.remarks())


def test_each_branch_is_standardised_by_the_data_that_it_learnt_from() -> None:
    made = fitted(method())
    own = faces().images[:20] / 255  # type: ignore[index]
    emotion, who = made.model_.emotion.standardise, made.model_.identity.standardise
    np.testing.assert_allclose(emotion.mean[0], own.mean(axis=0), rtol=1e-4)
    assert (emotion.mean - who.mean).abs().max() > 0.05
    placebo = fitted(method(identity="untrained"))
    assert torch.equal(placebo.model_.identity.standardise.mean, emotion.mean)


def test_the_placebo_differs_in_the_identity_branch_alone() -> None:
    real, placebo = watched(method()), watched(method(identity="untrained"))
    assert placebo["expression"] == real["expression"]
    assert placebo["joint"]["emotion before"] == real["joint"]["emotion before"]
    assert placebo["joint"]["identity before"] != real["joint"]["identity before"]
    # Its first weights, of the network that the real one had before the stage.
    first, later = placebo["expression"]["identity before"], placebo["joint"]["identity before"]
    changed = {name for name in first if first[name] != later[name]}
    assert changed == {"standardise.mean", "standardise.std"}
    remarks = fitted(method(identity="untrained")).remarks()
    assert not any("identity stage" in one for one in remarks)


def test_killed_in_the_joint_phase_and_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CheckpointClock, "due", lambda self: True)

    def trained(folder: str) -> Any:
        made = method(length=1.0)
        made.setting = replace(made.setting, folder=tmp_path / folder / "cell")
        return fitted(made)

    steps: list[str] = []
    running: list[str] = []  # the folder of the training that runs
    train_epochs, update = TrainingLoop._train, Updater.update

    def named(self: TrainingLoop, *rest: Any) -> None:
        assert self.setting.folder is not None
        running[:] = [self.setting.folder.name]
        train_epochs(self, *rest)

    def noted(self: Updater, *rest: Any) -> Any:
        steps.extend(running)
        return update(self, *rest)

    monkeypatch.setattr(TrainingLoop, "_train", named)
    monkeypatch.setattr(Updater, "update", noted)
    whole = trained("whole")
    assert steps == ["expression"] * 4 + [steps[4]] * 4 + ["joint"] * 4
    assert steps[4].startswith("identity-")
    assert sorted(one.name for one in (tmp_path / "whole").iterdir()) == ["cell", steps[4]]

    def dies(self: Updater, *rest: Any) -> Any:
        if running == ["joint"] and steps.count("joint") == 2:
            raise Killed
        return noted(self, *rest)

    steps.clear()
    monkeypatch.setattr(Updater, "update", dies)
    with pytest.raises(Killed):
        trained("cut")
    monkeypatch.setattr(Updater, "update", noted)
    steps.clear()
    resumed = trained("cut")
    assert set(steps) == {"joint"}
    assert state(resumed.model_) == state(whole.model_)
    assert resumed.earlier_seconds > 0


@pytest.mark.parametrize("name", METHODS)
def test_faces_are_moved_in_training_only(name: str) -> None:
    made = method(name)
    part = faces(6)
    pixels = made.keep(part).take(torch.arange(6))
    still = made.inputs(pixels, part, torch.arange(6), None)
    wanted = torch.from_numpy(part.images).float()[:, None] / 255
    torch.testing.assert_close(still, wanted)
    moved = made.inputs(pixels, part, torch.arange(6), torch.Generator().manual_seed(0))
    assert moved.shape == still.shape
    assert (moved - still).abs().amax(dim=(1, 2, 3)).min() > 0.1
    plain = method(name, rotation=0.0, shift=0.0)
    found = plain.inputs(pixels, part, torch.arange(6), torch.Generator().manual_seed(0))
    same = (found - still).abs().amax(dim=(1, 2, 3)) < 1e-4
    mirrored = (found - still.flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-4
    assert (same ^ mirrored).all()


@pytest.mark.parametrize("name", ["resnet18-tfe", "resnet12-tfe"])
def test_the_resnets_alone_are_standardised_by_the_training_part(name: str) -> None:
    made = fitted(method(name))
    own = faces().images[:20] / 255  # type: ignore[index]
    np.testing.assert_allclose(made.model_.standardise.mean[0], own.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(made.model_.standardise.std[0], own.std(axis=0), rtol=1e-4)
    assert made.transform(faces()).shape == (30, 64)
    np.testing.assert_allclose(made.distribution(faces()).sum(axis=1), 1, rtol=1e-5)


def test_another_size_is_that_of_both_branches_and_shared(tmp_path: Path) -> None:
    for name in ("tfe-jl", "deepid"):
        made = method(name, size=40)
        made.setting = replace(made.setting, folder=tmp_path / name)
        part = faces()
        made.fit(part, np.random.default_rng(0))
        branch = made.model_.identity if name == "tfe-jl" else made.branch_
        assert branch.standardise.mean.shape == (1, 40, 40)
        assert len(made.transform(part)) == 30
    assert len(list(tmp_path.glob("identity-*"))) == 1
    with pytest.raises(BenchError, match="30×30 pixels are too small"):
        fitted(method(size=30))


# -- facenet --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file such as facenet-pytorch's, of random weights, with its head of persons."""
    path: Path = tmp_path_factory.mktemp("weights") / "some-vggface2.pt"
    with torch.random.fork_rng([]):
        torch.manual_seed(5)
        body = FacenetBranch(None).body.state_dict()
    torch.save({**body, "logits.weight": torch.zeros(3, 512), "logits.bias": torch.zeros(3)}, path)
    return path


def test_facenet_takes_weights_from_a_file(published: Path) -> None:
    made = method(identity="facenet", weights=str(published), expression="resnet12")
    assert len(made.weights_used()) == 64
    model = made.build(3, 1)
    saved = torch.load(published, weights_only=True)
    own = model.identity.body.state_dict()
    assert all(torch.equal(own[name], saved[name].float()) for name in own)
    model.eval()
    images = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        out = model(images)
        assert out.embedding.shape == (2, 512 + 64)
        large = nn.functional.interpolate(images, (160, 160), mode="bilinear", align_corners=False)
        given = (large.repeat(1, 3, 1, 1) * 255 - 127.5) / 128
        wanted = model.identity.body(given)
        torch.testing.assert_close(model.identity.embed(images), wanted)
    assert wanted.norm(dim=1).tolist() == pytest.approx([1, 1], rel=1e-4)


def test_facenets_weights_are_never_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(UnavailableError, match=r"needs https://.*vggface2.pt in .*checkpoints"):
        method(identity="facenet").weights_used()
    with pytest.raises(BenchError, match="there is no such file; write vggface2"):
        method(identity="facenet", weights="gone.pt").weights_used()
    wrong = tmp_path / "wrong.pt"
    torch.save({"conv.weight": torch.zeros(3)}, wrong)
    with pytest.raises(BenchError, match="holds weights for another network than facenet"):
        method(identity="facenet", weights=str(wrong)).build(3, 1)
    assert method(identity="facenet", weights="random").weights_used() == "random"
    assert method().weights_used() is None


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tfe-jl", "deepid"])
def test_people_belong_to_the_pretrained_branch(name: str) -> None:
    cls = method_class(name)
    with pytest.raises(InputError, match=rf"{name}\[identity=untrained\] learns no identities"):
        cls(people="people:there", identity="untrained")
    assert cls().requires() == ("people",)  # type: ignore[attr-defined]
    assert cls(identity="untrained").requires() == ()  # type: ignore[attr-defined]
    alone = method(name)
    alone.setting = Setting("smoke")
    with pytest.raises(BenchError, match=rf"write {name}\[people=NAME:DIR\]"):
        alone.fit(faces(), np.random.default_rng(0))


def planned(methods: str, dataset: str = "synthetic-single[images=40,identities=8]") -> Any:
    return make_plan(Registry(), RunOptions(dataset, methods, budget="smoke", device="cpu"))


def test_wrong_people_are_refused_before_anything_runs(tmp_path: Path) -> None:
    for methods, sentence in (
        ("tfe-jl", r"write tfe-jl\[people=NAME:DIR\]"),
        ("deepid+linear-svm", r"write deepid\[people=NAME:DIR\]"),
        ("tfe-jl[people=synthetic[images=20]]", "takes a dataset that says who is seen"),
        (f"tfe-jl[people={PEOPLE},identity=facenet]", "leave people out"),
        (f"tfe-jl[people=people:{tmp_path}]", "holds no images in a folder per person"),
    ):
        with pytest.raises(BenchError, match=sentence):
            planned(methods)


@pytest.mark.parametrize("name", ["resnet18-tfe", "tfe-jl[identity=untrained]"])
def test_label_sets_are_refused(name: str) -> None:
    with pytest.raises(BenchError, match="multi-label data"):
        planned(name, "synthetic[images=20]")


@pytest.mark.parametrize("name", METHODS)
def test_the_strongest_label_is_learnt_where_that_is_asked_for(name: str) -> None:
    sets = some_faces(30, side=32)
    sets.labels[:, 2] |= ~sets.labels.any(axis=1)
    classes = np.eye(3, dtype=bool)[sets.labels.argmax(axis=1)]
    single = replace(sets, kind="single", labels=classes)

    def last(part: FaceSet, **params: Any) -> Any:
        made = method(name, **params)
        made.setting = replace(made.setting, selection="last")
        return made.fit(part, np.random.default_rng(0))

    one, other = last(sets, target="argmax"), last(single)
    assert state(one.model_) == state(other.model_)
    with pytest.raises(InputError, match=rf"write {name}\[target=argmax\]"):
        last(sets)


# -- from the command line to the record ----------------------------------------------------------


def test_the_stage_is_trained_once_for_all_who_use_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    plan = planned(f"tfe-jl[people={PEOPLE}],deepid[people={PEOPLE}]+linear-svm[C=1]")
    records = records_of(plan, store, timeout=300)
    assert [record.status for record in records] == ["ok", "ok"], [r.reason for r in records]
    (folder,) = store.training.glob("identity-*")
    record = json.loads((folder / "identity.json").read_text())
    assert record["conditions"]["people"] == "synthetic-people"
    for one in records:
        (note,) = [note for note in one.notes if "identity stage on synthetic-people" in note]
        assert f"{record['figures']['verification_accuracy']:.4f}" in note
    deepid = next(one for one in records if one.cell.features == "deepid")
    assert deepid.measures == record["figures"]
    assert any("synthetic-people" in note for note in deepid.footnotes)

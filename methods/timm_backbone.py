"""Any image network of the timm library, its pooled features."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import timm
from huggingface_hub import try_to_load_from_cache
from timm.models import get_pretrained_cfg, is_model, is_model_pretrained
from torch import nn

from bench.api import BenchError, UnavailableError
from bench.nn.backbone import Backbone, InputFormat
from bench.nn.device import seeded
from bench.nn.weights import RANDOM_SEED, difference, hub_file

FILES = ("model.safetensors", "pytorch_model.bin")  # in the order in which timm looks for them


class TimmBackbone(Backbone):
    """Pooled features of a frozen network of timm, ``timm:resnet50`` or ``timm:resnet50.a1_in1k``.

    R. Wightman, PyTorch Image Models, 2019, doi:10.5281/zenodo.4414861; the network's own paper is
    named on its page there. The vector is what timm gives with ``num_classes=0``. Input size, mean,
    deviation and interpolation are those of the pretrained weights (`resolve_model_data_config`).

    ``weights=imagenet`` means the weights of the tag, or timm's default ones (not always of
    ImageNet), looked up in the local Hugging Face cache; bench downloads nothing.

    A file of ``weights=PATH`` may be a training checkpoint; as in timm's own loader the moving
    average in it (``state_dict_ema``, ``model_ema``) is taken before the last weights, and the
    record says which.

    Deviation: the whole face is resized to the input size, where timm crops the centre, because
    faces come cropped already; grey ones are repeated three times.
    """

    name = "timm:"
    by_name_only = True
    members = ("test_resnet", "test_vit")
    small = {"weights": "random"}

    def __init__(self, *, member: str | None = None, **params: Any) -> None:
        if member is not None:
            _check_name(member)
        super().__init__(member=member, **params)

    def published(self) -> Path:
        """The file of the tag in the Hugging Face cache (torch.hub's folder for a few old ones)."""
        cfg = get_pretrained_cfg(self.member)
        method = self._name()
        if cfg is None or not cfg.has_weights:
            raise UnavailableError(
                f"timm has no pretrained weights for {method}; pass {method}[weights=PATH], or "
                f"{method}[weights=random]"
            )
        if not cfg.hf_hub_id:
            return hub_file(cfg.url, method)
        for file in [cfg.hf_hub_filename] if cfg.hf_hub_filename else FILES:
            cached = try_to_load_from_cache(cfg.hf_hub_id, file)
            if isinstance(cached, str):
                return Path(cached)
        raise UnavailableError(
            f"{method} needs {cfg.hf_hub_id} of huggingface.co: run timm.create_model("
            f"{self.member!r}, pretrained=True) once online, or pass {method}[weights=PATH]"
        )

    def network(self, path: Path | None) -> nn.Module:
        """timm's network without its head; the head in the file may have any number of classes."""
        if path is None:
            with seeded("cpu", RANDOM_SEED):
                return timm.create_model(self.member, pretrained=False, num_classes=0)
        state = self.read(path)
        cfg = get_pretrained_cfg(self.member)
        heads = cfg.classifier if cfg is not None else None
        head = heads[0] if isinstance(heads, tuple) else heads
        if f"{head}.weight" in state:
            classes = len(state[f"{head}.weight"])
        else:  # a file without a head, or in the names of another library, which timm translates
            classes = cfg.num_classes if cfg is not None and self.weights == "imagenet" else 0
        # timm translates old names; it is strict only where the numbers of classes agree.
        overlay = {"state_dict": state, "num_classes": classes, "label_offset": None}
        try:
            model = timm.create_model(
                self.member, pretrained=True, num_classes=classes, pretrained_cfg_overlay=overlay
            )
        except MemoryError:
            raise
        except Exception as error:  # its translations of old names fail in any way on other files
            own = timm.create_model(self.member, pretrained=False, num_classes=classes)
            wrong = difference(state, own.state_dict()) or " ".join(str(error).split())
            raise BenchError(
                f"{path} holds weights for another network than {self._name()}: {wrong}"
            ) from error
        model.pretrained_cfg.pop("state_dict", None)
        model.reset_classifier(0)
        return model.float()

    def input_format(self, network: nn.Module) -> InputFormat:
        """The format that timm states for these weights."""
        config = timm.data.resolve_model_data_config(network)
        channels, height, width = config["input_size"]
        if channels != 3:
            raise BenchError(f"{self._name()} takes {channels} channels, not red, green and blue")
        return InputFormat((height, width), config["mean"], config["std"], config["interpolation"])

    def layer_name(self) -> str:
        """The layer in words, the same for every network."""
        return "pooled features before the classifier"


def _check_name(member: str) -> None:
    """Refuse what timm does not have, with the near names."""
    model, _, tag = member.partition(".")
    if is_model(model) and (not tag or is_model_pretrained(member)):
        return
    known = timm.list_models(f"{model}.*", pretrained=True) if is_model(model) else []
    close = difflib.get_close_matches(member, known or timm.list_models(), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else "timm.list_models() names them all"
    raise BenchError(f"timm:{member}: timm {timm.__version__} has no such model; {hint}")

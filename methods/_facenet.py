"""facenet-pytorch's InceptionResnetV1 as an identity branch."""

from __future__ import annotations

from pathlib import Path

from facenet_pytorch import InceptionResnetV1
from torch import Tensor, nn
from torch.nn.functional import interpolate

from bench.api import BenchError
from bench.nn.weights import hub_file, load_weights

WIDTH = 512
_SIDE = 160
_URL = (
    "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/"
    "20180402-114759-vggface2.pt"
)


class FacenetBranch(nn.Module):
    """F. Schroff et al., CVPR 2015, on C. Szegedy et al.'s Inception-ResNet-v1, 512-d, length 1.

    Images are enlarged to 160×160 pixels and scaled as the published weights want them; grey ones
    are repeated three times.

    Parameters
    ----------
    path : Path or None
        The weights; None: untrained ones. The head of 8,631 persons is left out.
    """

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self.body = InceptionResnetV1()
        if path is not None:
            load_weights(path, self.body, "facenet", unused=("logits.",))

    def embed(self, images: Tensor) -> Tensor:
        """The feature, float (n, 512), from float (n, 1 or 3, H, W) in [0, 1]."""
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        large = interpolate(images, (_SIDE, _SIDE), mode="bilinear", align_corners=False)
        feature: Tensor = self.body((255 * large - 127.5) / 128)
        return feature


def facenet_file(choice: str, method: str) -> Path | None:
    """The file that ``weights=choice`` means: ``vggface2``, ``random`` (None) or a path.

    Raises
    ------
    UnavailableError
        The published file is not in torch.hub's folder.
    BenchError
        No file at that path.
    """
    if choice == "random":
        return None
    if choice == "vggface2":
        return hub_file(_URL, method)
    path = Path(choice).expanduser()
    if not path.is_file():
        raise BenchError(
            f"{method}[weights={choice}]: there is no such file; write vggface2, random, or the "
            "path of a .pt, .pth or .safetensors file"
        )
    return path

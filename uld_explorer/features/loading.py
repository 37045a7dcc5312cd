"""Parts of a diffusion network from a folder or from the model hub, in diffusers format, with errors people understand.

Knows the layouts (one subfolder a part, or all at the root), the weight variants and the hub's ways to fail.
Knows nothing about feature maps. Respects HF_HUB_OFFLINE, HF_HOME and HF_HUB_CACHE; never runs code of a repository.

Weights are safetensors. Pickled weights (`.bin`) are read only from the hub repositories in `PICKLE_ALLOWED`, by
torch's weights-only unpickler; never from a folder of the user's.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uld_explorer.types import UserError

if TYPE_CHECKING:
    import torch

PICKLE_ALLOWED = frozenset({"google/ddpm-celebahq-256", "google/ddpm-ema-cat-256"})
ROOT_PARTS = frozenset({"unet", "scheduler"})
ADVICE = "Use --backbone bundled, which needs no network."


@dataclass(frozen=True)
class Repository:
    """An opened source of parts.

    source    absolute folder or hub id
    commit    what every later download is pinned to; None for a folder
    index     model_index.json, empty where a folder has none
    variants  part -> weight variant that was really loaded; filled by `load_component`
    """

    source: str
    local: bool
    commit: str | None = None
    index: Mapping[str, Any] = field(default_factory=dict)
    variants: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def where(self) -> dict[str, Any]:
        """The keyword arguments that tell diffusers and transformers where to look."""
        return {"local_files_only": True} if self.local else {"revision": self.commit}


def open_repository(source: str, *, local: bool, revision: str | None = None) -> Repository:
    """Find the folder, or reach the hub once, and read `model_index.json`.

    Raises UserError where the folder is missing, or the repository can be neither downloaded nor found in the cache.
    """
    if not local:
        path = download(source, "model_index.json", revision)
        return Repository(source, False, path.parent.name, _index(path))
    folder = Path(source)
    if not folder.is_dir():
        raise UserError(f"The folder '{folder.name}' of this backbone is missing: fetch the whole repository again.")
    return Repository(str(folder), True, None, _index(folder / "model_index.json"))


def _index(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(f"The model_index.json of '{path.parent.name}' cannot be read: fetch it again.") from error


def download(repo: str, filename: str, revision: str | None = None) -> Path:
    """A file of a hub repository, from the cache where it is there.

    Raises UserError, with the hub's own exception as its cause.
    """
    import httpx
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError

    try:
        return Path(hf_hub_download(repo, filename, revision=revision))
    except (OSError, EntryNotFoundError, HFValidationError, httpx.HTTPError) as error:
        raise UserError(f"'{repo}' could not be downloaded ({_reason(error, filename)}). {ADVICE}") from error


def _reason(error: Exception, filename: str) -> str:
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError):
        return "no connection to the model hub, and it is not in the local cache"
    if isinstance(error, errors.RevisionNotFoundError):
        return "the model hub has it, but not at the pinned revision"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "the model hub does not know it, or asks for a login"
    if isinstance(error, errors.EntryNotFoundError):
        return f"it holds no {filename}"
    if isinstance(error, errors.HfHubHTTPError):
        return "the model hub answered with an error"
    if isinstance(error, errors.HFValidationError):
        return "that is no name of a repository"
    return "no connection to the model hub"


def load_component(cls: Any, repository: Repository, subfolder: str, *, dtype: torch.dtype) -> Any:
    """One network of a repository, in evaluation mode and without gradients, on the CPU.

    Tried in this order: `subfolder`, then for a U-Net the root (google/ddpm-* keep theirs there); in each the fp16
    safetensors (half the download, the same for every device), the plain safetensors, and for an allow-listed hub
    repository the pickled weights.

    cls    a diffusers or transformers model class
    dtype  what the weights are converted to

    Raises UserError where nothing of that can be read.
    """
    last: Exception | None = None
    for folder in _folders(subfolder):
        for variant, kwargs in _attempts(repository):
            try:
                model = _whole_model(cls, repository, subfolder=folder, dtype=dtype, **kwargs)
            except (OSError, ValueError) as error:
                # Damaged weights tell more than files that are merely not there.
                last = error if last is None or isinstance(error, ValueError) else last
                continue
            repository.variants[subfolder] = variant
            return model.eval().requires_grad_(False)
    raise _unreadable(repository, subfolder) from last


def _whole_model(cls: Any, repository: Repository, **kwargs: Any) -> Any:
    """Load one file; ValueError where it lacks weights, which the libraries would quietly fill with random ones."""
    with quiet():
        model, info = cls.from_pretrained(repository.source, output_loading_info=True, **kwargs, **repository.where)
    if info["missing_keys"]:
        raise ValueError(f"weights are missing: {', '.join(sorted(info['missing_keys'])[:3])}")
    return model


def _folders(part: str) -> tuple[str, ...]:
    return (part, "") if part in ROOT_PARTS else (part,)


def _attempts(repository: Repository) -> list[tuple[str, dict[str, Any]]]:
    """The weight files to try, best first, with the arguments that ask for them."""
    tries: list[tuple[str, dict[str, Any]]] = [
        ("fp16", {"variant": "fp16", "use_safetensors": True}),
        ("safetensors", {"use_safetensors": True}),
    ]
    if not repository.local and repository.source in PICKLE_ALLOWED:
        # diffusers reads .bin by torch.load(weights_only=True): tensors, no code.
        tries.append(("bin", {"use_safetensors": False}))
    return tries


def _unreadable(repository: Repository, part: str) -> UserError:
    if repository.local:
        return UserError(
            f"The {part} of '{Path(repository.source).name}' cannot be read: it needs a config.json and a "
            "complete .safetensors file (pickled .bin files of a folder are never opened)."
        )
    return UserError(
        f"The {part} of '{repository.source}' could not be downloaded (no connection to the model hub, or no "
        f"safetensors there). {ADVICE}"
    )


def load_config(cls: Any, repository: Repository, subfolder: str) -> dict[str, Any]:
    """The configuration of one part, from `subfolder` or from the root.

    cls is a diffusers model or scheduler class. Raises UserError where there is none.
    """
    last: Exception | None = None
    for folder in _folders(subfolder):
        try:
            with quiet():
                config = cls.load_config(repository.source, subfolder=folder, **repository.where)
            return dict(config)
        except OSError as error:
            last = last or error
    raise _unreadable(repository, subfolder) from last


def random_component(cls: Any, repository: Repository, subfolder: str, *, dtype: torch.dtype, seed: int) -> Any:
    """The same architecture with fresh random weights: the baseline of what training brought.

    The weights depend on `seed` alone; the global random state stays as it was. Raises UserError without a config.
    """
    import torch

    config = load_config(cls, repository, subfolder)
    with torch.random.fork_rng(devices=[]), quiet():
        torch.default_generator.manual_seed(seed)
        model = cls.from_config(config)
    repository.variants[subfolder] = f"random {seed}"
    with quiet():
        return model.to(dtype).eval().requires_grad_(False)


def component_from_file(cls: Any, repository: Repository, subfolder: str, weights: Path, *, dtype: torch.dtype) -> Any:
    """The architecture of a repository with the weights of one safetensors file; its own weights are not fetched.

    weights  a state dict whose names and shapes are exactly those of the architecture

    Raises UserError where they are not.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config = load_config(cls, repository, subfolder)
    with torch.device("meta"), quiet():
        model = cls.from_config(config)
    try:
        model.load_state_dict(load_file(weights), strict=True, assign=True)
    except (RuntimeError, SafetensorError, OSError) as error:
        raise UserError(
            f"The weights in '{weights.name}' do not fit '{Path(repository.source).name}': choose another backbone."
        ) from error
    repository.variants[subfolder] = weights.name
    with quiet():
        return model.to(dtype).eval().requires_grad_(False)


def weights_identity(repository: Repository) -> str:
    """What tells these weights from others: hub id and commit, or a hash of the folder's weights and configurations."""
    if not repository.local:
        return f"{repository.source}@{repository.commit}"
    folder = Path(repository.source)
    parts = [folder / part for part in ("unet", "vae", "text_encoder", "tokenizer", "scheduler")]
    files = [path for part in parts for path in part.glob("*")] + list(folder.glob("*.json"))
    if not (folder / "unet").is_dir():
        files += list(folder.glob("*.safetensors"))
    digest = hashlib.sha256()
    for path in sorted(path for path in files if path.suffix in (".json", ".safetensors", ".txt")):
        stat = path.stat()
        digest.update(
            f"{path.relative_to(folder).as_posix()}={file_hash(path, stat.st_size, stat.st_mtime_ns)}".encode()
        )
    return digest.hexdigest()


@lru_cache(maxsize=256)
def file_hash(path: Path, size: int, mtime_ns: int) -> str:
    """SHA-256 of a file's bytes; size and time are only there to notice a changed file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries from logging errors for files that are merely tried, and from drawing progress bars."""
    logs = [
        sys.modules[name] for name in ("diffusers.utils.logging", "transformers.utils.logging") if name in sys.modules
    ]
    before = [(log, log.get_verbosity(), log.is_progress_bar_enabled()) for log in logs]
    for log in logs:
        log.set_verbosity(log.CRITICAL)
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log, verbosity, bars in before:
            log.set_verbosity(verbosity)
            if bars:
                log.enable_progress_bar()

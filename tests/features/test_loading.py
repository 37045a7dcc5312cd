"""Loading parts: layouts, variants, pickles, and what people read when it fails."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch

from tests.features.conftest import into_cache
from uld_explorer.features import loading
from uld_explorer.types import UserError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FACES = "google/ddpm-celebahq-256"


def _unet(folder: Path, dtype: torch.dtype = torch.float32):
    from diffusers import UNet2DModel

    repository = loading.open_repository(str(folder), local=True)
    return loading.load_component(UNet2DModel, repository, "unet", dtype=dtype), repository


def _pickled(folder: Path) -> Path:
    """Replace the safetensors at a folder's root by a pickled state dict."""
    from safetensors.torch import load_file

    weights = folder / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(weights), folder / "diffusion_pytorch_model.bin")
    weights.unlink()
    return folder


def test_both_layouts_give_the_same_weights(tiny_ddpm: Path, tiny_ddpm_root: Path) -> None:
    first, second = _unet(tiny_ddpm)[0].state_dict(), _unet(tiny_ddpm_root)[0].state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_component_is_frozen_and_of_the_wanted_type(tiny_ddpm: Path) -> None:
    unet, repository = _unet(tiny_ddpm, torch.bfloat16)
    assert unet.dtype == torch.bfloat16
    assert not unet.training
    assert not any(parameter.requires_grad for parameter in unet.parameters())
    assert repository.variants == {"unet": "safetensors"}


def test_the_fp16_variant_is_found(tiny_sd_fp16: Path) -> None:
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel

    repository = loading.open_repository(str(tiny_sd_fp16), local=True)
    for cls, part in ((UNet2DConditionModel, "unet"), (CLIPTextModel, "text_encoder")):
        assert loading.load_component(cls, repository, part, dtype=torch.float32).dtype == torch.float32
    assert repository.variants == {"unet": "fp16", "text_encoder": "fp16"}


def test_a_pickle_in_a_folder_is_never_opened(tiny_ddpm_root: Path, tmp_path: Path, monkeypatch) -> None:
    folder = _pickled(Path(shutil.copytree(tiny_ddpm_root, tmp_path / "own")))
    monkeypatch.setattr(loading, "PICKLE_ALLOWED", frozenset({str(folder)}))
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("a pickle was opened"))
    with pytest.raises(UserError, match=r"pickled \.bin files of a folder are never opened") as error:
        _unet(folder)
    assert isinstance(error.value.__cause__, OSError)


@pytest.mark.parametrize(("repo", "allowed"), [(FACES, True), ("someone/else", False)])
def test_a_pickle_of_the_hub_needs_the_list(
    repo: str, allowed: bool, tiny_ddpm_root: Path, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import UNet2DModel

    _pickled(into_cache(hub_cache, repo, COMMIT, tiny_ddpm_root))
    modes: list[object] = []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: (modes.append(k.get("weights_only")), load(*a, **k))[1])
    repository = loading.open_repository(repo, local=False, revision=COMMIT)
    if not allowed:
        with pytest.raises(UserError, match="could not be downloaded"):
            loading.load_component(UNet2DModel, repository, "unet", dtype=torch.float32)
        assert modes == []
        return
    unet = loading.load_component(UNet2DModel, repository, "unet", dtype=torch.float32)
    expected = _unet(tiny_ddpm_root)[0].state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in unet.state_dict().items())
    assert modes == [True]
    assert repository.variants == {"unet": "bin"}


OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def test_old_names_of_attention_weights_are_understood(tiny_ddpm_root: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(tiny_ddpm_root, tmp_path / "old"))
    path = folder / "diffusion_pytorch_model.safetensors"
    state, expected = load_file(path), load_file(path)
    for new, old in OLD_NAMES.items():
        state = {key.replace(new, old): value for key, value in state.items()}
    assert any("proj_attn" in key for key in state)
    save_file(state, path)
    found = _unet(folder)[0].state_dict()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_incomplete_weights_are_refused(tiny_ddpm_root: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(tiny_ddpm_root, tmp_path / "part"))
    path = folder / "diffusion_pytorch_model.safetensors"
    state = load_file(path)
    state.pop("conv_in.weight")
    save_file(state, path)
    with pytest.raises(UserError, match=r"complete \.safetensors") as error:
        _unet(folder)
    assert "conv_in.weight" in str(error.value.__cause__)


def test_a_branch_is_pinned_to_its_commit(tiny_ddpm: Path, hub_cache: Path) -> None:
    into_cache(hub_cache, "some/net", COMMIT, tiny_ddpm)
    repository = loading.open_repository("some/net", local=False, revision="main")
    assert repository.commit == COMMIT
    assert loading.weights_identity(repository) == f"some/net@{COMMIT}"


def test_an_unreachable_hub_is_one_sentence(hub_cache: Path) -> None:
    with pytest.raises(UserError) as error:
        loading.open_repository(FACES, local=False, revision=COMMIT)
    assert str(error.value) == (
        f"'{FACES}' could not be downloaded (no connection to the model hub, and it is not in the local cache). "
        "Use --backbone bundled, which needs no network."
    )
    assert error.value.__cause__ is not None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ConnectError", "no connection"),
        ("RepositoryNotFoundError", "does not know it"),
        ("GatedRepoError", "asks for a login"),
        ("RevisionNotFoundError", "not at the pinned revision"),
        ("RemoteEntryNotFoundError", "holds no model_index.json"),
        ("HfHubHTTPError", "answered with an error"),
    ],
)
def test_every_failure_of_the_hub_has_words(name: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx
    import huggingface_hub
    from huggingface_hub import errors

    request = httpx.Request("GET", "https://hub.invalid")
    failure: Exception = httpx.ConnectError("refused", request=request)
    if name != "ConnectError":
        failure = getattr(errors, name)("no", response=httpx.Response(404, request=request))

    def fail(*_args: object, **_kwargs: object) -> str:
        raise failure

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(UserError, match=words) as error:
        loading.open_repository("some/net", local=False)
    assert error.value.__cause__ is failure
    assert str(error.value).endswith(loading.ADVICE)


def test_an_unreadable_index_of_a_broken_download(tiny_ddpm: Path, hub_cache: Path) -> None:
    (into_cache(hub_cache, "some/net", COMMIT, tiny_ddpm) / "model_index.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        loading.open_repository("some/net", local=False, revision=COMMIT)


def test_a_name_that_is_none() -> None:
    with pytest.raises(UserError, match="no name of a repository"):
        loading.open_repository("not//a name", local=False)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'gone' of this backbone is missing"):
        loading.open_repository(str(tmp_path / "gone"), local=True)


def test_a_broken_index(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        loading.open_repository(str(tmp_path), local=True)


def test_a_missing_config(tmp_path: Path) -> None:
    from diffusers import UNet2DModel

    with pytest.raises(UserError, match=r"needs a config\.json"):
        loading.load_config(UNet2DModel, loading.open_repository(str(tmp_path), local=True), "unet")


def test_the_identity_follows_the_content(tiny_ddpm: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_ddpm, tmp_path / "copy"))
    identities = [loading.weights_identity(loading.open_repository(str(f), local=True)) for f in (tiny_ddpm, copy)]
    assert identities[0] == identities[1]
    config = copy / "scheduler" / "scheduler_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "beta_end": 0.5}))
    assert loading.weights_identity(loading.open_repository(str(copy), local=True)) != identities[0]


def test_weights_that_do_not_fit(tiny_ddpm: Path, tmp_path: Path) -> None:
    from diffusers import UNet2DModel
    from safetensors.torch import save_file

    save_file({"conv_in.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    repository = loading.open_repository(str(tiny_ddpm), local=True)
    with pytest.raises(UserError, match="do not fit"):
        loading.component_from_file(
            UNet2DModel, repository, "unet", tmp_path / "other.safetensors", dtype=torch.float32
        )


def test_trying_is_silent(tiny_ddpm: Path, caplog: pytest.LogCaptureFixture, capfd) -> None:
    from diffusers.utils import logging as diffusers_logging

    before = diffusers_logging.get_verbosity()
    with caplog.at_level(logging.WARNING):
        _unet(tiny_ddpm)
    assert diffusers_logging.get_verbosity() == before
    assert capfd.readouterr().err == ""

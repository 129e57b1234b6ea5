"""What model hubs read at the top of a card: YAML, as the Hugging Face Hub documents it for model cards."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

RUNS_IN = {".onnx": "onnx", ".param": "ncnn"}  # tags by suffix; other files are PyTorch's
DATASETS = {"div2k": "eugenesiow/Div2k"}  # on the hub, by a word in the name of training images
ON_HUB = re.compile(r"[\w.-]+(/[\w.-]+)?")  # names that may be those of models there
MEASURED = {"psnr_y": ("psnr", "PSNR-Y"), "ssim_y": ("ssim", "SSIM-Y")}
OTHER = "other"  # a licence that hubs do not know


def front_matter(models: Mapping[str, Mapping[str, Any]], licence: str, suffixes: Iterable[str]) -> str:
    """The header of a card of these `models`, by name, each with the fields of a student.json.

    `suffixes` are those of their files. A licence that hubs do not know is OTHER, with its name beside it.
    """
    first = next(iter(models.values()))
    origins = [about.get("provenance", {}) for about in models.values()]
    fields: dict[str, Any] = {"license": licence}
    if licence == OTHER:
        fields["license_name"] = "see-below"
    fields |= {"library_name": "autocompress", "pipeline_tag": "image-to-image"}
    teachers = sorted({str(origin.get("teacher")) for origin in origins if origin.get("teacher")})
    if known := [name for name in teachers if ON_HUB.fullmatch(name) and "." not in name]:
        fields["base_model"] = known
    trained = " ".join(str(origin.get("trained_on") or "") for origin in origins).lower()
    if datasets := [name for word, name in DATASETS.items() if word in trained]:
        fields["datasets"] = datasets
    fields["tags"] = list(
        dict.fromkeys(
            [
                "super-resolution",
                *(str(about["family"]) for about in models.values()),
                f"x{first['scale']}",
                *sorted({RUNS_IN.get(suffix, "pytorch") for suffix in suffixes}),
                "autocompress",
            ]
        )
    )
    fields["metrics"] = ["psnr", "ssim"]
    index = [{"name": name, "results": _results(about)} for name, about in models.items()]
    if all(entry["results"] for entry in index):
        fields["model-index"] = index
    return f"---\n{yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)}---"


def _results(about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The scores of a network on each set of images on which it has some."""
    metrics = about.get("metrics") or {}
    if all(isinstance(scores, Mapping) for scores in metrics.values()):
        by_images = dict(metrics)
    else:
        by_images = {str(about.get("provenance", {}).get("scored_on", "validation images")): metrics}
    task = {"type": "image-to-image", "name": f"super-resolution x{about['scale']}"}
    return [
        {
            "task": task,
            "dataset": {"type": re.sub(r"[^a-z0-9]+", "-", images.lower()).strip("-"), "name": images},
            "metrics": [
                {"type": kind, "value": round(float(scores[key]), 4), "name": name}
                for key, (kind, name) in MEASURED.items()
                if key in scores
            ],
        }
        for images, scores in by_images.items()
    ]

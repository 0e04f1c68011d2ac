"""Whole vision pipelines over the seeded checkpoints of tests/goldens/vision: from an image file to
the result. Adds preprocessor_config.json, pipeline.json and pipeline.safetensors to each folder.

Needs pillow beside requirements.txt. Run after the scripts that make the checkpoints and the images.
"""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import pipeline
from transformers.image_utils import load_image

VISION = Path(__file__).parent.parent / "tests" / "goldens" / "vision"
IMAGES = ["rgb.png", "rgba.png", "orientation.png"]

CASES = {
    "vit": ("image-classification", {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}},
            [{}, {"top_k": 2, "function_to_apply": "sigmoid"}, {"function_to_apply": "none"}]),
    "convnext": ("image-classification",
                 {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 64}, "crop_pct": 0.875, "resample": 3},
                 [{}]),
    "vit-encoder": ("image-feature-extraction", {"feature_extractor_type": "ViTFeatureExtractor", "size": 32}, [{}]),
    "convnext-encoder": ("image-feature-extraction",
                         {"feature_extractor_type": "ConvNextFeatureExtractor", "size": 64}, [{}, {"pool": True}]),
    "segformer-semantic": ("image-segmentation",
                           {"image_processor_type": "SegformerImageProcessor", "size": {"height": 64, "width": 96}}, [{}]),
    "glpn": ("depth-estimation", {"feature_extractor_type": "GLPNFeatureExtractor", "size_divisor": 32}, [{}]),
}


def plain(task, result, tensors, name):
    if task == "image-segmentation":
        masks = np.stack([np.array(segment["mask"]) for segment in result])
        tensors[f"{name}.masks"] = torch.from_numpy(masks)
        return [{"label": s["label"], "score": s["score"]} for s in result]
    if task == "depth-estimation":
        tensors[f"{name}.depth"] = result["predicted_depth"].contiguous()
        tensors[f"{name}.picture"] = torch.from_numpy(np.array(result["depth"]))
        return {"dims": list(result["predicted_depth"].shape)}
    if task == "image-feature-extraction":
        tensors[f"{name}.features"] = torch.tensor(result)
        return {"dims": list(np.array(result).shape)}
    return result


def main():
    for variant, (task, config, calls) in CASES.items():
        folder = VISION / variant
        (folder / "preprocessor_config.json").write_text(json.dumps(config, indent=2) + "\n")
        run = pipeline(task, model=str(folder), device="cpu")
        cases, tensors = [], {}
        for image in IMAGES:
            # The small pictures have sides below GLPN's divisor: they are enlarged, the same for both sides.
            picture = load_image(str(VISION / "images" / image))
            times = 3 if task == "depth-estimation" else 1
            array = np.array(picture).repeat(times, 0).repeat(times, 1)
            for options in calls:
                name = str(len(cases))
                result = run(Image.fromarray(array), **options)
                cases.append({"image": image, "times": times, "options": options,
                              "result": plain(task, result, tensors, name)})
        (folder / "pipeline.json").write_text(json.dumps({"task": task, "cases": cases}, indent=1) + "\n")
        if tensors:
            save_file(tensors, folder / "pipeline.safetensors")
        print(variant, json.dumps(cases)[:150])


if __name__ == "__main__":
    main()

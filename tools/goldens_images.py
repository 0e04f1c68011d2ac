"""Image goldens: small files in many modes, what PIL decodes them to, and what the image
processors of transformers make of them. Writes tests/goldens/vision/images/.

Needs pillow and torchvision (for the processors whose names end in Fast) beside requirements.txt.
"""

import io
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import AutoImageProcessor
from transformers.image_utils import load_image

OUT = Path(__file__).parent.parent / "tests" / "goldens" / "vision" / "images"


def scene(h, w, seed):
    """Gradients, an edge and noise: something for every filter to get wrong."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    r = 255 * x / max(w - 1, 1)
    g = 255 * y / max(h - 1, 1)
    b = 127 + 120 * np.sin(x * 0.9 + y * 0.4)
    a = np.stack([r, g, b], -1)
    a[(x - w / 2) ** 2 + (y - h / 2) ** 2 < (min(h, w) / 4) ** 2] = [250, 20, 40]
    a += rng.normal(0, 12, a.shape)
    return np.clip(a, 0, 255).astype(np.uint8)


def files():
    """name -> bytes"""
    out = {}

    def save(name, image, **options):
        buffer = io.BytesIO()
        fmt = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[name.rsplit(".", 1)[1]]
        image.save(buffer, fmt, **options)
        out[name] = buffer.getvalue()

    rgb = Image.fromarray(scene(29, 37, 1))
    save("rgb.png", rgb)
    save("grey.png", Image.fromarray(scene(31, 20, 2)[..., 1]))
    alpha = np.dstack([scene(17, 33, 3), scene(17, 33, 4)[..., 0]])
    save("rgba.png", Image.fromarray(alpha, "RGBA"))
    save("grey-alpha.png", Image.fromarray(alpha, "RGBA").convert("LA"))
    palette = rgb.quantize(17)
    save("palette.png", palette)
    save("palette-transparent.png", palette, transparency=3)
    save("bits.png", rgb.convert("1"))
    deep = (scene(12, 14, 5)[..., 0].astype(np.uint16) * 257) ^ 0x0055
    save("grey16.png", Image.fromarray(deep))
    save("orientation.png", rgb, exif=orientation(8))
    save("rgb.jpg", Image.fromarray(scene(30, 41, 6)), quality=90)
    save("grey.jpg", Image.fromarray(scene(30, 41, 6)[..., 2]), quality=90)
    save("progressive.jpg", Image.fromarray(scene(48, 35, 7)), quality=85, progressive=True)
    save("cmyk.jpg", Image.fromarray(scene(24, 24, 8)).convert("CMYK"), quality=92)
    for n in (2, 3, 4, 5, 6, 7, 8):
        save(f"orientation-{n}.jpg", Image.fromarray(scene(20, 28, 9)), quality=95, exif=orientation(n))
    save("lossless.webp", Image.fromarray(alpha, "RGBA"), lossless=True, exact=True)
    save("lossy.webp", rgb, quality=90)
    save("one.png", Image.fromarray(np.array([[[200, 100, 7]]], np.uint8)))
    save("tall.png", Image.fromarray(scene(1000, 1, 10)))
    save("wide.png", Image.fromarray(scene(3, 300, 11)))
    return out


def orientation(n):
    exif = Image.Exif()
    exif[0x0112] = n
    return exif


PROCESSORS = {
    # resample 0..5
    **{
        f"vit-filter{i}": {"image_processor_type": "ViTImageProcessor", "size": {"height": 18, "width": 21}, "resample": i}
        for i in range(6)
    },
    "vit-old": {"feature_extractor_type": "ViTFeatureExtractor", "size": 20, "do_normalize": True,
                "image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.6, 0.7], "resample": 2},
    "vit-default": {"model_type": "vit", "size": [12, 13], "image_mean": 0.45, "image_std": 0.25},
    "vit-bare": {"image_processor_type": "ViTImageProcessor", "size": 16, "do_rescale": False, "do_normalize": False},
    "vit-rescale": {"image_processor_type": "ViTImageProcessor", "size": 16, "do_normalize": False, "rescale_factor": 0.0078},
    "vit-same": {"image_processor_type": "ViTImageProcessor", "do_resize": False},
    "vit-fast": {"image_processor_type": "ViTImageProcessorFast", "size": {"height": 18, "width": 21}, "resample": 2},
    "vit-fast-bicubic": {"image_processor_type": "ViTImageProcessorFast", "size": {"height": 19, "width": 20}, "resample": 3},
    "vit-fast-nearest": {"image_processor_type": "ViTImageProcessorFast", "size": {"height": 19, "width": 20}, "resample": 0},
    "vit-fast-crop": {"image_processor_type": "ViTImageProcessorFast", "size": {"height": 19, "width": 24},
                      "do_center_crop": True, "crop_size": {"height": 24, "width": 17}},
    "deit": {"image_processor_type": "DeiTImageProcessor", "size": {"height": 26, "width": 26},
             "crop_size": {"height": 21, "width": 21}, "resample": 3},
    "deit-padded": {"feature_extractor_type": "DeiTFeatureExtractor", "size": 17, "crop_size": 22, "resample": 3},
    "deit-no-crop": {"image_processor_type": "DeiTImageProcessor", "size": 20, "do_center_crop": False},
    "convnext": {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 21}, "crop_pct": 0.875, "resample": 3},
    "convnext-old": {"feature_extractor_type": "ConvNextFeatureExtractor", "size": 18, "crop_pct": None, "resample": 2,
                     "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
    "convnext-fast": {"image_processor_type": "ConvNextImageProcessorFast", "size": {"shortest_edge": 21}, "crop_pct": 0.8},
    "detr": {"image_processor_type": "DetrImageProcessor", "size": {"shortest_edge": 24, "longest_edge": 40}},
    "detr-old": {"feature_extractor_type": "DetrFeatureExtractor", "size": 20, "max_size": 28, "format": "coco_detection"},
    "detr-within": {"image_processor_type": "DetrImageProcessor", "size": {"max_height": 22, "max_width": 30}},
    "detr-padded": {"image_processor_type": "DetrImageProcessor", "size": {"shortest_edge": 20, "longest_edge": 28},
                    "pad_size": {"height": 30, "width": 32}},
    "detr-fast": {"image_processor_type": "DetrImageProcessorFast", "size": {"shortest_edge": 24, "longest_edge": 40}},
    "segformer": {"image_processor_type": "SegformerImageProcessor", "size": {"height": 20, "width": 24}, "do_reduce_labels": True},
    "segformer-old": {"feature_extractor_type": "SegformerFeatureExtractor", "size": 19, "reduce_labels": True},
    "segformer-fast": {"image_processor_type": "SegformerImageProcessorFast", "size": {"height": 20, "width": 24}},
    "glpn": {"feature_extractor_type": "GLPNFeatureExtractor", "do_resize": True, "do_rescale": True, "size_divisor": 8},
    "mask2former": {"image_processor_type": "Mask2FormerImageProcessor", "size": {"height": 24, "width": 24},
                    "size_divisor": 8, "ignore_index": 255},
    "mask2former-edges": {"image_processor_type": "Mask2FormerImageProcessor",
                          "size": {"shortest_edge": 20, "longest_edge": 44}, "size_divisor": 8},
    "mask2former-fast": {"image_processor_type": "Mask2FormerImageProcessorFast",
                         "size": {"shortest_edge": 20, "longest_edge": 44}, "size_divisor": 8},
    "maskformer-old": {"feature_extractor_type": "MaskFormerFeatureExtractor", "size": 18, "max_size": 40, "size_divisor": 16},
}

PICTURES = ["rgb.png", "grey.png", "rgba.png", "one.png", "tall.png", "wide.png"]


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    tensors = {}
    decoded = {}
    for name, data in files().items():
        (OUT / name).write_bytes(data)
        image = load_image(str(OUT / name))
        decoded[name] = image
        tensors[f"picture.{name}"] = torch.from_numpy(np.array(image))
    cases = []
    for processor, fields in PROCESSORS.items():
        fields = dict(fields)
        model_type = fields.pop("model_type", "bert")
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "preprocessor_config.json").write_text(json.dumps(fields))
            Path(folder, "config.json").write_text(json.dumps({"model_type": model_type}))
            loaded = AutoImageProcessor.from_pretrained(folder)
        fast = type(loaded).__name__.endswith("Fast")
        for name in PICTURES:
            case = {"processor": processor, "picture": name}
            # Python takes a height of 1 or 3 for channels unless told.
            told = {} if fast else {"input_data_format": "channels_last"}
            try:
                result = loaded(images=decoded[name], return_tensors="pt", **told)
            except Exception as error:  # noqa: BLE001
                cases.append({**case, "error": f"{type(error).__name__}: {error}"[:200]})
                continue
            pixels = result["pixel_values"][0].permute(1, 2, 0).float().contiguous()
            if pixels.numel() > 40000:
                continue  # a strip grown to a thousand pixels says nothing that a shorter one does not
            if "pixel_mask" in result:
                mask = result["pixel_mask"][0]
                case["valid"] = [int(mask[:, 0].sum()), int(mask[0].sum())]
            tensors[f"{processor}.{name}"] = pixels
            cases.append(case)
        PROCESSORS[processor] = {"config": fields, "model_type": model_type}
    save_file(tensors, OUT / "values.safetensors")
    (OUT / "cases.json").write_text(json.dumps({"processors": PROCESSORS, "cases": cases}, indent=1) + "\n")
    print(len(cases), "cases,", sum(f.stat().st_size for f in OUT.iterdir()) // 1024, "KB")
    for case in cases:
        if "error" in case:
            print(case)


if __name__ == "__main__":
    main()

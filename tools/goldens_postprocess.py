"""Post-processing goldens: seeded outputs of heads, and what transformers makes of them.

Writes tests/goldens/vision/post/. Needs pillow beside requirements.txt.
"""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import (
    DetrImageProcessor,
    GLPNImageProcessor,
    Mask2FormerImageProcessor,
    SegformerImageProcessor,
)

OUT = Path(__file__).parent.parent / "tests" / "goldens" / "vision" / "post"
tensors, cases = {}, []


def blobs(generator, n, h, w, sharp):
    """Logits of n overlapping discs."""
    y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    c = torch.rand(n, 2, generator=generator)
    r = 0.15 + 0.25 * torch.rand(n, generator=generator)
    d = ((y / h)[None] - c[:, 0, None, None]) ** 2 + ((x / w)[None] - c[:, 1, None, None]) ** 2
    noise = 0.3 * torch.randn(n, h, w, generator=generator)
    return sharp * (r[:, None, None] - d.sqrt()) + noise


def queries(seed, q, labels, h, w):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, q, labels + 1, generator=generator)
    for i in range(q):
        # Two queries see nothing, the others are fairly sure of one of the first five labels.
        at = labels if i in (1, 4) else int(torch.randint(0, min(labels, 5), (1,), generator=generator))
        logits[0, i, at] += 6.0 + 3.0 * float(torch.rand(1, generator=generator))
    masks = blobs(generator, q, h, w, 12.0)[None]
    boxes = torch.rand(1, q, 4, generator=generator)
    return logits, masks, boxes


def segments(processor, outputs, subtask, size, options):
    """The body of ImageSegmentationPipeline.postprocess."""
    if subtask == "semantic":
        map_ = processor.post_process_semantic_segmentation(outputs, target_sizes=[size])[0].numpy()
        return map_, [{"label_id": int(i), "score": None, "id": int(i)} for i in np.unique(map_)]
    fn = getattr(processor, f"post_process_{subtask}_segmentation")
    result = fn(outputs, target_sizes=[size], **options)[0]
    return result["segmentation"].numpy(), result["segments_info"]


def segmentation(name, processor, outputs, head, subtask, size, **options):
    thresholds = {"threshold": 0.9, "mask_threshold": 0.5, "overlap_mask_area_threshold": 0.5}
    given = dict(options)
    if subtask == "semantic":
        thresholds = {}
    elif subtask == "panoptic":
        thresholds["label_ids_to_fuse"] = set(options.pop("label_ids_to_fuse", []))
    thresholds.update(options)
    map_, info = segments(processor, outputs, subtask, size, thresholds)
    masks = np.stack([(map_ == s["id"]) for s in info]) if info else np.zeros((0, *size))
    tensors[f"{name}.masks"] = torch.from_numpy((masks * 255).astype(np.uint8))
    case = {"name": name, "task": "image-segmentation", "head": head, "size": size}
    case["options"] = {"subtask": subtask, **given}
    case["result"] = [{"label": f"LABEL_{s['label_id']}", "score": s["score"]} for s in info]
    cases.append(case)
    print(name, case["result"])


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    detr, m2f = DetrImageProcessor(), Mask2FormerImageProcessor()
    for seed, (h, w, size) in enumerate([(9, 11, [23, 17]), (14, 10, [9, 31]), (8, 8, [40, 40])]):
        logits, masks, boxes = queries(100 + seed, 9, 6, h, w)
        outputs = SimpleNamespace(logits=logits, pred_masks=masks, pred_boxes=boxes)
        base = f"detr{seed}"
        tensors.update({f"{base}.logits": logits, f"{base}.query_masks": masks, f"{base}.boxes": boxes})
        for subtask, options in [
            ("panoptic", {}),
            ("panoptic", {"threshold": 0.5, "overlap_mask_area_threshold": 0.1, "label_ids_to_fuse": [0, 1, 2]}),
            ("panoptic", {"threshold": 0.9999}),
            ("instance", {"threshold": 0.3, "mask_threshold": 0.4, "overlap_mask_area_threshold": 0.2}),
            ("semantic", {}),
        ]:
            segmentation(f"{base}.{len(cases)}", detr, outputs, "panoptic", subtask, size, **options)
            cases[-1]["outputs"] = base
        for options in [{}, {"threshold": 0.95}, {"threshold": 1.0}]:
            result = detr.post_process_object_detection(
                outputs, options.get("threshold", 0.5), torch.tensor([size])
            )[0]
            found = [
                {"score": s.item(), "label": f"LABEL_{label.item()}",
                 "box": dict(zip(["xmin", "ymin", "xmax", "ymax"], box.int().tolist()))}
                for s, label, box in zip(result["scores"], result["labels"], result["boxes"])
            ]
            cases.append({"name": f"{base}.{len(cases)}", "task": "object-detection", "head": "detection", "size": size,
                          "options": options, "outputs": base, "result": found})

        # 7 queries and 72 labels: topk then sorts, as it does with 100 queries and 80 labels.
        logits, masks, _ = queries(200 + seed, 7, 72, h, w)
        outputs = SimpleNamespace(class_queries_logits=logits, masks_queries_logits=masks)
        base = f"mask2former{seed}"
        tensors.update({f"{base}.logits": logits, f"{base}.query_masks": masks})
        for subtask, options in [
            ("panoptic", {}),
            ("panoptic", {"threshold": 0.5, "overlap_mask_area_threshold": 0.1, "label_ids_to_fuse": [0, 1, 2, 3]}),
            ("instance", {"threshold": 0.5}),
            ("instance", {"threshold": 0.0}),
            ("semantic", {}),
        ]:
            segmentation(f"{base}.{len(cases)}", m2f, outputs, "universal", subtask, size, **options)
            cases[-1]["outputs"] = base

        generator = torch.Generator().manual_seed(300 + seed)
        logits = blobs(generator, 6, h, w, 12.0)[None]
        base = f"segformer{seed}"
        tensors[f"{base}.logits"] = logits.permute(0, 2, 3, 1).contiguous()
        segmentation(f"{base}.{len(cases)}", SegformerImageProcessor(), SimpleNamespace(logits=logits), "semantic",
                     "semantic", size)
        cases[-1]["outputs"] = base

        depth = 5 + 2 * blobs(generator, 1, h, w, 2.0)
        result = GLPNImageProcessor().post_process_depth_estimation(SimpleNamespace(predicted_depth=depth), [size])[0]
        predicted = result["predicted_depth"]
        picture = predicted.numpy()
        picture = (picture - picture.min()) / (picture.max() - picture.min())
        name = f"glpn{seed}"
        tensors[f"{name}.depth"] = depth
        tensors[f"{name}.predicted_depth"] = predicted.contiguous()
        tensors[f"{name}.picture"] = torch.from_numpy((picture * 255).astype("uint8"))
        cases.append({"name": name, "task": "depth-estimation", "head": "depth", "size": size, "options": {}, "outputs": name})
    save_file(tensors, OUT / "values.safetensors")
    (OUT / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Writes small sets with objects, in the layouts of COCO and of VOC, from the built-in drawings."""

import json

import numpy as np
from PIL import Image

from simsiam_tf.data.objects.made import open_made
from simsiam_tf.data.scenes import make_scenes
from simsiam_tf.detection.scores.masks import masks_to_rle


def write_coco(root, train=12, test=4):
    """The official layout: annotations/instances_SPLIT.json beside a folder of images for each split."""
    for split, name, count in (("train", "train2017", train), ("test", "val2017", test)):
        made, images = open_made(split, count), make_scenes(split, count).images
        (root / name).mkdir(parents=True)
        described, annotations = [], []
        for i, (objects, image) in enumerate(zip(made.objects, images, strict=True)):
            Image.fromarray(image).save(root / name / f"{i:06}.png")
            described.append({"id": 10 * i + 1, "file_name": f"{i:06}.png", "height": 128, "width": 128})
            owners = make_scenes(split, count).owners[i]
            masks = masks_to_rle(np.stack([owners == k + 1 for k in range(len(objects))]))
            for box, of_class, area, mask in zip(
                objects.boxes.tolist(), objects.classes.tolist(), objects.areas.tolist(), masks, strict=True
            ):
                counts = mask["counts"]
                counts = counts.decode() if isinstance(counts, bytes) else counts
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": 10 * i + 1,
                        "category_id": 5 * of_class + 3,
                        "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                        "area": area,
                        "iscrowd": 0,
                        "segmentation": {"size": [128, 128], "counts": counts},
                    }
                )
        categories = [{"id": 5 * k + 3, "name": name} for k, name in enumerate(made.classes)]
        content = {"images": described, "annotations": annotations, "categories": categories}
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"instances_{name}.json").write_text(json.dumps(content))
    return root


_OBJECT = """  <object><name>{}</name><difficult>{}</difficult>
    <bndbox><xmin>{:.0f}</xmin><ymin>{:.0f}</ymin><xmax>{:.0f}</xmax><ymax>{:.0f}</ymax></bndbox></object>
"""


def write_voc(root, train=12, test=4):
    """A folder with JPEGImages, Annotations and ImageSets; corners count pixels from 1, and belong to the box."""
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for split, name, count in (("train", "trainval", train), ("test", "test", test)):
        made, images = open_made(split, count), make_scenes(split, count).images
        stems = [f"{name}_{i:03}" for i in range(count)]
        (root / "ImageSets" / "Main" / f"{name}.txt").write_text("".join(f"{stem}\n" for stem in stems))
        for stem, objects, image in zip(stems, made.objects, images, strict=True):
            Image.fromarray(image).save(root / "JPEGImages" / f"{stem}.jpg", quality=95)
            text = "".join(
                _OBJECT.format(made.classes[k], int(i == 3), x1 + 1, y1 + 1, x2, y2)
                for i, ((x1, y1, x2, y2), k) in enumerate(zip(objects.boxes, objects.classes, strict=True))
            )
            size = "<size><width>128</width><height>128</height><depth>3</depth></size>"
            xml = f"<annotation>\n  <filename>{stem}.jpg</filename>{size}\n{text}</annotation>\n"
            (root / "Annotations" / f"{stem}.xml").write_text(xml)
    return root

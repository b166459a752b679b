"""Annotations in the layout of VOC."""

import pathlib
import random

from tests.data.objects.test_voc import thing, write
from tests.fuzz.mutations import HOSTILE, NUMBERS, mutate_bytes
from tests.fuzz.target import Target
from tests.fuzz.targets.coco import check_objects

_LAUGHS = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
# What parsers of XML have been attacked with.
_ATTACKS = (
    f'<!DOCTYPE x [<!ENTITY a0 "ha">{_LAUGHS}]><annotation>&a11;</annotation>',
    '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><annotation><object><name>&e;</name></object></annotation>',
    '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><annotation/>',
    '<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd">%p;]><annotation/>',
    '<annotation xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="/etc/passwd" parse="text"/></annotation>',
    "<a>" * 200_000,
    "<annotation>" + "<object>" * 50_000 + "</object>" * 50_000 + "</annotation>",
    "<annotation " + "".join(f'a{i}="{i}" ' for i in range(20_000)) + "/>",
    '<?xml version="1.0" encoding="utf-7"?><annotation/>',
    '<?xml version="1.0" encoding="cp037"?><annotation/>',
    '<?xml version="1.0" encoding="idna"?><annotation/>',
    '<?xml version="1.0" encoding="zlib"?><annotation/>',
    "<annotation>" + "<object/>" * 300_000 + "</annotation>",
)


class Voc(Target):
    """Reads XML files, the list of a split, and the images that they name."""

    name = "voc"

    def load(self, folder: pathlib.Path) -> None:
        from simsiam_tf.config.detection_data import DetectionDataConfig
        from simsiam_tf.data.objects import opening

        self._opening, self._config = opening, DetectionDataConfig

    def write(self, folder: pathlib.Path, chance: random.Random) -> str:
        things = [thing("dog", 1, 1, 60, 40), thing("cat", 11.5, 2, 20, 30, difficult=1)]
        write(folder, "trainval", {"1": things, "2": [], "3": [thing("dog", 3, 4, 50, 6)]})
        file = folder / chance.choice(["Annotations/1.xml"] * 8 + ["ImageSets/Main/trainval.txt"])
        text = file.read_text()
        kind = chance.choice(["whole", "bytes", "bytes", "value", "value", "value", "part", "attack", "list"])
        if kind == "whole":
            return kind
        if kind == "list":
            file = folder / "ImageSets/Main/trainval.txt"
            text = "\n".join([*chance.sample(HOSTILE, 3), "1"])
            file.write_bytes(text.encode("utf-8", "surrogatepass"))
            return f"list {text[:100]!r}"
        if kind == "attack":
            number = chance.randrange(len(_ATTACKS))
            file.write_text(_ATTACKS[number])
            return f"attack {number} in {file.name}"
        if kind == "bytes":
            changed, done = mutate_bytes(text.encode(), chance)
            file.write_bytes(changed)
            return f"{file.name}: {done}"
        parts = text.replace(">", ">\0").replace("<", "\0<").split("\0")
        places = [i for i, part in enumerate(parts) if part and part.startswith("<") == (kind == "part")]
        at = chance.choice(places or [0])
        values = [*HOSTILE, *map(str, NUMBERS), "inf", "-inf", "nan", "1e300", "", " 5 ", "٣", "1_0", "Infinity"]
        parts[at] = chance.choice(
            values if kind == "value" else [*parts, "<object>", "</x>", "<!-- x -->", "<![CDATA[x]]>"]
        )
        file.write_bytes("".join(parts).encode("utf-8", "surrogatepass"))
        return f"{file.name}: {kind} {parts[at][:60]!r} for {at}"

    def read(self, folder: pathlib.Path) -> str:
        config = self._config(dataset="voc", data_dir=str(folder), train_split="trainval", max_bad_fraction=0.7)
        annotated = self._opening.open_annotated(config, "train")
        check_objects(annotated, folder)
        return "read, some left out" if annotated.broken else "read"

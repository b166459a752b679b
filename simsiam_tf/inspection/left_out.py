"""Lists every file below a folder that a run does not use, with the reason."""

from simsiam_tf.data.folder import BESIDE_SPLITS, ImageFolder
from simsiam_tf.inspection.splits import Split

HIDDEN_FILE = "hidden file"


def all_left_out(folder: ImageFolder, splits: list[Split]) -> dict[str, list[str]]:
    """Returns the names of the files and folders that are in no split, by the reason.

    A folder that is left out stands for everything below it.

    Args:
        folder: the folder of images.
        splits: the splits that a run uses.
    """
    left_out = {kind: list(names) for kind, names in folder.left_out.items()}
    for split in (folder.training, folder.labelled, folder.evaluation):
        for kind, names in split.left_out.items() if split is not None else ():
            left_out[kind] = sorted({*left_out.get(kind, ()), *names})
    known = {name for names in left_out.values() for name in names}
    for part in splits:
        known.update(part.names or ())
    roots = folder.training.files.roots
    for root, layout in zip(roots, folder.layouts, strict=True):
        for top, images in (*layout.splits.items(), ("", layout.rest)):
            shown = [folder.shown(root, layout.names[i]) for i in images]
            unused = [name for name in shown if name not in known]
            if unused:
                reason = f"image of the split {top}, which is not used" if top else BESIDE_SPLITS
                left_out.setdefault(reason, []).extend(unused)
    if folder.hidden:
        left_out[HIDDEN_FILE] = sorted(folder.hidden)
    return left_out

"""Makes the folder of a run from a file of weights: `python -m simsiam_tf.cli.convert --from=FILE --to=W`.

FILE is what --init_weights of train.py takes: a file .keras, .safetensors, .pth or .pth.tar, with the names of
torchvision, timm, the authors' SimSiam, MoCo, solo-learn, lightly or mmselfsup. PyTorch is not needed, and nothing that
the file holds is run. Afterwards `evaluate.py --workdir=W` judges the weights, and `simsiam_tf.load("W")` opens them.
"""

from simsiam_tf.cli.entry_point import run
from simsiam_tf.cli.flags import conversion_config, define_conversion_flags
from simsiam_tf.cli.quiet import loading_tensorflow
from simsiam_tf.errors import check


def main() -> None:
    """Runs the command."""
    run(define_conversion_flags, convert_weights, __doc__)


def convert_weights() -> None:
    """Makes the folder that the flags ask for."""
    source, to, arch, data = conversion_config()
    check(bool(source), "--from must name a file of weights.", "none")
    check(bool(to), "--to must name the folder to make.", "none")
    with loading_tensorflow():
        from simsiam_tf.training.conversion import convert
    convert(source, to, arch, data)


if __name__ == "__main__":
    main()

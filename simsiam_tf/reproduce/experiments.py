"""Lists the paper's experiments: for each row its recipe in flags/recipes/paper, the paper's number and a claim."""

from typing import Any, NamedTuple


class Row(NamedTuple):
    """Holds one row of a table.

    Attributes:
        recipe: the stem of the row's flagfile in flags/recipes/paper.
        label: the name of the row on the page.
        claim: the claim that the row's runs are expected to show: a key of `verdicts.CLAIMS`, or `reference`.
        paper: the paper's linear top-1 accuracy, percent; `None` if the paper gives none.
        original: the stem of a flagfile in flags/recipes/authors, which is added on ImageNet; empty for none.
        against: the recipe of the row that this one is compared with; if empty, the experiment's reference.
    """

    recipe: str
    label: str
    claim: str
    paper: float | None
    original: str = ""
    against: str = ""


class Experiment(NamedTuple):
    """Holds one experiment of the paper: a table, a figure or a section.

    Attributes:
        title: the title, with the section of the paper.
        reference: the recipe of the row that other rows are compared with, unless they name another.
        rows: the rows, in the paper's order.
        not_at: the size at which the paper does not have this experiment; empty for none.
    """

    title: str
    reference: str
    rows: tuple[Row, ...]
    not_at: str = ""


_BASELINE = Row("baseline", "baseline (predictor's rate decays)", "reference", 67.7)
_CONSTANT = Row("table1c_predictor_constant_lr", "SimSiam (predictor's rate constant)", "reference", 68.1)
_NO_STOP = "fig2_no_stop_gradient"
_IDENTITY = "table1a_predictor_identity"

# The methods of Table 4 besides SimSiam. Each has a name and, for 100, 200, 400 and 800 epochs, its flagfile in
# flags/recipes/authors and the paper's linear top-1 accuracy in percent.
_TABLE4 = {
    "simclr": ("SimCLR", ("simclr",) * 4, (66.5, 68.3, 69.8, 70.4)),
    "mocov2": ("MoCo v2", ("mocov2",) * 4, (67.4, 69.9, 71.0, 72.2)),
    "byol": ("BYOL", ("byol_100_epochs", "byol", "byol", "byol_800_epochs"), (66.5, 70.6, 73.2, 74.3)),
    "swav": ("SwAV", ("swav",) * 4, (66.5, 69.1, 70.7, 71.8)),
}


def _of_table4(method: str, index: int = 0, **changes: Any) -> Row:
    """Makes a method's row of Table 4. Index 0 stands for 100 epochs, 3 for 800."""
    name, originals, paper = _TABLE4[method]
    epochs = (100, 200, 400, 800)[index]
    row = Row(f"table4_{method}_epochs_{epochs}", f"{name}, {epochs} epochs x size", "learns", paper[index])
    return row._replace(original=originals[index], **changes)


_SIMCLR, _SWAV, _BYOL = (_of_table4(m, label=_TABLE4[m][0]) for m in ("simclr", "swav", "byol"))
_OF_SIMCLR = {"original": "simclr", "against": _SIMCLR.recipe}
_OF_SWAV = {"original": "swav", "against": _SWAV.recipe}

EXPERIMENTS = {
    "fig2": Experiment(
        "Stop-gradient (Sec. 4.1, Fig. 2)",
        "baseline",
        (
            _BASELINE._replace(label="with stop-gradient"),
            Row(_NO_STOP, "without", "collapses", 0.1),
            Row(f"{_NO_STOP}_bn_paper", "without, BN with offset on z", "collapses_to_a_point", 0.1),
        ),
    ),
    "table1": Experiment(
        "Predictor (Sec. 4.2, Table 1)",
        "baseline",
        (
            _BASELINE,
            Row(_IDENTITY, "(a) no predictor", "collapses", 0.1),
            Row(f"{_IDENTITY}_bn_paper", "(a) no predictor, BN with offset on z", "collapses_to_a_point", 0.1),
            Row("table1b_predictor_fixed", "(b) fixed random predictor", "does_not_learn", 1.5),
            _CONSTANT._replace(label="(c) predictor's rate constant", claim="as_good"),
        ),
    ),
    "table2": Experiment(
        "Batch size (Sec. 4.3, Table 2)",
        "table2_batch_512",
        tuple(
            Row(f"table2_batch_{batch}", f"batch {batch} x size", "learns" if batch != 512 else "reference", paper)
            for batch, paper in zip(
                (64, 128, 256, 512, 1024, 2048, 4096), (66.1, 67.3, 68.1, 68.1, 68.0, 67.9, 64.0), strict=True
            )
        ),
    ),
    "table3": Experiment(
        "Batch norm in the heads (Sec. 4.4, Table 3)",
        "table3c_bn_paper",
        (
            Row("table3a_bn_none", "(a) none", "learns_less", 34.6),
            Row("table3b_bn_hidden", "(b) hidden layers", "learns", 67.4),
            Row("table3c_bn_paper", "(c) and the projector's output", "reference", 68.1),
            Row("table3c_bn_release", "(c) without scale and offset there", "as_good", 68.2),
            Row("table3d_bn_all", "(d) and the predictor's output", "unstable", None),
        ),
    ),
    "sec45": Experiment(
        "Similarity (Sec. 4.5)",
        "table1c_predictor_constant_lr",
        (_CONSTANT._replace(label="cosine"), Row("sec45_cross_entropy", "cross-entropy", "learns", 63.2)),
    ),
    "sec46": Experiment(
        "Symmetry (Sec. 4.6)",
        "table1c_predictor_constant_lr",
        (
            _CONSTANT._replace(label="symmetric"),
            Row("sec46_asymmetric", "asymmetric", "learns", 64.8),
            Row("sec46_asymmetric_2x", "asymmetric, two pairs", "learns", 67.3),
        ),
    ),
    "appb": Experiment(
        "Output dimension (App. B)",
        "appb_dim_2048",
        tuple(
            Row(f"appb_dim_{d}", f"d = {d} x size", "learns" if d != 2048 else "reference", paper)
            for d, paper in zip((256, 512, 1024, 2048), (65.3, 67.2, 67.5, 68.1), strict=True)
        ),
    ),
    "sec52": Experiment(
        "Alternation and expectation (Sec. 5.2)",
        "table1c_predictor_constant_lr",
        (
            _CONSTANT._replace(label="alternation every step (SimSiam)"),
            Row("sec52_alternation_10", "every 10 steps", "not_worse", 68.7),
            Row("sec52_alternation_100", "every 100 steps", "not_worse", 68.9),
            Row("sec52_alternation_epoch", "every epoch", "learns", 67.0),
            Row("sec52_eta_plain", "no predictor, no moving average", "collapses", None),
            Row("sec52_eta_momentum", "no predictor, moving average", "learns", 55.0),
        ),
    ),
    "table4": Experiment(
        "Methods (Sec. 6.1, Table 4)",
        "table4_epochs_100",
        (
            *(
                Row(f"table4_epochs_{n}", f"SimSiam, {n} epochs x size", "learns" if n > 100 else "reference", paper)
                for n, paper in zip((100, 200, 400, 800), (68.1, 70.0, 70.8, 71.3), strict=True)
            ),
            *(_of_table4(method, i) for method in _TABLE4 for i in range(4)),
        ),
    ),
    "sec62": Experiment(
        "What the methods share (Sec. 6.2)",
        _CONSTANT.recipe,
        (
            _CONSTANT._replace(label="SimSiam"),
            _SIMCLR,
            Row("sec62_simclr_predictor", "SimCLR, predictor", "no_better", 66.4, **_OF_SIMCLR),
            Row("sec62_simclr_predictor_stop_gradient", "and stop-gradient", "no_better", 66.0, **_OF_SIMCLR),
            _SWAV,
            Row("sec62_swav_predictor", "SwAV, predictor", "no_better", 65.2, **_OF_SWAV),
            Row("sec62_swav_no_stop_gradient", "SwAV, without stop-gradient", "unstable_or_worse", None, **_OF_SWAV),
            _BYOL,
            Row(
                "sec62_byol_no_momentum",
                "BYOL without momentum encoder, predictor's rate x10",
                "learns",
                None,
                "byol_100_epochs",
                _BYOL.recipe,
            ),
        ),
    ),
    "appd": Experiment(
        "Methods in SimSiam's CIFAR-10 setting (App. D)",
        _CONSTANT.recipe,
        (
            _CONSTANT._replace(label="SimSiam", paper=91.8),
            Row("appd_simclr", "SimCLR, SimSiam's encoder", "learns", 91.1),
            *(_of_table4(m, label=_TABLE4[m][0], paper=None) for m in ("mocov2", "byol", "swav")),
            Row("appd_byol_lower_rate", "BYOL, a quarter of the learning rate", "learns", None),
        ),
        not_at="imagenet",
    ),
}

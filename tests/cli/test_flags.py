"""Every flag line gives settings, or one sentence; TensorFlow has no part in it."""

import os
import random
import sys

import pytest
from absl import flags

from simsiam_tf.cli import flags as module
from simsiam_tf.cli.command_line import parse_flags
from simsiam_tf.config.fields import Integers, Numbers
from simsiam_tf.config.run import Config
from simsiam_tf.errors import UsageError

LINES = 3000
HOSTILE = [
    *("", " ", "0", "-0", "1", "-1", "+1", "2", "3", "0.5", "-0.5", "1e-400", "1e39", "1e308", "1e309", "-1e309"),
    *(
        "nan",
        "NaN",
        "inf",
        "-inf",
        "Infinity",
        "1_0",
        "1__0",
        "0x10",
        "0o7",
        "0b1",
        "1.5.2",
        "1e",
        "e5",
        ".",
        ",",
        ",,",
    ),
    *("2147483647", "2147483648", "4294967296", "9223372036854775807", "9223372036854775808", "1" + "0" * 20),
    *(
        "1" * 5000,
        "1,2",
        "1,2,3",
        "nan,1",
        "1,inf",
        "1e308,1e308",
        "٣",
        "\uff11\uff10",
        "½",
        "²",
        "\u22121",
        "1 0",
        "1\n",
        "\t1",
    ),
    *("true", "false", "True", "yes", "None", "null", "[]", "{}", "auto", "none", "simsiam", "simsiam ", "SIMSIAM"),
    *("a" * 300, "データ", "caf\udce9", "\x00", "\x1b[31m", "%s", "{0}", "'", '"', "\\", "..", "/", "~", "--", "-"),
]
PLAUSIBLE = {int: ["1", "2", "64"], float: ["0.5", "1"], str: ["x"], bool: ["true"], Integers: ["1,5"], Numbers: ["1"]}


@pytest.fixture
def parsed(monkeypatch):
    """Returns a function that parses a flag line of train.py or evaluate.py, as a new process does."""

    def parse(command, arguments):
        monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())
        define, result = {
            "train": (module.define_training_flags, module.training_config),
            "evaluate": (module.define_evaluation_flags, module.evaluation_config),
            "reproduce": (module.define_reproduce_flags, lambda: module.training_config_of(arguments)),
        }[command]
        define()
        flags.FLAGS.set_gnu_getopt(True)
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        parse_flags(["command", *arguments])
        return result()

    return parse


def refusal(parse, *arguments, command="train"):
    with pytest.raises((UsageError, flags.Error)) as refused:
        parse(command, ["--workdir=w", *arguments])
    return " ".join(str(refused.value).split())


def lines(settings):
    """Makes flag lines with hostile values, some beside plausible ones."""
    chance = random.Random(0)
    for _ in range(LINES):
        line = ["--workdir=w"] if chance.random() < 0.9 else []
        for setting in chance.sample(settings, chance.choice([1, 1, 2, 5])):
            few = [*setting.choices, *PLAUSIBLE.get(setting.type, ["1"])]
            value = chance.choice(HOSTILE if chance.random() < 0.8 else few)
            form = chance.choice(["--{}={}", "--{}={}", "--{}={}", "-{}={}", "--no{}={}", "--no{}", "--{}", "{}={}"])
            line.append(form.format(setting.name, value))
            if chance.random() < 0.05:
                line.append(value)
        yield line


def test_a_hostile_flag_line_is_a_configuration_or_one_sentence(monkeypatch):
    monkeypatch.setattr("absl.flags._helpers.get_flag_suggestions", lambda name, names: [])  # slow
    values = flags.FlagValues()
    settings = module._training_settings()
    before, flags.FLAGS = flags.FLAGS, values
    try:
        module.define_training_flags()
        accepted = 0
        for line in lines(settings):
            try:
                assert isinstance(module.training_config_of(line), Config)
                accepted += 1
            except UsageError as error:
                assert str(error).strip(), line
                assert len(str(error)) < 12_000, line
    finally:
        flags.FLAGS = before
    assert LINES // 50 < accepted < LINES // 2


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--epochs_scale=1e308", "--epochs_scale must be at most 3.4028234e+38"),
        ("--epochs_scale=3e38", "--epochs must be below 2**63"),
        ("--batch_scale=inf", "--batch_scale must be a finite number. Received: inf."),
        ("--width=inf", "--width must be a finite number. Received: inf."),
        ("--width=1e39", "--width must be at most 3.4028234e+38, the largest number of float32. Received: 1e+39."),
        ("--projector_layers=100000000000000000000", "--projector_layers must be below 2**63."),
        ("--cpu_devices=100000000000000000000", "--cpu_devices must be below 2**63."),
        ("--cpu_devices=1000000000", "--cpu_devices must not exceed --global_batch_size"),
        ("--crop_max_aspect=inf", "--crop_max_aspect must be a finite number. Received: inf."),
        ("--blur_max_sigma=nan,1", "--blur_max_sigma must be a finite number. Received: nan."),
        (f"--{'a' * 5000}=1", "There is no flag of such a long name; --help lists the flags."),
        ("--noresume=1", "--noresume=1 does not take an argument."),
        ("--epochs=1_0", "flag --epochs=1_0: it must be a whole number."),
        ("--epochs=\uff11\uff10", "it must be a whole number."),
        ("--epochs=", "it must be a whole number."),
        ("--width=", "it must be a number."),
        ("--width=1_0.5", "it must be a number."),
        ("--blur_p=1_0", "it must be a number, or two with a comma between them"),
        ("--flagfile=/nowhere.flags", "--flagfile must be a file that can be read (No such file or directory)."),
        ("--flagfile=/", "--flagfile must be a file that can be read (Is a directory). Received: /."),
    ],
)
def test_what_no_run_can_have_is_one_sentence(parsed, flag, words):
    assert words in refusal(parsed, flag)


def test_the_seed_of_labels_must_fit_its_generator(parsed):
    message = refusal(parsed, "--label_seed=99999999999", command="evaluate")
    assert message == "--label_seed must be below 2**31. Received: 99999999999."


@pytest.mark.parametrize("content", [b"\xff\xfe--epochs=5", b"\x89PNG\r\n\x1a\n\x00\x00"])
def test_a_flagfile_that_is_no_text_is_refused(parsed, tmp_path, content):
    file = tmp_path / "picture.flags"
    file.write_bytes(content)
    assert refusal(parsed, f"--flagfile={file}").startswith("--flagfile must be a text file with a flag in each line.")


def test_a_flagfile_that_includes_itself_is_refused(parsed, tmp_path):
    first, second = tmp_path / "a.flags", tmp_path / "b.flags"
    first.write_text(f"# a comment\n--flagfile={second}\n")
    second.write_text(f"--epochs=3\n  --flagfile={first}\n".replace("  --", "--"))
    message = refusal(parsed, f"--flagfile={first}")
    assert message == f"A flagfile must not include itself. Received: {first} includes {second} includes {first}."


def test_flagfiles_that_include_each_other_twice_are_not_read_a_billion_times(parsed, tmp_path):
    for number in range(30):
        (tmp_path / f"{number}.flags").write_text(f"--flagfile={tmp_path}/{number + 1}.flags\n" * 2)
    (tmp_path / "30.flags").write_text("--epochs=3\n")
    message = refusal(parsed, f"--flagfile={tmp_path}/0.flags")
    assert message.startswith("A command line may include flagfiles 100 times at most.")


def test_flagfiles_are_files_of_a_size_that_flags_can_have(parsed, tmp_path):
    (tmp_path / "long.flags").write_text("#" * 2**21)
    (tmp_path / "device.flags").write_text("--flagfile=/dev/zero\n")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "with_pipe.flags").write_text(f"--flagfile={tmp_path}/pipe\n")
    for name in ("long", "device", "with_pipe"):
        message = refusal(parsed, f"--flagfile={tmp_path}/{name}.flags")
        assert message.startswith("--flagfile must be a file that can be read"), message
    assert refusal(parsed, "--flagfile=/dev/zero").startswith("--flagfile must be a file that can be read")


def test_a_flagfile_may_be_included_twice_and_lie_beside_others(parsed, tmp_path):
    first, second = tmp_path / "a.flags", tmp_path / "b.flags"
    first.write_text("--epochs=3\n")
    second.write_text(f"--flagfile={first}\n--flagfile={first}\n--width=0.5\n")
    config = parsed("train", ["--workdir=w", "--flagfile", str(second)])
    assert (config.run.epochs, config.model.width, config.recipe) == (3, 0.5, "b")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jit=maybe"], "flag --jit=maybe: it must be one of auto, on, off."),
        (["--stop_gradient=maybe"], "flag --stop_gradient=maybe: it must be true or false."),
        (["--flagfile"], "--flagfile must have the path of a file after it. Received: nothing."),
        (["--epochs"], "Missing value for flag --epochs."),
        (["--epoch=3"], "Unknown command line flag 'epoch'. Did you mean: epochs, epochs_scale ?"),
    ],
)
def test_a_mistake_that_absl_finds_is_a_sentence_of_ours(parsed, arguments, message):
    with pytest.raises(UsageError) as refused:
        parsed("train", ["--workdir=w", *arguments])
    assert str(refused.value) == message

from simsiam_tf.detection.scores.percent import in_percent


def test_fractions_become_percent_and_what_is_unknown_stays_so():
    result = {"AP": 0.5, "APs": None, "ap_per_class_and_threshold": [[0.25, 1.0], [None, 0.0]]}
    assert in_percent(result) == {"AP": 50.0, "APs": None, "ap_per_class_and_threshold": [[25.0, 100.0], [None, 0.0]]}

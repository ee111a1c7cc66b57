"""What a configuration or a model refuses, in four fields."""

import pickle

from hf_medreport.modeling.config_error import ConfigError


def test_it_says_all_four_and_survives_the_way_back_from_a_process():
    error = pickle.loads(pickle.dumps(ConfigError("HistGenConfig", "top_k=0", "1 or more", "correct it")))
    assert str(error) == "HistGenConfig: found top_k=0; expected 1 or more; correct it"
    assert (error.name, error.found, error.expected, error.remedy) == (
        "HistGenConfig",
        "top_k=0",
        "1 or more",
        "correct it",
    )

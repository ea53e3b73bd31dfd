"""What a model says of itself."""

import json
from dataclasses import replace

from hand_made_model import content

from cmb_toolkit.bundle.content import parse


def test_what_is_shown_shrunk_stands_in_a_model_and_one_without_it_is_as_before():
    plain = content()
    assert "shrink_from" not in plain.as_json()["look"]
    assert parse(json.loads(json.dumps(plain.as_json())), "x") == plain
    now = content(look=replace(plain.look, shrink_from=5.0))
    assert parse(json.loads(json.dumps(now.as_json())), "x").look.shrink_from == 5

from cmb_toolkit.machine import in_words, machine_in_words, stopwatch


def test_processor_and_gpus_by_their_models(tmp_path):
    cpu = tmp_path / "cpuinfo"
    cpu.write_text("processor : 0\nmodel name\t: A  Processor (R) @ 2 GHz\nserial : 123\nmodel name : another\n")
    for n in (0, 1):
        (tmp_path / "gpus" / str(n)).mkdir(parents=True)
        (tmp_path / "gpus" / str(n) / "information").write_text("Model: \t NVIDIA X\nGPU UUID: GPU-secret\n")
    words = machine_in_words(cpu, tmp_path / "gpus")
    assert words.startswith("A Processor (R) @ 2 GHz, ")
    assert words.endswith(", 2 x NVIDIA X")
    assert "secret" not in words
    assert "123" not in words


def test_a_machine_that_says_nothing(tmp_path):
    words = machine_in_words(tmp_path / "none", tmp_path / "none")
    assert words.endswith("no GPU")
    assert " core" in words


def test_the_note_of_a_stopwatch():
    note = stopwatch()(7)
    assert note["subjects"] == 7
    assert note["seconds"] >= 0
    assert note["machine"] == machine_in_words()


def test_in_words():
    said = [in_words(s) for s in (0, 119, 120, 7199, 7200, 172800, 8640000, None)]
    assert said == ["0 s", "119 s", "2 min", "120 min", "2.0 h", "2.0 days", "100 days", "an unknown time"]

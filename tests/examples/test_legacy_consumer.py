"""The example of a legacy consumer: all that its events would do otherwise is found, and nothing is done."""


def test_legacy_consumer_finds_what_differs(example, capsys):
    """Of five pairs four are taken differently, each in its own way, and production's index is as it was."""
    module = example("legacy_consumer")
    module.main()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "search: 5 pairs, 1 equal, 4 different, 0 ignored, 0 unproved"
    assert [line.split(":")[1].split()[0] for line in printed if line.startswith("  pair")] == [
        "@effects.index[0].args[1].body",
        "@skipped",
        "@raised",
        "@decode",
    ]
    assert printed[-1] == "in the index of production: [9]"

"""Run storms by hand: ``python -m shadowmig.testing.storm --help``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from importlib import import_module
from typing import Any

from shadowmig.errors import ConfigError, ShadowmigError
from shadowmig.testing.storm.defects import Defect, catalogue
from shadowmig.testing.storm.report import as_json, closing, line
from shadowmig.testing.storm.run import storm
from shadowmig.testing.storm.sites import MemorySite, RealSite


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run storms and print what came of them.

    Args:
        arguments: Those of the command line; by default the process's.

    Returns:
        The exit code: 0 if every defect asked for was found and there was no false alarm, 1 if not, 2 if something
        asked for cannot be had.
    """
    options = _parser().parse_args(arguments)
    try:
        for module in options.load:
            import_module(module)
        defects = _chosen(options.defect)
        outcomes = _run(options, defects)
    except (ShadowmigError, ImportError) as error:
        sys.stderr.write(f"storm: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    settings = {name: getattr(options, name) for name in ("writes", "writers", "records", "versions", "stores", "seed")}
    sys.stdout.write((as_json(outcomes, **settings) if options.json else "\n" + closing(outcomes)) + "\n")
    return 0 if all(outcome.as_it_must_be for outcome in outcomes) else 1


def _run(options: argparse.Namespace, defects: Sequence[Defect | None]) -> list[Any]:
    outcomes = []
    with RealSite() if options.stores == "real" else nullcontext(MemorySite()) as site:
        for defect in defects:
            outcome = storm(
                site,
                writes=options.writes,
                writers=options.writers,
                records=options.records,
                defect=defect,
                versions=options.versions,
                seed=options.seed,
                plain=options.plain,
                progress=_progress(options.writes) if sys.stderr.isatty() else lambda done: None,
            )
            outcomes.append(outcome)
            if not options.json:
                sys.stdout.write(line(outcome) + "\n")
                sys.stdout.flush()
    return outcomes


def _progress(writes: int) -> Any:
    def show(done: int) -> None:
        sys.stderr.write(f"\r{done:,} of {writes:,} writes\r" if done < writes else f"\r{' ' * 40}\r")

    return show


def _chosen(names: Sequence[str]) -> list[Defect | None]:
    known = catalogue()
    chosen: list[Defect | None] = []
    for name in names or ["all"]:
        if name == "all":
            chosen += [None, *known.values()]
        elif name == "none":
            chosen.append(None)
        elif name in known:
            chosen.append(known[name])
        else:
            raise ConfigError(
                f"There is no defect {name!r}.", remedy=f"Use all, none, or one of: {', '.join(known)}.", field="defect"
            )
    return chosen


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m shadowmig.testing.storm",
        description="Writers on few hot records through three stores: are planted defects found, and nothing else?",
    )
    add = parser.add_argument
    add("--writes", type=int, default=2000, metavar="N", help="sampled writes of each storm (default: 2000)")
    add("--writers", type=int, default=8, metavar="N", help="threads that write (default: 8)")
    add("--records", type=int, default=10, metavar="N", help="comments written to at a time (default: 10)")
    add(
        "--defect",
        action="append",
        default=[],
        metavar="NAME",
        help="a planted defect, none, or all: a storm with none, then one for each (default: all); may be repeated",
    )
    add("--versions", choices=("column", "native", "none"), default="column", help="what races are told by")
    add("--seed", type=int, default=0, metavar="N", help="seed of what is written (default: 0)")
    add("--stores", choices=("real", "memory"), default="real", help="real servers (default), or memory")
    add("--plain", action="store_true", help="also count the mismatches of a plain comparison, without versions")
    add("--load", action="append", default=[], metavar="MODULE", help="a module that registers defects of yours")
    add("--json", action="store_true", help="print JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Prints what `make bench` measured as a table: the median of each workload, and the lowest and highest beside it; of
latencies of W9 the median of all, and their 99th percentile.

    bench/summary.py bench/results/sqlite.jsonl bench/results/postgres.jsonl
"""

import json
import sys
from pathlib import Path
from statistics import median


def load(path):
    """The figures of one file: for each workload its unit and its values, in the order in which they came."""
    figures = {}
    for line in Path(path).read_text().splitlines():
        figure = json.loads(line)
        figures.setdefault(figure["workload"], (figure["unit"], []))[1].append(figure)
    return figures


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def cell(figures):
    values = [figure["value"] for figure in figures]
    halves = [figure["settings"].get("p50_ms") for figure in figures]
    if None not in halves:
        # A latency: what half of the calls took at most, and what 99 of a hundred did.
        return f"{number(median(halves))} / **{number(median(values))}**"
    return f"**{number(median(values))}** ({number(min(values))}–{number(max(values))})"


def machine(figures):
    """What the machine was like meanwhile: the medians of both calibrations."""
    lines = [figure for _, values in figures.values() for figure in values]
    chain, sync = (median(line[name] for line in lines) for name in ("calib_ms", "fsync_us"))
    return f"{chain:.0f} ms, {sync:.0f} µs"


def main(paths):
    stores = [load(path) for path in paths]
    print("| workload | unit | " + " | ".join(Path(path).stem for path in paths) + " |")
    print("|---" * (len(paths) + 2) + "|")
    for workload, (unit, _) in stores[0].items():
        cells = [cell(store[workload][1]) if workload in store else "" for store in stores]
        print(f"| {workload} | {unit} | " + " | ".join(cells) + " |")
    print("| a million SHA-256; append and sync of 4 KiB | | " + " | ".join(map(machine, stores)) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])

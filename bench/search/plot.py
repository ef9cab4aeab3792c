"""Plots of a run of bench_search, next to its JSON: recall against queries per second, and latency while writing.

    plot.py build/bench/search.json
"""

import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402


def read(path):
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def frontier(points):
    """Of all settings that were tried, those that no other beats in both recall and speed; by recall."""
    best = []
    for point in sorted(points, key=lambda p: (-p["recall"], -p["qps"])):
        if not best or point["qps"] > best[-1]["qps"]:
            best.append(point)
    return best[::-1]


def plot_recall(dataset, mode, points, sweep, out):
    ks = sorted({p["k"] for p in points})
    figure, axes = pyplot.subplots(1, len(ks), figsize=(6.5 * len(ks), 5), squeeze=False)
    systems = sorted({p["system"] for p in sweep})
    for axis, k in zip(axes[0], ks):
        for number, system in enumerate(systems):
            tried = [p for p in sweep if p["system"] == system and p["k"] == k]
            if tried:
                colour = f"C{(number + 1) % 10}"
                axis.scatter([p["recall"] for p in tried], [p["qps"] for p in tried], s=6, color=colour, alpha=0.35)
                line = frontier(tried)
                axis.plot([p["recall"] for p in line], [p["qps"] for p in line], color=colour, label=system, marker=".")
        ours = sorted((p["recall"], p["qps"]) for p in points if p["k"] == k and p["system"].startswith("mneme"))
        axis.plot(*zip(*ours), color="black", label="mneme", marker="o", linewidth=2)
        axis.set(title=f"k = {k}", xlabel=f"recall@{k}", ylabel="queries per second", yscale="log")
        axis.grid(True, which="both", alpha=0.25)
    axes[0][-1].legend(fontsize=7)
    figure.suptitle(f"{dataset}, {mode}, {points[0]['threads']} thread(s)")
    figure.tight_layout()
    figure.savefig(out.with_name(f"{out.stem}-{dataset}-{mode}.png"), dpi=120)
    pyplot.close(figure)


def plot_writes(run, out):
    figure, axis = pyplot.subplots(figsize=(10, 4.5))
    at = [slice_["at_s"] for slice_ in run["series"]]
    for key, label in (("p99_us", "p99"), ("p50_us", "p50")):
        axis.plot(at, [slice_[key] for slice_ in run["series"]], label=f"{label} of 100 ms", linewidth=1)
    writing = [slice_["at_s"] for slice_ in run["series"] if slice_["phase"] == "writing"]
    if writing:
        axis.axvspan(min(writing), max(writing), color="grey", alpha=0.15, label=f"{run['puts_per_second']:.0f} puts/s")
    axis.set(title=f"{run['dataset']}: search at 0.95, k = {run['k']}", xlabel="seconds", ylabel="latency, µs", yscale="log")
    axis.grid(True, which="both", alpha=0.25)
    axis.legend()
    figure.tight_layout()
    figure.savefig(out.with_name(f"{out.stem}-{run['dataset']}-writes-k{run['k']}.png"), dpi=120)
    pyplot.close(figure)


def main():
    out = pathlib.Path(sys.argv[1])
    points = [p for p in read(out) if not p["filter"]]
    sweep = read(out.with_name(out.stem + "-sweep.json")) or []
    for dataset, mode in sorted({(p["dataset"], p["mode"]) for p in points}):
        chosen = [p for p in points if (p["dataset"], p["mode"]) == (dataset, mode)]
        plot_recall(dataset, mode, chosen, [p for p in sweep if (p["dataset"], p["mode"]) == (dataset, mode)], out)
    for run in read(out.with_name(out.stem + "-writes.json")) or []:
        plot_writes(run, out)


if __name__ == "__main__":
    main()

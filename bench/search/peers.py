"""One peer from PyPI, held in memory and asked by lines of JSON on standard input, one answer a line.

    peers.py NAME ROWS.npy QUERIES.npy TRUTH.npy TRUTH_QUERIES

    {"do": "build", "threads": 2}                             {"seconds": …, "bytes": …}
    {"do": "recall", "setting": {…}, "k": 10, "threads": 2}   {"recall": …}
    {"do": "single" | "batch", …, "seconds": 1, "queries": 2000}
                                                              {"qps": …, "p50_us": …, "p99_us": …, "cores": …}

Single calls the library one query at a time; batch hands it the first so many queries in one call.
"""

import importlib
import json
import os
import sys
import time

import numpy


class Hnswlib:
    def __init__(self, hnswlib, rows, threads):
        self.index = hnswlib.Index(space="ip", dim=rows.shape[1])
        self.index.init_index(max_elements=len(rows), M=16, ef_construction=200)
        self.index.add_items(rows, num_threads=threads)

    def configure(self, setting, threads):
        self.index.set_ef(int(setting["effort"]))
        self.index.set_num_threads(threads)
        self.threads = threads

    def search(self, queries, k):
        return self.index.knn_query(queries, k=k, num_threads=self.threads)[0]


class Faiss:
    def __init__(self, faiss, rows, threads, factory):
        self.faiss = faiss
        faiss.omp_set_num_threads(threads)
        self.index = faiss.index_factory(rows.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
        if factory.startswith("HNSW"):
            self.index.hnsw.efConstruction = 200
        self.index.train(rows)
        self.index.add(rows)

    def configure(self, setting, threads):
        self.faiss.omp_set_num_threads(threads)
        if "effort" in setting:
            self.index.hnsw.efSearch = int(setting["effort"])
        if "nprobe" in setting:
            self.index.k_factor = setting["k_factor"]
            self.faiss.extract_index_ivf(self.index.base_index).nprobe = int(setting["nprobe"])

    def search(self, queries, k):
        return self.index.search(queries, k)[1]


class Usearch:
    def __init__(self, usearch_index, rows, threads):
        self.index = usearch_index.Index(ndim=rows.shape[1], metric="ip", dtype="bf16", connectivity=16, expansion_add=200)
        self.index.add(numpy.arange(len(rows)), rows, threads=threads)

    def configure(self, setting, threads):
        self.index.expansion_search = int(setting["effort"])
        self.threads = threads

    def search(self, queries, k):
        if len(queries) == 1:
            return self.index.search(queries[0], k, threads=1).keys.reshape(1, -1)
        return self.index.search(queries, k, threads=self.threads).keys


def maker(name):
    """What builds the peer from rows and a number of threads; its library is loaded by then."""
    library, _, variant = name.partition(" ")
    if library == "hnswlib-pypi":
        return lambda rows, threads, module=importlib.import_module("hnswlib"): Hnswlib(module, rows, threads)
    if library == "faiss-pypi":
        return lambda rows, threads, module=importlib.import_module("faiss"): Faiss(module, rows, threads, variant)
    if library == "usearch-pypi":
        return lambda rows, threads, module=importlib.import_module("usearch.index"): Usearch(module, rows, threads)
    raise ValueError(f"no peer named {name}")


def own_bytes():
    """Anonymous memory of this process: mapped files left out."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon:"))


def recall(found, truth, k):
    depth = min(k, truth.shape[1])
    hits = sum(len(numpy.intersect1d(a[:depth], b[:depth])) for a, b in zip(found, truth))
    return hits / (len(found) * depth)


def timed(call, per_call, calls_min, seconds):
    latencies = []
    processor = time.process_time()
    begin = now = time.perf_counter()
    while len(latencies) < calls_min or now - begin < seconds:
        start = now
        call(len(latencies))
        now = time.perf_counter()
        latencies.append(now - start)
    p50, p99 = numpy.percentile(latencies, [50, 99]) * 1e6
    return {
        "qps": len(latencies) * per_call / (now - begin),
        "p50_us": float(p50),
        "p99_us": float(p99),
        "cores": (time.process_time() - processor) / (now - begin),
    }


def main():
    name, rows_path, queries_path, truth_path, truth_queries = sys.argv[1:]
    # Answers go where standard output was; what libraries print goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    rows = numpy.load(rows_path, mmap_mode="r")
    queries = numpy.ascontiguousarray(numpy.load(queries_path))
    truth = numpy.load(truth_path, mmap_mode="r")[: int(truth_queries)]
    singles = [queries[i : i + 1] for i in range(len(truth))]
    make = maker(name)
    peer = None
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] == "build":
            bytes_before, begin = own_bytes(), time.perf_counter()
            peer = make(rows, asked["threads"])
            answer = {"seconds": time.perf_counter() - begin, "bytes": own_bytes() - bytes_before}
        else:
            k = asked["k"]
            peer.configure(asked["setting"], asked["threads"])
            if asked["do"] == "recall":
                answer = {"recall": recall(peer.search(queries[: len(truth)], k), truth, k)}
            elif asked["do"] == "single":
                for query in singles[-50:]:
                    peer.search(query, k)
                answer = timed(lambda i: peer.search(singles[i % len(singles)], k), 1, 20, asked["seconds"])
            else:
                batch = queries[: asked["queries"]]
                answer = timed(lambda i: peer.search(batch, k), len(batch), 1, asked["seconds"])
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

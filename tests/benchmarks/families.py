"""What each family of recommenders reaches, read from the stored records; one can be made again.

    python tests/benchmarks/families.py [--json] [--rerun NAME] [--home FOLDER]

The records stand in `assets/records/`: a study as `runs export` writes it, without the values of
single people, the trials of a search as `tune --json` prints them, a ladder as `ladder --json` prints
it, or what a program prints.
Nothing is computed unless `--rerun` names a record: then its study or search is run in the home
(hours for some), which has to hold its data sets, or its program, and its file is written anew.
What nobody has measured says so, and why.

The last line of the output is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np

from llmrec_core.files import write_json
from llmrec_core.installation import ASSETS
from llmrec_core.metrics.intervals import paired_difference

RECORDS, STUDIES = ASSETS / "records", ASSETS / "studies"
SEARCHES = {"beauty-sasrec-search": 60}
"""Records of searches → their budget in minutes of training."""
STUDY_RECORDS = (
    "beauty-sasrec",
    "beauty-sasrec-shuffled",
    "beauty-towers",
    "beauty-codes",
    "beauty-tiger",
    "gate",
    "listwise",
    "distilled",
    "knowledge",
    "knowledge-as-published",
)
SHUFFLED = ", equal days shuffled"
DIFFERENCES = {
    "beauty-towers": {
        "shelf": ("Words and two towers, shelf", "Words, shelf", "loo-cold-items/shelf"),
        "all_items": (
            "Words and two towers, all items",
            "Words, all items",
            "loo-cold-items/full",
        ),
        "shelf, of fine-tuning": (
            "Words and two towers, shelf",
            "Words and MiniLM as it comes, shelf",
            "loo-cold-items/shelf",
        ),
        "all_items, of fine-tuning": (
            "Words and two towers, all items",
            "Words and MiniLM as it comes, all items",
            "loo-cold-items/full",
        ),
    },
    "beauty-sasrec": {
        "everything": (
            "Fusion of item-kNN, directed counts, TF-IDF and SASRec",
            "Fusion of item-kNN and TF-IDF",
            "loo/full",
        ),
    },
    "beauty-sasrec-shuffled": {
        "everything": (
            f"Fusion of item-kNN, directed counts, TF-IDF and SASRec{SHUFFLED}",
            f"Fusion of item-kNN and TF-IDF{SHUFFLED}",
            "loo/full",
        ),
    },
    "distilled": {
        "taught": ("SASRec, taught by the cascade", "SASRec, untaught", "loo/100-uniform"),
        "teacher": (
            "Cascade: item-kNN, then the cross-encoder on its top 50",
            "SASRec, untaught",
            "loo/100-uniform",
        ),
    },
    "gate": {
        "gate": (
            "The same cascade with a gate",
            "Cascade: item-kNN, then the cross-encoder on its top 50",
            "loo/full",
        ),
    },
    "listwise": {
        "yes_no": (
            "Item-kNN's top 20, then letters, LoRA",
            "Item-kNN's top 20, then yes/no, LoRA",
            "loo/100-uniform",
        ),
        "retriever": ("Item-kNN's top 20, then letters, LoRA", "Item-kNN", "loo/100-uniform"),
    },
    "knowledge": {
        "ease": ("EASE with relations", "EASE", "loo/full"),
        "tf-idf": ("TF-IDF with relations as text", "TF-IDF on titles and genres", "loo/full"),
        "cross-encoder": (
            "MiniLM cross-encoder, 2 layers, relations as text",
            "MiniLM cross-encoder, 2 layers",
            "loo/100-uniform",
        ),
    },
    "knowledge-as-published": {
        "ease": ("EASE with relations", "EASE", "loo/full"),
        "tf-idf": ("TF-IDF with relations as text", "TF-IDF on titles and genres", "loo/full"),
    },
}
"""Records → paired differences of NDCG@10 that they keep: of which row, from which, under what.

A row of several seeds counts with each person's mean over them."""
PROGRAMS = {
    "hosted": ("tests/benchmarks/hosted.py",),
    "generated": ("tests/benchmarks/generated.py",),
    "listwise-price": ("tests/benchmarks/listwise.py",),
    "gemma3": ("tests/benchmarks/scoring.py", "--only", "gemma3", "--one-thread"),
}
"""Records of what a program prints → the program and its words."""
LADDERS = {"ladder": "1,2,4,6"}
"""Records of ladders of sizes → the layers that are kept of their backbone."""
OF_PEOPLE = ("slices", "slices time", "facets", "lists", "explanations")
"""Documents that name single people: they are large, and no claim reads them."""
KEPT_STEPS = 20
"""Of a curve of losses, one point in so many steps is kept."""
NO_RECORD = "not measured: no record of it is stored"
NO_ROW = "not measured: no study at full budget has such a row yet"
NOT_MEASURED = {
    "beauty": {"text_sasrec": NO_ROW},
    "ml_latest_small": {"best_language_model_row": NO_ROW, "best_cheap_fusion": NO_ROW},
}

Body = dict[str, Any]


def record(name: str) -> Body | None:
    """A stored record; None where there is none."""
    path = RECORDS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def without_people(study: Body) -> Body:
    """An exported study without what it holds of single people; its digests go with them.

    It also loses what no claim reads: figures of slices, most points of the curves of losses, and
    which worker ran it.
    """
    runs = []
    for run in study["runs"]:
        kept = {
            "samples": [],
            "digest": None,
            "worker": None,
            "documents": [body for body in run["documents"] if body["name"] not in OF_PEOPLE],
            "measurements": [row for row in run["measurements"] if row["slice"] == "all"],
            "curves": [
                point
                for point in run["curves"]
                if point["name"] != "train_loss" or point["step"] % KEPT_STEPS == 0
            ],
        }
        runs.append(run | kept)
    return study | {"runs": runs}


def figure(run: Mapping[str, Any], name: str, protocol: str) -> float | None:
    """The value of a measurement over all people of a run."""
    for row in run["measurements"]:
        if (row["name"], row["protocol"], row["slice"]) == (name, protocol, "all"):
            return None if row["value"] is None else float(row["value"])
    return None


def latency_s(run: Mapping[str, Any]) -> float | None:
    """Seconds in which half of a run's single requests are answered."""
    for row in run["measurements"]:
        if row["name"] == "latency_p50_s" and row["protocol"].endswith("/batch-1"):
            return None if row["value"] is None else float(row["value"])
    return None


def document(run: Mapping[str, Any], name: str) -> Any:
    """A document of a run; None where it was not written."""
    return next((body["body"] for body in run["documents"] if body["name"] == name), None)


def over_seeds(body: Body | None, family: str, protocol: str) -> Body | None:
    """What the runs of a family reach under a protocol: the mean over seeds, and each seed.

    Args:
        body: a stored study; None where there is none.
        family: of the runs that count.
        protocol: whose figures are read; runs without them do not count.
    """
    done = [
        run
        for run in (body["runs"] if body else ())
        if run["spec"]["recommender"]["family"] == family
        and run["state"] == "finished"
        and figure(run, "ndcg@10", protocol) is not None
    ]
    if not done:
        return None
    seeds = [
        {
            "seed": run["spec"]["seed"],
            "ndcg10": figure(run, "ndcg@10", protocol),
            "recall10": figure(run, "recall@10", protocol),
            "validation_ndcg10": (document(run, "training") or {}).get("best_valid"),
            "train_s": figure(run, "train_s", "run"),
        }
        for run in done
    ]
    return {
        "ndcg10": fmean(seed["ndcg10"] for seed in seeds),
        "recall10": fmean(seed["recall10"] for seed in seeds),
        "seeds": seeds,
        "people": next(
            row["n"]
            for row in done[0]["measurements"]
            if (row["name"], row["protocol"], row["slice"]) == ("ndcg@10", protocol, "all")
        ),
        "times_the_test_was_scored": len(done),
        "recommender": done[0]["spec"]["recommender"]["options"],
        "training": done[0]["spec"]["training"],
        "device": (document(done[0], "device") or {}).get("name"),
    }


def beauty_sasrec() -> Body | str:
    """SASRec on amazon-beauty: the mean over seeds, each seed, and the search behind it."""
    body, search = record("beauty-sasrec"), record("beauty-sasrec-search")
    answer = over_seeds(body, "sasrec", "loo/full")
    if answer is None:
        return NO_ROW
    if search is not None:
        answer["search"] = {
            "minutes": search["minutes"],
            "trials": {trial["name"]: trial["figures"] for trial in search["trials"]},
        }
    return answer


def rows(body: Body, name: str) -> list[Body]:
    """The runs of a row: the one of that name, or one for each seed."""
    return [
        run
        for run in body["runs"]
        if run["name"] == name or run["name"].startswith(f"{name}, seed ")
    ]


def price_ratios(body: Body, of: str, other: str) -> dict[str, float | None]:
    """What a request to a row takes, as a share of what one to another row takes.

    Args:
        body: a stored study.
        of: the row.
        other: the row that it is compared with.
    """
    answer: dict[str, float | None] = {}
    for name in ("flops_per_request", "latency_p50_s", "usd_per_million"):
        values = [
            [
                row["value"]
                for run in rows(body, chosen)
                for row in run["measurements"]
                if row["name"] == name and row["value"] is not None
            ]
            for chosen in (of, other)
        ]
        answer[name] = fmean(values[0]) / fmean(values[1]) if all(values) else None
    return answer


def compared(name: str) -> Body | str:
    """The differences that a record keeps, each with the prices of its two rows.

    Args:
        name: of a record in `DIFFERENCES`.
    """
    body = record(name)
    if body is None:
        return NO_RECORD
    return {
        label: kept | {"price_ratio": price_ratios(body, kept["of"], kept["from"])}
        for label, kept in body["differences"].items()
    }


def gate() -> Body | str:
    """A cascade with a gate against always reading, and what its gate learned on validation."""
    answer = compared("gate")
    if isinstance(answer, str):
        return answer
    (run,) = rows(record("gate") or {}, answer["gate"]["of"])
    learned = document(run, "gate") or {}
    return answer | {"learned": {key: learned[key] for key in learned if key != "curve"}}


def distilled() -> Body | str:
    """A student against itself untaught and against its teacher, and what it costs to serve.

    The ratio is one of FLOPs, as the rows were measured under different loads of the machine.
    """
    answer = compared("distilled")
    if isinstance(answer, str):
        return answer
    return answer | {"price_ratio": answer["taught"]["price_ratio"]["flops_per_request"]}


def beauty_best(name: str) -> Body | str:
    """The fusion of everything on amazon-beauty, and its gain over that of two cheap ones.

    Args:
        name: of the record.
    """
    body = record(name)
    if body is None or "differences" not in body:
        return NO_ROW
    kept = body["differences"]["everything"]
    (run,) = rows(body, kept["of"])
    return {"ndcg10": figure(run, "ndcg@10", "loo/full"), "gain": kept}


def ladder() -> Body | str:
    """Each size of a ladder: quality, price, and the step from the size below."""
    body = record("ladder")
    if body is None:
        return NO_RECORD
    (model,) = body["models"]
    return {key: model[key] for key in ("model", "sentence", "sizes")}


def beauty_cold() -> Body:
    """Cold items of amazon-beauty on the shelf and among all items: words, towers, both."""
    body = record("beauty-towers")
    answer: Body = {
        "two_towers_shelf": over_seeds(body, "two-towers", "loo-cold-items/shelf") or NO_ROW
    }
    for run in body["runs"] if body else ():
        protocol = "{split}/{candidates}".format_map(run["spec"]["protocol"])
        if run["spec"]["recommender"]["family"] != "two-towers":
            answer[run["name"]] = {
                "ndcg10": figure(run, "ndcg@10", protocol),
                "latency_p50_s": latency_s(run),
            }
    return answer | {"differences": body["differences"] if body else NO_ROW}


def generated() -> Body | str:
    """Items that generative retrieval wrote, and how many of them no catalogue has."""
    body = record("generated")
    if body is None:
        return NO_RECORD
    return {"unknown": body["unknown"], "generated": body["items"], "conditions": body}


def gemma3() -> Body:
    """Packed scores of Gemma-3-270M against transformers: how far off, and how much faster."""
    body = record("gemma3")
    if body is None:
        return {"max_abs_diff": NO_RECORD, "speedup_100": NO_RECORD}
    return {
        "max_abs_diff": max(body["gemma3_max_abs_diff"], body["gemma3_prompts_max_abs_diff"]),
        "speedup_100": body["gemma3_vs_transformers_100"],
        "prompts": body["gemma3_prompts"],
        "conditions": body["conditions"],
    }


def results() -> Body:
    """Every claim with its figures, or why there are none."""
    answer: Body = {name: dict(parts) for name, parts in NOT_MEASURED.items()}
    towers = over_seeds(record("beauty-towers"), "two-towers", "loo/full")
    shuffled = record("beauty-sasrec-shuffled")
    trained = {
        "sasrec": beauty_sasrec(),
        f"sasrec{SHUFFLED}": over_seeds(shuffled, "sasrec", "loo/full") or NO_ROW,
        "two_towers": towers or NO_ROW,
        "rpg": over_seeds(record("beauty-codes"), "parallel-codes", "loo/full") or NO_ROW,
        "tiger": over_seeds(record("beauty-tiger"), "tiger", "loo/full") or NO_ROW,
        f"rpg{SHUFFLED}": over_seeds(shuffled, "parallel-codes", "loo/full") or NO_ROW,
        "best": beauty_best("beauty-sasrec"),
        f"best{SHUFFLED}": beauty_best("beauty-sasrec-shuffled"),
    }
    answer["beauty"] = trained | answer["beauty"]
    answer["beauty_cold"] = beauty_cold()
    answer["gemma3"] = gemma3()
    answer["gate"] = gate()
    answer["distilled"] = distilled()
    answer["listwise"] = {
        "quality": compared("listwise"),
        "price": record("listwise-price") or NO_RECORD,
    }
    for name in ("knowledge", "knowledge-as-published"):
        answer[name] = compared(name)
    answer["ladder"] = ladder()
    answer["hosted"] = record("hosted") or NO_RECORD
    answer["generated_unknown_items"] = generated()
    return answer


def means_of_people(study: Body, name: str, protocol: str) -> dict[int, float]:
    """NDCG@10 of each person, a mean over the seeds of a row; nothing where it has not run.

    Args:
        study: with the values of single people.
        name: of the row.
        protocol: under which it was asked.
    """
    of_seeds = [
        dict(zip(kept["keys"], kept["values"], strict=True))
        for run in rows(study, name)
        for kept in run["samples"]
        if (kept["name"], kept["protocol"]) == ("ndcg@10", protocol)
    ]
    people = set.intersection(*map(set, of_seeds)) if of_seeds else set()
    return {person: fmean(kept[person] for kept in of_seeds) for person in people}


def differences(study: Body, wanted: Mapping[str, tuple[str, str, str]]) -> Body:
    """Paired differences of NDCG@10 between rows of an exported study, with 95 % intervals.

    Args:
        study: with the values of single people.
        wanted: name of a difference → the row, the one it is compared with, the protocol; left out
            where one of them has not run.
    """
    answer: Body = {}
    for name, (row, other, protocol) in wanted.items():
        values = [means_of_people(study, row_name, protocol) for row_name in (row, other)]
        if not all(values):
            continue
        people = sorted(values[0].keys() & values[1].keys())
        columns = [np.array([column[person] for person in people]) for column in values]
        answer[name] = asdict(paired_difference(*columns)) | {"of": row, "from": other}
    return answer


def rerun(name: str, home: Path) -> None:
    """Compute a record again in a home, and write its file.

    Args:
        name: of a record.
        home: holds the data sets; what was computed in it before is not computed again.
    """
    program = [sys.executable, "-m", "llmrec_core"]
    environment = os.environ | {"LLMREC_HOME": str(home)}
    file = str(STUDIES / f"{name}.toml")
    RECORDS.mkdir(exist_ok=True)

    def printed(*command: str) -> Body:
        """The document on the last line of what a command prints."""
        done = subprocess.run(
            [*command, "--json"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        document: Body = json.loads(done.stdout.splitlines()[-1])
        return document

    if name in SEARCHES:
        body = printed(*program, "tune", file, "--minutes", str(SEARCHES[name]))
    elif name in LADDERS:
        body = printed(*program, "ladder", file, "--depths", LADDERS[name])
    elif name in PROGRAMS:
        answer = printed(sys.executable, *PROGRAMS[name])
        conditions = {part: answer[part] for part in ("conditions", "versions") if part in answer}
        body = answer["results"] | conditions
    else:
        subprocess.run([*program, "study", file], cwd=ROOT, env=environment, check=True)
        whole = home / f"{name}.json"
        command = [*program, "runs", "export", "--study", name, "--out", str(whole)]
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
        exported = json.loads(whole.read_text(encoding="utf-8"))
        body = without_people(exported)
        if name in DIFFERENCES:
            body["differences"] = differences(exported, DIFFERENCES[name])
    write_json(RECORDS / f"{name}.json", body, indent=1)


def main() -> None:
    """Read the command line and print the claims."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [*SEARCHES, *STUDY_RECORDS, *LADDERS, *PROGRAMS]
    parser.add_argument("--rerun", choices=names, help="compute this record again first")
    parser.add_argument("--home", type=Path, help="the home in which it is computed")
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--quick", action="store_true", help="as without: records are read")
    chosen = parser.parse_args()
    if chosen.rerun:
        rerun(chosen.rerun, chosen.home or Path(os.environ["LLMREC_HOME"]))
    answer = results()
    if not chosen.json:
        for name, parts in answer.items():
            for part, value in parts.items() if isinstance(parts, dict) else [("", parts)]:
                print(f"{name:18} {part:24} {json.dumps(value)[:140]}")
    print(json.dumps({"results": answer}))


if __name__ == "__main__":
    main()

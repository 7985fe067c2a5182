"""The rows of tests/test_options.py: words of a command, and the words with one option otherwise.

OUT is a folder of the test, FOLDER a model, READER the cross-encoder's run; a file WRITTEN is read
as a part of what the command says.
"""

from __future__ import annotations

RECOMMEND = "recommend --run Item-kNN --user u0 --json"
EXPLAIN = "explain --run READER --user u0 --item i7 --json"
PROFILE = "profile --model FOLDER --candidates 4 --history 2 --json"
GRID = (
    "profile --model FOLDER --grid --batches 1 --history-tokens 20 --candidate-counts 4"
    " --repeats 1 --json"
)
ESTIMATE = "estimate --model minilm-l6-h384 --device L4 --json"
TRAINING = f"{ESTIMATE} --task training"
TWO = f"{ESTIMATE} --devices 2"
PREFILL = "estimate --model tinyllama-1.1b --device L4 --task prefill --json"
PLAN = "plan --device L4 --users 1e9 --json"
EXPORT = "runs export --study ring --out OUT/WRITTEN"
REPORT = "report --study ring --out OUT/WRITTEN"
DIAGNOSE = "data diagnose ring --json"
CHECK = "data check ring --users 10 --family popularity --json"
POLICY = "policy measure OUT/policy.toml --run Item-kNN"
ROBUST = "robustness --run Item-kNN --users 10 --json"
READER_ROBUST = ROBUST.replace("Item-kNN", "READER")
OF_RUN = "plan --run READER --device L4 --users 1e9 --json"

CHANGES: dict[str, dict[str, tuple[str, str]]] = {
    "recommend": {
        "--run": (RECOMMEND, RECOMMEND.replace("Item-kNN", "READER")),
        "--user": (RECOMMEND, RECOMMEND.replace("u0", "u3")),
        "--history": (RECOMMEND, RECOMMEND.replace("--user u0", "--history i4")),
        "--all-users": (RECOMMEND, "recommend --run Item-kNN --all-users --out OUT/lists"),
        "--out": (RECOMMEND, "recommend --run Item-kNN --all-users --out OUT/others"),
        "-k": (RECOMMEND, f"{RECOMMEND} -k 2"),
        "--policy": (RECOMMEND, f"{RECOMMEND} --policy OUT/policy.toml"),
        "--json": (RECOMMEND, RECOMMEND.replace(" --json", "")),
    },
    "explain": {
        "--run": (EXPLAIN, EXPLAIN.replace("READER", "Item-kNN")),
        "--user": (EXPLAIN, EXPLAIN.replace("u0", "u1")),
        "--item": (EXPLAIN, EXPLAIN.replace("i7", "i8")),
        "--against": (EXPLAIN, f"{EXPLAIN} --against i9"),
        "--occasion": (EXPLAIN, f"{EXPLAIN} --occasion evaluation"),
        "--budget": (EXPLAIN, f"{EXPLAIN} --budget 10"),
        "--error": (f"{EXPLAIN} --error 0", f"{EXPLAIN} --error 1"),
        "--baseline": (EXPLAIN, f"{EXPLAIN} --baseline mask"),
        "--target": (EXPLAIN, f"{EXPLAIN} --target probability"),
        "--players": (EXPLAIN, f"{EXPLAIN} --players all"),
        "--group-by": (EXPLAIN, f"{EXPLAIN} --group-by shelf"),
        "--words": (EXPLAIN, f"{EXPLAIN} --words i5"),
        "--honesty": (EXPLAIN, f"{EXPLAIN} --honesty"),
        "--users": (EXPLAIN, "explain --run READER --users 2 --out OUT/r.parquet --json"),
        "--out": (EXPLAIN, f"{EXPLAIN} --out OUT/r.parquet"),
        "--seed": (f"{EXPLAIN} --budget 10", f"{EXPLAIN} --budget 10 --seed 1"),
        "--json": (EXPLAIN, EXPLAIN.replace(" --json", "")),
    },
    "profile": {
        "--run": (PROFILE, "profile --run READER --candidates 4 --history 2 --json"),
        "--model": (PROFILE, PROFILE.replace("FOLDER", "OUT/nothing")),
        "--precision": (PROFILE, f"{PROFILE} --precision int8"),
        "--device": (PROFILE, f"{PROFILE} --device cuda"),
        "--batch": (PROFILE, f"{PROFILE} --batch 2"),
        "--candidates": (PROFILE, PROFILE.replace("candidates 4", "candidates 5")),
        "--history": (PROFILE, PROFILE.replace("history 2", "history 3")),
        "--grid": (PROFILE, GRID),
        "--batches": (GRID, GRID.replace("batches 1", "batches 2")),
        "--history-tokens": (GRID, GRID.replace("tokens 20", "tokens 30")),
        "--candidate-counts": (GRID, GRID.replace("counts 4", "counts 5")),
        "--candidate-tokens": (GRID, f"{GRID} --candidate-tokens 6"),
        "--runtime": (GRID, f"{GRID} --runtime onnx --precision int8"),
        "--depth": (GRID, f"{GRID} --depth 1"),
        "--repeats": (GRID, GRID.replace("repeats 1", "repeats 2")),
        "--json": (GRID, GRID.replace(" --json", "")),
    },
    "estimate": {
        "--model": (ESTIMATE, ESTIMATE.replace("minilm-l6-h384", "bert-base")),
        "--device": (ESTIMATE, ESTIMATE.replace("L4", "A100-80GB")),
        "--precision": (ESTIMATE, f"{ESTIMATE} --precision fp32"),
        "--batch": (ESTIMATE, f"{ESTIMATE} --batch 64"),
        "--input-tokens": (ESTIMATE, f"{ESTIMATE} --input-tokens 500"),
        "--output-tokens": (PREFILL, f"{PREFILL} --output-tokens 50"),
        "--task": (ESTIMATE, TRAINING),
        "--runtime": (ESTIMATE, f"{ESTIMATE} --runtime onnxruntime"),
        "--devices": (ESTIMATE, TWO),
        "--sharing": (TWO, f"{TWO} --sharing pipeline"),
        "--method": (TRAINING, f"{TRAINING} --method lora"),
        "--csv": (ESTIMATE, "estimate --csv OUT/none.csv --out OUT/predicted.csv"),
        "--out": (ESTIMATE, f"{ESTIMATE} --out OUT/predicted.csv"),
        "--fit": (ESTIMATE, "estimate --fit OUT/none"),
        "--measure": (ESTIMATE, f"{ESTIMATE} --fit OUT/none --measure"),
        "--calibrate": (ESTIMATE, f"{ESTIMATE} --calibrate"),
        "--json": (ESTIMATE, ESTIMATE.replace(" --json", "")),
    },
    "plan": {
        "--model": (PLAN, f"{PLAN} --model bert-base"),
        "--run": (PLAN, OF_RUN),
        "--device": (PLAN, PLAN.replace("L4", "A100-80GB")),
        "--users": (PLAN, PLAN.replace("1e9", "2e9")),
        "--requests-per-user-day": (PLAN, f"{PLAN} --requests-per-user-day 3"),
        "--requests-per-s": (PLAN, PLAN.replace("users 1e9", "requests-per-s 900")),
        "--requests-per-day": (PLAN, PLAN.replace("users 1e9", "requests-per-day 1e8")),
        "--peak": (PLAN, f"{PLAN} --peak 3"),
        "--p95-ms": (PLAN, f"{PLAN} --p95-ms 90"),
        "--candidates": (PLAN, f"{PLAN} --candidates 300"),
        "--history-tokens": (PLAN, f"{PLAN} --history-tokens 300"),
        "--candidate-tokens": (PLAN, f"{PLAN} --candidate-tokens 30"),
        "--mode": (PLAN, f"{PLAN} --mode full"),
        "--keep": (PLAN, f"{PLAN} --keep 10"),
        "--hit-rate": (PLAN, f"{PLAN} --hit-rate 0.5"),
        "--availability": (PLAN, f"{PLAN} --availability 0.9"),
        "--each-up": (PLAN, f"{PLAN} --each-up 0.8"),
        "--spare": (PLAN, f"{PLAN} --spare 40"),
        "--largest-batch": (PLAN, f"{PLAN} --largest-batch 1"),
        "--retrain-hours": (PLAN, f"{PLAN} --retrain-hours 100"),
        "--precision": (PLAN, f"{PLAN} --precision fp32"),
        "--runtime": (PLAN, f"{PLAN} --runtime tensorrt"),
        "--price": (PLAN, f"{PLAN} --price spot"),
        "--provider": (PLAN, f"{PLAN} --provider nobody"),
        "--price-region": (PLAN, f"{PLAN} --price-region nowhere"),
        "--usd-per-hour": (PLAN, f"{PLAN} --usd-per-hour 9"),
        "--region": (PLAN, f"{PLAN} --region France"),
        "--curve": (PLAN, "plan --device L4 --curve --json"),
        "--json": (PLAN, PLAN.replace(" --json", "")),
    },
    "runs list": {
        "--study": ("runs list", "runs list --study none"),
        "--json": ("runs list", "runs list --json"),
    },
    "runs show": {"--json": ("runs show READER", "runs show READER --json")},
    "runs export": {
        "--study": (EXPORT, EXPORT.replace("ring", "none")),
        "--out": (EXPORT, EXPORT.replace("WRITTEN", "WRITTEN-too")),
    },
    "report": {
        "--study": (REPORT, REPORT.replace("ring", "none")),
        "--out": (REPORT, REPORT.replace("WRITTEN", "WRITTEN-too")),
        "--comment": (REPORT, f"{REPORT} --comment hello"),
        "--without-tied": (REPORT, f"{REPORT} --without-tied"),
        "--requests-per-month": (REPORT, f"{REPORT} --requests-per-month 3e9"),
        "--usd-per-month": (REPORT, f"{REPORT} --usd-per-month 500"),
        "--p95-ms": (REPORT, f"{REPORT} --p95-ms 90"),
        "--usd-per-million": (REPORT, f"{REPORT} --usd-per-million 3"),
        "--share-of-best": (REPORT, f"{REPORT} --share-of-best 0.5"),
        "--hit-worth-usd": (REPORT, f"{REPORT} --hit-worth-usd 2"),
        "--usd-per-hour": (REPORT, f"{REPORT} --usd-per-hour 9"),
        "--utilisation": (
            f"{REPORT} --usd-per-hour 9",
            f"{REPORT} --usd-per-hour 9 --utilisation 0.3",
        ),
        "--watts": (REPORT, f"{REPORT} --watts 80"),
        "--grid-g-per-kwh": (REPORT, f"{REPORT} --grid-g-per-kwh 7"),
    },
    "disk": {"--prune": ("disk", "disk --prune"), "--json": ("disk", "disk --json")},
    "ledger check": {"--json": ("ledger check", "ledger check --json")},
    "ledger schema": {"--to": ("ledger schema", "ledger schema --to 1")},
    "models list": {"--json": ("models list", "models list --json")},
    "data list": {"--json": ("data list", "data list --json")},
    "data inspect": {"--json": ("data inspect ring", "data inspect ring --json")},
    "data diagnose": {
        "--draws": (DIAGNOSE, f"{DIAGNOSE} --draws 6"),
        "--model": (DIAGNOSE, f"{DIAGNOSE} --model FOLDER"),
        "--run": (DIAGNOSE, f"{DIAGNOSE} --run Item-kNN"),
        "--trainings": (f"{DIAGNOSE} --run Item-kNN", f"{DIAGNOSE} --run Item-kNN --trainings 2"),
        "--json": (DIAGNOSE, DIAGNOSE.replace(" --json", "")),
    },
    "data clean": {
        "--on": ("data clean ring --json", "data clean ring --on bots --json"),
        "--off": ("data clean ring --json", "data clean ring --off duplicates --json"),
        "--k-core": ("data clean ring --json", "data clean ring --k-core 3 --json"),
        "--json": ("data clean ring --json", "data clean ring"),
    },
    "data check": {
        "--split": (CHECK, f"{CHECK} --split time"),
        "--candidates": (CHECK, f"{CHECK} --candidates 3-uniform"),
        "--family": (CHECK, CHECK.replace("popularity", "item-knn")),
        "--users": (CHECK, CHECK.replace("users 10", "users 11")),
        "--steps": (CHECK, f"{CHECK} --steps 5"),
        "--json": (CHECK, CHECK.replace(" --json", "")),
    },
    "data shuffle-ties": {
        "--as": ("data list", "data shuffle-ties ring --as one"),
        "--seed": ("data shuffle-ties ring --as two", "data shuffle-ties ring --as 2 --seed 1"),
        "--json": ("data shuffle-ties ring --as three", "data shuffle-ties ring --as 3 --json"),
    },
    "policy measure": {
        "--run": (POLICY, POLICY.replace("Item-kNN", "READER")),
        "--users": (POLICY, f"{POLICY} --users 5"),
        "--json": (POLICY, f"{POLICY} --json"),
    },
    "policy review": {
        "--item": ("policy review ring", "policy review ring --item i6"),
        "--as": ("policy review ring", "policy review ring --as approved"),
        "--json": ("policy review ring", "policy review ring --json"),
    },
    "people actions": {
        "--last": ("people actions", "people actions --last 1"),
        "--json": ("people actions", "people actions --json"),
    },
    "robustness": {
        "--run": (ROBUST, ROBUST.replace("Item-kNN", "READER")),
        "--study": (ROBUST, ROBUST.replace("run Item-kNN", "study ring")),
        "--users": (ROBUST, ROBUST.replace("users 10", "users 12")),
        "--seed": (ROBUST, f"{ROBUST} --seed 1"),
        "--retrain": (READER_ROBUST, f"{READER_ROBUST} --retrain"),
        "--json": (ROBUST, ROBUST.replace(" --json", "")),
    },
}
NOT_WALKED = {
    "demo": "starts processes: tests/test_cli.py",
    "study": "starts processes: tests/test_cli.py",
    "run": "starts processes: tests/test_cli.py",
    "up": "starts processes: tests/test_cli.py",
    "worker": "starts processes: tests/test_cli.py",
    "tune": "starts processes: tests/test_cli.py",
    "ladder": "executes runs: tests/running/test_ladder.py",
    "label-curve": "reads labelled histories: tests/checks",
    "few-shot": "reads labelled histories: tests/checks",
    "data import": "what no file reads: tests/data/test_import_unread.py",
    "data delete": "takes from the home what other rows read: tests/data/test_data_cli.py",
    "people forget": "takes from the home what other rows read: tests/data/test_removal.py",
    "docs tables": "writes the pages of the documentation: tests/test_docs.py",
}
"""Commands with options that are held to them elsewhere."""
REFUSED = {
    f"{RECOMMEND} --out OUT/lists": "--all-users and --out FILE go together",
    "recommend --run Item-kNN --all-users --out OUT/lists --json": "--json would change nothing",
    f"{EXPLAIN} --out OUT/r.parquet": "--out would change nothing here: only --users",
    "explain --run READER --users 2 --out OUT/r.parquet --against i9": "--against would change",
    "explain --run READER --users 2 --out OUT/r.parquet --honesty": "--honesty would change",
    f"{PROFILE} --depth 1": "--depth would change nothing here: only --grid",
    f"{PROFILE} --runtime onnx": "--runtime would change nothing",
    f"{PROFILE} --batches 4": "--batches would change nothing",
    f"{GRID} --batch 4": "--batch would change nothing",
    "profile --run READER --device cpu": "--device would change nothing here: a run is measured",
    f"{ESTIMATE} --method lora": "--method would change nothing here: only --task training",
    f"{ESTIMATE} --output-tokens 9": "--output-tokens would change nothing here: an encoder",
    f"{ESTIMATE} --sharing replicas": "--sharing would change nothing here: one device",
    "estimate --model tinyllama-1.1b --device L4 --task training --output-tokens 9": (
        "--output-tokens would change nothing here: training"
    ),
    "estimate --csv OUT/none.csv --out OUT/p.csv --batch 4": "--batch would change nothing",
    f"{OF_RUN} --mode full": "--mode would change nothing here: --run has its own",
    f"{OF_RUN} --model bert-base": "--model would change nothing",
    "plan --requests-per-s 9 --requests-per-user-day 3": "--requests-per-user-day would change",
    f"{PLAN} --curve": "--users would change nothing here: --curve",
    f"{PLAN} --spare 1 --availability 0.9": "--availability would change nothing",
    f"{CHECK} --steps 5": "--steps would change nothing here: none of these families trains",
    f"{DIAGNOSE} --trainings 2": "--trainings would change nothing here: only --run",
    f"{PLAN} --usd-per-hour 2 --provider aws": "--provider would change nothing",
}

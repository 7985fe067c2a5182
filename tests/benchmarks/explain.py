"""How cheap, how right and how faithful are our explanations, beside shap and captum on the same cases?

The models are the default study's fully fine-tuned MiniLM-L6 (explain_model.py) and the same one trained in mode `per_item`, the
players their ten history items; each is measured alike, its peers with it. The truth of a case is its table of all 1,024 coalitions; every estimator is judged by the summed absolute error of its ten values
over the sum of their absolute true values. CPU seconds are those of this process with one thread, so a busy second core
disturbs little.

Peers: `shap.Explainer(pipeline)` as its documentation calls it (the history as text, the candidate fixed, word pieces
summed to items); `shap`'s Exact and Permutation and captum's ShapleyValueSampling over the ten items, each with its
default number of evaluations, a coalition costing what a plain forward pass of it costs. Their explainers call a
function that looks up the measured table, and evaluations × measured cost of one plain pass is added to their own CPU.

`exact_packed_speedup`: all coalitions of one item, ours against each coalition as a sequence of its own, one after the
other through the same weights (mode `full`'s path, removed items left out). `exact_vs_masked_length` is the same against
sequences of full length in which absent tokens are masked out of attention, `exact_packed_speedup_list` for all ten items
of a list. SmolLM2: eight items, our prefix tree against the plain path one by one, and against transformers' own model.

    python tests/benchmarks/explain.py --json [--quick] [--model FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]

from explain_peers import N, cpu, masked_pass, peers_on_table, plain_pass, relative, shap_pipeline

RANDOM_MODELS = 3
"""Draws of the randomised model: |Spearman| of two unrelated orders of ten scatters by 0.2 a case."""
BUDGETS = (
    32,
    48,
    64,
    80,
    96,
    112,
    128,
    144,
    160,
    180,
    200,
    224,
    256,
    288,
    320,
    360,
    400,
    512,
    768,
    1024,
)


# ── the model's values ───────────────────────────────────────────────────────────────────────────


def game_of(recommender: Any, dataset: Any, history: np.ndarray) -> Any:
    """A fresh game: nothing remembered."""
    from llmrec_core.explain.coalitions import Coalitions
    from llmrec_core.explain.players import history_players
    from llmrec_core.explain.prompt_scores import PromptScores

    players = history_players(dataset, history)
    return Coalitions(players, PromptScores(recommender, history, players))


# ── measurements ─────────────────────────────────────────────────────────────────────────────────


def measure_speed(
    recommender: Any, dataset: Any, chosen: list[Any], tables: list[np.ndarray], repeat: int
) -> dict:
    """CPU against peers, equality, packing."""
    from llmrec_core.explain.engine import explain
    from llmrec_core.explain.estimate import coalition_order, estimate
    from llmrec_core.explain.explanation import contrast
    from llmrec_core.explain.shapley import shapley_from_table

    result: dict[str, Any] = {}
    history, item, other = chosen[0]
    score = plain_pass(recommender, history, item)
    sample = list(
        islice(coalition_order(N, 1), 64)
    )  # complements in pairs: as long on average as all of them
    score(0)
    full, plain = cpu(lambda: np.array([score(mask) for mask in range(1 << N)]))
    plain_s = plain / (1 << N)
    masked = masked_pass(recommender, history, item)
    masked(0)
    _, long = cpu(lambda: [masked(mask) for mask in sample])
    exact, ours = cpu(lambda: explain(game_of(recommender, dataset, history), item, error=0))
    result["exact_packed_speedup"] = 1024 * plain_s / ours
    result["exact_vs_masked_length"] = 1024 * long / len(sample) / ours
    result["exact_cpu_s"], result["plain_pass_cpu_s"] = ours, plain_s
    result["packed_max_abs_diff"] = float(np.abs(full - tables[0]).max())
    listed = [int(i) for i in np.setdiff1d(np.arange(dataset.n_items), history)[:8]]
    masks = np.array(sample)
    _, packed = cpu(
        lambda: game_of(recommender, dataset, history).values(masks, [item, other, *listed])
    )
    result["exact_packed_speedup_list"] = len(masks) * 10 * plain_s / packed

    peers_on_table(full, plain_s)  # shap's first call compiles
    peers = peers_on_table(full, plain_s)
    result["max_diff_shap_exact"] = float(np.abs(peers["shap_exact"][0] - exact.values).max())
    truth = shapley_from_table(tables[0])
    for name, (found, seconds, evaluations) in peers.items():
        result[f"{name}_cpu_s"], result[f"{name}_evaluations"] = seconds, evaluations
        result[f"{name}_error"] = relative(found, truth)

    errors = {}
    lengths = [game_of(recommender, dataset, history).lengths for history, _, _ in chosen]
    for budget in BUDGETS:
        rows = []
        for number, table in enumerate(tables):
            order = np.array(list(islice(coalition_order(N, number), budget)))
            found = estimate(order, table[order], N, lengths[number])
            rows.append(relative(found.values, shapley_from_table(table)))
        errors[budget] = float(np.mean(rows))
    shap_cpu, shap_errors = [], []
    for history, item, _ in chosen[:repeat]:
        found, seconds, whole = shap_pipeline(recommender, history, item)
        number = next(i for i, case in enumerate(chosen) if case[0] is history)
        shap_cpu.append(seconds)
        shap_errors.append(relative(found, shapley_from_table(tables[number])))
        result["pipeline_score_diff"] = abs(whole - tables[number][-1])
    result["shap_pipeline_cpu_s"], result["shap_pipeline_error"] = (
        float(np.mean(shap_cpu)),
        float(np.mean(shap_errors)),
    )
    for share, label in ((0.10, "10pct"), (0.05, "5pct")):
        budget = next((b for b in BUDGETS if errors[b] <= share), 1024)
        seconds = []
        for number, (history, item, _) in enumerate(chosen[: max(repeat, 3)]):
            game = game_of(recommender, dataset, history)
            seconds.append(
                cpu(
                    lambda game=game, item=item, n=number, b=budget: explain(
                        game, item, budget=b, seed=n
                    )
                )[1]
            )
        result[f"speedup_at_{label}"] = float(np.mean(shap_cpu) / np.mean(seconds))
        result[f"error_at_{label}"], result[f"budget_at_{label}"] = errors[budget], budget
        result[f"cpu_at_{label}_s"] = float(np.mean(seconds))
    result["error_by_budget"] = {str(budget): value for budget, value in errors.items()}

    history, item, other = chosen[0]
    game = game_of(recommender, dataset, history)
    first = explain(game, item, budget=128, together=[other])
    second = explain(game, other, budget=128)
    gaps = [first.additivity_gap, second.additivity_gap, exact.additivity_gap]
    began = time.perf_counter()
    both = contrast(first, second)
    result["contrast_s"] = time.perf_counter() - began
    result["additivity_gap"] = float(max(*gaps, both.additivity_gap))
    return result


def measure_statistics(
    recommender: Any,
    dataset: Any,
    chosen: list[Any],
    tables: list[np.ndarray],
    seeds: int,
    priced: int,
) -> dict[str, Any]:
    """Top reason, coverage, faithfulness and the randomisation check over all cases.

    Args:
        priced: scorings that cost what 128 plain passes cost.
    """
    from llmrec_core.explain.engine import explain
    from llmrec_core.explain.estimate import coalition_order, estimate, least_squares
    from llmrec_core.explain.honesty import order_gains
    from llmrec_core.explain.random_layers import randomised
    from llmrec_core.explain.shapley import shapley_from_table
    from llmrec_core.metrics.correlation import spearman

    top, top_priced, plain_top, near, values_in, cases_in, gaps, plain_errors = (
        [],
        [],
        [],
        [],
        [],
        [],
        [],
        [],
    )
    for number, table in enumerate(tables):
        truth, lengths = (
            shapley_from_table(table),
            game_of(recommender, dataset, chosen[number][0]).lengths,
        )
        for seed in range(seeds):
            order = np.array(list(islice(coalition_order(N, 1000 * seed + number), 128)))
            found = estimate(order, table[order], N, lengths)
            best = int(found.values.argmax())
            top.append(best == truth.argmax())
            near.append(truth.max() - truth[best] <= 0.05 * np.abs(truth).max())
            values_in.append((np.abs(found.values - truth) <= found.errors).mean())
            cases_in.append(relative(found.values, truth) <= found.relative_error)
            gaps.append(abs(table[0] + found.values.sum() - table[-1]))
            more = np.array(list(islice(coalition_order(N, 1000 * seed + number), priced)))
            top_priced.append(
                estimate(more, table[more], N, lengths).values.argmax() == truth.argmax()
            )
            plain = least_squares(order, table[order], N)
            plain_top.append(plain.argmax() == truth.argmax())
            plain_errors.append(relative(plain, truth))
    ours, loo = [], []
    rng = np.random.default_rng(0)
    for table in tables:
        truth = shapley_from_table(table)
        without = table[-1] - table[[1023 ^ 1 << i for i in range(N)]]
        orders = np.stack(
            [np.argsort(-truth), np.argsort(-without), *(rng.permutation(N) for _ in range(300))]
        )
        gains = order_gains(lambda masks, table=table: table[masks], orders)
        spread = gains[2:].std(ddof=1)
        ours.append((gains[0] - gains[2:].mean()) / spread)
        loo.append((gains[1] - gains[2:].mean()) / spread)
    correlations = []
    for draw in range(RANDOM_MODELS):
        blank = randomised(recommender, seed=draw)
        for number, (history, item, _) in enumerate(chosen):
            other = explain(game_of(blank, dataset, history), item, budget=96, seed=number)
            found = spearman(other.values, shapley_from_table(tables[number]))
            correlations += [] if found is None else [abs(found)]
    return {
        "top1_at_128": float(np.mean(top)),
        "top1_at_price_of_128_plain": float(np.mean(top_priced)),
        "scorings_at_price_of_128_plain": priced,
        "top1_within_5pct_at_128": float(np.mean(near)),
        "top1_at_128_least_squares": float(np.mean(plain_top)),
        "error_at_128_least_squares": float(np.mean(plain_errors)),
        "value_bars_cover": float(np.mean(values_in)),
        "case_error_covers": float(np.mean(cases_in)),
        "additivity_gap_sampled": float(max(gaps)),
        "faithfulness_z": float(np.mean(ours)),
        "faithfulness_z_loo": float(np.mean(loo)),
        "random_model_spearman": float(np.mean(correlations)),
        "random_model_comparisons": len(correlations),
    }


def measure_smollm2(settings: Any, dataset: Any, parts: Any, quick: bool) -> dict[str, Any]:
    """Eight items of a decoder: the prefix tree against one prompt after the other."""
    import torch

    from llmrec_core.contract.spec import RecommenderSpec, RunSpec
    from llmrec_core.explain.shapley import shapley_from_table
    from llmrec_core.recommenders.language_model import LanguageModelRecommender

    spec = RunSpec(
        recommender=RecommenderSpec(
            family="decoder", backbone="smollm2-135m", head="yes-no", history_items=8
        )
    )
    recommender = LanguageModelRecommender(spec, dataset, settings)
    case = next(case for case in parts.test if len(case.history) >= 8)
    history, item = np.array(recommender.model.layout.keep(case.history)), int(case.relevant[0])
    game = game_of(recommender, dataset, history)
    table, tree = cpu(lambda: game.values(np.arange(256), [item])[:, 0])
    plain = plain_pass(recommender, history, item)
    step = 16 if quick else 1
    masks = range(step // 2, 256, step)
    separate, seconds = cpu(lambda: np.array([plain(mask) for mask in masks]))
    layout, whole = recommender.model.layout, recommender.model.backbone.stack.model

    @torch.inference_mode()
    def transformers_pass(mask: int) -> None:
        prompt = layout.assemble([int(i) for bit, i in enumerate(history) if mask >> bit & 1])
        whole(input_ids=torch.tensor([prompt + layout.candidates[item]])).logits[0, -1]

    few = range(8, 256, 32 if quick else 8)
    _, peer = cpu(lambda: [transformers_pass(mask) for mask in few])
    # the coalitions that were sampled have other lengths on average than all 256: scale by tokens read
    tokens = np.array(
        [
            sum(len(layout.pieces[i]) for b, i in enumerate(history) if m >> b & 1)
            for m in range(256)
        ]
    )
    tokens = tokens + len(layout.opening) + len(layout.closing) + len(layout.candidates[item])
    seconds *= tokens.sum() / tokens[list(masks)].sum()
    peer *= tokens.sum() / tokens[list(few)].sum()
    result = {
        "tree_speedup": seconds / tree,
        "tree_vs_transformers": peer / tree,
        "max_abs_diff": float(np.abs(separate - table[list(masks)]).max()),
        "tree_cpu_s": tree,
        "tokens_saved": float(tokens.sum() / game._evaluate.tokens_read),
    }
    if not quick:
        result["value_diff"] = float(
            np.abs(shapley_from_table(separate) - shapley_from_table(table)).max()
        )
    return result


def measure_model(
    recommender: Any, dataset: Any, parts: Any, count: int, quick: bool, say: Any
) -> dict[str, Any]:
    """Everything of one encoder: all coalitions of every case first, then speed and statistics against them."""
    from explain_model import cases

    from llmrec_core.explain.engine import explain

    chosen, tables = cases(parts, recommender, count), []
    for number, (history, item, _) in enumerate(chosen):
        found = explain(game_of(recommender, dataset, history), item, error=0)
        tables.append(found.full_table)
        say(f"case {number + 1} of {len(chosen)}: {found.cpu_seconds:.1f} CPU s")
    results = measure_speed(recommender, dataset, chosen, tables, 1 if quick else 3)
    say("speed:", results)
    priced = (
        min(int(128 * results["plain_pass_cpu_s"] / results["exact_cpu_s"] * (1 << N)), 1 << N)
        // 2
        * 2
    )
    results |= measure_statistics(recommender, dataset, chosen, tables, 4 if quick else 2, priced)
    return {"cases": len(chosen), **results}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print nothing but the last line")
    parser.add_argument("--quick", action="store_true", help="few cases and repetitions")
    parser.add_argument(
        "--cases", type=int, default=0, help="cases with a full table (default 50, quick 2)"
    )
    parser.add_argument(
        "--model",
        type=Path,
        help="model folder of a finished run that reads ten history items, in place of both modes",
    )
    parser.add_argument("--without-decoder", action="store_true", help="leave SmolLM2 out")
    arguments = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch
    from explain_model import data, fine_tuned

    from llmrec_core.profiling.allocator import keep_freed_memory
    from llmrec_core.settings import load_settings

    keep_freed_memory()
    say = (lambda *_: None) if arguments.json else (lambda *words: print(*words, flush=True))
    settings, count = load_settings(), arguments.cases or (2 if arguments.quick else 50)
    dataset, parts = data(settings)
    modes = ("shared",) if arguments.model else ("shared", "per_item")
    models = [fine_tuned(dataset, parts, settings, arguments.model, mode) for mode in modes]
    torch.set_num_threads(1)
    results: dict[str, Any] = {}
    for recommender, _ in models:
        mode = recommender.model.history_attention
        results[mode] = measure_model(recommender, dataset, parts, count, arguments.quick, say)
    if not arguments.without_decoder:
        results["smollm2"] = measure_smollm2(settings, dataset, parts, arguments.quick)
    conditions = {
        "models": [origin for _, origin in models], "players": N, "data": f"ml-100k {dataset.content_hash[:8]}",
        "threads": 1, "torch": torch.__version__, "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(), "load": os.getloadavg()[0], "quick": arguments.quick,
    }  # fmt: skip
    for part, values in results.items():
        for name, value in values.items():
            say(f"{part:10s} {name:32s} {value}")
    print(json.dumps({"bench": "explain", "conditions": conditions, "results": results}))


if __name__ == "__main__":
    main()

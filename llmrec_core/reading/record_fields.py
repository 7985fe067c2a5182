"""What stands in a run record: every figure with its unit, every document, each in one sentence.

The reference of the documentation is written from these tables, and a test finds every field of the
recorded study and of a fresh run described here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from llmrec_core.language import marked, t

_AT_K = re.compile(r"@\d+$")


@dataclass(frozen=True)
class Field:
    """A figure of a record: its unit as recorded, and what it is."""

    unit: str
    meaning: str
    title: str = ""
    """Its name for readers, where a profile shows it."""


def field_of(name: str) -> Field | None:
    """What the figure `name` of a record is; `None` when it is not described.

    >>> field_of("ndcg@10").unit
    '1'
    """
    return FIGURES.get(_AT_K.sub("@k", name))


def title_of(name: str) -> str:
    """A cost figure of a record by a name for readers; by its own where it has none.

    >>> title_of("latency_p50_s")
    'Latency, half of the requests'
    """
    field = field_of(name)
    return t(field.title) if field and field.title else name


FIGURES: dict[str, Field] = {
    "ndcg@k": Field(
        "1",
        marked("NDCG among the first k places, mean over users, ideal for min(k, relevant) items."),
    ),
    "recall@k": Field("1", marked("Share of the relevant items in the first k places.")),
    "hit@k": Field(
        "1", marked("Share of users with at least one relevant item in the first k places.")
    ),
    "map@k": Field("1", marked("Average precision among the first k places.")),
    "mrr": Field("1", marked("Mean of 1 ÷ rank of the first relevant item.")),
    "auc": Field("1", marked("Share of irrelevant candidates ranked below a relevant one.")),
    "coverage@k": Field("1", marked("Share of the catalogue shown in at least one list of k.")),
    "gini@k": Field(
        "1", marked("Gini coefficient of how often items are shown; 0 = all items alike.")
    ),
    "novelty@k": Field(
        "bit", marked("Mean of -log2 of the training share of the items in the lists.")
    ),
    "diversity@k": Field("1", marked("Mean cosine distance of the genres of two items of a list.")),
    "snips_ndcg@k": Field(
        "1", marked("NDCG with users weighted by the inverse propensity of their withheld item.")
    ),
    "effective_users": Field("1", marked("How many users that weighting leaves.")),
    "load_s": Field(
        "s",
        marked(
            "From the start of a fresh process until it can answer: imports, data set, model. "
            "Before version 0.2: reading data set and model inside the run."
        ),
        marked("Start until it can answer"),
    ),
    "train_s": Field(
        "s", marked("Fitting and fine-tuning, without the time given to people's questions.")
    ),
    "train_usd": Field("USD", marked("Training seconds at the price of the machine.")),
    "catalogue_s": Field(
        "s", marked("Encoding the catalogue once with the trained language model (two towers).")
    ),
    "catalogue_flops": Field(
        "FLOP", marked("Operations of that, by the formula of the architecture.")
    ),
    "catalogue_requests": Field(
        "1",
        marked(
            "After so many requests over the whole catalogue, answering has taken as many "
            "operations as encoding it once."
        ),
    ),
    "train_peak_memory_bytes": Field(
        "B", marked("Highest resident memory of the run's process up to the end of training.")
    ),
    "first_latency_s": Field(
        "s", marked("The first request of a fresh process."), marked("Latency of the first request")
    ),
    "latency_p50_s": Field(
        "s",
        marked("Half of the requests are answered within this time."),
        marked("Latency, half of the requests"),
    ),
    "latency_p95_s": Field(
        "s",
        marked("95 % of the requests are answered within this time."),
        marked("Latency, 95 of 100 requests"),
    ),
    "latency_p99_s": Field(
        "s",
        marked("99 % of the requests are answered within this time."),
        marked("Latency, 99 of 100 requests"),
    ),
    "latency_mean_s": Field(
        "s",
        marked("Mean time of a request, where a gate makes requests unlike; otherwise absent."),
        marked("Latency, mean"),
    ),
    "requests_read": Field(
        "1",
        marked(
            "Share of the requests that a cascade's gate let through to its language model: of the "
            "people asked, and of those timed. Absent without a gate."
        ),
        marked("Share of requests that the language model reads"),
    ),
    "throughput_requests_per_s": Field(
        "1/s",
        marked("Requests answered per second at the batch that the protocol names."),
        marked("Requests per second"),
    ),
    "flops_per_request": Field(
        "FLOP",
        marked("Operations of one request by the formula of the architecture."),
        marked("Work per request, by formula"),
    ),
    "flops_per_request_counted": Field(
        "FLOP",
        marked("Operations of one request as torch's counter saw them."),
        marked("Work per request, as torch counts"),
    ),
    "mfu": Field(
        "1",
        marked("Operations per second ÷ the best matrix product of this machine."),
        marked("Share of the machine's best product"),
    ),
    "foreign_load": Field(
        "1",
        marked("Share of the machine that other programs took meanwhile."),
        marked("Load of other programs meanwhile"),
    ),
    "energy_per_request_j": Field(
        "J",
        marked("Energy of one request, from a counter over windows of seconds."),
        marked("Energy per request"),
    ),
    "usd_per_million": Field(
        "USD",
        marked("Price of a million requests at the stated use."),
        marked("Price of a million requests"),
    ),
    "gco2e_per_million": Field(
        "g",
        marked("CO2e of a million requests: energy × grid intensity."),
        marked("CO2e of a million requests"),
    ),
    "usd_per_hour": Field(
        "USD/h",
        marked("Price of the machine that the record assumes."),
        marked("Price of the machine"),
    ),
    "utilisation": Field(
        "1",
        marked("Share of the hour in which requests are answered."),
        marked("Share of the hour in use"),
    ),
    "weight_bytes": Field(
        "B", marked("Bytes of the model's parameters as loaded."), marked("Weights as loaded")
    ),
    "parameters": Field(
        "1", marked("Numbers learned by the model or taken from a backbone."), marked("Parameters")
    ),
    "trainable_parameters": Field(
        "1",
        marked("Numbers that this run could change."),
        marked("Parameters that training can change"),
    ),
    "peak_memory_bytes": Field(
        "B",
        marked(
            "Highest resident memory of a fresh process that serves the saved model, with Python "
            "and its libraries. Before version 0.2: of the run's own process, training and meters "
            "in it."
        ),
        marked("Most memory while serving"),
    ),
    "runtime_memory_bytes": Field(
        "B",
        marked("Of that, Python and the family's libraries, before anything is loaded."),
        marked("Memory of Python and libraries"),
    ),
    "loaded_memory_bytes": Field(
        "B",
        marked("Of that, what stands when data set and model are loaded."),
        marked("Memory with data and model loaded"),
    ),
    "request_memory_bytes": Field(
        "B",
        marked("Of that, what loading and answering take beyond what stays loaded."),
        marked("Memory that answering takes on top"),
    ),
    "hosted_prompts": Field("1", marked("Prompts that a hosted model's lists were made from.")),
    "hosted_tokens_in": Field(
        "token",
        marked(
            "Tokens of prompts that this run was charged for, by the endpoint's own count; tries "
            "that it did not count at what was expected of them."
        ),
    ),
    "hosted_tokens_out": Field("token", marked("As hosted_tokens_in, of answers.")),
    "hosted_tokens_in_per_request": Field(
        "token", marked("Mean tokens of a prompt, by the endpoint's own count.")
    ),
    "hosted_tokens_out_per_request": Field(
        "token", marked("Mean tokens of an answer, by the endpoint's own count.")
    ),
    "hosted_usd": Field(
        "USD", marked("Dollars that this run has spent at a hosted model, over all its attempts.")
    ),
    "hosted_tries_again": Field(
        "1", marked("Tries that had to be repeated; their time is in no latency.")
    ),
    "hosted_lost_answers": Field(
        "1",
        marked("Prompts under way when the run was killed: perhaps paid for, not asked again."),
    ),
    "hosted_illegal_answers": Field(
        "1", marked("Answers that did not name every letter once; their rest is as retrieved.")
    ),
    "hosted_unusable_answers": Field(
        "1", marked("Of those, answers that named no letter at all: the list is as retrieved.")
    ),
    "gemm_peak_flops_per_s": Field(
        "FLOP/s",
        marked("The best fp32 matrix product, measured once a worker."),
        marked("The machine's best product"),
    ),
    "bandwidth_bytes_per_s": Field(
        "B/s",
        marked("The memory traffic, measured once a worker."),
        marked("The machine's memory traffic"),
    ),
}

DOCUMENTS: dict[str, str] = {
    "versions": marked("Versions of the product, Python and the libraries."),
    "device": marked("The machine as found: processor, memory, GPUs, how energy is counted."),
    "conditions": marked("Price, utilisation and grid intensity, with sources and dates."),
    "slices": marked("The users of every slice, so that slices are compared user by user."),
    "facets": marked("Each test case in one named group of every facet."),
    "slices time": marked("As slices, of the people asked after the cut in time."),
    "facets time": marked("As facets, of the people asked after the cut in time."),
    "training": marked("Steps, seconds, losses, and quality before and after training."),
    "teacher": marked("Of a student: who taught it, whose lists, how long, and what it learned."),
    "checks": marked("The checks that this run passed or failed, each with its numbers."),
    "lists": marked("The lists of some users, as the page Side by side shows them."),
    "explanations": marked("Stored explanations of some recommendations."),
    "serving": marked("What is inside each figure of serving; absent before version 0.2."),
    "windows": marked("Every timing window: percentiles, load of others, clock, temperature."),
    "files": marked("Name, size and hash of each file of the model's folder."),
    "model": marked("What is particular to this model, such as the blend of a cascade."),
    "gate": marked(
        "What the gate of a cascade learned on validation: quality by the share of requests read, "
        "the chosen share, expected gains beside those that came about."
    ),
    "policy": marked("What a policy cost this run, and whose exposure it moved."),
    "robustness": marked("Quality of this run under noise."),
    "shuffled ties": marked("Its quality, trained again on other orders of equal times."),
}

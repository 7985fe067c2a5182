"""Plain words for the terms on the pages: glossary, metric and method cards. Text only."""

from llmrec_core.language import marked

GLOSSARY = {
    marked("User, item, history"): marked(
        "Who is served; what can be recommended; what the user did before, oldest first."
    ),
    marked("Withheld item"): marked(
        "The user's last item. It is hidden from every recommender and must be found again."
    ),
    marked("Candidates"): marked(
        "The items a recommender puts in order. '100 candidates': the withheld item and 99 others."
    ),
    marked("Hit"): marked("The withheld item stands in the first ten places of the list."),
    "NDCG@10": marked(
        "1 when the withheld item comes first, less the further down it stands, 0 below place ten."
    ),
    "Recall@10": marked(
        "Share of the withheld items among the first ten. With one withheld item: the "
        "share of hits."
    ),
    "MRR": marked("Mean of 1 ÷ place of the withheld item."),
    "AUC": marked("Share of candidates ranked below the withheld item; 0.5 is chance."),
    "95 % interval": marked(
        "The mean would fall in here in 95 of 100 samples of users like these."
    ),
    marked("Not distinguishable"): marked(
        "Compared user by user, the 95 % interval of the difference includes 0."
    ),
    "p50, p95, p99": marked("Half, 95 % and 99 % of the requests are answered within this time."),
    "FLOP": marked(
        "One floating-point operation; a multiplication with its addition counts as two."
    ),
    "MFU": marked("Share of this machine's measured peak arithmetic that the model reaches."),
    marked("Precision"): marked("How many bits a weight is kept in: fp32 has 32, int8 has 8."),
    "Fine-tuning": marked(
        "Training a language model further on these ratings: all weights, the head alone, or LoRA."
    ),
    "LoRA": marked("Small extra matrices are trained while the model itself stays as it was."),
    marked("Cascade"): marked(
        "A cheap recommender picks the first K items, a language model puts only those in order."
    ),
    marked("Gate"): marked(
        "Decides before a cascade's language model reads whether that is expected to improve the "
        "list; where it is not, the cheap recommender's order stays, at its price."
    ),
    marked("Pareto front"): marked("The rows that nothing beats in quality and cost at once."),
    marked("Noisy"): marked(
        "Another program used the processor during the timing, and repeating did not help."
    ),
    marked("Shapley value"): marked(
        "How much one history item moved the score, averaged over every order of adding items."
    ),
}

METRIC_HELP = {
    "ndcg@10": GLOSSARY["NDCG@10"],
    "recall@10": GLOSSARY["Recall@10"],
    "mrr": GLOSSARY["MRR"],
    "auc": GLOSSARY["AUC"],
}

METHOD_TITLES = {
    "quality": marked("Quality"),
    "latency": marked("Latency"),
    "price": marked("Price"),
    "flops": marked("Operations"),
    "memory": marked("Memory"),
    "energy": marked("Energy"),
    "explanation": marked("Explanation"),
}

METHODS = {
    "quality": (
        marked(
            "Each user's last item is withheld, ties kept in file order. The recommender "
            "orders the candidates; the metric is computed per user, then averaged. "
            "Intervals: 2,000 bootstrap resamples of the users. Two rows are compared on "
            "the same users, pair by pair. Ties in the score get their mean rank."
        )
    ),
    "latency": (
        marked(
            "Wall-clock time of one request (one user, one list) after warm-up, one at a "
            "time, device synchronised, no other request running. Two windows apart in "
            "time; a window with more than 10 % foreign load is repeated, then marked "
            "noisy. Raw samples stay in the record."
        )
    ),
    "price": (
        marked(
            "Hourly price ÷ (requests per hour at the largest measured batch × "
            "utilisation) × 10⁶. A request is one user's list of ten. Price, date and "
            "source stand below; both can be changed in the side bar."
        )
    ),
    "flops": (
        marked(
            "From the formula of the architecture at the mean request of the study; beside "
            "it, where the counter is right, the operations counted while running. 1 "
            "multiply-add = 2 FLOP. Norms, softmax and look-ups are left out."
        )
    ),
    "memory": marked(
        "Highest resident memory of the process that holds the model, including Python "
        "and its libraries."
    ),
    "energy": (
        marked(
            "Difference of the energy counter (NVML, or RAPL where readable) over windows "
            "of seconds, divided by the requests. Without a counter it is not measured; "
            "watts typed in by you are drawn as assumed."
        )
    ),
    "explanation": (
        marked(
            "Players are the items of the history that the model reads. Subsets of them "
            "are scored by the model itself, absent items being removed from the prompt; "
            "the Shapley value is the mean effect over all orders, so base value + values "
            "= score. With every subset scored it is exact; else each value has a 95 % bar "
            "from a Gaussian process on subsets of all sizes. Reasons are the model's, not "
            "the person's."
        )
    ),
}

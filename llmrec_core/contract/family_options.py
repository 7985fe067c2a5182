"""Options and usual trainings of the families in the table, shared where families share them."""

from __future__ import annotations

from llmrec_core.contract.family import Option
from llmrec_core.language import marked

HISTORY = Option(marked("Most recent items that count; 0 takes all."), 0, 100_000, whole=True)
DECAY = Option(
    marked("Weight of an item against the next more recent one; 1 weighs all alike."), 0, 1
)
POPULARITY = Option(
    marked("Weight of log popularity, which breaks ties and fills in for empty histories."),
    -1_000,
    1_000,
)
WORDS = {
    "history_items": HISTORY,
    "genres": Option(marked("1 counts genres among the words (usual), 0 does not."), 0, 1, True),
    "decay": DECAY,
    "popularity": POPULARITY,
}
FACTORS = {
    "factors": Option(marked("Width of a user's and an item's factors (64)."), 1, 4_096, True),
    "l2": Option(marked("Ridge on the factors (0.01)."), 0, 1_000_000),
    "epochs": Option(marked("Sweeps (ALS, 15) or passes (BPR, 100)."), 1, 100_000, True),
    "history_items": HISTORY,
    "decay": DECAY,
}
SEQUENTIAL = {
    "width": Option(marked("Width of an item's vector (64)."), 1, 4_096, True),
    "layers": Option(marked("Transformer blocks (2)."), 1, 100, True),
    "heads": Option(marked("Attention heads (2); they divide the width."), 1, 256, True),
    "ahead": Option(
        marked(
            "A target is drawn from the next so many items (1). More where order is noisy, as when "
            "people rate a page of films in one go."
        ),
        1,
        1_000,
        True,
    ),
    "in_epochs": Option(
        marked(
            "1 reads everybody's history once before anybody's again, in batches of like length; "
            "0 draws people by chance (0)."
        ),
        0,
        1,
        True,
    ),
    "negatives": Option(
        marked(
            "Items drawn for a batch that the softmax is taken over beside the target (0: over the "
            "whole catalogue)."
        ),
        0,
        1_000_000,
        True,
    ),
    "cooccurrence": Option(
        marked("Spread of the item vectors' start from co-occurrences (0.1); 0 starts at random."),
        0,
        100,
    ),
    "ips": Option(
        marked("Gamma of the propensity by which targets are weighed inversely; 0 weighs none."),
        0,
        10,
    ),
    "ips_clip": Option(
        marked("Largest inverse propensity of a target against the smallest (10)."), 1, 1_000_000
    ),
}
STUDENT = {
    **{name: option for name, option in SEQUENTIAL.items() if not name.startswith("ips")},
    "taught_people": Option(
        marked("People whose lists the teacher makes (1,000); 0 takes all."), 0, 1e9, True
    ),
    "taught_items": Option(marked("Items of a list that are learned (10)."), 1, 1_000, True),
    "lesson": Option(
        marked("What a taught place counts against one that foretells the next item (5)."),
        0,
        1_000_000,
    ),
    "fade": Option(
        marked("Places of a list after which an item counts 1/e of the first (5)."), 1e-3, 1e6
    ),
}
CODES = {
    "codes": Option(
        marked("Codes of an item (16), each of a part of its text vector."), 1, 4_096, True
    ),
    "codebook": Option(
        marked(
            "Centroids that each code chooses from (256, or as many as there are different texts)."
        ),
        1,
        1_000_000,
        True,
    ),
    "temperature": Option(
        marked("Divides the likeness of what is asked and a centroid's vector (0.07)."),
        0.001,
        1_000,
    ),
    **{name: SEQUENTIAL[name] for name in ("width", "layers", "heads", "ahead", "in_epochs")},
}
TIGER = {
    "levels": Option(
        marked("Codes of an item (3), from coarse to fine; one more tells equal ones apart."),
        1,
        64,
        True,
    ),
    "codebook": CODES["codebook"],
    "beam": Option(
        marked(
            "Prefixes of codes that go on at each step when a whole catalogue is ranked (50): more "
            "find more and cost more."
        ),
        1,
        100_000,
        True,
    ),
    **{name: SEQUENTIAL[name] for name in ("width", "layers", "heads", "in_epochs")},
}
TOWERS = {
    "window": Option(
        marked("Most items of a history that a training batch reads of one person (10)."),
        1,
        10_000,
        True,
    ),
    "decay": Option(
        marked("Weight of an item against the next more recent one (0.8); 1 weighs all alike."),
        0,
        1,
    ),
    "ahead": SEQUENTIAL["ahead"],
    "uniform": Option(
        marked(
            "Items drawn by chance for a training batch, as further negatives beside those of "
            "other people (0)."
        ),
        0,
        1_000_000,
        True,
    ),
    "mined": Option(
        marked("Hard negatives for each person of a batch: items with like texts (0)."),
        0,
        1_000,
        True,
    ),
    "temperature": Option(
        marked("Divides the likeness of two texts before training (0.1)."), 0.001, 1_000
    ),
    "popularity": Option(
        marked("Weight of log popularity in the score, in training and serving (1)."),
        -1_000,
        1_000,
    ),
    "correction": Option(
        marked(
            "Share of the logarithm of its chance to be drawn that a negative's score loses (1); "
            "0 corrects nothing."
        ),
        0,
        1,
    ),
}
EXIT = {
    "exit_layer": Option(
        marked("Layer after which hopeless candidates are read no further."), 1, 1_000, True
    ),
    "exit_keep": Option(
        marked("Share of validation users whose list an early exit must not change (0.99)."), 0, 1
    ),
}
ORDERS = {
    "orders": Option(
        marked(
            "With head `letters`: orders of the candidates that a score is the mean over (1). 1 "
            "takes the retriever's order, or one shuffle where there is none; more are shuffles."
        ),
        1,
        100,
        True,
    ),
}
SASREC_TRAINING = {
    "full": {"learning_rate": 2e-3, "batch_histories": 128, "dropout": 0.2},
}
TOWER_TRAINING = {
    "head": {"learning_rate": 2e-3, "batch_histories": 64},
    "lora": {"learning_rate": 5e-4, "batch_histories": 16},
    "full": {"learning_rate": 5e-5, "batch_histories": 16},
}
READER_TRAINING = {
    "full": {"learning_rate": 5e-4, "positives": 4, "negatives": 12},
    "lora": {"learning_rate": 2e-3, "positives": 4, "negatives": 12},
    "head": {"learning_rate": 1e-2, "positives": 4, "negatives": 12},
}
DECODER_TRAINING = {
    "lora": {"learning_rate": 1e-3, "batch_histories": 4, "negatives": 7},
    "full": {"learning_rate": 5e-5, "batch_histories": 4, "negatives": 7},
}

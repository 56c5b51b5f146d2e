"""Embed the objects of a source with trained runs: ``python -m zoo.embed RUN [RUN ...] --data FILES --out DIR``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tfrecords import command
from tfrecords.errors import UsageError

EPILOG = """examples:
  python -m zoo.embed runs/atat/NAME --data DIR --out embeddings
  python -m zoo.embed runs/atat/NAME --data metadata.csv.gz lightcurves.csv.gz --out embeddings
  python -m zoo.embed runs/atat/A runs/t2/B --data DIR --out embeddings --plot pca,umap,tsne --colour hostgal_photoz
  python -m zoo.embed runs/atat/NAME --data DIR --out embeddings --neighbours 615 713 --k 20 --metric cosine
  python -m zoo.embed runs/atat/NAME --data DIR --out embeddings --projector; tensorboard --logdir embeddings/projector
  python -m zoo.embed runs/atat/NAME --data DIR --out embeddings --plot umap --metric cosine --n-neighbors 22
  python -m zoo.embed runs/atat/NAME --data DIR --out embeddings --query 615,713 --zero-shot --outliers --top 50
  python -m zoo.embed runs/astrom3_clip/NAME --data DIR --out embeddings --query ID --from spectra --to photo,meta
DIR gets embeddings.parquet (object_id, class, split of records, observations, reason, e_000 ...), embeddings.npy with
ids.npy (objects that have an embedding), projections.parquet, one figure a projection with all runs side by side, and
scores.json; of several runs the tables lie in DIR/<model>-<name>. Scores: accuracy of k-means clusters, one a class,
and macro F1 of a logistic regression on the embeddings, training split -> test split.
Networks of several modalities have an embedding for each, which --modality, --from and --to name (photo, spectra,
meta); 'all' is the representation of the whole object. --query writes similar.csv and similar.png, --zero-shot
zero_shot.csv and zero_shot_predictions.csv, --outliers outliers.csv: all by the cosine of what the network gives.
exit code 0: done; 1: failed on the way; 2: wrong usage
"""


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.embed",
        description="Represent every object of survey files or of a record directory by what trained networks know of "
        "it before their heads: tables, plots, neighbours, scores.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run directory")
    parser.add_argument("--data", nargs="+", required=True, metavar="PATH", help="files or folder of the source")
    parser.add_argument("--source", help="name of the source; recognised from the data when absent")
    parser.add_argument("--split", default="all", choices=["all", "train", "validation", "test"],
                        help="of records, by the run's fold (default: %(default)s)")  # fmt: skip
    parser.add_argument("--day", type=float, default=float("inf"), help="hide what came later than so many days")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="made if absent")
    parser.add_argument("--plot", default="pca", metavar="LIST",
                        help="pca, tsne, umap (extra umap), with commas; or none (default: %(default)s)")  # fmt: skip
    parser.add_argument("--colour", default="class", metavar="COLUMN",
                        help="class, split, observations, static column or target (default: %(default)s)")  # fmt: skip
    parser.add_argument("--normalise", default="standard", choices=["standard", "l2", "none"],
                        help="dimensions to mean 0 and deviation 1, objects to length 1, or neither; for plots, "
                        "neighbours and clusters (default: %(default)s)")  # fmt: skip
    parser.add_argument("--metric", default="euclidean",
                        choices=["euclidean", "cosine", "manhattan", "chebyshev", "correlation"],
                        help="of neighbours, UMAP and t-SNE (default: %(default)s)")  # fmt: skip
    parser.add_argument("--n-neighbors", type=int, default=15, help="UMAP (default: %(default)s)")
    parser.add_argument("--min-dist", type=float, default=0.1, help="UMAP (default: %(default)s)")
    parser.add_argument("--perplexity", type=float, default=30.0, help="t-SNE (default: %(default)s)")
    parser.add_argument("--max-points", type=int, default=20_000,
                        help="most objects in plots and projector, drawn at random (default: %(default)s)")  # fmt: skip
    parser.add_argument("--projector", action="store_true",
                        help="files for TensorBoard's projector, with the stamps of records as sprites")  # fmt: skip
    parser.add_argument("--neighbours", nargs="+", default=[], metavar="ID", help="list the objects nearest to these")
    parser.add_argument("--k", type=int, default=10, help="number of neighbours (default: %(default)s)")
    parser.add_argument("--modality", metavar="NAME",
                        help="write, draw and score one modality's embeddings (default: of whole objects)")  # fmt: skip
    group = parser.add_argument_group("by cosine, between and within modalities")
    group.add_argument("--query", default="", metavar="ID[,ID]", help="list the --k objects most like these")
    group.add_argument("--from", dest="source_of_query", default="all", metavar="NAME",
                       help="representation of the queries: a modality, or all (default: %(default)s)")  # fmt: skip
    group.add_argument("--to", default="", metavar="NAME[,NAME]",
                       help="representations to search (default: all that the network has)")  # fmt: skip
    group.add_argument("--zero-shot", action="store_true",
                       help="give test objects the class of the nearest class centre and of the nearest training "
                       "object, by each modality and by their majority")  # fmt: skip
    group.add_argument("--outliers", action="store_true",
                       help="rank labelled objects by 1 - cosine to the centre of their training class")  # fmt: skip
    group.add_argument("--top", type=int, default=20, help="ranks that count as high (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of everything that draws (default: %(default)s)")
    command.add_common_flags(parser)
    options = parser.parse_args(argv)
    if not options.day > 0:
        raise UsageError(f"--day must be positive. Received: {options.day}")
    plot = [] if options.plot == "none" else [name.strip() for name in options.plot.split(",") if name.strip()]
    from zoo.training.projection import ProjectionConfig, check_methods

    check_methods(plot)
    config = ProjectionConfig(
        options.normalise, options.metric, options.n_neighbors, options.min_dist, options.perplexity, options.seed
    )
    from zoo.training.embedding import embed_runs
    from zoo.training.similarity import SimilarityConfig

    queries, targets = (tuple(part for part in text.split(",") if part) for text in (options.query, options.to))
    if not queries and (targets or options.source_of_query != "all"):
        raise UsageError("--from and --to belong to --query ID. Received: no --query")
    similarity = SimilarityConfig(
        queries, options.source_of_query, targets, options.k, options.zero_shot, options.outliers, options.top
    )
    tables = embed_runs(
        options.runs, options.data, options.out, source=options.source, split=options.split, day=options.day,
        plot=plot, config=config, colour=options.colour, max_points=options.max_points,
        projector=options.projector, neighbours=options.neighbours, k=options.k, modality=options.modality,
        similarity=similarity if queries or options.zero_shot or options.outliers else None, quiet=options.quiet,
    )  # fmt: skip
    if not options.quiet:
        print("\n\n".join(tables), end="\n\n")
    print(options.out)
    return 0


if __name__ == "__main__":
    from zoo import quiet

    quiet.silence()
    command.run(main)

"""A child process of the importer: reads a Parquet file from end to end under limits, and says whether that worked.

`python -m llmrec_core.data.parquet_check FILE MEMORY_BYTES CPU_SECONDS`
"""

from __future__ import annotations

import sys


def main(path: str, memory_bytes: int, cpu_s: int) -> int:
    """0 when the whole file could be read; else 1 with one line on stdout."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    except ImportError:  # no such limits on this system; the child is still a process of its own
        pass
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=100_000):
            batch.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        print(str(error).splitlines()[0][:200] if str(error) else type(error).__name__)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))

"""Builds ``src/locutory_endpoints/tokens/o200k.bin`` from the published o200k_base vocabulary.

    python build_vocabulary.py o200k_base.tiktoken[.gz]

The input holds one ``<base64 of the token> <rank>`` a line. Packages that ship it include
``bpe-openai`` (``bpe_openai/data/o200k_base.tiktoken.gz``, MIT licence); the vocabulary
itself was published by OpenAI with tiktoken under the MIT licence. The output is two columns
of little-endian 32-bit numbers: the CRC-32 of every token in ascending order, then the ranks
in the same order.
"""

import base64
import gzip
import struct
import sys
from pathlib import Path
from zlib import crc32

TARGET = Path(__file__).parent / "src/locutory_endpoints/tokens/o200k.bin"


def main(source: str) -> None:
    """Write the table; where two tokens share a CRC the earlier rank stays."""
    data = Path(source).read_bytes()
    if source.endswith(".gz"):
        data = gzip.decompress(data)
    table: dict[int, int] = {}
    for line in data.splitlines():
        token, rank = line.split()
        table.setdefault(crc32(base64.b64decode(token)), int(rank))
    ordered = sorted(table.items())
    columns = [pair[0] for pair in ordered] + [pair[1] for pair in ordered]
    TARGET.write_bytes(struct.pack(f"<{len(columns)}I", *columns))


if __name__ == "__main__":
    main(sys.argv[1])
